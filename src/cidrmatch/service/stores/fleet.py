"""The commands of a fleet: machines that reach no database take their data from a bucket, and somebody looks after all.

    cidrmatch store follow --snapshot keys.snap --put s3://bucket/keys.json     where the database is
    cidrmatch take s3://bucket/keys.json --snapshot keys.snap                   on each machine at the edge
    cidrmatch fleet --url postgresql://user@host/name                           who answers by which revision?

`take` needs no database and none of its libraries.  It reports to nobody: `fleet` shows the processes that reach the
store.  carrying.py does the work.

    exit status   0  done, nobody lags     1  not taken, somebody lags     2  a wrong call, no store

Threads: the work runs in one thread, so that a signal ends the program also while a file system hangs.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...cli.output import console, count, fail, finish, print_json, say
from .calls import Call, asking

if TYPE_CHECKING:
    from ..._keys import Revision
    from .carrying import Putter
    from .reporting import Reader
    from .shipping import Shelf
    from .store import Data

__all__ = ["fleet", "putting", "shelf_of", "take", "told_to_stop"]

_STOP_SECONDS = 5.0
_WAITS = {"s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 1}}}}
"""Bounds of the waits of file systems, unless their own settings say others; botocore waits for minutes."""


def shelf_of(url: str) -> "Shelf":
    """Make the shelf of a URL; end the call if it is none, or if the extra is missing (exit 2)."""
    try:
        from fsspec.config import conf  # noqa: PLC0415  an extra

        from .errors import StoreError  # noqa: PLC0415
        from .shipping import Shelf  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "fsspec":
            raise
        fail("snapshots in a bucket need their extra: pip install 'cidrmatch[fleet]'")
    protocol = url.partition("://")[0]
    known = conf.get(protocol, {})
    options: dict[str, Any] = {name: value for name, value in _WAITS.get(protocol, {}).items() if name not in known}
    try:
        return Shelf(url, **options)
    except StoreError as error:
        fail(str(error))


def told_to_stop(*calls: Callable[[], object]) -> threading.Event:
    """Give an event that SIGTERM and SIGINT set; they make these calls, too.  Warnings go to standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    is_over = threading.Event()

    def stop(*_: object) -> None:
        is_over.set()
        for call in calls:
            call()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return is_over


@contextmanager
def putting(putter: "Putter | None", is_over: threading.Event) -> Iterator[None]:
    """Let a putter work beside the block, in a thread of its own; afterwards it is waited for, for a while."""
    if putter is None:
        yield
        return
    thread = threading.Thread(target=putter.run, args=(is_over,), name="cidrmatch-put", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        putter.hurry()
        thread.join(_STOP_SECONDS)


# -- take ---------------------------------------------------------------------


def take(
    url: Annotated[str, typer.Argument(metavar="URL", help="The pointer, such as s3://bucket/keys.json.")],
    snapshot: Annotated[str, typer.Option(metavar="SNAP", help="The file that workers map.")],
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two looks at most.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
) -> None:
    """Take the latest snapshot from a bucket, again and again, until SIGTERM or SIGINT."""
    shelf = shelf_of(url)  # first, because it tells what is missing
    from .carrying import Taker  # noqa: PLC0415  as above

    out = console(sys.stdout)

    def tell(revision: "Revision") -> None:
        say(out, "accepted", f": {snapshot} is at revision {revision.generation}")
        out.file.flush()

    is_over, taker = told_to_stop(), Taker(shelf, snapshot, tell)
    if once:
        finish(0 if taker.try_step() else 1)
    thread = threading.Thread(target=_take, args=(taker, is_over, every), name="cidrmatch-take", daemon=True)
    thread.start()
    is_over.wait()
    thread.join(_STOP_SECONDS)
    finish(0)


def _take(taker: Any, is_over: threading.Event, every: float) -> None:
    taker.try_step()
    taker.run(is_over, every)


# -- fleet --------------------------------------------------------------------


@asking
def fleet(
    call: Call,
    max_age: Annotated[float, typer.Option("--max-age", min=1, metavar="SECONDS", help="More is too late.")] = 15.0,
) -> None:
    """Say who answers by which revision, how far behind, and when last seen; exit 1 if somebody is late."""
    with call.store.reading() as data:
        revision, now = data.revision, call.store.now()
        rows = [_facts_of(each, data, now, max_age) for each in data.readers()]
    late = sum(row["late"] is not None for row in rows)
    if call.as_json:
        print_json(ok=bool(rows) and not late, revision=revision.generation, epoch=f"{revision.epoch:x}", readers=rows)
    else:
        _say_rows(rows, f"the store is at revision {revision.generation}", late)
    finish(1 if late or not rows else 0)


def _facts_of(reader: "Reader", data: "Data", now: datetime, max_age: float) -> dict[str, Any]:
    """Tell of a reader as plain values; `late` says why it is, or is None."""
    seen = max(0.0, (now - datetime.fromisoformat(reader.seen_at)).total_seconds())
    behind = _seconds_behind(reader, data, now)
    late: str | None
    if reader.lag is None:
        late = "another history"
    elif behind > max_age:
        late = "lags"
    else:
        late = "not seen" if seen > max_age else None
    facts = {"name": reader.name, "epoch": f"{reader.revision.epoch:x}", "revision": reader.revision.generation}
    return facts | {"lag": reader.lag, "behind": round(behind, 1), "seen": round(seen, 1), "late": late}


def _seconds_behind(reader: "Reader", data: "Data", now: datetime) -> float:
    """Count the seconds since the first commit that a reader does not have."""
    if reader.lag is None or reader.lag <= 0:
        return 0.0
    missing = data.history(before=reader.revision.generation + 2, limit=1)
    return max(0.0, (now - datetime.fromisoformat(missing[0].at)).total_seconds()) if missing else 0.0


def _say_rows(rows: list[dict[str, Any]], title: str, late: int) -> None:
    out = console(sys.stdout)
    say(out, title)
    say(out, f"{'revision':<10}{'behind':<24}{'seen':<12}name")
    for row in rows:
        said = f"{row['revision']:<10}{_behind(row):<24}{row['seen']:>5,.0f} s ago  {row['name']}"
        say(out, said, "" if row["late"] is None else f"   late: {row['late']}")
    if not rows:
        say(out, "suspicious", ": nobody reports that it follows this store")
    elif late:
        say(out, "suspicious", f": {count(late, 'reader is', 'readers are')} late")
    else:
        say(out, "clean", f": {count(len(rows), 'reader')}, nobody is late")


def _behind(row: dict[str, Any]) -> str:
    if row["lag"] is None:
        return "another history"
    return f"{row['lag']:,} since {row['behind']:,.0f} s" if row["lag"] > 0 else "-"
