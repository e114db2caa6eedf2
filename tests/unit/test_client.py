"""The client room: each strategy, what it believes, and what it never does.

203.0.113.9 and 2001:db8::9 are clients, 10.0.0.0/8 and fd00::/8 are our proxies, and 6.6.6.6 is what a liar writes.
"""

from __future__ import annotations

from typing import Any

import pytest

from cidrmatch.client import (
    UNKNOWN_PEER,
    ClientAddress,
    PeerAddress,
    SingleHeader,
    TrustedHops,
    TrustedProxies,
    only_line,
)
from cidrmatch.client.strategies import MOST_CHARACTERS, MOST_ELEMENTS

XFF = "x-forwarded-for"
PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
RFC7239 = TrustedProxies(["10.0.0.0/8", "fd00::/8"], header="forwarded")
PEER = "10.0.0.7"
PORTS = ("optional", "never", "always")


def found(strategy: Any, *lines: str, name: str = XFF, peer: str | None = PEER) -> str | None:
    """The address, or the code of the problem; never both, and packed and text are one."""
    pairs = [(name.encode(), line.encode("latin-1")) for line in lines]
    answer: ClientAddress = strategy.find(peer, pairs)
    assert strategy.find(peer, tuple(pairs)) == answer, "a tuple is never the common request, so this is the long way"
    assert (answer.packed is None) == (answer.address is None) == (answer.problem is not None)
    return answer.address if answer.problem is None else answer.problem


# The peer


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:DB8::9", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "zone"),
        ("", "no_peer"),
        (None, "no_peer"),
        ("unix:", "malformed_peer"),
        ("203.0.113.9:443", "malformed_peer"),
        ("localhost", "malformed_peer"),
    ],
)
def test_B28_peer_is_the_client_and_headers_are_not_read(peer: str | None, expected: str) -> None:
    assert found(PeerAddress(), "6.6.6.6", peer=peer) == expected


@pytest.mark.parametrize(
    "strategy", [PROXIES, TrustedHops(1, trusted=["10.0.0.0/8"]), SingleHeader(XFF, ["10.0.0.0/8"])]
)
def test_peer_that_is_not_trusted_is_the_client_whatever_it_says(strategy: Any) -> None:
    assert found(strategy, "6.6.6.6", peer="198.51.100.1") == "198.51.100.1"
    assert found(strategy, "6.6.6.6", peer="::ffff:198.51.100.1") == "198.51.100.1"
    assert found(strategy, "6.6.6.6", peer="fe80::1%eth0") == "zone"
    assert found(strategy, "6.6.6.6", peer="junk") == "malformed_peer"
    assert found(strategy, "6.6.6.6", peer=None) == "no_peer"
    assert found(strategy, "203.0.113.9", peer="::ffff:10.0.0.7") == "203.0.113.9", "a mapped peer is its IPv4 address"


def test_peer_on_a_unix_socket_is_trusted_where_that_was_said() -> None:
    strategies = (
        TrustedProxies(["10.0.0.0/8"], unix=True),
        TrustedHops(1, unix=True),
        SingleHeader(XFF, ["10.0.0.0/8"], unix=True),
    )
    for strategy in strategies:
        for peer in ("", None):
            assert found(strategy, "203.0.113.9", peer=peer) == "203.0.113.9"
            assert found(strategy, peer=peer) == "missing"


@pytest.mark.parametrize(
    "make",
    [
        TrustedProxies,
        lambda trusted, **more: SingleHeader(XFF, trusted, **more),
        lambda trusted, **more: TrustedHops(1, trusted=trusted, **more),
    ],
)
def test_who_trusts_only_the_unix_socket_names_no_prefix(make: Any) -> None:
    strategy = make([], unix=True)
    assert found(strategy, "203.0.113.9", peer=None) == "203.0.113.9"
    for peer in ("127.0.0.1", "10.0.0.7", "::1", "198.51.100.1"):
        assert found(strategy, "6.6.6.6", peer=peer) == peer
    for unix in (False, 1):
        with pytest.raises((ValueError, TypeError)):
            make([], unix=unix)


@pytest.mark.parametrize("peer", [b"\x0a\x00\x00\x07", b"", 0, False, 1, ("10.0.0.7", 80)])
def test_peer_is_text(peer: Any) -> None:
    """Four bytes would be an address that nobody wrote."""
    unix = TrustedProxies(["10.0.0.0/8"], unix=True)
    for strategy in (PeerAddress(), PROXIES, TrustedHops(1), SingleHeader(XFF, ["10.0.0.0/8"]), unix):
        with pytest.raises(TypeError):
            strategy.find(peer, [])


def test_C23_peer_that_the_server_does_not_tell_is_never_believed() -> None:
    unix = (TrustedProxies([], unix=True), TrustedHops(1, unix=True), SingleHeader(XFF, [], unix=True))
    for strategy in (*unix, PeerAddress(), PROXIES, TrustedHops(1), SingleHeader(XFF, ["10.0.0.0/8"])):
        assert strategy.find(UNKNOWN_PEER, [(XFF, "203.0.113.9")]) == ClientAddress(None, "no_peer", ())


READING = (PROXIES, TrustedHops(1, trusted=["10.0.0.0/8"]), SingleHeader(XFF, ["10.0.0.0/8"]))


@pytest.mark.parametrize("strategy", READING)
@pytest.mark.parametrize("value", [None, 5, 3405803785, bytearray(b"203.0.113.9"), memoryview(b"203.0.113.9"), ["a"]])
def test_value_of_a_header_is_bytes_or_text(strategy: Any, value: Any) -> None:
    for name in (XFF, XFF.encode()):
        for pairs in ([(name, value)], [(name, "203.0.113.9"), (name, value)], {name: value}):
            for headers in (pairs, pairs if isinstance(pairs, dict) else tuple(pairs)):
                with pytest.raises(TypeError, match=f"value of {XFF} is {type(value).__name__}"):
                    strategy.find(PEER, headers)
        assert found(strategy, "203.0.113.9") == "203.0.113.9"
        others = [("x-other", value), (name, "203.0.113.9")]
        assert strategy.find(PEER, others).address == "203.0.113.9", "the value of a header that is not read"


@pytest.mark.parametrize("strategy", READING)
@pytest.mark.parametrize(
    "headers",
    [
        None, 5, [None], [5], [()], [(XFF,)], [(XFF, "203.0.113.9", 1)], [(None, "203.0.113.9")], [(5, "203.0.113.9")],
        [(bytearray(XFF.encode()), b"203.0.113.9")], [(memoryview(XFF.encode()), b"203.0.113.9")],
        [(list(XFF), "203.0.113.9")], {None: "203.0.113.9"}, [(XFF, "203.0.113.9"), (None, "")],
        [(XFF, "203.0.113.9"), (bytearray(XFF.encode()), "6.6.6.6")],
    ],
)  # fmt: skip
def test_headers_are_pairs_of_a_name_and_a_value(strategy: Any, headers: Any) -> None:
    with pytest.raises(TypeError, match="headers are pairs of a name and a value, each bytes or str"):
        strategy.find(PEER, headers)
    assert strategy.find("198.51.100.1", headers).address == "198.51.100.1", "of a stranger none is read"


# Trusted proxies


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9, 10.0.0.8"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9", "10.0.0.8"], "203.0.113.9"),
        (["6.6.6.6,203.0.113.9", "10.0.0.8,fd00::1"], "203.0.113.9"),
        ([" \t203.0.113.9\t , ,, 10.0.0.8 ,"], "203.0.113.9"),
        (["203.0.113.9:4711, 10.0.0.8:80"], "203.0.113.9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["[2001:db8::9]"], "2001:db8::9"),
        (["2001:DB8:0::9"], "2001:db8::9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, [::ffff:10.0.0.8]:1"], "203.0.113.9"),
        (["junk, 203.0.113.9"], "203.0.113.9"),
        (["10.0.0.8"], "all_trusted"),
        (["10.0.0.9, fd00::1, ::ffff:10.1.2.3"], "all_trusted"),
        ([], "missing"),
        ([""], "missing"),
        ([" , ,\t,"], "missing"),
        (["203.0.113.9, junk"], "malformed"),
        (["203.0.113.9, junk, 10.0.0.8"], "malformed"),
        (["203.0.113.9, unknown"], "unknown"),
        (["203.0.113.9, UnKnown"], "unknown"),
        (["203.0.113.9, _hidden"], "obfuscated"),
        (["203.0.113.9, fe80::1%eth0"], "zone"),
        (["[fe80::1%eth0]:80"], "zone"),
        (["203.0.113.9 6.6.6.6"], "malformed"),
        (["203.0.113.9;6.6.6.6"], "malformed"),
        (["010.0.0.8"], "malformed"),
        (["10.0.0.8/8"], "malformed"),
        (["203.0.113.9:"], "malformed"),
        (["203.0.113.9:65536"], "malformed"),
        (["203.0.113.9:-1"], "malformed"),
        (["203.0.113.9:80x"], "malformed"),
        (["[203.0.113.9]"], "malformed"),
        (["[2001:db8::9"], "malformed"),
        (["2001:db8::9]"], "malformed"),
        (["[2001:db8::9]80"], "malformed"),
        (["[]"], "malformed"),
        (['"203.0.113.9"'], "malformed"),
        (["203.0.113.9\0"], "malformed"),
        (["203.0.113.9\xa0"], "malformed"),
        (["203.0.113.9\x0b"], "malformed"),
        (["203.0.113.9\n"], "malformed"),
        (["localhost"], "malformed"),
    ],
)
def test_first_from_the_right_that_is_not_trusted(lines: list[str], expected: str) -> None:
    assert found(PROXIES, *lines) == expected


def test_trail_has_what_was_looked_at_and_nothing_else() -> None:
    answer = PROXIES.find(PEER, [(XFF, "junk, 203.0.113.9:80 , 10.0.0.8")])
    assert answer.trail == ("10.0.0.7", "10.0.0.8", "203.0.113.9:80")
    assert answer == ClientAddress(bytes([203, 0, 113, 9]), None, answer.trail)
    assert repr(answer) == "<ClientAddress 203.0.113.9, by '10.0.0.7' < '10.0.0.8' < '203.0.113.9:80'>"
    with pytest.raises(TypeError, match="truth"):
        bool(answer)
    assert len(repr(PROXIES.find(PEER, [(XFF, "\x1b" * 8_000)]))) < 200


@pytest.mark.parametrize(
    "headers",
    [
        [(b"X-Forwarded-For", b"6.6.6.6"), (b"x-forwarded-FOR", b"203.0.113.9")],
        [("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9")],
        [
            ("x_forwarded_for", "6.6.6.6"),
            (XFF, "203.0.113.9"),
            ("x-forwarded-fo", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
        ],
        {"X-Forwarded-For": "6.6.6.6, 203.0.113.9", "X-Real-IP": "6.6.6.6"},
        iter([(b"x-forwarded-for", b"203.0.113.9")]),
        ((XFF, "203.0.113.9"),),
    ],
)
def test_headers_come_as_servers_give_them(headers: Any) -> None:
    assert PROXIES.find(PEER, headers).address == "203.0.113.9"


def test_text_of_a_subclass_counts_by_its_characters() -> None:
    class Text(str):
        __slots__ = ()

    assert PROXIES.find(Text(PEER), [(Text("X-Forwarded-For"), Text("203.0.113.9"))]).address == "203.0.113.9"
    assert PROXIES.find(PEER, [(XFF, Text("203.0.113.9")), (XFF, Text("10.0.0.8"))]).address == "203.0.113.9"


def test_header_beyond_a_bound_is_no_address() -> None:
    assert found(PROXIES, "6.6.6.6," * (MOST_ELEMENTS - 1) + "203.0.113.9") == "203.0.113.9"
    assert found(PROXIES, "6.6.6.6," * MOST_ELEMENTS + "203.0.113.9") == "too_many"
    assert found(PROXIES, "," * MOST_ELEMENTS) == "too_many"
    assert found(PROXIES, *["203.0.113.9"] * (MOST_ELEMENTS + 1)) == "too_many"
    end = ", 203.0.113.9"
    assert found(PROXIES, "x" * (MOST_CHARACTERS - len(end)) + end) == "203.0.113.9"
    assert found(PROXIES, "x" * (MOST_CHARACTERS - len(end) + 1) + end) == "too_long"
    assert found(PROXIES, "x" * MOST_CHARACTERS, "203.0.113.9") == "too_long"
    assert found(TrustedHops(1), "," * MOST_ELEMENTS) == "too_many"
    assert found(SingleHeader(XFF, ["10.0.0.0/8"]), "1" * (MOST_CHARACTERS + 1)) == "too_long"


# RFC 7239


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["for=203.0.113.9"], "203.0.113.9"),
        (["For=203.0.113.9;proto=https;by=10.0.0.8"], "203.0.113.9"),
        (["proto=https;by=10.0.0.8;FOR=203.0.113.9"], "203.0.113.9"),
        (['for="203.0.113.9:4711"'], "203.0.113.9"),
        (['for="[2001:db8::9]"'], "2001:db8::9"),
        (['for="[2001:db8::9]:4711";host="a,b"'], "2001:db8::9"),
        (['for=203.0.113.9;host="a\\",b", for=10.0.0.8'], "203.0.113.9"),
        (['for=203.0.113.9;host="a\\\\", for=10.0.0.8'], "203.0.113.9"),
        (['for=203.0.113.9;host="for=6.6.6.6, for=6.6.6.6"'], "203.0.113.9"),
        (['for="203.0.113.9:_port"'], "203.0.113.9"),
        (['for="\\2\\03.0.113.9"'], "203.0.113.9"),
        (["for=6.6.6.6, for=203.0.113.9, for=10.0.0.8"], "203.0.113.9"),
        (["for=6.6.6.6", 'for=203.0.113.9, for="[fd00::1]"', "for=10.0.0.8"], "203.0.113.9"),
        (['for=", for=203.0.113.9'], "203.0.113.9"),
        (['for="\\, for="203.0.113.9"'], "203.0.113.9"),
        (['x="for=6.6.6.6, for="203.0.113.9:1"'], "203.0.113.9"),
        (["for=203.0.113.9;;", "for=10.0.0.8;"], "203.0.113.9"),
        (["for=unknown"], "unknown"),
        (['for="unknown:80"'], "unknown"),
        (["for=_hidden"], "obfuscated"),
        (["for=203.0.113.9, by=10.0.0.8"], "unknown"),
        (["for=203.0.113.9, for=10.0.0.8;for=10.0.0.9"], "malformed"),
        (["for=203.0.113.9;proto=http;proto=https"], "malformed"),
        (["for=203.0.113.9:80"], "malformed"),
        (["for=[2001:db8::9]"], "malformed"),
        (["for=2001:db8::9"], "malformed"),
        (['for="2001:db8::9"'], "malformed"),
        (['for="2001:db8::9:80"'], "malformed"),
        (["for =203.0.113.9"], "malformed"),
        (["for= 203.0.113.9"], "malformed"),
        (["for=203.0.113.9; proto=https"], "malformed"),
        (["203.0.113.9"], "malformed"),
        (["for="], "malformed"),
        (['for=""'], "malformed"),
        (['for="203.0.113.9'], "malformed"),
        (['203.0.113.9"'], "malformed"),
        (['for="203.0.113.9"x'], "malformed"),
        (['for="203.0.113.9\\"'], "malformed"),
        (['for="[fe80::1%25eth0]"'], "zone"),
        ([";"], "malformed"),
        (["for=10.0.0.8"], "all_trusted"),
        ([], "missing"),
        ([", ,"], "missing"),
    ],
)
def test_forwarded_is_read_by_its_grammar_from_the_right(lines: list[str], expected: str) -> None:
    assert found(RFC7239, *lines, name="forwarded") == expected


# Hops


@pytest.mark.parametrize(
    ("count", "lines", "expected"),
    [
        (1, ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (2, ["6.6.6.6, 203.0.113.9, 198.51.100.7"], "203.0.113.9"),
        (2, ["203.0.113.9", "198.51.100.7"], "203.0.113.9"),
        (2, ["203.0.113.9, unknown"], "203.0.113.9"),
        (2, ["203.0.113.9, _proxy"], "203.0.113.9"),
        (2, ["203.0.113.9, junk"], "malformed"),
        (2, ["203.0.113.9, fe80::1%1"], "zone"),
        (2, ["unknown, 10.0.0.8"], "unknown"),
        (2, ["203.0.113.9"], "too_few"),
        (3, ["203.0.113.9,,10.0.0.8"], "too_few"),
        (1, [], "missing"),
        (1, [","], "missing"),
        (1, ["10.0.0.8"], "10.0.0.8"),
    ],
)
def test_count_th_value_from_the_right(count: int, lines: list[str], expected: str) -> None:
    assert found(TrustedHops(count), *lines) == expected
    assert found(TrustedHops(count, trusted=["10.0.0.0/8"]), *lines) == expected


def test_who_believes_every_peer_believes_addresses_only() -> None:
    for peer, expected in (("junk", "malformed_peer"), ("fe80::1%eth0", "zone"), ("unix:", "malformed_peer")):
        assert found(TrustedHops(1), "6.6.6.6", peer=peer) == expected


def test_hops_of_forwarded() -> None:
    strategy = TrustedHops(2, header="Forwarded")
    assert found(strategy, "for=203.0.113.9;host=a, for=_proxy", name="forwarded") == "203.0.113.9"


# A single header


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        ([" 203.0.113.9\t"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["203.0.113.9, 203.0.113.9"], "malformed"),
        (["203.0.113.9,"], "malformed"),
        (["203.0.113.9", "203.0.113.9"], "repeated"),
        (["203.0.113.9", ""], "repeated"),
        ([], "missing"),
        ([""], "missing"),
        (["unknown"], "unknown"),
        (["junk"], "malformed"),
    ],
)
def test_single_header_has_one_line_and_one_value(lines: list[str], expected: str) -> None:
    assert found(SingleHeader("CF-Connecting-IP", ["10.0.0.0/8"]), *lines, name="cf-connecting-ip") == expected


def test_port_of_a_single_header() -> None:
    never, always = (SingleHeader("a", ["10.0.0.0/8"], port=port) for port in ("never", "always"))
    for line, without, behind in (
        ("203.0.113.9", "203.0.113.9", "malformed"),
        ("203.0.113.9:80", "malformed", "203.0.113.9"),
        ("2001:db8::9:80", "2001:db8::9:80", "2001:db8::9"),
        ("[2001:db8::9]:80", "malformed", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9", "malformed"),
        ("2001:db8::9:99999", "malformed", "malformed"),
        (":80", "malformed", "malformed"),
    ):
        assert (found(never, line, name="a"), found(always, line, name="a")) == (without, behind), line


def test_port_of_every_element_of_a_list() -> None:
    """A bare IPv6 address with a port reads as another address, so whoever has such a proxy says so."""
    optional, never, always = (TrustedProxies(["10.0.0.0/8", "fd00::/8"], port=port) for port in PORTS)
    for line, expected in (
        ("203.0.113.9", ("203.0.113.9", "203.0.113.9", "malformed")),
        ("203.0.113.9:80", ("203.0.113.9", "malformed", "203.0.113.9")),
        ("2001:db8::9:80", ("2001:db8::9:80", "2001:db8::9:80", "2001:db8::9")),
        ("[2001:db8::9]:80", ("2001:db8::9", "malformed", "2001:db8::9")),
        ("6.6.6.6, 203.0.113.9:80, fd00::8:80", ("203.0.113.9", "malformed", "203.0.113.9")),
        ("203.0.113.9:80, 10.0.0.8", ("203.0.113.9", "malformed", "malformed")),
        ("10.0.0.8:80", ("all_trusted", "malformed", "all_trusted")),
    ):
        assert tuple(found(strategy, line) for strategy in (optional, never, always)) == expected, line
    assert found(TrustedProxies(["10.0.0.0/8"], header="forwarded", port="optional"), "for=1.2.3.4", name="forwarded")
    for port in ("never", "always"):
        with pytest.raises(ValueError, match="Forwarded"):
            TrustedProxies(["10.0.0.0/8"], header="Forwarded", port=port)


# What is refused when a strategy is made


@pytest.mark.parametrize("make", [TrustedProxies, lambda trusted, **more: SingleHeader("x-real-ip", trusted, **more)])
@pytest.mark.parametrize(
    "trusted",
    [
        [], (), ["*"], ["0.0.0.0/0"], ["::/0"], ["10.0.0.0/8", "::/0"], ["::ffff:0:0/96"], ["0.0.0.0/1", "128.0.0.0/1"],
        ["2000::/3"], ["fd00::/8", "2000::/4", "3000::/4"],
        ["1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "8.0.0.0/5", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "128.0.0.0/1"],
        ["10.0.0.7/8"], ["10.0.0.0/abc"], ["localhost"], [""], "10.0.0.0/8", "*", None, 8, [None], [10],
        [{"prefix": "10.0.0.0/8", "effect": "deny"}],
    ],
)  # fmt: skip
def test_trusted_prefixes_that_open_the_door_are_refused(make: Any, trusted: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        make(trusted)


def test_everybody_is_trusted_where_that_was_said_twice() -> None:
    strategy = SingleHeader("x-real-ip", ["0.0.0.0/0", "::/0"], trust_everyone=True)
    assert found(strategy, "203.0.113.9", name="x-real-ip", peer="198.51.100.1") == "203.0.113.9"
    with pytest.raises(ValueError, match="trust_everyone=True"):
        TrustedHops(1, trusted=["0.0.0.0/0"])
    for odd in (1, "yes", None):
        with pytest.raises(TypeError):
            TrustedProxies(["0.0.0.0/0"], trust_everyone=odd)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "x forwarded", "x-forwarded-for:", "x\n", "é", None, b"x-forwarded-for"])
def test_name_of_a_header_is_one(name: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        TrustedProxies(["10.0.0.0/8"], header=name)


@pytest.mark.parametrize("count", [0, -1, 101, True, 1.0, "1", None])
def test_count_of_hops_is_a_whole_number_from_one(count: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        TrustedHops(count)


def test_port_and_unix_are_what_they_are() -> None:
    with pytest.raises(ValueError, match="port"):
        SingleHeader("a", ["10.0.0.0/8"], port="maybe")
    with pytest.raises(ValueError, match="port"):
        TrustedProxies(["10.0.0.0/8"], port="maybe")
    odd: Any = 1
    with pytest.raises(TypeError):
        TrustedProxies(["10.0.0.0/8"], unix=odd)
    with pytest.raises(TypeError):
        TrustedHops(1, unix=odd)


def test_strategies_show_what_they_are() -> None:
    assert repr(PeerAddress()) == "PeerAddress()"
    assert repr(PROXIES) == "TrustedProxies(<2 trusted prefixes>, header='x-forwarded-for')"
    assert repr(TrustedHops(2, unix=True)) == "TrustedHops(2, header='x-forwarded-for', unix=True)"
    assert repr(SingleHeader("X-Real-IP", ["10.0.0.7"])) == "SingleHeader(<1 trusted prefixes>, header='x-real-ip')"
    assert PROXIES.header == XFF


# One line


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        ([(b"x-api-key", b"k")], b"k"),
        ([(b"host", b"h"), (b"X-API-Key", b"k"), (b"x-api-keys", b"j")], b"k"),
        ([(b"x-api-key", b"k"), (b"X-Api-Key", b"k")], None),
        ([(b"x-api-key", b"k"), (b"x-api-key", b"")], None),
        ([("X-API-Key", "k")], "k"),
        ([("host", "h"), ("x-api-ke\u0131", "k")], None),
        ([(b"x-api-key", b"k", b"more")], None),
        ([[b"x-api-key", b"k"]], None),
    ],
)
def test_C23_only_line_is_given_only_if_no_other_has_its_name(lines: Any, expected: object) -> None:
    assert only_line(lines, b"x-api-key") == expected
    assert only_line(tuple(lines), b"x-api-key") == expected
    assert only_line(iter(lines), b"x-api-key") == expected


def test_only_line_refuses_what_is_no_list_of_lines() -> None:
    for headers in (None, 5):
        with pytest.raises(TypeError):
            only_line(headers, b"x-api-key")  # type: ignore[arg-type]
