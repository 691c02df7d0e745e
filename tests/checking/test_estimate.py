"""Tests of the estimate of time and memory, and of its comparison with the finished run."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from bench.checking.estimate import Planned, Taken, Trial, Work, before_trials, estimate, hindsight
from bench.evaluation import dry_run as trial
from bench.evaluation.batch_size import Batches

pytestmark = pytest.mark.blackbox

FORESEEN = Trial(
    tried=1,
    batch=8,
    steps=3,
    sampling=2.0,
    scoring=0.5,
    latents=1000.0,
    scores=10.0,
    memory=4_000_000_000,
    device="a device",
)
REMEMBERED = {**asdict(FORESEEN), "when": "2026-01-01"}


def test_the_estimate_is_compared_with_the_work_that_was_done() -> None:
    said = hindsight(REMEMBERED, Taken(sampling=3.0, scoring=0.25, memory=5_000_000_000))
    assert said == (
        "Compared with the estimate of 2026-01-01: sampling took 3 s for an item instead of 2 s (+50%), scoring took "
        "0.25 s for an item instead of 0.5 s (-50%), 5 GB of memory instead of 4 GB (+25%)."
    )
    only = hindsight(REMEMBERED, Taken(sampling=None, scoring=0.5, memory=4_000_000_000))
    assert only is not None
    assert "sampling" not in only
    assert "(+0%)" in only


def test_nothing_is_reported_without_work_or_without_an_estimate() -> None:
    assert hindsight(REMEMBERED, Taken(None, None, 1)) is None
    assert hindsight(None, Taken(1.0, 1.0, 1)) is None


@pytest.mark.parametrize("wrong", [{"sampling": "fast"}, {"memory": None}, {"scoring": -1.0}])
def test_an_invalid_remembered_estimate_is_ignored(wrong: dict[str, object]) -> None:
    assert Trial.read({**REMEMBERED, **wrong}) is None
    assert Trial.read({"sampling": 1.0}) is None
    assert Trial.read(REMEMBERED) == FORESEEN


def test_an_extrapolated_estimate_is_labelled(tmp_path: Path) -> None:
    lines = estimate(Work(3600, 512, "drawn", 1), FORESEEN, tmp_path)
    (memory,) = [line for line in lines if line.startswith("  memory")]
    assert memory.endswith("4 GB on a device with 8 items at once, estimated from 1 item")
    (hours,) = [line for line in lines if line.startswith("  time")]
    assert "about 2.5 h" in hours
    assert hours.endswith("estimated from 3 sampling steps")


class Asked:
    """Stand for sampling and scoring, and record the numbers of items."""

    def __init__(self, batch: int) -> None:
        self.methods: dict[str, object] = {}
        self.cells: list[object] = []
        self.batches, self.batch_size = Batches(batch), batch
        self.generator: object = None
        self.worked: list[int] = []

    def block(self, block: list[object], *others: object) -> dict[str, object]:
        self.worked.append(len(block))
        return {}


@pytest.mark.parametrize(("patience", "worked", "memory"), [(60.0, [1, 1, 4], 150), (-1.0, [1, 1], 100 + 4 * 50)])
def test_a_whole_batch_is_tried_unless_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, patience: float, worked: list[int], memory: int
) -> None:
    monkeypatch.setattr(trial, "PATIENCE", patience)
    seen = iter([100, *[150] * 4])
    monkeypatch.setattr(trial.Meter, "memory", lambda self: next(seen))
    sampling, scoring = Asked(4), Asked(4)
    found = trial.try_out(sampling, scoring, resolution=8, device=torch.device("cpu"))  # type: ignore[arg-type]
    assert sampling.worked == scoring.worked == worked
    assert (found.tried, found.batch, found.memory) == (worked[-1], 4, memory)


class Stepping:
    """Stand for a generator and its sampling stage, and take a second for a start and two for each step."""

    def __init__(self, clock: list[float]) -> None:
        self.generator, self.steps, self.batches, self.batch_size = self, 50, Batches(8), 8
        self.clock, self.sampled = clock, list[int]()

    def block(self, block: list[object], *others: object) -> dict[str, object]:
        self.sampled.append(self.steps)
        cold = 100.0 if len(self.sampled) == 1 else 0.0
        self.clock[0] += cold + len(block) * (1 + 2 * self.steps)
        return {}


def test_the_time_of_all_steps_is_estimated_from_warm_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("bench.checking.estimate.time.perf_counter", lambda: clock[0])
    sampling = Stepping(clock)
    found = trial.try_out(sampling, Asked(8), resolution=8, device=torch.device("cpu"))  # type: ignore[arg-type]
    assert found.sampling == pytest.approx(1 + 2 * 50)
    assert (found.tried, found.steps, sampling.sampled, sampling.steps) == (1, 3, [1, 1, 3], 50)


def test_runs_that_share_items_or_latents_count_them_once() -> None:
    first, other = Work(1000, 512, "drawn", 1), Work(1000, 512, "drawn", 3)
    planned = {
        "table2": Planned(first, "imagenet", "inpainting"),
        "table3": Planned(other, "imagenet", "inpainting"),
        "table6": Planned(Work(10, 512, "whole", 1), "coco", "text"),
        "own": Planned(Work(None, 512, "drawn", 1), "own", "own"),
    }
    first_line, *_, last = before_trials(planned)
    items, latents = 1000 * 4 * 512**2, 1000 * 3 * 4 * 64**2 * 4 + 10 * 4 * 64**2 * 4
    assert f"{items / 1e9:.3g} GB of items, {latents / 1e6:.3g} MB of latents" in first_line
    assert last == "This leaves out own: the number of items is not known."
    assert before_trials({"own": planned["own"]}) == []
