"""The arguments of a call become lists, engines and policies; or the call ends with the reason.

    argument on the command line    becomes                  or the call ends
    LIST, --format and its like     `ListFile`, `Listed`     exit 2 unreadable, exit 1 with every bad entry
    ADDRESS                         canonical text           exit 2
    --preset                        `Policy`                 exit 2
    --config FILE, or -             `Engine`                 exit 2 unreadable, exit 1 with every problem
    --snapshot SNAP                 `Engine`                 exit 2 unreadable, exit 1 damaged or no snapshot
    --id-secret-file FILE           bytes                    exit 2

These functions raise no error that a command has to handle.  If something is wrong, they print it and end the call.
No file is read before it is known that the arguments fit together.

Arguments and options of several commands are defined here, each once.  An option of only one command is defined in the
signature of the command.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TextIO

import typer

from .._core import AllowList, Entry, Prefix, PrefixLines, format_address, number_of, parse_entry
from ..engine.engine import Engine
from ..engine.ids import IdHash
from ..errors import InvalidAddress, InvalidPrefix, SnapshotError, quote
from ..files.config import ConfigError, ConfigProblem, load, loads
from ..files.documents import STDIN, DocumentError, name_of, place_in, read_bytes, read_text
from ..files.line_lists import LineFile, is_text, read_lines
from ..files.lists import ListFile, ListFileError
from ..files.spans import is_span
from ..policy.policy import Policy
from ..policy.presets import PRESETS
from ..policy.problems import Problem, Severity
from .output import console, count, fail, finish, lines_of, print_json, say, with_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .reading import Reading

__all__ = [
    "JsonOption",
    "ListArgument",
    "Listed",
    "PresetOption",
    "QuietOption",
    "SecretOption",
    "fail_of_file",
    "find_policy",
    "load_config",
    "load_list",
    "open_snapshot",
    "parse_address",
    "problem_facts",
    "quoted_label",
    "read_content",
    "read_entries",
    "read_file",
    "read_secret",
    "refuse_list",
    "say_problems",
]

_BLOCK: Final = 1_000
"""So many problems are printed in one write."""

ListArgument = Annotated[str, typer.Argument(metavar="LIST", help="A file, such as .txt, .csv or .json; - is stdin.")]
SecretOption = Annotated[
    str | None,
    typer.Option("--id-secret-file", metavar="FILE", help="The bytes under which the snapshot's ids are hashed."),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help=f"Whose rules: {', '.join(PRESETS)}. Without: no limits.",
        autocompletion=lambda incomplete: [name for name in PRESETS if name.startswith(incomplete)],
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no answer: the exit status says it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


# -- Lists --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """Hold a list that the rules of texts accept, and the place of each prefix in its file.

    Attributes:
        name: the file as the user named it.
        allow: the list.
        place: a function that gives for a prefix of the list the file and the line or position of its first entry.
    """

    name: str
    allow: AllowList
    place: Callable[[Prefix], str]

    def facts(self, entry: Entry | None) -> dict[str, str | None] | None:
        """Give the facts of an entry for JSON: prefix, label and place."""
        if entry is None:
            return None
        return {"prefix": str(entry.prefix), "label": entry.label, "at": self.place(entry.prefix)}

    def describe(self, entry: Entry) -> str:
        """Write the same facts for people."""
        label = f" {quoted_label(entry)}" if entry.label is not None else ""
        return f"{entry.prefix}{label} ({self.place(entry.prefix)})"


def quoted_label(entry: Entry) -> str:
    """Write an entry's label for people."""
    return "no label" if entry.label is None else f'"{entry.label}"'


def read_file(source: str, reading: Reading, content: bytes | None = None) -> ListFile:
    """Read a list as it is written; if it cannot be read, end the call (exit 2)."""
    try:
        return reading.read(source, content)
    except ListFileError as error:
        fail(str(error))


def read_content(source: str) -> bytes:
    """Read the bytes of a file or of standard input; if they cannot be read, end the call (exit 2)."""
    try:
        return read_bytes(source)
    except DocumentError as error:
        fail(str(error))


def load_list(source: str, reading: Reading, as_json: bool, file: ListFile | None = None) -> Listed:
    """Read a list by the rules of texts alone; if it is refused, print everything that is wrong (exit 1)."""
    found = read_entries(source, reading) if file is None else file
    if isinstance(found, LineFile):
        return _listed_lines(found.name, found.entries)
    return _listed_entries(found, as_json)


def read_entries(source: str, reading: Reading) -> ListFile | LineFile:
    """Read a list as it is written, in the short way if it has nothing but prefixes (exit 2 if it cannot be read)."""
    if reading.names_parts or not is_text(source, reading.file_format):
        return read_file(source, reading)
    content = read_content(source)
    lines = read_lines(content)
    return read_file(source, reading, content) if lines is None else LineFile(name_of(source), lines)


def _listed_lines(name: str, lines: PrefixLines) -> Listed:
    allow = lines.freeze()
    first_lines = cache(lambda: lines.first_lines(allow))  # many calls print no place

    def place(prefix: Prefix) -> str:
        number = number_of(allow, prefix)
        return place_in(name, None if number is None else first_lines()[number])

    return Listed(name, allow, place)


def _listed_entries(file: ListFile, as_json: bool) -> Listed:
    entries: list[Entry] = []
    places: dict[Prefix, str] = {}
    problems: list[Problem] = []
    for index, written in enumerate(with_progress(file.entries)):
        try:
            entry = parse_entry(written)
        except InvalidPrefix as error:
            problems.append(_problem_of(error, index, written[0]))
        else:
            entries.append(entry)
            places.setdefault(entry.prefix, file.place(index))
    if problems:
        refuse_list(file, problems, as_json)
    return Listed(file.name, AllowList(entries), places.__getitem__)


def _problem_of(error: InvalidPrefix, index: int, text: str) -> Problem:
    hint = error.suggestion and f"did you mean {error.suggestion}?"
    return Problem(index, text, error.code, Severity.ERROR, f"{error.reason} (at position {error.position})", hint)


def refuse_list(file: ListFile, problems: Iterable[Problem], as_json: bool) -> NoReturn:
    """Say why a list cannot be used, and end the call (exit 1)."""
    problems = [problem for problem in problems if problem.severity is Severity.ERROR]
    if as_json:
        print_json(list=file.name, ok=False, errors=[problem_facts(file, problem) for problem in problems])
    else:
        say_problems(sys.stderr, file, problems)
        spans = sum(is_span(problem.text) for problem in problems)
        if spans:
            entries = count(spans, "entry", "entries")
            say(console(sys.stderr), f"hint: of {entries} --split-ranges makes prefixes (replay: --list-split-ranges)")
        told = f": {count(len(problems), 'error')} in {file.name}; nothing of the list is used"
        say(console(sys.stderr), "refused", told)
    finish(1)


def say_problems(stream: TextIO, file: ListFile | LineFile, problems: Iterable[Problem], indent: str = "") -> None:
    """Print the problems of a list, each with its place."""
    out = console(stream)
    lines = ((f"{indent}{_place_of(problem, file)}: ", problem.severity, f": {problem.line}") for problem in problems)
    while block := list(islice(lines, _BLOCK)):
        stream.write(lines_of(out, block))


def problem_facts(file: ListFile | LineFile, problem: Problem) -> dict[str, Any]:
    """Give the facts of a problem for JSON, with its place."""
    return problem.to_dict() | {"at": _place_of(problem, file)}


def _place_of(problem: Problem, file: ListFile | LineFile) -> str:
    return file.name if problem.index is None else file.place(problem.index)


# -- Words --------------------------------------------------------------------


def parse_address(address: str) -> str:
    """Give the canonical text of an address; if it is no address, end the call (exit 2)."""
    try:
        return format_address(address)
    except InvalidAddress as error:
        fail(str(error))


def find_policy(preset: str | None) -> Policy:
    """Find a preset by its name; without a name, give a policy without limits."""
    if preset is None:
        return Policy()
    if preset not in PRESETS:
        raise typer.BadParameter(f"{quote(preset)} is no preset; there are {', '.join(PRESETS)}")
    return PRESETS[preset]()


# -- Engines ------------------------------------------------------------------


def _warn_of(problem: ConfigProblem) -> None:
    """Print a warning about something in a configuration that is allowed, but leaves a key open."""
    say(console(sys.stderr), "warning", f": {problem.reason}", place=f"{problem.place}: ")


def load_config(
    config: str,
    as_json: bool,
    *,
    warn: Callable[[ConfigProblem], None] = _warn_of,
    secret: bytes | None = None,
) -> Engine:
    """Load a configuration, or print everything that is wrong (exit 1; exit 2 if it cannot be read at all)."""
    try:
        if config == STDIN:
            return _load_stdin(warn, secret)
        return load(config, id_secret=secret, watch=with_progress, warn=warn)
    except ModuleNotFoundError as error:
        fail(str(error))
    except ConfigError as error:
        if error.is_unreadable:
            fail(str(error))
        _refuse_config(config, error, as_json)


def _load_stdin(warn: Callable[[ConfigProblem], None], secret: bytes | None) -> Engine:
    """Load a configuration from standard input: a JSON object begins with a brace, and no TOML document does."""
    try:
        text = read_text(STDIN)
    except DocumentError as error:
        fail(str(error))
    return loads(
        text,
        "json" if text.lstrip().startswith("{") else "toml",
        name=name_of(STDIN),
        id_secret=secret,
        watch=with_progress,
        warn=warn,
    )


def _refuse_config(config: str, error: ConfigError, as_json: bool) -> NoReturn:
    """Say why a configuration cannot be used."""
    if as_json:
        errors = [{"at": problem.place, "message": problem.reason} for problem in error.problems]
        print_json(config=config, ok=False, errors=errors)
    else:
        out = console(sys.stderr)
        for problem in error.problems:
            say(out, "error", f": {problem.reason}", place=f"{problem.place}: ")
        say(out, "refused", f": {count(len(error.problems), 'error')} in {config}; nothing of it is used")
    finish(1)


def open_snapshot(snapshot: str, as_json: bool, secret_file: str | None = None, *, verify: bool = True) -> Engine:
    """Open a snapshot, or print why it is refused (exit 1; exit 2 if it cannot be read at all)."""
    secret = read_secret(secret_file)
    try:
        return Engine.open(snapshot, verify=verify, id_secret=secret)
    except OSError as error:
        fail_of_file(snapshot, error)
    except SnapshotError as error:
        if as_json:
            print_json(snapshot=snapshot, ok=False, error=str(error))
        else:
            say(console(sys.stderr), "refused", f": {error}")
        finish(1)


def fail_of_file(path: str, error: OSError) -> NoReturn:
    """Say which file could not be read or written, and why (exit 2)."""
    fail(f"{quote(path)}: {error.strerror or error}")


def read_secret(secret_file: str | None) -> bytes | None:
    """Read the secret of hashed ids; it is all the bytes of the file, unchanged."""
    if secret_file is None:
        return None
    try:
        secret = Path(secret_file).read_bytes()
        IdHash(secret)
    except OSError as error:
        fail_of_file(secret_file, error)
    except ValueError as error:
        fail(f"{quote(secret_file)}: {error}")
    return secret
