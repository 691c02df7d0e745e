"""Resample a finished run's sources with replacement, and compute its paired differences on each draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features
from bench.metrics.scores import Scored
from bench.metrics.summary import Summary
from bench.metrics.uncertainty import combined
from bench.results.features import read_summary
from bench.runtime.not_available import NotAvailable
from benchmarks.intervals import MethodInput, method_input

__all__ = ["drawn_again", "resampled"]

Places = npt.NDArray[np.int_]


def resampled(run: Path, draws: int, seed: int = 0) -> dict[tuple[str, str], list[MethodInput]]:
    """Compute each row's differences from the reference row, by headline metric, for several draws of the sources.

    Args:
        run: folder of a run that was made with keep_features=true.
        draws: number of draws.
        seed: seed of the draws.

    Returns:
        The differences by metric and row, one for each draw in which the difference is defined.

    Raises:
        ValueError: the run has no reference row.
        BadInputError: the run did not save its features.
    """
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    labels = {row["label"]: row["method"] for row in results["rows"]}
    reference = labels.get(results["reference"], results["reference"])
    summary = read_summary(run)
    if reference not in summary.scored.rows:
        raise ValueError(f"{run}: expected a run with its reference row, found {', '.join(summary.scored.rows)}")
    metrics = [column["metric"] for column in results["columns"]]
    whole = _in_memory(summary.scored, metrics)
    generator = np.random.default_rng(seed)
    found: dict[tuple[str, str], list[MethodInput]] = {}
    for _ in range(draws):
        again = replace(summary, scored=drawn_again(whole, generator))
        for metric in metrics:
            for row in whole.rows:
                difference = None if row == reference else _difference(again, row, reference, metric)
                if difference is not None:
                    found.setdefault((metric, row), []).append(difference)
    return found


def drawn_again(scored: Scored, generator: np.random.Generator) -> Scored:
    """Draw as many sources as there are, with replacement. A source that is drawn twice counts as two sources."""
    names, group = np.unique(np.asarray(scored.sources), return_inverse=True)
    items = [np.flatnonzero(group == source) for source in range(len(names))]
    chosen = [items[source] for source in generator.integers(len(names), size=len(names))]
    places: Places = np.concatenate(chosen)
    truth_of = {place: position for position, place in enumerate(scored.references)}
    references = [position for position, place in enumerate(places.tolist()) if place in truth_of]
    truths = np.array([truth_of[int(places[position])] for position in references], np.int_)
    return replace(
        scored,
        rows={row: {name: array[places] for name, array in arrays.items()} for row, arrays in scored.rows.items()},
        truth={name: array[truths] for name, array in scored.truth.items()},
        sources=[str(number) for number, own in enumerate(chosen) for _ in own],
        references=references,
        mask_area=scored.mask_area[places],
    )


def _in_memory(scored: Scored, metrics: list[str]) -> Scored:
    """Return only the values that some metrics need, with their features read into memory."""
    sets = {metric: features for metric, features in scored.sets.items() if metric in metrics}
    wanted = {*sets.values(), *(metric for metric in metrics if metric not in sets)}

    def kept(arrays: object) -> dict[str, npt.NDArray[np.float64]]:
        assert isinstance(arrays, dict)
        return {
            name: Features.of(array).array() if array.ndim == 2 else np.asarray(array)
            for name, array in arrays.items()
            if name in wanted
        }

    rows = {row: kept(dict(arrays)) for row, arrays in scored.rows.items()}
    return replace(scored, rows=rows, truth=kept(dict(scored.truth)), sets=sets)


def _difference(summary: Summary, row: str, reference: str, metric: str) -> MethodInput | None:
    new, old = summary.found(row, metric), summary.found(reference, metric)
    if isinstance(new, NotAvailable) or isinstance(old, NotAvailable) or not np.array_equal(new[1], old[1]):
        return None
    sources = [source for source, used in zip(summary.scored.sources, new[1], strict=True) if used]
    return method_input(combined([(1.0, new[0]), (-1.0, old[0])]), sources)
