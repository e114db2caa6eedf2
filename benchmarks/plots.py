"""The two pictures of a run, drawn from its JSON: what a check costs as lists grow, and its ratio to the floor.

    draw(run, folder) -> [Picture, ...]     SVG files, and for each a sentence for those who cannot see it

                 ns                                  x floor
    cost-       |        .--- pytricia               |      _         ratio-to-
    against-    |   .---'                            |    _|.| _      floor.svg
    size.svg    |--'   ___--- ours                   |--_|.|.||.|--   1.0
                |_----'___                           |_|o|.|.||.|__
                  20  1k  100k  full                    20   1k ...

Both show `lookup/text`: a fresh text, half of them hits.  A library has one
colour (Okabe and Ito's, which the colour-blind tell apart) and one mark in both.
The same run gives the same file, byte for byte: text is drawn as outlines, ids
come from a fixed salt, and no date but that of the run is in it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.data import FULL, Family
from benchmarks.questions import FAMILIES, SIZES, label
from benchmarks.results import Row, Run

OURS, FLOOR = "ip in allow", "text in frozenset"
FAMILY_NAMES = {"v4": "IPv4", "v6": "IPv6"}


TICKS_NS = [20, 50, 100, 200, 500, 1_000, 2_000, 5_000]


class Look(NamedTuple):
    """How one contestant is drawn, everywhere."""

    label: str
    colour: str
    mark: str


LOOKS = {
    OURS: Look("cidrmatch", "#0072B2", "o"),
    FLOOR: Look("frozenset (floor)", "#222222", ""),
    "ipset_c": Look("ipset_c", "#E69F00", "s"),
    "pytricia": Look("pytricia", "#D55E00", "^"),
    "py-radix": Look("py-radix", "#009E73", "D"),
    "pysubnettree": Look("pysubnettree", "#CC79A7", "v"),
}
STYLE = {
    "svg.hashsalt": "cidrmatch",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": "#444444",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "text.color": "#333333",
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Picture:
    """One file, and what it shows in words."""

    path: Path
    alt: str


def draw(run: Run, folder: Path) -> list[Picture]:
    """Draw both, in place of those that are there."""
    with mpl.rc_context(STYLE):
        return [
            _save(_cost(run), folder / "cost-against-size.svg", _cost_in_words(run)),
            _save(_ratio(run), folder / "ratio-to-floor.svg", _ratio_in_words(run)),
        ]


def _save(figure: Figure, path: Path, alt: str) -> Picture:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")  # no blanks at the ends of lines
    return Picture(path, alt)


def _title(figure: Figure, title: str, run: Run) -> None:
    """What is shown, and under it where and when it was measured."""
    facts = run.facts
    figure.text(0.015, 0.975, title, fontsize=12, fontweight="bold", va="top", color="#111111")
    below = f"{facts['cpu']}; {facts['python']}; {facts['date'][:10]}"
    figure.text(0.015, 0.92, below, fontsize=8.5, va="top", color="#555555")


# --- what is shown -----------------------------------------------------------


class Point(NamedTuple):
    """One contestant on one list."""

    size: int
    entries: int
    row: Row


def _points(run: Run, family: Family, name: str) -> list[Point]:
    results = {result.name: result for result in run.results}
    asked = [(size, results.get(f"lookup/text/{family}/{label(size)}")) for size in SIZES]
    return [
        Point(size, result.entries, row) for size, result in asked if result for row in result.rows if row.name == name
    ]


def _reach(values: Sequence[float], digits: int, unit: str) -> str:
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}{unit}"


def _cost_in_words(run: Run) -> str:
    return f"Cost of one check against the number of entries. {_in_words(run, LOOKS, _cost_of, 0, ' ns')}"


def _ratio_in_words(run: Run) -> str:
    shown = [name for name in LOOKS if name != FLOOR]
    return f"Ratio of one check to a lookup in a frozenset. {_in_words(run, shown, _ratio_of, 2, 'x')}"


def _cost_of(point: Point) -> float:
    return point.row.value.median


def _ratio_of(point: Point) -> float:
    return point.row.to_floor.median if point.row.to_floor else 1.0


def _in_words(run: Run, names: Iterable[str], value_of: Callable[[Point], float], digits: int, unit: str) -> str:
    """`IPv4: cidrmatch 43 to 307 ns, ...`."""
    families = []
    for family in FAMILIES:
        found = {LOOKS[name].label: [value_of(point) for point in _points(run, family, name)] for name in names}
        said = ", ".join(f"{who} {_reach(values, digits, unit)}" for who, values in found.items() if values)
        families.append(f"{FAMILY_NAMES[family]}: {said}.")
    return " ".join(families)


# --- cost against size -------------------------------------------------------


def _cost(run: Run) -> Figure:
    figure = Figure(figsize=(9.6, 4.6))
    panels = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.06, right=0.86, top=0.78, bottom=0.12, wspace=0.45)
    _title(figure, "One check, a fresh text: what it costs as the list grows", run)
    for panel, family in zip(panels, FAMILIES, strict=True):
        _cost_panel(panel, run, family)
    least, most = panels[0].get_ylim()
    ticks = [tick for tick in TICKS_NS if least < tick < most]
    panels[0].set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    return figure


def _cost_panel(panel: Any, run: Run, family: Family) -> None:
    panel.set(xscale="log", yscale="log")
    panel.set_title(f"{FAMILY_NAMES[family]}, ns a check", loc="left", fontsize=10, fontweight="bold", pad=18)
    panel.grid(visible=True, axis="y")
    series = {name: points for name in LOOKS if (points := _points(run, family, name))}
    for name, points in series.items():
        _cost_line(panel, name, points)
    _name_lines(panel, [(LOOKS[name], name == OURS, points[-1]) for name, points in series.items()])
    _name_sizes(panel, next(iter(series.values()), []))


def _cost_line(panel: Any, name: str, points: Sequence[Point]) -> None:
    """Solid along the lists that grow, dotted to the Internet table: it is longer, and another kind of list."""
    look, is_ours = LOOKS[name], name == OURS
    grown = [point for point in points if point.size != FULL]
    kind = {"color": look.colour, "lw": 3 if is_ours else 1.4, "zorder": 4 if is_ours else 3}
    style = (0, (5, 2)) if name == FLOOR else "-"
    panel.plot([point.entries for point in grown], list(map(_cost_of, grown)), ls=style, **kind)
    jump = [*grown[-1:], *(point for point in points if point.size == FULL)]
    panel.plot([point.entries for point in jump], list(map(_cost_of, jump)), ls=":", **kind | {"lw": 1.4})
    face = look.colour if is_ours else "white"
    marks = {"ls": "", "marker": look.mark or ".", "ms": 7 if is_ours else 5, "mfc": face, "mew": 1.4}
    panel.plot([point.entries for point in points], list(map(_cost_of, points)), **kind | marks)


def _name_lines(panel: Any, ends: Sequence[tuple[Look, bool, Point]]) -> None:
    """Names beside the ends of the lines, moved apart where they would touch; so nobody has to search in a legend."""
    ordered = sorted(ends, key=lambda end: _cost_of(end[2]))
    panel.autoscale_view()
    to_share = panel.transScale + panel.transLimits
    heights = _apart([to_share.transform((1, _cost_of(point)))[1] for _, _, point in ordered], 0.056)
    for (look, is_ours, _), height in zip(ordered, heights, strict=True):
        weight = "bold" if is_ours else "normal"
        panel.text(1.02, height, look.label, transform=panel.transAxes, va="center", color=look.colour, weight=weight)


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Sorted heights, each at least so far above the one before; what was pushed up is shared out below."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + least) if placed else height)
    for low in range(len(placed) - 2, -1, -1):
        middle = (placed[low + 1] - heights[low + 1]) / 2
        placed[low] = min(placed[low], max(placed[low + 1] - least, heights[low] - middle))
    return placed


def _name_sizes(panel: Any, points: Sequence[Point]) -> None:
    """The lists below, the Internet table above: on this scale 100,000 and 160,147 nearly touch."""
    grown = [point for point in points if point.size != FULL]
    panel.set_xticks([point.entries for point in grown], [f"{point.entries:,}" for point in grown])
    panel.minorticks_off()
    panel.set_xlabel("entries")
    for point in points:
        if point.size == FULL:
            panel.axvline(point.entries, color="#BBBBBB", lw=0.8, ls=":", zorder=1)
            said = f"full table, {point.entries:,}"
            panel.annotate(
                said, (point.entries, 1.01), xycoords=("data", "axes fraction"), ha="right", fontsize=8, color="#555555"
            )


# --- ratio to the floor ------------------------------------------------------


def _ratio(run: Run) -> Figure:
    figure = Figure(figsize=(9.6, 5.6))
    panels = figure.subplots(2, 1, sharey=True)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.8, bottom=0.06, hspace=0.3)
    _title(figure, "One check, a fresh text: its ratio to `text in frozenset(texts)`", run)
    for panel, family in zip(panels, FAMILIES, strict=True):
        _ratio_panel(panel, run, family)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.008, 0.895), ncols=6, frameon=False)
    return figure


def _ratio_panel(panel: Any, run: Run, family: Family) -> None:
    panel.set_title(FAMILY_NAMES[family], loc="left", fontsize=10, fontweight="bold", pad=3)
    panel.grid(visible=True, axis="y")
    panel.axhline(1, color=LOOKS[FLOOR].colour, lw=1.2, ls=(0, (5, 2)), zorder=5, label=LOOKS[FLOOR].label)
    for place, name in enumerate(name for name in LOOKS if name != FLOOR):
        _ratio_bars(panel, name, place, _points(run, family, name))
    kinds = [(point.entries, ", full table" if point.size == FULL else "") for point in _points(run, family, OURS)]
    panel.set_xticks(range(len(kinds)), [f"{entries:,} entries{kind}" for entries, kind in kinds])
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("times the floor")


def _ratio_bars(panel: Any, name: str, place: int, points: Sequence[Point]) -> None:
    look, is_ours, width = LOOKS[name], name == OURS, 0.16
    where = [SIZES.index(point.size) + (place - 2) * (width + 0.01) for point in points]
    ratios = list(map(_ratio_of, points))
    panel.bar(where, ratios, width, color=look.colour, alpha=1 if is_ours else 0.55, label=look.label)
    panel.errorbar(where, ratios, list(_whiskers(points)), fmt="none", ecolor="#333333", elinewidth=0.9, zorder=6)
    for x, point in zip(where, points, strict=True):
        above = max(1.0, point.row.to_floor.high if point.row.to_floor else 1.0) + 0.15
        kind = {"color": look.colour, "weight": "bold"} if is_ours else {"color": "#555555"}
        panel.text(x, above, f"{_ratio_of(point):.{2 if is_ours else 1}f}", ha="center", fontsize=8, **kind)


def _whiskers(points: Sequence[Point]) -> Iterator[list[float]]:
    """How far the 5th and the 95th percentile lie below and above the median."""
    spreads = [point.row.to_floor for point in points if point.row.to_floor]
    yield [spread.median - spread.low for spread in spreads]
    yield [spread.high - spread.median for spread in spreads]
