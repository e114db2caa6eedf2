"""Hypothesis strategies that love borders.

Most numbers are uninteresting; mistakes live at the first and last address of a prefix, one step outside it, at
the ends of the address space, at the 64-bit middle of IPv6 and around ::ffff:0:0/96, where IPv6 ends up as IPv4:

    ... first-1 | first ........ last | last+1 ...        `probes` draws these four more often than anything else

Texts come in three tempers, and `any_texts` mixes them: valid ones in every spelling that is allowed, valid ones
with one character damaged, and whatever Hypothesis thinks of.
"""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.reference import Address, Span, bits_of, build_span, fold_span, format_number, largest, length_of

FAMILIES = (4, 6)
MAPPED_FIRST = 0xFFFF << 32
MAPPED_LAST = MAPPED_FIRST + 2**32 - 1

BORDER_NUMBERS = {
    4: [0, 1, 0x0A000000, 0x7F000001, 0x7FFFFFFF, 0x80000000, 0xC0000200, 0xCB007105, 0xFFFFFFFE, 0xFFFFFFFF],
    6: [
        0,
        1,
        MAPPED_FIRST - 1,
        MAPPED_LAST + 1,
        0xFFFE << 32,  # ::fffe:0:0 and ::1:0:0:0 look mapped and are not
        1 << 48,
        1 << 64,
        (1 << 64) - 1,
        0x20010DB8 << 96,
        (0x20010DB8 << 96) + (1 << 64) - 1,
        (0x20010DB8 << 96) + (1 << 64),
        0xFE80 << 112,
        (1 << 127) - 1,
        1 << 127,
        2**128 - 2,
        2**128 - 1,
    ],
}
BORDER_LENGTHS = {4: [0, 1, 7, 8, 9, 16, 23, 24, 25, 30, 31, 32], 6: [0, 1, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128]}

ALPHABET = "0123456789abcdefABCDEF.:/%-+xg \n\t\0[]"
STRANGE = "²\u0663\uff11\u3002\uff1a\uff0f\u00a0\u200b\ud800\U0001f600é"
families = st.sampled_from(FAMILIES)


# Numbers, addresses, spans


def numbers(family: int) -> SearchStrategy[int]:
    """Any address of the family as a number, borders first; never an IPv4-mapped one."""
    near = st.builds(
        lambda border, step: min(max(border + step, 0), largest(family)),
        st.sampled_from(BORDER_NUMBERS[family]),
        st.integers(-2, 2),
    )
    anywhere = st.integers(0, largest(family))
    return st.one_of(near, anywhere).filter(lambda number: family == 4 or number >> 32 != 0xFFFF)


@st.composite
def addresses(draw: DrawFn, family: int | None = None) -> Address:
    chosen = draw(families) if family is None else family
    return Address(chosen, draw(numbers(chosen)))


def lengths(family: int) -> SearchStrategy[int]:
    return st.one_of(st.sampled_from(BORDER_LENGTHS[family]), st.integers(0, bits_of(family)))


@st.composite
def spans(draw: DrawFn, family: int | None = None) -> Span:
    """One canonical prefix; it is not one that a mapped text would fold into IPv4."""
    chosen = draw(families) if family is None else family
    return build_span(chosen, draw(numbers(chosen)), draw(lengths(chosen)))


@st.composite
def span_lists(draw: DrawFn, max_size: int = 12) -> list[Span]:
    """A list with relatives: parents, children, twins and neighbours of what is there already."""
    found = draw(st.lists(spans(), max_size=max_size // 2))
    relatives = draw(st.lists(st.integers(0, 10**6), max_size=max_size // 2 if found else 0))
    for number in relatives:
        found.append(draw(relative(found[number % len(found)])))
    return found


@st.composite
def relative(draw: DrawFn, span: Span) -> Span:
    """The span itself, or one around it, inside it or beside it."""
    length = length_of(span)
    edge = draw(st.sampled_from([span.first, span.last, span.first - 1, span.last + 1]))
    number = min(max(edge, 0), largest(span.family))
    wanted = draw(st.one_of(st.sampled_from([length, length - 1, length + 1]), st.integers(0, bits_of(span.family))))
    found = build_span(span.family, number, min(max(wanted, 0), bits_of(span.family)))
    return span if fold_span(found) != found else found


@st.composite
def probes(draw: DrawFn, around: list[Span]) -> Address:
    """An address to ask about: first-1, first, last or last+1 of some span, or any."""
    if not around or draw(st.integers(0, 4)) == 0:
        return draw(addresses())
    span = draw(st.sampled_from(around))
    number = draw(st.sampled_from([span.first - 1, span.first, span.last, span.last + 1]))
    inside = min(max(number, 0), largest(span.family))
    if span.family == 6 and inside >> 32 == 0xFFFF:
        inside = MAPPED_FIRST - 1
    return Address(span.family, inside)


# Texts


@st.composite
def spellings(draw: DrawFn, address: Address) -> str:
    """One of the many texts of an address that the rules allow."""
    if address.family == 4:
        return draw(st.sampled_from([format_number(4, address.number), mapped_text(address.number)]))
    text = draw(st.sampled_from([format_number(6, address.number), full_text(address.number), dotted(address.number)]))
    return draw(st.sampled_from([text, text.upper()]))


def mapped_text(number: int) -> str:
    return f"::ffff:{format_number(4, number)}"


def full_text(number: int) -> str:
    """All eight groups with all their zeros."""
    return ":".join(f"{number >> shift & 0xFFFF:04x}" for shift in range(112, -1, -16))


def dotted(number: int) -> str:
    """Six groups and a dotted tail."""
    upper = [f"{number >> shift & 0xFFFF:x}" for shift in range(112, 31, -16)]
    return ":".join([*upper, format_number(4, number & 0xFFFFFFFF)])


@st.composite
def address_texts(draw: DrawFn) -> str:
    return draw(spellings(draw(addresses())))


@st.composite
def prefix_texts(draw: DrawFn) -> str:
    """An allowed text of a prefix; now and then without a length, or with host bits."""
    span = draw(spans())
    number = draw(st.sampled_from([span.first, span.first, span.first, span.last]))
    address = draw(spellings(Address(span.family, number)))
    length = length_of(span) + (96 if span.family == 4 and ":" in address else 0)
    return draw(st.sampled_from([f"{address}/{length}", f"{address}/{length}", address]))


@st.composite
def wrong_lengths(draw: DrawFn) -> str:
    """An address and something after the slash that is not a length, or hardly."""
    address = draw(address_texts())
    tail = draw(
        st.sampled_from(["", "00", "08", "33", "129", "-1", "+8", "8junk", "abc", "255.255.255.0", "0.0.0.255"])
    )
    return f"{address}/{tail}"


@st.composite
def damaged(draw: DrawFn, texts: SearchStrategy[str]) -> str:
    """A text with one character inserted, deleted or replaced."""
    text = draw(texts)
    character = draw(st.one_of(st.sampled_from(ALPHABET + STRANGE), st.characters()))
    at = draw(st.integers(0, len(text) - 1))
    return draw(
        st.sampled_from(
            [
                text[:at] + character + text[at:],
                text + character,
                text[:at] + text[at + 1 :],
                text[:at] + character + text[at + 1 :],
            ]
        )
    )


def any_texts() -> SearchStrategy[str]:
    """Anything that may be handed to us as the text of an address or a prefix."""
    good = st.one_of(address_texts(), prefix_texts())
    return st.one_of(
        good,
        damaged(good),
        damaged(damaged(good).filter(bool)),
        wrong_lengths(),
        st.text(st.sampled_from(ALPHABET), max_size=45),
        st.text(st.sampled_from(":0"), max_size=20),
        st.text(max_size=50),
        st.text(st.characters(), max_size=20),
    )


def labels() -> SearchStrategy[str | None]:
    return st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=9))
