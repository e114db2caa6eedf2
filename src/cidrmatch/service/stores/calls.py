"""What all commands of `cidrmatch store` share: their options, their store, the words of an error, the exit status.

    cidrmatch store key add key_1 203.0.113.7   --url ... --tenant main --json --actor anna --reason "..."
                    '-- the command's own --'   '-- options that `asking` and `changing` add to it ------'

    refused by a policy, a guard, an assertion     exit 1, each entry with its place
    no such key, list, commit                      exit 1
    no store, no answer, a wrong argument          exit 2

A command is a function whose first parameter is a `Call`.  It is run with its store open.  No library of databases is
imported before that, so that the other commands of `cidrmatch` do not wait for it.

Passwords of URLs are printed nowhere.
Threads: one call in a process.
"""

from __future__ import annotations

import dataclasses
import getpass
import inspect
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypedDict

import typer

from ...cli.inputs import SecretOption, parse_address, problem_facts, read_file, read_secret, say_problems
from ...cli.output import console, fail, finish, print_json, say
from ...errors import EngineError, InvalidAddress, InvalidPrefix, PolicyError, quote
from ...files.documents import DocumentError
from ...files.lists import ListFile

if TYPE_CHECKING:
    from ..._keys import Revision
    from ...cli.reading import Reading
    from ...policy.policy import Report
    from .change import StoreChange
    from .store import Store

__all__ = [
    "AsJson",
    "Call",
    "CallerOption",
    "EntriesArgument",
    "FileOption",
    "ForceOption",
    "LabelOption",
    "RevisionOption",
    "TenantOption",
    "UrlOption",
    "asking",
    "changing",
    "library",
    "moment_of",
    "shown_url",
    "url_of",
]

_ENVIRONMENT = "CIDRMATCH_STORE"


def _address_of(caller: str | None) -> str | None:
    return None if caller is None else parse_address(caller)


UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar=_ENVIRONMENT, metavar="URL", help="Such as sqlite:///keys.db.", show_default=False),
]
TenantOption = Annotated[str, typer.Option("--tenant", help="Whose keys.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ActorOption = Annotated[
    str | None, typer.Option("--actor", help="Who makes the change; by default the login name.", show_default=False)
]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why, for the history.")]

WaitOption = Annotated[
    float | None,
    typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long until all readers answer by the change."),
]

EntriesArgument = Annotated[list[str] | None, typer.Argument(metavar="ENTRY", help="Addresses and prefixes.")]
FileOption = Annotated[
    str | None,
    typer.Option("--file", metavar="LIST", help="Read entries from a file, such as .txt, .csv or .json; - is stdin."),
]
LabelOption = Annotated[str | None, typer.Option("--label", help="The label of all entries.")]
CallerOption = Annotated[
    str | None,
    typer.Option(
        "--caller",
        metavar="ADDRESS",
        callback=_address_of,
        help="Your address; a change that denies it is refused.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Make the change even if it denies --caller.")]
RevisionOption = Annotated[
    int | None,
    typer.Option("--if-revision", metavar="N", min=0, help="Refuse unless `show` says this revision; 0: none exists."),
]

_ASKING: dict[str, tuple[Any, Any]] = {
    "url": (UrlOption, None),
    "tenant": (TenantOption, "main"),
    "id_secret_file": (SecretOption, None),
}
_ASKING |= {"as_json": (AsJson, False)}
_CHANGING = _ASKING | {"actor": (ActorOption, None), "reason": (ReasonOption, None), "wait": (WaitOption, None)}

_READS_WITHIN = 15.0
"""Seconds; a reader that reported within them is waited for."""
_POLL_SECONDS = 0.1


class Said(TypedDict):
    """Hold what `Store.change` is told about who makes a change."""

    actor: str | None
    origin: str | None
    reason: str | None


@dataclass(slots=True)
class Call:
    """One call of a command.

    Attributes:
        store: open.
        as_json: whether to print one document.
        actor, reason: of a change.
        wait: seconds to wait for readers, or None.
        file: the entries of the call and their places, for messages; None before they were read.
    """

    store: Store
    as_json: bool
    actor: str | None = None
    reason: str | None = None
    wait: float | None = None
    file: ListFile | None = None

    # Entries.

    def entries(
        self, given: list[str] | None, file: str | None, reading: Reading, label: str | None
    ) -> Sequence[tuple[str, str | None]] | None:
        """Give the entries of the arguments or of a file; None if there are neither.  Ends the call if it cannot."""
        if given and file is not None:
            raise typer.BadParameter("entries come as arguments or by --file, not both")
        if file is not None:
            read = read_file(file, reading)
        elif given:
            read = ListFile("argument", tuple((text, None) for text in given), tuple(range(1, len(given) + 1)))
        else:
            return None
        if label is not None:
            read = ListFile(read.name, tuple((text, own or label) for text, own in read.entries), read.marks)
        self.file = read
        return read.entries

    def some_entries(
        self, given: list[str] | None, file: str | None, reading: Reading, label: str | None = None
    ) -> Sequence[tuple[str, str | None]]:
        """Give the entries as `entries` does; a call without any is wrong."""
        found = self.entries(given, file, reading, label)
        if found is None:
            raise typer.BadParameter("name entries, as arguments or by --file")
        return found

    # Changes.

    @contextmanager
    def change(self, operation: str, if_revision: Revision | None = None) -> Iterator[StoreChange]:
        """Make a commit as `Store.change` does, by who calls and from this machine."""
        with self.store.change(operation, **self.author(), if_revision=if_revision) as change:
            yield change

    def author(self) -> Said:
        """Say who makes a change, from where, and why."""
        return Said(actor=self.actor, origin=f"cidrmatch store on {platform.node()}", reason=self.reason)

    def tell(self, change: StoreChange, said: str, report: Report | None = None, **facts: object) -> NoReturn:
        """Say that a change was made: its warnings and the revision; end the call."""
        revision = change.revision
        number, epoch = (0, 0) if revision is None else (revision.generation, revision.epoch)
        late = [] if revision is None or self.wait is None else self._wait_for(revision, self.wait)
        if self.as_json:
            warnings = [] if report is None else [self._facts_of(problem) for problem in report.warnings]
            waited = {} if self.wait is None else {"late": late}
            print_json(ok=True, **facts, warnings=warnings, revision=number, epoch=f"{epoch:x}", **waited)
        else:
            if report is not None:
                self._say_problems(report.warnings)
            say(console(sys.stdout), "accepted", f": {said}; the store is at revision {number}")
            for name in late:
                say(console(sys.stderr), "warning", f": after {self.wait} seconds {quote(name)} answers by older data")
        finish(1 if late else 0)

    def _wait_for(self, revision: Revision, seconds: float) -> list[str]:
        """Wait until all readers that reported lately answer by a revision; name those that do not in time."""
        end = time.monotonic() + seconds
        while True:
            since = self.store.now() - timedelta(seconds=_READS_WITHIN)
            with self.store.reading() as data:
                found = [each for each in data.readers() if datetime.fromisoformat(each.seen_at) >= since]
            late = [each.name for each in found if each.revision < revision]
            if not late or time.monotonic() >= end:
                return late
            time.sleep(_POLL_SECONDS)

    def _say_problems(self, problems: Sequence[Any]) -> None:
        out = console(sys.stderr)
        for problem in problems:
            if (placed := self._placed(problem)) is not None:
                say_problems(sys.stderr, self._places, [placed])
            else:
                say(out, problem.severity, f": {problem.line if problem.text else problem.message}")

    def _facts_of(self, problem: Any) -> dict[str, Any]:
        placed = self._placed(problem)
        return problem.to_dict() if placed is None else problem_facts(self._places, placed)

    @property
    def _places(self) -> ListFile:
        return ListFile("", (), ()) if self.file is None else self.file

    def _placed(self, problem: Any) -> Any:
        """Give the problem with its entry's position in the call; None if it is not about an entry of the call.

        A report on a whole list counts the entries that the list had before, too.
        """
        texts = [text for text, _ in self._places.entries]
        if problem.index is None or problem.text not in texts:
            return None
        is_own = problem.index < len(texts) and texts[problem.index] == problem.text
        return problem if is_own else dataclasses.replace(problem, index=texts.index(problem.text))

    # Refusals.

    def refuse(self, error: Exception) -> NoReturn:
        """Say why nothing was changed, or why there is no answer; end the call (exit 1)."""
        problems = error.report.errors if isinstance(error, PolicyError) else ()
        if self.as_json:
            code = getattr(error, "code", type(error).__name__)
            said = [self._facts_of(problem) for problem in problems] or [{"code": code, "message": str(error)}]
            print_json(ok=False, errors=said)
        elif problems:
            self._say_problems(problems)
            say(console(sys.stderr), "refused", ": nothing was changed")
        else:
            say(console(sys.stderr), "refused", f": {self._place_of(error)}{error}")
        finish(1)

    def _place_of(self, error: Exception) -> str:
        index = getattr(error, "index", None)
        return "" if self.file is None or index is None else f"{self.file.place(index)}: "


# -- A command and its options ------------------------------------------------


def asking(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command that looks at a store: its first parameter is the `Call`, and it gets the shared options."""
    return _command(function, _ASKING)


def changing(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command that changes a store: it has --actor and --reason, too."""
    return _command(function, _CHANGING)


def _command(function: Callable[..., None], shared: dict[str, tuple[Any, Any]]) -> Callable[..., None]:
    own = list(inspect.signature(function).parameters.values())[1:]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in shared.items()
    ]

    def command(**values: Any) -> None:
        given = {name: values.pop(name) for name in shared}
        with _opened(given) as call:
            function(call, **values)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    command.__signature__ = inspect.Signature([*keyword_only, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    return command


@contextmanager
def _opened(given: dict[str, Any]) -> Iterator[Call]:
    """Open the store of a call, and turn what goes wrong into words and an exit status."""
    with library():
        from .errors import StoreError  # noqa: PLC0415  an extra, and slow to import
        from .store import Store  # noqa: PLC0415

    secret = read_secret(given["id_secret_file"])
    try:
        store = Store(url_of(given["url"]), given["tenant"], id_secret=secret)
    except (StoreError, ValueError) as error:
        fail(str(error))
    _check_there(store)
    call = Call(store, given["as_json"], given.get("actor") or _login(), given.get("reason"), given.get("wait"))
    try:
        yield call
    except (StoreError, InvalidAddress, DocumentError) as error:
        fail(str(error))
    except (EngineError, PolicyError, InvalidPrefix) as error:
        call.refuse(error)
    except ValueError as error:
        fail(str(error))
    finally:
        store.close()


@contextmanager
def library() -> Iterator[None]:
    """Say what to install if the extra is missing (exit 2)."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("sqlalchemy", "alembic", "psycopg"):
            raise
        fail("stores need their extra: pip install 'cidrmatch[sql]'")


def url_of(url: str | None) -> str:
    """Give the URL of the store; end the call if nobody named one."""
    if not url:
        fail(f"which store? Name it by --url, or by {_ENVIRONMENT} in the environment: sqlite:///keys.db")
    return url


def _check_there(store: Store) -> None:
    """End the call if the file of SQLite is not there; a connection would make an empty one."""
    path = store.database.url.database
    if store.database.kind == "sqlite" and path and path != ":memory:" and not Path(path).exists():
        fail(f"{quote(path)}: there is no such file; `cidrmatch store init` makes a store")


def shown_url(store: Store) -> str:
    """Write the URL of a store without its password."""
    return store.database.url.render_as_string(hide_password=True)


def _login() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user that the system does not know, in a container
        return None


def moment_of(text: str, option: str) -> datetime:
    """Read a moment with its time zone; end the call if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        fail(f"{option} is a moment with its zone, such as 2026-03-01T12:00:00Z, not {quote(text)}")
    return moment
