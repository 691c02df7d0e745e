"""Tells how well the measure `diagnostics` finds known faults, and how often the checks of `bench.score` report a fault
where there is none.

    python -m benchmarks.diagnostics            # each fault in 200 crops of photographs, 96×96 pixels each
    python -m benchmarks.diagnostics --alarms   # 200 sets of clean pictures of each kind
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from bench.edits.checks import checks, edit_facts, picture_facts
from bench.edits.pairing import pair
from bench.edits.pictures import Mask
from bench.metrics.diagnostics import SeenTruth, diagnose
from benchmarks.faults import CLEAN, FAULTS, Crop, Edit, crop

__all__ = ["KINDS", "alarms", "diagnosed", "found"]

BATCH = 16
KINDS = ("moved", "cast", "blurred")
"""Kinds of the findings that rest on the diagnostics."""
Values = Mapping[str, npt.NDArray[np.float64]]


def diagnosed(
    truth: Sequence[npt.NDArray[np.uint8]],
    edited: Sequence[npt.NDArray[np.uint8]],
    holes: Sequence[npt.NDArray[np.bool_]],
) -> Values:
    """Return the diagnostics of pictures of equal size."""
    one, other = (torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) for pictures in (truth, edited))
    mask = torch.from_numpy(np.stack(holes))[:, None].float()
    return {name: values.numpy() for name, values in diagnose(other.float() / 255, SeenTruth.of(one), mask).items()}


def found(edit: Edit, draws: int, side: int = 96) -> Values:
    """Return the diagnostics of random crops after an edit."""
    collected: dict[str, list[npt.NDArray[np.float64]]] = {}
    for begin in range(0, draws, BATCH):
        pictures, edited = _drawn(edit, range(begin, min(begin + BATCH, draws)), side)
        for name, values in diagnosed([one.seen() for one in pictures], edited, [one.hole for one in pictures]).items():
            collected.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in collected.items()}


def _drawn(edit: Edit, seeds: Sequence[int], side: int) -> tuple[list[Crop], list[npt.NDArray[np.uint8]]]:
    generators = [np.random.default_rng(seed) for seed in seeds]
    pictures = [crop(rng, side) for rng in generators]
    return pictures, [edit(one, rng) for one, rng in zip(pictures, generators, strict=True)]


def alarms(edit: Edit, draws: int, pictures: int = 8, side: int = 96) -> dict[str, int]:
    """Return, for each kind of finding, in how many sets of edited pictures it is reported."""
    counts = dict.fromkeys(KINDS, 0)
    for draw in range(draws):
        drawn, edited = _drawn(edit, range(draw * pictures, (draw + 1) * pictures), side)
        truth, holes = [one.seen() for one in drawn], [one.hole for one in drawn]
        values = diagnosed(truth, edited, holes)
        facts = [picture_facts(one, Mask(hole)) for one, hole in zip(truth, holes, strict=True)]
        edits = [
            edit_facts(truth[place], edited[place], holes[place], {name: one[place] for name, one in values.items()})
            for place in range(pictures)
        ]
        for kind in {check.kind for check in checks(pair(truth, {"mine": edited}, holes), facts, {"mine": edits})}:
            if kind in counts:
                counts[kind] += 1
    return counts


def _recovery(draws: int, side: int) -> Iterator[str]:
    yield "| fault | metric | true value | median | 5 % to 95 % | within 5 % | without a value |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for fault, (edit, expected) in FAULTS.items():
        values = found(edit, draws, side)
        for metric, true in expected.items():
            known = values[metric][np.isfinite(values[metric])]
            low, middle, high = np.percentile(known, [5, 50, 95])
            within = np.mean(np.abs(known / true - 1) <= 0.05)
            yield (
                f"| {fault} | `{metric}` | {true:g} | {middle:.4f} | {low:.4f} to {high:.4f} | {within:.1%} | "
                f"{draws - len(known)} of {draws} |"
            )


def _alarms(draws: int) -> Iterator[str]:
    yield "| pictures | sets | moved | cast | blurred |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for pictures in (1, 8):
        for name, edit in CLEAN.items():
            counts = alarms(edit, draws, pictures)
            yield f"| {name}, sets of {pictures} | {draws} | " + " | ".join(str(counts[kind]) for kind in KINDS) + " |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--alarms", action="store_true", help="count false alarms")
    given = parser.parse_args()
    for line in _alarms(given.draws) if given.alarms else _recovery(given.draws, given.side):
        print(line, flush=True)


if __name__ == "__main__":
    main()
