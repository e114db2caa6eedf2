"""Ready sets: header lines as each proxy sends them, and who the client is.

203.0.113.9 and 2001:db8::9 are clients, 6.6.6.6 is what a liar writes, 10.0.0.0/8 is the host's network.  192.0.2.0/24
are the addresses of a provider, and 198.51.100.200 is a stranger who goes around the proxy.
"""

from __future__ import annotations

from typing import Any

import pytest

from cidrmatch.client import ready

OURS = ["10.0.0.0/8", "fd00::/8"]
PROVIDER = ["192.0.2.0/24"]
BOTH = [*OURS, *PROVIDER]

XFF, REAL, VIEWER = "X-Forwarded-For", "X-Real-IP", "CloudFront-Viewer-Address"
CF, FASTLY = "CF-Connecting-IP", "Fastly-Client-IP"

STRATEGIES: dict[str, Any] = {
    "nginx": ready.nginx(BOTH, unix=True),
    "nginx_real_ip": ready.nginx_real_ip(OURS, unix=True),
    "haproxy": ready.haproxy(BOTH, unix=True),
    "caddy": ready.caddy(BOTH, unix=True),
    "traefik": ready.traefik(BOTH),
    "envoy": ready.envoy(BOTH, unix=True),
    "aws_alb": ready.aws_alb(BOTH),
    "aws_alb with ports": ready.aws_alb(OURS, client_port=True),
    "aws_cloudfront": ready.aws_cloudfront(PROVIDER),
    "aws_cloudfront_viewer_address": ready.aws_cloudfront_viewer_address(PROVIDER),
    "google_cloud": ready.google_cloud(PROVIDER),
    "azure_application_gateway": ready.azure_application_gateway(OURS),
    "azure_front_door": ready.azure_front_door(PROVIDER),
    "cloudflare": ready.cloudflare(PROVIDER),
    "fastly": ready.fastly(PROVIDER, set_in_vcl=True),
}

Row = tuple[str, str | None, list[tuple[str, str]], str]


def lists(peer: str) -> list[Row]:
    """What every proxy sends that appends to one X-Forwarded-For line, without ports."""
    return [
        ("the client sent nothing", peer, [(XFF, "203.0.113.9")], "203.0.113.9"),
        ("the client forged the header", peer, [(XFF, "6.6.6.6, 203.0.113.9")], "203.0.113.9"),
        ("the client forged junk", peer, [(XFF, 'unknown, "; _x, 6.6.6.6:99999,, 203.0.113.9')], "203.0.113.9"),
        ("an IPv6 client", peer, [(XFF, "6.6.6.6, 2001:db8::9")], "2001:db8::9"),
        ("the proxy is set to send no header", peer, [], "missing"),
    ]


def inner(peer: str) -> list[Row]:
    """The same, where a provider's proxy stands in front of one of the host's."""
    return [
        *lists(peer),
        ("two tiers", peer, [(XFF, "203.0.113.9, 192.0.2.44")], "203.0.113.9"),
        ("two tiers and a forged header", peer, [(XFF, "6.6.6.6, 203.0.113.9, 192.0.2.44")], "203.0.113.9"),
        ("around the first tier", peer, [(XFF, "6.6.6.6, 192.0.2.44, 198.51.100.200")], "198.51.100.200"),
        ("the inner proxy lost the first tier's header", peer, [(XFF, "192.0.2.44")], "all_trusted"),
    ]


ROWS: dict[str, list[Row]] = {
    "nginx": [
        *inner("10.0.0.7"),
        ("two lines of the client, joined", "10.0.0.7", [(XFF, "6.6.6.6, 6.6.6.7, 203.0.113.9")], "203.0.113.9"),
        ("by a UNIX socket", "", [(XFF, "6.6.6.6, 203.0.113.9")], "203.0.113.9"),
        ("nginx was reached by a UNIX socket itself", None, [(XFF, "6.6.6.6, unix:")], "malformed"),
    ],
    "nginx_real_ip": [
        ("the client sent nothing, or anything", "10.0.0.7", [(REAL, "203.0.113.9")], "203.0.113.9"),
        ("an IPv6 client", "10.0.0.7", [(REAL, "2001:db8::9")], "2001:db8::9"),
        ("a second tier passed the client's own beside its own", "10.0.0.7",
         [(REAL, "6.6.6.6"), (REAL, "203.0.113.9")], "repeated"),
        ("two values in one line", "10.0.0.7", [(REAL, "6.6.6.6, 203.0.113.9")], "malformed"),
        ("a port", "10.0.0.7", [(REAL, "203.0.113.9:4711")], "malformed"),
        ("the location has no such line", "10.0.0.7", [(XFF, "6.6.6.6, 203.0.113.9")], "missing"),
        ("by a UNIX socket", None, [(REAL, "203.0.113.9")], "203.0.113.9"),
    ],
    "haproxy": [
        *inner("10.0.0.7"),
        ("a line of its own", "10.0.0.7", [(XFF, "6.6.6.6"), ("Host", "a"), (XFF, "203.0.113.9")], "203.0.113.9"),
        ("several forged lines", "10.0.0.7", [(XFF, "6.6.6.6, 10.0.0.9"), (XFF, "10.0.0.9"), (XFF, "203.0.113.9")],
         "203.0.113.9"),
        ("two tiers, each with its line", "10.0.0.7", [(XFF, "6.6.6.6"), (XFF, "203.0.113.9"), (XFF, "10.0.0.8")],
         "203.0.113.9"),
        ("by a UNIX socket", None, [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "2001:db8::9")], "2001:db8::9"),
    ],
    "caddy": inner("10.0.0.7"),
    "traefik": [
        *inner("10.0.0.7"),
        ("X-Real-Ip is another's", "10.0.0.7", [("X-Real-Ip", "6.6.6.6"), (XFF, "203.0.113.9")], "203.0.113.9"),
    ],
    "envoy": [
        *inner("10.0.0.7"),
        ("a client of an internal address forged the other header", "10.0.0.7",
         [("x-envoy-external-address", "6.6.6.6"), ("x-forwarded-for", "10.0.0.99")], "all_trusted"),
        ("its documentation's first example", "10.0.0.7",
         [("x-forwarded-for", "203.0.113.128, 203.0.113.10, 203.0.113.1, 192.1.2.5")], "192.1.2.5"),
    ],
    "aws_alb": [
        *inner("10.0.1.7"),
        ("an IPv6 load balancer", "fd00::7", [(XFF, "6.6.6.6,2001:DB8::21f:5bff:febf:ce22:8a2e")],
         "2001:db8:0:21f:5bff:febf:ce22:8a2e"),
        ("ports are on, and nobody said so", "10.0.1.7", [(XFF, "6.6.6.6, 203.0.113.9:4711")], "malformed"),
        ("so for IPv6, with brackets", "10.0.1.7", [(XFF, "[2001:db8::9]:4711")], "malformed"),
    ],
    "aws_alb with ports": [
        ("the client sent nothing", "10.0.1.7", [(XFF, "203.0.113.9:4711")], "203.0.113.9"),
        ("the client forged the header", "10.0.1.7", [(XFF, "6.6.6.6, 203.0.113.9:4711")], "203.0.113.9"),
        ("an IPv6 client without brackets", "10.0.1.7", [(XFF, "2001:db8::9:4711")], "2001:db8::9"),
        ("an IPv6 client with brackets", "10.0.1.7", [(XFF, "[2001:db8::9]:4711")], "2001:db8::9"),
        ("ports are off after all", "10.0.1.7", [(XFF, "6.6.6.6:1, 203.0.113.9")], "malformed"),
        ("CloudFront writes none", "10.0.1.7", [(XFF, "203.0.113.9, 10.0.0.44:4711")], "malformed"),
    ],
    "aws_cloudfront": [
        *lists("192.0.2.44"),
        ("its documentation's example", "192.0.2.44", [(XFF, "192.0.3.4,192.0.3.3,192.0.3.2")], "192.0.3.2"),
    ],
    "aws_cloudfront_viewer_address": [
        ("the client sent nothing", "192.0.2.44", [(VIEWER, "203.0.113.9:46532")], "203.0.113.9"),
        ("the client forged the other header", "192.0.2.44", [(XFF, "6.6.6.6"), (VIEWER, "203.0.113.9:46532")],
         "203.0.113.9"),
        ("an IPv6 client", "192.0.2.44", [(VIEWER, "2001:db8::9:46532")], "2001:db8::9"),
        ("an IPv6 client, all groups", "192.0.2.44", [(VIEWER, "2001:db8:0:0:0:0:0:9:46532")], "2001:db8::9"),
        ("the client's own beside it", "192.0.2.44", [(VIEWER, "6.6.6.6:1"), (VIEWER, "203.0.113.9:46532")],
         "repeated"),
        ("without a port", "192.0.2.44", [(VIEWER, "203.0.113.9")], "malformed"),
        ("no policy adds it", "192.0.2.44", [(XFF, "203.0.113.9")], "missing"),
    ],
    "google_cloud": [
        ("the client sent nothing", "192.0.2.44", [(XFF, "203.0.113.9,198.51.100.1")], "203.0.113.9"),
        ("the client forged the header", "192.0.2.44", [(XFF, "6.6.6.6,203.0.113.9,198.51.100.1")], "203.0.113.9"),
        ("it forged a whole pair", "192.0.2.44", [(XFF, "6.6.6.6, 198.51.100.1,203.0.113.9,198.51.100.1")],
         "203.0.113.9"),
        ("an IPv6 client", "192.0.2.44", [(XFF, "2001:db8::9,2001:db8:1::1")], "2001:db8::9"),
        ("two tiers: the other provider's own header says more", "192.0.2.44",
         [(XFF, "203.0.113.9, 198.51.100.77,198.51.100.1")], "198.51.100.77"),
        ("one value only", "192.0.2.44", [(XFF, "203.0.113.9")], "too_few"),
        ("none", "192.0.2.44", [], "missing"),
    ],
    "azure_application_gateway": [
        ("the client sent nothing", "10.0.0.7", [(XFF, "203.0.113.9:4711")], "203.0.113.9"),
        ("the client forged the header", "10.0.0.7", [(XFF, "6.6.6.6, 203.0.113.9:4711")], "203.0.113.9"),
        ("with a port, too", "10.0.0.7", [(XFF, "6.6.6.6:80, 203.0.113.9:4711")], "203.0.113.9"),
        ("an IPv6 client without brackets", "10.0.0.7", [(XFF, "2001:db8::9:4711")], "2001:db8::9"),
        ("an IPv6 client with brackets", "10.0.0.7", [(XFF, "[2001:db8::9]:4711")], "2001:db8::9"),
        ("two gateways", "10.0.0.7", [(XFF, "6.6.6.6, 203.0.113.9:4711, 10.0.0.8:4712")], "203.0.113.9"),
        ("a rewrite rule took the port off", "10.0.0.7", [(XFF, "6.6.6.6, 203.0.113.9")], "malformed"),
        ("the same for IPv6, which must not lose its end", "10.0.0.7", [(XFF, "2001:db8:1:2:3:4:5:6")], "malformed"),
        ("none", "10.0.0.7", [], "missing"),
    ],
    "azure_front_door": [
        *lists("192.0.2.44"),
        ("the client's own word in the other headers", "192.0.2.44",
         [("X-Azure-ClientIP", "6.6.6.6"), ("X-Azure-SocketIP", "6.6.6.6"), (XFF, "6.6.6.6, 203.0.113.9")],
         "203.0.113.9"),
        ("two addresses of its own", "192.0.2.44", [(XFF, "6.6.6.6, 203.0.113.9, 192.0.2.45")], "203.0.113.9"),
    ],
    "cloudflare": [
        ("the client sent nothing", "192.0.2.44", [(CF, "203.0.113.9"), (XFF, "203.0.113.9")], "203.0.113.9"),
        ("the client forged the other headers", "192.0.2.44",
         [("True-Client-IP", "6.6.6.6"), (XFF, "6.6.6.6,203.0.113.9"), (CF, "203.0.113.9")], "203.0.113.9"),
        ("it forged the name with an underscore", "192.0.2.44", [("CF-Connecting_IP", "6.6.6.6"), (CF, "203.0.113.9")],
         "203.0.113.9"),
        ("an IPv6 client", "192.0.2.44", [(CF, "2001:db8::9")], "2001:db8::9"),
        ("Pseudo IPv4 as an addition", "192.0.2.44", [(CF, "2001:db8::9"), ("CF-Pseudo-IPv4", "240.1.2.3")],
         "2001:db8::9"),
        ("two lines", "192.0.2.44", [(CF, "6.6.6.6"), (CF, "203.0.113.9")], "repeated"),
        ("visitor headers are removed", "192.0.2.44", [(XFF, "6.6.6.6")], "missing"),
    ],
    "fastly": [
        ("set in VCL", "192.0.2.44", [(FASTLY, "203.0.113.9")], "203.0.113.9"),
        ("the client forged the other header, over plain HTTP", "192.0.2.44",
         [(XFF, "6.6.6.6"), (FASTLY, "203.0.113.9")], "203.0.113.9"),
        ("an IPv6 client", "192.0.2.44", [(FASTLY, "2001:db8::9")], "2001:db8::9"),
        ("through a shield", "192.0.2.44", [(FASTLY, "203.0.113.9"), (XFF, "203.0.113.9, 192.0.2.45")], "203.0.113.9"),
        ("two lines", "192.0.2.44", [(FASTLY, "6.6.6.6"), (FASTLY, "203.0.113.9")], "repeated"),
        ("none", "192.0.2.44", [], "missing"),
    ],
}  # fmt: skip

FORGED = [
    "Forwarded", "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP", "True-Client-IP",
    "CF-Connecting-IP", "CF-Connecting-IPv6", "Fastly-Client-IP", "X-Azure-ClientIP", "X-Azure-SocketIP",
    "CloudFront-Viewer-Address", "x-envoy-external-address", "X-Original-Forwarded-For", "X_Forwarded_For",
    "X_Real_IP", "CF_Connecting_IP", "Fastly_Client_IP", "CloudFront_Viewer_Address", "X-Forwarded-For ",
]  # fmt: skip
"""Headers in which some server or other looks for a client, as a liar sends them all."""


def said(strategy: Any, peer: str | None, headers: list[tuple[str, str]]) -> str:
    answer = strategy.find(peer, headers)
    as_bytes = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    assert strategy.find(peer, as_bytes) == answer
    return str(answer.address if answer.problem is None else answer.problem)


@pytest.mark.parametrize(
    ("name", "row"), [pytest.param(name, row, id=f"{name}: {row[0]}") for name, rows in ROWS.items() for row in rows]
)
def test_lines_as_the_proxy_sends_them(name: str, row: Row) -> None:
    _, peer, headers, expected = row
    assert said(STRATEGIES[name], peer, headers) == expected


@pytest.mark.parametrize("name", ROWS)
def test_a_forged_header_beside_the_proxys_never_wins(name: str) -> None:
    """Wherever the liar's lines stand, and whatever they are called."""
    strategy = STRATEGIES[name]
    for _, peer, headers, expected in ROWS[name]:
        is_address = "." in expected or ":" in expected
        for value in ("6.6.6.6", "6.6.6.6:80", "for=6.6.6.6", ""):
            others = [(key, value) for key in FORGED if key.lower() != strategy.header]
            assert said(strategy, peer, [*others, *headers]) == expected
            assert said(strategy, peer, [*headers, *others]) == expected
            if is_address:
                assert said(strategy, peer, [(strategy.header, value), *headers]) in (expected, "repeated")


@pytest.mark.parametrize("name", ROWS)
def test_without_the_proxys_header_nobody_is_the_client(name: str) -> None:
    """A client can have a proxy drop the header, by `Connection: X-Forwarded-For`; the peer is no answer then."""
    strategy = STRATEGIES[name]
    peer = ROWS[name][0][1]
    others = [(key, "6.6.6.6") for key in FORGED if key.lower() != strategy.header]
    assert said(strategy, peer, others) == "missing"
    assert said(strategy, peer, [*others, (strategy.header, "")]) == "missing"


@pytest.mark.parametrize("name", ROWS)
def test_who_goes_around_the_proxy_is_judged_by_its_own_address(name: str) -> None:
    everything = [(key, "6.6.6.6") for key in FORGED]
    for stranger in ("198.51.100.200", "2001:db8::200"):
        assert said(STRATEGIES[name], stranger, everything) == stranger
        for _, _, headers, _ in ROWS[name]:
            assert said(STRATEGIES[name], stranger, headers) == stranger


def test_unix_is_trusted_only_where_that_was_said() -> None:
    for name, make in ready.NAMES.items():
        strategy = make(BOTH, set_in_vcl=True) if name == "fastly" else make(BOTH)
        for peer in (None, ""):
            assert said(strategy, peer, [(key, "6.6.6.6") for key in FORGED]) == "no_peer", name


def test_fastly_is_refused_until_somebody_says_that_the_vcl_sets_the_header() -> None:
    for odd in (False, None, 1, "yes"):
        with pytest.raises(ValueError, match="vcl_recv"):
            ready.fastly(PROVIDER, set_in_vcl=odd)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="vcl_recv"):
        ready.NAMES["fastly"](PROVIDER)


@pytest.mark.parametrize("name", ready.NAMES)
@pytest.mark.parametrize("trusted", [[], ["0.0.0.0/0"], ["::/0"], ["2000::/3"], "10.0.0.0/8", None])
def test_a_ready_set_trusts_no_more_than_its_strategy_would(name: str, trusted: Any) -> None:
    more = {"set_in_vcl": True} if name == "fastly" else {}
    with pytest.raises((ValueError, TypeError)):
        ready.NAMES[name](trusted, **more)


def test_every_name_is_a_function_with_its_rows_and_its_source() -> None:
    assert set(ready.NAMES) == set(ready.__all__) - {"NAMES"} == {name.partition(" ")[0] for name in ROWS}
    assert set(STRATEGIES) == set(ROWS)
    for name, function in ready.NAMES.items():
        assert function is getattr(ready, name)
        text = function.__doc__ or ""
        for part in ("Writes: ", "Check: ", "Door: ", "Source: ", "https://", "(2026-11-28)"):
            assert part in " ".join(text.split()), (name, part)
