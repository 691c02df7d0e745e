"""Tests of the CLIP score of a text against open_clip's own model with the same random weights."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from bench.errors import BadInputError
from bench.metrics.measure import Extra
from bench.metrics.prompt_score import PromptScore, TextEncoder

TEXTS = ["a cat on a sofa", "two boats, at sea", "a very " * 60 + "long text"]
SIDE = 32


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, torch.nn.Module]:
    """Return the name, the weight file and the model of a tiny CLIP with random weights."""
    folder = tmp_path_factory.mktemp("clip")
    config = {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }
    (folder / "tiny-prompt.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-prompt").eval()
    torch.save(model.state_dict(), folder / "clip.pt")
    return "tiny-prompt", folder / "clip.pt", model


def pictures(height: int = 50, width: int = 70) -> torch.Tensor:
    levels = np.random.default_rng(0).integers(0, 256, (3, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(levels).float() / 255


@pytest.mark.reference
@pytest.mark.parametrize("size", [(50, 70), (70, 50), (32, 32), (33, 41)])
def test_the_score_is_that_of_open_clip(clip: tuple[str, Path, torch.nn.Module], size: tuple[int, int]) -> None:
    name, path, model = clip
    image = pictures(*size)
    found = PromptScore(path, name).keep(image, image, image[:, :1], {}, Extra([None] * 3, TEXTS))["clip_prompt"]
    prepare = open_clip.image_transform(SIDE, is_train=False)
    with torch.inference_mode():
        shown = [prepare(Image.fromarray((255 * one).round().byte().permute(1, 2, 0).numpy())) for one in image]
        images = model.encode_image(torch.stack(shown), normalize=True).double()
        texts = model.encode_text(open_clip.SimpleTokenizer()(TEXTS), normalize=True).double()
    assert found == pytest.approx((100 * (images * texts).sum(1)).numpy(), abs=1e-4)


@pytest.mark.blackbox
def test_an_item_without_a_text_has_no_score(clip: tuple[str, Path, torch.nn.Module]) -> None:
    name, path, _ = clip
    image, measure = pictures(), PromptScore(path, name)
    found = measure.keep(image, image, image[:, :1], {}, Extra([None] * 3, ["a cat", "", "a dog"]))["clip_prompt"]
    assert np.isfinite(found).tolist() == [True, False, True]
    assert np.isnan(measure.keep(image, image, image[:, :1], {}, Extra([None] * 3))["clip_prompt"]).all()


@pytest.mark.blackbox
def test_a_file_without_a_text_encoder_is_refused(clip: tuple[str, Path, torch.nn.Module], tmp_path: Path) -> None:
    name, _, model = clip
    visual = {key: value for key, value in model.state_dict().items() if key.startswith("visual.")}
    torch.save(visual, tmp_path / "clip.pt")
    with pytest.raises(BadInputError, match="weights of CLIP tiny-prompt"):
        TextEncoder(tmp_path / "clip.pt", name)
