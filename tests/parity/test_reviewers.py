"""Tests of FD-DINOv2, CMMD and DISTS against other implementations, with equal random weights."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import open_clip
import pytest
import scipy.linalg
import timm
import torch
import torchmetrics.functional.image.dists as their_dists
from PIL import Image
from timm.models.vision_transformer import checkpoint_filter_fn
from torchvision import transforms
from torchvision.models import VGG
from torchvision.models import vgg16 as build_vgg16
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

from bench.metrics.clip_score import OpenCLIPEncoder
from bench.metrics.dinov2 import MEAN, STD, DINOv2Encoder
from bench.metrics.discrepancy import discrepancy_estimate
from bench.metrics.dists import DISTSMeasure
from bench.metrics.embeddings import EmbeddingMeasure
from bench.metrics.frechet import frechet_distance
from bench.metrics.measure import Extra
from bench.metrics.networks.dinov2 import DINOv2Network, interpolated_positions
from bench.rehearsal.metric_networks import dinov2_weights
from benchmarks.random_weights import backbone_weights, random_images
from tests.parity.conftest import Within

pytestmark = [pytest.mark.reference, pytest.mark.usefixtures("inference")]

Weights = dict[str, torch.Tensor]
WIDTH, BLOCKS, SIDE = 128, 3, 224


@pytest.fixture
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def dinov2() -> Weights:
    return dinov2_weights(WIDTH, BLOCKS)


@pytest.fixture(scope="module")
def encoder(dinov2: Weights, tmp_path_factory: pytest.TempPathFactory) -> DINOv2Encoder:
    path = tmp_path_factory.mktemp("weights") / "dinov2.pth"
    torch.save(dinov2, path)
    return DINOv2Encoder(path, WIDTH, BLOCKS)


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(x)[:, None, None] for x in (MEAN, STD))
    return (images / 255 - mean) / std


def resized(weights: Weights, side: int) -> Weights:
    """Return the weights with our position embeddings for a side; other packages interpolate them in other ways."""
    return weights | {"pos_embed": interpolated_positions(weights["pos_embed"], side // 14)}


@pytest.mark.parametrize("side", [224, pytest.param(518, marks=pytest.mark.slow)])
def test_dinov2_equals_timms(side: int, dinov2: Weights, within: Within) -> None:
    """518 pixels are the size of the training, where nobody interpolates position embeddings."""
    model = timm.create_model(
        "vit_base_patch14_dinov2", img_size=side, embed_dim=WIDTH, depth=BLOCKS, num_heads=WIDTH // 64
    ).eval()
    model.load_state_dict(checkpoint_filter_fn(resized(dinov2, side), model))
    x = normalised(random_images(2, side, side))
    found = DINOv2Network(dinov2, width=WIDTH, blocks=BLOCKS, side=side)(x)
    assert (found[0] - found[1]).abs().max() > 1e-3 * found.abs().max()
    within(f"features of DINOv2, {side} pixels", "timm", found, model(x), 1e-5)


def of_transformers(weights: Weights, side: int) -> Dinov2Model:
    """Return transformers' network for images of this side, with the weights under its names."""
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": WIDTH // 64}
    model = Dinov2Model(Dinov2Config(image_size=side, patch_size=14, **sizes)).eval()
    tensors = dict(weights)
    for index in range(BLOCKS):
        for kind in ("weight", "bias"):
            parts = tensors.pop(f"blocks.{index}.attn.qkv.{kind}").chunk(3)
            for name, part in zip("qkv", parts, strict=True):
                tensors[f"blocks.{index}.attention.{name}_proj.{kind}"] = part
    names = {
        "cls_token": "embeddings.cls_token", "mask_token": "embeddings.mask_token",
        "pos_embed": "embeddings.position_embeddings", "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "blocks.": "encoder.layer.", "attn.proj": "attention.o_proj", "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }  # fmt: skip
    renamed = {}
    for name, x in tensors.items():
        new = f"layernorm{name[4:]}" if name.startswith("norm.") else name
        for old, other in names.items():
            new = new.replace(old, other)
        renamed[new] = x
    model.load_state_dict(renamed)
    return model


def test_dinov2_equals_transformers(dinov2: Weights, within: Within, apart: Within) -> None:
    """By itself, transformers interpolates position embeddings without the original's shift."""
    x = normalised(random_images(2, SIDE, SIDE))
    found = DINOv2Network(dinov2, width=WIDTH, blocks=BLOCKS)(x)
    given = of_transformers(resized(dinov2, SIDE), SIDE)
    within("features of DINOv2, given positions", "transformers", found, given(x).pooler_output, 1e-5)
    alone = of_transformers(dinov2, 518)(x, interpolate_pos_encoding=True).pooler_output
    apart("features of DINOv2, its own positions", "transformers", found, alone, 1e-3)


def cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute Keys' cubic kernel with a = -0.75."""
    x, a = np.abs(distance), -0.75
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def test_positions_equal_a_cubic_convolution_with_the_originals_shift(dinov2: Weights, within: Within) -> None:
    """The original divides by 16.1 / 37 instead of 16 / 37; both grids are read from their pixels' centres."""
    places = (np.arange(16) + 0.5) * 37 / 16.1 - 0.5
    base = np.floor(places).astype(int)
    matrix = np.zeros((16, 37))
    for shift in (-1, 0, 1, 2):
        np.add.at(matrix, (np.arange(16), np.clip(base + shift, 0, 36)), cubic(places - base - shift))
    grid = dinov2["pos_embed"][0, 1:].double().numpy().reshape(37, 37, WIDTH)
    expected = np.einsum("ia,jb,abc->ijc", matrix, matrix, grid).reshape(256, WIDTH)
    found = interpolated_positions(dinov2["pos_embed"], 16)
    within("position embeddings of DINOv2", "cubic convolution in float64", found[0, 1:], expected, 1e-5)
    assert torch.equal(found[:, 0], dinov2["pos_embed"][:, 0])


@pytest.mark.slow
def test_fd_dinov2_equals_the_steps_of_dgm_eval(encoder: DINOv2Encoder, dinov2: Weights, within: Within) -> None:
    """Its steps are torchvision's transforms of Pillow's pictures, the network, and the formula with a matrix root."""
    transform = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    network = of_transformers(resized(dinov2, SIDE), SIDE)
    measure = EmbeddingMeasure(encoder)
    sets, expected = [], []
    for seed, size in ((0, (256, 256)), (1, (320, 200))):
        images = random_images(16, *size, seed=seed)
        sets.append(measure.embeddings(images))
        pictures = [transform(Image.fromarray(one.permute(1, 2, 0).numpy())) for one in images]
        expected.append(network(torch.stack(pictures)).pooler_output)
        within(f"features for FD-DINOv2, {size[0]}×{size[1]}", "dgm-eval's steps", sets[-1], expected[-1], 1e-5)
    (first, a), (second, b) = ((x.double().mean(0).numpy(), np.cov(x.double().numpy().T)) for x in expected)
    root = scipy.linalg.sqrtm(a @ b)
    value = np.square(first - second).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root.real)
    found = frechet_distance(*(x.numpy() for x in sets))
    within("FD-DINOv2, 16 images of 128 dimensions", "dgm-eval's formula", found, value, 1e-4)


VISION = {"image_size": 336, "patch_size": 48, "width": 64, "layers": 2, "head_width": 32}


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[str]:
    """Register a small architecture in open_clip while a test runs."""
    path = tmp_path / "ViT-cmmd-quickgelu.json"
    text = {"width": 64, "layers": 2, "context_length": 8, "vocab_size": 50, "heads": 2}
    path.write_text(json.dumps({"embed_dim": 48, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": text}))
    open_clip.add_model_config(path)
    yield path.stem
    open_clip.factory._MODEL_CONFIG_PATHS.remove(path)
    open_clip.factory._rescan_model_configs()


def clip_of_transformers(tensors: Weights) -> CLIPVisionModelWithProjection:
    """Return transformers' image encoder with the weights of open_clip's."""
    config = CLIPVisionConfig(
        hidden_size=64, intermediate_size=256, projection_dim=48, num_hidden_layers=2, num_attention_heads=2,
        image_size=336, patch_size=48, hidden_act="quick_gelu",
    )  # fmt: skip
    model = CLIPVisionModelWithProjection(config).eval()
    names = {
        "class_embedding": "embeddings.class_embedding", "positional_embedding": "embeddings.position_embedding.weight",
        "conv1.weight": "embeddings.patch_embedding.weight", "ln_pre": "pre_layrnorm", "ln_post": "post_layernorm",
        "transformer.resblocks": "encoder.layers", "ln_1": "layer_norm1", "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2", "attn.out_proj": "self_attn.out_proj",
    }  # fmt: skip
    renamed = {"visual_projection.weight": tensors["visual.proj"].T}
    for name, x in tensors.items():
        if not name.startswith("visual.") or name == "visual.proj":
            continue
        new = name.removeprefix("visual.")
        if "in_proj" in new:
            stem, kind = new.split("attn.in_proj_")
            for part, values in zip("qkv", x.chunk(3), strict=True):
                index = stem.split(".")[2]
                renamed[f"vision_model.encoder.layers.{index}.self_attn.{part}_proj.{kind}"] = values
            continue
        for old, other in names.items():
            new = new.replace(old, other)
        renamed[f"vision_model.{new}"] = x
    model.load_state_dict(renamed, strict=False)
    missing = model.state_dict().keys() - renamed.keys()
    assert all(name.endswith("position_ids") for name in missing)
    return model


def direct_cmmd(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Compute 1000 times the mean of the kernel over all pairs of each two sets, by its definition."""

    def mean(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
        return float(np.exp(-np.square(a[:, None] - b[None]).sum(2) / 200).mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.slow
def test_cmmd_equals_the_steps_of_its_pytorch_port(tiny: str, tmp_path: Path, within: Within) -> None:
    """The port crops and resizes with Pillow, normalises with transformers, and runs transformers' network."""
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config(tiny)).eval()
    torch.save(model.state_dict(), tmp_path / "clip.pth")
    measure = EmbeddingMeasure(OpenCLIPEncoder(tmp_path / "clip.pth", tiny, "fp32"), "crop", unit_length=True)
    theirs = clip_of_transformers(model.state_dict())
    processor = CLIPImageProcessor(do_center_crop=False, do_resize=False, do_rescale=False)
    sets, expected = [], []
    for seed, (height, width) in ((0, (512, 512)), (1, (300, 431))):
        images = random_images(12, height, width, seed=seed)
        short = min(height, width)
        left, top = (width - short) // 2, (height - short) // 2
        pictures = [
            np.asarray(
                Image.fromarray(one.permute(1, 2, 0).numpy())
                .crop((left, top, left + short, top + short))
                .resize((336, 336), Image.Resampling.BICUBIC)
            ).astype(np.float32)
            / 255
            for one in images
        ]
        found = theirs(**processor(images=pictures, return_tensors="pt")).image_embeds
        expected.append(found / found.norm(dim=-1, keepdim=True))
        sets.append(measure.embeddings(images))
        within(f"embeddings for CMMD, {height}×{width}", "transformers", sets[-1], expected[-1], 1e-5)
    value = direct_cmmd(*(x.double().numpy() for x in expected))
    assert value > 0.01
    found_value = discrepancy_estimate(*(x.numpy() for x in sets)).value
    within("CMMD", "the port's steps, direct formula in float64", found_value, value, 1e-4)


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Save random weights of VGG16, and give torchmetrics a network with them in place of a download."""
    weights = backbone_weights("vgg")
    path = tmp_path / "vgg16.pth"
    torch.save(weights, path)

    def made(**_: object) -> VGG:
        network = build_vgg16(weights=None, init_weights=False)
        network.load_state_dict(weights, strict=False)
        return network

    monkeypatch.setattr(their_dists, "vgg16", made)
    return path


def pairs(height: int, width: int) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    truth, other = random_images(2, height, width), random_images(2, height, width, seed=2)
    patched = truth.clone()
    patched[..., :16, :16] = other[..., :16, :16]
    return [("unlike", other, truth), ("nearly alike", patched, truth)]


@pytest.mark.parametrize("size", [(96, 96), (100, 75)])
def test_dists_equals_torchmetrics(size: tuple[int, int], backbone: Path, within: Within) -> None:
    """The reference runs in float64, because it subtracts nearly equal numbers."""
    measure, reference = DISTSMeasure(backbone), their_dists.DISTSNetwork().double().eval()
    for name, image, truth in pairs(*size):
        _, kept = measure.keep_truth(truth)
        found = measure.keep(image / 255, truth, truth[:, :1], kept, Extra([None] * 2))["dists"]
        expected = reference(image.double() / 255, truth.double() / 255)
        within(f"DISTS, {size[0]}×{size[1]}, images {name}", "torchmetrics in float64", found, expected, 1e-4)


@pytest.mark.parametrize(
    ("side", "size"), [(64, (75, 100)), pytest.param(256, (300, 400), marks=pytest.mark.slow)], ids=["64", "256"]
)
def test_dists_of_larger_images_equals_the_authors_preparation(
    side: int, size: tuple[int, int], backbone: Path, within: Within, apart: Within
) -> None:
    """The authors' program reduces pictures whose shorter side has more than 256 pixels; packages do not."""
    assert DISTSMeasure(backbone).side == 256
    reference = their_dists.DISTSNetwork().double().eval()
    (_, image, truth), _ = pairs(*size)

    def prepared(images: torch.Tensor) -> torch.Tensor:
        pictures = [Image.fromarray(one.permute(1, 2, 0).numpy()) for one in images]
        return torch.stack(
            [transforms.functional.to_tensor(transforms.functional.resize(one, side)) for one in pictures]
        )

    found = {}
    for name, measure in (("reduced", DISTSMeasure(backbone, side)), ("own size", DISTSMeasure(backbone, None))):
        _, kept = measure.keep_truth(truth)
        found[name] = measure.keep(image / 255, truth, truth[:, :1], kept, Extra([None] * 2))["dists"]
    reduced = reference(prepared(image).double(), prepared(truth).double())
    what = f"DISTS, {size[0]}×{size[1]}, reduced to {side}"
    within(what, "the authors' preparation", found["reduced"], reduced, 1e-4)
    whole = reference(image.double() / 255, truth.double() / 255)
    within(f"DISTS, {size[0]}×{size[1]}, own size", "torchmetrics in float64", found["own size"], whole, 1e-4)
    apart(what, "torchmetrics at the own size", found["reduced"], whole, 5e-3)
