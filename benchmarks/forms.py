"""Where one form of the table should follow another: the measurement behind the sizes in the core.

    python -m benchmarks.forms [v4 | v6] [--vectors 0|1|2|3] [--match]

The same list is frozen as a scan, as a ladder and as a map, whatever its size,
and all of them are asked by turns, text by text, as in `benchmarks.paired`:

    v4 ranges        scan   ladder      map   by size
          16         39.1     41.5        -      38.9
         ...

The maps and tries are measured on an Internet table and on samples of it ("of the
table"): for lists of single addresses they have nothing to say.  With `--match`
they are asked which entry matches, which is where a trie of lengths comes in.
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import data, ways
from benchmarks.contestants import Contestant, entry_text
from benchmarks.data import FULL, Family
from benchmarks.paired import Patience, race
from benchmarks.questions import POOL, Question, Side
from benchmarks.results import Spread
from cidrmatch._core.probe import freeze_as

SIZES = (8, 16, 32, 48, 64, 96, 128, 256, 1_000, 10_000, FULL)
PARTS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
FORMS = ("scan", "ladder", "map", "by size")
MATCH = ways.say(ways.ask_call, entry_text)
MOST_SCANNED = 1_000
PATIENCE = Patience(seconds=2.0, min_rounds=9)

Build = Callable[[list[str], str, int], object]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forms", description="Measure the forms of a table.")
    parser.add_argument("family", nargs="?", choices=("v4", "v6"), help="one family alone")
    parser.add_argument(
        "--vectors", type=int, choices=(0, 1, 2, 3), default=3, help="0 plain, 1 AVX2, 2 AVX-512, 3 gathers"
    )
    parser.add_argument("--match", action="store_true", help="ask for the longest match")
    options = parser.parse_args(arguments)
    build = _match if options.match else freeze_as
    families: tuple[Family, ...] = (options.family,) if options.family else ("v4", "v6")
    for family in families:
        print(f"{family} entries" + "".join(f"{form:>10}" for form in FORMS) + "   ns an address, the median")
        for size in SIZES:
            forms = [form for form in FORMS if form == "by size" or _is_worth(form, size)]
            print(*_line(Question, family, size, forms, build, options.vectors), sep="", flush=True)
        for size in PARTS:
            print(
                *_line(Part, family, size, ["ladder", "map", "by size"], build, options.vectors),
                "   of the table",
                sep="",
                flush=True,
            )
    return 0


class Part(Question):
    """Some entries of an Internet table, from all over it."""

    def entries(self) -> list[str]:
        return random.Random(self.size).sample(data.prefixes(self.family, FULL), self.size)

    def prepare(self) -> list[Side]:
        entries = self.entries()
        asked = data.addresses(entries, POOL, self.hits)
        return [self._side(contestant, contestant.build(entries), asked) for contestant in self.contestants]


def _line(
    kind: type[Question], family: Family, size: int, forms: Sequence[str], build: Build, vectors: int
) -> list[str]:
    way = MATCH if build is _match else ways.IN
    contestants = [Contestant(form, partial(_frozen, build, form, vectors), way, role="ours") for form in forms]
    question = kind(f"forms/{family}/{size}", family, size, tuple(contestants))
    sides = question.prepare()
    samples = race(sides, PATIENCE)
    found = {side.contestant.name: Spread.of(mine).median for side, mine in zip(sides, samples, strict=True)}
    cells = [f"{found[form]:10.1f}" if form in found else f"{'-':>10}" for form in FORMS]
    return [f"{len(question.entries()):10,}", *cells]


def _is_worth(form: str, size: int) -> bool:
    if form == "scan":
        return 0 < size <= MOST_SCANNED
    return form != "map" or size == FULL


def _frozen(build: Build, form: str, vectors: int, texts: list[str]) -> object:
    return build(texts, form, vectors)


def _match(texts: list[str], form: str, vectors: int) -> object:
    return freeze_as(texts, form, vectors).match


if __name__ == "__main__":
    sys.exit(main())
