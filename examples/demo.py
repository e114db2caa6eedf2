"""What `make demo` shows: the four products' lists, two requests, a refusal, the cost of a check, and keys.

The lists lie beside this file.  Everything here goes through the public names
of cidrmatch; the drawing is rich's.
"""

from __future__ import annotations

import gc
import ipaddress
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cidrmatch import AllowList, Engine, Problem, Report, __version__
from cidrmatch.advice.explain import explain
from cidrmatch.files.config import load
from cidrmatch.files.lists import ListFile, read_list
from cidrmatch.policy.presets import PRESETS

HERE = Path(__file__).parent
LISTS = {"nomsa": "nomsa.txt", "bitbybit": "bitbybit.csv", "unkey": "unkey.json", "pigment": "pigment.toml"}

ROUNDS = 15
TEXTS_A_ROUND = 10_000

Contestant = Callable[[list[str]], list[bool]]
console = Console(highlight=False, width=min(80, Console().width))


def main() -> None:
    """Show all five parts."""
    console.print(Text(f"cidrmatch {__version__}: may this client address use this API key?", style="bold"))
    show_products()
    show_requests()
    show_refusal()
    show_cost()
    show_keys()


def title(text: str) -> None:
    """Begin a part."""
    console.print()
    console.print(Text(text, style="bold"))


def say(content: RenderableType) -> None:
    """Print something, set in a little."""
    console.print(Padding(content, (0, 0, 0, 2), expand=False))


def columns(*headers: str) -> Table:
    """Begin a table without lines; columns without a header have none."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=any(headers), header_style="dim")
    for header in headers:
        table.add_column(header)
    return table


def read(name: str) -> ListFile:
    """Read a list that lies beside this file."""
    return read_list(HERE / name)


# -- 1. The products ----------------------------------------------------------


def show_products() -> None:
    """Validate each product's list under its preset."""
    title("1. Four products, four sets of rules: each list under its own preset")
    table = columns("list", "preset", "verdict", "its first entries, as the product shows them")
    remarks = columns("", "", "")
    for preset, name in LISTS.items():
        listed = read(name)
        report = PRESETS[preset]().validate(listed.entries)
        table.add_row(name, preset, verdict(report.ok), ", ".join(shown(report)[:2]) + ", ...")
        for warning in report.warnings:
            remarks.add_row(Text("warning", style="yellow"), f"{name} {line_of(listed, warning)}", reason_of(warning))
    say(table)
    say(remarks)


def shown(report: Report) -> list[str]:
    """Write the accepted entries in the product's own form."""
    return [report.policy.canonical(entry.prefix) for entry in report.accepted]


def line_of(listed: ListFile, problem: Problem) -> str:
    """Say where a problem stands."""
    return "the list" if problem.index is None else f"line {listed.marks[problem.index]}"


def reason_of(problem: Problem) -> Text:
    """Say what is wrong and what would be right; as text, so that nothing in it is markup."""
    return Text(problem.advice)


def verdict(good: bool, yes: str = "accepted", no: str = "refused") -> Text:
    """Give the word for yes or no in its colour."""
    return Text(yes if good else no, style="green" if good else "red")


# -- 2. Two requests ----------------------------------------------------------


def show_requests() -> None:
    """Ask one list for several client addresses."""
    name = LISTS["bitbybit"]
    title(f"2. Requests against {name}")
    allow = AllowList(read(name).entries, policy=PRESETS["bitbybit"]())
    table = columns("", "", "")
    for address in ("198.51.100.7", "198.51.101.7", "2001:db8::1", "::ffff:198.51.100.7"):
        entry = allow.match(address)
        reason = f"by {entry.prefix}, {entry.label}" if entry else "no entry covers it"
        table.add_row(verdict(entry is not None, "allowed", "denied"), address, Text(reason))
    say(table)


# -- 3. A refusal -------------------------------------------------------------


def show_refusal() -> None:
    """Show all that is wrong with a list at once."""
    name = "refused.txt"
    title(f"3. {name} under the preset nomsa: every reason at once, nothing is applied")
    listed = read(name)
    report = PRESETS["nomsa"]().validate(listed.entries)
    table = columns("", "", "")
    for problem in report.errors:
        table.add_row(Text(line_of(listed, problem), style="red"), Text(problem.text), reason_of(problem))
    say(table)


# -- 4. The cost --------------------------------------------------------------


def show_cost() -> None:
    """Time a check beside what people use today."""
    title("4. What one check costs: 20 IPv4 entries, text in, yes or no out")
    prefixes = [str(ipaddress.ip_network((random.getrandbits(32), 12 + i % 13), strict=False)) for i in range(20)]
    contestants = find_contestants(prefixes)
    timings = time_contestants(contestants, prefixes)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("ns a check", justify="right")
    table.add_column("times ours", justify="right")
    for name, timed in sorted(timings.items(), key=lambda row: statistics.median(row[1])):
        ratios = [theirs / ours for theirs, ours in zip(timed, timings["cidrmatch"], strict=True)]
        table.add_row(name, f"{statistics.median(timed):,.0f}", f"{statistics.median(ratios):,.1f}")
    if "pytricia" not in contestants:
        table.add_row("pytricia", "not installed", "-")
    say(table)
    say(
        f"Measured just now: {ROUNDS} rounds of {TEXTS_A_ROUND:,} new texts each, half of them listed; "
        "in every round the contestants take turns, each on texts it sees for the first time. All "
        "gave the same answers. Medians; the loop around the check is in them."
    )


def find_contestants(prefixes: list[str]) -> dict[str, Contestant]:
    """Name what can answer here: ours first."""
    allow = AllowList(prefixes)
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]

    def ask_ipaddress(texts: list[str]) -> list[bool]:
        return [any(address in network for network in networks) for address in map(ipaddress.ip_address, texts)]

    contestants: dict[str, Contestant] = {
        "cidrmatch": lambda texts: [text in allow for text in texts],
        "ipaddress": ask_ipaddress,
    }
    try:
        import pytricia  # noqa: PLC0415  a rival, not a need
    except ImportError:
        return contestants
    trie = pytricia.PyTricia(32)
    for prefix in prefixes:
        trie[prefix] = True
    contestants["pytricia"] = lambda texts: [text in trie for text in texts]
    return contestants


def time_contestants(contestants: dict[str, Contestant], prefixes: list[str]) -> dict[str, list[float]]:
    """Give the nanoseconds a check of each, round by round."""
    timings: dict[str, list[float]] = {name: [] for name in contestants}
    gc.disable()
    for _ in range(ROUNDS):
        addresses = draw_addresses(prefixes)
        answers = []
        for name in random.sample(list(contestants), len(contestants)):
            texts = [".".join(map(str, address.to_bytes(4, "big"))) for address in addresses]
            begun = time.perf_counter_ns()
            given = contestants[name](texts)
            timings[name].append((time.perf_counter_ns() - begun) / len(texts))
            answers.append(given)
        if any(given != answers[0] for given in answers):
            raise SystemExit("The contestants disagree: nothing was measured.")
    gc.enable()
    return timings


def draw_addresses(prefixes: list[str]) -> list[int]:
    """Draw addresses, half of them from the prefixes, in no order."""
    networks = [ipaddress.IPv4Network(prefix) for prefix in prefixes]
    listed = [
        int(network.network_address) + random.randrange(network.num_addresses)
        for network in random.choices(networks, k=TEXTS_A_ROUND // 2)
    ]
    drawn = listed + [random.getrandbits(32) for _ in range(TEXTS_A_ROUND - len(listed))]
    random.shuffle(drawn)
    return drawn


# -- 5. Keys ------------------------------------------------------------------


def show_keys() -> None:
    """Ask about a key of a whole configuration, before and after one of its entries expired."""
    name = "keys.toml"
    title(f"5. A key of {name}: entries of its own, a shared list, a company around both")
    june, july = (datetime(2026, month, 15, tzinfo=UTC) for month in (6, 7))
    table = columns("", "", "", "")
    for moment, address in ((june, "203.0.113.77"), (july, "203.0.113.77"), (july, "198.51.100.65")):
        decision = load_at(moment, name).check("key_deploy", address)
        table.add_row(verdict(decision.allowed, "allowed", "denied"), address, f"{moment:%B}", decision.reason.text)
    say(table)
    console.print("  why the last one is:")
    say(Padding(Text(str(explain(load_at(july, name), "key_deploy", "198.51.100.65"))), (0, 0, 0, 2)))


def load_at(moment: datetime, name: str) -> Engine:
    """Load a configuration that lies beside this file, with a clock that stands still."""
    return load(HERE / name, clock=moment.timestamp)


if __name__ == "__main__":
    main()
