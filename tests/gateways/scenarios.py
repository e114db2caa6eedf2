"""What every framework's tests ask, of the host in `host.py`, through whatever server and framework stand between.

An `ask` sends a key and header lines, and gives the `Reply`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

from tests.gateways.serving import Reply, send

Ask: TypeAlias = Callable[..., Reply]

HOME, AWAY = "203.0.113.9", "198.51.100.1"
BODY = b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'
"""What bitbybit documents (B3)."""
AT_HOME, AT_AWAY = f"X-Forwarded-For: {HOME}", f"X-Forwarded-For: {AWAY}"

WHO: tuple[tuple[list[str], int, str | None], ...] = (
    ([AT_HOME], 200, HOME),
    ([f"X-Forwarded-For: 6.6.6.6, {HOME}, 10.0.0.8"], 200, HOME),
    (["X-Forwarded-For: 6.6.6.6", f"x-forwarded-for: {HOME}", "X-FORWARDED-FOR: 10.0.0.8"], 200, HOME),
    (["X-Forwarded-For: [2001:db8::9]:4711"], 200, "2001:db8::9"),
    ([AT_AWAY], 403, AWAY),
    ([f"X-Forwarded-For: {HOME}, {AWAY}"], 403, AWAY),
    ([f"X-Forwarded-For: {HOME}", f"X-Forwarded-For: {AWAY}"], 403, AWAY),
    ([f"X-Forwarded-For: {HOME}, junk"], 403, None),
    (["X-Forwarded-For: 10.0.0.8"], 403, None),
    ([], 403, None),
    ([f"X-Real-IP: {HOME}", f"Forwarded: for={HOME}"], 403, None),
)


def see_who_is_judged(ask: Ask) -> None:
    """B2, B5, B6, B28: each request is judged, by any entry, and the address is shown."""
    for lines, status, address in WHO * 2:
        reply = ask("key_1", *lines)
        assert (reply.status, reply.address) == (status, address), (lines, reply)
        if status == 200:
            assert reply.reason == "matched"
        else:
            assert json.loads(reply.body)["error"] == {
                "code": "IP_NOT_ALLOWED",
                "message": "Request IP address is not in the API key's allowlist",
                "address": address,
            }


def see_the_headers(port: int | str) -> None:
    """B2: the denial has the headers of the product, each once, and the bytes that they say."""
    received = send(port, f"GET / HTTP/1.1\r\nHost: test\r\nX-API-Key: key_1\r\n{AT_AWAY}\r\n\r\n".encode())
    head, _, body = received.partition(b"\r\n\r\n")
    lines = sorted(line.lower() for line in head.decode("ascii").split("\r\n")[1:])
    found = [line for line in lines if line.startswith(("content-", "cache-control"))]
    assert found == ["cache-control: no-store", f"content-length: {len(body)}", "content-type: application/json"]


def see_the_exact_body(ask: Ask) -> None:
    """B3, C26: a host that was told nothing else answers with the product's body, byte for byte, and no address."""
    for lines in ([AT_AWAY], [f"{AT_HOME}, {AWAY}"], ["X-Forwarded-For: junk"], []):
        refused = ask("key_1", *lines)
        assert (refused.status, refused.body) == (403, BODY)
    assert ask("key_1", AT_HOME).status == 200


def see_authentication_first(ask: Ask) -> None:
    """B7, B8: no key is 401 and no scope the host's 403, whatever the address; the address comes last."""
    for line in (AT_HOME, AT_AWAY, "X-Forwarded-For: junk"):
        assert ask(None, line).status == 401
        assert ask("nobody", line).status == 401
        refused = ask("no_scope", line)
        assert (refused.status, refused.body) == (403, b"INSUFFICIENT_SCOPE")
    assert ask("open", "X-Forwarded-For: junk").reason == "unrestricted"


def see_errors_deny(ask: Ask) -> None:
    """C23: what the host's functions raise lets nobody in, and is answered."""
    for key in ("raises", "broken"):
        for line in (AT_HOME, AT_AWAY):
            assert ask(key, line).status == 503, key
    assert ask("key_1", AT_HOME).status == 200


def see_the_answer_of_unkey(ask: Ask, key: str = "key_1") -> None:
    """U1, U6, U7, U8: an unlisted address is told FORBIDDEN and the key's id."""
    for _ in range(2):
        reply = ask(key, AT_AWAY)
        assert reply.status == 403
        assert json.loads(reply.body) == {
            "data": {"valid": False, "code": "FORBIDDEN", "keyId": key, "address": AWAY}
        }  # fmt: skip


def see_the_order_of_unkey(ask: Ask) -> None:
    """U9, U10, U11: validity wins over the address, the address over permissions, and a blocked request is free."""
    for line in (AT_HOME, AT_AWAY):
        expired = ask("expired", line)
        assert (expired.status, expired.body) == (401, b"EXPIRED")
    assert json.loads(ask("no_permission", AT_AWAY).body)["data"]["code"] == "FORBIDDEN"
    refused = ask("no_permission", AT_HOME)
    assert (refused.status, b"FORBIDDEN" in refused.body) == (403, False)
    for _ in range(5):
        assert ask("key_1", AT_AWAY).status == 403
    assert [ask("key_1", AT_HOME).status for _ in range(4)] == [200, 200, 429, 429]
    assert ask("key_1", AT_AWAY).status == 403


def see_the_page(ask: Ask) -> None:
    """What each page of docs/gateways promises of its lines: one key, one network, a proxy on this machine."""
    secret = "secret of key_live_1"
    allowed, denied = ask(secret, AT_HOME), ask(secret, AT_AWAY)
    assert allowed.status == 200, allowed
    assert HOME.encode() in allowed.body
    assert denied.status == 403
    assert json.loads(denied.body)["error"]["code"] == "IP_NOT_ALLOWED"
    assert ask(secret, f"X-Forwarded-For: {HOME}, {AWAY}").status == 403
    assert ask(secret).status == 403
    assert ask("another", AT_HOME).status == ask(None, AT_HOME).status == 401
