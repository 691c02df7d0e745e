"""Tests of FID, KID and IS of equal features against the packages."""

import cleanfid.fid
import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg
import torch
from torch import nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from bench.metrics.frechet import frechet_distance
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import kernel_distance
from tests.parity.conftest import Within

pytestmark = [pytest.mark.reference, pytest.mark.usefixtures("quiet")]

Features = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@pytest.fixture(params=[(400, 64), (90, 200)], ids=["of full rank", "of fewer items than dimensions"])
def features(request: pytest.FixtureRequest) -> Features:
    """Return features N×d like Inception's: non-negative, of different spread and correlated."""
    count, size = request.param
    random = np.random.default_rng(0)
    mixing = random.normal(size=(size, size)) / size**0.5 * np.geomspace(1, 0.1, size)
    one, other = (np.maximum(random.normal(size=(count, size)) @ mixing + shift, 0) for shift in (0.3, 0.4))
    return one.astype(np.float32), other.astype(np.float32)


class Given(nn.Module):
    """Return the input as features, in place of a network for torchmetrics."""

    num_features = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def pytorch_fids(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Compute the formula of pytorch-fid's README and of the paper with a matrix square root."""
    (first, a), (second, b) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (one.astype(float), other.astype(float)))
    root = scipy.linalg.sqrtm(a @ b)
    if not np.isfinite(root).all():
        offset = 1e-6 * np.eye(len(a))
        root = scipy.linalg.sqrtm((a + offset) @ (b + offset))
    return float(np.square(first - second).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root.real))


def test_fid_equals_that_of_every_package(features: Features, within: Within) -> None:
    one, other = features
    full = "full rank" if len(one) > one.shape[1] else "N < d"
    found = frechet_distance(one, other)
    within(f"FID of the same features, {full}", "pytorch-fid's formula", found, pytorch_fids(one, other), 1e-5)
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in features]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    within(f"FID of the same features, {full}", "torch-fidelity", found, expected, 1e-5)
    within(f"FID of the same features, {full}", "clean-fid", found, cleanfid.fid.fid_from_feats(one, other), 1e-5)
    network = Given()
    network.num_features = one.shape[1]
    metric = FrechetInceptionDistance(feature=network).set_dtype(torch.float64)
    metric.update(torch.from_numpy(one).double(), real=True)
    metric.update(torch.from_numpy(other).double(), real=False)
    within(f"FID of the same features, {full}", "torchmetrics, float64", found, float(metric.compute()), 1e-5)


def test_kid_equals_that_of_every_package(features: Features, within: Within) -> None:
    """One subset of all items is used, which the packages' random subsets estimate."""
    one, other = (torch.from_numpy(x).double() for x in features)
    found = kernel_distance(*features)
    theirs = kid_features_to_metric(one, other, kid_subsets=1, kid_subset_size=len(one), verbose=False)
    within("KID of the same features", "torch-fidelity", found, theirs["kernel_inception_distance_mean"], 1e-5)
    theirs = cleanfid.fid.kernel_distance(one.numpy(), other.numpy(), num_subsets=1, max_subset_size=len(one))
    within("KID of the same features", "clean-fid", found, theirs, 1e-5)
    metric = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=len(one)).set_dtype(torch.float64)
    metric.update(one, real=True)
    metric.update(other, real=False)
    within("KID of the same features", "torchmetrics, float64", found, float(metric.compute()[0]), 1e-5)


def test_the_inception_score_equals_that_of_every_package(within: Within) -> None:
    """PyTorch's global generator shuffles for torchmetrics, so only the score without splits can be compared."""
    logits = 2.5 * torch.randn(203, 1008, generator=torch.Generator().manual_seed(0))
    found, whole = inception_score(logits.numpy()), inception_score(logits.numpy(), splits=1)
    assert 2 < found.value < 50
    theirs = isc_features_to_metric(logits)
    within("IS of the same logits", "torch-fidelity", found.value, theirs["inception_score_mean"], 1e-5)
    within(
        "its standard deviation over the splits",
        "torch-fidelity",
        found.splits_std,
        theirs["inception_score_std"],
        1e-5,
    )
    metric = InceptionScore(feature=Given(), splits=1)
    metric.update(logits.double())
    within("IS of the same logits, one split", "torchmetrics", whole.value, float(metric.compute()[0]), 1e-5)
