"""What is asked: a question brings data and contestants together, compares answers, and hands out sides.

    question.prepare() -> [Side, ...]    builds every box, compares every answer
    side.ready(turn)   -> items          not timed: new objects for each pass
    side.run(items)                      timed: one pass
    side.per_pass                        how many addresses, or entries, that was

`test_*.py` measure one side at a time; `paired.py` measures the sides of a
question against each other.  A name has its parts in order of interest:
`lookup/text/v4/1k` is what, in which form, of which family, on how long a list.

A long list is met *cold*: others ran since its last pass, and this pass asks for
other addresses, so what it needs is in no near cache.  A question that ends in
`warm` asks for the same addresses once before the clock starts.

Answers are compared over the whole pool of addresses, and over borders of the
prefixes (first - 1, first, last, last + 1), before any clock starts.  Every
text here is canonical and no address is an IPv4-mapped one, for that is where
libraries are known to differ; nothing else had to be left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any

from benchmarks import contestants as who
from benchmarks import data, ways
from benchmarks.contestants import Contestant
from benchmarks.data import FULL, Family, Pool, Takes

PASS = 4_096
"""Addresses in a pass: enough to drown the clock."""
PASSES: dict[Takes, int] = {"text": PASS, "packed": PASS, "buffer": 262_144}
"""By form.  A buffer is long because one call has fixed costs, and so has the read it is measured against."""
PASS_SLOW = 64
"""Of those that take many microseconds for each."""
POOL = 65_536
"""Addresses in all.  Each pass takes the next part: no branch predictor learns them, and a large table is met cold.
Where a buffer is asked, its one pass is the whole pool, which is as much as any predictor forgets."""
SHARE_ASIDE = 0.4
"""Of the time of others, for rows beside the main ones."""
SHARE_SHIFTING = 8
"""And for those whose ratio goes with how busy the memory is: a batch has many loads in flight, its floor has one."""
ENTRIES_BUILT = 4_000
"""Entries in a pass of building: a short list is built many times over."""
CHECKED_SLOW = 1_024
BORDERS = 1_000

SIZES = (20, 1_000, 100_000, FULL)
SIZES_WARM = (100_000, FULL)
FAMILIES: tuple[Family, ...] = ("v4", "v6")


class DisagreementError(AssertionError):
    """Two contestants gave different answers: there is nothing to time."""


@dataclass(frozen=True)
class Side:
    """One contestant, ready to run."""

    contestant: Contestant
    box: object
    loop: ways.Loop
    fresh: Callable[[int], Any]
    per_pass: int
    is_warm: bool = False

    def ready(self, turn: int) -> Any:
        """New objects to ask for; a warm side has just asked for their equals."""
        if self.is_warm:
            self.run(self.fresh(turn))
        return self.fresh(turn)

    def run(self, items: Any) -> object:
        return self.loop(self.box, items)


@dataclass(frozen=True)
class Question:
    """One group: a list of prefixes, addresses half of which are on it, and who is asked."""

    name: str
    family: Family
    size: int
    contestants: tuple[Contestant, ...]
    hits: int = 50
    is_warm: bool = False
    unit: str = "address"
    share: float = 1.0
    """Of the time that other questions get."""
    more_rounds: int = 0
    """Than other questions get at least; it may be negative."""

    def entries(self) -> list[str]:
        return list(data.prefixes(self.family, self.size))

    def present(self) -> list[Contestant]:
        """Those that take lists of this length, and are there at all."""
        length = self.size or len(self.entries())
        return [
            contestant for contestant in self.contestants if contestant.largest >= length and contestant.is_possible
        ]

    def prepare(self) -> list[Side]:
        pool = max(POOL, *(PASSES[contestant.way.takes] for contestant in self.contestants))
        material = _material(self.family, self.size, self.hits, pool)
        referee = Referee(self.name, material.borders + material.asked)
        sides = []
        for contestant in self.present():
            box = contestant.build(list(material.members if contestant.exact else self.entries()))
            referee.compare(contestant, box)
            sides.append(self._side(contestant, box, material.asked_exact if contestant.exact else material.asked))
        return sides

    def _side(self, contestant: Contestant, box: object, asked: list[str]) -> Side:
        count = PASS_SLOW if contestant.is_slow else PASSES[contestant.way.takes]
        fresh = partial(Pool(asked, count).take, contestant.way.takes)
        return Side(contestant, box, ways.own_copy(contestant.way.loop), fresh, count, self.is_warm)


@dataclass(frozen=True)
class Material:
    """What is asked of one list, and what is asked of the set of exact texts that stands for it."""

    family: Family
    size: int
    hits: int
    pool: int

    @cached_property
    def asked(self) -> list[str]:
        return data.addresses(data.prefixes(self.family, self.size), self.pool, self.hits)

    @cached_property
    def borders(self) -> list[str]:
        return data.borders(data.prefixes(self.family, self.size), BORDERS)

    @property
    def members(self) -> tuple[str, ...]:
        return _members(self.family, self.size)

    @cached_property
    def asked_exact(self) -> list[str]:
        return data.addresses(self.members, self.pool, self.hits)


_material = cache(Material)


@cache
def _members(family: Family, size: int) -> tuple[str, ...]:
    return tuple(data.members(data.prefixes(family, size)))


@dataclass(frozen=True)
class BuildQuestion(Question):
    """The list itself is what is made, over and over, from new texts or a new buffer of lines.

    Short lists are built warm: a process that builds one has memory at hand,
    where the first of thousands would wait for the kernel to bring pages.
    """

    unit: str = "entry"
    is_shuffled: bool = False

    def prepare(self) -> list[Side]:
        entries = data.shuffled(self.entries()) if self.is_shuffled else self.entries()
        referee = Referee(self.name, data.borders(entries, BORDERS) + data.addresses(entries, PASS))
        copies = max(1, ENTRIES_BUILT // len(entries))
        lines = "\n".join(entries).encode("ascii")
        sides = []
        for contestant in self.present():
            referee.compare(contestant, contestant.build(given(contestant, lines)))
            fresh = partial(_fresh, contestant, lines, copies)
            loop = ways.own_copy(ways.build_each)
            sides.append(Side(contestant, contestant.build, loop, fresh, copies * len(entries), is_warm=copies > 1))
        return sides


def _fresh(contestant: Contestant, lines: bytes, copies: int, _turn: int) -> list[object]:
    return [given(contestant, lines) for _ in range(copies)]


def given(contestant: Contestant, lines: bytes) -> list[str] | bytes:
    """New objects for one list, in the form that the contestant takes."""
    return bytes(memoryview(lines)) if contestant.builds_from == "lines" else lines.decode("ascii").split("\n")


class Referee:
    """Holds the first contestant's answers against everybody else's."""

    def __init__(self, question: str, addresses: Sequence[str]) -> None:
        self._question = question
        self._addresses = addresses
        self._pool = Pool(addresses, len(addresses))
        self._expected: list[object] | None = None
        self._expected_of = ""

    def compare(self, contestant: Contestant, box: object) -> None:
        if contestant.exact or contestant.way.answers is None:
            return
        items = self._pool.take(contestant.way.takes, 0)
        answers = contestant.way.answers(box, items[:CHECKED_SLOW] if contestant.is_slow else items)
        if self._expected is None:
            self._expected, self._expected_of = answers, contestant.name
        if answers == self._expected[: len(answers)]:
            return
        pairs = zip(self._addresses, answers, self._expected, strict=False)
        wrong = [f"{text}: {answer} / {expected}" for text, answer, expected in pairs if answer != expected]
        raise DisagreementError(
            f"{self._question}: {contestant.name} and {self._expected_of} differ on {len(wrong)} of {len(answers)}"
            f" addresses, such as {'; '.join(wrong[:5])}"
        )


# --- the list of all questions -----------------------------------------------


def label(size: int) -> str:
    if size == FULL:
        return "full"
    return f"{size // 1_000}k" if size >= 1_000 else str(size)


def lookups(sizes: Sequence[int] = SIZES) -> list[Question]:
    """Is a text on the list?  Half hits, and beside it none and all; long lists cold and warm."""
    plain = [
        Question(f"lookup/text/{family}/{label(size)}", family, size, who.lookup(family))
        for family in FAMILIES
        for size in sizes
    ]
    hits = [
        Question(
            f"{question.name}/hits-{hits}", question.family, question.size, who.LOOKUP_FEW, hits, share=SHARE_ASIDE
        )
        for question in plain
        for hits in (0, 100)
    ]
    return [*plain, *_warm(plain), *hits, Question("lookup/text/mixed/20", "mixed", 20, who.lookup("mixed"))]


def matches(sizes: Sequence[int] = (20, 1_000, FULL)) -> list[Question]:
    """Which prefix?"""
    return _each("match/text", who.MATCH, sizes)


def matches_many(sizes: Sequence[int] = (20, FULL)) -> list[Question]:
    """Which prefixes, for many addresses at once?"""
    return [*_each("match/many/text", who.MATCH_MANY, sizes), *_each("match/many/packed", who.MATCH_MANY_PACKED, sizes)]


def batches(sizes: Sequence[int] = (20, FULL)) -> list[Question]:
    """Is it on the list, for many at once: texts, and packed addresses.

    "Drawn from the table", all hits and warm, is how others publish the packed one.
    """
    packed = _each("batch/packed", who.PACKED, sizes)
    drawn = [
        replace(question, name=f"{question.name}/hits-100", contestants=who.PACKED_FEW, hits=100) for question in packed
    ]
    texts = [replace(question, share=SHARE_SHIFTING) for question in _each("batch/text", who.BATCH, sizes)]
    return [*texts, *packed, *_warm(packed), *_warm(drawn)]


def parses() -> list[Question]:
    """From text to bytes; the list does not matter."""
    return [Question(f"parse/{family}", family, 20, who.PARSE) for family in FAMILIES]


def builds(sizes: Sequence[int] = SIZES) -> list[Question]:
    """From a list of text to a list that can be asked."""
    return [
        BuildQuestion(
            f"build/{order}/{family}/{label(size)}",
            family,
            size,
            who.BUILD,
            is_shuffled=order == "shuffled",
            more_rounds=4,
        )
        for family in FAMILIES
        for size in sizes
        for order in ("sorted", "shuffled")
    ]


def inserts(sizes: Sequence[int] = (1_000, 100_000, FULL)) -> list[Question]:
    """Prefix after prefix, into something that can be changed."""
    return [
        BuildQuestion(f"trie/insert/{family}/{label(size)}", family, size, who.INSERT, is_shuffled=True, more_rounds=-3)
        for family in FAMILIES
        for size in sizes
    ]


def everything(sizes: Sequence[int] = SIZES) -> list[Question]:
    """Every question, on the given sizes of those it is asked on."""
    asked = [lookups(), matches(), matches_many(), batches(), builds(), inserts(), parses()]
    return [question for group in asked for question in group if question.size in sizes]


def _warm(cold: Sequence[Question]) -> list[Question]:
    long = [question for question in cold if question.size in SIZES_WARM]
    return [replace(question, name=f"{question.name}/warm", is_warm=True) for question in long]


def _each(what: str, contestants: tuple[Contestant, ...], sizes: Sequence[int]) -> list[Question]:
    return [
        Question(f"{what}/{family}/{label(size)}", family, size, contestants) for family in FAMILIES for size in sizes
    ]
