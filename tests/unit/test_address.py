"""The address room: what text is an address, what is refused, why and where.

Refusals are grouped by the kind of mistake.  A row is the text, and the position where the trouble starts; the mark
under the text in a comment would say the same:

    10.0.0.256
           ^ position 7: the octet that is too large
"""

from ipaddress import IPv4Address, IPv6Address

import pytest

from cidrmatch import InvalidAddress, format_address, parse_address

GOOD = {
    "0.0.0.0": "00000000",
    "255.255.255.255": "ffffffff",
    "1.2.3.4": "01020304",
    "192.168.1.100": "c0a80164",
    "10.20.30.40": "0a141e28",
    "::": "00000000000000000000000000000000",
    "::1": "00000000000000000000000000000001",
    "1::": "00010000000000000000000000000000",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "ffffffffffffffffffffffffffffffff",
    "2001:db8::1": "20010db8000000000000000000000001",
    "2001:DB8::aBcD": "20010db800000000000000000000abcd",
    "0001:0002:0003:0004:0005:0006:0007:0008": "00010002000300040005000600070008",
    "1:2:3:4:5:6:7::": "00010002000300040005000600070000",
    "::2:3:4:5:6:7:8": "00000002000300040005000600070008",
    "1:2:3::5:6:7:8": "00010002000300000005000600070008",
    "0:0:0:0:0:0:0:0": "00000000000000000000000000000000",
    "64:ff9b::192.0.2.33": "0064ff9b0000000000000000c0000221",
    "1:2:3:4:5:6:7.8.9.10": "0001000200030004000500060708090a",
    "::1.2.3.4": "00000000000000000000000001020304",
}


@pytest.mark.parametrize(("text", "packed"), GOOD.items())
def test_address_text_becomes_its_packed_bytes(text: str, packed: str) -> None:
    assert parse_address(text).hex() == packed


@pytest.mark.parametrize(
    "text", ["::ffff:192.0.2.1", "::FFFF:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:ffff:192.0.2.1", "0::ffff:c000:0201"]
)
def test_C16_mapped_text_is_its_ipv4_address(text: str) -> None:
    assert parse_address(text) == bytes([192, 0, 2, 1])
    assert format_address(text) == "192.0.2.1"


@pytest.mark.parametrize(
    "text", ["::fffe:192.0.2.1", "::1:ffff:192.0.2.1", "::ffff:0:192.0.2.1", "::192.0.2.1", "ffff::192.0.2.1"]
)
def test_C16_nearly_mapped_text_stays_ipv6(text: str) -> None:
    assert len(parse_address(text)) == 16
    assert ":" in format_address(text)


@pytest.mark.parametrize("mapped", [IPv6Address("::ffff:192.0.2.1"), bytes.fromhex("00000000000000000000ffffc0000201")])
def test_C16_mapped_object_and_packed_bytes_are_the_ipv4_address(mapped: IPv6Address | bytes) -> None:
    assert parse_address(mapped) == bytes([192, 0, 2, 1])
    assert format_address(mapped) == "192.0.2.1"


def test_packed_bytes_and_ipaddress_objects_are_taken() -> None:
    assert parse_address(b"\x01\x02\x03\x04") == b"\x01\x02\x03\x04"
    assert parse_address(bytes(range(16))) == bytes(range(16))
    assert parse_address(IPv4Address("1.2.3.4")) == b"\x01\x02\x03\x04"
    assert parse_address(IPv6Address("2001:db8::1")).hex() == "20010db8000000000000000000000001"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:0db8::0001", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  # one zero group is not compressed
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  # the longest run is
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),  # of equal runs, the first
        ("0:0:0:0:0:0:0:0", "::"),
        ("1:0:0:0:0:0:0:0", "1::"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::192.0.2.1", "::c000:201"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_canonical_text_is_that_of_rfc_5952(text: str, canonical: str) -> None:
    assert format_address(text) == canonical
    assert format_address(parse_address(text)) == canonical


REFUSED = {
    "empty": [("", 0)],
    "not_ascii": [
        ("\uff11\uff10.0.0.1", 0),  # full-width digits
        ("10.0.0.٣", 7),  # an Arabic-Indic three
        ("10.0.0.²", 7),
        ("10.0.0.1\u00a0", 8),
        ("10。0.0.1", 2),
        ("10.0.0.1\ud800", 8),
        ("::\U0001f600", 2),
        ("2001:db8::é", 10),
    ],
    "unexpected_character": [
        (" 10.0.0.1", 0),
        ("10.0.0.1 ", 8),
        ("10. 0.0.1", 3),
        ("10.0.0.1\n", 8),
        ("10.0.0.1\r\n", 8),
        ("\t10.0.0.1", 0),
        ("10.0.0.1\0", 8),
        ("10.0.0.\x001", 7),
        ("\x00", 0),
        ("+10.0.0.1", 0),
        ("-10.0.0.1", 0),
        ("0x7f.0.0.1", 1),
        ("10.0.0.0x1", 8),
        ("10.0.0.*", 7),
        ("10.0.0.1x", 8),
        ("localhost", 0),
        (":1", 0),
        (":12:3", 0),
        (":1a::", 0),
        ("::1\n", 3),
        ("::1 ", 3),
        (" ::1", 0),
        ("::1\0", 3),
        ("::g", 2),
        ("[::1]", 0),
        ("1:2:3:4:5:6:7:8x", 15),
    ],
    "leading_zero": [("010.0.0.1", 0), ("10.00.0.1", 3), ("10.0.0.01", 7), ("::1.2.3.04", 8), ("::ffff:01.2.3.4", 7)],
    "octet_too_large": [("256.0.0.1", 0), ("10.0.0.256", 7), ("10.0.999.1", 5), ("::1.2.3.256", 8)],
    "octet_count": [("10.0.0", 6), ("127.1", 5)],
    "group_too_long": [("12345::", 0), ("::00001", 2), ("1:2:3:4:5:6:7:12345", 14)],
    "group_count": [("1:2:3:4:5:6:7", 13), ("2001:db8:1", 10)],
    "zone_id": [("fe80::1%eth0", 7), ("fe80::1%", 7), ("::%1", 2), ("fe80::1%25eth0", 7)],
}
REFUSED_ROWS = [(text, code, position) for code, rows in REFUSED.items() for text, position in rows]


@pytest.mark.parametrize(("text", "code", "position"), REFUSED_ROWS)
def test_text_that_is_no_address_is_refused_with_code_and_position(text: str, code: str, position: int) -> None:
    for read in (parse_address, format_address):
        with pytest.raises(InvalidAddress) as caught:
            read(text)
        assert (caught.value.code, caught.value.position) == (code, position)
        assert caught.value.text == text


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("10.0.0.0.1", {"octet_count", "unexpected_character"}),
        ("10.0.0.", {"octet_count", "unexpected_character"}),
        (".10.0.0", {"octet_count", "unexpected_character"}),
        ("10..0.1", {"octet_count", "unexpected_character"}),
        ("...", {"octet_count", "unexpected_character"}),
        ("2130706433", {"octet_count", "octet_too_large"}),
        ("10.0.0.1111", {"octet_too_large"}),
        ("0", {"octet_count"}),
        ("10.0.0.1:80", {"unexpected_character", "octet_count", "group_count"}),
        ("1::2::3", {"double_compression"}),
        ("::1::", {"double_compression"}),
        ("1:2:3:4:5:6:7:8:9", {"group_count", "unexpected_character"}),
        ("1:2:3:4:5:6:7:8::", {"group_count", "unexpected_character"}),
        ("::1:2:3:4:5:6:7:8", {"group_count", "unexpected_character"}),
        ("1:2:3:4::5:6:7:8", {"group_count", "unexpected_character"}),
        ("1:2:3:4:5:6:7:1.2.3.4", {"group_count", "unexpected_character"}),
        ("1:2:3:4:5:1.2.3.4", {"group_count"}),
        ("::1.2.3.4:5", {"unexpected_character", "group_count", "octet_count"}),
        ("1.2.3.4::", {"unexpected_character", "group_count", "octet_count"}),
        ("::1.2.3", {"octet_count"}),
        ("::1.2.3.4.5", {"octet_count", "unexpected_character"}),
        (":1:2:3:4:5:6:7", {"group_count", "unexpected_character"}),
        ("1:2:3:4:5:6:7:", {"group_count", "unexpected_character"}),
        (":", {"group_count", "unexpected_character"}),
        (":::", {"double_compression", "unexpected_character"}),
        ("1:", {"group_count", "unexpected_character"}),
        ("10.0.0.1%eth0", {"zone_id", "unexpected_character"}),
    ],
)
def test_misshapen_address_is_refused_with_a_fitting_code(text: str, codes: set[str]) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert caught.value.code in codes
    assert 0 <= caught.value.position <= len(text)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.1/32", "::/0", "::1/128"])
def test_prefix_is_no_address(text: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert (caught.value.code, caught.value.position) == ("unexpected_character", text.index("/"))


@pytest.mark.parametrize("size", [0, 1, 3, 5, 7, 8, 15, 17, 32, 1000])
def test_packed_bytes_of_another_size_are_refused(size: int) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(bytes(size))
    assert caught.value.code == "packed_size"
    assert caught.value.text == bytes(size)


def test_text_in_bytes_is_never_read_as_text() -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(b"10.0.0.1")
    assert caught.value.code == "packed_size"


def test_ipv6_object_with_a_zone_is_refused() -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(IPv6Address("fe80::1%eth0"))
    assert caught.value.code == "zone_id"
