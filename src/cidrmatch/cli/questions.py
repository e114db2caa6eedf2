"""Commands that ask about an address: `check` and `explain`, of a list or of a key.

    check   LIST ADDRESS...                     a list by itself, with the place of the entry
    check   --config FILE KEY ADDRESS...        a key of a configuration
    check   --snapshot SNAP KEY ADDRESS...      a key of a snapshot
    check   ... - ; check ... --addresses FILE  the same three, each line of a file; `addresses` reads it
    explain                                     the same three, and all that decided about each address

For a list by itself, this module finds the entries that cover the address, or the nearest ones.  For a key, the engine
decides, and `advice.explain` gives the words.

    _Subject   the file that is asked about a key: its kind and its path; it is read after all arguments were checked
"""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Final, NoReturn

import typer

from .._core import AllowList, Entry, format_address, parse_prefix
from .._keys import Decision
from ..advice.explain import explain as explain_check
from ..engine.engine import Engine
from ..errors import quote
from ..files.documents import STDIN
from ..policy.presets import PRESETS
from ..policy.reach import range_of
from .addresses import Answer, answer_all
from .inputs import (
    Listed,
    QuietOption,
    SecretOption,
    load_config,
    load_list,
    open_snapshot,
    parse_address,
    quoted_label,
)
from .output import console, finish, lines_of, print_json, printable, say
from .reading import PLAIN, Reading, reads_lists

__all__ = ["check", "explain"]

_OPEN_PRESETS = ", ".join(name for name, preset in PRESETS.items() if preset().empty_is_open)
_EMPTY = f"no entries: a list by itself allows nobody, but on a key it lets every address pass ({_OPEN_PRESETS})"
"""The warning about an empty list, if no policy is asked."""
_KEPT: Final = 1 << 16
"""The texts of so many entries are kept while many addresses are answered."""

SubjectArgument = Annotated[
    str, typer.Argument(metavar="LIST|KEY", help="A list, as a file or -; with --config the id of a key.")
]
ConfigOption = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Ask this configuration about a key: .toml or .json; - is stdin."),
]
SnapshotOption = Annotated[
    str | None, typer.Option("--snapshot", metavar="SNAP", help="Ask this snapshot about a key.")
]


AddressesOption = Annotated[
    str | None, typer.Option("--addresses", metavar="FILE", help="Ask about each line of this file; - is stdin.")
]
ManyJsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; with addresses from a file one for each, a line each.")
]


@reads_lists()
def check(
    source: SubjectArgument,
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ADDRESS", help="Client addresses; - reads them from stdin.")
    ] = None,
    addresses_file: AddressesOption = None,
    config: ConfigOption = None,
    snapshot: SnapshotOption = None,
    id_secret_file: SecretOption = None,
    reading: Reading = PLAIN,
    quiet: QuietOption = False,
    as_json: ManyJsonOption = False,
) -> None:
    """Say whether addresses may pass, or use a key."""
    many = _file_of_addresses(addresses or [], addresses_file)
    asked = [(address, parse_address(address)) for address in addresses or []] if many is None else []
    if config is not None or snapshot is not None:
        subject = _subject(config, snapshot, reading, id_secret_file)
        _refuse_stdin_twice(subject.path, many)
        if many is not None:
            answer_all(many, _answer_of_key(subject.load(as_json), source, as_json), quiet=quiet)
        _check_key(subject, source, asked, as_json, quiet)
    _refuse_stdin_twice(source, many)
    listed = load_list(source, reading, as_json)
    if many is not None:
        _warn_if_empty(listed)
        answer_all(many, _answer_of_list(listed, as_json), quiet=quiet)
    _check_list(listed, asked, as_json, quiet)


@reads_lists()
def explain(
    source: SubjectArgument,
    address: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="A client address; - reads many from stdin.")
    ] = None,
    addresses_file: AddressesOption = None,
    config: ConfigOption = None,
    snapshot: SnapshotOption = None,
    id_secret_file: SecretOption = None,
    reading: Reading = PLAIN,
    as_json: ManyJsonOption = False,
) -> None:
    """Say which entries decide, or what is near."""
    many = _file_of_addresses([] if address is None else [address], addresses_file)
    given = "" if address is None else address
    canonical = parse_address(given) if many is None else ""
    explained: Callable[[str, str], _Explained]
    if config is not None or snapshot is not None:
        subject = _subject(config, snapshot, reading, id_secret_file)
        _refuse_stdin_twice(subject.path, many)
        engine = subject.load(as_json)
        explained = partial(_explain_key, subject, engine, source)
    else:
        _refuse_stdin_twice(source, many)
        explained = partial(_explain_list, load_list(source, reading, as_json))
    if many is not None:
        answer_all(many, partial(_explain_many, explained, as_json))
    found = explained(given, canonical)
    if as_json:
        print_json(**found.facts)
    else:
        out = console(sys.stdout)
        for verdict, rest in found.lines:
            say(out, verdict, rest)
    finish(0 if found.allowed else 1)


def _file_of_addresses(addresses: list[str], addresses_file: str | None) -> str | None:
    """Find the file that addresses come from; None if they are arguments."""
    if addresses_file is not None:
        if addresses:
            raise typer.BadParameter("addresses are arguments, or lines of a file (--addresses), not both")
        return addresses_file
    if not addresses:
        raise typer.BadParameter("name an address, or a file of them (--addresses)", param_hint="ADDRESS")
    if STDIN not in addresses:
        return None
    if len(addresses) > 1:
        raise typer.BadParameter("- stands for all lines of standard input, and stands alone", param_hint="ADDRESS")
    return STDIN


def _refuse_stdin_twice(source: str, many: str | None) -> None:
    if source == many == STDIN:
        raise typer.BadParameter("standard input can be read only once: one of the two is a file")


# -- A list -------------------------------------------------------------------


def _check_list(listed: Listed, asked: list[tuple[str, str]], as_json: bool, quiet: bool) -> NoReturn:
    """Answer `check` for a list; `asked` has pairs: an address as given, and its canonical text."""
    answers = [(given, address, listed.allow.match(address)) for given, address in asked]
    allowed = all(entry is not None for _, _, entry in answers)
    if quiet:
        finish(0 if allowed else 1)
    if as_json:
        print_json(
            list=listed.name,
            allowed=allowed,
            answers=[_facts(listed, given, address, entry) for given, address, entry in answers],
            warnings=[_EMPTY] if len(listed.allow) == 0 else [],
        )
    else:
        _warn_if_empty(listed)
        out = console(sys.stdout)
        width = max(len(address) for _, address in asked)
        for _, address, entry in answers:
            say(out, *_line_of(address, _why(listed, address, entry), allowed=entry is not None, width=width))
    finish(0 if allowed else 1)


def _warn_if_empty(listed: Listed) -> None:
    if len(listed.allow) == 0:
        say(console(sys.stderr), "warning", f": {_EMPTY}", place=f"{listed.name}: ")


def _facts(listed: Listed, given: str, address: str, entry: Entry | None) -> dict[str, object]:
    return {"given": given, "address": address, "allowed": entry is not None, "entry": listed.facts(entry)}


def _answer_of_list(listed: Listed, as_json: bool) -> Answer:
    """Give a function that answers many addresses of a list: a line each, as for a call with this address alone."""
    out = console(sys.stdout)
    allow = listed.allow

    @lru_cache(_KEPT)
    def why(number: int, family: str) -> str:
        entry = None if number < 0 else allow[number]
        return printable(_why(listed, family, entry), out.encoding)

    def answer(texts: list[str]) -> tuple[str, int]:
        numbers = allow.match_many(texts)
        denied = numbers.count(-1)
        addresses = [format_address(text) if ":" in text else text for text in texts]
        asked = zip(addresses, numbers, strict=True)
        if as_json:
            entries = [None if number < 0 else allow[number] for number in numbers]
            facts = map(partial(_facts, listed), texts, addresses, entries)
            return _json_lines(facts), len(texts) - denied
        if out.color_system is not None:
            told = [_line_of(a, why(n, _family(a)), allowed=n >= 0) for a, n in asked]
            return lines_of(out, [("", *line) for line in told]), len(texts) - denied
        lines = [
            f"denied   {address}  {why(-1, _family(address))}\n"
            if number < 0
            else f"allowed  {address}  {why(number, '')}\n"
            for address, number in asked
        ]
        return "".join(lines), len(texts) - denied

    return answer


def _json_lines(documents: Iterable[dict[str, object]]) -> str:
    """Write a JSON document a line, as `print_json` writes one."""
    return "".join(f"{json.dumps(document)}\n" for document in documents)


def _family(address: str) -> str:
    """An address of the same family: why no entry covers an address depends on nothing else."""
    return "::" if ":" in address else "192.0.2.0"


@dataclass(frozen=True)
class _Explained:
    """What `explain` says about one address."""

    allowed: bool
    lines: list[tuple[str, str]]
    facts: dict[str, object]


def _explain_many(explained: Callable[[str, str], _Explained], as_json: bool, texts: list[str]) -> tuple[str, int]:
    """Answer `explain` for many addresses; all are parsed before the first is explained."""
    asked = [(text, format_address(text)) for text in texts]
    found = [explained(given, address) for given, address in asked]
    if as_json:
        said = _json_lines(each.facts for each in found)
    else:
        out = console(sys.stdout)
        told = [line for each in found for line in each.lines]
        said = lines_of(out, [("", *line) for line in told])
    return said, sum(each.allowed for each in found)


def _explain_list(listed: Listed, given: str, address: str) -> _Explained:
    """Answer `explain` for a list; `address` is the canonical text of `given`."""
    matches = listed.allow.matches(address)
    entry = matches[0] if matches else None
    below, above = (None, None) if entry else _neighbours(listed.allow, address)
    lines = [_line_of(address, _why(listed, address, entry), allowed=entry is not None)]
    lines += [(f"  also by {listed.describe(broader)}", "") for broader in matches[1:]]
    for side, neighbour in (("below", below), ("above", above)):
        if neighbour is not None:
            lines.append((f"  nearest {side}: {listed.describe(neighbour)}", ""))
    facts = _facts(listed, given, address, entry) | {
        "broader": [listed.facts(broader) for broader in matches[1:]],
        "nearest": {"below": listed.facts(below), "above": listed.facts(above)},
    }
    return _Explained(entry is not None, lines, {"list": listed.name, **facts})


def _why(listed: Listed, address: str, entry: Entry | None) -> str:
    """Say which entry allows an address, or why the address is denied."""
    if entry is not None:
        return f"by {listed.describe(entry)}"
    if len(listed.allow) == 0:
        return "the list is empty, and an empty list allows nobody"
    family = parse_prefix(address).family
    if family not in (listed.allow[0].prefix.family, listed.allow[-1].prefix.family):  # IPv4 entries come first
        return f"the list has no IPv{family} entry"
    return "no entry covers it"


def _neighbours(allow: AllowList, address: str) -> tuple[Entry | None, Entry | None]:
    """Find the nearest entries on both sides of an address that no entry covers.

    They are the entry before the address that ends last, and the entry after it that begins first.
    """
    wanted = parse_prefix(address)
    family = [entry for entry in allow if entry.prefix.family == wanted.family]
    before = (entry for entry in family if entry.prefix < wanted)
    below = max(before, key=lambda entry: range_of(entry.prefix)[1], default=None)
    return below, next((entry for entry in family if entry.prefix > wanted), None)


# -- A key --------------------------------------------------------------------


@dataclass(frozen=True)
class _Subject:
    """The file that is asked about a key: a configuration, or a snapshot."""

    kind: str
    path: str
    secret_file: str | None = None

    def load(self, as_json: bool) -> Engine:
        """Load the file, or refuse it and end the call."""
        if self.kind == "config":
            return load_config(self.path, as_json)
        return open_snapshot(self.path, as_json, self.secret_file)


def _subject(config: str | None, snapshot: str | None, reading: Reading, secret_file: str | None) -> _Subject:
    """Find the file that is asked about a key; refuse options that do not fit together."""
    if reading != PLAIN:
        raise typer.BadParameter(
            "--format tells how LIST is written, as its like do; a configuration says it by its suffix"
        )
    if config is not None and snapshot is not None:
        raise typer.BadParameter("--config and --snapshot are two files; name one")
    if config is not None and secret_file is not None:
        raise typer.BadParameter("--id-secret-file belongs to a snapshot; the ids of a configuration are plain")
    return _Subject("config", config) if config is not None else _Subject("snapshot", snapshot or "", secret_file)


def _check_key(subject: _Subject, key: str, asked: list[tuple[str, str]], as_json: bool, quiet: bool) -> NoReturn:
    """Answer `check` for a key; `asked` has pairs: an address as given, and its canonical text."""
    engine = subject.load(as_json)
    decisions = [(given, engine.check(key, address)) for given, address in asked]
    allowed = all(decision.allowed for _, decision in decisions)
    if as_json and not quiet:
        answers = [_decision_facts(given, decision) for given, decision in decisions]
        print_json(**{subject.kind: subject.path}, key=key, allowed=allowed, answers=answers)
    elif not quiet:
        out = console(sys.stdout)
        width = max(len(address) for _, address in asked)
        for _, decision in decisions:
            say(out, *_line_of_decision(decision, width))
    finish(0 if allowed else 1)


def _answer_of_key(engine: Engine, key: str, as_json: bool) -> Answer:
    """Give a function that answers many addresses of a key: a line each, as for a call with this address alone."""
    out = console(sys.stdout)

    def answer(texts: list[str]) -> tuple[str, int]:
        addresses = list(map(format_address, texts))  # an engine denies junk, and this call tells it
        decisions = [engine.check(key, address) for address in addresses]
        allowed = sum(decision.allowed for decision in decisions)
        if as_json:
            facts = map(_decision_facts, texts, decisions)
            return _json_lines(facts), allowed
        return lines_of(out, [("", *_line_of_decision(each)) for each in decisions]), allowed

    return answer


def _decision_facts(given: str, decision: Decision) -> dict[str, object]:
    return {**decision.to_dict(), "given": given}


def _line_of_decision(decision: Decision, width: int = 0) -> tuple[str, str]:
    return _line_of(str(decision.address), _describe_decision(decision), allowed=decision.allowed, width=width)


def _describe_decision(decision: Decision) -> str:
    """Give the entry that decided; if no entry decided, the reason."""
    entry = decision.entry
    if entry is None:
        return decision.reason.text
    label = f" {quoted_label(entry)}" if entry.label is not None else ""
    where = "its own list" if decision.list_name is None else f"list {quote(decision.list_name)}"
    return f"by {decision.policy.canonical(entry.prefix)}{label} ({where})"


def _explain_key(subject: _Subject, engine: Engine, key: str, _given: str, address: str) -> _Explained:
    """Answer `explain` for a key."""
    explanation = explain_check(engine, key, address)
    verdict, _, rest = explanation.lines[0].partition(":")
    lines = [(verdict, f":{rest}"), *((line, "") for line in explanation.lines[1:])]
    return _Explained(explanation.decision.allowed, lines, {subject.kind: subject.path, **explanation.to_dict()})


# -- Both ---------------------------------------------------------------------


def _line_of(address: str, why: str, *, allowed: bool, width: int = 0) -> tuple[str, str]:
    """Say whether an address is allowed, and why: the verdict, and the rest of the line."""
    verdict, gap = ("allowed", "  ") if allowed else ("denied", "   ")
    return verdict, f"{gap}{address:{width}}  {why}"
