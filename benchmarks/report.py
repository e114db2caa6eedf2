"""From a committed JSON to the tables and pictures in the documents: no published number is typed by hand.

    python -m benchmarks.report [--json PATH] [--into FILE] [--short]

What stands between `<!-- table: begin -->` and `<!-- table: end -->` in FILE is
replaced.  Without `--into`, README.md gets the short table and
docs/performance.md all of them, and the pictures of `plots.py` are drawn into
docs/.  Without `--json`, the newest whole run in `benchmarks/results/` is taken.

One table a topic, one line a question, one column a contestant: the median,
and in brackets its ratio to the floor of the same run.  The first of ours shows
the 5-95 % spread of that ratio, too.  Packed addresses are shown a second time
as others publish them: millions a second, and the share of what reading alone
would reach.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median

from benchmarks.agree import compared, verdict
from benchmarks.contestants import EMPTY, FROZENSET, FROZENSET_CALL, READ
from benchmarks.plots import Picture, draw
from benchmarks.promises import promised
from benchmarks.reasons import reason_for
from benchmarks.results import Result, Row, Run, load, number_text, ratio_text

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

TOPICS = {
    "lookup/*": "Is this text on the list?",
    "lookup/*/hits-*": "The same, when none or all of the addresses are on the list",
    "check/*": "May this address use this key?",
    "match/*": "Which prefix, the most specific one?",
    "match/many/text/*": "Which prefixes, for a list of texts at once",
    "match/many/packed/*": "Which prefixes, for packed addresses",
    "batch/text/*": "A list of texts at once, the answers kept",
    "batch/packed/*": "Packed addresses: one buffer, or one by one",
    "build/*": "From a list of text to a list that can be asked",
    "trie/insert/*": "Prefix after prefix, into something that can be changed",
    "parse/*": "From text to a packed address",
    "memory/*": "Memory",
    "memory/build/*": "Memory while a list is built",
}
"""In the order of the document; a question belongs to the last that fits its name."""
SHORT_COLUMNS = ("text in frozenset", "ip in allow", "pytricia", "ipaddress, a scan")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run = load(options.json or newest())
    if options.into:
        fill(options.into, short(run) if options.short else full(run))
        return 0
    pictures = draw(run, DOCS)
    fill(ROOT / "README.md", [*_shown(pictures, ROOT), *short(run)])
    fill(DOCS / "performance.md", [*_shown(pictures, DOCS), *promises(siblings(run)), *full(run)])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="Fill the tables from a result.")
    parser.add_argument("--json", metavar="PATH", type=Path, help="the result to show (default: the newest)")
    parser.add_argument("--into", metavar="FILE", type=Path, help="the document to fill in")
    parser.add_argument("--short", action="store_true", help="the one table of a README")
    return parser


def newest() -> Path:
    found = whole_runs()
    if not found:
        raise SystemExit(f"no whole run in {RESULTS.relative_to(ROOT)}: run `make bench` first")
    return found[-1]


def whole_runs() -> list[Path]:
    return sorted(path for path in RESULTS.glob("*.json") if not path.name.endswith(".tmp.json"))


def siblings(run: Run) -> list[Run]:
    """The whole runs of the same commit."""
    return [other for other in map(load, whole_runs()) if other.facts["commit"] == run.facts["commit"]]


def fill(path: Path, lines: Iterable[str]) -> None:
    """Replace what stands between the markers, and nothing else."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: no {BEGIN} ... {END} in it")
    path.write_text("\n".join([before + BEGIN, *lines, END]) + after, encoding="utf-8")


# --- the tables --------------------------------------------------------------


def full(run: Run) -> Iterator[str]:
    """Every topic that the run has."""
    for pattern, title in TOPICS.items():
        results = [result for result in run.results if _topic(result) == pattern]
        if results:
            yield from ("", f"### {title}", "", f"{_units(results)}.", "")
            yield from _table(results, _columns(results))
            yield from _rates(results)
            yield from _method_cost(results)
    yield from ("", *_losses(run), "", *_facts(run))


def promises(runs: Sequence[Run]) -> Iterator[str]:
    """What was promised, over all runs of a commit, and how far these agree."""
    yield from ("", "### What was promised", "")
    yield f"IPv4, IPv6; over {len(runs)} whole runs of the same commit, of which {verdict(compared(runs))}."
    yield from ("", *promised(runs))


def short(run: Run) -> Iterator[str]:
    """The lookups, ours beside the floor, pytricia and the standard library."""
    results = [result for result in run.results if _topic(result) == "lookup/*"]
    yield from ("", f"{_units(results)}.", "", *_table(results, SHORT_COLUMNS), "", _origin(run))


def _topic(result: Result) -> str:
    return [pattern for pattern in TOPICS if fnmatchcase(result.name, pattern)][-1]


def _shown(pictures: Iterable[Picture], folder: Path) -> Iterator[str]:
    for picture in pictures:
        yield from ("", f"![{picture.alt}]({picture.path.relative_to(folder).as_posix()})")


def _units(results: Sequence[Result]) -> str:
    """`ns an address: the median, and its ratio to the floor`."""
    units = " / ".join(dict.fromkeys(result.unit for result in results))
    return f"{units}: the median, and in brackets its ratio to the floor"


def _columns(results: Sequence[Result]) -> Sequence[str]:
    return list(dict.fromkeys(row.name for result in results for row in result.rows))


def _table(results: Sequence[Result], columns: Sequence[str]) -> Iterator[str]:
    ours = next(row.name for row in results[0].rows if row.role == "ours")
    yield _line(["", *columns])
    yield _line(["---", *("---:" for _ in columns)])
    for result in results:
        rows = {row.name: row for row in result.rows}
        cells = (_cell(rows.get(name), with_spread=name == ours) for name in columns)
        yield _line([f"`{result.name}`", *cells])


def _cell(row: Row | None, *, with_spread: bool) -> str:
    if row is None:
        return ""
    ratio = row.to_floor
    if ratio is None or row.role in ("floor", "empty"):
        return number_text(row.value.median)
    if with_spread:
        return f"**{number_text(row.value.median)}** ({ratio_text(ratio)}, {ratio.low:.2f}-{ratio.high:.2f})"
    return f"{number_text(row.value.median)} ({ratio_text(ratio)})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- what stands under them --------------------------------------------------


def _rates(results: Sequence[Result]) -> Iterator[str]:
    """Where the floor is a read of the buffer: how many a second, and how near that is to the read."""
    rows = [{row.name: row for row in result.rows if row.role in ("ours", "floor")} for result in results]
    if any(READ.name not in by_name for by_name in rows):
        return
    names = list(dict.fromkeys(name for by_name in rows for name in by_name))
    yield from ("", "Millions of addresses a second, and in brackets the share of the read.", "")
    yield from (_line(["", *names]), _line(["---", *("---:" for _ in names)]))
    for result, by_name in zip(results, rows, strict=True):
        yield _line([f"`{result.name}`", *(_rate(by_name.get(name)) for name in names)])


def _rate(row: Row | None) -> str:
    if row is None:
        return ""
    millions = f"{1_000 / row.value.median:,.1f}"
    return millions if row.role == "floor" or row.to_floor is None else f"{millions} ({1 / row.to_floor.median:.2%})"


def _method_cost(results: Sequence[Result]) -> Iterator[str]:
    """`ip in allow` is a slot, `allow.contains(ip)` a call: how much dearer is that, for us and for a frozenset?"""
    rows = [{row.name: row.value.median for row in result.rows} for result in results]
    ours = _differences(rows, "allow.contains(ip)", "ip in allow")
    floor = _differences(rows, FROZENSET_CALL.name, FROZENSET.name)
    if ours and floor:
        yield ""
        yield f"The bound method `allow.contains(ip)` costs {_range(ours)} more than `ip in allow`;"
        yield f"that of a frozenset costs {_range(floor)} more than `in`, in the same passes."


def _differences(rows: Sequence[dict[str, float]], dearer: str, cheaper: str) -> list[float]:
    return sorted(row[dearer] - row[cheaper] for row in rows if dearer in row and cheaper in row)


def _range(found: Sequence[float]) -> str:
    return f"{median(found):.1f} ns ({found[0]:.1f} to {found[-1]:.1f} over these rows)"


def _losses(run: Run) -> Iterator[str]:
    lost = [
        f"- `{result.name}`: {row.name}; {reason_for(result.name, row.name)}"
        for result in run.results
        for row in result.losses()
    ]
    yield "### Where somebody else does better"
    yield ""
    yield from lost or ["Nowhere in this run."]


def _facts(run: Run) -> Iterator[str]:
    real = any(result.source == "real" for result in run.results)
    yield "### The run"
    yield ""
    yield f"- full table: {'a real one' if real else 'generated, with the lengths and the nesting of a real one'}"
    yield from (f"- {key}: {value}" for key, value in run.facts.items())
    yield from _weather(run)


def _weather(run: Run) -> Iterator[str]:
    """The empty loop is the same code in each question: what it varies by is the machine."""
    loops = [
        row.value.median
        for result in run.results
        for row in result.rows
        if row.name == EMPTY.name and not result.name.startswith("check/")
    ]
    if loops:
        reach = f"in one question {min(loops):.1f}, in another {max(loops):.1f}"
        yield f"- weather: the empty loop took {median(loops):.1f} ns, {reach}"


def _origin(run: Run) -> str:
    facts = run.facts
    return f"{facts['cpu']}; {facts['os']}; {facts['python']}; {facts['date'][:10]}; `{facts['command']}`."


if __name__ == "__main__":
    sys.exit(main())
