"""`cidrmatch feed`: take publishers' lists over, once, for cron and timers.

    cidrmatch feed pull                      all feeds of feeds.toml
    cidrmatch feed pull edge offices         two of them
    cidrmatch feed accept edge               take the list that the last look refused as too sudden
    cidrmatch feed status --json             how old is what is in force? what was refused? Nothing is fetched.

    exit status   0  unchanged or taken over        in `status`: in force, and what the publisher has
                  1  refused, or nothing to accept  in `status`: stale, or a newer list was refused
                  2  unreadable, unreachable, an output is behind, a wrong call

With several feeds, the exit status is the highest.  Names and labels come from publishers: they are printed escaped.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...cli.output import console, count, fail, finish, print_json, say
from ...errors import quote
from ...files.documents import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pulling import Pulled, Status
    from .settings import Feed

__all__ = ["feed"]

_ENVIRONMENT = "CIDRMATCH_FEEDS"
_MOST_SHOWN = 20
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

feed = typer.Typer(
    help="Take over lists that publishers keep, and say what changed.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
)  # fmt: skip

FileOption = Annotated[
    str, typer.Option("--feeds", envvar=_ENVIRONMENT, metavar="FILE", help="The feeds.", show_default=True)
]
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which feeds; by default all.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Which feed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@feed.command()
def pull(names: NamesArgument = None, feeds: FileOption = "feeds.toml", as_json: AsJson = False) -> None:
    """Look at the sources once; take over what nothing speaks against."""
    _work(feeds, names, as_json, _pull)


@feed.command()
def accept(name: NameArgument, feeds: FileOption = "feeds.toml", as_json: AsJson = False) -> None:
    """Take the list that the last look refused as too sudden, if the publisher still has it."""
    _work(feeds, [name], as_json, _accept)


@feed.command()
def status(names: NamesArgument = None, feeds: FileOption = "feeds.toml", as_json: AsJson = False) -> None:
    """Say what is in force, and how old it is; nothing is fetched."""
    _work(feeds, names, as_json, _status)


def _work(path: str, names: list[str] | None, as_json: bool, work: Callable[[Feed, bool], tuple[int, Any]]) -> None:
    """Do something with each feed, also if another one fails; end the call with the highest exit status."""
    from .configuration import read_feeds  # noqa: PLC0415  slow to import, and most calls of `cidrmatch` are others
    from .errors import FeedError  # noqa: PLC0415
    from .settings import FeedSettingsError  # noqa: PLC0415

    try:
        known = read_feeds(path)
    except (FeedSettingsError, DocumentError) as error:
        fail(str(error))
    for name in names or ():
        if name not in known:
            fail(f"{path} has no feed {quote(name)}; there are {', '.join(known)}")
    code, told = 0, []
    for name in names or known:
        try:
            done, facts = work(known[name], as_json)
        except FeedError as error:
            done, facts = 2, {"feed": name, "ok": False, "code": error.code, "reason": error.reason}
            if not as_json:
                say(console(sys.stderr), "error", f": {error.reason}", place=f"{name}: ")
        code = max(code, done)
        told.append(facts)
    if as_json:
        print_json(ok=code == 0, feeds=told)
    finish(code)


# -- Looks --------------------------------------------------------------------


def _pull(of: Feed, as_json: bool) -> tuple[int, Any]:
    from .pulling import Puller  # noqa: PLC0415  as above

    return _tell(Puller(of).pull(), as_json)


def _accept(of: Feed, as_json: bool) -> tuple[int, Any]:
    from .pulling import Puller  # noqa: PLC0415

    puller = Puller(of)
    refused = puller.status().kept.refused
    if refused is None or refused.code != "sudden":
        why = "nothing was refused" if refused is None else f"{refused.reason}; this is never accepted"
        if not as_json:
            say(console(sys.stderr), "refused", f": there is nothing to accept: {why}", place=f"{of.name}: ")
        return 1, {"feed": of.name, "ok": False, "code": "nothing_to_accept", "reason": why}
    return _tell(puller.pull(accept=True), as_json)


def _tell(pulled: Pulled, as_json: bool) -> tuple[int, Any]:
    if not as_json:
        _say_pulled(pulled)
    return pulled.exit_status, _facts_of_pulled(pulled)


def _facts_of_pulled(pulled: Pulled) -> dict[str, Any]:
    from .events import changes_of  # noqa: PLC0415

    changes = None if pulled.changes is None else changes_of(pulled.changes)
    said = {"outcome": pulled.outcome, "code": pulled.code, "reason": pulled.reason, "changes": changes}
    return {"feed": pulled.status.feed.name, "ok": pulled.exit_status == 0} | said | _facts_of(pulled.status)


def _say_pulled(pulled: Pulled) -> None:
    place, out = f"{pulled.status.feed.name}: ", console(sys.stdout)
    if pulled.outcome == "unchanged":
        say(out, "accepted", f": unchanged, {_sizes(pulled.status)}", place=place)
    elif pulled.outcome == "changed":
        say(out, "accepted", f": taken over, {_sizes(pulled.status)}", place=place)
    if pulled.changes is not None:
        _say_changes(pulled)
    if pulled.outcome in ("refused", "unreachable"):
        word = "refused" if pulled.outcome == "refused" else "error"
        say(console(sys.stderr), word, f": {pulled.reason}", place=place)
        say(console(sys.stderr), "warning", f": {_what_serves(pulled.status)}", place=place)
        if pulled.code == "sudden":
            say(console(sys.stderr), "warning", f": `cidrmatch feed accept {place[:-2]}` takes it", place=place)
    for what in pulled.status.kept.undelivered:
        say(console(sys.stderr), "error", f": an output is behind: {what}", place=place)


def _say_changes(pulled: Pulled) -> None:
    """Print who gets in and who is shut out, and which entries the publisher removed and added."""
    found, out = pulled.changes, console(sys.stdout)
    if found is None:
        return
    gets_in, goes = ("let in", "shut out") if pulled.status.feed.use == "allow" else ("shut out", "let in")
    lines = [("+", f"{prefix} {gets_in}") for prefix in found.gained]
    lines += [("-", f"{prefix} {goes}") for prefix in found.lost]
    lines += [("-", f"entry {entry.prefix} removed by the publisher{_label(entry.label)}") for entry in found.removed]
    lines += [("+", f"entry {entry.prefix} added{_label(entry.label)}") for entry in found.added]
    lines += [("~", f"entry {now.prefix}{_label(now.label)}, was{_label(was.label)}") for was, now in found.relabelled]
    for sign, line in lines[:_MOST_SHOWN]:
        say(out, sign, f" {line}", place="  ")
    if len(lines) > _MOST_SHOWN:
        say(out, "...", f" and {len(lines) - _MOST_SHOWN:,} more; --json has all", place="  ")


def _label(label: str | None) -> str:
    return " (no label)" if label is None else f' "{label}"'


# -- Status -------------------------------------------------------------------


def _status(of: Feed, as_json: bool) -> tuple[int, Any]:
    from .pulling import Puller  # noqa: PLC0415

    found = Puller(of).status()
    if not as_json:
        place, kept = f"{of.name}: ", found.kept
        word = "warning" if found.exit_status else "clean"
        say(console(sys.stdout), word, f": {_what_serves(found)}; {of.use} list from {of.shown_source}", place=place)
        for name, answer in found.hosts.items():
            age = shown_age(_age_of(answer.answered_at, found))
            say(console(sys.stdout), name, f": {', '.join(answer.addresses)}, answered {age} ago", place="  ")
        for what, trouble in (("refused", kept.refused), ("error", kept.failed)):
            if trouble is not None:
                say(console(sys.stdout), what, f": {trouble.reason}", place="  ")
        for target in kept.undelivered:
            say(console(sys.stdout), "error", f": an output is behind: {target}", place="  ")
    return found.exit_status, {"feed": of.name, "ok": found.exit_status == 0} | _facts_of(found)


def _age_of(moment: float, found: Status) -> float:
    return found.age + found.kept.confirmed_at - moment


def _what_serves(found: Status) -> str:
    """Say what is in force now, and why."""
    if found.kept.allow is None:
        return "there is no good list yet"
    stands = f"the last good list serves, {_sizes(found)}, {shown_age(found.age)} old"
    if not found.is_stale:
        return stands
    if found.feed.hosts is not None:
        missing = [name for name in found.feed.hosts.names if name not in found.hosts]
        return f"{stands}; stale: {', '.join(missing) or 'an answer'} is too old"
    end = "it stays in force" if found.feed.keeps_stale else "nobody passes by it"
    return f"the last good list is stale, {shown_age(found.age)} old: {end}"


def shown_age(seconds: float) -> str:
    """Write an age for people.

    >>> shown_age(93_784.0), shown_age(5.2)
    ('1d 2h', '5s')
    """
    if math.isinf(seconds):
        return "of unknown age"
    left = int(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2])


def _sizes(found: Status) -> str:
    parts = [
        f"{count(size.entries, 'entry', 'entries')} of IPv{family}"
        for family, size in found.sizes.items()
        if size.entries
    ]
    return " and ".join(parts) or "no entries"


def _facts_of(found: Status) -> dict[str, Any]:
    from .events import moment_of  # noqa: PLC0415

    kept = found.kept
    return {
        "use": found.feed.use,
        "source": found.feed.shown_source,
        "stale": found.is_stale,
        "age": None if math.isinf(found.age) else round(found.age, 3),
        "max_age": found.feed.max_age,
        "sizes": {
            str(family): {"entries": size.entries, "addresses": size.addresses} for family, size in found.sizes.items()
        },
        "looked_at": moment_of(kept.looked_at),
        "confirmed_at": moment_of(kept.confirmed_at),
        "changed_at": moment_of(kept.changed_at),
        "etag": kept.etag,
        "sha256": kept.sha256,
        "digest": kept.digest,
        "refused": None if kept.refused is None else {"code": kept.refused.code, "reason": kept.refused.reason},
        "failed": None if kept.failed is None else {"code": kept.failed.code, "reason": kept.failed.reason},
        "undelivered": list(kept.undelivered),
        "hosts": {
            name: {"addresses": list(answer.addresses), "answered_at": moment_of(answer.answered_at)}
            for name, answer in found.hosts.items()
        },
    }
