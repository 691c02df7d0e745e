"""Tests of the measure of embeddings, with an encoder whose result is known, and of DINOv2's encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import BadInputError
from bench.metrics.clip_score import ImageEncoder
from bench.metrics.dinov2 import DINOv2Encoder
from bench.metrics.embeddings import EmbeddingMeasure
from bench.metrics.measure import Extra
from bench.metrics.names import MetricName
from bench.rehearsal.metric_networks import dinov2_weights, write_dinov2
from benchmarks.random_weights import random_images


class Pixels(ImageEncoder):
    """An encoder that returns the image itself."""

    resolution = 8
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    std: Sequence[float] = (0.25, 0.5, 1.0)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def prepared(pixels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    resized = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BICUBIC))
    return np.asarray(((resized / 255 - 0.5) / (0.25, 0.5, 1.0)).transpose(2, 0, 1).ravel())


@pytest.mark.reference
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_images_are_prepared_as_pillow_does(fit: str) -> None:
    images = random_images(3, 21, 30)
    found = EmbeddingMeasure(Pixels(), fit).embeddings(images).numpy()
    for one, image in zip(found, images.permute(0, 2, 3, 1).numpy(), strict=True):
        part = image[:, 4:25] if fit == "crop" else image
        assert one == pytest.approx(prepared(np.ascontiguousarray(part)), abs=1e-5)


@pytest.mark.property
def test_embeddings_of_unit_length_keep_their_direction() -> None:
    images = random_images(4, 16, 16)
    plain, unit = (EmbeddingMeasure(Pixels(), unit_length=unit).embeddings(images) for unit in (False, True))
    assert torch.linalg.vector_norm(unit, dim=1).numpy() == pytest.approx(1, abs=1e-6)
    assert torch.allclose(torch.nn.functional.cosine_similarity(plain, unit), torch.ones(4))


@pytest.mark.blackbox
def test_a_rows_images_are_truncated_like_the_truth() -> None:
    measure, truth = EmbeddingMeasure(Pixels()), random_images(2, 16, 16)
    kept, _ = measure.keep_truth(truth)
    found = measure.keep(truth / 255 + 0.9 / 255 * (truth < 255), truth, truth[:, :1], None, Extra([None] * 2))
    assert torch.equal(torch.as_tensor(found["embeddings"]), torch.as_tensor(kept["embeddings"]))


@pytest.mark.blackbox
def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(BadInputError, match="fit: expected squash or crop, found pad"):
        EmbeddingMeasure(Pixels(), "pad")


@pytest.mark.blackbox
def test_dinov2_is_read_only_with_its_sizes(tmp_path: Path) -> None:
    path = tmp_path / "dinov2.pth"
    write_dinov2(path, width=64, blocks=2)
    encoder = DINOv2Encoder(path, 64, 2)
    assert encoder(torch.zeros(2, 3, 224, 224)).shape == (2, 64)
    assert "2 blocks of width 64" in encoder.protocol["network"]
    for sizes in ({}, {"width": 64, "blocks": 1}, {"width": 64, "blocks": 3}):
        with pytest.raises(BadInputError, match=r"dinov2\.pth: expected weights of DINOv2 .* found other tensors"):
            DINOv2Encoder(path, **sizes)
    with pytest.raises(BadInputError, match="width: expected a multiple of 64, found 100"):
        DINOv2Encoder(path, 100, 2)
    tensors = dinov2_weights(64, 2)
    torch.save(tensors | {"pos_embed": tensors["pos_embed"][:, :-1]}, path)
    with pytest.raises(BadInputError, match="expected embeddings of a square of patches"):
        DINOv2Encoder(path, 64, 2)


@pytest.mark.blackbox
def test_dinov2_with_registers_is_refused(tmp_path: Path) -> None:
    torch.save(dinov2_weights(64, 2) | {"register_tokens": torch.zeros(1, 4, 64)}, tmp_path / "registers.pth")
    with pytest.raises(BadInputError, match="register_tokens"):
        DINOv2Encoder(tmp_path / "registers.pth", 64, 2)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("metric", "statistic"),
    [
        ("fd_dinov2", "fd"),
        ("fid_clean", "fid"),
        ("cmmd", "cmmd"),
        ("cmmd_mine", "cmmd"),
        ("cmmd_unbiased", "cmmd_unbiased"),
    ],
)
def test_a_name_chooses_its_statistic(metric: str, statistic: str) -> None:
    assert MetricName.parse(f"{metric}_hole_only_40_50").statistic == statistic
