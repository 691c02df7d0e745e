"""Tests of the scores of a block: read back once for each batch, one batch later than queued, and checked there."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.checking.estimate import trial_items
from bench.data.items import Item
from bench.evaluation.batch_size import Batches
from bench.evaluation.sampling import NeededLatents, Sampling
from bench.evaluation.scoring import TRUTH, Cell, ScoredBatch, Scoring
from bench.generation.generator import Generator
from bench.generation.method import Batch, Method
from bench.metrics.batch_scorer import Unit
from bench.metrics.feature_measure import FeatureMeasure
from bench.metrics.known_region import KnownRegionMeasure
from bench.metrics.measure import Extra, Measure
from bench.metrics.similarity import SimilarityMeasure
from bench.models.feature_network import FeatureNetwork
from bench.runtime import copies
from bench.runtime.distributed import World
from bench.runtime.progress import Progress
from bench.store import Arrays, Store
from tests.helpers.noise import Noise

pytestmark = pytest.mark.blackbox

CPU = torch.device("cpu")
SIDE, ITEMS = 16, 6


class Noisy(Method):
    """A method that adds noise of some strength, and that spoils the images of some items or has no memory for them."""

    decodes = True

    def __init__(self, strength: float, spoiled: Sequence[str] = (), value: float = torch.nan, most: int = 64) -> None:
        self.strength, self.spoiled, self.value, self.most = strength, spoiled, value, most
        self.seen: list[tuple[str, ...]] = []

    def __call__(self, batch: Batch) -> Tensor:
        self.seen.append(batch.ids)
        if len(batch.ids) > self.most and len(self.seen) > 1:
            raise torch.OutOfMemoryError("pretended")
        image = (batch.image + self.strength * batch.z[:, :3].repeat(1, 1, 4, 4)).clamp(-1, 1)
        for place, name in enumerate(batch.ids):
            if name in self.spoiled:
                image[place, 0, 0, 0] = self.value
        return image


class NumpyError(Measure):
    """A measure that returns NumPy arrays, and that fails for pixels that are not numbers if it is strict."""

    protocol: Mapping[str, Any] = {}

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def keep_truth(self, truth: Tensor) -> tuple[Any, Tensor]:
        return {"mean_truth": truth.double().mean((1, 2, 3)).numpy()}, truth.double() / 255

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: Tensor, extra: Extra) -> Any:
        if self.strict and not torch.isfinite(image).all():
            raise ValueError("strange pixels")
        return {"mean_error": (image - kept).abs().mean((1, 2, 3)).numpy()}


def measures() -> dict[str, Measure]:
    torch.manual_seed(0)
    network = FeatureNetwork((8, 12), {"texture": 2, "shape": 3}).eval()
    return {"images": FeatureMeasure(network), "known": KnownRegionMeasure(), "similarity": SimilarityMeasure()}


def sampling_of(generator: Generator, folder: Path, size: int) -> Sampling:
    needed, batches = NeededLatents({}, 0, ()), Batches(size)
    return Sampling(lambda: generator, needed, store=Store(folder), device=CPU, batches=batches, world=World())


def scores(
    methods: Mapping[str, Method], measured: Mapping[str, Measure], folder: Path, size: int = 2
) -> dict[Cell, Arrays]:
    """Score all items of noise with all measures, in batches of some size."""
    sampling = sampling_of(Noise(SIDE // 4, CPU), folder, size)
    units = [Unit(name) for name in measured]
    scoring = Scoring(sampling, methods, measured, identities={}, protocols={}, units=units, batches=Batches(size))
    items, progress = trial_items(SIDE, ITEMS), Progress("score", ITEMS)
    found = scoring.block(items, sampling.block(items, Progress("sample", ITEMS)), scoring.cells, progress)
    assert progress.share == 1
    return found


IDS = [item.id for item in trial_items(SIDE, ITEMS)]


def test_the_number_of_copies_does_not_grow_with_rows_and_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    original = copies._copied_to_cpu

    def counted(tensor: Tensor) -> Any:
        calls[str(tensor.dtype)] += 1
        return original(tensor)

    monkeypatch.setattr(copies, "_copied_to_cpu", counted)
    found = []
    for rows, measured in ((1, ["images"]), (1, list(measures())), (5, list(measures()))):
        calls.clear()
        methods = {f"row{row}": Noisy(0.1 * row) for row in range(rows)}
        scores(methods, {name: measures()[name] for name in measured}, tmp_path)
        found.append(dict(calls))
    batches = ITEMS // 2
    flags = 2 * batches  # of the sampled latents and of the images
    assert found[0] == {"torch.float32": 2 * batches, "torch.float64": batches, "torch.bool": flags}
    assert found == [found[0]] * 3


def test_a_batch_is_read_back_after_the_next_one_is_queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    wait = ScoredBatch.wait

    class Noted(Noisy):
        def __call__(self, batch: Batch) -> Tensor:
            events.append(f"decode {batch.ids[0]}")
            return super().__call__(batch)

    def noted(batch: ScoredBatch) -> Any:
        events.append(f"read {batch.ids[0]}")
        return wait(batch)

    monkeypatch.setattr(ScoredBatch, "wait", noted)
    scores({"row": Noted(0.1)}, measures(), tmp_path)
    first, second, third = IDS[::2]
    assert events == [
        f"decode {first}", f"decode {second}", f"read {first}", f"decode {third}", f"read {second}", f"read {third}",
    ]  # fmt: skip


def test_work_in_threads_begins_before_any_row_is_waited_for(tmp_path: Path) -> None:
    events: list[str] = []

    class Direct(Noisy):
        def __call__(self, batch: Batch) -> Tensor:
            events.append("made")
            return super().__call__(batch)

    class InThreads(Noisy):
        def begin(self, batch: Batch) -> Callable[[], Tensor]:
            events.append("begun")

            def wait() -> Tensor:
                events.append("waited")
                return self(batch)

            return wait

    found = scores({"direct": Direct(0.1), "threads": InThreads(0.2)}, measures(), tmp_path)
    assert events == ["begun", "made", "waited"] * (ITEMS // 2)
    alone = scores({"threads": Noisy(0.2)}, measures(), tmp_path)
    for cell, arrays in alone.items():
        for name, values in arrays.items():
            assert np.array_equal(found[cell][name], values, equal_nan=True)


def test_measures_of_external_code_may_return_numpy_arrays(tmp_path: Path) -> None:
    every = {**measures(), "mine": NumpyError()}
    found = scores({"row": Noisy(0.1)}, every, tmp_path)
    alone = scores({"row": Noisy(0.1)}, {"mine": NumpyError()}, tmp_path)
    assert found.keys() == {Cell(row, name) for row in (TRUTH, "row") for name in every}
    assert found[Cell("row", "mine")]["mean_error"].min() > 0
    for cell in alone:
        for name, values in alone[cell].items():
            assert np.array_equal(found[cell][name], values)


def test_no_memory_for_a_later_batch_changes_no_score(tmp_path: Path) -> None:
    whole = scores({"row": Noisy(0.1)}, measures(), tmp_path, size=2)
    halved = scores({"row": Noisy(0.1, most=1)}, measures(), tmp_path, size=2)
    for cell, arrays in whole.items():
        for name, values in arrays.items():
            assert halved[cell][name] == pytest.approx(values, rel=1e-5, abs=1e-6, nan_ok=True), (cell, name)


@pytest.mark.parametrize("spoiled", [IDS[:1], IDS[2:4], IDS[-1:]])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("strict", [False, True])
def test_images_that_are_not_finite_are_named_whatever_a_measure_makes_of_them(
    spoiled: list[str], value: float, strict: bool, tmp_path: Path
) -> None:
    methods = {"good": Noisy(0.1), "bad": Noisy(0.2, spoiled, value)}
    with pytest.raises(FloatingPointError) as error:
        scores(methods, {**measures(), "mine": NumpyError(strict=strict)}, tmp_path)
    assert str(error.value) == (
        f"score: images of bad: expected finite values, found values that are not finite for items {', '.join(spoiled)}"
    )


def test_latents_that_are_not_finite_are_named(tmp_path: Path) -> None:
    class Broken(Noise):
        def sample(self, items: Sequence[Item], seed: int) -> Tensor:
            made = super().sample(items, seed)
            made[[item.id in IDS[3:5] for item in items]] = torch.inf
            return made

    with pytest.raises(FloatingPointError) as error:
        sampling_of(Broken(SIDE // 4, CPU), tmp_path, 4).block(trial_items(SIDE, ITEMS), Progress("sample", ITEMS))
    assert str(error.value) == (
        f"sample: latents: expected finite values, found values that are not finite for items {IDS[3]}"
    )
