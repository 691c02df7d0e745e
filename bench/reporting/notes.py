"""Functions that create the notes below a table. The most important note comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil

from bench.config.experiment_configs import MeasuringConfig
from bench.config.schema import REHEARSAL, REHEARSAL_NOTE, TableSpec
from bench.data.prepared import Items
from bench.data.walking import left_out_note
from bench.metrics.known_region import RING
from bench.metrics.legibility import counted
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Summary
from bench.runtime.not_available import NotAvailable
from bench.tables.build import TableDesign, label_of, style_of
from bench.tables.headline import RELEASED, Reading

__all__ = ["effective_sources", "floor_note", "frechet_bias", "items_note", "notes"]


def notes(
    config: MeasuringConfig,
    design: TableDesign,
    *,
    items: Items,
    summary: Summary,
    protocols: Mapping[str, Protocol],
    best: Mapping[str, str],
    truncated: int | None,
) -> Iterator[str]:
    """Yield the notes below the table, one line each.

    Args:
        config: configuration of the run.
        design: rows, columns and styles of the table.
        items: items of the run.
        summary: measured values.
        protocols: protocol of each metric, by the name of the metric.
        best: key of the row that is significantly better than every other row, by the name of the metric. Metrics
            without such a row are left out.
        truncated: number of captions that were too long for the text encoder; None if the task uses no captions.
    """
    spec, rows, styles, reading = design.spec, design.rows, design.styles, design.reading
    profile = config.profile
    if profile.name == REHEARSAL:
        yield REHEARSAL_NOTE
    elif profile.name != "paper":
        yield (
            f"These numbers were measured on the {profile.name} profile: small models and small data sets that this "
            "project made itself. The numbers that the paper prints come from other models and other images; do not "
            "compare them with these."
        )
    foreign = "† marks a row that is not in the paper. " if spec.number else ""
    yield f"{foreign}± is one standard error; items of one source count as dependent."
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
            "p-values are adjusted by Holm's method in families: in each column, the paper's rows are one family, and "
            "all other rows are another. Further comparisons for statements are two more families (docs/reading.md). "
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
            "In the columns 'hole only', true pixels replace the known pixels of every row, so only the hole and its "
            "border count."
        )
    if text := counted(summary.scored.rows[first]):
        yield text
    if truncated is not None:
        yield f"{truncated} captions were too long for the text encoder and were cut off."
    stamps = "; ".join(f"{metric} {protocols[metric].hash[:12]}" for metric in spec.columns if metric in protocols)
    yield f"Manifest {items.hash[:16]}, seed {config.seed}; protocols: {stamps}."


def floor_note(floor: float, reading: Reading, summary: Summary, spec: TableSpec) -> str:
    """Return a note on Pre_error.

    The note says how the images are rounded before Pre_error is measured, how large the floor of Pre_error is, and
    which pixels the ring contains. If Pre_error is a column of the table and the reference row was measured, the note
    also contains the reference row's error divided by the floor. The table would show this ratio for a decoder whose
    only error is the floor.

    Args:
        floor: mean squared error of values in [0, 1] that saving to 8 bits alone adds.
        reading: names of the metrics for Pre_error, for its sum and for its floor.
        summary: measured values.
        spec: specification of the table.
    """
    mean = "Pre_error is the mean squared difference in [0, 1] over known pixels"
    if reading == RELEASED:
        said = (
            f"{mean} of the 8-bit image that the released scripts save, which is float16 until it is truncated. Saved "
            f"in this way, a perfect decoder's image has an error of {floor * 1e5:.2f}e-5"
        )
    else:
        said = (
            f"{mean} of the truncated 8-bit image. Truncation alone adds an error of {floor * 1e5:.2f}e-5 for a "
            "decoder whose errors are symmetric and much smaller than one grey level"
        )
    base = None if spec.reference is None else summary.measurement(spec.reference, reading.error).value
    if base and floor and reading.error in spec.columns:
        said += f". The ratio of such a decoder would be ÷ {base / floor:.3g}"
    return f"{said}. The ring contains the known pixels at most {RING} pixels from the hole."


def items_note(items: Items, summary: Summary) -> str:
    """Return a note on the items and on the pictures and other files that were left out.

    Of the items, the note states their number, sources, resolution and subset, the number of feature dimensions and
    true images if there are features, and the number of masks with grey pixels if there are any.
    """
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
        parts.append(f"{manifest['grey_masks']} masks with grey pixels, thresholded at half")
    if note := left_out_note(manifest.get("left_out", {})):
        parts.append(note)
    return "; ".join(parts) + "."


def effective_sources(
    summary: Summary, reference: str, labels: Mapping[str, str], titles: Mapping[str, str]
) -> Iterator[str]:
    """Yield notes that say how many effective sources the differences of the rows from the reference row have.

    The first note says, for each metric, the smallest and the largest number among the rows. The second note lists the
    differences that have too few effective sources for a verdict. For each such difference, it names the sources that
    carry most of the variance. A note without content is left out.

    Args:
        summary: measured values.
        reference: key of the reference row.
        labels: label of each row that the notes consider, by the key of the row.
        titles: title of each metric that the notes consider, by the name of the metric.
    """
    ranges, few = [], []
    for metric, title in titles.items():
        found = {row: summary.difference(row, reference, metric) for row in labels if row != reference}
        known = {row: one for row, one in found.items() if not isinstance(one, NotAvailable) and one.stderr > 0}
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
            f"Effective number of sources of the differences to {labels.get(reference, reference)} (the number of "
            "equally important sources that would give the same uncertainty), from the lowest to the highest: "
            f"{'; '.join(ranges)}."
        )
    if few:
        yield f"Few sources decide these differences, so no verdict rests on them: {'; '.join(few)}."


def _range(least: float, most: float) -> str:
    return f"{least:.3g}" if f"{least:.3g}" == f"{most:.3g}" else f"{least:.3g} to {most:.3g}"


def frechet_bias(summary: Summary, labels: Mapping[str, str]) -> Iterator[str]:
    """Yield a note which says that FID is too high, because the number of items is finite.

    The note contains an estimate of each row's FID for infinitely many items. If no row has such an estimate, nothing
    is yielded.

    Args:
        summary: measured values.
        labels: label of each row that the note considers, by the key of the row.
    """
    measured = [row for row in labels if row in summary.scored.rows and "fid" in summary.metrics[row]]
    found = {row: summary.extrapolation(row, "fid") for row in measured}
    known = {row: one for row, one in found.items() if not isinstance(one, NotAvailable)}
    if not known:
        return
    count, half, _ = next(iter(known.values())).sizes
    dimensions = summary.scored.truth[summary.scored.sets["fid"]].shape[1]
    bound = (
        "" if half >= dimensions else f" (an upper limit, as {half:,} items are fewer than {dimensions:,} dimensions)"
    )
    parts = "; ".join(
        f"{labels[row]} {one.limit:.2f} ± {one.stderr:.2f} ({one.values[0]:.2f} at {count:,})"
        for row, one in known.items()
    )
    yield (
        f"FID is biased upwards, because the number N of items is finite. A straight line over 1/N through the values "
        f"for {count:,} and {half:,} items (Chong and Forsyth, 2020) gives this estimate for infinitely many items"
        f"{bound}: {parts}."
    )
