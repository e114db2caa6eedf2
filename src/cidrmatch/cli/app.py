"""The command `cidrmatch`.

    cidrmatch validate  LIST --preset bitbybit    does this product take the list, and if not, why not?
    cidrmatch check     LIST ADDRESS...           may these addresses pass?
    cidrmatch explain   LIST ADDRESS              which entry says so, or what is nearest
    cidrmatch aggregate LIST                      the fewest prefixes that mean the same addresses
    cidrmatch diff      OLD NEW                   who would get in, who would be shut out

    cidrmatch check     --config FILE KEY ADDRESS...   may these addresses use the key?
    cidrmatch explain   --config FILE KEY ADDRESS      what applies to the key, and what decided
    cidrmatch lint      --config FILE                  what looks like a mistake?
    cidrmatch schema                                   the JSON Schema of a configuration

    cidrmatch compile   FILE -o SNAP                   the same engine as a snapshot, for `Engine.open`
    cidrmatch inspect   SNAP                           what is in it
    cidrmatch verify    SNAP                           is every byte of it as it was written?
    cidrmatch check     --snapshot SNAP KEY ADDRESS... as with --config; so does explain

LIST is a file that `files` reads, or "-".  Only `validate` asks a policy;
the others apply the rules of text, and refuse a list with one bad entry whole.
FILE is a whole engine as `config` reads it, judged by the policy that it names.

    exit status   0  allowed, accepted, no difference, no warning
                  1  denied, refused, different, a warning of lint, a damaged snapshot
                  2  a wrong call, a file that cannot be read, an argument that is no address
    stdout        the answer: lines for people, or with --json one document and nothing else
    stderr        everything else: why the call failed, why a list is refused, progress

Lists and labels come from strangers, so one wall stands before the terminal:
whatever people read goes through `_say`, which escapes control characters and
knows no markup.  JSON is ASCII.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, TypeVar

import typer
from rich.console import Console
from rich.progress import track
from rich.text import Text
from typer.core import TyperGroup

from .._core.address import format_address
from .._core.allow_list import AllowList
from .._core.prefix import Entry, Prefix, parse_entry, parse_prefix
from ..advice.compare import compare
from ..advice.explain import explain as explain_check
from ..advice.lint import OPEN
from ..advice.lint import lint as lint_engine
from ..engine.engine import Engine
from ..engine.ids import IdHash
from ..errors import InvalidAddress, InvalidPrefix, SnapshotError, quote
from ..files.config import ConfigError, ConfigProblem, load, schema
from ..files.lists import STDIN, Format, ListFile, ListFileError, read_list
from ..policy.policy import Policy, Problem, Severity
from ..policy.presets import PRESETS
from ..version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .._keys.check import Decision

__all__ = ["app"]

T = TypeVar("T")

_LONG_INPUT = 50_000
"""From how many entries on a progress bar is worth the eye's trouble."""

_OPEN_PRESETS = ", ".join(name for name, preset in PRESETS.items() if preset().empty_is_open)
_EMPTY = f"no entries: a list by itself allows nobody, but on a key it lets every address pass ({_OPEN_PRESETS})"
"""What is said of an empty list, where no policy is asked."""

_COLOURS = {
    "green": ("allowed", "accepted", "clean", "+"),
    "red": ("denied", "refused", "error", "-"),
    "yellow": ("warning", "suspicious", "~"),
}
_STYLES = {word: colour for colour, words in _COLOURS.items() for word in words}
"""The colour of a line's first word, where that is a verdict."""


class _Commands(TyperGroup):
    """Typer's group, with the arguments escaped that its messages repeat."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _escaped_message():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _escaped_message():
            return super().invoke(ctx)


@contextmanager
def _escaped_message() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = _printable(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    rich_markup_mode=None,  # plain help and plain usage errors; they say the same, and they pipe
    pretty_exceptions_enable=False,  # they would print the lists that the functions hold
)

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="A .txt, .csv, .json or .toml file; - is stdin.")]
SubjectArgument = Annotated[
    str, typer.Argument(metavar="LIST|KEY", help="A list, as a file or -; with --config the id of a key.")
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Ask this configuration (.toml or .json) about a key.")
]
SnapshotOption = Annotated[
    str | None, typer.Option("--snapshot", metavar="SNAP", help="Ask this snapshot about a key.")
]
SnapshotArgument = Annotated[str, typer.Argument(metavar="SNAP", help="A file that `compile` or an engine wrote.")]
SecretOption = Annotated[
    str | None,
    typer.Option("--id-secret-file", metavar="FILE", help="The bytes under which the snapshot's ids are hashed."),
]
FormatOption = Annotated[Format | None, typer.Option("--format", help="Read LIST as this, whatever its suffix.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"cidrmatch {__version__}\n")
        _finish(0)


@app.callback(
    invoke_without_command=True,
    epilog="Exit status: 0 allowed or clean, 1 denied, refused or suspicious, 2 wrong usage.",
)
def _describe(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  its callback answers
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """May this client address use this API key?"""
    if context.invoked_subcommand is None:
        sys.stderr.write(f"{context.get_help()}\n")
        _finish(2)


# -- The commands -------------------------------------------------------------


@app.command()
def validate(
    source: ListArgument,
    preset: Annotated[str | None, typer.Option(help=f"Whose rules: {', '.join(PRESETS)}. Without: no limits.")] = None,
    file_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a product takes the list, or why not."""
    policy = _find_policy(preset)
    listed = _read(source, file_format)
    report = policy.validate(_with_progress(listed.entries))
    if as_json:
        facts = report.to_dict()
        facts["errors"] = [_problem_facts(listed, problem) for problem in report.errors]
        facts["warnings"] = [_problem_facts(listed, problem) for problem in report.warnings]
        _print_json(list=listed.name, **facts)
    else:
        out = _console(sys.stdout)
        _say_problems(out, listed, report.problems)
        counts = [_count(len(report.errors), "error"), _count(len(report.warnings), "warning")]
        if report.ok:
            counts[0] = _count(len(report.accepted), "entry", "entries")
        _say(out, "accepted" if report.ok else "refused", f" under the policy {policy.name}: {', '.join(counts)}")
    _finish(0 if report.ok else 1)


@app.command()
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
    canonical = [_parse_address(address) for address in addresses]
    if config is not None or snapshot is not None:
        subject = _subject(config, snapshot, file_format, id_secret_file)
        _check_key(subject, source, list(zip(addresses, canonical, strict=True)), as_json)
    loaded = _load(source, file_format, as_json)
    answers = [(address, loaded.allow.match(address)) for address in canonical]
    allowed = all(entry is not None for _, entry in answers)
    warnings = [_EMPTY] if len(loaded.allow) == 0 else []
    if as_json:
        _print_json(
            list=loaded.name,
            allowed=allowed,
            answers=[
                {"given": given, "address": address, "allowed": entry is not None, "entry": loaded.facts(entry)}
                for given, (address, entry) in zip(addresses, answers, strict=True)
            ],
            warnings=warnings,
        )
    else:
        for warning in warnings:
            _say(_console(sys.stderr), "warning", f": {warning}", place=f"{loaded.name}: ")
        out = _console(sys.stdout)
        for address, entry in answers:
            loaded.say_answer(out, address, entry, width=max(map(len, canonical)))
    _finish(0 if allowed else 1)


@app.command()
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
    canonical = _parse_address(address)
    if config is not None or snapshot is not None:
        _explain_key(_subject(config, snapshot, file_format, id_secret_file), source, canonical, as_json)
    loaded = _load(source, file_format, as_json)
    matches = loaded.allow.matches(canonical)
    entry = matches[0] if matches else None
    below, above = (None, None) if entry else _neighbours(loaded.allow, canonical)
    if as_json:
        _print_json(
            list=loaded.name,
            given=address,
            address=canonical,
            allowed=entry is not None,
            entry=loaded.facts(entry),
            broader=[loaded.facts(broader) for broader in matches[1:]],
            nearest={"below": loaded.facts(below), "above": loaded.facts(above)},
        )
    else:
        out = _console(sys.stdout)
        loaded.say_answer(out, canonical, entry)
        for broader in matches[1:]:
            _say(out, f"  also by {loaded.describe(broader)}")
        for side, neighbour in (("below", below), ("above", above)):
            if neighbour is not None:
                _say(out, f"  nearest {side}: {loaded.describe(neighbour)}")
    _finish(0 if entry else 1)


@app.command()
def aggregate(source: ListArgument, file_format: FormatOption = None, as_json: JsonOption = False) -> None:
    """Print the fewest prefixes with the same addresses."""
    loaded = _load(source, file_format, as_json)
    prefixes = [str(prefix) for prefix in loaded.allow.aggregate()]
    if as_json:
        _print_json(list=loaded.name, prefixes=prefixes)
    else:
        sys.stdout.write("".join(f"{prefix}\n" for prefix in prefixes))
    _finish(0)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The list as it was.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The list as it would be.")],
    file_format: Annotated[Format | None, typer.Option("--format", help="Read both lists as this.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a change of the list lets in or shuts out."""
    if old == new == STDIN:
        raise typer.BadParameter("standard input can be read only once")
    before, after = (_load(source, file_format, as_json) for source in (old, new))
    found = compare(before.allow, after.allow)
    if as_json:
        _print_json(
            old=before.name,
            new=after.name,
            equal=found.is_equal,
            gained=[str(prefix) for prefix in found.gained],
            lost=[str(prefix) for prefix in found.lost],
            added=[after.facts(entry) for entry in found.added],
            removed=[before.facts(entry) for entry in found.removed],
            relabelled=[{"from": before.facts(was), "to": after.facts(now)} for was, now in found.relabelled],
        )
    else:
        out = _console(sys.stdout)
        addresses = [("+", str(prefix)) for prefix in found.gained] + [("-", str(prefix)) for prefix in found.lost]
        _say_changes(out, "addresses", addresses)
        entries = [("+", after.describe(entry)) for entry in found.added]
        entries += [("-", before.describe(entry)) for entry in found.removed]
        entries += [("~", f"{after.describe(now)}, was {_quoted_label(was)}") for was, now in found.relabelled]
        _say_changes(out, "entries", entries)
    _finish(0 if found.is_equal else 1)


@app.command()
def lint(
    config: Annotated[str, typer.Option("--config", metavar="FILE", help="A configuration, .toml or .json.")],
    as_json: JsonOption = False,
) -> None:
    """Say what looks like a mistake in a configuration.

    Advice alone is clean, exit 0; a warning is exit 1.
    """
    findings = lint_engine(_load_config(config, as_json, warn=lambda _problem: None))  # lint says the same itself
    warnings = [finding for finding in findings if finding.severity == "warning"]
    open_keys = {finding.name for finding in findings if finding.kind == "key" and finding.code in OPEN}
    if as_json:
        _print_json(
            config=config,
            clean=not warnings,
            open_keys=len(open_keys),
            findings=[finding.to_dict() for finding in findings],
        )
    else:
        out = _console(sys.stdout)
        for finding in findings:
            entry = "" if finding.entry is None else f"{finding.entry}: "
            place = f"{config}: {finding.kind} {quote(finding.name)}: "
            _say(out, finding.severity, f": {entry}{finding.message}", place=place)
        advice = f"{len(findings) - len(warnings):,} of advice"
        if open_keys:
            advice += f"; {_count(len(open_keys), 'open key')}"
        _say(out, "clean" if not warnings else "suspicious", f": {_count(len(warnings), 'warning')}, {advice}")
    _finish(1 if warnings else 0)


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a configuration."""
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    _finish(0)


# -- A key of a configuration -------------------------------------------------


@dataclass(frozen=True)
class _Subject:
    """The file that is asked about a key: a configuration, or a snapshot."""

    kind: str
    path: str
    secret_file: str | None = None

    def load(self, as_json: bool) -> Engine:
        """Load it, or refuse it."""
        if self.kind == "config":
            return _load_config(self.path, as_json)
        return _open_snapshot(self.path, as_json, self.secret_file)


def _subject(config: str | None, snapshot: str | None, file_format: Format | None, secret_file: str | None) -> _Subject:
    if file_format is not None:
        raise typer.BadParameter("--format tells how LIST is written; a configuration says it by its suffix")
    if config is not None and snapshot is not None:
        raise typer.BadParameter("--config and --snapshot are two files; name one")
    if config is not None and secret_file is not None:
        raise typer.BadParameter("--id-secret-file belongs to a snapshot; the ids of a configuration are plain")
    return _Subject("config", config) if config is not None else _Subject("snapshot", snapshot or "", secret_file)


def _check_key(subject: _Subject, key: str, addresses: list[tuple[str, str]], as_json: bool) -> NoReturn:
    """Answer `check` for a key; addresses: what was given, and the same in canonical text."""
    engine = subject.load(as_json)
    decisions = [(given, engine.check(key, address)) for given, address in addresses]
    allowed = all(decision.allowed for _, decision in decisions)
    if as_json:
        answers = [{**decision.to_dict(), "given": given} for given, decision in decisions]
        _print_json(**{subject.kind: subject.path}, key=key, allowed=allowed, answers=answers)
    else:
        out = _console(sys.stdout)
        width = max(len(address) for _, address in addresses)
        for _, decision in decisions:
            verdict, gap = ("allowed", "  ") if decision.allowed else ("denied", "   ")
            _say(out, verdict, f"{gap}{decision.address:{width}}  {_describe_decision(decision)}")
    _finish(0 if allowed else 1)


def _explain_key(subject: _Subject, key: str, address: str, as_json: bool) -> NoReturn:
    """Answer `explain` for a key."""
    explanation = explain_check(subject.load(as_json), key, address)
    if as_json:
        _print_json(**{subject.kind: subject.path}, **explanation.to_dict())
    else:
        out = _console(sys.stdout)
        verdict, _, rest = explanation.lines[0].partition(":")
        _say(out, verdict, f":{rest}")
        for line in explanation.lines[1:]:
            _say(out, line)
    _finish(0 if explanation.decision.allowed else 1)


def _describe_decision(decision: Decision) -> str:
    """Give the reason of a decision, and the entry where one decided."""
    entry = decision.entry
    if entry is None:
        return decision.reason.text
    label = f" {_quoted_label(entry)}" if entry.label is not None else ""
    where = "its own list" if decision.list_name is None else f"list {quote(decision.list_name)}"
    return f"by {decision.policy.canonical(entry.prefix)}{label} ({where})"


def _warn_of(problem: ConfigProblem) -> None:
    """Say what a configuration may hold, and still opens a key."""
    _say(_console(sys.stderr), "warning", f": {problem.reason}", place=f"{problem.place}: ")


def _load_config(
    config: str,
    as_json: bool,
    *,
    warn: Callable[[ConfigProblem], None] = _warn_of,
    secret: bytes | None = None,
) -> Engine:
    """Load a configuration, or refuse it with all that is wrong (exit 1; 2 if it cannot be read at all)."""
    try:
        return load(config, id_secret=secret, watch=_with_progress, warn=warn)
    except ModuleNotFoundError as error:
        _fail(str(error))
    except ConfigError as error:
        if error.is_unreadable:
            _fail(str(error))
        _refuse_config(config, error, as_json)


def _refuse_config(config: str, error: ConfigError, as_json: bool) -> NoReturn:
    """Say why a configuration cannot be used."""
    if as_json:
        errors = [{"at": problem.place, "message": problem.reason} for problem in error.problems]
        _print_json(config=config, ok=False, errors=errors)
    else:
        console = _console(sys.stderr)
        for problem in error.problems:
            _say(console, "error", f": {problem.reason}", place=f"{problem.place}: ")
        _say(console, "refused", f": {_count(len(error.problems), 'error')} in {config}; nothing of it is used")
    _finish(1)


# -- Snapshots ----------------------------------------------------------------


@app.command("compile")
def compile_snapshot(
    config: Annotated[str, typer.Argument(metavar="FILE", help="A configuration (.toml or .json).")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="SNAP", help="Where the snapshot goes.")],
    id_secret_file: SecretOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a configuration as a snapshot, later than the one that is there, which it replaces."""
    engine = _load_config(config, as_json, secret=_read_secret(id_secret_file))
    try:
        engine.save(output, replace=True)
        size = os.stat(output).st_size
    except OSError as error:
        _fail(f"{quote(output)}: {error.strerror or error}")
    keys, generation = sum(1 for _ in engine.view), _generation(engine)
    if as_json:
        _print_json(config=config, snapshot=output, generation=generation, keys=keys, bytes=size)
    else:
        counts = f"{_count(keys, 'key')}, {_count(size, 'byte')}, generation {generation}"
        _say(_console(sys.stdout), "accepted", f": {counts}")
    _finish(0)


def _generation(engine: Engine) -> int:
    """The generation of the file that an engine stands on."""
    return 0 if engine.revision is None else engine.revision.generation


@app.command()
def inspect(snapshot: SnapshotArgument, id_secret_file: SecretOption = None, as_json: JsonOption = False) -> None:
    """Say what is in a snapshot, by its header and its lists."""
    engine = _open_snapshot(snapshot, as_json, id_secret_file, verify=False)
    facts = {
        "epoch": 0 if engine.revision is None else engine.revision.epoch,
        "generation": _generation(engine),
        "bytes": os.stat(snapshot).st_size,
        "keys": _count_keys(engine),
        "policy": engine.policy.name,
        "enforced": engine.view.settings.is_enforced,
        "default": engine.default(),
        "lists": {name: len(frozen.entries) for name, frozen in engine.lists().items()},
    }
    if as_json:
        _print_json(snapshot=snapshot, **facts)
    else:
        out = _console(sys.stdout)
        for name, value in facts.items():
            if name != "lists":
                _say(out, f"{name:<12}{'none' if value is None else value}")
        for name, frozen in engine.lists().items():
            _say(out, f"list {quote(name)}: {_count(len(frozen.entries), 'entry', 'entries')}")
    _finish(0)


@app.command()
def verify(snapshot: SnapshotArgument, id_secret_file: SecretOption = None, as_json: JsonOption = False) -> None:
    """Say whether every byte of a snapshot is as it was written, and means something."""
    engine = _open_snapshot(snapshot, as_json, id_secret_file)
    keys = _count_keys(engine)
    if as_json:
        _print_json(snapshot=snapshot, ok=True, generation=_generation(engine), keys=keys)
    else:
        _say(_console(sys.stdout), "clean", f": {_count(keys, 'key')}, generation {_generation(engine)}")
    _finish(0)


def _read_secret(secret_file: str | None) -> bytes | None:
    """Read the secret of hashed ids: all bytes of a file, as they are."""
    if secret_file is None:
        return None
    try:
        secret = Path(secret_file).read_bytes()
        IdHash(secret)
    except OSError as error:
        _fail(f"{quote(secret_file)}: {error.strerror or error}")
    except ValueError as error:
        _fail(f"{quote(secret_file)}: {error}")
    return secret


def _open_snapshot(snapshot: str, as_json: bool, secret_file: str | None = None, *, verify: bool = True) -> Engine:
    """Open a snapshot, or refuse it (exit 1; 2 if it cannot be read at all)."""
    secret = _read_secret(secret_file)
    try:
        return Engine.open(snapshot, verify=verify, id_secret=secret)
    except OSError as error:
        _fail(f"{quote(snapshot)}: {error.strerror or error}")
    except SnapshotError as error:
        if as_json:
            _print_json(snapshot=snapshot, ok=False, error=str(error))
        else:
            _say(_console(sys.stderr), "refused", f": {error}")
        _finish(1)


def _count_keys(engine: Engine) -> int:
    """Count the keys of a snapshot, all of which are in its store."""
    store = engine.view.store
    return 0 if store is None else len(store)


# -- What the commands ask ----------------------------------------------------


def _neighbours(allow: AllowList, address: str) -> tuple[Entry | None, Entry | None]:
    """Find the entries that end last before an address that is not in, and begin first after it."""
    wanted = parse_prefix(address)
    family = [entry for entry in allow if entry.prefix.family == wanted.family]
    below = max((entry for entry in family if entry.prefix < wanted), key=_last_address, default=None)
    return below, next((entry for entry in family if entry.prefix > wanted), None)


def _last_address(entry: Entry) -> int:
    packed = entry.prefix.packed
    return int.from_bytes(packed, "big") | ((1 << (8 * len(packed) - entry.prefix.length)) - 1)


# -- Reading ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A list that the rules of text accept, and where each prefix of it stands."""

    name: str
    allow: AllowList
    places: dict[Prefix, str]

    def facts(self, entry: Entry | None) -> dict[str, str | None] | None:
        """Give an entry's facts for JSON."""
        if entry is None:
            return None
        return {"prefix": str(entry.prefix), "label": entry.label, "at": self.places[entry.prefix]}

    def describe(self, entry: Entry) -> str:
        """Give the same for people."""
        label = f" {_quoted_label(entry)}" if entry.label is not None else ""
        return f"{entry.prefix}{label} ({self.places[entry.prefix]})"

    def say_answer(self, console: Console, address: str, entry: Entry | None, width: int = 0) -> None:
        """Print the verdict on an address, and why."""
        reason = f"by {self.describe(entry)}" if entry else self.why_not(address)
        _say(console, "allowed" if entry else "denied", f"{'  ' if entry else '   '}{address:{width}}  {reason}")

    def why_not(self, address: str) -> str:
        """Say why an address is denied."""
        if len(self.allow) == 0:
            return "the list is empty, and an empty list allows nobody"
        family = parse_prefix(address).family
        if all(prefix.family != family for prefix in self.places):
            return f"the list has no IPv{family} entry"
        return "no entry covers it"


def _find_policy(preset: str | None) -> Policy:
    if preset is None:
        return Policy()
    if preset not in PRESETS:
        raise typer.BadParameter(f"{quote(preset)} is no preset; there are {', '.join(PRESETS)}")
    return PRESETS[preset]()


def _parse_address(address: str) -> str:
    """Take an address argument in its canonical text; a wrong one is a wrong call (exit 2)."""
    try:
        return format_address(address)
    except InvalidAddress as error:
        _fail(str(error))


def _read(source: str, file_format: Format | None) -> ListFile:
    try:
        return read_list(source, file_format)
    except ListFileError as error:
        _fail(str(error))


def _load(source: str, file_format: Format | None, as_json: bool) -> _Loaded:
    """Read a list under the rules of text alone, or refuse it with all that is wrong (exit 1)."""
    listed = _read(source, file_format)
    entries: list[Entry] = []
    places: dict[Prefix, str] = {}
    problems: list[Problem] = []
    for index, written in enumerate(_with_progress(listed.entries)):
        try:
            entry = parse_entry(written)
        except InvalidPrefix as error:
            problems.append(_problem(index, written[0], error))
        else:
            entries.append(entry)
            places.setdefault(entry.prefix, listed.place(index))
    if problems:
        _refuse(listed, problems, as_json)
    return _Loaded(listed.name, AllowList(entries), places)


def _problem(index: int, text: str, error: InvalidPrefix) -> Problem:
    hint = error.suggestion and f"did you mean {error.suggestion}?"
    return Problem(index, text, error.code, Severity.ERROR, f"{error.reason} (at position {error.position})", hint)


def _with_progress(entries: Sequence[T]) -> Iterable[T]:
    """Show a bar on the terminal while a long list is gone through."""
    if len(entries) <= _LONG_INPUT or sys.stderr is None or not sys.stderr.isatty():
        return entries
    return track(entries, "Reading the list", console=_console(sys.stderr), transient=True)


# -- Writing ------------------------------------------------------------------


def _fail(reason: str) -> NoReturn:
    """Say why a call cannot be answered."""
    _say(_console(sys.stderr), "error", f": {reason}")
    _finish(2)


def _refuse(listed: ListFile, problems: list[Problem], as_json: bool) -> NoReturn:
    """Say why a list cannot be used."""
    if as_json:
        _print_json(list=listed.name, ok=False, errors=[_problem_facts(listed, problem) for problem in problems])
    else:
        console = _console(sys.stderr)
        _say_problems(console, listed, problems)
        _say(console, "refused", f": {_count(len(problems), 'error')} in {listed.name}; nothing of the list is used")
    _finish(1)


def _say_problems(console: Console, listed: ListFile, problems: Iterable[Problem]) -> None:
    for problem in problems:
        text = "" if problem.index is None else f"{quote(problem.text)}: "
        hint = f"; {problem.hint}" if problem.hint else ""
        _say(console, problem.severity, f": {text}{problem.message}{hint}", place=f"{_place(listed, problem)}: ")


def _say_changes(console: Console, noun: str, changes: list[tuple[str, str]]) -> None:
    _say(console, noun, "" if changes else ": the same")
    for sign, change in changes:
        _say(console, sign, f" {change}", place="  ")


def _say(console: Console, first: str, rest: str = "", *, place: str = "") -> None:
    """Print one line for people: nothing in it is markup, and no control character gets through.

    The first word has its colour; a place may stand before it.
    """
    before, word, after = (_printable(text, console.encoding) for text in (place, first, rest))
    if console.color_system is None:  # rich would take 50 times as long, and a diff may have a million lines
        console.file.write(f"{before}{word}{after}\n")
    else:
        console.print(Text.assemble(before, (word, _STYLES.get(first, "")), after), soft_wrap=True)


def _printable(text: str, encoding: str = "ascii") -> str:
    r"""Escape what is no visible character (ESC, a newline, a right-to-left mark) or not in the encoding.

    >>> _printable("[red]B\u00fcro\x1b[2J", "utf-8")
    '[red]Büro\\x1b[2J'
    """
    if not text.isprintable():
        text = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def _quoted_label(entry: Entry) -> str:
    return "no label" if entry.label is None else f'"{entry.label}"'


def _count(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _place(listed: ListFile, problem: Problem) -> str:
    return listed.name if problem.index is None else listed.place(problem.index)


def _problem_facts(listed: ListFile, problem: Problem) -> dict[str, Any]:
    return problem.to_dict() | {"at": _place(listed, problem)}


def _console(stream: TextIO) -> Console:
    """A console that colours a terminal and nothing else, and not even that under NO_COLOR (no-color.org)."""
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    return Console(file=stream, color_system="auto" if coloured else None, no_color=not coloured, highlight=False)


def _print_json(**document: object) -> None:
    # One line: with an indent the encoder is ten times slower.  All but visible ASCII comes out escaped.
    sys.stdout.write(json.dumps(document) + "\n")


def _finish(status: int) -> NoReturn:
    """End the call after all of its output went out: a reader that went away is noticed here."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a process may be started without one
        stream.flush()
    raise typer.Exit(status)
