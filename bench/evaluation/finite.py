"""Finds rows whose images contain NaN or infinite values. Half precision can cause such values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bench.errors import outcome
from bench.evaluation.batch_size import Batches
from bench.evaluation.measure import prepare
from bench.evaluation.sampling import finite_items
from bench.evaluation.setup import Setup
from bench.generation.method import Batch, Method, image_of

__all__ = ["rows_without_finite_images"]

PASSING = "CUDA error"
"""Part of PyTorch's messages about faults of a GPU, which say nothing about the number type of a row."""


def rows_without_finite_images(setup: Setup) -> dict[str, str]:
    """Decode every item with every row, and return the rows that fail, each with the reason.

    A row fails if a value of any image is NaN or infinite, or if the device cannot compute in the row's precision. The
    result is stored, so that a later run does not decode again.

    Args:
        setup: objects of a run that has only the rows to be tried. Missing latents are sampled.
    """
    items = prepare(setup)
    latents = setup.sampling.run(items)
    rows = [*setup.methods]

    errors: dict[str, str] = {}

    def failures(key: str, first: int, last: int) -> Iterator[dict[str, int]]:
        """Yield, for each batch of a block, the number of images that are not finite, by row."""
        arrays = setup.sampling.latents_of(key)

        def count(places: Sequence[int]) -> dict[str, int]:
            start, stop = places[0], places[-1] + 1
            part = {name: values[start - first : stop - first] for name, values in arrays.items()}
            batch = setup.sampling.batch(items.read(start, stop), part)[0]
            return {row: _not_finite(setup.methods[row], batch, row, errors) for row in rows if row not in errors}

        yield from Batches(setup.scoring.batch_size).over(range(first, last), count)

    def find() -> dict[str, Any]:
        broken: Counter[str] = Counter()
        for key, (first, last) in zip(latents, items.blocks(), strict=True):
            for found in failures(key, first, last):
                broken.update(found)
        return {"broken": {row: broken[row] for row in rows}, "errors": errors}

    found = setup.remembered("images that are not finite", latents, find, rows=rows, count=len(items))
    reasons = {
        row: f"{count} of {len(items)} images contain NaN or infinite values"
        for row, count in found["broken"].items()
        if count
    }
    return reasons | {row: f"the device cannot compute the row ({error})" for row, error in found["errors"].items()}


def _not_finite(method: Method, batch: Batch, row: str, errors: dict[str, str]) -> int:
    """Return how many images of a batch have NaN or infinite values.

    If the device cannot compute the images, add the reason to `errors` under the row's name, and return 0.
    """
    try:
        return int((~finite_items(image_of(method, batch))).sum())
    except (RuntimeError, NotImplementedError) as error:
        if outcome(error) is not None or PASSING in str(error):
            raise  # the result is stored, so it must not contain what another run would not find
        errors[row] = str(error).partition("\n")[0]
        return 0
