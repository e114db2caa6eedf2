"""Many addresses at once, many lines at once, and the numbers of entries: `contains_many`, `match_many`, `from_lines`.

What a batch reads and where it writes are buffers of somebody else, so most of this is about buffers that are not what
they should be: each is refused before anything is written, and is let go of again.

    packed IPv4     [ 4 bytes ][ 4 bytes ] ...     network order, or integers whose order is stated
    packed IPv6     [ 16 bytes    ][ 16 bytes ] ...
    answers         [ 1 ][ 0 ] ...                 one byte each; entry numbers, 32 bits of this machine each
"""

import ctypes
import mmap
import sys
from array import array
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

import pytest

from cidrmatch import AllowList, Entry, InvalidAddress, InvalidPrefix

ALLOW = AllowList(["10.0.0.0/8", ("10.1.0.0/16", "inner"), "203.0.113.5", "2001:db8::/32", ("::1", "self")])
TEXTS = ["10.1.2.3", "11.0.0.0", "203.0.113.5", "2001:db8::1", "::2", "::1", "::ffff:10.2.3.4", "10.0.0.0"]
ARE_IN = b"\1\0\1\1\0\1\1\1"
NUMBERS = [1, -1, 2, 4, -1, 3, 0, 0]
FOUR = [0x0A010203, 0x0B000000, 0xCB007105, 0x0302010A]
FOUR_ARE_IN = b"\1\0\1\0"
FOUR_NUMBERS = [1, -1, 2, -1]
NETWORK = b"".join(number.to_bytes(4, "big") for number in FOUR)
REVERSED = b"".join(number.to_bytes(4, "little") for number in FOUR)
OTHER_ORDER = "big" if sys.byteorder == "little" else "little"
BOTH = ["contains_many", "match_many"]


def ask(method: str, addresses: Any, allow: AllowList = ALLOW, **options: Any) -> list[int]:
    return list(getattr(allow, method)(addresses, **options))


def expected(method: str) -> list[int]:
    return list(FOUR_ARE_IN) if method == "contains_many" else FOUR_NUMBERS


def out_for(method: str, count: int) -> Any:
    return bytearray(count) if method == "contains_many" else array("i", [7] * count)


# Where answers are written


@pytest.mark.parametrize(
    "out",
    [
        bytearray(b"\7" * 8),
        memoryview(bytearray(b"\7" * 8)),
        memoryview(bytearray(b"\7" * 10))[1:9],
        memoryview(bytearray(b"\7" * 8)).cast("b"),
        memoryview(bytearray(b"\7" * 8)).cast("?"),
        memoryview(bytearray(b"\7" * 8)).cast("B", (2, 4)),
        array("B", b"\7" * 8),
        (ctypes.c_uint8 * 8)(*[7] * 8),
        (ctypes.c_bool * 8)(),
        mmap.mmap(-1, 8),
    ],
    ids=lambda out: type(out).__name__,
)
def test_contains_many_writes_into_a_buffer_and_gives_it_back(out: Any) -> None:
    assert ALLOW.contains_many(TEXTS, out=out) is out
    assert bytes(out) == ARE_IN
    assert ALLOW.contains_many(bytes(32), family=4, out=out) is out
    assert bytes(out) == bytes(8)


@pytest.mark.parametrize(
    "out",
    [array("i", [7] * 8), memoryview(bytearray(32)).cast("i"), (ctypes.c_int32 * 8)()],
    ids=lambda out: str(type(out)),
)
def test_match_many_writes_into_a_buffer_and_gives_it_back(out: Any) -> None:
    assert ALLOW.match_many(TEXTS, out=out) is out
    assert list(out) == NUMBERS
    assert ALLOW.match_many(bytes(32), family=4, out=out) is out
    assert list(out) == [-1] * 8


def test_only_the_given_part_of_a_buffer_is_written() -> None:
    whole = bytearray(b"\7" * 10)
    ALLOW.contains_many(TEXTS, out=memoryview(whole)[1:9])
    assert whole == b"\7" + ARE_IN + b"\7"
    numbers = array("i", [7] * 10)
    ALLOW.match_many(TEXTS, out=memoryview(numbers)[1:9])
    assert list(numbers) == [7, *NUMBERS, 7]


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("count", [0, 1, 3, 5, 100])
def test_out_of_another_size_is_refused(method: str, count: int) -> None:
    out = out_for(method, count)
    before = bytes(out)
    for options in (dict[str, Any](), {"family": 4}):
        with pytest.raises(
            ValueError, match=f"^out has {len(before)} bytes in items .* not 4 (bytes|32-bit integers)$"
        ):
            ask(method, NETWORK if options else TEXTS[:4], out=out, **options)
    assert bytes(out) == before


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("format_", ["h", "H", "f", "q", "Q", "d"])
def test_out_of_another_item_is_refused(method: str, format_: str) -> None:
    for count in (1, 2, 4, 8, 16):
        out = array(format_, [7] * count)
        with pytest.raises(ValueError, match=f"^out has {len(bytes(out))} bytes in items of format '{format_}'"):
            ask(method, NETWORK, family=4, out=out)
        assert list(out) == [7] * count


def test_bytes_and_integers_are_no_place_for_each_other() -> None:
    with pytest.raises(ValueError, match="not 4 bytes"):
        ALLOW.contains_many(NETWORK, family=4, out=array("i", [0]))
    with pytest.raises(ValueError, match="not 4 32-bit integers"):
        ALLOW.match_many(NETWORK, family=4, out=bytearray(16))


def test_integers_of_another_machine_are_no_place_for_numbers() -> None:
    kind: Any = ctypes.c_int32.__ctype_be__ if sys.byteorder == "little" else ctypes.c_int32.__ctype_le__
    out = (kind * 4)()
    with pytest.raises(ValueError, match="out has 16 bytes in items of format"):
        ALLOW.match_many(NETWORK, family=4, out=out)
    assert bytes(out) == bytes(16)


@pytest.mark.parametrize("method", BOTH)
def test_out_that_cannot_be_written_is_refused(method: str) -> None:
    size = 4 if method == "contains_many" else 16
    holes = memoryview(bytearray(2 * size)).cast("B" if size == 4 else "i")[::2]
    for out in (bytes(size), memoryview(bytes(size)), holes):
        with pytest.raises(BufferError):
            ask(method, NETWORK, family=4, out=out)
    for no_buffer in (4, [0] * 4, "four", object()):
        with pytest.raises(TypeError):
            ask(method, NETWORK, family=4, out=no_buffer)


@pytest.mark.parametrize("method", BOTH)
def test_buffers_are_let_go_of_again(method: str) -> None:
    """A buffer that is still held cannot grow."""
    packed, out = bytearray(NETWORK), out_for(method, 4)
    ask(method, packed, family=4, out=out)
    for size in (3, 4):
        with pytest.raises(ValueError):
            ask(method, packed, family=4, byteorder="little", out=out)
        with pytest.raises(ValueError):
            ask(method, bytes(4 * size + 1), family=4, out=out)
    with pytest.raises(InvalidAddress):
        ask(method, ["10.0.0.0", "junk", "::", "::1"], out=out)
    packed.append(0)
    out.append(0)
    with pytest.raises(ValueError):
        ask(method, packed, family=4, out=out)
    packed.append(0)
    out.append(0)


# Whose bytes lie in which order


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("byteorder", [None, "big"])
@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        bytearray,
        memoryview,
        lambda packed: memoryview(packed).cast("c"),
        lambda packed: memoryview(packed).cast("B", (4, 4)),
        lambda packed: array("b", packed),
        lambda packed: (ctypes.c_ubyte * len(packed)).from_buffer_copy(packed),
    ],
)
def test_bytes_are_in_network_order(method: str, byteorder: str | None, wrap: Callable[[bytes], Any]) -> None:
    assert ask(method, wrap(NETWORK), family=4, byteorder=byteorder) == expected(method)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("family", [4, 6])
def test_bytes_that_are_said_to_be_little_endian_are_refused(method: str, family: int) -> None:
    with pytest.raises(ValueError, match="bytes are addresses in network order, which is big-endian"):
        ask(method, bytes(16), family=family, byteorder="little")


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("format_", ["i", "I"])
def test_integers_are_read_in_the_order_that_is_stated(method: str, format_: Literal["i", "I"]) -> None:
    """Whatever this machine's order is: the caller says how the bytes lie."""
    for packed, byteorder in ((NETWORK, "big"), (REVERSED, "little")):
        assert ask(method, memoryview(packed).cast(format_), family=4, byteorder=byteorder) == expected(method)
    numbers = array(format_, memoryview(array("I", FOUR)).cast("B").cast(format_))
    assert ask(method, numbers, family=4, byteorder=sys.byteorder) == expected(method)
    numbers.byteswap()
    assert ask(method, numbers, family=4, byteorder=OTHER_ORDER) == expected(method)


@pytest.mark.parametrize("method", BOTH)
def test_integers_without_their_order_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match="32-bit integers need their byteorder stated: 'big' or 'little'"):
        ask(method, array("I", FOUR), family=4)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("own", ["big", "little"])
def test_order_against_the_buffers_own_is_refused(method: str, own: str) -> None:
    kind: Any = ctypes.c_uint32.__ctype_be__ if own == "big" else ctypes.c_uint32.__ctype_le__
    integers = (kind * 4)(*FOUR)
    assert ask(method, integers, family=4, byteorder=own) == expected(method)
    other = "little" if own == "big" else "big"
    with pytest.raises(ValueError, match=f"^the buffer says '[<>]I', which is not {other}-endian$"):
        ask(method, integers, family=4, byteorder=other)


class Record(ctypes.BigEndianStructure):
    _fields_ = [("address", ctypes.c_uint32)]


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("byteorder", [None, "big", "little"])
def test_items_that_are_neither_bytes_nor_32_bit_integers_are_refused(method: str, byteorder: str | None) -> None:
    strange = [(Record * 4)(), *(array(format_, [0] * 16) for format_ in "hHqQfd")]
    for buffer in strange:
        with pytest.raises(
            ValueError, match="packed addresses are bytes in network order or, for IPv4, 32-bit integers"
        ):
            ask(method, buffer, family=4, byteorder=byteorder)
    with pytest.raises(ValueError, match="packed addresses are bytes"):
        ask(method, array("I", [0] * 4), family=6, byteorder=byteorder)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("byteorder", ["", "Big", "network", "native", b"big", 1, True, object()])
def test_another_word_for_an_order_is_refused(method: str, byteorder: object) -> None:
    for buffer in (NETWORK, array("I", FOUR)):
        with pytest.raises(ValueError, match="byteorder is 'big' or 'little', not "):
            ask(method, buffer, family=4, byteorder=byteorder)


@pytest.mark.parametrize("method", BOTH)
def test_order_without_a_family_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="byteorder is of a packed buffer: say its family, too"):
        ask(method, TEXTS, byteorder="big")


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("family", [0, 5, 32, -4, "4", 2**40])
def test_another_family_is_refused(method: str, family: object) -> None:
    with pytest.raises(ValueError, match="family is 4 or 6, not "):
        ask(method, NETWORK, family=family)


# What is read


@pytest.mark.parametrize("method", BOTH)
def test_buffer_with_holes_is_refused(method: str) -> None:
    twice = memoryview(NETWORK * 2)
    for buffer in (twice[::2], twice[::-1], twice.cast("I")[::2]):
        with pytest.raises(BufferError):
            ask(method, buffer, family=4, byteorder="big")


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize(("family", "size"), [(4, 1), (4, 15), (4, 17), (6, 4), (6, 15), (6, 17)])
def test_part_of_an_address_is_refused(method: str, family: int, size: int) -> None:
    with pytest.raises(
        ValueError, match=f"^{size} bytes are no whole number of addresses of {4 if family == 4 else 16} b"
    ):
        ask(method, bytes(size), family=family)


@pytest.mark.parametrize("method", BOTH)
def test_nothing_asked_is_nothing_answered(method: str) -> None:
    for allow in (ALLOW, AllowList()):
        for nothing in (list[str](), (), iter(())):
            assert ask(method, nothing, allow) == []
        for buffer in (b"", bytearray(), memoryview(b"")):
            assert ask(method, buffer, allow, family=4) == ask(method, buffer, allow, family=6) == []
            assert ask(method, buffer, allow, family=4, out=out_for(method, 0)) == []
        assert ask(method, array("I"), allow, family=4, byteorder="little") == []


@pytest.mark.parametrize("method", BOTH)
def test_packed_addresses_may_begin_at_any_byte(method: str) -> None:
    for offset in range(17):
        buffer = memoryview(bytes(offset) + NETWORK)[offset:]
        assert ask(method, buffer, family=4) == expected(method)


def test_C16_mapped_address_in_sixteen_bytes_is_the_ipv4_address() -> None:
    mapped = b"".join(bytes(10) + b"\xff\xff" + number.to_bytes(4, "big") for number in FOUR)
    assert ALLOW.contains_many(mapped, family=6) == FOUR_ARE_IN
    assert list(ALLOW.match_many(mapped, family=6)) == FOUR_NUMBERS
    everything6 = AllowList(["::/0"])
    assert everything6.contains_many(mapped, family=6) == bytes(4)
    assert list(everything6.match_many(mapped, family=6)) == [-1] * 4
    beside = b"".join(
        IPv6Address(text).packed for text in ["::fffe:a01:203", "::1:0:a01:203", "::1:ffff:a01:203", "::a01:203"]
    )
    assert ALLOW.contains_many(beside, family=6) == bytes(4)
    assert everything6.contains_many(beside, family=6) == b"\1" * 4


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("place", [0, 1, 7])
def test_junk_is_refused_with_its_index(method: str, place: int) -> None:
    for junk in ("junk", "10.0.0.0/8", "", "10.0.0.1\n", "fe80::1%1", b"\0" * 5):
        with pytest.raises(InvalidAddress) as caught:
            ask(method, [*TEXTS[:place], junk, *TEXTS[place + 1 :]])
        assert (caught.value.index, caught.value.text) == (place, junk)
    with pytest.raises(TypeError):
        ask(method, [*TEXTS[:place], 5, *TEXTS[place + 1 :]])


class Busy(int):
    """The number of an address that runs something when it is read."""

    action: Callable[[], object]

    def to_bytes(self, *args: Any, **options: Any) -> bytes:
        self.action()
        return int(self).to_bytes(*args, **options)


def busy_address(action: Callable[[], object]) -> IPv4Address:
    number, address = Busy(0x0A000001), IPv4Address("10.0.0.1")
    number.action = action
    address._ip = number  # type: ignore[attr-defined]  # what `packed` is made from
    return address


@pytest.mark.parametrize("method", BOTH)
def test_list_that_grows_or_shrinks_while_it_is_read_is_refused(method: str) -> None:
    addresses: list[Any] = []
    addresses[:] = ["10.0.0.0", busy_address(lambda: addresses.append("10.0.0.0")), "10.0.0.0"]
    with pytest.raises(ValueError, match="the list of addresses grew while it was read"):
        ask(method, addresses)
    addresses[:] = ["10.0.0.0", busy_address(addresses.clear), "10.0.0.0"]
    with pytest.raises(ValueError, match="the list of addresses shrank while it was read"):
        ask(method, addresses)


@pytest.mark.parametrize("method", BOTH)
def test_out_cannot_be_resized_while_it_is_written(method: str) -> None:
    out, refused = out_for(method, 2), list[BufferError]()

    def grow() -> None:
        try:
            out.append(0)
        except BufferError as error:
            refused.append(error)

    ask(method, [busy_address(grow), "10.0.0.0"], out=out)
    assert len(refused) == 1
    assert len(out) == 2


# Numbers of entries


def test_numbers_lead_to_the_entries_that_match() -> None:
    numbers = ALLOW.match_many(TEXTS)
    assert list(numbers) == NUMBERS
    assert numbers.typecode == "i"
    for text, number in zip(TEXTS, numbers, strict=True):
        assert (None if number < 0 else ALLOW[number]) == ALLOW.match(text)


def test_entries_by_number_are_those_of_the_iterator() -> None:
    entries = list(ALLOW)
    assert [ALLOW[number] for number in range(5)] == entries
    assert [ALLOW[number] for number in range(-5, 0)] == entries
    assert ALLOW[True] == entries[1]
    for number in (5, -6, 2**31, 2**63, -(2**70)):
        with pytest.raises(IndexError, match=f"^the list has 5 entries, no entry {number}$"):
            ALLOW[number]
    for no_number in ("0", 1.0, None, slice(0, 1)):
        with pytest.raises(TypeError):
            ALLOW[no_number]  # type: ignore[index]
    with pytest.raises(IndexError):
        AllowList()[0]


def test_of_equal_prefixes_the_first_is_kept_with_its_label_or_without() -> None:
    entries: list[Any] = [
        *("10.0.0.0/8", ("10.0.0.0/8", "late")),
        *(("10.1.0.0/16", "early"), "10.1.0.0/16", ("10.1.0.0/16", "late")),
        *(("::1", None), ("::1/128", "late")),
        *(("2001:DB8::/32", "early"), ("2001:db8::/32", "late")),
        *(("::ffff:192.0.2.1", "mapped"), ("192.0.2.1", "late")),
    ]
    kept = {"10.0.0.0/8": None, "10.1.0.0/16": "early", "192.0.2.1": "mapped", "::1": None, "2001:db8::/32": "early"}
    allow = AllowList(entries)
    assert list(allow) == [Entry(prefix, label) for prefix, label in kept.items()]
    assert [allow[number].label for number in allow.match_many(["10.1.2.3", "10.2.3.4", "::1", "192.0.2.1"])] == [
        *("early", None, None, "mapped")
    ]
    assert [entry.label for entry in allow.matches("10.1.2.3")] == ["early", None]


def test_more_entries_than_are_kept_as_objects_match_rightly() -> None:
    """A list keeps 65,536 objects of entries; those with numbers that far apart share a place."""
    count = 2 * 65_536 + 3
    texts = [f"{IPv4Address(0x0A000000 + 2 * number)}" for number in range(count)]
    allow = AllowList((text, f"number {number}") if number % 3 else text for number, text in enumerate(texts))
    near = [0, 1, 2, 65_535, 65_536, 65_537, 2 * 65_536, count - 1]
    for number in [*range(count), *near, *reversed(near)]:
        entry = allow[number]
        assert entry.label == (f"number {number}" if number % 3 else None)
        assert str(entry.prefix) == f"{texts[number]}/32"
    assert list(allow.match_many(texts)) == list(range(count))
    for number in [*near, *near]:
        matched = allow.match(texts[number])
        assert matched is not None
        assert (str(matched.prefix), matched) == (f"{texts[number]}/32", allow[number])


def test_size_is_what_the_documentation_says() -> None:
    """9 bytes an entry of IPv4 or 22 of IPv6, 8 or 33 a range; and some for the object."""
    count = 5_000
    empty, four, six = (
        sys.getsizeof(AllowList(texts))
        for texts in (
            [],
            [f"{IPv4Address(2 * number)}" for number in range(count)],
            [f"{IPv6Address(2 * number + (1 << 96))}" for number in range(count)],
        )
    )
    assert 200 < empty < 2_000
    assert 17 * count < four < 18 * count + empty
    assert 50 * count < six < 56 * count + empty


# Lines


LINES = ["203.0.113.0/24", "10.0.0.0/8", "192.0.2.255", "1.2.3.4/32", "::/0", "2001:db8::/48", "::ffff:1.2.3.4", "1::"]


def refusal_of(make: Callable[[Any], object], source: object) -> tuple[object, ...] | None:
    try:
        make(source)
    except InvalidPrefix as error:
        return error.index, error.text, error.position, error.code, error.suggestion, str(error)
    return None


@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        bytearray,
        memoryview,
        lambda lines: array("B", lines),
        lambda lines: memoryview(b"#" + lines + b"#")[1:-1],
        lambda lines: (ctypes.c_ubyte * len(lines)).from_buffer_copy(lines),
    ],
)
def test_lines_make_the_list_that_their_texts_make(wrap: Callable[[bytes], Any]) -> None:
    for joined in ("\n".join(LINES), "\n".join(LINES) + "\n", "\n\n" + "\n\n\n".join(LINES) + "\n\n"):
        assert AllowList.from_lines(wrap(joined.encode())) == AllowList(LINES)


def test_no_lines_make_an_empty_list() -> None:
    for lines in (b"", b"\n", b"\n" * 100):
        assert list(AllowList.from_lines(lines)) == []


@pytest.mark.parametrize(
    "line", [*LINES, "2001:db8:1111:2222:3333:4444:5555:6666/128", "255.255.255.255/32", "::", "0::/1"]
)
def test_line_may_begin_anywhere(line: str) -> None:
    """The first lines of a buffer have too little room before them to be read in one go."""
    for before in range(70):
        assert AllowList.from_lines(b"\n" * before + line.encode()) == AllowList([line])
        assert AllowList.from_lines(b"1.1.1.1\n" * (before // 8) + line.encode()) == AllowList(
            ["1.1.1.1"] * (before // 8) + [line]
        )


@pytest.mark.parametrize(
    "junk",
    [
        *(
            "junk",
            "203.0.113.0/24\r",
            "\r",
            " ",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "10.0.0.0/8\0",
            "10.0.0.1/8",
            "10.0.0.0/33",
        ),
        *(
            "# comment",
            "10.0.0.0/8 # comment",
            "é",
            "10.0.0.0/8é",
            "\xff",
            "::1\u0085",
            "10.0.0.0/8\x0b",
            "/",
            "/8",
            "::/",
        ),
    ],
)
def test_junk_line_is_refused_with_its_number_and_as_its_text_is(junk: str) -> None:
    for before in (0, 1, 3, 9):
        lines = [*LINES, *LINES][:before]
        for rest in ("", "\n", "\n10.0.0.0/8\n", "\njunk again"):
            data = "\n".join([*lines, junk]).encode("latin-1") + rest.encode()
            assert refusal_of(AllowList.from_lines, data) == refusal_of(AllowList, [*lines, junk])
    with pytest.raises(InvalidPrefix) as caught:
        AllowList.from_lines(b"\n10.0.0.0/8\n\n" + junk.encode("latin-1"))
    assert caught.value.index == 3


def test_every_byte_in_a_line_is_judged_as_in_a_text() -> None:
    line = "198.51.100.0/24"
    for place in (0, 3, 8, 12, 13, 15):
        for byte in set(range(256)) - {ord("\n")}:
            text = line[:place] + chr(byte) + line[place + 1 :]
            data = b"\n" * 48 + text.encode("latin-1")
            refused, found = refusal_of(AllowList, [text]), refusal_of(AllowList.from_lines, data)
            if refused is None:
                assert AllowList.from_lines(data) == AllowList([text])
            else:
                assert found is not None
                assert (found[0], found[1:5]) == (48, refused[1:5])


def test_very_long_line_is_refused_and_shown_short() -> None:
    for line in (b"1" * 1_000_000, b"10.0.0.0/8" + b" " * 1_000_000, b":" * 1_000_000, b"\0" * 1_000_000):
        with pytest.raises(InvalidPrefix) as caught:
            AllowList.from_lines(b"10.0.0.0/8\n" + line + b"\n::/0")
        assert caught.value.index == 1
        assert len(str(caught.value)) < 500


def test_many_lines() -> None:
    texts = [f"{IPv4Address(0x0A000000 + 256 * number)}/24" for number in range(20_000)]
    texts += [f"{IPv6Address((0x20010DB8 << 96) + (number << 80))}/48" for number in range(20_000)]
    texts = texts[::-1] + texts[::2]
    assert AllowList.from_lines("\n".join(texts).encode()) == AllowList(texts)


def test_what_is_no_buffer_of_bytes_is_refused() -> None:
    no_bytes: list[Any] = ["10.0.0.0/8", ["10.0.0.0/8"], None, 5, object()]
    for lines in no_bytes:
        with pytest.raises(TypeError):
            AllowList.from_lines(lines)
    for buffer in (array("I", [5]), array("H", b"::"), memoryview(b"::\n:" * 2).cast("B", (2, 4))):
        with pytest.raises(ValueError):
            AllowList.from_lines(buffer)
    with pytest.raises(BufferError):
        AllowList.from_lines(memoryview(b"10.0.0.0/8\n" * 2)[::2])


def test_lines_are_let_go_of_again_and_nothing_of_them_is_kept() -> None:
    lines = bytearray(b"10.0.0.0/8\n")
    allow = AllowList.from_lines(lines)
    lines[:] = b"::/0\njunk"
    with pytest.raises(InvalidPrefix):
        AllowList.from_lines(lines)
    lines.append(0)
    assert list(allow) == [Entry("10.0.0.0/8")]


def test_out_may_not_lie_over_the_addresses() -> None:
    buffer = bytearray(b"\n\0\0\1" * 4)
    with pytest.raises(ValueError, match="out lies in the buffer of the addresses"):
        AllowList(["10.0.0.0/8"]).contains_many(buffer, family=4, out=memoryview(buffer)[4:8])
    with pytest.raises(ValueError, match="out lies in the buffer of the addresses"):
        AllowList(["10.0.0.0/8"]).match_many(buffer, family=4, out=memoryview(buffer).cast("i"))
    assert buffer == b"\n\0\0\1" * 4


def test_numbers_need_room_for_minus_one() -> None:
    with pytest.raises(ValueError, match="out has 16 bytes in items of format 'I'"):
        AllowList(["10.0.0.0/8"]).match_many(bytes(16), family=4, out=array("I", [0] * 4))


def test_lines_are_a_buffer() -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="bytes-like"):
        AllowList.from_lines(nothing)
