"""Tests that measures queue their work on a device and do not wait for it.

The device is `meta`, whose tensors have no values. An operation that needs a value on the CPU raises an error there.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.metrics import clip_score
from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.clip_score import ClipScore, ImageEncoder
from bench.metrics.diagnostics import DiagnosticsMeasure
from bench.metrics.feature_measure import FeatureMeasure
from bench.metrics.image_encoding import saved
from bench.metrics.inception import InceptionMeasure
from bench.metrics.known_region import KnownRegionMeasure
from bench.metrics.lpips import LPIPSMeasure
from bench.metrics.measure import Measure
from bench.metrics.names import HOLE_ONLY
from bench.metrics.networks.inception_input import FLAVOURS
from bench.metrics.resized_features import ResizedFeatures
from bench.metrics.similarity import SimilarityMeasure
from bench.models.feature_network import FeatureNetwork
from benchmarks.random_weights import backbone_weights, inception_weights

pytestmark = pytest.mark.blackbox

META = torch.device("meta")
SIDE, COUNT = 48, 3
QUEUED = [name for name in FLAVOURS if name != "clean"]
"""Names of the resizes that are computed on the device; Pillow, which `clean` needs, works on the CPU."""


class Encoder(ImageEncoder):
    resolution, mean, std = 16, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)

    def __call__(self, x: Tensor, /) -> Tensor:
        return x.flatten(1)


class CopiesFromCPU(TorchDispatchMode):
    """A record of the operations that copy values from the CPU to the device, for which a GPU would have to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.device == META:
            given = [one for one in args if isinstance(one, Tensor) and one.device.type == "cpu" and one.ndim > 0]
            self.found += [str(function)] if given else []
        return result


@pytest.fixture(scope="module")
def measures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Measure]:
    """Return every measure of this project on the device."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    vgg, ported = folder / "vgg16.pth", folder / "inception.pth"
    torch.save(backbone_weights("vgg"), vgg)
    torch.save(inception_weights(), ported)
    network = FeatureNetwork((8, 12), {"texture": 2, "shape": 3}).eval()
    made: dict[str, Measure] = {
        "features": FeatureMeasure(network),
        "resized": ResizedFeatures(network, 20, QUEUED),
        "inception": InceptionMeasure(ported, QUEUED),
        "lpips": LPIPSMeasure(vgg),
        "known": KnownRegionMeasure(),
        "diagnostics": DiagnosticsMeasure(),
        "similarity": SimilarityMeasure(),
        "clip": ClipScore(Encoder()),
    }
    return {name: measure.to(META) for name, measure in made.items()}


def _made_on_meta(tensor: Tensor, device: torch.device) -> Tensor:
    """Replace `moved`, whose copies a GPU does not wait for."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)


@pytest.mark.slow
def test_no_measure_waits_for_the_device_or_copies_constants_to_it_in_every_row(
    measures: Mapping[str, Measure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_score, "moved", _made_on_meta)
    holes = np.zeros((COUNT, SIDE, SIDE), bool)
    holes[:, 10:30, 5:40] = True
    exemplars = [np.zeros((20, 30, 3), np.uint8)] * COUNT
    truth = torch.zeros(COUNT, 3, SIDE, SIDE, dtype=torch.uint8, device=META)
    image, mask = torch.zeros(truth.shape, device=META), torch.zeros(COUNT, 1, SIDE, SIDE, device=META)
    scorer = Scorer(measures, truth, mask, exemplars, holes=holes)
    units = [Unit(name, variant) for name in measures for variant in ("", "saved_round")]
    units += [Unit(name, HOLE_ONLY) for name, measure in measures.items() if measure.sees_hole]
    scorer.score(image, units, decoded=True)
    with CopiesFromCPU() as copies:
        found = scorer.score(image, units, decoded=True)
    assert copies.found == []
    assert found.keys() == set(units)
    for unit, arrays in found.items():
        for name, values in arrays.items():
            assert isinstance(values, Tensor), (unit, name)
            assert values.device == META, (unit, name)
            assert len(values) == COUNT, (unit, name)


def test_an_encoding_on_the_cpu_needs_values_of_the_device() -> None:
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        saved(torch.zeros(1, 3, 8, 8, device=META), "jpeg95")
