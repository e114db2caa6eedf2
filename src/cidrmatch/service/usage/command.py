"""`cidrmatch usage`: the usage log, from the command line.

    cidrmatch usage list --blocked --since 2h --url sqlite:///usage.db     the newest first
    cidrmatch usage tail --key key_live_1                                  what comes from now on, until it is stopped
    cidrmatch usage export --status 403 -o blocked.csv                     all that match: .csv, .jsonl or .parquet
    cidrmatch usage top --by address --blocked --since 1d                  the most frequent

All four take the same filters, and all must hold.  A moment is ISO 8601 with a time zone, or how long ago: 90s, 15m, 2h
or 7d.  With --json, `list` and `tail` print a record a line, and `top` one document.

    exit status   0  done     2  no log, no answer, a wrong call

Texts of a log come from clients: they are printed escaped.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from ...cli.inputs import fail_of_file, load_list
from ...cli.output import console, count, fail, finish, print_json, say
from ...cli.reading import PLAIN
from ...errors import CidrmatchError, quote
from ..durations import seconds_in

if TYPE_CHECKING:
    from .filters import UsageFilter
    from .log import UsageLog
    from .record import UsageRecord

__all__ = ["usage"]

_ENVIRONMENT = "CIDRMATCH_USAGE"
_LOOK_EVERY = 0.25
_PAGE = 500
_By = Literal["key", "address", "reason", "hour", "method", "status", "path"]
_Format = Literal["csv", "jsonl", "parquet"]

usage = typer.Typer(
    help="Ask the usage log: which requests there were, and which were blocked.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
)  # fmt: skip

Url = Annotated[
    str | None,
    typer.Option("--url", envvar=_ENVIRONMENT, metavar="URL", help="Such as sqlite:///usage.db.", show_default=False),
]
Secret = Annotated[
    str | None,
    typer.Option("--mask-secret-file", metavar="FILE", help="The secret that the log hashes keys with; for --key."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyIs = Annotated[str | None, typer.Option("--key", metavar="KEY", help="The key's id.")]
Method = Annotated[list[str] | None, typer.Option("--method", help="Such as GET; may be given again.")]
Status = Annotated[list[int] | None, typer.Option("--status", help="Such as 403; may be given again.")]
Reason = Annotated[list[str] | None, typer.Option("--reason", help="Such as ip_not_listed; may be given again.")]
Blocked = Annotated[
    bool | None, typer.Option("--blocked/--passed", help="Ended before the application, or not.", show_default=False)
]
Since = Annotated[str | None, typer.Option("--since", metavar="MOMENT", help="From then on.")]
Until = Annotated[str | None, typer.Option("--until", metavar="MOMENT", help="Before then.")]
Within = Annotated[str | None, typer.Option("--within", metavar="PREFIX", help="Addresses in a prefix.")]
WithinList = Annotated[str | None, typer.Option("--within-list", metavar="LIST", help="Addresses in a file's list.")]
PathIs = Annotated[str | None, typer.Option("--path", help="The whole path.")]
PathPrefix = Annotated[str | None, typer.Option("--path-prefix", help="How the path begins.")]
RequestId = Annotated[str | None, typer.Option("--request-id", help="The request's id.")]

_FILTERS: dict[str, Any] = {
    "key": KeyIs, "method": Method, "status": Status, "reason": Reason, "blocked": Blocked, "since": Since,
    "until": Until, "within": Within, "within_list": WithinList, "path": PathIs, "path_prefix": PathPrefix,
    "request_id": RequestId,
}  # fmt: skip


@dataclass
class Call:
    """One call of a command: the log, which is open, and what is asked of it."""

    log: UsageLog
    wanted: UsageFilter


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the filters, and call it with a `Call` in the place of its first parameter."""

    def run(url: str | None, mask_secret_file: str | None, **given: Any) -> None:
        words = {name: given.pop(name) for name in _FILTERS}
        with _answering():
            wanted = _filter_of(words)
            log = _open(url, mask_secret_file)
            try:
                command(Call(log, wanted), **given)
            finally:
                log.close()

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    options = {**_FILTERS, "url": Url, "mask_secret_file": Secret}
    added = [
        inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=a) for n, a in options.items()
    ]
    kept = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    run.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*kept, *added)}
    run.__doc__ = command.__doc__
    return run


@contextmanager
def _answering() -> Iterator[None]:
    """Say what is wrong with a call, or with its log (exit 2)."""
    try:
        yield
    except ModuleNotFoundError as missing:
        extra = {"sqlalchemy": "sql", "psycopg": "sql", "pyarrow": "parquet", "fsspec": "parquet"}
        name = (missing.name or "").partition(".")[0]
        if name not in extra:
            raise
        fail(f"the usage log needs an extra for this: pip install 'cidrmatch[{extra[name]}]'")
    except (CidrmatchError, ValueError, TypeError) as error:
        fail(str(error))


def _open(url: str | None, secret_file: str | None) -> UsageLog:
    """Open the log of a call; a file that is not there is not made."""
    from .databases import SqliteDatabase, open_database  # noqa: PLC0415  an extra, and slow to import
    from .log import UsageLog  # noqa: PLC0415
    from .masks import Mask  # noqa: PLC0415

    if not url:
        fail(f"which log? Name it by --url, or by {_ENVIRONMENT} in the environment: sqlite:///usage.db")
    database = open_database(url)
    if isinstance(database, SqliteDatabase) and not Path(database.path).exists():
        fail(f"{quote(database.path)}: there is no such file")
    mask = None
    if secret_file is not None:
        try:
            mask = Mask(None, None, key="hash", secret=Path(secret_file).read_bytes())
        except OSError as error:
            fail_of_file(secret_file, error)
    return UsageLog(url, mask=mask)


def _filter_of(words: dict[str, Any]) -> UsageFilter:
    """Make the filter that the options say."""
    from .filters import UsageFilter  # noqa: PLC0415  as above

    chosen = words.pop("within_list")
    if chosen is not None and words["within"] is not None:
        fail("--within and --within-list: give one of the two")
    if chosen is not None:
        words["within"] = load_list(chosen, PLAIN, as_json=False).allow
    for name in ("since", "until"):
        words[name] = None if words[name] is None else moment_of(f"--{name}", words[name])
    for name in ("method", "status", "reason"):
        words[name] = words[name] or None
    return UsageFilter(**words)


def moment_of(option: str, text: str) -> float:
    """Read a moment: ISO 8601 with a zone, or how long ago; in seconds since 1970."""
    ago = seconds_in(text)
    if ago is not None:
        return time.time() - ago
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        fail(
            f"{option} is a moment with its zone, such as 2026-03-01T12:00:00Z, or 90s, 15m, 2h, 7d; not {quote(text)}"
        )
    return moment.timestamp()


# -- What is said of a record -------------------------------------------------


def _say(record: UsageRecord, *, as_json: bool) -> None:
    """Print a record in one line."""
    if as_json:
        sys.stdout.write(json.dumps(record.to_dict()) + "\n")
        return
    if record.lost is not None:
        rest = f": {count(record.lost, 'record')} lost within {record.seconds or 0:.1f} s ({record.reason})"
        say(console(sys.stdout), "warning", rest, place=f"{_written(record.time)}  ")
        return
    verdict = "denied" if record.blocked else "allowed"
    why = record.stopped_at or record.reason
    asked = " ".join(str(part) for part in (record.method, record.path, record.status) if part is not None)
    parts = (f"{why:16}", record.key or "-", record.address or record.problem or "-", asked, record.request_id or "")
    say(console(sys.stdout), verdict, f" {'  '.join(parts)}".rstrip(), place=f"{_written(record.time)}  ")


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


# -- Commands -----------------------------------------------------------------


@usage.command("list")
@asking
def list_records(
    call: Call,
    limit: Annotated[int, typer.Option(min=1, help="The most records.")] = 50,
    after: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="The last number of the page before.", show_default=False)
    ] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The other direction.")] = False,
    as_json: AsJson = False,
) -> None:
    """List records, the newest first."""
    for record in call.log.find(call.wanted, after=after, limit=limit, oldest_first=oldest_first):
        _say(record, as_json=as_json)
    finish(0)


@usage.command("tail")
@asking
def tail(
    call: Call,
    last: Annotated[int, typer.Option("-n", "--last", min=0, help="Begin with so many that are there.")] = 10,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many seconds.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> NoReturn:
    """Print records as they come, until it is stopped."""
    began = time.monotonic()
    newest = call.log.find(limit=1)
    after = newest[0].number if newest else 0
    for record in reversed(call.log.find(call.wanted, after=after + 1, limit=last) if last else []):
        _say(record, as_json=as_json)
    try:
        while seconds is None or time.monotonic() - began < seconds:
            page = call.log.find(call.wanted, after=after, limit=_PAGE, oldest_first=True)
            for record in page:
                _say(record, as_json=as_json)
            sys.stdout.flush()
            after = page[-1].number if page else after
            if len(page) < _PAGE:
                time.sleep(_LOOK_EVERY)
    except KeyboardInterrupt:
        pass
    finish(0)


@usage.command("export")
@asking
def export(
    call: Call,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="- is stdout.")] = "-",
    form: Annotated[
        _Format | None, typer.Option("--format", help="By default the suffix says it; - is csv.", show_default=False)
    ] = None,
) -> None:
    """Write all records that match, the oldest first: CSV, JSON Lines or Parquet."""
    chosen = form or _format_of(output)
    with _shown(call) as progress:
        pieces = call.log.export(call.wanted, chosen, progress=progress)
        if output == "-":
            for piece in pieces:
                sys.stdout.buffer.write(piece)
        else:
            _write(output, pieces)
    finish(0)


def _format_of(output: str) -> _Format:
    suffix = Path(output).suffix.lower().removeprefix(".")
    if output == "-" or suffix == "csv":
        return "csv"
    if suffix == "jsonl":
        return "jsonl"
    if suffix != "parquet":
        fail(f"{quote(output)}: say --format csv, jsonl or parquet")
    return "parquet"


def _write(output: str, pieces: Iterator[bytes]) -> None:
    """Write a file under another name first, so that nobody takes half of one for the whole."""
    draft = f"{output}.part"
    try:
        with open(draft, "wb") as file:
            file.writelines(pieces)
        os.replace(draft, output)
    except OSError as error:
        fail_of_file(output, error)
    finally:
        Path(draft).unlink(missing_ok=True)


@contextmanager
def _shown(call: Call) -> Iterator[Callable[[int], object] | None]:
    """Show on a terminal how far an export is."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress  # noqa: PLC0415  few calls show a bar

    with Progress(console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task("Exporting", total=call.log.count(call.wanted) or None)
        yield lambda done: bar.update(task, completed=done)


@usage.command("top")
@asking
def top(
    call: Call,
    by: Annotated[_By, typer.Option(help="What is counted.")] = "key",
    limit: Annotated[int, typer.Option(min=1, help="The most values.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Count requests by key, address, reason, hour, method, status or path; the most frequent first."""
    sums = call.log.sums(by, call.wanted, limit=None if by == "hour" else limit)[-limit if by == "hour" else None :]
    if as_json:
        print_json(
            ok=True,
            by=by,
            sums=[{"value": each.value, "requests": each.requests, "blocked": each.blocked} for each in sums],
        )
        finish(0)
    for each in sums:
        value = "-" if each.value is None else _written(int(each.value)) if by == "hour" else str(each.value)
        say(console(sys.stdout), f"{each.requests:>12,} ", f"{each.blocked:>12,} blocked  {value}")
    finish(0)
