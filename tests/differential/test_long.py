"""Millions of comparisons, made quickly: seeded `random`, no Hypothesis.

    pytest tests/differential/test_long.py -m long --run-long        10 million addresses, 10 million memberships
    CIDRMATCH_LONG=100000000 pytest ...                              as many as there is time for
    CIDRMATCH_DATA=folder pytest ...                                 also the prefix lists in there (*.txt.gz)

Addresses   parse_address against `socket.inet_pton` of both families: valid texts, valid texts with one to three
            characters damaged, and junk from the characters of addresses.
Membership  `in`, and `contains_many` on text and on packed buffers, against sorted disjoint ranges of integers and
            `bisect`; lists of 0 to 100,000 entries, questions at every border and anywhere.

A small share of both runs always.  The counters show that each kind was met; a seed repeats a run exactly.
"""

import gzip
import os
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cidrmatch import AllowList, InvalidAddress, parse_address
from tests.judges import inet_pton
from tests.reference import Span, bits_of, build_span, largest, length_of, merge, packed_of, parse_prefix

SHARE = 100_000
LONG = int(os.environ.get("CIDRMATCH_LONG", "10_000_000"))
SEED = int(os.environ.get("CIDRMATCH_SEED", "20240616"))
DATA = os.environ.get("CIDRMATCH_DATA")


# Addresses: texts that are good, nearly good and bad

CHARACTERS = "0123456789abcdefABCDEF.:.:%/ gxX-+\n\0é\uff11"
OCTETS = [str(number) for number in range(256)]
ODD_OCTETS = ["00", "01", "000", "010", "256", "257", "300", "999", "1000", "", "0x1", "1e1"]
ODD_GROUPS = ["00000", "10000", "g", "", "-1", "0x1", "1.2.3", "1.2.3.4"]


def draw_ipv4(rng: random.Random) -> str:
    octets = rng.choices(OCTETS, k=4)
    if rng.random() < 0.1:
        octets[rng.randrange(4)] = rng.choice(ODD_OCTETS)
    if rng.random() < 0.03:
        octets = octets[:3] if rng.random() < 0.5 else [*octets, "1"]
    return ".".join(octets)


def draw_group(rng: random.Random) -> str:
    number = rng.getrandbits(rng.choice((0, 4, 8, 16, 16)))
    return format(number, rng.choice(("x", "x", "X", "04x")))


def draw_ipv6(rng: random.Random) -> str:
    """Seven to nine groups, a gap somewhere, a dotted tail now and then; about half of them are addresses."""
    groups = [draw_group(rng) for _ in range(rng.choice((7, 8, 8, 8, 8, 9)))]
    if rng.random() < 0.2:
        groups[-2:] = [draw_ipv4(rng)]
    if rng.random() < 0.1:
        groups[rng.randrange(len(groups))] = rng.choice(ODD_GROUPS)
    if rng.random() < 0.5:
        start = rng.randint(0, len(groups))
        stop = rng.randint(start, len(groups))
        return ":".join(groups[:start]) + "::" + ":".join(groups[stop:])
    return ":".join(groups)


def draw_mapped(rng: random.Random) -> str:
    prefix = rng.choice(("::ffff:", "::FFFF:", "0:0:0:0:0:ffff:", "::fffe:", "::ffff:0:", "::", "::1:ffff:"))
    return prefix + (draw_ipv4(rng) if rng.random() < 0.6 else f"{draw_group(rng)}:{draw_group(rng)}")


def damage(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, character = rng.randrange(len(text) + 1), rng.choice(CHARACTERS)
        way = rng.random()
        if way < 0.33:
            text = text[:at] + character + text[at:]
        elif way < 0.66:
            text = text[:at] + text[at + 1 :]
        else:
            text = text[:at] + character + text[at + 1 :]
    return text


def draw_texts(count: int, rng: random.Random) -> Iterator[tuple[str, str]]:
    """`count` texts, each with the name of its kind."""
    for _ in range(count):
        kind = rng.random()
        if kind < 0.1:
            yield "junk", "".join(rng.choices(CHARACTERS, k=rng.randrange(24)))
            continue
        shape = rng.random()
        draw = draw_ipv4 if shape < 0.45 else draw_ipv6 if shape < 0.9 else draw_mapped
        yield ("damaged", damage(draw(rng), rng)) if kind < 0.55 else ("whole", draw(rng))


def compare_addresses(count: int, seed: int) -> Counter[str]:
    counter: Counter[str] = Counter()
    for kind, text in draw_texts(count, random.Random(seed)):
        try:
            ours = parse_address(text)
        except InvalidAddress:
            ours = None
        assert ours == inet_pton(text), f"seed {seed}, text {text!r}"
        answer = "refused" if ours is None else f"taken as IPv{4 if len(ours) == 4 else 6}"
        counter[f"{kind}, {answer}"] += 1
    return counter


def check_address_counters(counter: Counter[str], count: int) -> None:
    """Every kind was met, and often: a comparison that only ever refuses would prove nothing."""
    assert counter.total() == count
    for kind in ("whole", "damaged"):
        for answer in ("refused", "taken as IPv4", "taken as IPv6"):
            assert counter[f"{kind}, {answer}"] > count // 100


# Membership: the truth is ranges of integers and bisect


class Ranges:
    """Sorted ranges of one family that neither meet nor touch; last i with firsts[i] <= a, then a <= lasts[i]."""

    def __init__(self, spans: list[Span]) -> None:
        merged = merge(spans)
        self.firsts = [span.first for span in merged]
        self.lasts = [span.last for span in merged]

    def contains(self, number: int) -> bool:
        place = bisect_right(self.firsts, number) - 1
        return place >= 0 and number <= self.lasts[place]


class Truth:
    """Both families at once; a mapped IPv6 number asks the IPv4 ranges."""

    def __init__(self, spans: list[Span]) -> None:
        self.ranges = {family: Ranges([span for span in spans if span.family == family]) for family in (4, 6)}

    def contains(self, family: int, number: int) -> bool:
        if family == 6 and number >> 32 == 0xFFFF:
            family, number = 4, number & 0xFFFFFFFF
        return self.ranges[family].contains(number)


SIZES = (0, 1, 2, 7, 8, 9, 16, 20, 21, 64, 100, 300, 1_000, 5_000, 20_000, 100_000)


def draw_list(size: int, rng: random.Random) -> list[Span]:
    """Single addresses, short and long prefixes, some inside one another; few that hold most of the addresses."""
    spans: list[Span] = []
    for _ in range(size):
        around = rng.choice(spans) if spans and rng.random() < 0.3 else None
        if around is not None:
            family, number = around.family, rng.randint(around.first, around.last)
        else:
            family = rng.choice((4, 6))
            number = rng.getrandbits(32) if family == 4 else (0x2001 << 112) + rng.getrandbits(112)
        spans.append(build_span(family, number, draw_length(family, rng)))
    return spans


def draw_length(family: int, rng: random.Random) -> int:
    if rng.random() < 0.003:
        return 3
    bits = bits_of(family)
    return rng.choice((bits, bits // 2, rng.randint(16 if family == 4 else 32, bits)))


def draw_questions(family: int, spans: list[Span], count: int, rng: random.Random) -> list[int]:
    """Half of them borders or one step outside, the others any address; for IPv6 some mapped ones."""
    edges = [
        number
        for span in spans
        if span.family == family
        for number in (span.first - 1, span.first, span.last, span.last + 1)
        if 0 <= number <= largest(family)
    ]
    numbers = rng.choices(edges, k=count // 2) if edges else []
    while len(numbers) < count:
        is_mapped = family == 6 and rng.random() < 0.1
        numbers.append((0xFFFF << 32) + rng.getrandbits(32) if is_mapped else rng.getrandbits(bits_of(family)))
    rng.shuffle(numbers)
    return numbers


def text_of(packed: bytes) -> str:
    """Fast to make, not canonical."""
    if len(packed) == 4:
        return ".".join(map(str, packed))
    digits = packed.hex()
    return ":".join([digits[place : place + 4] for place in range(0, 32, 4)])


def build_list(spans: list[Span]) -> AllowList:
    return AllowList(f"{text_of(packed_of(span.family, span.first))}/{length_of(span)}" for span in spans)


def compare_list(spans: list[Span], count: int, rng: random.Random) -> Counter[str]:
    """Ask one list about `count` addresses of each family, in every way there is."""
    truth, allow, counter = Truth(spans), build_list(spans), Counter[str]()
    for family in (4, 6):
        numbers = draw_questions(family, spans, count, rng)
        expected = bytes([truth.contains(family, number) for number in numbers])
        packed = [packed_of(family, number) for number in numbers]
        texts = [text_of(one) for one in packed]
        assert allow.contains_many(b"".join(packed), family=family) == expected
        assert allow.contains_many(texts) == expected
        assert bytes([text in allow for text in texts]) == expected
        counter[f"IPv{family}, in"] += expected.count(1)
        counter[f"IPv{family}, not in"] += expected.count(0)
    return counter


def compare_membership(count: int, seed: int) -> Counter[str]:
    """At least `count` comparisons over lists of every size."""
    rng, counter = random.Random(seed), Counter[str]()
    share = max(count // 2 // len(SIZES) + 1, 1)
    for size in SIZES:
        if size <= count // 20:
            counter += compare_list(draw_list(size, rng), share, rng)
    while counter.total() < count:
        counter += compare_list(draw_list(rng.randrange(60), rng), share, rng)
    return counter


def check_membership_counters(counter: Counter[str], count: int) -> None:
    assert counter.total() >= count
    for family in (4, 6):
        for answer in ("in", "not in"):
            assert counter[f"IPv{family}, {answer}"] > count // 20


def show(title: str, counter: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{title}: {counter.total():,} comparisons, seed {SEED}, no mismatch")
        for name, number in sorted(counter.items()):
            print(f"    {name:<28}{number:>14,}")


# The tests


def test_share_of_addresses_agrees_with_inet_pton() -> None:
    check_address_counters(compare_addresses(SHARE, SEED), SHARE)


def test_share_of_membership_agrees_with_ranges() -> None:
    check_membership_counters(compare_membership(SHARE, SEED), SHARE)


@pytest.mark.long
def test_long_addresses_agree_with_inet_pton(capsys: pytest.CaptureFixture[str]) -> None:
    counter = compare_addresses(LONG, SEED)
    check_address_counters(counter, LONG)
    show("addresses", counter, capsys)


@pytest.mark.long
def test_long_membership_agrees_with_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    counter = compare_membership(LONG, SEED)
    check_membership_counters(counter, LONG)
    show("membership", counter, capsys)


def read_list(path: Path) -> list[Span]:
    with gzip.open(path, "rt", encoding="ascii") as lines:
        return [parse_prefix(line.strip()) for line in lines]


@pytest.mark.long
@pytest.mark.skipif(DATA is None, reason="CIDRMATCH_DATA names no folder with prefix lists")
def test_long_membership_in_real_lists_agrees_with_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    rng, counter = random.Random(SEED), Counter[str]()
    paths = sorted(Path(DATA or ".").glob("*.txt.gz"))
    assert paths, "no *.txt.gz in there"
    for path in paths:
        counter += compare_list(read_list(path), max(LONG // 2 // len(paths), 1), rng)
    show("membership in real lists", counter, capsys)
