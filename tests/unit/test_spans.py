"""Dash ranges and wildcards: what they become, and what is never split."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, collapse_addresses, ip_network, summarize_address_range
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import InvalidPrefix, parse_entry
from cidrmatch.files.lists import Format, read_list
from cidrmatch.files.spans import is_span, split_span


def ranges(bits: int) -> st.SearchStrategy[tuple[int, int]]:
    """Ranges short and long, whose ends like to be the borders of prefixes."""
    ends = st.integers(0, 2**bits - 1) | st.integers(0, bits).map(lambda power: 2**power - 1)
    lengths = st.integers(0, 300) | st.integers(0, 2 ** (bits - 1))
    return st.tuples(ends, lengths).map(lambda pair: (pair[0], min(pair[0] + pair[1], 2**bits - 1)))


@given(ranges(32), st.sampled_from(["-", " - ", "\t-", "- "]))
def test_a_range_of_ipv4_is_what_ipaddress_makes_of_it(ends: tuple[int, int], dash: str) -> None:
    first, last = map(IPv4Address, ends)
    expected = list(summarize_address_range(first, last))
    if expected[0].prefixlen:
        assert [ip_network(piece) for piece in split_span(f"{first}{dash}{last}")] == expected


@given(ranges(128))
def test_a_range_of_ipv6_is_what_ipaddress_makes_of_it(ends: tuple[int, int]) -> None:
    first, last = map(IPv6Address, ends)
    expected = list(summarize_address_range(first, last))
    if first.ipv4_mapped is last.ipv4_mapped is None and ip_network("::ffff:0:0/96") not in expected:
        assert [ip_network(piece) for piece in split_span(f"{first}-{last}")] == expected


@given(st.integers(0, 2**24 - 1), st.integers(0, 255), st.integers(0, 255))
def test_a_short_range_is_within_one_24(above: int, first: int, last: int) -> None:
    base = above << 8
    text = f"{IPv4Address(base + first)}-{last}"
    if first > last:
        with pytest.raises(InvalidPrefix, match="the range runs backwards"):
            split_span(text)
    else:
        expected = summarize_address_range(IPv4Address(base + first), IPv4Address(base + last))
        assert [ip_network(piece) for piece in split_span(text)] == list(expected)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=3), st.data())
def test_a_wildcard_is_all_values_of_its_octets(octets: list[int], data: st.DataObject) -> None:
    stars = data.draw(st.integers(1, 4 - len(octets)))
    (piece,) = split_span(".".join([*map(str, octets), *["*"] * stars]))
    full = ".".join([*map(str, octets), *["0"] * (4 - len(octets))])
    assert ip_network(piece) == ip_network(f"{full}/{8 * len(octets)}")


def test_a_single_address_is_written_without_a_length() -> None:
    assert split_span("192.0.2.1-192.0.2.1") == ["192.0.2.1"]
    assert split_span("2001:db8::1-2001:db8::2") == ["2001:db8::1", "2001:db8::2"]
    assert split_span("::ffff:192.0.2.0-::ffff:192.0.2.1") == ["192.0.2.0/31"]


@pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])
def test_a_prefix_is_given_back(text: str) -> None:
    assert split_span(text) == [text]
    assert not is_span(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("192.0.2.9-192.0.2.1", "runs backwards"),
        ("192.0.2.1-2001:db8::1", "two families"),
        ("2001:db8::1-192.0.2.1", "two families"),
        ("::1-::ffff:192.0.2.1", "a dash range is not accepted"),
        ("10.*.0.1", "an octet stands behind a wildcard"),
        ("10.*.0.*", "an octet stands behind a wildcard"),
        ("*", "this allows everyone"),
        ("*.*.*.*", "this allows everyone"),
        ("0.0.0.0-255.255.255.255", "this allows everyone"),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "this allows everyone"),
        ("1.2.3.4.*", "four octets"),
        ("10.0.0.0.0-5", "is not a prefix"),
        ("300.*", "is not a prefix"),
        ("01.*", "leading zero"),
        ("192.0.2.1-010", "is not a prefix"),
        ("192.0.2.1-256", "is not a prefix"),
        ("192.0.2.1-192.0.2.3-192.0.2.5", "is not a prefix"),
        ("192.0.2.0/24-192.0.3.0/24", "is not a prefix"),
        ("2001:db8::1-5", "is not a prefix"),
        ("2001:db8:*", "is not a prefix"),
        ("10.0.0.-5", "is not a prefix"),
        ("-", "is not a prefix"),
        ("", "missing"),
        ("junk", "is not a prefix"),
    ],
)
def test_what_is_never_split_is_refused_with_the_reason(text: str, told: str) -> None:
    assert not is_span(text)
    with pytest.raises(InvalidPrefix, match=told):
        split_span(text)


def test_a_piece_that_would_be_all_of_ipv4_is_never_made() -> None:
    text = "::fffe:ffff:fffe-::1:0:0:1"
    assert IPv6Network("::ffff:0:0/96") in summarize_address_range(*map(IPv6Address, text.split("-")))
    assert not is_span(text)


@given(st.text(alphabet="0123456789abf.:*-/ \t", max_size=24))
def test_any_text_is_split_into_prefixes_or_refused(text: str) -> None:
    try:
        pieces = split_span(text)
    except InvalidPrefix:
        return
    networks = [ip_network(str(parse_entry(piece).prefix)) for piece in pieces]
    for family in (4, 6):
        same = [network for network in networks if network.version == family]
        assert len(list(collapse_addresses(same))) == len(same)  # type: ignore[type-var]


def test_a_list_is_split_only_where_the_user_asks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prefix,label\n192.0.2.0-192.0.2.2,Lab\n10.0.*,VPN\n192.0.2.9,\n192.0.2.9-1,x\n", encoding="utf-8")
    whole = read_list(path)
    assert [prefix for prefix, _ in whole.entries] == ["192.0.2.0-192.0.2.2", "10.0.*", "192.0.2.9", "192.0.2.9-1"]
    split = read_list(path, split=True)
    assert split.entries == (
        ("192.0.2.0/31", "Lab"),
        ("192.0.2.2", "Lab"),
        ("10.0.0.0/16", "VPN"),
        ("192.0.2.9", None),
        ("192.0.2.9-1", "x"),
    )
    assert split.marks == (2, 2, 3, 4, 5)


def test_every_format_can_be_split(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"addresses": ["192.0.2.4-7"], "ipv6_addresses": []}', encoding="utf-8")
    assert read_list(path, split=True).entries == (("192.0.2.4/30", None),)
    assert read_list(path, Format.FASTLY, split=True).marks == ("addresses[0]",)
