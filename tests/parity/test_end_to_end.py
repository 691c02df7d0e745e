"""Tests of FID, KID, IS and LPIPS from pictures against the packages with their own files and loaders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cleanfid.fid
import cleanfid.inception_pytorch
import numpy.typing as npt
import pytest
import torch
import torch_fidelity
from PIL import Image
from torch.utils.data import Dataset
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3

from bench.metrics.frechet import frechet_distance
from bench.metrics.inception import InceptionMeasure
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import kernel_distance
from bench.metrics.measure import Extra
from bench.runtime.copies import ReadBack
from bench.store import joined
from benchmarks.random_weights import random_images
from tests.parity.conftest import Within

pytestmark = [pytest.mark.slow, pytest.mark.reference, pytest.mark.usefixtures("quiet")]

COUNT = 40
Arrays = Mapping[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    return random_images(COUNT, 384, 384)


@pytest.fixture(scope="module")
def painted(truth: torch.Tensor) -> torch.Tensor:
    """Return the pictures blurred and shifted."""
    blurred = torch.nn.functional.avg_pool2d(truth.float(), 5, 1, 2)
    return blurred.roll(3, 3).round().clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def ours(ported: Path, truth: torch.Tensor, painted: torch.Tensor) -> tuple[Arrays, Arrays]:
    """Return the values that the measure computes for truth and images."""
    measure = InceptionMeasure(ported, ["lama", "torchfidelity", "clean"])
    kept: list[Arrays] = []
    for start in range(0, COUNT, 8):
        some, image = truth[start : start + 8], painted[start : start + 8] / 255
        of_truth, _ = measure.keep_truth(some)
        found = measure.keep(image, some, some[:, :1], None, Extra([None] * 8))
        kept.append(ReadBack({**{f"truth_{name}": values for name, values in of_truth.items()}, **found}).wait())
    together = joined(kept)
    return (
        {name.removeprefix("truth_"): x for name, x in together.items() if name.startswith("truth_")},
        {name: x for name, x in together.items() if not name.startswith("truth_")},
    )


class Pictures(Dataset[torch.Tensor]):
    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def test_metrics_from_pictures_equal_torch_fidelitys(
    ours: tuple[Arrays, Arrays], truth: torch.Tensor, painted: torch.Tensor, ported: Path, within: Within
) -> None:
    of_truth, found = ours
    theirs = torch_fidelity.calculate_metrics(
        input1=Pictures(painted),
        input2=Pictures(truth),
        fid=True,
        isc=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=COUNT,
        feature_extractor_weights_path=str(ported),
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        batch_size=8,
        verbose=False,
    )
    distance = frechet_distance(found["torchfidelity"], of_truth["torchfidelity"])
    within("FID, end to end", "torch-fidelity", distance, theirs["frechet_inception_distance"], 1e-3)
    kernel = kernel_distance(found["torchfidelity"], of_truth["torchfidelity"])
    within("KID, end to end", "torch-fidelity", kernel, theirs["kernel_inception_distance_mean"], 1e-3)
    score = inception_score(found["logits"]).value
    assert 2 < score < 50
    within("IS, end to end", "torch-fidelity", score, theirs["inception_score_mean"], 1e-3)


def test_fid_from_pictures_equals_torchmetrics(
    ours: tuple[Arrays, Arrays],
    truth: torch.Tensor,
    painted: torch.Tensor,
    ported: Path,
    within: Within,
    apart: Within,
) -> None:
    """The features are summed in float64; the default of torchmetrics smooths, which is another protocol."""
    of_truth, found = ours
    distance = frechet_distance(found["torchfidelity"], of_truth["torchfidelity"])
    network = NoTrainInceptionV3("x", ["2048"], str(ported), antialias=False)
    network.num_features = 2048
    metric = FrechetInceptionDistance(feature=network)
    smooth = NoTrainInceptionV3("x", ["2048"], str(ported))
    features: list[list[torch.Tensor]] = [[], []]
    for some in (slice(start, start + 8) for start in range(0, COUNT, 8)):
        for place, images in enumerate((painted, truth)):
            metric.update(images[some], real=bool(place))
            features[place].append(smooth(images[some]))
    within("FID, end to end", "torchmetrics, antialias=False", distance, float(metric.compute()), 1e-3)
    theirs = frechet_distance(*(torch.cat(parts).numpy() for parts in features))
    apart("FID, end to end", "torchmetrics, antialias=True", distance, theirs, 0.1)


@pytest.fixture
def folders(truth: torch.Tensor, painted: torch.Tensor, tmp_path: Path) -> tuple[str, str]:
    """Return a folder with the images and one with the true pictures."""
    for name, images in (("truth", truth), ("painted", painted)):
        (tmp_path / name).mkdir()
        for index, one in enumerate(images):
            Image.fromarray(one.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{index:03}.png")
    return str(tmp_path / "painted"), str(tmp_path / "truth")


@pytest.mark.parametrize(("mode", "flavour"), [("clean", "clean"), ("legacy_pytorch", "lama")])
def test_fid_from_folders_equals_clean_fids(
    mode: str,
    flavour: str,
    ours: tuple[Arrays, Arrays],
    folders: tuple[str, str],
    weights: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    within: Within,
) -> None:
    monkeypatch.setattr(cleanfid.inception_pytorch, "load_state_dict_from_url", lambda *_, **__: weights)
    network = cleanfid.inception_pytorch.InceptionV3([3], resize_input=False, normalize_input=mode != "clean").eval()

    def features(x: torch.Tensor) -> torch.Tensor:
        return network((x - 128) / 128 if mode == "clean" else x / 255)[0][:, :, 0, 0]

    of_truth, found = ours
    theirs = [
        cleanfid.fid.get_folder_features(
            folder, features, num_workers=0, batch_size=8, device=torch.device("cpu"), mode=mode, verbose=False
        )
        for folder in folders
    ]
    peer = f"clean-fid {mode}"
    within("features from PNG files", peer, found[flavour], theirs[0], 1e-4)
    distance = frechet_distance(found[flavour], of_truth[flavour])
    within("FID of its features, ours of ours", peer, distance, frechet_distance(*theirs), 1e-3)
    within("FID, end to end", peer, distance, cleanfid.fid.fid_from_feats(*theirs), 1e-3)
    kernel = kernel_distance(found[flavour], of_truth[flavour])
    expected = cleanfid.fid.kernel_distance(*theirs, num_subsets=1, max_subset_size=COUNT)
    within("KID, end to end", peer, kernel, expected, 1e-3)
