"""Laws of the client room, over chains as honest proxies and liars write them.

    peer 10.x.x.x or a stranger      header lines: addresses, ports, brackets, junk, empty elements, white space

Each law holds for the list form and for RFC 7239.  `make long` asks a million chains once.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import format_address
from cidrmatch.client import ClientAddress, PeerAddress, SingleHeader, TrustedHops, TrustedProxies
from tests import client_twin

PREFIXES = ["10.0.0.0/8", "192.0.2.0/24", "fd00::/8"]
PROXIES = TrustedProxies(PREFIXES)
FORWARDED = TrustedProxies(PREFIXES, header="forwarded")
PROXY = "10.0.0.7"

trusted_nodes = st.sampled_from(["10.0.0.8", "192.0.2.1", "fd00::1", "10.1.2.3:443", "[fd00::2]:80", "::ffff:10.0.0.9"])
clients = st.sampled_from(["203.0.113.9", "2001:db8::9", "203.0.113.9:4711", "[2001:db8::9]", "::ffff:198.51.100.1"])
odd = st.sampled_from(
    ["unknown", "_hidden", "junk", "fe80::1%eth0", "010.0.0.1", "1.2.3", "[::1", "1.2.3.4:", "*", "\0", "é"]
)
text_without_commas = st.text(st.characters(max_codepoint=0xFF, exclude_characters=',"\\'), max_size=12)
anything = st.text(st.characters(max_codepoint=0xFF), max_size=40)
elements = st.one_of(trusted_nodes, trusted_nodes, clients, odd, st.just(""), text_without_commas)
spaces = st.sampled_from(["", " ", "\t", "  "])
chains = st.lists(st.tuples(spaces, elements, spaces).map("".join), max_size=8)
peers = st.sampled_from([PROXY, "fd00::7", "::ffff:10.0.0.7", "203.0.113.200", "2001:db8::c8"])


def said(answer: ClientAddress) -> str:
    return str(answer.problem if answer.problem is not None else answer.address)


def ask(strategy: Any, peer: str | None, *lines: str) -> ClientAddress:
    name = strategy.header.encode()
    pairs = [(name, line.encode("latin-1")) for line in lines]
    answer: ClientAddress = strategy.find(peer, pairs)
    assert strategy.find(peer, tuple(pairs)) == answer, "the common request and the long way"
    return answer


def quoted(node: str) -> str:
    return f'for="{node}"' if ":" in node else f"for={node}"


@given(peers, chains)
def test_B28_answers_are_those_of_the_twin(peer: str, chain: list[str]) -> None:
    assert said(ask(PROXIES, peer, ",".join(chain))) == client_twin.trusted_proxies(PREFIXES, peer, chain)


@given(st.integers(1, 4), chains)
def test_B28_answers_of_hops_are_those_of_the_twin(count: int, chain: list[str]) -> None:
    assert said(ask(TrustedHops(count), PROXY, ",".join(chain))) == client_twin.trusted_hops(count, chain)


@given(anything, chains)
def test_text_to_the_left_never_changes_the_answer(left: str, chain: list[str]) -> None:
    alone = ask(PROXIES, PROXY, ",".join(chain))
    if alone.problem in ("missing", "all_trusted"):
        return  # the chain went to its left end, so there is something new to read
    for longer in ([left, *chain], [f"{left},{','.join(chain)}"]):
        assert ask(PROXIES, PROXY, *longer) == alone


@given(anything, st.lists(st.one_of(trusted_nodes, clients).map(quoted), min_size=1, max_size=5))
def test_text_to_the_left_never_changes_what_forwarded_says(left: str, chain: list[str]) -> None:
    alone = ask(FORWARDED, PROXY, ", ".join(chain))
    if alone.problem == "all_trusted":
        return
    for longer in ([left, *chain], [f"{left},{', '.join(chain)}"]):
        assert ask(FORWARDED, PROXY, *longer) == alone


@given(peers, chains, anything)
def test_the_answer_is_never_a_trusted_proxy(peer: str, chain: list[str], left: str) -> None:
    for strategy, lines in ((PROXIES, [left, *chain]), (FORWARDED, [left, *map(quoted, chain)])):
        answer = ask(strategy, peer, *lines)
        if answer.address is not None:
            assert client_twin.trusted_proxies(PREFIXES, answer.address, []) == answer.address


@given(chains, st.data())
def test_a_malformed_element_never_yields_an_address(chain: list[str], data: st.DataObject) -> None:
    """Where one stands right of every client, there is no address."""
    known = [
        element for element in chain if isinstance(client_twin.read(element.strip(" \t")), str) and element.strip()
    ]
    if not known:
        return
    bad = data.draw(st.sampled_from(known))
    trusted = data.draw(st.lists(trusted_nodes, max_size=3))
    assert ask(PROXIES, PROXY, ",".join([*chain, bad, *trusted])).packed is None


@given(peers, chains)
def test_the_answer_given_alone_gives_itself(peer: str, chain: list[str]) -> None:
    address = ask(PROXIES, peer, ",".join(chain)).address
    if address is not None:
        assert ask(PROXIES, PROXY, address).address == address
        assert ask(FORWARDED, PROXY, f'for="[{address}]"' if ":" in address else f"for={address}").address == address
        assert ask(SingleHeader("x-real-ip", PREFIXES), PROXY, address).address == address
        assert PeerAddress().find(address).address == address


@given(peers, chains, st.lists(st.integers(1, 8), max_size=4))
def test_joining_and_splitting_lines_changes_nothing(peer: str, chain: list[str], cuts: list[int]) -> None:
    whole = said(ask(PROXIES, peer, ",".join(chain)))
    borders = sorted({0, len(chain), *(cut for cut in cuts if cut < len(chain))})
    lines = [",".join(chain[begin:end]) for begin, end in pairwise(borders)]
    assert said(ask(PROXIES, peer, *lines)) == whole
    assert said(ask(PROXIES, peer, ", ".join(lines))) == whole


@given(chains, st.sampled_from(["203.0.113.200", "2001:db8::c8"]))
def test_without_trust_the_peer_is_the_answer(chain: list[str], peer: str) -> None:
    for strategy in (PROXIES, FORWARDED, TrustedHops(2, trusted=PREFIXES), SingleHeader("x-real-ip", PREFIXES)):
        assert ask(strategy, peer, *chain).address == peer


@given(anything, anything, st.sampled_from(["x-forwarded-for", "forwarded", "x-real-ip"]))
def test_nothing_that_a_client_sends_raises_or_is_half_an_answer(line: str, more: str, name: str) -> None:
    for strategy in (
        TrustedProxies(PREFIXES, header=name), TrustedHops(1, header=name), SingleHeader(name, PREFIXES),
        SingleHeader(name, PREFIXES, port="always"),
    ):  # fmt: skip
        for lines in ([line], [line, more], [line] * 101):
            answer = ask(strategy, PROXY, *lines)
            assert (answer.packed is None) != (answer.problem is None)
            if answer.packed is not None:
                assert format_address(answer.packed) == answer.address


@pytest.mark.long
def test_a_million_chains() -> None:
    """The laws above, by a generator that is quicker than Hypothesis."""
    draw = random.Random(20261128)
    trusted = ["10.0.0.8", "192.0.2.1", "fd00::1", "10.1.2.3:443", "[fd00::2]:80", "::ffff:10.0.0.9"]
    others = [
        "203.0.113.9",
        "2001:db8::9",
        "203.0.113.9:4711",
        "[2001:db8::9]",
        "unknown",
        "_x",
        "junk",
        "",
        "1.2.3.4:",
        '"',
    ]
    addresses = 0
    for _ in range(1_000_000):
        chain = [draw.choice(trusted if draw.random() < 0.6 else others) for _ in range(draw.randrange(6))]
        peer = draw.choice([PROXY, "fd00::7", "203.0.113.200"])
        answer = ask(PROXIES, peer, ", ".join(chain))
        assert said(answer) == client_twin.trusted_proxies(PREFIXES, peer, chain), chain
        cut = draw.randrange(len(chain) + 1)
        assert ask(PROXIES, peer, ",".join(chain[:cut]), ",".join(chain[cut:])) == answer, chain
        if answer.problem not in ("missing", "all_trusted"):
            left = "".join(draw.choices('6.,:[]" \\unknow_f=;', k=draw.randrange(12)))
            assert ask(PROXIES, peer, left, *chain) == answer, (left, chain)
        if answer.address is not None:
            addresses += 1
            assert ask(PROXIES, PROXY, answer.address).address == answer.address
    print(f"1,000,000 chains, {addresses:,} addresses")
    assert addresses > 300_000
