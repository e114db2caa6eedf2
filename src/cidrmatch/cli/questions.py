"""Commands that ask about an address: `check` and `explain`, of a list or of a key.

    check   LIST ADDRESS...                     a list by itself, with the place of the entry
    check   --config FILE KEY ADDRESS...        a key of a configuration
    check   --snapshot SNAP KEY ADDRESS...      a key of a snapshot
    explain                                     the same three, one address, and all that decided

For a list by itself, this module finds the entries that cover the address, or the nearest ones.  For a key, the engine
decides, and `advice.explain` gives the words.

    _Subject   the file that is asked about a key: its kind and its path; it is read after all arguments were checked
"""

import sys
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from .._core import AllowList, Entry, parse_prefix
from .._keys import Decision
from ..advice.explain import explain as explain_check
from ..engine.engine import Engine
from ..errors import quote
from ..files.lists import Format
from ..policy.presets import PRESETS
from ..policy.reach import range_of
from .inputs import (
    FormatOption,
    JsonOption,
    Listed,
    SecretOption,
    load_config,
    load_list,
    open_snapshot,
    parse_address,
    quoted_label,
)
from .output import console, finish, print_json, say

__all__ = ["check", "explain"]

_OPEN_PRESETS = ", ".join(name for name, preset in PRESETS.items() if preset().empty_is_open)
_EMPTY = f"no entries: a list by itself allows nobody, but on a key it lets every address pass ({_OPEN_PRESETS})"
"""The warning about an empty list, if no policy is asked."""

SubjectArgument = Annotated[
    str, typer.Argument(metavar="LIST|KEY", help="A list, as a file or -; with --config the id of a key.")
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Ask this configuration (.toml or .json) about a key.")
]
SnapshotOption = Annotated[
    str | None, typer.Option("--snapshot", metavar="SNAP", help="Ask this snapshot about a key.")
]


def check(
    source: SubjectArgument,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS", help="Client addresses.")],
    config: ConfigOption = None,
    snapshot: SnapshotOption = None,
    id_secret_file: SecretOption = None,
    file_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether addresses may pass, or use a key."""
    asked = [(address, parse_address(address)) for address in addresses]
    if config is not None or snapshot is not None:
        _check_key(_subject(config, snapshot, file_format, id_secret_file), source, asked, as_json)
    _check_list(load_list(source, file_format, as_json), asked, as_json)


def explain(
    source: SubjectArgument,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A client address.")],
    config: ConfigOption = None,
    snapshot: SnapshotOption = None,
    id_secret_file: SecretOption = None,
    file_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which entries decide, or what is near."""
    canonical = parse_address(address)
    if config is not None or snapshot is not None:
        _explain_key(_subject(config, snapshot, file_format, id_secret_file), source, canonical, as_json)
    _explain_list(load_list(source, file_format, as_json), address, canonical, as_json)


# -- A list -------------------------------------------------------------------


def _check_list(listed: Listed, asked: list[tuple[str, str]], as_json: bool) -> NoReturn:
    """Answer `check` for a list; `asked` has pairs: an address as given, and its canonical text."""
    answers = [(given, address, listed.allow.match(address)) for given, address in asked]
    allowed = all(entry is not None for _, _, entry in answers)
    warnings = [_EMPTY] if len(listed.allow) == 0 else []
    if as_json:
        print_json(
            list=listed.name,
            allowed=allowed,
            answers=[
                {"given": given, "address": address, "allowed": entry is not None, "entry": listed.facts(entry)}
                for given, address, entry in answers
            ],
            warnings=warnings,
        )
    else:
        for warning in warnings:
            say(console(sys.stderr), "warning", f": {warning}", place=f"{listed.name}: ")
        out = console(sys.stdout)
        width = max(len(address) for _, address in asked)
        for _, address, entry in answers:
            _say_answer(out, address, _why(listed, address, entry), allowed=entry is not None, width=width)
    finish(0 if allowed else 1)


def _explain_list(listed: Listed, given: str, address: str, as_json: bool) -> NoReturn:
    """Answer `explain` for a list; `address` is the canonical text of `given`."""
    matches = listed.allow.matches(address)
    entry = matches[0] if matches else None
    below, above = (None, None) if entry else _neighbours(listed.allow, address)
    if as_json:
        print_json(
            list=listed.name,
            given=given,
            address=address,
            allowed=entry is not None,
            entry=listed.facts(entry),
            broader=[listed.facts(broader) for broader in matches[1:]],
            nearest={"below": listed.facts(below), "above": listed.facts(above)},
        )
    else:
        out = console(sys.stdout)
        _say_answer(out, address, _why(listed, address, entry), allowed=entry is not None)
        for broader in matches[1:]:
            say(out, f"  also by {listed.describe(broader)}")
        for side, neighbour in (("below", below), ("above", above)):
            if neighbour is not None:
                say(out, f"  nearest {side}: {listed.describe(neighbour)}")
    finish(0 if entry else 1)


def _why(listed: Listed, address: str, entry: Entry | None) -> str:
    """Say which entry allows an address, or why the address is denied."""
    if entry is not None:
        return f"by {listed.describe(entry)}"
    if len(listed.allow) == 0:
        return "the list is empty, and an empty list allows nobody"
    family = parse_prefix(address).family
    if all(prefix.family != family for prefix in listed.places):
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


def _subject(config: str | None, snapshot: str | None, file_format: Format | None, secret_file: str | None) -> _Subject:
    """Find the file that is asked about a key; refuse options that do not fit together."""
    if file_format is not None:
        raise typer.BadParameter("--format tells how LIST is written; a configuration says it by its suffix")
    if config is not None and snapshot is not None:
        raise typer.BadParameter("--config and --snapshot are two files; name one")
    if config is not None and secret_file is not None:
        raise typer.BadParameter("--id-secret-file belongs to a snapshot; the ids of a configuration are plain")
    return _Subject("config", config) if config is not None else _Subject("snapshot", snapshot or "", secret_file)


def _check_key(subject: _Subject, key: str, asked: list[tuple[str, str]], as_json: bool) -> NoReturn:
    """Answer `check` for a key; `asked` has pairs: an address as given, and its canonical text."""
    engine = subject.load(as_json)
    decisions = [(given, engine.check(key, address)) for given, address in asked]
    allowed = all(decision.allowed for _, decision in decisions)
    if as_json:
        answers = [{**decision.to_dict(), "given": given} for given, decision in decisions]
        print_json(**{subject.kind: subject.path}, key=key, allowed=allowed, answers=answers)
    else:
        out = console(sys.stdout)
        width = max(len(address) for _, address in asked)
        for _, decision in decisions:
            why = _describe_decision(decision)
            _say_answer(out, str(decision.address), why, allowed=decision.allowed, width=width)
    finish(0 if allowed else 1)


def _describe_decision(decision: Decision) -> str:
    """Give the entry that decided; if no entry decided, the reason."""
    entry = decision.entry
    if entry is None:
        return decision.reason.text
    label = f" {quoted_label(entry)}" if entry.label is not None else ""
    where = "its own list" if decision.list_name is None else f"list {quote(decision.list_name)}"
    return f"by {decision.policy.canonical(entry.prefix)}{label} ({where})"


def _explain_key(subject: _Subject, key: str, address: str, as_json: bool) -> NoReturn:
    """Answer `explain` for a key."""
    explanation = explain_check(subject.load(as_json), key, address)
    if as_json:
        print_json(**{subject.kind: subject.path}, **explanation.to_dict())
    else:
        out = console(sys.stdout)
        verdict, _, rest = explanation.lines[0].partition(":")
        say(out, verdict, f":{rest}")
        for line in explanation.lines[1:]:
            say(out, line)
    finish(0 if explanation.decision.allowed else 1)


# -- Both ---------------------------------------------------------------------


def _say_answer(out: Console, address: str, why: str, *, allowed: bool, width: int = 0) -> None:
    """Print whether an address is allowed, and why."""
    verdict, gap = ("allowed", "  ") if allowed else ("denied", "   ")
    say(out, verdict, f"{gap}{address:{width}}  {why}")
