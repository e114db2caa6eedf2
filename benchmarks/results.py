"""What a run found, in three forms: objects, JSON, and a table for the terminal.

    Run       facts about the machine, and results
      Result    one question: unit, entries, rounds
        Row       one contestant: its value, and its ratios to the floor and to pytricia
          Spread    a median, with the 5th and the 95th percentile

A ratio is a median of ratios, each of two passes that ran next to each other,
and not a ratio of medians: weather that hits both cancels out.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

FORMAT = 1


@dataclass(frozen=True)
class Spread:
    """The middle of some samples, and how far they reach."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Self:
        ordered = sorted(samples)
        last = len(ordered) - 1
        low, median, high = (ordered[round(last * share)] for share in (0.05, 0.5, 0.95))
        return cls(median, low, high)


@dataclass(frozen=True)
class Row:
    """One contestant."""

    name: str
    role: str
    value: Spread
    to_floor: Spread | None
    to_pytricia: Spread | None


@dataclass(frozen=True)
class Result:
    """One question."""

    name: str
    unit: str
    entries: int
    source: str
    rounds: int
    per_pass: int
    rows: list[Row]

    def losses(self) -> list[Row]:
        """The rivals that did better than the best of ours."""
        best = min((row.value.median for row in self.rows if row.role == "ours"), default=0.0)
        return [row for row in self.rows if row.role == "rival" and row.value.median < best]


@dataclass(frozen=True)
class Run:
    """One run of the paired runner."""

    facts: dict[str, str]
    results: list[Result]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"format": FORMAT} | asdict(self, dict_factory=_rounded)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _rounded(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in items}


def load(path: Path) -> Run:
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["format"] != FORMAT:
        raise ValueError(f"{path}: format {document['format']} is not the one that is read here ({FORMAT})")
    return Run(document["facts"], [_read_result(result) for result in document["results"]])


def _read_result(document: dict[str, Any]) -> Result:
    return Result(**document | {"rows": [_read_row(row) for row in document["rows"]]})


def _read_row(document: dict[str, Any]) -> Row:
    spreads = {key: Spread(**value) for key, value in document.items() if isinstance(value, dict)}
    return Row(**document | spreads)


# --- the table in the terminal -----------------------------------------------


def table(result: Result) -> Iterator[str]:
    """Lines of at most 100 columns; `!` marks a rival that did better than all of ours."""
    heads = ("median", "5 %", "95 %", "to floor", "5-95 %", "pytricia")
    yield f"{result.name}   {result.unit}, {result.entries:,} entries ({result.source}), {_passes(result)}"
    yield _line("", "", heads)
    lost = {row.name for row in result.losses()}
    for row in result.rows:
        mark = "!" if row.name in lost else "*" if row.role == "ours" else " "
        yield _line(mark, row.name, [*_value_cells(row.value), *_ratio_cells(row)])


def _passes(result: Result) -> str:
    if result.rounds == 1:
        return "counted once"
    return f"{result.rounds} rounds of up to {result.per_pass:,}"


def _line(mark: str, name: str, cells: Sequence[str]) -> str:
    widths = (12, 12, 12, 9, 13, 9)
    return f"{mark:<2}{name:<29}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _value_cells(value: Spread) -> list[str]:
    return [number_text(number) for number in (value.median, value.low, value.high)]


def _ratio_cells(row: Row) -> list[str]:
    floor = ["", ""] if row.to_floor is None else [ratio_text(row.to_floor), _range_text(row.to_floor)]
    return [*floor, "" if row.to_pytricia is None else ratio_text(row.to_pytricia)]


def _range_text(ratio: Spread) -> str:
    return f"{_three_digits(ratio.low)}-{_three_digits(ratio.high)}"


def number_text(number: float) -> str:
    return f"{number:,.0f}" if number >= 10_000 else f"{number:,.1f}"


def ratio_text(ratio: Spread) -> str:
    return f"{_three_digits(ratio.median)}x"


def _three_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
