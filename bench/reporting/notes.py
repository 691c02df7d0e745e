"""What a reader of a table must know, in the order of its weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil

from bench.data.manifest import Items
from bench.metrics.known_region import RING
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Summary
from bench.schema import Config, Row, TableSpec
from bench.tables.build import Styles, label_of, style_of
from bench.tables.headline import RELEASED, Reading

__all__ = ["effective_sources", "floor_note", "frechet_bias", "items_note", "notes"]


def notes(
    config: Config,
    spec: TableSpec,
    rows: Mapping[str, Row],
    *,
    items: Items,
    summary: Summary,
    protocols: Mapping[str, Protocol],
    best: Mapping[str, str],
    styles: Styles,
    reading: Reading,
    truncated: int | None,
) -> Iterator[str]:
    """One line each, for below the table.

    Args:
        config: the run's.
        spec: the table's.
        rows: the table's.
        items: that it is of.
        summary: what was measured.
        protocols: by metric.
        best: by metric, the row that is better than every other.
        styles: how metrics are printed.
        reading: of the error over known pixels, that the table shows.
        truncated: captions that the generator cut off; None where it reads none.
    """
    profile = config.profile
    if profile.name != "paper":
        yield (
            f"These numbers were measured on the {profile.name} profile: small models and small data sets that this "
            "project made itself. The numbers that the paper prints come from other models and other images; do not "
            "compare them with these."
        )
    yield "† marks a row that is not in the paper. ± is one standard error; items of one source are taken together."
    if any(row.cited for row in rows.values()):
        yield (
            "‡ marks numbers that the authors copied from elsewhere, where they were measured on other images; "
            "rows.NAME.method=… measures such a row here."
        )
    if spec.reference is not None and spec.reference in summary.scored.rows:
        label = label_of(rows[spec.reference], spec)
        half = (
            f"÷ 2 means that the error of {label} is twice this row's, with the 95 % interval. "
            if reading.error in spec.columns
            else ""
        )
        yield (
            f"{half}* marks a row that differs from {label} at the 95 % level. Differences are paired by item. Their "
            "p-values are adjusted by Holm's method within a column: once over the paper's rows, and separately over "
            "all other rows. Further comparisons that statements need form two more families (docs/reading.md). "
            "Intervals are unadjusted."
        )
    if best:
        yield (
            "Bold marks a row that is better than every other measured row of its column at the 95 % level, paired by "
            "item."
        )
    if reading.total in spec.readings:
        yield (
            "The paper defines its Pre_error as a mean and gives no unit, but the released code computes a sum. The "
            "paper's numbers are shown as printed and are assumed to be sums of squares: they belong to the column of "
            "our sum, not to that of our mean."
        )
    yield items_note(items, summary)
    if spec.reference is not None and spec.reference in summary.scored.rows:
        shown = {row: label_of(rows[row], spec) for row in rows if not rows[row].beside}
        titles = {metric: style.title if (style := style_of(metric, styles)) else metric for metric in spec.columns}
        yield from effective_sources(summary, spec.reference, shown, titles)
    first = next(iter(summary.scored.rows))
    for metric in spec.columns:
        found = summary.measurement(first, metric)
        style = style_of(metric, styles)
        if found.reason:
            yield f"No {style.title if style else metric}: {found.reason}."
        elif found.n < len(items):
            yield f"{style.title if style else metric}: {found.n} items of {found.sources} sources."
    if "fid" in spec.columns:
        yield from frechet_bias(summary, {row: label_of(rows[row], spec) for row in rows if not rows[row].beside})
    floor = summary.measurement(first, reading.floor).value
    if floor is not None:
        yield floor_note(floor, reading, summary, spec)
    if config.controls and any("hole_only" in name for name in summary.metrics[first]):
        yield (
            "In the columns 'hole only' the truth stands in place of every row's known pixels, so that only the hole "
            "and its seam count."
        )
    if truncated is not None:
        yield f"{truncated} captions were longer than the text encoder reads, and cut off."
    stamps = "; ".join(f"{metric} {protocols[metric].hash[:12]}" for metric in spec.columns if metric in protocols)
    yield f"Manifest {items.hash[:16]}, seed {config.seed}; protocols: {stamps}."


def floor_note(floor: float, reading: Reading, summary: Summary, spec: TableSpec) -> str:
    """What Pre_error is of, what saving alone costs, and what that does to the ratios.

    Args:
        floor: what saving alone costs, in [0, 1] squared.
        reading: that the table shows.
        summary: what was measured.
        spec: of the table.
    """
    mean = "Pre_error is the mean squared difference in [0, 1] over known pixels"
    if reading == RELEASED:
        said = (
            f"{mean} of the 8-bit image that the released scripts save: float16 until it is truncated. So saved, a "
            f"perfect decoder's image has an error of {floor * 1e5:.2f}e-5"
        )
    else:
        said = (
            f"{mean} of the truncated 8-bit image. Truncation alone adds an error of {floor * 1e5:.2f}e-5 for a "
            "decoder whose errors are symmetric and much smaller than one grey level"
        )
    base = None if spec.reference is None else summary.measurement(spec.reference, reading.error).value
    if base and floor and reading.error in spec.columns:
        said += f". The ratio of such a decoder would be ÷ {base / floor:.3g}"
    return f"{said}. The ring is the known pixels at most {RING} from the hole."


def items_note(items: Items, summary: Summary) -> str:
    """How many items there are, of what kind, and what was left out."""
    manifest, side = items.manifest, items.manifest["resolution"]
    features = [values for values in summary.scored.truth.values() if values.ndim == 2]
    parts = [f"{len(items)} items of {len(set(items.sources))} sources at {side}×{side}, {manifest['subset']} subset"]
    if features:
        images, dimensions = features[0].shape
        parts.append(
            f"{dimensions} feature dimensions and {images} true images ({len(items) / dimensions:.1f} items for each "
            "dimension)"
        )
    parts.append(
        f"{len(manifest['dropped'])} pictures left out because all their masks were rejected, "
        f"{len(manifest['broken'])} because they could not be read"
    )
    if manifest["grey_masks"]:
        parts.append(f"{manifest['grey_masks']} masks with grey pixels, taken at half")
    return "; ".join(parts) + "."


def effective_sources(
    summary: Summary, reference: str, labels: Mapping[str, str], titles: Mapping[str, str]
) -> Iterator[str]:
    """On how many effective sources the differences to the reference row rest, and which few decide some of them.

    Args:
        summary: what was measured.
        reference: the row that the others are compared with.
        labels: the rows to speak of.
        titles: the metrics to speak of.
    """
    ranges, few = [], []
    for metric, title in titles.items():
        found = {row: summary.difference(row, reference, metric) for row in labels if row != reference}
        known = {row: one for row, one in found.items() if not isinstance(one, str) and one.stderr > 0}
        if not known:
            continue
        counts = sorted(one.effective_sources for one in known.values())
        ranges.append(f"{title} {_range(counts[0], counts[-1])}")
        for row in (row for row, one in known.items() if one.decided_by_few):
            shares = list(summary.variance_shares(row, reference, metric).items())[: ceil(known[row].effective_sources)]
            few.append(
                f"{len(shares)} of {known[row].sources} sources ({', '.join(name for name, _ in shares)}) carry "
                f"{100 * sum(share for _, share in shares):.0f} % of the variance of {labels[row]} - "
                f"{labels.get(reference, reference)} in {title}"
            )
    if ranges:
        yield (
            f"Effective number of sources of the differences to {labels.get(reference, reference)} (so many sources of "
            f"equal weight would vary as much), from the lowest to the highest: {'; '.join(ranges)}."
        )
    if few:
        yield f"Few sources decide, so that nothing is claimed: {'; '.join(few)}."


def _range(least: float, most: float) -> str:
    return f"{least:.3g}" if f"{least:.3g}" == f"{most:.3g}" else f"{least:.3g} to {most:.3g}"


def frechet_bias(summary: Summary, labels: Mapping[str, str]) -> Iterator[str]:
    """How much of each row's FID is owed to the number of items; nothing where no row has one.

    Args:
        summary: what was measured.
        labels: of the rows to speak of.
    """
    measured = [row for row in labels if row in summary.scored.rows and "fid" in summary.metrics[row]]
    found = {row: summary.extrapolation(row, "fid") for row in measured}
    known = {row: one for row, one in found.items() if not isinstance(one, str)}
    if not known:
        return
    count, half, _ = next(iter(known.values())).sizes
    dimensions = summary.scored.truth[summary.scored.sets["fid"]].shape[1]
    bound = "" if half >= dimensions else f"; at most that, as {half:,} items are fewer than {dimensions:,} dimensions"
    parts = "; ".join(
        f"{labels[row]} {one.limit:.2f} ± {one.stderr:.2f} ({one.values[0]:.2f} at {count:,})"
        for row, one in known.items()
    )
    yield (
        f"FID is biased upwards by the finite number of items. A line in 1/N through {count:,} and {half:,} items "
        f"(Chong and Forsyth, 2020) extrapolates it to infinitely many{bound}: {parts}."
    )
