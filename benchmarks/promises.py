"""What was promised of the speed, and what several whole runs say of it.

A promise is a limit for each family and a figure that a run has or, with more
than one list, the worst of some figures.  Several runs give several figures, and
the table shows from which to which; one that passes its limit is bold.

    promise                       limits       measured
    20 entries                    0.7, 0.9     0.63 to 0.65, 0.83 to 0.90
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.questions import FAMILIES
from benchmarks.results import Row, Run

Figure = Callable[[Run, str], float]
MIB = 1 << 20


@dataclass(frozen=True)
class Promise:
    """A sentence, a limit for each family, and where the figure stands in a run."""

    what: str
    figure: Figure
    limits: tuple[float, ...]  # of IPv4 and IPv6; the first alone, if nothing is promised of IPv6
    at_least: bool = False
    digits: int = 2

    def is_kept(self, found: Sequence[float], limit: float) -> bool:
        """To the digits that are shown."""
        worst = round(min(found) if self.at_least else max(found), self.digits)
        return worst >= limit if self.at_least else worst <= limit


def row(run: Run, question: str, name: str) -> Row:
    return next(row for result in run.results if result.name == question for row in result.rows if row.name == name)


# A figure of a row; `{}` in the question is the family.


def value(question: str, name: str) -> Figure:
    return lambda run, family: row(run, question.format(family), name).value.median


def to_floor(question: str, name: str) -> Figure:
    def figure(run: Run, family: str) -> float:
        ratio = row(run, question.format(family), name).to_floor
        assert ratio is not None
        return ratio.median

    return figure


def against(how: Callable[[float, float], float], question: str, name: str, other: str) -> Figure:
    """A row held against another of the same question."""
    mine, others = value(question, name), value(question, other)
    return lambda run, family: how(mine(run, family), others(run, family))


def millions(question: str, name: str) -> Figure:
    """Millions a second."""
    return lambda run, family: 1_000 / value(question, name)(run, family)


def mebibytes(question: str, name: str) -> Figure:
    return lambda run, family: value(question, name)(run, family) / MIB


def worst(*figures: Figure) -> Figure:
    return lambda run, family: max(figure(run, family) for figure in figures)


IN, CONTAINS, MATCH = "ip in allow", "allow.contains(ip)", "allow.match(ip)"
DRAWN = "batch/packed/{}/full/hits-100/warm"

PROMISES = (
    Promise("`ip in allow` to the floor: 20 entries", to_floor("lookup/text/{}/20", IN), (0.7, 0.9)),
    Promise("1,000 entries", to_floor("lookup/text/{}/1k", IN), (1.0, 1.0)),
    Promise("full table", to_floor("lookup/text/{}/full", IN), (1.0, 1.5)),
    Promise(
        "`allow.contains(ip)` above `in`, ns: 20 and 1,000 entries, the worse",
        worst(*(against(operator.sub, f"lookup/text/{{}}/{size}", CONTAINS, IN) for size in ("20", "1k"))),
        (12.0, 12.0),
        digits=1,
    ),
    Promise("full table", against(operator.sub, "lookup/text/{}/full", CONTAINS, IN), (12.0, 12.0), digits=1),
    Promise(
        "a list of texts to the same one by one in a frozenset: 20 entries and full table, the worse",
        worst(*(to_floor(f"batch/text/{{}}/{size}", "contains_many(ips)") for size in ("20", "full"))),
        (0.5, 0.5),
    ),
    Promise(
        "packed, drawn from the full table, millions a second",
        millions(DRAWN, "contains_many(buffer)"),
        (400, 130),
        at_least=True,
        digits=0,
    ),
    Promise(
        "building the full table to `frozenset(list)`, sorted",
        to_floor("build/sorted/{}/full", "AllowList(texts)"),
        (1.0,),
    ),
    Promise("shuffled", to_floor("build/shuffled/{}/full", "AllowList(texts)"), (1.0,)),
    Promise(
        "memory while the full table is built, above the input, to the result",
        to_floor("memory/build/{}/full", "above the input, at most"),
        (3.0, 3.0),
    ),
    Promise(
        "what a check reads of the full table, MiB",
        mebibytes("memory/{}/full", "AllowList, its tables alone"),
        (5, 3),
        digits=1,
    ),
    Promise(
        "`allow.match(ip)` to `allow.contains(ip)`: 20 and 1,000 entries, the worse",
        worst(*(against(operator.truediv, f"match/text/{{}}/{size}", MATCH, CONTAINS) for size in ("20", "1k"))),
        (2.0, 2.0),
    ),
    Promise("full table", against(operator.truediv, "match/text/{}/full", MATCH, CONTAINS), (2.0, 2.0)),
)


def promised(runs: Sequence[Run]) -> Iterator[str]:
    """The lines of the table."""
    yield "| | promised | measured |"
    yield "|---|---|---|"
    for promise in PROMISES:
        limits = ", ".join(f"{limit:g}" for limit in promise.limits)
        cells = (_cell(promise, runs, *pair) for pair in zip(FAMILIES, promise.limits, strict=False))
        yield f"| {promise.what} | {limits} | {', '.join(cells)} |"


def _cell(promise: Promise, runs: Sequence[Run], family: str, limit: float) -> str:
    found = [promise.figure(run, family) for run in runs]
    low, high = (f"{figure:.{promise.digits}f}" for figure in (min(found), max(found)))
    shown = low if low == high else f"{low} to {high}"
    return shown if promise.is_kept(found, limit) else f"**{shown}**"
