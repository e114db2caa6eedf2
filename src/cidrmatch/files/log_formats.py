r"""The formats of access logs: which field of a line is the client, the time, the request and the answer.

    203.0.113.7 - key_1 [29/Nov/2026:19:43:56 +0000] "GET /v1 HTTP/1.1" 200 512        common
    |           | |      |                            |                 |
    address ident user   time                         request           status

A `TextFormat` is a row of pieces: plain texts, and fields with the pattern of their values.  It makes one regular
expression that takes a whole line and captures only the fields that are asked for.  A line that does not fit as a whole
gives nothing; no field is ever taken from a part of a line.

    pieces    address | " " | ident | " " | user | " [" | time | '] "' | request | '" ' | status | ...

Clients choose the request, the headers and the user, and might write a field's end into them.  So a field in quotes
ends at the first quote that is not escaped, a field outside quotes has no blank and no character that parts fields, and
the address stands before everything that a client chooses, or is parted from it in this way.

A `JsonFormat` names the fields of an object in each line.

| name | source of the facts |
|---|---|
| common, combined | Apache HTTP Server, mod_log_config, "Custom Log Formats"; nginx, ngx_http_log_module |
| a text with "$" | nginx, ngx_http_log_module, `log_format`, with the default escaping of variables |
| haproxy | HAProxy Configuration Manual, 8.2.3 "HTTP log format", 8.6 "Non-printing characters" |
| alb | AWS, "Access logs for your Application Load Balancer", "Access log entries" |
| traefik | Traefik, "Access Logs", "Common Log Format"; quotes are escaped in the agent, and not in the request |
| caddy | Caddy, directive `log`; fields client_ip and remote_ip of the request |
| traefik-json | Traefik, "Access Logs", fields of the JSON format |

Traefik's client field is the X-Forwarded-For header if there is one.  Traefik removes the header of a peer that it does
not trust before it looks.
Threads: formats never change.
"""

from __future__ import annotations

import calendar
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, Final, TypeAlias

from ..errors import quote

__all__ = [
    "ADDRESS",
    "FORMATS",
    "MISSING",
    "JsonFormat",
    "LogFormat",
    "TextFormat",
    "field_named",
    "format_named",
    "formats_of",
    "nginx_format",
    "seconds_of",
    "steps_of",
    "unescape",
    "value_at",
]

ADDRESS: Final = "address"
"""The field of the client, in every format."""

# -- Texts --------------------------------------------------------------------

_QUOTED: Final = r'[^"\\\n]*+(?:\\.[^"\\\n]*+)*+'
_CLF_TIME: Final = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
_ISO_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_WORD: Final = r"[^ \n]+"
_STATUS: Final = r"\d{3}|-"
_BYTES: Final = r"\d+|-"

_Piece: TypeAlias = str | tuple[str, str]
"""A regular expression, or a field's name with the regular expression of its values."""


@dataclass(frozen=True)
class TextFormat:
    """Describe lines of text.

    Attributes:
        name: what people call it.
        pieces: a line, from its beginning to its end without the newline.
        unescapes: turns a captured value into what the server meant.
    """

    name: str
    pieces: tuple[_Piece, ...]
    unescapes: Callable[[str], str]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(piece[0] for piece in self.pieces if not isinstance(piece, str))

    def pattern(self, names: Sequence[str]) -> re.Pattern[str]:
        """Compile the pattern of a whole line with its newline, which captures these fields, in the line's order."""
        return _compiled(self.pieces, tuple(names))

    def quick_pattern(self, names: Sequence[str]) -> re.Pattern[str]:
        r"""Compile a faster pattern, for a block in which no quote is escaped (`\"`).

        A field may run over the end of a line here.  So the pattern is right only if it matches as often as the block
        has lines: each match then is one line, and what `pattern` would find.
        """
        return _compiled(tuple(map(_quick, self.pieces)), tuple(names))

    def reads(self, line: str) -> bool:
        """Tell whether a line, without its newline, has this format."""
        return self.pattern(()).fullmatch(line + "\n") is not None

    def complain(self, line: str) -> str:
        """Say where a line stops having this format."""
        for count in range(len(self.pieces), 0, -1):
            if found := re.match("".join(map(_uncaptured, self.pieces[:count])), line):
                missing = next((piece[0] for piece in self.pieces[count:] if not isinstance(piece, str)), "its end")
                return f"is not {self.name}: {missing} was expected after column {found.end()}"
        return f"is not {self.name}: {self.fields[0]} was expected at its beginning"


def _quick(piece: _Piece) -> _Piece:
    """Write sets of characters as "all but this one", which the regular expression engine runs over at full speed."""
    name, text = ("", piece) if isinstance(piece, str) else piece
    for slow, fast in ((_QUOTED, '[^"]*+'), (r"[^ \n]", "[^ ]"), (r'[^"\n]', '[^"]')):
        text = text.replace(slow, fast)
    return (name, text) if name else text


def _uncaptured(piece: _Piece) -> str:
    return piece if isinstance(piece, str) else f"(?:{piece[1]})"


@cache
def _compiled(pieces: tuple[_Piece, ...], names: tuple[str, ...]) -> re.Pattern[str]:
    parts = [
        f"({piece[1]})" if not isinstance(piece, str) and piece[0] in names else _uncaptured(piece) for piece in pieces
    ]
    return re.compile(rf"^{''.join(parts)}\r?\n", re.MULTILINE)


_ESCAPED: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_NAMED: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a"}


def unescape(text: str) -> str:
    r"""Undo the escapes of Apache, nginx and Go: `\x22`, `\"`, `\\`, `\n`.

    >>> unescape(r"a\x22b\"\xc3\xbc")
    'a"b"ü'
    """
    if "\\" not in text:
        return text
    raw = _ESCAPED.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else _NAMED.get(found[2], found[2]),
        text.encode("utf-8", "surrogateescape"),
    )
    return raw.decode("utf-8", "surrogateescape")


_HASHED: Final = re.compile(rb"#([0-9A-Fa-f]{2})")


def _unhash(text: str) -> str:
    """Undo the escapes of HAProxy: `#7D`."""
    if "#" not in text:
        return text
    raw = _HASHED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


_USER: Final = r'""|[^ "\n]+|(?:\\"|[^"\n])+?'
"""A user may have blanks in it; the quote behind it ends the search, because servers escape quotes in a user.

Apache writes two quotes for a user without a name; a client may send one, and its line is read all the same.
"""

_COMMON: Final[tuple[_Piece, ...]] = (
    (ADDRESS, _WORD), " ", ("ident", _WORD), " ", ("user", _USER), r" \[", ("time", _CLF_TIME), r'\] "',
    ("request", _QUOTED), '" ', ("status", _STATUS), " ", ("bytes", _BYTES),
)  # fmt: skip
_AGENTS: Final[tuple[_Piece, ...]] = (' "', ("referer", _QUOTED), '" "', ("agent", _QUOTED), '"')
_ANSWERED: Final = f'" (?:{_STATUS}) (?:{_BYTES}) (?=")'
_TRAEFIK: Final[tuple[_Piece, ...]] = (
    (ADDRESS, r'[^"\n]+?'), " - ", ("user", _USER), r" \[", ("time", _CLF_TIME), r'\] "',
    rf"(?![^\n]*{_ANSWERED}[^\n]*{_ANSWERED})",  # the quotes of a request are not escaped: one of two answers is false
    ("request", r"[^\n]*?"), '" ', ("status", _STATUS), " ", ("bytes", _BYTES), ' "',
    r'[^\n]*" (?:\d+|-) "[^"\n]*" "[^"\n]*" -?\d+ms',
)  # fmt: skip
_HAPROXY: Final[tuple[_Piece, ...]] = (
    r'(?:[^"{\n]*? )??', (ADDRESS, _WORD), r":\d+ \[", ("time", r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}"),
    r"\] ", ("frontend", _WORD), " ", ("server", r"[^ /\n]+/[^ \n]+"), " ", r"-?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+", " ",
    ("status", r"-?\d+"), " ", ("bytes", r"\+?\d+"), f" {_WORD} {_WORD} ", r"[^ \n]{4} \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+",
    ("captures", r" \{[^}\n]*\}|"), r'(?: \{[^}\n]*\})? "',
    ("request", r'[^"\n]*'), r'"?(?: [^"\n]*)?',
)  # fmt: skip
_ALB: Final[tuple[_Piece, ...]] = (
    ("type", r"[a-z0-9]+"), " ", ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), f" {_WORD} ",
    r"\[?+", (ADDRESS, r"[^\s\[\]]+"), r"\]?+:\d+", f" {_WORD}", r"(?: -?[\d.]+){3} ", ("status", _STATUS),
    r" (?:\d{3}|-) -?\d+ -?\d+ ", '"', ("request", _QUOTED), '" "', ("agent", _QUOTED), r'"(?: [^\n]*)?',
)  # fmt: skip


# -- JSON ---------------------------------------------------------------------


@dataclass(frozen=True)
class JsonFormat:
    """Describe lines of JSON objects; each field is named by its path: a dot leads into an object.

    Attributes:
        name: what people call it.
        paths: for each field that is known, its path.
        marks: paths that every line of this format has; by them it is recognised.
    """

    name: str
    paths: dict[str, str]
    marks: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(self.paths)

    def reads(self, line: str) -> bool:
        """Tell whether a line is an object with all marks."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and all(value_at(found, mark) is not MISSING for mark in self.marks)


LogFormat: TypeAlias = TextFormat | JsonFormat

MISSING: Final = object()
"""What `value_at` gives where there is nothing."""


def value_at(found: Any, path: str) -> Any:
    """Give the value at a path; `MISSING` if there is none."""
    for step in steps_of(path):
        if type(found) is not dict:
            return MISSING
        found = found.get(step, MISSING)
    return found


@cache
def steps_of(path: str) -> tuple[str, ...]:
    r"""Part a path at its dots; a backslash before a dot makes it part of a name.

    >>> steps_of(r"request.headers.a\.b")
    ('request', 'headers', 'a.b')
    """
    return tuple(step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", path))


_CADDY: Final = JsonFormat(
    "caddy",
    {
        ADDRESS: "request.client_ip",
        "peer": "request.remote_ip",
        "user": "user_id",
        "time": "ts",
        "status": "status",
        "method": "request.method",
        "path": "request.uri",
    },
    ("request.remote_ip", "request.uri", "status"),
)
_TRAEFIK_JSON: Final = JsonFormat(
    "traefik-json",
    {
        ADDRESS: "ClientHost",
        "peer": "ClientAddr",
        "user": "ClientUsername",
        "time": "StartUTC",
        "status": "DownstreamStatus",
        "method": "RequestMethod",
        "path": "RequestPath",
    },
    ("ClientHost", "ClientAddr", "DownstreamStatus"),
)


# -- nginx's log_format -------------------------------------------------------

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_TYPED: Final = {
    "status": _STATUS,
    "time_local": _CLF_TIME,
    "time_iso8601": _ISO_TIME,
    "msec": r"\d+\.\d{3}",
    "remote_addr": r"[0-9A-Fa-f:.]+|unix:|-",
    "realip_remote_addr": r"[0-9A-Fa-f:.]+|unix:|-",
    "remote_port": r"\d*",
    "server_port": r"\d*",
    "body_bytes_sent": _BYTES,
    "bytes_sent": _BYTES,
    "request_time": r"\d+\.\d{3}",
    "request_length": r"\d+",
    "connection": r"\d+",
    "connection_requests": r"\d+",
}
"""Variables whose values nginx makes itself, with their pattern."""
_ROLES: Final = {
    "remote_addr": ADDRESS,
    "remote_user": "user",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "path",
    "status": "status",
}
"""What the fields of other formats are called here; each variable is also known by its own name."""


def nginx_format(text: str) -> TextFormat:
    """Make a format of the text of nginx's `log_format`, with the default escaping.

    Raises:
        ValueError: it is JSON, it has no variable, two variables stand side by side, or a variable that can hold any
            text can run into its neighbour.
    """
    if text.lstrip().startswith("{"):
        raise ValueError("a log_format that writes JSON is read by the format json, with names of fields")
    parts = _VARIABLE.split(text)  # literal, ${name}, $name, literal, ...
    literals, names = parts[0::3], [braced or plain for braced, plain in zip(parts[1::3], parts[2::3], strict=True)]
    if not names:
        raise ValueError(f"a log format has variables such as $remote_addr, and {quote(text)} has none")
    pieces: list[_Piece] = [re.escape(literals[0])]
    parting = _parting(literals)
    for index, name in enumerate(names):
        before, after = literals[index], literals[index + 1]
        if not after and index + 1 < len(names):
            raise ValueError(f"nothing parts ${name} from ${names[index + 1]}")
        pieces += [(name, _values(name, before, after, parting)), re.escape(after)]
    return TextFormat(text, tuple(_with_roles(pieces)), unescape)


def _parting(literals: list[str]) -> str:
    """The characters that part variables outside quotes: no value outside quotes may have one."""
    return "".join(sorted({character for literal in literals[1:-1] for character in literal} - set('"[]')))


def _values(name: str, before: str, after: str, parting: str) -> str:
    if name in _TYPED:
        return _TYPED[name]
    if before.endswith('"') and after.startswith('"'):
        return _QUOTED
    if name == "request":
        raise ValueError("$request has blanks in it: it stands in quotes, or its lines cannot be read")
    return rf'[^\s"{re.escape(parting)}]*'


def _with_roles(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Give the first variable of each role the name of the role."""
    done: set[str] = set()
    named: list[_Piece] = []
    for piece in pieces:
        if isinstance(piece, str):
            named.append(piece)
            continue
        role = _ROLES.get(piece[0], piece[0])
        name = piece[0] if role in done else role
        if name in done:
            raise ValueError(f"the variable ${piece[0]} stands twice")
        done.add(name)
        named.append((name, piece[1]))
    return named


_CAPTURE: Final = re.compile(r"capture\.([1-9]\d*)")


def field_named(log_format: LogFormat, name: str) -> tuple[str, Callable[[str], str | None]]:
    """Find the field that a user named, and what turns its values into what the server meant.

    Args:
        log_format: the format.
        name: of a field; in nginx's `log_format` also of a variable, with or without "$"; for HAProxy also
            ``capture.1``, the first header of the first braces; in JSON a path.
    Returns:
        The field's own name, or its path; and a function that gives None for a value that says "nothing".
    Raises:
        ValueError: the format has no such field; the message names those that it has.
    """
    if isinstance(log_format, JsonFormat):
        return log_format.paths.get(name, name), lambda text: text or None
    number = _CAPTURE.fullmatch(name)
    if number is not None and "captures" in log_format.fields:
        return "captures", lambda text: _capture(text, int(number[1]))
    plain = name.removeprefix("$")
    found = plain if plain in log_format.fields else _ROLES.get(plain, plain)
    if found in log_format.fields:
        return found, lambda text: None if text in ("-", "", '""') else log_format.unescapes(text)
    raise ValueError(f"the format {log_format.name} has no field {quote(name)}; it has {', '.join(log_format.fields)}")


def _capture(text: str, number: int) -> str | None:
    parts = text.strip(" {}").split("|")
    return _unhash(parts[number - 1]) or None if number <= len(parts) else None


# -- Finding a format ---------------------------------------------------------

FORMATS: Final[dict[str, LogFormat]] = {
    each.name: each
    for each in (
        TextFormat("common", _COMMON, unescape),
        TextFormat("combined", (*_COMMON, *_AGENTS), unescape),
        TextFormat("haproxy", _HAPROXY, _unhash),
        TextFormat("alb", _ALB, unescape),
        TextFormat("traefik", _TRAEFIK, unescape),
        _CADDY,
        _TRAEFIK_JSON,
        JsonFormat("json", {}),
    )
}
"""The formats that have a name.  "json" knows no field; the user names them."""


def format_named(name: str) -> LogFormat:
    """Give the format of a name, or the one that a text of nginx's `log_format` describes.

    Raises:
        ValueError: there is none, or the text describes none.
    """
    if "$" in name:
        return nginx_format(name)
    if name in FORMATS:
        return FORMATS[name]
    known = ", ".join(["auto", *FORMATS])
    raise ValueError(f"{quote(name)} is no format of a log; there are {known}, or nginx's log_format with its $")


def formats_of(lines: Iterable[str]) -> list[LogFormat]:
    """Find the formats that read at least one of some lines; "json" is none of them, as it knows no fields."""
    lines = list(lines)
    return [each for name, each in FORMATS.items() if name != "json" and any(map(each.reads, lines))]


# -- Times --------------------------------------------------------------------

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_CLF_PARTS: Final = re.compile(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d)(\.\d+)?(?: ([+-])(\d\d)(\d\d))?")


def seconds_of(time: object, zone: tzinfo | None = None) -> float | None:
    """Read a time: a number of seconds, RFC 3339, or that of the common log format.

    Args:
        time: text or a number.
        zone: of times that name none; None if nobody knows it.
    Returns:
        POSIX seconds; None if it is no time, such as an infinite one, or one without a known zone.

    >>> seconds_of("29/Nov/2026:19:43:56 +0100"), seconds_of("2026-11-29T18:43:56Z"), seconds_of("yesterday")
    (1795977836.0, 1795977836.0, None)
    """
    try:
        if isinstance(time, int | float) and not isinstance(time, bool):
            return _finite(time)
        if not isinstance(time, str):
            return None
        found = _CLF_PARTS.fullmatch(time)
        if found is not None:
            return _seconds_of_clf(found, zone)
        if re.fullmatch(r"\d+(\.\d+)?", time):
            return _finite(time)
        moment = datetime.fromisoformat(time)
    except (ValueError, OverflowError, KeyError):
        return None
    return _in_zone(moment, zone)


def _finite(number: float | str) -> float | None:
    seconds = float(number)
    return seconds if math.isfinite(seconds) else None


def _seconds_of_clf(found: re.Match[str], zone: tzinfo | None) -> float | None:
    day, month, year, hour, minute, second, part, sign, hours, minutes = found.groups()
    moment = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
    if sign is None:
        seconds = _in_zone(moment.replace(tzinfo=None), zone)
    else:
        seconds = calendar.timegm(moment.timetuple()) - int(sign + "1") * (int(hours) * 3600 + int(minutes) * 60)
    return None if seconds is None else seconds + float(part or 0)


def _in_zone(moment: datetime, zone: tzinfo | None) -> float | None:
    if moment.tzinfo is None:
        if zone is None:
            return None
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()
