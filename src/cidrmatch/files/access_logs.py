"""Access logs as recorded requests: who asked, in a form that `advice.replay` takes.

    access.log --> blocks of lines --> a batch: columns of addresses, keys, answers   times and rows when asked for
                        |
                        '-- lines that cannot be read: counted, and the first ones told with place and reason

Nothing is guessed.  A log rarely holds the key of a request, so the user says which key it is, or which field holds it.
The address is the log's client field as it is; a header such as X-Forwarded-For is asked only if the user names its
field and a strategy that says which proxies are trusted.  An answer is read from the status only if the user names the
status of a blocked request.  If the first lines fit two formats, both are named and none is chosen.

Empty lines say nothing.  An address that is none is no unreadable line: the engine says what it thinks of it.
Cost: for most formats one regular expression over a block, about a microsecond a line; JSON, some microseconds a line.
Threads: a log belongs to one thread.
Source: B25, B28, B31; C23.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..engine.recorded import RecordedRequest
from ..errors import brief, quote
from .documents import name_of, noun_of, parse_json, place_in
from .log_formats import (
    ADDRESS,
    MISSING,
    JsonFormat,
    LogFormat,
    TextFormat,
    field_named,
    format_named,
    formats_of,
    seconds_of,
    steps_of,
    value_at,
)
from .log_streams import AccessLogError, Block, blocks_of, open_log

if TYPE_CHECKING:
    from ..client.strategies import ClientStrategy

__all__ = ["AccessLog", "AccessLogError", "LineProblem", "LogOptions"]

_SNIFFED: Final = 100
"""How many lines at the beginning say which format a log has."""
_LEAST_STATUS: Final = 100
"""The least status of HTTP (RFC 9110 section 15)."""
_MOST_MEMORIES: Final = 100_000
"""How many times, or pairs of peer and header, are remembered with what they mean."""


@dataclass(frozen=True, slots=True)
class LineProblem:
    """Say which line could not be read, and why; `line` is the text, which comes from strangers."""

    place: str
    reason: str
    line: str

    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for JSON."""
        return {"place": self.place, "reason": self.reason, "line": quote(self.line)}


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    r"""Say how logs are read.

    Attributes:
        log_format: "auto", a name of `log_formats.FORMATS`, or a text of nginx's `log_format`.
        key: the key of all requests, or None.
        key_field: the field that holds the key, or None.
        address_field: the field that holds the client's address; None for the format's own.  With `client` it is the
            peer.
        client: the strategy that finds the client behind proxies, or None.
        header: the name of the header that the strategy reads.
        header_field: the field that holds this header.
        blocked_status: the status of a request that was blocked; every other one was allowed.  None: the log does not
            tell what was decided.
        time_field, status_field, method_field, path_field: fields of the format "json".
        zone: the zone of times that name none, as HAProxy's; None if nobody knows it.
    Raises:
        ValueError: they do not fit together, or the format is none.

    A path in JSON parts at dots; ``\.`` is a dot in a name.
    """

    log_format: str = "auto"
    key: str | None = None
    key_field: str | None = None
    address_field: str | None = None
    client: ClientStrategy | None = None
    header: str = "x-forwarded-for"
    header_field: str | None = None
    blocked_status: int | None = None
    time_field: str | None = None
    status_field: str | None = None
    method_field: str | None = None
    path_field: str | None = None
    zone: tzinfo | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if self.key is not None and self.key_field is not None:
            raise ValueError("key says that all requests are of one key, key_field where their keys stand: name one")
        if (self.client is None) != (self.header_field is None):
            raise ValueError("a header is read by a strategy from a field: name both, client and header_field, or none")
        if self.log_format != "auto":
            _Plan(format_named(self.log_format), self)


class _Plan:
    """Which fields of a format are read, and what becomes of their values."""

    def __init__(self, log_format: LogFormat, options: LogOptions) -> None:
        self.format, self.options = log_format, options
        is_json = isinstance(log_format, JsonFormat)
        if is_json and ADDRESS not in log_format.fields and options.address_field is None:
            raise ValueError(f"the format {log_format.name} knows no fields: name that of the address (address_field)")
        peer = "peer" if options.client is not None and "peer" in log_format.fields else ADDRESS
        self.address = field_named(log_format, options.address_field or peer)[0]
        self.has_port = is_json and options.address_field is None and self.address == "ClientAddr"
        self.key = None if options.key_field is None else field_named(log_format, options.key_field)
        self.header = None if options.header_field is None else field_named(log_format, options.header_field)
        self.status = self._role("status", options.status_field)
        if options.blocked_status is not None and self.status is None:
            raise ValueError(f"the format {log_format.name} tells no status: name its field (status_field)")
        self.time = self._role("time", options.time_field)
        self.method = self._role("method", options.method_field)
        self.path = self._role("path", options.path_field)

    def _role(self, role: str, named: str | None) -> str | None:
        if named is not None or role in self.format.fields:
            return field_named(self.format, named or role)[0]
        return None


class _Reader(Protocol):
    """Reads blocks of one format."""

    def take(self, block: Block) -> _Batch: ...


class AccessLog:
    """Give the requests of one access log, as rows or as batches; once, from its beginning to its end.

    Args:
        source: a path, or "-" for standard input; plain, gzip or zstd.
        options: how it is read.
        watch: called with the bytes read so far of the file as it lies there, and its size, or None.
        most_problems: how many lines that cannot be read are told; all are counted.
    Attributes:
        unreadable: how many lines could not be read so far.
        problems: the first of them, as `LineProblem`.
        requests: how many lines were read.
        format: the `LogFormat`, known when the first block was read; or None.
    Raises:
        AccessLogError: while it is read: the file cannot be opened or decompressed, or its format is not known.
        ValueError: the options do not fit the format that was found.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
    ...     _ = file.write('203.0.113.7 - - [29/Nov/2026:19:43:56 +0000] "GET /v1 HTTP/1.1" 200 512\\n')
    ...     file.flush()
    ...     list(AccessLog(file.name, LogOptions(key="key_1")))[0].address
    '203.0.113.7'
    """

    def __init__(
        self,
        source: str | Path,
        options: LogOptions | None = None,
        *,
        watch: Callable[[int, int | None], None] | None = None,
        most_problems: int = 20,
    ) -> None:
        self.name = name_of(source)
        self.options = LogOptions() if options is None else options
        self.unreadable = self.requests = 0
        self.problems: list[LineProblem] = []
        self.format: LogFormat | None = None
        self._source, self._watch, self._most_problems = source, watch, most_problems

    def __repr__(self) -> str:
        return f"<AccessLog {brief(self.name)}: {self.requests:,} requests, {self.unreadable:,} lines unreadable>"

    def __iter__(self) -> Iterator[RecordedRequest]:
        for batch in self.batches():
            for index in range(len(batch.addresses)):
                yield batch.row(index)

    def batches(self) -> Iterator[_Batch]:
        """Give the requests as columns."""
        with open_log(self._source, self._watch) as file:
            reader: _Reader | None = None
            for block in blocks_of(file, self.name):
                reader = reader or self._reader(block.text)
                batch = reader.take(block)
                self.requests += len(batch.addresses)
                yield batch

    def note(self, line: int, text: str, reason: str) -> None:
        """Count a line that cannot be read."""
        self.unreadable += 1
        if len(self.problems) < self._most_problems:
            self.problems.append(LineProblem(place_in(self.name, line), reason, text))

    def _reader(self, block: str) -> _Reader:
        options = self.options
        log_format = format_named(options.log_format) if options.log_format != "auto" else self._sniff(block)
        self.format = log_format
        plan = _Plan(log_format, options)
        if isinstance(log_format, JsonFormat):
            return _JsonReader(self, log_format, plan)
        return _TextReader(self, log_format, plan)

    def _sniff(self, block: str) -> LogFormat:
        lines = [line.removesuffix("\r") for line in block.split("\n", _SNIFFED)[:_SNIFFED] if line.strip()]
        found = formats_of(lines)
        if len(found) == 1:
            return found[0]
        if found:
            names = " and ".join(each.name for each in found)
            raise AccessLogError(self.name, f"its first lines fit {names}; name the format (--format)")
        raise AccessLogError(
            self.name, "its first lines fit no format that is known; name it, or give nginx's log_format (--format)"
        )


# -- Batches ------------------------------------------------------------------


class _Batch:
    """The requests of one block, as columns; see `engine.recorded.RecordedBatch`."""

    counts = None

    def __init__(self, reader: _TextReader | _JsonReader, columns: _Columns) -> None:
        self._reader, self._columns = reader, columns
        self.addresses = reader.common.addresses(columns)
        self.keys = reader.common.keys(columns)
        self.allowed = reader.common.allowed(columns)

    def times(self) -> Sequence[float | None]:
        """Give the column of times."""
        time = self._reader.plan.time
        if time is None:
            return [None] * len(self.addresses)
        return self._reader.common.times(self._columns.column(time))

    def row(self, index: int, /) -> RecordedRequest:
        """Give one request with all that is known of it."""
        plan, columns = self._reader.plan, self._columns
        method, path = self._method_and_path(index)
        time = None if plan.time is None else self._reader.common.times([columns.value(index, plan.time)])[0]
        return RecordedRequest(
            key=self.keys if self.keys is None or isinstance(self.keys, str) else self.keys[index],
            address=self.addresses[index],
            time=time,
            method=method,
            path=path,
            allowed=None if self.allowed is None else self.allowed[index],
            place=place_in(self._reader.log.name, columns.line_number(index)),
        )

    def _method_and_path(self, index: int) -> tuple[str | None, str | None]:
        plan, columns = self._reader.plan, self._columns
        if "request" in plan.format.fields:
            words = columns.text(index, "request").split(" ")
            return (words[0], " ".join(words[1:-1])) if len(words) > 2 else (None, " ".join(words))
        method, path = (name and columns.text(index, name) for name in (plan.method, plan.path))
        return method or None, path or None


class _Columns(Protocol):
    """The fields of the readable lines of one block."""

    def column(self, name: str) -> Sequence[Any]: ...
    def value(self, index: int, name: str) -> Any: ...
    def text(self, index: int, name: str) -> str: ...
    def line_number(self, index: int) -> int: ...


@dataclass
class _Common:
    """What both readers do with columns: addresses, keys, answers, times; with memories of what was seen before."""

    plan: _Plan
    clients: dict[Any, str | None] = field(default_factory=dict)
    moments: dict[Any, float | None] = field(default_factory=dict)

    def addresses(self, columns: _Columns) -> Sequence[str | None]:
        peers: Sequence[str | None] = columns.column(self.plan.address)
        if self.plan.has_port:
            peers = [None if peer is None else _without_port(peer) for peer in peers]
        if self.plan.header is None:
            return peers
        pairs = zip(peers, columns.column(self.plan.header[0]), strict=True)
        return [self._client(peer, _hashable(header)) for peer, header in pairs]

    def _client(self, peer: str | None, header: Any) -> str | None:
        known, pair = self.clients, (peer, header)
        if pair not in known:
            if len(known) >= _MOST_MEMORIES:
                known.clear()
            known[pair] = self._find_client(peer, header)
        return known[pair]

    def _find_client(self, peer: str | None, header: Any) -> str | None:
        options, (_, select) = self.plan.options, self.plan.header or ("", str)
        assert options.client is not None  # noqa: S101  `LogOptions` takes both or none
        values = [] if header is None or header is MISSING else [header] if isinstance(header, str) else list(header)
        lines = [(options.header, value) for each in values if (value := select(each)) is not None]
        return options.client.find(peer, lines).address

    def keys(self, columns: _Columns) -> Sequence[str | None] | str | None:
        if self.plan.key is None:
            return self.plan.options.key
        name, select = self.plan.key
        column = columns.column(name)
        meant: dict[Any, str | None] = {
            value: None if value is None or value is MISSING else select(value) for value in set(column)
        }
        return [meant[value] for value in column]

    def allowed(self, columns: _Columns) -> list[bool | None] | None:
        blocked = self.plan.options.blocked_status
        if blocked is None or self.plan.status is None:
            return None
        column = list(map(_hashable, columns.column(self.plan.status)))
        meant = {value: _was_allowed(value, blocked) for value in set(column)}
        return [meant[value] for value in column]

    def times(self, column: Iterable[Any]) -> list[float | None]:
        known, zone = self.moments, self.plan.options.zone
        found: list[float | None] = []
        for time in column:
            if time not in known:
                if len(known) >= _MOST_MEMORIES:
                    known.clear()
                known[time] = seconds_of(time, zone)
            found.append(known[time])
        return found


def _hashable(value: Any) -> Any:
    """Give a value that can be looked up; an object, or a list of more than texts, says nothing."""
    if isinstance(value, list):
        return tuple(value) if all(isinstance(each, str) for each in value) else None
    return None if isinstance(value, dict) else value


def _without_port(peer: str) -> str:
    host, colon, _ = peer.rpartition(":")
    return host.removeprefix("[").removesuffix("]") if colon else peer


def _was_allowed(status: Any, blocked: int) -> bool | None:
    """Say what a status tells; None where it is no status: of a request that was broken off, servers write 000 or -1.

    Equal numbers tell the same, whether JSON has them as 403 or as 403.0.
    """
    try:
        number = int(status) if type(status) in (int, str) or (type(status) is float and status.is_integer()) else None
    except ValueError:
        return None
    return None if number is None or number < _LEAST_STATUS <= blocked else number != blocked


# -- Lines of text ------------------------------------------------------------


class _TextReader:
    """Reads blocks by one regular expression, which takes whole lines."""

    def __init__(self, log: AccessLog, log_format: TextFormat, plan: _Plan) -> None:
        self.log, self.format, self.plan, self.common = log, log_format, plan, _Common(plan)
        wanted = {plan.address, *(found[0] for found in (plan.key, plan.header) if found is not None)}
        if plan.options.blocked_status is not None and plan.status is not None:
            wanted.add(plan.status)
        self.names = [name for name in log_format.fields if name in wanted]
        self._pattern = log_format.pattern(self.names)
        self._quick_pattern = log_format.quick_pattern(self.names)

    def take(self, block: Block) -> _Batch:
        pattern = self._pattern if block.has_escaped_quotes else self._quick_pattern
        found = pattern.findall(block.text)
        if len(found) == block.lines:  # each match is one whole line, so every line was read
            numbers = range(block.first_line, block.first_line + block.lines)
            return _Batch(self, _TextColumns(self, block.text, found, numbers))
        good, places = [], []
        for number, line in enumerate(block.text.split("\n")[:-1], start=block.first_line):
            if self._pattern.fullmatch(line + "\n") is not None:
                good.append(line)
                places.append(number)
            elif line.strip():
                text = line.removesuffix("\r")
                self.log.note(number, text, self.format.complain(text))
        readable = "".join(f"{line}\n" for line in good)
        return _Batch(self, _TextColumns(self, readable, self._pattern.findall(readable), places))


class _TextColumns:
    """The fields of readable lines of text; those that were not captured at first are found when they are asked for."""

    def __init__(self, reader: _TextReader, block: str, found: list[Any], numbers: Sequence[int]) -> None:
        self._reader, self._block, self._numbers = reader, block, numbers
        names = reader.names
        columns = [found] if len(names) == 1 else list(zip(*found, strict=True)) or [()] * len(names)
        self._by_name: dict[str, Sequence[str]] = dict(zip(names, columns, strict=True))

    def column(self, name: str) -> Sequence[str]:
        if name not in self._by_name:
            self._by_name[name] = self._reader.format.pattern([name]).findall(self._block)
        return self._by_name[name]

    @cached_property
    def _lines(self) -> list[str]:
        return self._block.split("\n")

    def value(self, index: int, name: str) -> str:
        found = self._reader.format.pattern([name]).fullmatch(self._lines[index] + "\n")
        assert found is not None  # noqa: S101  the line was read before
        return str(found[1])

    def text(self, index: int, name: str) -> str:
        return self._reader.format.unescapes(self.value(index, name))

    def line_number(self, index: int) -> int:
        return self._numbers[index]


# -- Lines of JSON ------------------------------------------------------------


_decode = json.JSONDecoder().raw_decode


class _JsonReader:
    """Reads blocks of JSON objects, one in each line; of an object only the values that are asked for are kept."""

    def __init__(self, log: AccessLog, _format: JsonFormat, plan: _Plan) -> None:
        self.log, self.plan, self.common = log, plan, _Common(plan)
        key, header = (None if found is None else found[0] for found in (plan.key, plan.header))
        status = None if plan.options.blocked_status is None else plan.status
        wanted: tuple[tuple[str | None, Callable[[str, Any], None]], ...] = (
            (plan.address, _check_address), (key, _check_key), (header, _check_header), (status, _check_nothing),
        )  # fmt: skip
        self._wanted = [(path, check) for path, check in wanted if path is not None]
        names = {steps_of(path)[-1] for path in (plan.address, key, header) if path is not None}
        self._marks = [{json.dumps(name), json.dumps(name, ensure_ascii=False)} for name in names]

    def take(self, block: Block) -> _Batch:
        rows, texts, numbers = [], [], []
        for number, line in enumerate(block.text.split("\n")[:-1], start=block.first_line):
            try:
                rows.append(self._values(line))
            except (ValueError, RecursionError) as error:
                if line.strip():
                    told = f"is not JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
                    self.log.note(number, line.removesuffix("\r"), told)
            else:
                texts.append(line)
                numbers.append(number)
        return _Batch(self, _JsonColumns([path for path, _ in self._wanted], rows, texts, numbers))

    def _values(self, line: str) -> list[Any]:
        """Give the values of a line; refuse what has no address, or an address or a key that is no text."""
        line = line.strip()
        found, end = _decode(line)
        if end != len(line):
            raise json.JSONDecodeError("Extra data", line, end)
        for spellings in self._marks:
            if sum(map(line.count, spellings)) > 1:
                found = parse_json(line)  # which refuses an object that names a key twice
        if type(found) is not dict:
            raise ValueError(f"is not an object but {noun_of(found)}")
        values = []
        for path, check in self._wanted:
            value = _plain(value_at(found, path))
            if type(value) is not str:
                check(path, value)
            values.append(value)
        return values


def _check_address(path: str, value: Any) -> None:
    if value is not None:
        what = "is missing" if value is MISSING else f"must be a text, not {noun_of(value)}"
        raise ValueError(f"the field {quote(path)} {what}")


def _check_key(path: str, value: Any) -> None:
    if value is not None and value is not MISSING:
        raise ValueError(f"the field {quote(path)} must be a text, not {noun_of(value)}")


def _check_header(path: str, value: Any) -> None:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if value is not None and value is not MISSING and not is_list:
        raise ValueError(f"the field {quote(path)} must be a text or a list of texts")


def _check_nothing(_path: str, _value: Any) -> None:
    """Take any value as a status: what is none tells no answer."""


class _JsonColumns:
    """The values of readable lines of JSON; a line is parsed again for a value that was not asked for at first."""

    def __init__(self, paths: list[str], rows: list[list[Any]], texts: list[str], numbers: list[int]) -> None:
        self._paths, self._rows, self._texts, self._numbers = paths, rows, texts, numbers

    def column(self, name: str) -> list[Any]:
        if name in self._paths:
            number = self._paths.index(name)
            return [row[number] for row in self._rows]
        return [_hashable(_plain(value_at(json.loads(text), name))) for text in self._texts]

    def value(self, index: int, name: str) -> Any:
        return _hashable(_plain(value_at(json.loads(self._texts[index]), name)))

    def text(self, index: int, name: str) -> str:
        found = self.value(index, name)
        return found if isinstance(found, str) else ""

    def line_number(self, index: int) -> int:
        return self._numbers[index]


def _plain(value: Any) -> Any:
    """Give the text of a header that Caddy writes as a list of one; any other value as it is."""
    return value[0] if type(value) is list and len(value) == 1 else value
