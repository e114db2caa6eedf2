"""Every one-character damage of good texts: each character deleted, replaced and inserted, at each place, by each of
the 256 Latin-1 characters and some stranger ones.  What is left is taken exactly when the judge takes it.

    "1.2.3.4" -> ".2.3.4"  "x.2.3.4"  "x1.2.3.4"  "1x2.3.4"  ...
"""

from collections.abc import Iterator

import pytest

from cidrmatch import InvalidAddress, InvalidPrefix, InvalidText, parse_address, parse_prefix
from tests import reference
from tests.judges import inet_pton

STRANGE = (
    "\u0100\u0661\u06f1\u0967\u200b\u2028\u2215\u3002\ud800\udfff\ufeff"
    "\uff0e\uff0f\uff10\uff1a\uff21\U0001d7ce\U0010ffff"
)
CHARACTERS = [chr(code) for code in range(256)] + list(STRANGE)

ADDRESSES = [
    "0.0.0.0",
    "1.2.3.4",
    "10.20.30.40",
    "199.250.255.100",
    "255.255.255.255",
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1:2::5:6:7:8",
    "2001:0DB8:0000:FFFF:abcd:0000:0000:0001",
    "::1.2.3.4",
    "::ffff:192.0.2.1",
    "0:0:0:0:0:FFFF:192.0.2.1",
    "1:2:3:4:5:6:10.200.30.255",
]
PREFIXES = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "203.0.113.0/24",
    "203.0.113.5/32",
    "192.0.2.128/25",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1/128",
    "8000::/1",
    "::ffff:10.0.0.0/104",
    "1:2:3:4::/64",
]


def damages(text: str) -> Iterator[str]:
    for at in range(len(text) + 1):
        for character in CHARACTERS:
            yield text[:at] + character + text[at:]
            if at < len(text):
                yield text[:at] + character + text[at + 1 :]
        if at < len(text):
            yield text[:at] + text[at + 1 :]


def check_refusal(error: InvalidText, text: str) -> None:
    assert 0 <= error.position <= len(text)
    assert error.text == text


@pytest.mark.parametrize("good", ADDRESSES)
def test_every_damage_of_an_address_is_taken_exactly_when_inet_pton_takes_it(good: str) -> None:
    assert parse_address(good) == inet_pton(good)
    counts = {True: 0, False: 0}
    for text in damages(good):
        try:
            ours = parse_address(text)
        except InvalidAddress as error:
            check_refusal(error, text)
            ours = None
        assert ours == inet_pton(text), repr(text)
        counts[ours is None] += 1
    assert min(counts.values()) > 0, "some damages are still addresses, most are not"


@pytest.mark.parametrize("good", PREFIXES)
def test_every_damage_of_a_prefix_is_taken_exactly_when_the_twin_takes_it(good: str) -> None:
    counts = {True: 0, False: 0}
    for text in damages(good):
        ours, theirs = our_span(text), twin_span(text)
        assert ours == theirs, repr(text)
        counts[ours is None] += 1
    assert min(counts.values()) > 0


def our_span(text: str) -> reference.Span | None:
    try:
        return reference.span_of(parse_prefix(text))
    except InvalidPrefix as error:
        check_refusal(error, text)
        return None


def twin_span(text: str) -> reference.Span | None:
    try:
        return reference.parse_prefix(text)
    except reference.Refused:
        return None


@pytest.mark.parametrize("good", ["1.2.3.4", "10.20.30.40", "1:2::3", "::ffff:1.2.3.4"])
def test_every_swap_of_two_characters_is_taken_exactly_when_inet_pton_takes_it(good: str) -> None:
    for one in range(len(good)):
        for other in range(one):
            characters = list(good)
            characters[one], characters[other] = characters[other], characters[one]
            text = "".join(characters)
            try:
                ours = parse_address(text)
            except InvalidAddress:
                ours = None
            assert ours == inet_pton(text)


@pytest.mark.parametrize("good", [*ADDRESSES, *PREFIXES])
def test_every_cut_of_a_good_text_is_taken_exactly_when_the_judge_takes_it(good: str) -> None:
    for start in range(len(good)):
        for stop in range(start, len(good) + 1):
            assert our_span(good[start:stop]) == twin_span(good[start:stop])
