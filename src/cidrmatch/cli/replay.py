"""The command `replay`: a proposed list or configuration over the requests of access logs, before it is saved.

    cidrmatch replay access.log --list new.txt                                    who would be blocked by this list?
    cidrmatch replay access.log --list new.txt --before old.txt                   ... who would not have been before?
    cidrmatch replay access.log --config keys.toml --key key_1 --list new.txt     the list on a key of a configuration
    cidrmatch replay access.log --config new.toml --before-config old.toml --key-field user

    after     --list, --config, --snapshot; or a list on the key of a configuration or a snapshot
    before    --before, --before-config, --before-snapshot, --blocked-status; by default a configuration that gets a new
              list as it is, and otherwise: every request passed

Exit status: 0 nobody's answer changes, 1 somebody's does, 2 a wrong call, or a log that cannot be read.  A log of which
no line can be read is such a log.  So are logs of which no line names a key, or tells what was decided, where that is
needed: nothing is compared then.  Single lines that cannot be read are told on stderr; with --strict they are exit 2,
too.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast
from zoneinfo import ZoneInfo

import typer

from .._core import AllowList
from ..advice.replay import Change, Example, Judge, ReplayReport, proposed
from ..advice.replay import replay as replay_requests
from ..client import ClientStrategy, TrustedHops, TrustedProxies
from ..engine.engine import Engine, Transaction
from ..engine.recorded import RecordedBatch
from ..errors import CidrmatchError, PolicyError, UnknownName, quote
from ..files.access_logs import AccessLog, AccessLogError, LogOptions
from ..files.documents import STDIN
from ..files.lists import ListFile
from ..policy.presets import PRESETS
from .inputs import (
    JsonOption,
    SecretOption,
    find_policy,
    load_config,
    load_list,
    open_snapshot,
    read_file,
    refuse_list,
)
from .output import console, count, fail, finish, print_json, progress_of_bytes, say
from .reading import PLAIN, Reading, reads_lists

if TYPE_CHECKING:
    from ..policy.problems import Problem

__all__ = ["replay"]

_OPEN = "every request passed"
_TOLD_PROBLEMS = 5
"""How many lines that cannot be read are told to people; --json tells the first 20 of each log."""


@reads_lists("list-")
def replay(
    logs: Annotated[list[str], typer.Argument(metavar="LOG...", help="Access logs, plain, gzip or zstd; - is stdin.")],
    new_list: Annotated[str | None, typer.Option("--list", metavar="NEW", help="The proposed list.")] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The proposed configuration; with --list, what the list goes into."),
    ] = None,
    snapshot: Annotated[str | None, typer.Option(metavar="SNAP", help="The same, as a snapshot.")] = None,
    before: Annotated[str | None, typer.Option(metavar="OLD", help="The list as it was.")] = None,
    before_config: Annotated[str | None, typer.Option(metavar="FILE", help="The configuration as it was.")] = None,
    before_snapshot: Annotated[str | None, typer.Option(metavar="SNAP", help="The snapshot as it was.")] = None,
    blocked_status: Annotated[
        int | None, typer.Option(metavar="CODE", help="The log's status of a blocked request; others passed.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"Who must take the list: {', '.join(PRESETS)}.")] = None,
    reading: Reading = PLAIN,
    id_secret_file: SecretOption = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="All requests are of this key.")] = None,
    key_field: Annotated[str | None, typer.Option(metavar="FIELD", help="The log's field with the key.")] = None,
    log_format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="auto, a name, or nginx's log_format with its $.")
    ] = "auto",
    address_field: Annotated[str | None, typer.Option(metavar="FIELD", help="The field with the address.")] = None,
    header_field: Annotated[
        str | None, typer.Option(metavar="FIELD", help="The field with X-Forwarded-For, or with --header.")
    ] = None,
    header: Annotated[
        str, typer.Option(metavar="NAME", help="The header that --header-field holds.")
    ] = "x-forwarded-for",
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(metavar="PREFIX", help="A proxy whose header is believed; may be repeated.")
    ] = None,
    trusted_hops: Annotated[int | None, typer.Option(metavar="N", help="So many proxies are in front.")] = None,
    time_field: Annotated[str | None, typer.Option(metavar="FIELD", help="JSON: the field with the time.")] = None,
    status_field: Annotated[str | None, typer.Option(metavar="FIELD", help="JSON: the field with the status.")] = None,
    method_field: Annotated[str | None, typer.Option(metavar="FIELD", help="JSON: the field with the method.")] = None,
    path_field: Annotated[str | None, typer.Option(metavar="FIELD", help="JSON: the field with the path.")] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Of times without one, as HAProxy's.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ask as if all came then, such as 2026-06-16T00:00Z.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many requests are shown of each change.")] = 3,
    top: Annotated[int, typer.Option(min=0, help="How many keys and addresses are shown of each change.")] = 10,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 2 if any line cannot be asked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whom a proposed list or configuration would block or let in, by access logs."""
    sources = _Sources(new_list, config, snapshot, before, before_config, before_snapshot, blocked_status)
    _check_stdin([*logs, new_list, before])
    _check_sources(sources, preset, key)
    options = _options_of(
        log_format=log_format,
        key=key,
        key_field=key_field,
        address_field=address_field,
        client=_strategy(trusted_proxy, trusted_hops, header),
        header=header,
        header_field=header_field,
        blocked_status=blocked_status,
        time_field=time_field,
        status_field=status_field,
        method_field=method_field,
        path_field=path_field,
        zone=None if timezone is None else _zone(timezone),
    )
    moment = None if at is None else _moment(at)
    loader = _Loader(preset, reading, id_secret_file, key, as_json)
    after, earlier, told = loader.judges(sources)
    with progress_of_bytes("Reading the logs", logs) as watch:
        read = _Logs([AccessLog(log, options, watch=None if watch is None else watch(log)) for log in logs])
        try:
            report = replay_requests(read, after, earlier, at=moment, examples=examples, top=top)
        except AccessLogError as error:
            fail(str(error))
        except ValueError as error:  # the options do not fit the format that was found
            fail(f"{error}")
    _fail_if_nothing_was_compared(read, report)
    if as_json:
        print_json(before=told, logs=[log_facts(log) for log in read.logs], **report.to_dict())
    else:
        _say_report(read, report, told)
        _say_left_out(read, report)
    left_out = sum(log.unreadable for log in read.logs) + report.without_key
    finish(2 if strict and left_out else 0 if report.is_unchanged else 1)


# -- The call -----------------------------------------------------------------


@dataclass(frozen=True)
class _Sources:
    """What the user named as the two sides."""

    new_list: str | None
    config: str | None
    snapshot: str | None
    before: str | None
    before_config: str | None
    before_snapshot: str | None
    blocked_status: int | None


def _check_stdin(sources: list[str | None]) -> None:
    if sources.count(STDIN) > 1:
        raise typer.BadParameter("standard input can be read only once")


def _check_sources(sources: _Sources, preset: str | None, key: str | None) -> None:
    if sources.config is not None and sources.snapshot is not None:
        raise typer.BadParameter("--config and --snapshot are two files; name one")
    whole = sources.config or sources.snapshot
    if sources.new_list is None and whole is None:
        raise typer.BadParameter("what is proposed? name --list, --config or --snapshot")
    if sources.new_list is not None and whole is not None and key is None:
        raise typer.BadParameter("--list goes into a configuration as the list of one key: name it with --key")
    if preset is not None and (sources.new_list is None or whole is not None):
        raise typer.BadParameter("--preset judges --list by itself; a configuration has a policy of its own")
    names = ("before", "before_config", "before_snapshot", "blocked_status")
    named = [f"--{name.replace('_', '-')}" for name in names if getattr(sources, name) is not None]
    if len(named) > 1:
        raise typer.BadParameter(f"{' and '.join(named)} say two things about what was decided before; name one")


def _options_of(**options: Any) -> LogOptions:
    try:
        return LogOptions(**options)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _strategy(proxies: list[str] | None, hops: int | None, header: str) -> ClientStrategy | None:
    try:
        if hops is not None:
            return TrustedHops(hops, header=header, trusted=proxies or None)
        return TrustedProxies(proxies, header=header) if proxies else None
    except (ValueError, CidrmatchError) as error:
        raise typer.BadParameter(str(error)) from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise typer.BadParameter(f"{quote(name)} is no time zone") from error


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{quote(text)} is no time of ISO 8601") from error
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{quote(text)} needs a time zone, such as Z or +02:00")
    return moment.timestamp()


@dataclass(frozen=True)
class _Loader:
    """Loads what is compared; ends the call if something is refused."""

    preset: str | None
    reading: Reading
    secret_file: str | None
    key: str | None
    as_json: bool

    def judges(self, sources: _Sources) -> tuple[Judge, Any, str]:
        """Give the proposed judge, the earlier one, and how the earlier one is told."""
        after, base = self._after(sources)
        if sources.before is not None:
            return after, load_list(sources.before, self.reading, self.as_json).allow, sources.before
        earlier = self._engine(sources.before_config, sources.before_snapshot)
        if earlier is not None:
            return after, earlier, str(sources.before_config or sources.before_snapshot)
        if sources.blocked_status is not None:
            return after, None, f"the log, where {sources.blocked_status} is the status of a blocked request"
        if base is not None:
            return after, base, str(sources.config or sources.snapshot)
        return after, "open", _OPEN

    def _after(self, sources: _Sources) -> tuple[Judge, Engine | None]:
        engine = self._engine(sources.config, sources.snapshot)
        if sources.new_list is None:
            assert engine is not None  # noqa: S101  `_check_sources` wants one of both
            return engine, None
        file = read_file(sources.new_list, self.reading)
        if engine is None:
            return self._list(sources.new_list, file), None
        try:
            return proposed(engine, _with_list(str(self.key), file)), engine
        except PolicyError as error:
            refuse_list(file, cast("tuple[Problem, ...]", error.report.problems), self.as_json)
        except CidrmatchError as error:
            fail(str(error))

    def _list(self, source: str, file: ListFile) -> AllowList:
        if self.preset is None:
            return load_list(source, self.reading, self.as_json, file).allow
        report = find_policy(self.preset).validate(file.entries)
        if not report.ok:
            refuse_list(file, report.problems, self.as_json)
        return AllowList(report.accepted)

    def _engine(self, config: str | None, snapshot: str | None) -> Engine | None:
        if config is not None:
            return load_config(config, self.as_json)
        return None if snapshot is None else open_snapshot(snapshot, self.as_json, self.secret_file)


def _with_list(key: str, file: ListFile) -> Callable[[Transaction], object]:
    def change(transaction: Transaction) -> object:
        try:
            return transaction.update_key(key, entries=file.entries)
        except UnknownName:
            return transaction.put_key(key, file.entries)

    return change


class _Logs:
    """Several logs, one after the other."""

    def __init__(self, logs: list[AccessLog]) -> None:
        self.logs = logs

    def batches(self) -> Iterator[RecordedBatch]:
        for log in self.logs:
            yield from log.batches()


def _fail_if_nothing_was_compared(read: _Logs, report: ReplayReport) -> None:
    for log in read.logs:
        if log.unreadable and not log.requests:
            first = f"{log.problems[0].place}: {log.problems[0].reason}"
            fail(f"none of {count(log.unreadable, 'line')} can be read as an access log; the first one is {first}")
    if report.without_key and not report.requests:
        fail(f"none of {count(report.without_key, 'request')} names a key: name it (--key), or its field (--key-field)")
    if report.requests and report.not_recorded == report.requests:
        fail(
            f"none of {count(report.requests, 'request')} tells what was decided then: name the field of the status"
            f" (--status-field), or who decided before (--before)"
        )


# -- What is said -------------------------------------------------------------


def log_facts(log: AccessLog) -> dict[str, object]:
    """Give the facts of a log for JSON."""
    return {
        "log": log.name,
        "format": None if log.format is None else log.format.name,
        "requests": log.requests,
        "unreadable": log.unreadable,
        "problems": [problem.to_dict() for problem in log.problems],
    }


def _say_report(read: _Logs, report: ReplayReport, told: str) -> None:
    out = console(sys.stdout)
    logs = count(len(read.logs), "log")
    say(out, "replayed", f": {count(report.requests, 'request')} of {logs}; before: {told}")
    _say_change("-", "newly blocked", report.newly_blocked)
    _say_change("+", "newly allowed", report.newly_allowed)
    say(out, f"  unchanged: {report.still_allowed:,} allowed, {report.still_denied:,} denied")


def _say_change(sign: str, name: str, change: Change) -> None:
    out = console(sys.stdout)
    of = f" of {count(change.keys, 'key')}" if change.by_key else ""
    some = f"{of}, from {count(change.addresses, 'address', 'addresses')}" if change.requests else ""
    say(out, sign, f" {name}: {count(change.requests, 'request')}{some}")
    for reason, requests in change.by_reason.items():
        say(out, f"    {requests:>9,}  {reason.text}")
    for tally in change.by_key:
        say(out, f"    {tally.requests:>9,}  key {quote(tally.name) if tally.name is not None else 'unknown'}")
    for tally in change.by_address:
        say(out, f"    {tally.requests:>9,}  address {tally.name or 'unknown'}")
    for example in change.examples:
        say(out, f"    for example {_describe(example)}")


def _describe(example: Example) -> str:
    request = example.request
    place = "" if request.place is None else f"{request.place}: "
    what = " ".join(filter(None, (request.method, request.path))) or "a request"
    key = "" if request.key is None else f" with {quote(request.key)}"
    by = "" if example.entry is None else f" ({example.entry})"
    why = example.problem or f"{example.after.text}{by}"
    return f"{place}{what} from {request.address or 'nobody knows where'}{key}: {why}"


def _say_left_out(read: _Logs, report: ReplayReport) -> None:
    """Print to stderr what was not compared, or not as it was."""
    out = console(sys.stderr)
    for log in read.logs:
        for problem in log.problems[:_TOLD_PROBLEMS]:
            say(out, "warning", f": {problem.reason}: {quote(problem.line)}", place=f"{problem.place}: ")
        if log.unreadable:
            say(
                out,
                "warning",
                f": {count(log.unreadable, 'line')} could not be read, and were not asked",
                place=f"{log.name}: ",
            )
    for example in report.bad_addresses[:_TOLD_PROBLEMS]:
        place = "" if example.request.place is None else f"{example.request.place}: "
        say(out, "warning", f": {quote(example.request.address or '')} is no address: {example.problem}", place=place)
    for number, told in (
        (report.without_address, "without an address"),
        (report.without_key, "not asked, because no key is named"),
        (report.without_time, "asked as if they came now, because their time is not known"),
        (report.not_recorded, "not compared, because the log does not tell their answer"),
    ):
        if number:
            say(out, "warning", f": {told}: {count(number, 'request')}")
