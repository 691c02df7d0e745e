"""Small plots for pages: typed data, and the positions at which the macros of `plots.html` draw these data as SVG.

A page shows `Plots`: lines of small plots with one legend, and a list of all values that are drawn. Make one `Axis` for
each measure and give it to all plots of this measure, so that the same length means the same difference everywhere.

The drawing has no colours of its own. The style sheet of the page gives each series a colour for light pages, for dark
pages and for print. A series also has a shape of its points and a dash pattern, so that it can be recognized without
colours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from matplotlib.ticker import LogLocator, MaxNLocator

from bench.tables.grid import Grid

__all__ = ["Area", "Axis", "Drawing", "Look", "Plot", "Plots", "Point", "Series", "Tick", "look_of"]

WIDTH, HEIGHT = 340.0, 226.0
"""Width and height of a plot, in the units in which all positions in the plot are given."""
LEFT, RIGHT, TOP, BOTTOM = 58.0, 322.0, 8.0, 182.0
"""Positions of the axes, and of the ends of the area in which points are drawn."""
MARGIN = 0.08
"""Empty space at each end of an axis, as a fraction of the range of the values."""
WIDEST = 1e12
"""Largest ratio of two values on a logarithmic axis. A value below the lower end is placed at this end."""
APART = 0.4
"""Smallest empty space at each end of an axis of integers or of names."""
WIDE = 30
"""An axis is logarithmic if the largest value divided by the smallest value is above this ratio."""
TICKS = 4
"""Largest number of named positions on an axis whose positions have names."""
NEAR = 7.0
"""Points whose positions differ by less than this, to the right and upwards, have one common label."""
SPREAD = 6.0
"""Distance between neighbouring series of a spread plot at the same position of the x axis."""
LINE_HEIGHT, LETTER = 12.0, 6.2
"""Height of a label, and the width of one of its characters."""
BESIDE = 7.0
"""Distance between the centre of a point and its label."""
RING = 8.0
"""Additional distance between a point with a ring and its label."""
STEP, STEPS = 6.5, 14
"""Distance between the heights at which a label is tried, and the number of them above and below the point."""
LISTED = 6
"""Largest number of parts in a common label. A part is a name such as `4`, or several consecutive numbers as `4–7`."""
SHAPES = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z",
    "M-4 -4H4V4H-4Z",
    "M0 -5.2L4.8 3.6H-4.8Z",
    "M0 -5.6L5.6 0L0 5.6L-5.6 0Z",
    "M0 5.2L4.8 -3.6H-4.8Z",
    "M-1.6 -5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
)
"""Outline of each shape around the centre of a point: circle, square, triangle, rhombus, triangle downwards, cross."""
DASHES = ("none", "6 3", "2 3", "8 3 2 3", "12 4", "4 2 1 2 1 2")
"""Dash pattern of the line of each series."""
COLOURS = 6
"""Number of colours that the style sheet has for series; see `plots.css`."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, with its text."""

    value: float
    words: str


@dataclass(frozen=True)
class Axis:
    """The scale of one measure. All plots that show this measure have the same axis."""

    title: str
    """Name of the measure with its unit."""
    low: float
    high: float
    log: bool = False
    ticks: tuple[Tick, ...] = ()

    @classmethod
    def of(cls, title: str, values: Iterable[float], *, log: bool | None = None, whole: bool = False) -> Axis:
        """Return an axis on which all finite values have a place.

        Args:
            title: name of the measure with its unit.
            values: all values that any plot with this axis shows, with the ends of their intervals. A logarithmic axis
                ignores values at 0 or below.
            log: whether the axis is logarithmic; None to decide by the range of the values.
            whole: whether all values are integers, such as the numbers of turns. Only integers then get a tick.

        Raises:
            ValueError: no value has a place on the axis.
        """
        found = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
        if not found:
            raise ValueError(f"axis {title}: expected at least one value that can be shown, found none")
        least, most = min(found), max(found)
        if log:
            least = max(least, most / WIDEST)
        if log or (log is None and least > 0 and WIDE < most / least <= WIDEST):
            factor = (most / least) ** MARGIN if most > least else 2.0
            low, high = least / factor, most * factor
            return cls(title, low, high, True, _ticks(low, high, log=True))
        margin = MARGIN * (most - least) or abs(most) * MARGIN or 1.0
        if whole:
            return cls(title, least - APART, most + APART, False, _ticks(least, most, whole=True))
        low = max(least - margin, 0.0) if 0 <= least < 0.25 * most else least - margin
        return cls(title, low, most + margin, False, _ticks(low, most + margin, whole=whole))

    @classmethod
    def named(cls, title: str, names: Sequence[str]) -> Axis:
        """Return an axis with the positions 0, 1, 2 and so on, each of which has a name, such as a commit.

        If there are many names, only some of them are printed, the last one among them.

        Args:
            title: title of the axis.
            names: names of the positions; at least one.
        """
        step = -(-len(names) // TICKS)
        shown = range((len(names) - 1) % step, len(names), step)
        margin = max(MARGIN * (len(names) - 1), APART)
        return cls(title, -margin, len(names) - 1 + margin, ticks=tuple(Tick(place, names[place]) for place in shown))

    def has(self, value: float | None) -> bool:
        """Return whether a value has a place on the axis: it is finite, and above 0 if the axis is logarithmic."""
        return value is not None and math.isfinite(value) and (value > 0 or not self.log)

    def share(self, value: float) -> float:
        """Return the position of a value: 0 at the lower end of the axis and 1 at its upper end.

        A value beyond an end, such as the end of an interval at 0 on a logarithmic axis, is placed at this end.
        """
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)


def _ticks(low: float, high: float, *, log: bool = False, whole: bool = False) -> tuple[Tick, ...]:
    values: list[float] = []
    if log:
        values = [float(value) for value in LogLocator(subs=(1.0, 3.0), numticks=6).tick_values(low, high)]
    if sum(low <= value <= high for value in values) < 2:
        values = [float(value) for value in MaxNLocator(4, integer=whole).tick_values(low, high)]
    return tuple(Tick(value, f"{value:,.6g}") for value in values if low <= value <= high)


@dataclass(frozen=True)
class Point:
    """A measured value that a plot shows."""

    x: float
    y: float
    words: str
    """Text that names the point and gives its values with units. It is shown when a reader points at the point."""
    label: str = ""
    """Short text beside the point, such as the number of its row in the list; empty for none."""
    low: float | None = None
    """Lower end of the interval; None if the point has no interval."""
    high: float | None = None
    flagged: bool = False
    """Whether the point gets a ring in the colour of a failure, such as a regression. `words` says why."""
    part: int = 0
    """Number of the part of the series to which the point belongs. A line joins only points of one part."""


@dataclass(frozen=True)
class Series:
    """Points that belong together, such as the values of one row."""

    name: str
    points: tuple[Point, ...]
    joined: bool = False
    """Whether a line joins the points, in their order."""
    label: str = ""
    """Short name that the legend shows before the name, such as the number of the row; empty for none."""


@dataclass(frozen=True)
class Area:
    """A shaded area between two limits, such as a margin within which a change counts as no change."""

    name: str
    limits: tuple[tuple[float, float, float], ...]
    """Position on the x axis, lower limit and upper limit, from left to right."""


@dataclass(frozen=True)
class Look:
    """The appearance of a series, which is told apart from other series by shape and dashes as well as by colour."""

    colour: int
    """Number of the colour in the style sheet."""
    shape: str
    """Outline of a point in the notation of SVG paths, around the position 0, 0."""
    dashes: str


def look_of(number: int) -> Look:
    """Return the appearance of a series; the first 36 series differ from each other.

    Args:
        number: position of the series in the legend, starting with 0.
    """
    return Look(number % COLOURS, SHAPES[(number + number // COLOURS) % len(SHAPES)], DASHES[number % len(DASHES)])


@dataclass(frozen=True)
class Mark:
    """A point at its place in the drawing; see `Point`."""

    x: float
    y: float
    low: float | None
    """Vertical position of the lower end of the interval; None without an interval."""
    high: float | None
    look: Look
    point: Point


@dataclass(frozen=True)
class Label:
    """A text beside one or several points that lie on one another."""

    words: str
    x: float
    """Horizontal position of the start of the text."""
    y: float
    """Vertical position of the text's baseline."""
    leader: tuple[float, float, float, float] | None
    """Start and end of a line from the point to the text; None if the text is right beside the point."""


@dataclass(frozen=True)
class Drawing:
    """The positions of everything in one plot, from the upper left corner."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    lines: tuple[tuple[str, Look], ...]
    """Positions of each line that joins points, in the notation of SVG polylines, and its appearance."""
    areas: tuple[str, ...]
    """Corners of each shaded area, in the notation of SVG polygons."""
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Plot:
    """A small plot of some series."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    """Series in the order of the legend, which determines their appearance. A series may be empty here."""
    area: Area | None = None
    spread: bool = False
    """Whether the points of different series at one position of the x axis are drawn beside each other.

    It is meant for an x axis with few positions, such as turns. The points of one series all move by the same distance,
    and all labels are at the right end of the plot.
    """

    @cached_property
    def drawing(self) -> Drawing:
        """The positions of everything in the plot. Points without a place on an axis are left out."""
        marks: list[Mark] = []
        lines = []
        for number, series in enumerate(self.series):
            look, moved = look_of(number), self._moved(number)
            found = [self._mark(point, look, moved) for point in series.points if self._shows(point)]
            marks += found
            for part in dict.fromkeys(mark.point.part for mark in found if series.joined):
                joined = [(mark.x, mark.y) for mark in found if mark.point.part == part]
                lines += [(_positions(joined), look)] if len(joined) > 1 else []
        return Drawing(
            WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM,
            tuple((self._across(tick.value), tick.words) for tick in self.x.ticks),
            tuple((self._up(tick.value), tick.words) for tick in self.y.ticks),
            tuple(lines),
            () if self.area is None else (self._corners(self.area),),
            tuple(marks),
            tuple(_at_end(marks) if self.spread else _beside(marks)),
        )  # fmt: skip

    def _shows(self, point: Point) -> bool:
        return self.x.has(point.x) and self.y.has(point.y)

    def _moved(self, number: int) -> float:
        """Return the distance by which the points of a series are moved to the right, so that they are spread."""
        if not self.spread:
            return 0.0
        places = sorted({point.x for series in self.series for point in series.points})
        gaps = [self._across(after) - self._across(before) for before, after in pairwise(places)]
        room = 0.7 * min(gaps, default=10 * SPREAD)
        step = min(SPREAD, room / len(self.series))
        return step * (number - (len(self.series) - 1) / 2)

    def _mark(self, point: Point, look: Look, moved: float) -> Mark:
        low, high = (
            None if end is None or not math.isfinite(end) else self._up(end) for end in (point.low, point.high)
        )
        return Mark(round(self._across(point.x) + moved, 2), self._up(point.y), low, high, look, point)

    def _across(self, value: float) -> float:
        return round(LEFT + self.x.share(value) * (RIGHT - LEFT), 2)

    def _up(self, value: float) -> float:
        return round(BOTTOM - self.y.share(value) * (BOTTOM - TOP), 2)

    def _corners(self, area: Area) -> str:
        there = [(self._across(x), self._up(high)) for x, _, high in area.limits]
        back = [(self._across(x), self._up(low)) for x, low, _ in reversed(area.limits)]
        if len(area.limits) == 1:  # a single position has no width, so its margin is drawn across the whole plot
            there, back = [(LEFT, there[0][1]), (RIGHT, there[0][1])], [(RIGHT, back[0][1]), (LEFT, back[0][1])]
        return _positions([*there, *back])


@dataclass(frozen=True)
class Plots:
    """Lines of small plots with one legend, and a list of the values that they show."""

    lines: tuple[tuple[Plot, ...], ...]
    """Plots in each line, from left to right. Usually a line has the plots of one metric."""
    listed: Grid | None = None
    """Table of all values in the plots, which a reader can open below them; None if the page shows it elsewhere."""
    note: str = ""
    """Text above the plots that says what the points, their intervals and their labels mean."""

    @property
    def legend(self) -> tuple[tuple[Look, Series], ...]:
        """Each series with its appearance, if there are several series or if series have labels."""
        series = next((plot.series for line in self.lines for plot in line), ())
        if len(series) < 2 and not any(one.label for one in series):
            return ()
        return tuple((look_of(number), one) for number, one in enumerate(series))

    @property
    def areas(self) -> tuple[str, ...]:
        """Names of the shaded areas, each once."""
        plots = (plot for line in self.lines for plot in line)
        return tuple(dict.fromkeys(plot.area.name for plot in plots if plot.area is not None))


def _positions(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


# --- labels ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Box:
    """A rectangle that a label or a point covers."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def _at_end(marks: Sequence[Mark]) -> list[Label]:
    """Return the labels at the right end of the plot, in the order of their points' heights and without overlaps."""
    labelled = sorted((mark for mark in marks if mark.point.label), key=lambda mark: mark.y)
    lowest = BOTTOM - LINE_HEIGHT * len(labelled)
    labels, last = [], -math.inf
    for number, mark in enumerate(labelled):
        # The labels below need room as well, so that this one may not be lower than `lowest` allows.
        last = max(last + LINE_HEIGHT, min(mark.y, lowest + LINE_HEIGHT * (number + 1)))
        leader = (mark.x, mark.y, RIGHT + 3, round(last, 2))
        labels.append(Label(mark.point.label, RIGHT + 5, round(last + 4, 2), leader))
    return labels


def _beside(marks: Sequence[Mark]) -> list[Label]:
    """Return one label for each group of points that lie on one another, placed where it covers no other label."""
    groups: list[list[Mark]] = []
    for mark in marks:
        if mark.point.label:
            first = next((group for group in groups if _near(group[0], mark)), None)
            groups.append([mark]) if first is None else first.append(mark)
    points = [_Box(mark.x - 5, mark.y - 5, mark.x + 5, mark.y + 5) for mark in marks]
    taken: list[_Box] = []
    labels = []
    for group in groups:
        words = _common(list(dict.fromkeys(mark.point.label for mark in group)))
        box = _placed(words, group[0], points, taken)
        taken.append(box)
        labels.append(_label(words, group[0], box))
    return labels


def _near(one: Mark, other: Mark) -> bool:
    return abs(one.x - other.x) < NEAR and abs(one.y - other.y) < NEAR


def _common(labels: Sequence[str]) -> str:
    """Return several labels as one text, in which three or more consecutive numbers are joined, such as `1, 4–7`."""
    parts: list[list[str]] = []
    for label in labels:
        last = parts[-1][-1] if parts else ""
        follows = label.isdecimal() and last.isdecimal() and int(label) == int(last) + 1
        parts[-1].append(label) if follows else parts.append([label])
    shown = [text for part in parts for text in ([f"{part[0]}–{part[-1]}"] if len(part) > 2 else part)]
    more = len(shown) - LISTED
    return ", ".join(shown if more <= 0 else [*shown[:LISTED], f"{more} more"])


def _placed(words: str, mark: Mark, points: Sequence[_Box], taken: Sequence[_Box]) -> _Box:
    """Return the rectangle for a label: the one with the least overlap, and among several of them the nearest one."""
    width = LETTER * len(words)

    def overlap(box: _Box) -> tuple[float, float]:
        outside = max(0.0, box.right - WIDTH) + max(0.0, LEFT - box.left)
        outside += max(0.0, TOP - 6 - box.top) + max(0.0, box.bottom - BOTTOM)
        covered = sum(box.overlap(other) for other in taken)
        return round(covered + 100 * outside, 3), round(sum(box.overlap(other) for other in points), 3)

    beside = BESIDE + (RING if mark.point.flagged else 0)
    right, left, centred = mark.x + beside, mark.x - beside - width, mark.x - width / 2
    half, found = LINE_HEIGHT / 2, []
    for moved in (sign * STEP * number for number in range(STEPS) for sign in (-1, 1)):
        for start in (right, left, centred) if abs(moved) > LINE_HEIGHT else (right, left):
            box = _Box(start, mark.y + moved - half, start + width, mark.y + moved + half)
            found.append((overlap(box), box))
            if found[-1][0] == (0, 0):
                return box
    return min(found, key=lambda one: one[0])[1]


def _label(words: str, mark: Mark, box: _Box) -> Label:
    middle = (box.top + box.bottom) / 2
    leader = None
    if abs(middle - mark.y) > STEP:
        end = box.left - 1 if box.left > mark.x else box.right + 1 if box.right < mark.x else mark.x
        leader = (mark.x, mark.y, round(end, 2), round(middle, 2))
    return Label(words, round(box.left, 2), round(middle + 4, 2), leader)
