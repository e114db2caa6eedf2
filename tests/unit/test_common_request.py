"""The common request: what is read in one go, and what is left to the strategy.

`LONG_WAY` is the strategy asked with a tuple of lines, which is never common.  Whatever `find` gives is its answer.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cidrmatch import AllowList
from cidrmatch.client import ClientAddress, SingleHeader, TrustedHops, TrustedProxies
from cidrmatch.client.common import CommonHeader

PROXIES = ["10.0.0.0/8", "fd00::/8"]
PEER = "10.0.0.7"
CLIENT = bytes([203, 0, 113, 9])
NAME = b"x-forwarded-for"

FIRST = CommonHeader(ClientAddress, AllowList(PROXIES), NAME, 0)
SECOND = CommonHeader(ClientAddress, AllowList(PROXIES), NAME, 2)
SECOND_OF_ANYBODY = CommonHeader(ClientAddress, None, NAME, 2)
ONLY = CommonHeader(ClientAddress, AllowList(PROXIES), NAME, 1, 0)
LONG_WAY: dict[CommonHeader[ClientAddress], Any] = {
    FIRST: TrustedProxies(PROXIES),
    SECOND: TrustedHops(2, trusted=PROXIES),
    SECOND_OF_ANYBODY: TrustedHops(2),
    ONLY: SingleHeader(NAME.decode(), PROXIES),
}


def line(text: str, name: bytes = NAME) -> tuple[bytes, bytes]:
    return name, text.encode("latin-1")


def long_way(header: CommonHeader[ClientAddress], peer: Any, headers: list[Any]) -> ClientAddress:
    answer: ClientAddress = LONG_WAY[header].find(peer, tuple(headers))
    return answer


CHAIN = line("6.6.6.6, 203.0.113.9, 10.0.0.8")
OTHERS = [(b"host", b"a"), (b"accept-encoding", b"gzip"), (b"x-forwarded-foo", b"6.6.6.6"), (b"", b""), (b"a", b"\xff")]


@pytest.mark.parametrize("header", [FIRST, SECOND, SECOND_OF_ANYBODY])
@pytest.mark.parametrize(
    "headers",
    [
        [CHAIN],
        [*OTHERS, CHAIN],
        [CHAIN, *OTHERS],
        [line("6.6.6.6, 203.0.113.9, 10.0.0.8", b"X-Forwarded-FOR")],
        [("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.8"), ("host", "\xe9")],
        [line("junk,203.0.113.9,10.0.0.8")],
        [line("junk, \t 203.0.113.9 ,\t10.0.0.8\t, ,,")],
        [line("[::1]:80, 203.0.113.9,fd00:10::1")],
        [line(" " * (256 - 20) + "203.0.113.9,10.0.0.8")],
        [line("a,b,c,d,e,f,g,203.0.113.9,10.0.0.8")],
    ],
)
def test_B28_common_request_has_the_answer_of_its_strategy(
    header: CommonHeader[ClientAddress], headers: list[Any]
) -> None:
    answer = header.find(PEER, headers)
    assert type(answer) is ClientAddress
    assert answer == long_way(header, PEER, headers)
    assert (answer.packed, answer.problem) == (CLIENT, None)


@pytest.mark.parametrize("text", ["203.0.113.9", "\t203.0.113.9 "])
def test_B28_common_single_header_has_the_answer_of_its_strategy(text: str) -> None:
    assert ONLY.find(PEER, [*OTHERS, line(text)]) == (CLIENT, None, (PEER, "203.0.113.9"))


def test_common_addresses_are_of_both_families() -> None:
    """Not `fd00::8`: what is shorter than eight characters is common on some processors only."""
    for peer in (PEER, "fd00:10::7"):
        for client in ("203.0.113.9", "2001:db8::9", "2001:DB8:0:1:2:3:4:5"):
            headers = [line(f"{client}, fd00:10::8, 10.0.0.8")]
            assert FIRST.find(peer, headers) == long_way(FIRST, peer, headers)
            assert FIRST.find(peer, headers) is not None


class Text(str):
    __slots__ = ()


class Pair(tuple[Any, ...]):
    __slots__ = ()


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        (PEER, []),
        (PEER, OTHERS),
        (PEER, [CHAIN, CHAIN]),
        (PEER, [CHAIN, (b"X-Forwarded-For", b"")]),
        (PEER, [line("")]),
        (PEER, [line(" ,, \t")]),
        (PEER, [line("203.0.113.9, unknown")]),
        (PEER, [line("203.0.113.9:80, 10.0.0.8")]),
        (PEER, [line("[2001:db8::9], 10.0.0.8")]),
        (PEER, [line("::ffff:203.0.113.9, 10.0.0.8")]),
        (PEER, [line("203.0.113.9\xa0, 10.0.0.8")]),
        (PEER, [line("203.0.113.9\0, 10.0.0.8")]),
        (PEER, [line("203.0.113.9, 010.0.0.8")]),
        (PEER, [line("203.0.113.9 10.0.0.8, 10.0.0.8")]),
        (PEER, [line(" " * (256 - 19) + "203.0.113.9,10.0.0.8")]),
        (PEER, [line("a,b,c,d,e,f,g,h,203.0.113.9,10.0.0.8")]),
        (PEER, [line("," * 100 + "203.0.113.9,10.0.0.8")]),
        ("203.0.113.200", [CHAIN]),
        ("::ffff:10.0.0.7", [CHAIN]),
        ("fe80::1%eth0", [CHAIN]),
        ("10.0.0.7:80", [CHAIN]),
        ("10.0.0.7 ", [CHAIN]),
        ("\xe9", [CHAIN]),
        ("", [CHAIN]),
        (None, [CHAIN]),
        (Text(PEER), [CHAIN]),
        (PEER, (CHAIN,)),
        (PEER, {NAME.decode(): "203.0.113.9, 10.0.0.8"}),
        (PEER, iter([CHAIN])),
        (PEER, [list(CHAIN)]),
        (PEER, [Pair(CHAIN)]),
        (PEER, [(*CHAIN, b"")]),
        (PEER, [(NAME,)]),
        (PEER, [(Text(NAME.decode()), "203.0.113.9, 10.0.0.8")]),
        (PEER, [(NAME, Text("203.0.113.9, 10.0.0.8"))]),
        (PEER, [(bytearray(NAME), b"203.0.113.9, 10.0.0.8"), CHAIN]),
        (PEER, [(NAME, bytearray(b"203.0.113.9, 10.0.0.8"))]),
        (PEER, [("\xe9" * len(NAME), ""), CHAIN]),
        (PEER, [(NAME.decode(), "203.0.113.9, \u0661.1.1.1")]),
        (PEER, None),
        (b"\x0a\x00\x00\x07", [CHAIN]),
        (7, [CHAIN]),
    ],
)
def test_C23_request_that_is_not_common_is_left_to_the_strategy(peer: Any, headers: Any) -> None:
    assert FIRST.find(peer, headers) is None
    if peer != "203.0.113.200":  # of whom `SECOND_OF_ANYBODY` believes the header
        assert SECOND_OF_ANYBODY.find(peer, headers) is None


def test_chain_without_an_answer_is_left_to_the_strategy() -> None:
    assert FIRST.find(PEER, [line("10.0.0.9, fd00::1, 10.0.0.8")]) is None
    assert SECOND.find(PEER, [line("203.0.113.9")]) is None
    for text in ("203.0.113.9, 203.0.113.9", "203.0.113.9,", ",203.0.113.9", "unknown"):
        assert ONLY.find(PEER, [line(text)]) is None


characters = st.sampled_from("0123456789abcdef.:,, \t[]x\xff\0")
texts = st.text(characters, max_size=60)
addresses = st.sampled_from(["203.0.113.9", "2001:db8::9", "10.0.0.8", "fd00::1", "10.0.0.9", "::ffff:1.2.3.4", "junk"])
chains = st.lists(st.one_of(addresses, addresses, texts), max_size=10).map(", ".join)
names = st.sampled_from([NAME, b"X-Forwarded-For", b"x-forwarded_for", b"x-forwarded-fo", b"host"])
pairs = st.tuples(names, chains.map(lambda text: text.encode("latin-1")))


@given(st.lists(pairs, max_size=4), st.sampled_from([PEER, "fd00::7", "203.0.113.200", "::ffff:10.0.0.7"]))
@example([line("203.0.113.9,10.0.0.8")], PEER)
def test_B28_whatever_is_common_is_answered_as_the_strategy_does(headers: list[Any], peer: str) -> None:
    texts = [(name.decode(), value.decode("latin-1")) for name, value in headers]
    for header in LONG_WAY:
        expected = long_way(header, peer, headers)
        assert header.find(peer, headers) in (None, expected)
        assert header.find(peer, texts) in (None, expected)


def test_strategies_use_it_where_an_address_alone_is_an_element() -> None:
    """The trail shows nothing of it, so the strategies are asked with lines that a tuple would not allow."""
    for strategy in LONG_WAY.values():
        assert type(strategy._common) is CommonHeader
    for strategy in (
        TrustedProxies(PROXIES, header="forwarded"),
        TrustedHops(1, header="Forwarded"),
        TrustedProxies(PROXIES, port="always"),
        SingleHeader("a", PROXIES, port="always"),
    ):
        assert strategy._common is None


def test_first_that_is_not_trusted_needs_somebody_who_is() -> None:
    with pytest.raises(ValueError, match="trusted"):
        CommonHeader(ClientAddress, None, NAME, 0)
    odd: Any
    for odd in ("x-forwarded-for", None):
        with pytest.raises(TypeError):
            CommonHeader(ClientAddress, AllowList(PROXIES), odd, 0)
    for odd in (PROXIES, object()):
        with pytest.raises(TypeError):
            CommonHeader(ClientAddress, odd, NAME, 0)
    for odd in (list, None, ()):
        with pytest.raises(TypeError):
            CommonHeader(odd, AllowList(PROXIES), NAME, 0)


def test_strategies_are_copied_and_pickled_as_before() -> None:
    for header in LONG_WAY:
        for other in (copy.deepcopy(header), pickle.loads(pickle.dumps(header))):
            assert other.find(PEER, [CHAIN]) == header.find(PEER, [CHAIN])
    strategy = pickle.loads(pickle.dumps(TrustedProxies(PROXIES)))
    assert strategy.find(PEER, [CHAIN]).packed == CLIENT


def test_header_without_a_name_is_never_made() -> None:
    with pytest.raises(TypeError):
        CommonHeader.__new__(CommonHeader)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type("Other", (CommonHeader,), {})
