"""Tests of LPIPS against the lpips package and of the CLIP score against open_clip, with equal random weights."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import lpips
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch.nn import functional

from bench.metrics.clip_score import ClipScore, OpenCLIPEncoder
from bench.metrics.lpips import LPIPSMeasure
from bench.metrics.measure import Extra
from benchmarks.random_weights import backbone_weights, random_images
from tests.parity.conftest import Within

pytestmark = pytest.mark.reference

SIZES = [(256, 256), (100, 75)]


@pytest.mark.parametrize("net", [pytest.param("vgg", marks=pytest.mark.slow), "alex"])
def test_lpips_equals_that_of_the_package(net: str, tmp_path: Path, within: Within) -> None:
    """The images differ everywhere or in one patch."""
    weights = backbone_weights(net)
    torch.save(weights, tmp_path / f"{net}.pth")
    measure = LPIPSMeasure(tmp_path / f"{net}.pth", net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision in a way of the past
        reference = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    names = reference.net.state_dict()  # such as slice1.0.weight, numbered as torchvision's features
    reference.net.load_state_dict({name: weights[f"features.{name.split('.', 1)[1]}"] for name in names})
    for height, width in SIZES:
        truth = random_images(2, height, width)
        patched = truth.clone()
        patched[..., :16, :16] = random_images(2, 16, 16, seed=1)
        for name, image in (("unlike", random_images(2, height, width, seed=2)), ("nearly alike", patched)):
            _, kept = measure.keep_truth(truth)
            found = measure.keep(image / 255, truth, truth[:, :1], kept, Extra([None] * 2))["lpips"]
            with torch.inference_mode():
                expected = reference(image / 255, truth / 255, normalize=True).flatten()
            within(f"LPIPS, {net}, {height}×{width}, images {name}", "lpips", found, expected, 1e-5)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[str]:
    """Register a small architecture in open_clip while these tests run."""
    path = tmp_path / "ViT-parity-quickgelu.json"
    sizes = {"width": 64, "layers": 2}
    text = {**sizes, "context_length": 8, "vocab_size": 50, "heads": 2}
    vision = {**sizes, "image_size": 64, "patch_size": 16, "head_width": 32}
    path.write_text(json.dumps({"embed_dim": 48, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(path)
    yield path.stem
    open_clip.factory._MODEL_CONFIG_PATHS.remove(path)
    open_clip.factory._rescan_model_configs()


def test_the_clip_score_equals_open_clips_cosine(tiny: str, tmp_path: Path, within: Within) -> None:
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config(tiny)).eval()
    torch.save(model.state_dict(), tmp_path / "clip.pth")
    measure = ClipScore(OpenCLIPEncoder(tmp_path / "clip.pth", tiny))
    image, exemplars = random_images(3, 96, 96), random_images(3, 50, 40, seed=1).permute(0, 2, 3, 1).numpy()
    mask = torch.zeros(3, 1, 96, 96)
    mask[..., 20:71, 30:91] = 1
    found = measure.keep(image / 255, image, mask, {}, Extra(list(exemplars)))["clip_score"]
    mean, std = (torch.tensor(x)[:, None, None] for x in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    whole = np.stack([np.array(Image.fromarray(one).resize((64, 64), Image.Resampling.BICUBIC)) for one in exemplars])
    painted = functional.interpolate(((image / 255 - mean) / std)[..., 20:70, 30:90], (64, 64), mode="bilinear")
    shown = (torch.from_numpy(whole).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.inference_mode():
        one, other = (model.encode_image(x, normalize=True) for x in (painted, shown))
    within("CLIP score, float32", "open_clip", found, 100 * (one * other).sum(1), 1e-5)
