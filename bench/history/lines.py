"""The lines of a history: for each number of a table, its values at all moments and the gate's verdicts on the changes.

Each value is compared with the previous value of its line, with the first value, and with the last marked value, if
there is one. The last two comparisons find a slow change whose single steps stay within the margin. Values with other
items or other protocols are not compared. They belong to different segments of the line, and the first value of a
segment says why it begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bench.errors import BadInputError
from bench.gate.baseline import rounded
from bench.gate.comparing import Comparison, Outcome, compare, incomparable
from bench.gate.decision import Verdict
from bench.gate.margins import DEFAULTS, Margin, margins_of
from bench.gate.read_run import Measured, Number, Side
from bench.history.find import Skipped, Source
from bench.metrics.protocol import Protocol
from bench.results.stamps import Stamps, unlike
from bench.tables.build import style_of

__all__ = ["ERRORS", "History", "Line", "Moment", "Step", "Value", "history_of"]

ERRORS = 1.96
"""Number of standard errors from a value to each end of its interval, if only the standard error is known."""
Key = tuple[str, str, str]
"""Name of the experiment, of the row, and of the metric or the cost: the address of a line."""
Cell = tuple[str, str]


@dataclass(frozen=True)
class Moment:
    """One run, collection or version of a baseline, as a position in the history."""

    number: int
    """Position in the order of the dates, starting with 1."""
    source: Source
    notes: tuple[str, ...] = ()
    """Notes of the gate, such as overrides that differ from the earlier run."""

    @property
    def label(self) -> str:
        """Short text for an axis: the commit, or the day if the commit is unknown."""
        commit = self.source.commit
        return f"{self.source.date:%Y-%m-%d}" if commit is None else commit.short


@dataclass(frozen=True)
class Step:
    """The comparison of a value with an earlier value of its line, as the gate makes it."""

    against: int
    """Number of the moment of the earlier value."""
    old: float
    change: float
    """New value minus old value."""
    ci95: tuple[float, float] | None
    """Interval of the change; None if only the two values are compared."""
    margin: float
    """Largest worsening that is tolerated, in the unit of the number."""
    verdict: Verdict


@dataclass(frozen=True)
class Value:
    """The value of a line at one moment."""

    moment: int
    value: float | None
    low: float | None = None
    """Lower end of the 95 % interval; None if it is not known."""
    high: float | None = None
    approximate: bool = False
    """Whether the interval is `ERRORS` standard errors on each side, because only the standard error is known."""
    n: int = 0
    """Number of items; 0 for a cost."""
    reason: str = ""
    """Reason why there is no value; empty if there is one."""
    segment: int = 0
    """Number of the value's segment. Only values of one segment were compared."""
    broken: str = ""
    """Reason why a new segment begins here although the line has earlier values; empty if none begins."""
    step: Step | None = None
    """Comparison with the previous value of the segment; None for its first value, or without a margin."""
    since_start: Step | None = None
    """Comparison with the first value of the segment."""
    since_mark: Step | None = None
    """Comparison with the last marked value of the segment; None if no earlier value is marked."""
    drift: Verdict | None = None
    """`REGRESSION` or `IMPROVED` if the last step alone is not one, but all steps since the segment's last marked value
    or since its first value are one together."""

    @property
    def mark(self) -> Verdict | None:
        """`REGRESSION` or `IMPROVED` if the value is marked, because of its last step or of all steps together."""
        if self.step is not None and self.step.verdict in MARKED:
            return self.step.verdict
        return self.drift

    @property
    def cause(self) -> Step | None:
        """The comparison for which the value is marked; None if it is not marked."""
        if self.mark is None or self.drift is None:
            return self.step if self.mark is not None else None
        found = self.since_mark
        return found if found is not None and found.verdict is self.drift else self.since_start


MARKED = (Verdict.REGRESSION, Verdict.IMPROVED)


@dataclass(frozen=True)
class Line:
    """One number of a table at all moments at which the table was made."""

    experiment: str
    row: str
    metric: str
    is_cost: bool
    higher_is_better: bool
    values: tuple[Value, ...]

    @property
    def moved(self) -> bool:
        """True if the line does not have the same value at all its moments."""
        return len({value.value for value in self.values}) > 1


@dataclass(frozen=True)
class History:
    """All lines with their moments, and everything that could not be read."""

    moments: tuple[Moment, ...]
    lines: tuple[Line, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()

    def marked(self) -> list[tuple[Line, Value]]:
        """Return the marked values, the newest first."""
        found = [(line, value) for line in self.lines for value in line.values if value.mark is not None]
        return sorted(found, key=lambda one: (-one[1].moment, one[1].mark is not Verdict.REGRESSION))


def history_of(
    sources: Iterable[Source], margins: Mapping[str, Margin], skipped: Sequence[Skipped] = (), notes: Sequence[str] = ()
) -> History:
    """Read all sources in the order of their dates, and return their history.

    The arrays of at most four runs of each number are in memory at a time.

    Args:
        sources: runs and baselines in any order. Those with equal dates and starts keep their order.
        margins: margins that replace the default margins and those of the runs, by the full name of a metric or cost.
        skipped: files that could not be used. Sources that cannot be read are added.
        notes: notes for the reader.

    Raises:
        BadInputError: a name in `margins` is neither a metric nor a cost.
    """
    writer = _Writer(dict(margins))
    left_out = list(skipped)
    for source in sorted(sources, key=lambda source: (source.date, source.began)):  # equal ones keep their order
        try:
            side = source.read()
        except BadInputError as error:
            left_out.append(Skipped(source.name, str(error)))
            continue
        left_out += [Skipped(source.name, problem.what) for problem in side.problems]
        if side.tables:
            writer.add(source, side)
    lines = tuple(Line(*key, *writer.kinds[key], tuple(values)) for key, values in writer.values.items())
    _require_known(margins, lines)
    return History(tuple(writer.moments), lines, tuple(left_out), tuple(notes))


Earlier = tuple[Measured, Mapping[Cell, int | None]]
"""An earlier table, and the significant digits of each of its numbers."""


@dataclass
class _Kept:
    """A table whose values can come from different moments."""

    table: Measured
    at: dict[Cell, int] = field(default_factory=dict)
    """Number of the moment of each value."""

    def put(self, table: Measured, cell: Cell, moment: int) -> None:
        """Replace one value by that of another table, which was measured at a moment."""
        self.table = _with(self.table, table, cell)
        self.at[cell] = moment


@dataclass
class _Track:
    """Tables of one experiment that can be compared with each other."""

    first: _Kept
    """First value of each number."""
    last: _Kept
    """Last value of each number."""
    marked: _Kept
    """Last marked value of each number in `marks`, and first value of each other number."""
    marks: set[Cell] = field(default_factory=set)
    """Numbers with a marked value in their newest segment."""
    segments: dict[Cell, int] = field(default_factory=dict)
    """Segment of each number."""
    protocols: dict[Cell, Protocol | None] = field(default_factory=dict)
    """Protocol of the last value of each number. The rows of a metric can differ if one of them was not in each run."""
    decided: dict[Cell, Verdict] = field(default_factory=dict)
    """Last verdict of the comparison of each number with its first value that was not `CANNOT_TELL`."""
    newest: int = 0
    """Number of the last moment of the track."""
    rounded: dict[int, int | None] = field(default_factory=dict)
    """Significant digits of the numbers of each moment; None if they were not rounded, as those of a run."""

    def earlier(self, kept: _Kept) -> Earlier:
        """Return a table of the track with the significant digits of each value."""
        return kept.table, {cell: self.rounded[moment] for cell, moment in kept.at.items()}


@dataclass(frozen=True)
class _Compared:
    """The outcome of the gate for one moment, by the address of the number."""

    outcome: Outcome | None

    @cached_property
    def comparisons(self) -> dict[Key, Comparison]:
        found = () if self.outcome is None else self.outcome.comparisons
        return {(one.experiment, one.row, one.metric): one for one in found}

    @cached_property
    def reasons(self) -> dict[Key, str]:
        """Reason why a number was not compared. If the row is empty, the reason holds for all rows."""
        problems = () if self.outcome is None else self.outcome.problems
        return {
            (one.experiment, row, one.metric): one.what for one in problems if one.metric for row in one.rows or ("",)
        }

    def reason(self, key: Key) -> str:
        return self.reasons.get(key) or self.reasons.get((key[0], "", key[2]), "")

    def step(self, key: Key, against: int) -> Step | None:
        """Return the comparison of a number with its value at the moment `against`; None if it was not compared."""
        found = self.comparisons.get(key)
        if found is None:
            return None
        return Step(against, found.old, found.change, found.ci95, found.allowed, found.verdict)


@dataclass(frozen=True)
class _Comparisons:
    """The outcomes of the comparisons of one moment with earlier values of all tracks."""

    previous: _Compared
    """Comparisons with the last values."""
    start: _Compared
    """Comparisons with the first values."""
    mark: _Compared
    """Comparisons with the last marked values."""


@dataclass
class _Writer:
    """The moments and values so far. Moments must be added in the order of their dates."""

    margins: dict[str, Margin]
    moments: list[Moment] = field(default_factory=list)
    values: dict[Key, list[Value]] = field(default_factory=dict)
    kinds: dict[Key, tuple[bool, bool]] = field(default_factory=dict)
    """For each line, whether it is a cost, and whether a higher value is better."""
    tracks: dict[str, list[_Track]] = field(default_factory=dict)
    segments: int = 0

    def add(self, source: Source, side: Side) -> None:
        """Add the numbers of one source, and compare them with the earlier ones."""
        number = len(self.moments) + 1
        chosen = {name: self._track(table) for name, table in side.tables.items()}
        known = {name: track for name, (track, _) in chosen.items() if track is not None}
        margins = {**_own_margins(source), **self.margins}
        margins = {name: margin for name, margin in margins.items() if name in _names(side)}
        marked = {name: track for name, track in known.items() if track.marks}
        compared = _Comparisons(
            _compared(side, {name: track.earlier(track.last) for name, track in known.items()}, margins),
            _compared(side, {name: track.earlier(track.first) for name, track in known.items()}, margins),
            _compared(side, {name: track.earlier(track.marked) for name, track in marked.items()}, margins),
        )
        for name, (track, reason) in chosen.items():
            table = side.tables[name]
            if track is None:
                track = _Track(_Kept(table), _Kept(table), _Kept(table))
                self.tracks[name].append(track)
            for cell, found in _cells(table):
                key = (name, *cell)
                self.kinds.setdefault(key, (cell in table.costs, found.higher_is_better))
                known_reason = _apart(track, table, cell) or compared.previous.reason(key)
                why = reason or (known_reason if cell in track.last.at else "")
                value = _value(number, found)
                if found.value is not None:
                    value = self._placed(value, key, track, compared, why)
                    _remember(track, table, cell, value)
                self.values.setdefault(key, []).append(value)
            track.newest = number
            track.rounded[number] = table.digits
            track.last.table = replace(track.last.table, custom=table.custom)
        notes = () if compared.previous.outcome is None else compared.previous.outcome.notes
        self.moments.append(Moment(number, source, notes))

    def _track(self, table: Measured) -> tuple[_Track | None, str]:
        """Return the newest track to which a table fits.

        If none fits, return None and the reason why the newest track does not fit; the reason is empty without tracks.
        """
        reason = ""
        for track in sorted(self.tracks.setdefault(table.experiment, []), key=lambda track: -track.newest):
            apart = incomparable(table, track.last.table)
            if apart is None:
                return track, ""
            reason = reason or apart
        return None, reason

    def _placed(self, value: Value, key: Key, track: _Track, compared: _Comparisons, why: str) -> Value:
        """Return a value with its segment and its comparisons.

        Args:
            value: value that exists.
            key: address of its line.
            track: track of the value's table.
            compared: outcomes of the comparisons of all numbers of the moment.
            why: reason why the value was not compared with an earlier one; empty if it was, or if there is none.
        """
        cell = key[1:]
        if cell in track.last.at and not why:
            step = compared.previous.step(key, track.last.at[cell])
            since_start = compared.start.step(key, track.first.at[cell])
            since_mark = compared.mark.step(key, track.marked.at[cell]) if cell in track.marks else None
            drift = _drift(step, since_start, since_mark, track.decided.get(cell))
            return replace(
                value,
                segment=track.segments[cell],
                step=step,
                since_start=since_start,
                since_mark=since_mark,
                drift=drift,
            )
        self.segments += 1
        has_earlier = any(earlier.value is not None for earlier in self.values.get(key, []))
        return replace(value, segment=self.segments, broken=why if has_earlier else "")


def _value(moment: int, found: Number) -> Value:
    if found.value is None:
        return Value(moment, None, n=found.n, reason=found.reason)
    if found.ci95 is not None:
        return Value(moment, found.value, *found.ci95, n=found.n)
    if found.stderr is None:
        return Value(moment, found.value, n=found.n)
    half = ERRORS * found.stderr
    return Value(moment, found.value, found.value - half, found.value + half, approximate=True, n=found.n)


def _remember(track: _Track, table: Measured, cell: Cell, value: Value) -> None:
    """Add a value to the last values of a track, and if its segment is new or it is marked, to the others as well."""
    is_new = track.segments.get(cell) != value.segment
    if is_new:
        track.segments[cell] = value.segment
        track.first.put(table, cell, value.moment)
        track.marks.discard(cell)
        track.decided.pop(cell, None)
    if is_new or value.mark is not None:
        track.marked.put(table, cell, value.moment)
    if value.mark is not None:
        track.marks.add(cell)
    if value.since_start is not None and value.since_start.verdict is not Verdict.CANNOT_TELL:
        track.decided[cell] = value.since_start.verdict
    track.protocols[cell] = table.stamps.protocols.get(cell[1])
    track.last.put(table, cell, value.moment)


def _with(old: Measured, table: Measured, cell: Cell) -> Measured:
    """Return a copy of `old` with one number of `table`, and with the protocol of this number."""
    if cell in table.costs:
        return replace(old, costs={**old.costs, cell: table.costs[cell]})
    protocols = dict(old.stamps.protocols)
    if cell[1] in table.stamps.protocols:
        protocols[cell[1]] = table.stamps.protocols[cell[1]]
    stamps = replace(old.stamps, protocols=protocols, pictures=old.stamps.pictures or table.stamps.pictures)
    return replace(old, numbers={**old.numbers, cell: table.numbers[cell]}, stamps=stamps)


def _cells(table: Measured) -> Iterator[tuple[Cell, Number]]:
    yield from table.numbers.items()
    for cell, cost in table.costs.items():
        yield cell, Number(cost, False)


def _own_margins(source: Source) -> dict[str, Margin]:
    """Return the margins of a run's own configuration; none if they are not valid."""
    try:
        return margins_of(source.margins)
    except BadInputError:  # an older version wrote them in another way
        return {}


def _names(side: Side) -> set[str]:
    return {name for table in side.tables.values() for _, name in (*table.numbers, *table.costs)}


def _require_known(margins: Iterable[str], lines: Iterable[Line]) -> None:
    known = list(dict.fromkeys(line.metric for line in lines))
    for name in margins:
        if known and name not in known and name not in DEFAULTS and style_of(name) is None:
            raise BadInputError(
                f"margin of {name}: expected a name from this list: {', '.join(known)}; found another name"
            )


def _compared(side: Side, tables: Mapping[str, Earlier], margins: Mapping[str, Margin]) -> _Compared:
    """Compare the tables of a source with earlier tables of the same experiments; nothing is compared without any."""
    if not tables:
        return _Compared(None)
    both = {name: _alike(side.tables[name], *earlier) for name, earlier in tables.items()}
    new = Side(side.path, {name: new for name, (new, _) in both.items()}, ())
    return _Compared(compare(new, Side(Path(), {name: old for name, (_, old) in both.items()}, ()), margins))


def _alike(new: Measured, old: Measured, digits: Mapping[Cell, int | None]) -> tuple[Measured, Measured]:
    """Round those numbers of two tables of which one side is rounded, so that rounding alone is no change.

    Args:
        new: table of a run or of a baseline.
        old: earlier values, of which some can come from a run and others from a baseline.
        digits: significant digits of each number of `old`; None if it was not rounded.
    """
    used = {cell: new.digits if digits.get(cell) is None else digits[cell] for cell in old.numbers}
    tables = [{cell: _rounded(number, used.get(cell)) for cell, number in side.numbers.items()} for side in (new, old)]
    common = set(used.values())
    whole = common.pop() if len(common) == 1 else None
    return replace(new, numbers=tables[0]), replace(old, numbers=tables[1], digits=whole)


def _rounded(number: Number, digits: int | None) -> Number:
    if digits is None or number.value is None:
        return number
    return replace(number, value=rounded(number.value, digits))


def _apart(track: _Track, table: Measured, cell: Cell) -> str:
    """Return how the protocol of a number differs from that of its last value; empty if they do not differ."""
    old, new = track.protocols.get(cell), table.stamps.protocols.get(cell[1])
    if old is None or new is None:
        return ""
    return unlike(*(Stamps(table.stamps.manifest, {cell[1]: protocol}) for protocol in (new, old))) or ""


def _drift(
    step: Step | None, since_start: Step | None, since_mark: Step | None, decided: Verdict | None
) -> Verdict | None:
    """Return `REGRESSION` or `IMPROVED` if all steps together are one, and the last step alone is not; None otherwise.

    Args:
        step: comparison with the previous value.
        since_start: comparison with the first value. Only the first of several equal verdicts counts.
        since_mark: comparison with the last marked value.
        decided: last verdict of the comparisons of earlier values with the first value.
    """
    if step is not None and step.verdict in MARKED:
        return None
    if since_mark is not None and since_mark.verdict in MARKED:
        return since_mark.verdict
    if since_start is not None and since_start.verdict in MARKED and since_start.verdict is not decided:
        return since_start.verdict
    return None
