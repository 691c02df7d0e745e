"""Tests of the cost of the larger decoder relative to sampling."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import _get_current_dispatch_mode

from baselines.paste_back import PasteBack
from bench.evaluation.costs import decoding_share, own_row_costs, row_costs, unknown_costs
from bench.generation.decoding import Decoded
from bench.generation.method import Batch, Method
from bench.generation.python_objects import as_module
from bench.models import build_decoder
from bench.runtime.not_available import NotAvailable
from bench.tables.verdicts import Judgement

pytestmark = pytest.mark.blackbox


def timed(seconds: float, spread: float) -> dict[str, float]:
    least, most = seconds * (1 - spread), seconds * (1 + spread)
    return {"seconds_per_image": seconds, "least_seconds_per_image": least, "most_seconds_per_image": most}


def costs(vanilla: float, large: float, spread: float = 0.0) -> dict[str, dict[str, float]]:
    return {"stablediffusion": timed(vanilla, spread), "large_mask": timed(large, spread)}


def test_the_decoding_share_is_of_the_total_time_at_the_given_steps() -> None:
    found = decoding_share(costs(0.1, 0.2), sampling=1.9, steps=50)
    assert isinstance(found, Judgement)
    assert found.verdict == "holds"
    assert "5.0% [5.0%, 5.0%] of the whole at 50 steps" in found.evidence
    few = f"{0.1 / (1.9 * 4 / 50 + 0.1):.1%}"
    assert f"{few} [{few}, {few}] of the whole at 4 steps" in found.evidence


@pytest.mark.parametrize(
    ("large", "spread", "verdict"),
    [(0.29, 0.01, "holds"), (0.31, 0.01, "does not hold"), (0.29, 0.1, "inconclusive"), (0.31, 0.1, "inconclusive")],
)
def test_the_limit_of_one_tenth_is_judged_by_the_range_of_the_timings(
    large: float, spread: float, verdict: str
) -> None:
    found = decoding_share(costs(0.1, large, spread), sampling=1.9, steps=50)
    assert isinstance(found, Judgement)
    assert found.verdict == verdict


def test_the_decoding_share_is_unknown_unless_both_rows_were_timed() -> None:
    found = decoding_share({"large_mask": {"seconds_per_image": 1.0}}, sampling=1.0, steps=50)
    assert found == NotAvailable("not timed: stablediffusion")


def batch(device: str, count: int = 2) -> Batch:
    shapes = ((count, 4, 8, 8), (count, 3, 32, 32), (count, 1, 32, 32))
    z, image, mask = (torch.zeros(shape, device=device) for shape in shapes)
    return Batch(tuple(map(str, range(count))), z, image, mask)


def measured(device: str) -> dict[str, dict[str, float]]:
    decoder = build_decoder("base", channels=(4, 4, 8), layers=1, groups=2).to(device)
    rows = {"with": Decoded(decoder, conditioned=True), "without": Decoded(decoder, conditioned=False)}
    return row_costs({**rows, "pasted": PasteBack(rows["without"])}, batch(device))


def test_each_row_is_given_the_costs_of_its_decoder() -> None:
    found = measured("cpu")
    timed, counted = (
        {"seconds_per_image", "least_seconds_per_image", "most_seconds_per_image"},
        {"parameters", "tera_flop", "peak_activation_bytes"},
    )
    assert {row: set(entry) for row, entry in found.items()} == {
        "with": {*timed, *counted}, "without": {*timed, *counted}, "pasted": timed,
    }  # fmt: skip
    assert found["with"]["tera_flop"] > found["without"]["tera_flop"]
    assert found["with"]["parameters"] == found["without"]["parameters"]
    for entry in found.values():
        least, most = entry["least_seconds_per_image"], entry["most_seconds_per_image"]
        assert 0 < least <= entry["seconds_per_image"] <= most
    assert "CUDA" in unknown_costs(torch.device("cpu"))["peak_memory_bytes"]


class OwnMethod(Method, nn.Sequential):
    """A method that is a module itself."""

    def __call__(self, batch: Batch) -> torch.Tensor:
        return nn.Sequential.__call__(self, batch.z)  # type: ignore[no-any-return]


def test_the_costs_of_any_module_are_counted_for_one_image() -> None:
    layers = [nn.Conv2d(4, 3, 1), nn.Upsample(scale_factor=4)]
    rows = {"decoded": Decoded(nn.Sequential(*layers), conditioned=False), "method": OwnMethod(*layers)}
    function = Decoded(as_module(lambda z: layers[1](layers[0](z))), conditioned=False)
    found = row_costs({**rows, "function": function}, batch("cpu"))
    for row in ("decoded", "method"):
        assert found[row]["parameters"] == 4 * 3 + 3
    assert "parameters" not in found["function"]
    for entry in found.values():
        assert entry["tera_flop"] == 2 * (4 * 3) * 8 * 8 / 1e12
        assert entry["peak_activation_bytes"] == 4 * 3 * (8 * 8 + 32 * 32)


class Uncounted(nn.Module):
    """A module that PyTorch cannot run while it counts."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if _get_current_dispatch_mode() is not None:
            raise RuntimeError("no counters here")
        return functional.interpolate(z[:, :3], scale_factor=4)


def test_a_module_that_cannot_be_counted_is_still_timed(caplog: pytest.LogCaptureFixture) -> None:
    (entry,) = row_costs({"mine": Decoded(Uncounted(), conditioned=False)}, batch("cpu")).values()
    assert entry["parameters"] == 0
    assert entry["seconds_per_image"] > 0
    assert not {"tera_flop", "peak_activation_bytes"} & set(entry)
    assert "rows.mine: the operations of Uncounted cannot be counted (no counters here)" in caplog.text


class OwnPaste(Method):
    """A method that holds two networks, of which two parts share their parameters."""

    def __init__(self) -> None:
        self.first = nn.Conv2d(4, 3, 1)
        self.stages = [self.first, nn.Upsample(scale_factor=4)]

    def __call__(self, batch: Batch) -> torch.Tensor:
        made: torch.Tensor = self.stages[1](self.stages[0](batch.z))
        return made


def test_the_size_of_an_own_method_is_counted_without_its_help() -> None:
    expected = {"parameters": 15, "tera_flop": 2 * 12 * 8 * 8 / 1e12, "unknown": {}}
    assert own_row_costs(OwnPaste(), batch("cpu")) == expected
    layer = nn.Conv2d(4, 3, 1)
    function = as_module(lambda z: functional.interpolate(layer(z), scale_factor=4))
    assert own_row_costs(Decoded(function, conditioned=False), batch("cpu")) == expected


class Beforehand(Method):
    """A method whose images another program makes."""

    def prepare(self, items: object, work: object) -> None:
        pass


@pytest.mark.parametrize(
    ("method", "unknown"),
    [
        (Decoded(Uncounted(), conditioned=False), {"tera_flop": "PyTorch cannot count the operations: RuntimeError: "}),
        (
            Decoded(as_module(lambda z: z[:, :3]), conditioned=False),
            {
                "parameters": "the row is a function, and no module",
                "tera_flop": "PyTorch's counter found no convolution",
            },
        ),
        (Beforehand(), {"tera_flop": "the images were made before the first batch"}),
    ],
)
def test_a_size_that_cannot_be_counted_has_a_reason(method: Method, unknown: dict[str, str]) -> None:
    found = own_row_costs(method, batch("cpu"))
    assert {name for name, value in found.items() if value is None} == set(unknown) == set(found["unknown"])
    for name, reason in unknown.items():
        assert found["unknown"][name].startswith(reason)


@pytest.mark.gpu
def test_memory_is_counted_on_cuda() -> None:
    found = measured("cuda")
    assert found["with"]["peak_memory_bytes"] >= found["without"]["peak_memory_bytes"] > 0
    assert not unknown_costs(torch.device("cuda"))
