"""Access logs: each format as its product writes it, what clients may write into it, and what cannot be read.

The samples are our own, with addresses for documentation; `tests/gateways/test_real_logs.py` reads what nginx, HAProxy,
Caddy and Traefik really write.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Engine
from cidrmatch.advice.replay import replay
from cidrmatch.client import PeerAddress, TrustedProxies
from cidrmatch.engine.recorded import RecordedRequest
from cidrmatch.files import access_logs, log_formats, log_streams
from cidrmatch.files.access_logs import AccessLog, AccessLogError, LogOptions
from cidrmatch.files.log_formats import (
    FORMATS,
    TextFormat,
    field_named,
    format_named,
    formats_of,
    nginx_format,
    seconds_of,
    unescape,
)

COMMON = '203.0.113.7 - key_1 [29/Nov/2026:19:43:56 +0000] "GET /v1/items?page=2 HTTP/1.1" 200 512'
COMBINED = COMMON + ' "https://www.example.com/" "curl/8.5 (x; \\"y\\")"'
TRAEFIK = COMBINED + ' 17 "api@file" "http://192.0.2.80:8080" 3ms'
HAPROXY = (
    "203.0.113.7:33317 [29/Nov/2026:19:43:56.655] https-in~ app/app1 10/0/30/69/109 200 2750 - - ---- "
    '1/1/1/1/0 0/0 {key_1|curl/8.5 #7Bx#7D} {nginx} "GET /v1/items?page=2 HTTP/1.1"'
)
ALB = (
    "h2 2026-11-29T19:43:56.186641Z app/my-loadbalancer/50dc6c495c0c9188 203.0.113.7:46532 192.0.2.80:8080 "
    '0.000 0.001 0.000 200 200 34 366 "GET https://www.example.com:443/v1/items?page=2 HTTP/2.0" "curl/8.5" '
    "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/73 "
    '"Root=1-58337364-23a8c76965a2ef7629b185e3" "www.example.com" "session-reused" 0 2026-11-29T19:43:56.185641Z '
    '"forward" "-" "-" "192.0.2.80:8080" "200" "-" "-" TID_1234abcd5678ef90'
)
CADDY = json.dumps(
    {
        "level": "info",
        "ts": 1795981436.5,
        "logger": "http.log.access.log0",
        "msg": "handled request",
        "request": {
            "remote_ip": "192.0.2.1",
            "remote_port": "41342",
            "client_ip": "203.0.113.7",
            "proto": "HTTP/2.0",
            "method": "GET",
            "host": "www.example.com",
            "uri": "/v1/items?page=2",
            "headers": {"X-Forwarded-For": ["198.51.100.9"], "X-Api-Key": ["key_1"]},
        },
        "user_id": "key_1",
        "duration": 0.0009,
        "size": 10900,
        "status": 200,
    }
)
TRAEFIK_JSON = json.dumps(
    {
        "ClientAddr": "192.0.2.1:52002",
        "ClientHost": "203.0.113.7",
        "ClientPort": "52002",
        "ClientUsername": "key_1",
        "DownstreamStatus": 200,
        "RequestMethod": "GET",
        "RequestPath": "/v1/items?page=2",
        "StartUTC": "2026-11-29T19:43:56.5Z",
        "request_X-Forwarded-For": "198.51.100.9",
        "time": "2026-11-29T19:43:57Z",
    }
)
SAMPLES = {
    "common": COMMON,
    "combined": COMBINED,
    "traefik": TRAEFIK,
    "haproxy": HAPROXY,
    "alb": ALB,
    "caddy": CADDY,
    "traefik-json": TRAEFIK_JSON,
}
NOON = 1795981436.0


def log_of(tmp_path: Path, *lines: str, name: str = "access.log", **options: Any) -> AccessLog:
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape")
    return AccessLog(path, LogOptions(**options))


def addresses_of(log: AccessLog) -> list[str | None]:
    return [request.address for request in log]


# -- Each format --------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_B28_each_format_is_recognised_and_read_as_one_request(name: str, tmp_path: Path) -> None:
    field = "capture.1" if name == "haproxy" else None if name == "alb" else "user"
    log = log_of(tmp_path, SAMPLES[name], key_field=field, zone=ZoneInfo("UTC"), blocked_status=403)
    (request,) = log
    part = {"haproxy": 0.655, "alb": 0.186641, "caddy": 0.5, "traefik-json": 0.5}.get(name, 0.0)
    path = "https://www.example.com:443/v1/items?page=2" if name == "alb" else "/v1/items?page=2"
    assert request == RecordedRequest(
        None if name == "alb" else "key_1",
        "203.0.113.7",
        time=NOON + part,
        method="GET",
        path=path,
        allowed=True,
        place=f"{tmp_path}/access.log:1",
    )
    assert (log.requests, log.unreadable) == (1, 0)
    assert log.format is FORMATS[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_one_format_and_no_damaged_sample_has_any(name: str) -> None:
    assert [each.name for each in formats_of([SAMPLES[name]])] == [name]
    line = SAMPLES[name]
    for damaged in (line[:20], line[5:] if "{" in name else "", "x", line.replace(" ", "", 3)):
        assert all(each.name == name for each in formats_of([damaged])), damaged


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (COMMON.replace("203.0.113.7", "2001:db8::7"), "2001:db8::7"),
        (COMMON.replace("203.0.113.7", "host.example.com"), "host.example.com"),
        (COMMON.replace("key_1", "-"), "203.0.113.7"),
        (COMMON.replace("key_1", "John Doe"), "203.0.113.7"),
        (COMMON.replace("key_1", '""'), "203.0.113.7"),
        (COMMON.replace("key_1", '""').replace("/v1", r"/\"v1"), "203.0.113.7"),
        (COMMON.replace("512", "-"), "203.0.113.7"),
        (COMMON.replace("GET /v1/items?page=2 HTTP/1.1", "-"), "203.0.113.7"),
        (COMMON.replace("GET /v1/items?page=2 HTTP/1.1", r"\x16\x03\x01"), "203.0.113.7"),
        (HAPROXY.replace("203.0.113.7", "2001:db8::7"), "2001:db8::7"),
        (HAPROXY.replace("203.0.113.7", "unix"), "unix"),
        ("Nov 29 19:43:56 localhost haproxy[14389]: " + HAPROXY, "203.0.113.7"),
        ("<134>1 2026-11-29T19:43:56.817934+02:00 - haproxy 266980 - - " + HAPROXY, "203.0.113.7"),
        (HAPROXY.replace(" {key_1|curl/8.5 #7Bx#7D} {nginx}", ""), "203.0.113.7"),
        (HAPROXY.replace(" {nginx}", ""), "203.0.113.7"),
        (HAPROXY.replace("GET /v1/items?page=2 HTTP/1.1", "<BADREQ>"), "203.0.113.7"),
        (HAPROXY.replace("10/0/30/69/109 200", "-1/-1/-1/-1/+109 -1"), "203.0.113.7"),
        (HAPROXY.removesuffix('"'), "203.0.113.7"),
        (HAPROXY + " 0/0000000000000000/0/0/0 www.example.com/TLSv1.3/TLS_AES_256_GCM_SHA384", "203.0.113.7"),
        (ALB.replace("203.0.113.7", "2001:db8::7"), "2001:db8::7"),
        (ALB.replace("203.0.113.7", "[2001:db8::7]"), "2001:db8::7"),
        (ALB.replace("192.0.2.80:8080 0.000 0.001 0.000 200 200", "- -1 -1 -1 460 -"), "203.0.113.7"),
        (ALB.partition(" TID_")[0], "203.0.113.7"),
        (ALB + " a_new_field", "203.0.113.7"),
        (TRAEFIK.replace("203.0.113.7", "198.51.100.9, 203.0.113.7"), "198.51.100.9, 203.0.113.7"),
    ],
)
def test_B28_the_client_is_read_from_each_variant_of_a_line(line: str, address: str, tmp_path: Path) -> None:
    log = log_of(tmp_path, line)
    assert (addresses_of(log), log.problems) == ([address], [])


def test_fields_that_say_nothing_are_none(tmp_path: Path) -> None:
    line = COMMON.replace("key_1", "-").replace("GET /v1/items?page=2 HTTP/1.1", "-").replace(" 200 ", " - ")
    (request,) = log_of(tmp_path, line, key_field="user", blocked_status=403)
    assert (request.key, request.method, request.path, request.allowed) == (None, None, "-", None)
    assert [each.key for each in log_of(tmp_path, COMMON.replace("key_1", '""'), key_field="user")] == [None]
    (request,) = log_of(tmp_path, HAPROXY, key_field="capture.9")
    assert (request.key, request.time) == (None, None)
    (request,) = log_of(tmp_path, HAPROXY, key_field="capture.2", zone=ZoneInfo("Europe/Vienna"))
    assert (request.key, request.time) == ("curl/8.5 {x}", NOON + 0.655 - 3600)


@pytest.mark.parametrize(
    ("statuses", "blocked", "expected"),
    [
        (("403", '"403"', "403.0", "200", "200.0"), 403, [False, False, False, True, True]),
        (("403.0", "403"), 403, [False, False]),
        (("0", '"000"', "-1", "true", "null", "403.5", "1e400", '"x"', "[]"), 403, [None] * 9),
        (("0", "1"), 1, [True, False]),  # codes of a log's own
    ],
)
def test_a_status_that_no_server_sends_tells_no_answer(
    statuses: Sequence[str], blocked: int, expected: list[bool | None], tmp_path: Path
) -> None:
    lines = [f'{{"ip": "203.0.113.7", "s": {status}}}' for status in statuses]
    log = log_of(tmp_path, *lines, log_format="json", address_field="ip", status_field="s", blocked_status=blocked)
    assert [request.allowed for request in log] == expected


@pytest.mark.parametrize("name", ["key", "schlüssel", "x-forwarded-for"])
def test_a_field_that_stands_twice_makes_its_line_unreadable(name: str, tmp_path: Path) -> None:
    lines = [f'{{"ip": "192.0.2.1", "{name}": "a", "{name}": "b"}}', f'{{"ip": "192.0.2.1", "{name}": "c"}}']
    options: dict[str, Any] = {"log_format": "json", "address_field": "ip"}
    if name == "x-forwarded-for":
        options |= {"header_field": name, "client": TrustedProxies(["192.0.2.0/24"])}
    else:
        options["key_field"] = name
    log = log_of(tmp_path, *lines, **options)
    assert (len(list(log)), log.unreadable, log.problems[0].reason) == (1, 1, f"the key {name!a} stands twice")


def test_escaped_fields_are_what_the_client_sent(tmp_path: Path) -> None:
    lines = [COMMON.replace("key_1", text) for text in (r"a\x22b", r"a\"b", r"\xc3\xbc", r"a\\x22")]
    assert [request.key for request in log_of(tmp_path, *lines, key_field="user")] == ['a"b', 'a"b', "ü", r"a\x22"]
    assert unescape(r"\t\n\q") == "\t\nq"


# -- What clients write -------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '6.6.6.6 - - [01/Jan/2020:00:00:00 +0000] \\"GET / HTTP/1.1\\" 200 1',
        "x] \\x22GET /6.6.6.6",
        " 6.6.6.6 ",
        "\\\\",
        "{}[]|",
    ],
)
def test_C23_what_a_client_writes_into_a_line_never_becomes_the_address(text: str, tmp_path: Path) -> None:
    for name in ("common", "combined", "traefik", "alb"):
        for part in ("/v1/items?page=2", "curl/8.5", "key_1"):
            log = log_of(tmp_path, SAMPLES[name].replace(part, text), log_format=name)
            assert addresses_of(log) in ([], ["203.0.113.7"])
            assert log.requests + log.unreadable == 1


def test_traefik_does_not_escape_a_request_and_its_end_is_found_all_the_same(tmp_path: Path) -> None:
    path = '/v1?q="6.6.6.6" 404 "a" "b'
    lines = [TRAEFIK.replace("/v1/items?page=2", text) for text in (path, '/v1" 404 1 "', '/v1" - - "')]
    log = log_of(tmp_path, *lines, log_format="traefik", blocked_status=404)
    (request,) = log
    assert (request.address, request.path, request.allowed) == ("203.0.113.7", path, True)
    assert log.unreadable == 2  # which of two answers is the true one, nobody can know
    (request,) = log_of(tmp_path, TRAEFIK.replace("curl/8.5", '\\" 404 1 \\"\\'), blocked_status=404)
    assert request.allowed is True


# -- nginx's log_format -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "address"),
    [
        ("$remote_addr $status", "203.0.113.7 200", "203.0.113.7"),
        ("${remote_addr}:$remote_port|$host", "2001:db8::7:41342|www.example.com", "2001:db8::7"),
        ('$http_x_id $remote_addr "$request" $status', '- 203.0.113.7 "GET / HTTP/1.1" 200', "203.0.113.7"),
        ('"$http_user_agent" $remote_addr', r'"a 6.6.6.6\x22 b" 203.0.113.7', "203.0.113.7"),
        ("[$time_local] $remote_addr", "[29/Nov/2026:19:43:56 +0000] 203.0.113.7", "203.0.113.7"),
        ("$msec $remote_addr $request_method $request_uri", "1795981436.500 203.0.113.7 GET /v1", "203.0.113.7"),
        ("$time_iso8601 $remote_addr", "2026-11-29T19:43:56+00:00 203.0.113.7", "203.0.113.7"),
        ("a.b $remote_addr", "a.b 203.0.113.7", "203.0.113.7"),
        ("$remote_addr", "unix:", "unix:"),
    ],
)
def test_a_log_format_of_nginx_is_read(text: str, line: str, address: str, tmp_path: Path) -> None:
    log = log_of(tmp_path, line, log_format=text)
    assert (addresses_of(log), log.problems) == ([address], [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("$http_x $remote_addr $status", "6.6.6.6 200 203.0.113.7 200"),
        ("$http_x-$remote_addr-$http_y end", "7-6.6.6.6-1-203.0.113.7-y end"),
        ("$http_x|$remote_addr", "a|6.6.6.6|203.0.113.7"),
        ('"$http_x" $remote_addr', '"a" 6.6.6.6" 203.0.113.7'),
        ('"$http_x" "$http_y" $remote_addr', r'"x\" "y" 203.0.113.7'),
        ("$remote_addr $status", "203.0.113.7 2000"),
        ("a.b $remote_addr", "axb 203.0.113.7"),
        ("$remote_addr $status", " 203.0.113.7 200"),
    ],
)
def test_C23_a_value_that_runs_into_its_neighbour_makes_a_line_unreadable(text: str, line: str, tmp_path: Path) -> None:
    log = log_of(tmp_path, line, log_format=text)
    assert (addresses_of(log), log.unreadable) == ([], 1)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"a":"$remote_addr"}', "is read by the format json"),
        ("$remote_addr$status", r"nothing parts \$remote_addr from \$status"),
        ("$request $remote_addr", r"\$request has blanks in it"),
        ("$remote_addr $host $host", r"the variable \$host stands twice"),
        ("$ ", "has none"),
        ("combine", "'combine' is no format of a log; there are auto, common, combined, .*, or nginx's log_format"),
    ],
)
def test_a_format_that_is_none_is_refused_with_the_reason(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        format_named(text)


def test_the_first_variable_of_a_role_has_it_and_others_keep_their_names() -> None:
    found = nginx_format("$remote_addr $time_local $msec $host")
    assert found.fields == ("address", "time", "msec", "host")
    assert field_named(found, "$host")[0] == "host"
    assert field_named(found, "remote_addr")[0] == "address"
    with pytest.raises(ValueError, match="has no field 'user'; it has address, time, msec, host"):
        field_named(found, "user")


# -- JSON ---------------------------------------------------------------------


def test_json_is_read_by_the_names_that_the_user_gives(tmp_path: Path) -> None:
    line = json.dumps(
        {"client": {"ip": "203.0.113.7"}, "a.b": "key_1", "t": "2026-11-29T19:43:56Z", "s": "403", "m": "PUT"}
    )
    options: dict[str, Any] = {
        "log_format": "json",
        "address_field": "client.ip",
        "key_field": r"a\.b",
        "time_field": "t",
        "status_field": "s",
        "method_field": "m",
        "path_field": "p",
        "blocked_status": 403,
    }
    (request,) = log_of(tmp_path, line, **options)
    assert request == RecordedRequest(
        "key_1", "203.0.113.7", time=NOON, method="PUT", allowed=False, place=f"{tmp_path}/access.log:1"
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON: "),
        ('["203.0.113.7"]', "is not an object but a list"),
        ("{}", "the field 'ip' is missing"),
        ('{"ip": {"ip": "203.0.113.7"}}', "the field 'ip' must be a text, not an object"),
        ('{"ip": 5}', "the field 'ip' must be a text, not a number"),
        ('{"ip": "6.6.6.6", "ip": "203.0.113.7"}', "the key 'ip' stands twice"),
        ('{"ip": "203.0.113.7", "key": 5}', "the field 'key' must be a text, not a number"),
        ("[" * 100_000, ""),
    ],
)
def test_a_line_of_json_that_cannot_be_read_is_told(line: str, reason: str, tmp_path: Path) -> None:
    log = log_of(tmp_path, line, '{"ip": "203.0.113.8"}', log_format="json", address_field="ip", key_field="key")
    assert addresses_of(log) == ["203.0.113.8"]
    (problem,) = log.problems
    assert (problem.place, log.unreadable) == (f"{tmp_path}/access.log:1", 1)
    assert problem.reason.startswith(reason)


def test_a_key_may_be_the_one_value_of_a_header(tmp_path: Path) -> None:
    lines = [CADDY, CADDY.replace('["key_1"]', '["key_1", "key_2"]'), CADDY.replace('["key_1"]', "{}")]
    log = log_of(tmp_path, *lines, key_field="request.headers.X-Api-Key")
    assert [request.key for request in log] == ["key_1"]
    assert [problem.reason for problem in log.problems] == [
        "the field 'request.headers.X-Api-Key' must be a text, not a list",
        "the field 'request.headers.X-Api-Key' must be a text, not an object",
    ]


def test_C23_a_null_address_is_an_unknown_client_and_not_an_unreadable_line(tmp_path: Path) -> None:
    log = log_of(tmp_path, '{"ip": null}', log_format="json", address_field="ip")
    assert (addresses_of(log), log.unreadable) == ([None], 0)


def test_an_old_caddy_without_client_ip_is_told_and_can_be_read_by_another_field(tmp_path: Path) -> None:
    line = CADDY.replace('"client_ip": "203.0.113.7", ', "")
    log = log_of(tmp_path, line)
    assert (addresses_of(log), [problem.reason for problem in log.problems]) == (
        [],
        ["the field 'request.client_ip' is missing"],
    )
    assert addresses_of(log_of(tmp_path, line, address_field="request.remote_ip")) == ["192.0.2.1"]


# -- Behind proxies -----------------------------------------------------------

BEHIND: dict[str, Any] = {"client": TrustedProxies(["192.0.2.0/24"]), "header": "x-forwarded-for"}


@pytest.mark.parametrize(
    ("line", "options", "address"),
    [
        (CADDY, {"header_field": "request.headers.X-Forwarded-For"}, "198.51.100.9"),
        (TRAEFIK_JSON, {"header_field": "request_X-Forwarded-For"}, "198.51.100.9"),
        (TRAEFIK_JSON.replace('"192.0.2.1:52002"', '"[2001:db8::7]:5"'), {"header_field": "x"}, "2001:db8::7"),
        ("192.0.2.1 6.6.6.6,\\x20198.51.100.9", {"log_format": "$remote_addr $http_x_forwarded_for"}, "198.51.100.9"),
        ("192.0.2.1 -", {"log_format": "$remote_addr $http_x_forwarded_for"}, None),
        ("192.0.2.1 junk", {"log_format": "$remote_addr $http_x_forwarded_for"}, None),
        ("203.0.113.7 198.51.100.9", {"log_format": "$remote_addr $http_x_forwarded_for"}, "203.0.113.7"),
    ],
)
def test_B28_a_header_is_asked_by_a_strategy_and_only_of_a_trusted_peer(
    line: str, options: dict[str, Any], address: str | None, tmp_path: Path
) -> None:
    options = {"header_field": "http_x_forwarded_for"} | options
    assert addresses_of(log_of(tmp_path, line, **BEHIND, **options)) == [address]
    del options["header_field"]
    assert addresses_of(log_of(tmp_path, line, **options)) != [address] or address == "203.0.113.7"


def test_several_lines_of_a_header_are_one_list(tmp_path: Path) -> None:
    line = CADDY.replace('["198.51.100.9"]', '["6.6.6.6", "198.51.100.9, 192.0.2.5"]')
    log = log_of(tmp_path, line, **BEHIND, header_field="request.headers.X-Forwarded-For")
    assert addresses_of(log) == ["198.51.100.9"]
    log = log_of(tmp_path, line, **BEHIND, header_field="request.headers")
    assert (addresses_of(log), log.problems[0].reason) == (
        [],
        "the field 'request.headers' must be a text or a list of texts",
    )


def test_what_was_seen_before_is_forgotten_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_logs, "_MOST_MEMORIES", 2)
    lines = [f"192.0.2.1 198.51.100.{number % 5} {1_000 + number}.000" for number in range(20)]
    log_format = "$remote_addr $http_x_forwarded_for $msec"
    requests = list(log_of(tmp_path, *lines, **BEHIND, log_format=log_format, header_field="http_x_forwarded_for"))
    assert [request.address for request in requests] == [f"198.51.100.{number % 5}" for number in range(20)]
    assert [request.time for request in requests] == [1_000.0 + number for number in range(20)]


# -- What cannot be read ------------------------------------------------------


def test_lines_that_cannot_be_read_are_counted_and_told_with_their_places(tmp_path: Path) -> None:
    bad = [COMMON.replace("200", "2000"), "", "   ", COMBINED, "x" * 200, COMMON.replace("[29/Nov", "[29/XXX"), "\x00"]
    log = log_of(tmp_path, COMMON, *bad, COMMON + "\r", log_format="common")
    requests = list(log)
    assert [request.place for request in requests] == [f"{tmp_path}/access.log:{line}" for line in (1, 9)]
    assert (log.requests, log.unreadable) == (2, 5)
    assert [problem.place.rpartition(":")[2] for problem in log.problems] == ["2", "5", "6", "7", "8"]
    assert [problem.reason for problem in log.problems] == [
        f"is not common: bytes was expected after column {COMMON.index(' 512')}",
        f"is not common: its end was expected after column {len(COMMON)}",
        "is not common: ident was expected after column 200",
        "is not common: time was expected after column 21",
        "is not common: ident was expected after column 1",
    ]
    assert log.problems[4].to_dict()["line"] == r"'\x00'"
    assert repr(log).endswith("access.log': 2 requests, 5 lines unreadable>") or "2 requests, 5 lines" in repr(log)


def test_few_problems_are_told_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{COMMON}\n" + "junk\n" * 50, encoding="utf-8")
    log = AccessLog(path, most_problems=3)
    assert len(list(log)) == 1
    assert (log.unreadable, len(log.problems)) == (50, 3)


def test_two_formats_in_one_log_are_both_named_and_none_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(AccessLogError, match=r"access.log: its first lines fit common and combined; name the format"):
        list(log_of(tmp_path, COMMON, COMBINED))
    both = json.dumps(json.loads(CADDY) | json.loads(TRAEFIK_JSON))
    with pytest.raises(AccessLogError, match="fit caddy and traefik-json"):
        list(log_of(tmp_path, both))
    log = log_of(tmp_path, COMMON, COMBINED, log_format="combined")
    assert (len(list(log)), log.unreadable) == (1, 1)


@pytest.mark.parametrize("line", ["junk", '{"ip": "203.0.113.7"}', "203.0.113.7"])
def test_a_log_of_no_known_format_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(AccessLogError, match="fit no format that is known; name it"):
        list(log_of(tmp_path, line))


def test_an_empty_log_has_no_requests(tmp_path: Path) -> None:
    assert list(log_of(tmp_path)) == []
    assert list(log_of(tmp_path, "", log_format="common")) == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"key": "a", "key_field": "user"}, "name one"),
        ({"client": PeerAddress()}, "name both"),
        ({"header_field": "x"}, "name both"),
        ({"log_format": "json"}, "name that of the address"),
        ({"log_format": "jsonl"}, "is no format"),
        ({"log_format": "json", "address_field": "ip", "blocked_status": 403}, "name its field"),
        ({"log_format": "common", "key_field": "capture.1"}, "has no field 'capture.1'"),
        ({"log_format": "$remote_addr", "blocked_status": 403}, "tells no status"),
        ({"log_format": "common", "header_field": "x", "client": PeerAddress()}, "has no field 'x'"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_a_file_is_read(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        LogOptions(**options)


def test_options_that_do_not_fit_the_format_that_was_found_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the format common has no field 'capture\.1'") as caught:
        list(log_of(tmp_path, COMMON, key_field="capture.1"))
    assert not isinstance(caught.value, AccessLogError)


# -- Files and streams --------------------------------------------------------


def packed(way: str, content: bytes) -> bytes:
    half = content.index(b"\n", len(content) // 2) - 3
    parts = (content[:half], content[half:])
    if way == "gzip":
        return b"".join(map(gzip.compress, parts))
    if way == "zstd":
        return b"".join(map(zstandard.ZstdCompressor().compress, parts))
    return content


CONTENT = "".join(f"{COMMON.replace('203.0.113.7', f'198.51.{n >> 8}.{n & 255}')}\n" for n in range(20_000)).encode()
EXPECTED = [f"198.51.{n >> 8}.{n & 255}" for n in range(20_000)]


@pytest.mark.parametrize("way", ["plain", "gzip", "zstd"])
def test_a_file_is_decompressed_by_its_first_bytes_through_all_its_parts(way: str, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(packed(way, CONTENT).removesuffix(b"\n") if way == "plain" else packed(way, CONTENT))
    seen: list[tuple[int, int | None]] = []
    log = AccessLog(path, watch=lambda done, size: seen.append((done, size)))
    requests = list(log)
    assert [request.address for request in requests] == EXPECTED
    assert requests[-1].place == f"{path}:20000"
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert len(seen) > 1


@pytest.mark.parametrize("way", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "turned"])
def test_a_damaged_file_is_told_and_never_taken_for_its_end(way: str, damage: str, tmp_path: Path) -> None:
    content = bytearray(packed(way, CONTENT))
    if damage == "cut":
        del content[-9:]
    else:
        content[len(content) // 3] ^= 0x55
        content[len(content) // 3 + 1] ^= 0x55
    path = tmp_path / "access.log"
    path.write_bytes(content)
    with pytest.raises(AccessLogError, match="cannot be read: "):
        list(AccessLog(path))


def test_of_a_file_as_standard_input_only_what_is_left_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(CONTENT)
    with path.open("rb") as file, monkeypatch.context() as patched:
        file.readline()
        patched.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert addresses_of(AccessLog("-")) == EXPECTED[1:]


def test_standard_input_is_read_also_from_a_slow_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    content = gzip.compress(CONTENT)

    def write() -> None:
        with open(writing, "wb", buffering=0) as pipe:
            pipe.write(content[:1])
            threading.Event().wait(0.05)
            pipe.writelines(content[start : start + 50_000] for start in range(1, len(content), 50_000))

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[tuple[int, int | None]] = []
    with open(reading, "rb") as pipe, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", SimpleNamespace(buffer=pipe))
        log = AccessLog("-", watch=lambda done, size: seen.append((done, size)))
        assert addresses_of(log) == EXPECTED
        assert (log.name, seen[-1]) == ("<stdin>", (len(content), None))
    writer.join()


def test_what_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (tmp_path / "none.log", tmp_path, "a\0b"):
        with pytest.raises(AccessLogError, match="cannot be read: "):
            list(AccessLog(source))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AccessLogError, match="there is no standard input"):
        list(AccessLog("-"))


def test_without_zstd_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "access.log.zst"
    path.write_bytes(packed("zstd", CONTENT))

    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(AccessLogError, match=r"install cidrmatch\[zstd\], use Python 3.14, or pipe it"):
        list(AccessLog(path))


def test_a_line_without_an_end_is_refused_before_memory_is_full(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(COMMON.encode() + b"\n" + b"x" * (3 << 20))
    with pytest.raises(AccessLogError, match=r"access.log:2: has a line of more than 1,048,576 bytes"):
        list(AccessLog(path, LogOptions(log_format="common")))


def test_blocks_part_lines_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_streams, "_BLOCK", 1_000)
    path = tmp_path / "access.log"
    path.write_bytes(CONTENT[:50_000])
    assert [batch.addresses for batch in AccessLog(path).batches()] != [EXPECTED]
    complete = CONTENT[:50_000].count(b"\n")
    assert addresses_of(AccessLog(path, LogOptions(log_format="common")))[:complete] == EXPECTED[:complete]


def test_bytes_that_are_no_utf_8_cost_one_answer_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(COMMON.encode().replace(b"key_1", b"\xff") + b"\n" + COMMON.encode() + b"\n")
    engine = Engine()
    engine.put_key("key_1", ["203.0.113.0/24"])
    report = replay(AccessLog(path, LogOptions(key_field="user", blocked_status=403)), engine)
    assert (report.still_allowed, report.newly_blocked.requests) == (1, 1)
    assert report.newly_blocked.by_key[0].name == "\udcff"


# -- Times --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("29/Nov/2026:19:43:56 +0000", NOON),
        ("29/Nov/2026:14:13:56 -0530", NOON),
        ("29/Nov/2026:20:43:56 +0100", NOON),
        ("2026-11-29T19:43:56Z", NOON),
        ("2026-11-29T20:43:56.250+01:00", NOON + 0.25),
        ("1795981436.250", NOON + 0.25),
        (NOON, NOON),
        (int(NOON), NOON),
        (10**400, None),
        ("9" * 400, None),
        (float("inf"), None),
        (float("nan"), None),
        ("31/Feb/2026:19:43:56 +0000", None),
        ("29/Foo/2026:19:43:56 +0000", None),
        ("2026-11-29T19:43:56", None),
        ("29/Nov/2026:19:43:56.000", None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_a_time_is_read_only_if_its_zone_is_known(time: object, seconds: float | None) -> None:
    assert seconds_of(time) == seconds


# -- Line by line -------------------------------------------------------------


def slow_twin(line: str) -> str | None:
    """The client of a common line, found by cutting at blanks, brackets and quotes from both ends."""
    head, closing, rest = line.partition('] "')
    head, bracket, time = head.rpartition(" [")
    request, quote, tail = rest.rpartition('" ')
    words = head.split(" ", 2)
    numbers = tail.split(" ")
    escaped, user = request.replace("\\\\", "").replace('\\"', ""), words[-1].replace('\\"', "")
    is_line = (
        bracket and closing and quote and len(words) == 3 and all(words) and len(numbers) == 2
        and '"' not in escaped and not escaped.endswith("\\")
        and ('"' not in user or user == '""')
        and (numbers[0] == "-" or (numbers[0].isdecimal() and len(numbers[0]) == 3))
        and (numbers[1] == "-" or numbers[1].isdecimal())
        and seconds_of(time) is not None
    )  # fmt: skip
    return words[0] if is_line else None


parts = st.sampled_from(
    ["203.0.113.7", "-", "key_1", "[", "]", '"', '\\"', "\\", " ", "200", "2000", "29/Nov/2026:19:43:56 +0000", "GET /"]
)


@given(
    st.lists(st.lists(parts, max_size=12).map("".join) | st.just(COMMON) | st.just(""), max_size=8), st.integers(0, 99)
)
def test_B28_a_block_is_read_as_its_lines_one_by_one(lines: list[str], cut: int) -> None:
    lines = [line[:cut] + line[cut + 1 :] if line == COMMON else line for line in lines]
    log_format = FORMATS["common"]
    assert isinstance(log_format, TextFormat)
    expected = [found for line in lines if (found := slow_twin(line)) is not None]
    assert [line.partition(" ")[0] for line in lines if log_format.reads(line)] == expected
    log = AccessLog("-", LogOptions(log_format="common"))
    reader = access_logs._TextReader(log, log_format, access_logs._Plan(log_format, log.options))
    content = "".join(f"{line}\n" for line in lines)
    batch = reader.take(log_streams.Block(content, 1, len(lines), '\\"' in content))
    assert list(batch.addresses) == expected
    assert log.unreadable == len([line for line in lines if line.strip()]) - len(expected)
    for index, address in enumerate(expected):
        assert batch.row(index).address == address
        assert lines[int(str(batch.row(index).place).rpartition(":")[2]) - 1].startswith(f"{address} ")


def test_B31_a_replay_of_a_log_is_asking_line_by_line(tmp_path: Path) -> None:
    lines = [
        COMMON.replace("203.0.113.7", f"198.51.{n % 300}.{n % 7}")
        .replace("key_1", f"key_{n % 3}")
        .replace(" 200 ", f" {200 + n % 2 * 203} ")
        for n in range(3_000)
    ]
    engine = Engine()
    for number in range(3):
        engine.put_key(f"key_{number}", [f"198.51.{number * 64}.0/18"])
    log = log_of(tmp_path, *lines, key_field="user", blocked_status=403)
    report = replay(log, engine)
    newly = {True: 0, False: 0}
    for line in lines:
        address, _, key = line.split(" ")[:3]
        will = engine.allows(key, address)
        if will != (" 200 " in line):
            newly[will] += 1
    assert (report.newly_allowed.requests, report.newly_blocked.requests) == (newly[True], newly[False])
    assert min(newly.values()) > 0
    assert report.without_address == sum(n % 300 > 255 for n in range(3_000))


def test_a_list_needs_no_key(tmp_path: Path) -> None:
    report = replay(log_of(tmp_path, COMMON), AllowList(["192.0.2.1"]), AllowList(["0.0.0.0/0"]))
    (example,) = report.newly_blocked.examples
    assert (example.request.path, example.request.key) == ("/v1/items?page=2", None)


def test_the_names_of_the_formats_are_those_that_are_documented() -> None:
    assert set(FORMATS) == {*SAMPLES, "json"}
    for name in FORMATS:
        assert f"| {name} |" in str(log_formats.__doc__) or name in ("common", "combined", "json")
