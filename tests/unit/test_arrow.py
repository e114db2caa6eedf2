"""Arrow arrays: read as their texts would be, released exactly once whatever happens, and not believed.

Most arrays here are made by hand, out of the structs of the C data interface in capsules, so that no Arrow library
is needed and every field can lie:

    Lender  --__arrow_c_array__-->  capsule "arrow_schema", capsule "arrow_array"

A struct that has not been moved out of its capsule is released when the capsule goes; here `drop` does that.  So at the
end of each test every struct has been released once, or somebody is wrong.
"""

import array
import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, InvalidAddress
from tests.strategies import any_texts

OFFICE = AllowList(["203.0.113.0/24", ("203.0.113.64/26", "Upstairs"), "1.2.3.4", "2001:db8::/48"])
V4 = ["203.0.113.7", "1.2.3.4", "203.0.113.65", "1.2.3.5", "255.255.255.255", "0.0.0.0", "203.0.113.127", "203.0.114.0"]
V6 = ["2001:db8::1", "::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff", "::1", "::ffff:203.0.113.65", "2001:db8:1::"]
TEXTS = [text for pair in zip(V4, V6, strict=False) for text in pair] * 2


# Arrays made by hand


class Schema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


class Array(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.c_void_p),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


class Stream(ctypes.Structure):
    _fields_ = (
        ("get_schema", ctypes.c_void_p),
        ("get_next", ctypes.c_void_p),
        ("get_last_error", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


NAMES = {Schema: b"arrow_schema", Array: b"arrow_array", Stream: b"arrow_array_stream"}
RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
GET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
SAY = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Owner:
    """What lends structs: it keeps all that they point to, and counts what is released."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.lent: list[Any] = []
        self.released: list[str] = []

    def pointer(self, function: Any) -> int | None:
        self.kept.append(function)
        return ctypes.cast(function, ctypes.c_void_p).value

    def release(self, kind: Any) -> int | None:
        def release(address: int) -> None:
            self.released.append(kind.__name__)
            kind.from_address(address).release = None

        return self.pointer(RELEASE(release))

    def capsule(self, part: Any) -> object:
        self.lent.append(part)
        return new_capsule(ctypes.addressof(part), NAMES[type(part)], None)

    def drop(self) -> list[str]:
        """Do what the destructors of capsules do, and tell what has been released up to then."""
        for part in self.lent:
            if part.release is not None:
                RELEASE(part.release)(ctypes.addressof(part))
        return self.released


class Lender(Owner):
    """One array, and its schema."""

    def __init__(self, code: bytes, length: int, *buffers: bytes | None) -> None:
        super().__init__()
        blocks = [None if block is None else (ctypes.c_uint8 * len(block)).from_buffer_copy(block) for block in buffers]
        addresses = [None if block is None else ctypes.addressof(block) for block in blocks]
        self.buffers = (ctypes.c_void_p * len(blocks))(*addresses)
        self.kept += blocks
        self.schema = Schema(format=code, release=self.release(Schema))
        self.array = Array(
            length=length,
            null_count=-1,
            n_buffers=len(blocks),
            buffers=ctypes.addressof(self.buffers),
            release=self.release(Array),
        )

    def with_nulls(self, *nulls: int) -> "Lender":
        """Add the bitmap: a bit for each item from the start of the buffers, 0 is a null."""
        bits = sum(1 << i for i in range(self.array.offset + self.array.length) if i not in nulls)
        bitmap = (ctypes.c_uint8 * 8).from_buffer_copy(bits.to_bytes(8, "little"))
        self.kept.append(bitmap)
        self.buffers[0] = ctypes.addressof(bitmap)
        return self

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return self.capsule(self.schema), self.capsule(self.array)


class StreamLender(Owner):
    """A stream: a schema, and then each chunk in turn."""

    def __init__(self, *chunks: Lender, error: int = 0) -> None:
        super().__init__()
        self.schema = Lender(b"u" if not chunks else chunks[0].schema.format, 0)
        self.rest = iter(chunks)
        self.error = error
        self.reason = ctypes.create_string_buffer(b"the disk is gone")
        self.stream = Stream(
            get_schema=self.pointer(GET(self.get_schema)),
            get_next=self.pointer(GET(self.get_next)),
            get_last_error=self.pointer(SAY(lambda _: ctypes.addressof(self.reason))),
            release=self.release(Stream),
        )

    def get_schema(self, _: int, out: int) -> int:
        ctypes.memmove(out, ctypes.addressof(self.schema.schema), ctypes.sizeof(Schema))
        return 0

    def get_next(self, _: int, out: int) -> int:
        chunk = next(self.rest, None)
        if chunk is None:
            Array.from_address(out).release = None
            return self.error
        ctypes.memmove(out, ctypes.addressof(chunk.array), ctypes.sizeof(Array))
        return 0

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.capsule(self.stream)


def strings(texts: Sequence[str | bytes], code: bytes = b"u") -> Lender:
    encoded = [text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass") for text in texts]
    ends = [sum(map(len, encoded[:i])) for i in range(len(encoded) + 1)]
    offsets = struct.pack(f"={len(ends)}{'i' if code == b'u' else 'q'}", *ends)
    return Lender(code, len(texts), None, offsets, b"".join(encoded))


def large_strings(texts: Sequence[str | bytes]) -> Lender:
    return strings(texts, b"U")


def views(texts: Sequence[str | bytes]) -> Lender:
    """Long texts go to two buffers in turn."""
    data, packed = [b"", b""], b""
    for i, text in enumerate(texts):
        encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        if len(encoded) <= 12:
            packed += struct.pack("=i12s", len(encoded), encoded)
        else:
            packed += struct.pack("=i4sii", len(encoded), encoded[:4], i % 2, len(data[i % 2]))
            data[i % 2] += encoded
    return Lender(b"vu", len(texts), None, packed, *data, struct.pack("=2q", *map(len, data)))


def numbers(texts: Sequence[str]) -> Lender:
    return Lender(b"I", len(texts), None, array.array("I", [int(ip_address(text)) for text in texts]).tobytes())


def packed(texts: Sequence[str]) -> Lender:
    blocks = [ip_address(text).packed for text in texts]
    return Lender(f"w:{len(blocks[0])}".encode(), len(texts), None, b"".join(blocks))


TEXT_FORMATS = [strings, large_strings, views]
FORMATS: list[Any] = [
    *[pytest.param(make, TEXTS, id=make.__name__) for make in TEXT_FORMATS],
    pytest.param(numbers, V4, id="numbers"),
    pytest.param(packed, V4, id="packed4"),
    pytest.param(packed, V6, id="packed6"),
]
Make = Callable[[Sequence[Any]], Lender]
Ask = Callable[..., Any]
ASKS: list[Ask] = [OFFICE.contains_many, OFFICE.match_many]


@pytest.fixture
def lend() -> Iterator[Callable[[Any], Any]]:
    """Watch what a test lends: at its end each struct of it has been released, once."""
    lent: list[Lender] = []

    def watch(lender: Lender) -> Lender:
        lent.append(lender)
        return lender

    yield watch
    for lender in lent:
        assert sorted(lender.drop()) == ["Array", "Schema"]


# What is read


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_array_answers_as_its_texts_do(lend: Any, make: Make, texts: list[str], ask: Ask) -> None:
    assert ask(lend(make(texts))) == ask(texts)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_offset_and_length_choose_a_part(lend: Any, make: Make, texts: list[str], ask: Ask) -> None:
    for begin in range(len(texts)):
        for end in range(begin, len(texts) + 1):
            lender = lend(make(texts))
            lender.array.offset, lender.array.length = begin, end - begin
            assert ask(lender) == ask(texts[begin:end])


@given(texts=st.lists(any_texts(), max_size=12), make=st.sampled_from(TEXT_FORMATS))
def test_texts_are_taken_or_refused_as_in_a_list(texts: list[str], make: Make) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    for ask in ASKS:
        expected, refused = None, None
        try:
            expected = ask(texts)
        except InvalidAddress as error:
            refused = error
        lender = make(texts)
        if refused is None:
            assert ask(lender) == expected
        else:
            with pytest.raises(InvalidAddress) as caught:
                ask(lender)
            assert vars(caught.value) == vars(refused)
        assert sorted(lender.drop()) == ["Array", "Schema"]


@pytest.mark.parametrize("make", TEXT_FORMATS)
def test_bytes_that_are_no_utf8_are_refused(lend: Any, make: Make) -> None:
    with pytest.raises(InvalidAddress) as caught:
        OFFICE.contains_many(lend(make(["1.2.3.4", b"\xff\xfe1.2.3.4"])))
    assert (caught.value.index, caught.value.code, caught.value.position) == (1, "not_ascii", 0)


def test_answers_go_where_they_are_wanted(lend: Any) -> None:
    yes, which = bytearray(3), array.array("i", [7, 7, 7])
    assert OFFICE.contains_many(lend(strings(V4[1:4])), out=yes) is yes
    assert OFFICE.match_many(lend(strings(V4[1:4])), out=which) is which
    assert (bytes(yes), which.tolist()) == (b"\1\1\0", [0, 2, -1])
    with pytest.raises(ValueError, match=r"^out "):
        OFFICE.contains_many(lend(strings(V4)), out=yes)


@pytest.mark.parametrize("code", [b"u", b"U", b"vu", b"I", b"w:4", b"w:16"])
def test_array_without_items_needs_no_buffers(lend: Any, code: bytes) -> None:
    lender = lend(Lender(code, 0, *[None] * (3 if code in (b"u", b"U", b"vu") else 2)))
    assert OFFICE.contains_many(lender) == b""


def test_texts_without_characters_need_no_buffer_for_them(lend: Any) -> None:
    with pytest.raises(InvalidAddress, match="entry 0: '' is not an address: the address is missing"):
        OFFICE.contains_many(lend(Lender(b"u", 1, None, bytes(8), None)))


# Nulls


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_null_is_refused_with_its_index(lend: Any, make: Make, texts: list[str], ask: Ask) -> None:
    texts = (texts * 4)[:21]
    for null in range(21):
        for begin in (0, 1, 3, 8):
            lender = lend(make(texts))
            lender.array.offset, lender.array.length = begin, 21 - begin
            lender.with_nulls(null)
            if null < begin:
                assert ask(lender) == ask(texts[begin:])
                continue
            with pytest.raises(InvalidAddress) as caught:
                ask(lender)
            assert str(caught.value) == (
                f"entry {null - begin}: '<null>' is not an address: a null is no address (at position 0)"
            )
            assert (caught.value.index, caught.value.code) == (null - begin, "empty")


def test_count_of_nulls_is_not_believed(lend: Any) -> None:
    lender = lend(numbers(V4)).with_nulls(5)
    lender.array.null_count = 0
    with pytest.raises(InvalidAddress, match="entry 5"):
        OFFICE.contains_many(lender)


@pytest.mark.parametrize("make", TEXT_FORMATS)
def test_first_trouble_is_the_one_that_is_told(lend: Any, make: Make) -> None:
    texts = ["1.2.3.4", "junk", "1.2.3.4", "1.2.3.4"]
    with pytest.raises(InvalidAddress, match="entry 1: 'junk'"):
        OFFICE.contains_many(lend(make(texts)).with_nulls(2))
    with pytest.raises(InvalidAddress, match="entry 0: '<null>'"):
        OFFICE.contains_many(lend(make(texts)).with_nulls(0, 3))


# What is refused


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("code", [b"i", b"l", b"z", b"vz", b"w:3", b"w:16 ", b"+l", b"+s", b"n", b"", b"\xff" * 200])
def test_other_format_is_named(lend: Any, code: bytes, ask: Ask) -> None:
    shown = ascii(code.decode("ascii", "backslashreplace")[:80])
    with pytest.raises(TypeError) as caught:
        ask(lend(Lender(code, 1, None, bytes(16))))
    assert f"not {shown}" in str(caught.value)


def test_dictionary_is_named_with_the_way_out(lend: Any) -> None:
    lender = lend(Lender(b"i", 1, None, bytes(4)))
    lender.schema.dictionary = ctypes.addressof(lender.schema)
    with pytest.raises(TypeError, match=r"dictionary-encoded Arrow array \(indices 'i'\).*dictionary_decode"):
        OFFICE.contains_many(lender)


def test_array_on_a_device_is_refused() -> None:
    class OnDevice:
        def __arrow_c_device_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
            raise AssertionError("nobody asks for it")

    unread: Any = OnDevice()
    with pytest.raises(TypeError, match="copy it to the CPU"):
        OFFICE.contains_many(unread)


def test_array_has_a_format_of_its_own_and_takes_no_family() -> None:
    lender = numbers(V4)
    contains_many: Any = OFFICE.contains_many
    with pytest.raises(TypeError):
        contains_many(lender, family=4)
    with pytest.raises(ValueError, match="byteorder is of a packed buffer"):
        contains_many(lender, byteorder="big")
    assert lender.released == []


LIES: dict[str, dict[str, int | None]] = {
    "negative length": {"length": -1},
    "negative offset": {"offset": -1},
    "length of all memory": {"length": 2**63 - 1},
    "offset of all memory": {"offset": 2**63 - 1},
    "sum that overflows": {"length": 2**62, "offset": 2**62},
    "bytes that overflow": {"length": 2**60},
    "too few buffers": {"n_buffers": 1},
    "no buffers": {"n_buffers": 0},
    "negative buffers": {"n_buffers": -1},
    "no pointers": {"buffers": None},
    "children": {"n_children": 1},
    "less than no nulls": {"null_count": -2},
    "more nulls than items": {"null_count": 99},
    "nulls without a bitmap": {"null_count": 1},
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_array_that_contradicts_itself_is_refused(lend: Any, make: Make, texts: list[str], lie: str, ask: Ask) -> None:
    lender = lend(make(texts))
    for field, value in LIES[lie].items():
        setattr(lender.array, field, value)
    with pytest.raises(ValueError, match="the Arrow array contradicts itself"):
        ask(lender)


@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_missing_buffer_is_refused(lend: Any, make: Make, texts: list[str]) -> None:
    for i in range(1, len(make(texts).buffers)):
        lender = lend(make(texts))
        lender.buffers[i] = None
        with pytest.raises(ValueError, match=r"missing|does not lie in its buffer"):
            OFFICE.contains_many(lender)


@pytest.mark.parametrize("make", [strings, packed])
def test_more_buffers_than_the_format_has_are_refused(lend: Any, make: Make) -> None:
    lender = lend(make(V4))
    lender.array.n_buffers += 1
    with pytest.raises(ValueError, match=r"has not \d buffers"):
        OFFICE.contains_many(lender)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("code", "size"), [(b"u", "i"), (b"U", "q")])
@pytest.mark.parametrize(
    "offsets",
    [[0, 14, 7], [-7, 0, 7], [0, -1, 7], [0, 2**31 - 1, 14], [7, 0, 14], [14, 7, 0], [0, 7, -1]],
)
def test_offsets_that_fall_or_leave_are_refused(
    lend: Any, code: bytes, size: str, offsets: list[int], ask: Ask
) -> None:
    with pytest.raises(ValueError, match=r"the Arrow array contradicts itself: .*text"):
        ask(lend(Lender(code, 2, None, struct.pack(f"=3{size}", *offsets), b"1.2.3.41.2.3.4")))


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    "view",
    [
        struct.pack("=i12s", -1, b"1.2.3.4"),
        struct.pack("=i4sii", 13, b"2001", 1, 0),
        struct.pack("=i4sii", 13, b"2001", -1, 0),
        struct.pack("=i4sii", 13, b"2001", 0, -1),
        struct.pack("=i4sii", 13, b"2001", 0, 1),
        struct.pack("=i4sii", 14, b"2001", 0, 0),
        struct.pack("=i4sii", 2**31 - 1, b"2001", 0, 2**31 - 1),
    ],
)
def test_view_that_leaves_its_buffer_is_refused(lend: Any, view: bytes, ask: Ask) -> None:
    good = struct.pack("=i4sii", 13, b"2001", 0, 0)
    lender = lend(Lender(b"vu", 2, None, good + view, b"2001:db8::123", struct.pack("=q", 13)))
    with pytest.raises(ValueError, match="text 1 does not lie in its buffer"):
        ask(lender)


def test_schema_without_a_format_is_refused(lend: Any) -> None:
    lender = lend(strings(V4))
    lender.schema.format = None
    with pytest.raises(ValueError, match="no format"):
        OFFICE.contains_many(lender)


# Who releases what


def test_what_was_taken_is_not_taken_again(lend: Any) -> None:
    lender = lend(strings(V4))
    pair = lender.__arrow_c_array__()
    lender.__class__ = type("Repeating", (Lender,), {"__arrow_c_array__": lambda _: pair})
    assert OFFICE.contains_many(lender) == OFFICE.contains_many(V4)
    with pytest.raises(ValueError, match="the Arrow array was taken before"):
        OFFICE.contains_many(lender)


@pytest.mark.parametrize("part", [0, 1])
def test_schema_and_array_that_do_not_belong_to_their_capsules_are_refused(lend: Any, part: int) -> None:
    good, other = lend(strings(V4)), lend(strings(V4))
    pair = list(good.__arrow_c_array__())
    pair[part] = other.__arrow_c_array__()[1 - part]
    odd: Any = type("Odd", (), {"__arrow_c_array__": lambda _: tuple(pair)})()
    with pytest.raises(ValueError, match="incorrect name"):
        OFFICE.contains_many(odd)
    pair.clear()


@pytest.mark.parametrize("given", [None, (), (None, None), (1, 2, 3), b"ab"])
def test_what_is_no_pair_of_capsules_is_refused(given: object) -> None:
    odd: Any = type("Odd", (), {"__arrow_c_array__": lambda _: given})()
    with pytest.raises((TypeError, ValueError)):
        OFFICE.contains_many(odd)


def test_exception_of_the_lender_is_passed_on() -> None:
    def fail(_: object) -> None:
        raise KeyboardInterrupt

    odd: Any = type("Odd", (), {"__arrow_c_array__": fail})()
    with pytest.raises(KeyboardInterrupt):
        OFFICE.contains_many(odd)


# Streams


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_chunks_of_a_stream_are_one_array(make: Make, texts: list[str], ask: Ask) -> None:
    chunks = [make(texts[:3]), make(texts[3:]), make(texts)]
    chunks[1].array.offset, chunks[1].array.length = 2, 0
    stream = StreamLender(*chunks)
    assert ask(stream) == ask(texts[:3] + texts)
    assert [*stream.drop(), *stream.schema.released] == ["Stream", "Schema"]
    assert [chunk.released for chunk in chunks] == [["Array"]] * 3


def test_stream_without_chunks_has_no_answers() -> None:
    stream = StreamLender()
    assert OFFICE.contains_many(stream) == b""
    assert [*stream.drop(), *stream.schema.released] == ["Stream", "Schema"]


@pytest.mark.parametrize("ask", ASKS)
def test_index_counts_over_all_chunks(ask: Ask) -> None:
    for bad in (strings(["1.2.3.4", "junk"]), strings(["1.2.3.4", "1.2.3.4"]).with_nulls(1)):
        chunks = [strings(V4), bad, strings(V4)]
        with pytest.raises(InvalidAddress) as caught:
            ask(StreamLender(*chunks))
        assert caught.value.index == len(V4) + 1
        assert [chunk.released for chunk in chunks] == [["Array"]] * 3


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda chunk: setattr(chunk.array, "length", -1), "the Arrow array contradicts itself"),
        (lambda chunk: setattr(chunk.array, "n_buffers", 3), "has not 3 buffers"),
    ],
)
def test_stream_with_a_bad_chunk_is_refused_and_released(spoil: Callable[[Lender], None], expected: str) -> None:
    chunks = [numbers(V4), numbers(V4), numbers(V4)]
    spoil(chunks[1])
    stream = StreamLender(*chunks)
    with pytest.raises(ValueError, match=expected):
        OFFICE.contains_many(stream)
    assert [*stream.drop(), *stream.schema.released] == ["Stream", "Schema"]
    assert [chunk.released for chunk in chunks] == [["Array"], ["Array"], []]


def test_stream_of_more_items_than_memory_has_is_refused() -> None:
    chunks = [numbers(V4), numbers(V4)]
    for chunk in chunks:
        chunk.array.length = 2**58
    with pytest.raises(ValueError, match="do not fit into memory"):
        OFFICE.match_many(StreamLender(*chunks))


def test_stream_that_fails_says_why() -> None:
    chunk = strings(V4)
    stream = StreamLender(chunk, error=5)
    with pytest.raises(OSError, match="the Arrow stream failed: the disk is gone") as caught:
        OFFICE.contains_many(stream)
    assert caught.value.errno == 5
    assert [*stream.drop(), *stream.schema.released, *chunk.released] == ["Stream", "Schema", "Array"]


def test_stream_of_another_format_is_refused() -> None:
    stream = StreamLender(Lender(b"+s", 1, None))
    with pytest.raises(TypeError, match=r"not '\+s'; pass one column"):
        OFFICE.contains_many(stream)
    assert [*stream.drop(), *stream.schema.released] == ["Stream", "Schema"]


# A library that others wrote


@pytest.fixture(scope="module")
def pyarrow() -> Any:
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed; the arrays above are made by hand")


@pytest.mark.parametrize("ask", ASKS)
def test_arrays_of_pyarrow(pyarrow: Any, ask: Ask) -> None:
    before = pyarrow.total_allocated_bytes()
    arrays = [
        (pyarrow.array(TEXTS, pyarrow.string()), TEXTS),
        (pyarrow.array(TEXTS, pyarrow.large_string()), TEXTS),
        (pyarrow.array(TEXTS, pyarrow.string_view()), TEXTS),
        (pyarrow.array([int(ip_address(text)) for text in V4], pyarrow.uint32()), V4),
        (pyarrow.array([ip_address(text).packed for text in V4], pyarrow.binary(4)), V4),
        (pyarrow.array([ip_address(text).packed for text in V6], pyarrow.binary(16)), V6),
    ]
    for lent, texts in arrays:
        assert ask(lent) == ask(texts)
        assert ask(lent[3:6]) == ask(texts[3:6])
        assert ask(pyarrow.chunked_array([lent[:2], lent[2:2], lent[2:]])) == ask(texts)
    del arrays, lent
    assert pyarrow.total_allocated_bytes() == before


@pytest.mark.parametrize("ask", ASKS)
def test_nulls_and_other_types_of_pyarrow(pyarrow: Any, ask: Ask) -> None:
    for kind in (pyarrow.string(), pyarrow.string_view()):
        with pytest.raises(InvalidAddress, match="entry 9: '<null>'"):
            ask(pyarrow.chunked_array([V4, pyarrow.array(["1.2.3.4", None], kind).cast(pyarrow.string())]))
        with pytest.raises(InvalidAddress, match="entry 1: '<null>'"):
            ask(pyarrow.array(["junk", "1.2.3.4", None], kind)[1:])
    column = pyarrow.array(["1.2.3.4"])
    for other in (column.dictionary_encode(), pyarrow.array([1]), pyarrow.table({"client": column})):
        with pytest.raises(TypeError, match="Arrow array"):
            ask(other)


# Where answers may not be written


ARENA = 1024


@pytest.mark.parametrize("ask", ASKS, ids=["contains_many", "match_many"])
@pytest.mark.parametrize("in_stream", [False, True], ids=["array", "second chunk"])
@pytest.mark.parametrize(("make", "texts"), FORMATS)
def test_B2_out_over_any_memory_of_the_array_is_refused_and_beside_it_is_right(
    make: Make, texts: list[str], in_stream: bool, ask: Ask
) -> None:
    """Each buffer of the array lies in an arena once, and `out` at many places of that arena."""
    earlier = texts[:3] if in_stream else []
    wanted = bytes(ask(earlier + texts))
    kind: Any = (ctypes.c_uint8 if ask is ASKS[0] else ctypes.c_int32) * len(earlier + texts)
    size = ctypes.sizeof(kind)
    for which in range(make(texts).array.n_buffers):
        length = len(block_of(make(texts).with_nulls(), which))
        begin = (ARENA - length) // 2 // 8 * 8
        end, refused = begin + length, 0
        for place in {*range(begin - size - 2, begin - size + 3), *range(begin, end, 7), *range(end - 2, end + 3)}:
            lender = make(texts).with_nulls()
            arena = (ctypes.c_uint8 * ARENA)()
            arena[begin:end] = block_of(lender, which)[:]
            untouched = bytes(arena)
            lender.buffers[which] = ctypes.addressof(arena) + begin
            out = kind.from_buffer(arena, place)
            before = make(earlier or texts[:1])  # whoever lends keeps its memory
            source = StreamLender(before, lender) if in_stream else lender
            try:
                assert bytes(ask(source, out=out)) == wanted, (which, place)
            except ValueError as error:
                assert "out lies in the buffer of the addresses" in str(error)  # noqa: PT017
                assert begin - size < place < end
                assert bytes(arena) == untouched
                refused += 1
            finally:
                source.drop()
        assert refused > 0, which


def block_of(lender: Lender, which: int) -> Any:
    address = lender.buffers[which]
    return next(kept for kept in lender.kept if isinstance(kept, ctypes.Array) and ctypes.addressof(kept) == address)


def test_out_in_the_rest_of_a_parent_is_no_overlap() -> None:
    """A slice reads its own items; what else its buffers hold may be written."""
    lender = packed(V4)
    lender.array.offset, lender.array.length = 1, 1
    out = memoryview(block_of(lender, 1))[0:1].cast("B")
    assert OFFICE.contains_many(lender, out=out) is out
    assert list(out) == list(OFFICE.contains_many(V4[1:2]))
    lender.drop()
