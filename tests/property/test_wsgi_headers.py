"""The face of WSGI hands a strategy one header, and the answer is that of all of them.

environ --headers_of--> all headers   --find--> answer
        --origin_by---> the one line  --find--> the same
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Engine, Policy
from cidrmatch.client import PeerAddress, SingleHeader, TrustedHops, TrustedProxies
from cidrmatch.gateways.guard import Guard
from cidrmatch.gateways.wsgi import headers_of, origin_by

PREFIXES = ["10.0.0.0/8"]
NAMES = (
    "X-Forwarded-For", "forwarded", "x-real-ip", "content-type", "content-length", "http-x", "x_real_ip", "-", "a~b",
)  # fmt: skip
VARIABLES = (
    "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH",
    "HTTP_HTTP_X", "HTTP_X", "HTTP_", "HTTP__", "HTTP_A~B", "CONTENT_TYPE", "CONTENT_LENGTH", "X_FORWARDED_FOR",
    "X_REAL_IP", "FORWARDED", "REQUEST_METHOD", "wsgi.input",
)  # fmt: skip

names = st.sampled_from(NAMES)
strategies = st.one_of(
    st.just(PeerAddress()),
    names.map(lambda name: TrustedProxies(PREFIXES, header=name, unix=True)),
    st.builds(lambda name, count: TrustedHops(count, header=name), names, st.integers(1, 2)),
    names.map(lambda name: SingleHeader(name, PREFIXES)),
)
values = st.one_of(
    st.sampled_from(["203.0.113.9", "6.6.6.6, 203.0.113.9, 10.0.0.8", "for=203.0.113.9", "junk", "", " "]),
    st.text(st.characters(max_codepoint=0xFF), max_size=8),
    st.sampled_from([None, 5, b"203.0.113.9"]),
)
environs = st.dictionaries(st.sampled_from(VARIABLES), values)
peers = st.sampled_from(["10.0.0.7", "203.0.113.200", "", "junk"])


@given(strategies, peers, environs)
def test_one_header_gives_the_answer_of_all(strategy: Any, peer: str, environ: dict[str, Any]) -> None:
    environ["REMOTE_ADDR"] = peer
    given_peer, one = origin_by(Guard(Engine(Policy()), strategy), drops_underscores=True)(environ)
    assert strategy.find(given_peer, one) == strategy.find(given_peer, list(headers_of(environ)))
    assert len(list(one)) <= 1


@given(names, st.sampled_from(["203.0.113.9", "for=203.0.113.9"]))
def test_the_header_is_the_one_that_the_strategy_names(name: str, value: str) -> None:
    """Such a header comes, unless its name has an underscore, which no server gives."""
    variable = "HTTP_" + name.upper().replace("-", "_")
    strategy = TrustedProxies(PREFIXES, header=name)
    peer, one = origin_by(Guard(Engine(Policy()), strategy), drops_underscores=True)(
        {"REMOTE_ADDR": "10.0.0.7", variable: value}
    )
    answer = strategy.find(peer, one)
    expected = "missing" if "_" in name else None if (name == "forwarded") == value.startswith("for=") else "malformed"
    assert answer.problem == expected
