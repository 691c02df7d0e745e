"""Tests of the CLIP score against the released script's transforms, and of encoders from local weights."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision import transforms

from bench.errors import BadInputError
from bench.metrics.clip_score import ClipScore, OpenCLIPEncoder, hole_crop
from bench.metrics.measure import Extra

SIDE = 24
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Encoder:
    """Embed by one random matrix, so that every pixel counts, and record the numbers of images."""

    resolution, mean, std = SIDE, MEAN, STD

    def __init__(self) -> None:
        self.matrix = torch.randn(3 * SIDE * SIDE, 5, generator=torch.Generator().manual_seed(0))
        self.seen: list[int] = []

    def to(self, device: torch.device | str) -> "Encoder":
        return self

    def __call__(self, x: Tensor, /) -> Tensor:
        self.seen.append(len(x))
        return x.flatten(1) @ self.matrix


def batch(count: int = 3) -> tuple[Tensor, Tensor, list[np.ndarray | None]]:  # type: ignore[type-arg]
    """Return images, masks of one box each, and exemplars of different sizes."""
    generator = torch.Generator().manual_seed(1)
    image = (torch.randint(0, 255, (count, 3, 60, 80), generator=generator) + 0.6) / 255  # truncated, not rounded
    mask = torch.zeros(count, 1, 60, 80)
    exemplars: list[np.ndarray | None] = []  # type: ignore[type-arg]
    for index in range(count):
        mask[index, :, 5 + index : 41, 7 : 60 + 5 * index] = 1
        exemplars.append(np.random.default_rng(index).integers(0, 256, (30 + index, 47, 3), dtype=np.uint8))
    return image, mask, exemplars


def score(
    encoder: Encoder,
    image: Tensor,
    mask: Tensor,
    exemplars: list[np.ndarray | None],  # type: ignore[type-arg]
) -> list[float]:
    measure = ClipScore(encoder).to("cpu")
    truth = torch.zeros(image.shape, dtype=torch.uint8)
    stored, kept = measure.keep_truth(truth)
    assert stored == {}
    found = measure.keep(image, truth, mask, kept, Extra(exemplars))["clip_score"]
    assert isinstance(found, Tensor)
    assert found.dtype == torch.float64
    return found.tolist()


def released(encoder: Encoder, image: Tensor, mask: Tensor, exemplar: np.ndarray) -> float:  # type: ignore[type-arg]
    """Score one item by the steps of the script on a saved picture, without antialiasing as in its torchvision."""
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    picture = Image.fromarray((image * 255).permute(1, 2, 0).numpy().astype(np.uint8))
    places = np.nonzero((mask[0].numpy() * 255).ravel() == 255)[0]
    (r0, c0), (r1, c1) = np.column_stack(np.unravel_index([places.min(), places.max()], mask[0].shape))
    crop = transforms.Resize([SIDE, SIDE], antialias=False)(normalise(picture)[:, r0:r1, c0:c1])
    reference = normalise(Image.fromarray(exemplar).resize((SIDE, SIDE)).convert("RGB"))
    first, second = (encoder(x[None])[0] for x in (crop, reference))
    return float(100 * (first / first.norm()) @ (second / second.norm()))


@pytest.mark.reference
def test_the_score_equals_that_of_the_released_script() -> None:
    image, mask, exemplars = batch()
    expected = [released(Encoder(), *item) for item in zip(image, mask, exemplars, strict=True)]
    assert len({round(value) for value in expected}) > 1
    assert score(Encoder(), image, mask, exemplars) == pytest.approx(expected, abs=1e-3)


@pytest.mark.blackbox
def test_an_image_that_shows_its_exemplar_scores_100() -> None:
    exemplar = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    image, mask = torch.zeros(1, 3, 60, 60), torch.zeros(1, 1, 60, 60)
    image[0, :, 8 : 8 + SIDE, 3 : 3 + SIDE] = torch.from_numpy(exemplar).permute(2, 0, 1) / 255
    mask[0, :, 8 : 8 + SIDE + 1, 3 : 3 + SIDE + 1] = 1  # whose last row and column are left out
    assert score(Encoder(), image, mask, [exemplar]) == pytest.approx([100], abs=1e-4)


@pytest.mark.blackbox
def test_an_item_with_nothing_to_compare_has_no_score() -> None:
    image, mask, exemplars = batch(4)
    mask[1], exemplars[2] = 0, None
    found = score(Encoder(), image, mask, exemplars)
    assert np.isnan(found).tolist() == [False, True, True, False]
    assert np.isnan(score(Encoder(), image, mask, [None] * 4)).all()


@pytest.mark.property
def test_scores_do_not_depend_on_the_batch_and_exemplars_are_embedded_once() -> None:
    image, mask, exemplars = batch()
    whole = score(Encoder(), image, mask, exemplars)
    apart = [score(Encoder(), image[k : k + 1], mask[k : k + 1], exemplars[k : k + 1])[0] for k in range(3)]
    assert apart == pytest.approx(whole, abs=1e-4)
    encoder = Encoder()
    measure, truth = ClipScore(encoder), torch.zeros(image.shape, dtype=torch.uint8)
    _, kept = measure.keep_truth(truth)
    for row in (image, 1 - image):
        measure.keep(row, truth, mask, kept, Extra(exemplars))
    assert encoder.seen == [3, 3, 3]


@pytest.mark.reference
@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ([(2, 3), (2, 7), (5, 3), (5, 7)], (2, 5, 3, 7)),  # a rectangle's corners
        ([(1, 4), (3, 0), (3, 9), (6, 6)], (1, 6, 4, 6)),  # no bounding box: it would begin at column 0
        ([(1, 6), (4, 2)], (1, 4, 2, 6)),  # from right to left: swapped
        ([(4, 4)], (4, 5, 4, 5)),
        ([(0, 2), (6, 2)], (0, 6, 2, 3)),
        ([(6, 0), (6, 9)], (6, 7, 0, 9)),
    ],
)
def test_the_crop_runs_from_the_first_to_before_the_last_pixel(
    pixels: list[tuple[int, int]], expected: tuple[int, int, int, int]
) -> None:
    hole = np.zeros((7, 10), bool)
    for row, column in pixels:
        hole[row, column] = True
    rows, columns = hole_crop(hole) or (slice(0), slice(0))
    assert (rows.start, rows.stop, columns.start, columns.stop) == expected


@pytest.mark.property
def test_every_hole_has_a_crop_that_is_not_empty() -> None:
    generator = np.random.default_rng(3)
    for _ in range(300):
        hole = generator.random((6, 9)) < generator.random() ** 4
        crop = hole_crop(hole)
        assert (crop is None) == (not hole.any())
        assert crop is None or hole[crop].size > 0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Register a small architecture in open_clip while these tests run."""
    path = tmp_path_factory.mktemp("architecture") / "tiny-quickgelu.json"
    tower = {"image_size": 16, "layers": 2, "width": 128, "patch_size": 8}
    words = {"context_length": 5, "vocab_size": 11, "width": 64, "heads": 1, "layers": 1}
    path.write_text(json.dumps({"embed_dim": 12, "quick_gelu": True, "vision_cfg": tower, "text_cfg": words}))
    open_clip.add_model_config(path)
    yield path.stem
    open_clip.factory._MODEL_CONFIG_PATHS.remove(path)
    open_clip.factory._rescan_model_configs()


@pytest.fixture(scope="module")
def network(tiny: str) -> nn.Module:
    torch.manual_seed(2)
    return open_clip.CLIP(**open_clip.get_model_config(tiny)).eval()


def pixels() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(4))


@pytest.mark.reference
def test_embeddings_equal_those_of_open_clip(tiny: str, network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    encoder = OpenCLIPEncoder(tmp_path / "clip.pt", tiny)
    with torch.inference_mode():
        assert torch.allclose(encoder(pixels()), network.encode_image(pixels()), atol=1e-6)
    assert (encoder.resolution, tuple(encoder.mean), tuple(encoder.std)) == (16, MEAN, STD)
    found = ClipScore(encoder).protocol
    assert (found["network"], found["precision"], found["resolution"]) == (f"image tower of CLIP {tiny}", "fp32", 16)


@pytest.mark.blackbox
def test_the_default_model_is_that_of_the_paper(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"clip\.pt: expected weights of CLIP ViT-B-32-quickgelu, found no file"):
        OpenCLIPEncoder(tmp_path / "clip.pt")


@pytest.mark.blackbox
def test_weights_are_not_trained(tiny: str, network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    assert not OpenCLIPEncoder(tmp_path / "clip.pt", tiny)(pixels()).requires_grad


@pytest.mark.blackbox
def test_the_encoder_goes_to_the_device_and_its_images_with_it(tiny: str, network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    encoder = OpenCLIPEncoder(tmp_path / "clip.pt", tiny)
    measure = ClipScore(encoder)
    assert measure.to("meta") is measure
    found = encoder(pixels())
    assert (found.device.type, tuple(found.shape)) == ("meta", (3, 12))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("auto", "cuda", "fp16"),
        ("auto", "cpu", "fp32"),
        ("fp32", "cuda", "fp32"),
        ("fp16", "cpu", "fp16"),
        ("fp16", "cuda", "fp16"),
    ],
)
def test_the_precision_is_set_for_the_device(
    precision: str,
    device: str,
    expected: str,
    tiny: str,
    network: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    encoder = OpenCLIPEncoder(tmp_path / "clip.pt", tiny, precision)
    monkeypatch.setattr(nn.Module, "to", lambda self, device: self)  # no GPU is needed to set a precision for one
    assert encoder.to(device).protocol["precision"] == expected


@pytest.mark.blackbox
def test_half_precision_leaves_layer_norms_in_single_precision(
    tiny: str, network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layer norms of float16 values by float32 weights do not exist on CUDA."""
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    half = OpenCLIPEncoder(tmp_path / "clip.pt", tiny, "fp16")
    seen, layer_norm = [], functional.layer_norm

    def watched(x: Tensor, shape: list[int], weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        seen.append((x.dtype, weight.dtype))
        return layer_norm(x, shape, weight, bias, eps)

    monkeypatch.setattr(functional, "layer_norm", watched)
    assert half(pixels()).dtype == torch.float16
    assert set(seen) == {(torch.float32, torch.float32)}


@pytest.mark.reference
def test_half_precision_equals_that_of_open_clip(tiny: str, network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "clip.pt")
    half = OpenCLIPEncoder(tmp_path / "clip.pt", tiny, "fp16")
    reference = open_clip.create_model(tiny, pretrained=str(tmp_path / "clip.pt"), precision="fp16").eval()
    with torch.inference_mode():
        found = half(pixels())
        assert found.dtype == torch.float16
        assert torch.equal(found, reference.encode_image(pixels().half()))
        whole = OpenCLIPEncoder(tmp_path / "clip.pt", tiny, "fp32")(pixels())
    assert 0 < (found.float() - whole).abs().max() < 1e-2 * whole.abs().max()


class Archive(nn.Module):
    """Hold tensors by OpenAI's names and the numbers that its files contain."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.visual = network.visual
        for name, number in (("input_resolution", 16), ("context_length", 5), ("vocab_size", 11)):
            self.register_buffer(name, torch.tensor(number))

    def forward(self, x: Tensor) -> Tensor:
        return self.visual(x)


@pytest.mark.blackbox
def test_openais_archive_is_read_only_with_the_known_checksum(tiny: str, network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-32.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.trace(Archive(network), pixels(), check_trace=False).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    encoder = OpenCLIPEncoder(path, tiny, sha256=digest)
    with torch.inference_mode():
        assert torch.allclose(encoder(pixels()), network.encode_image(pixels()), atol=1e-6)
    with pytest.raises(BadInputError, match=rf"ViT-B-32\.pt: expected OpenAI's.*SHA-256 40d36571\w+, found {digest}"):
        OpenCLIPEncoder(path, tiny)


@pytest.mark.blackbox
def test_missing_and_wrong_files_models_and_precisions_are_named(tiny: str, network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    with pytest.raises(BadInputError, match=rf"clip\.pt: expected weights of CLIP {tiny}, found no file"):
        OpenCLIPEncoder(path, tiny)
    torch.save({"visual.proj": torch.zeros(3, 3)}, path)
    other = rf"clip\.pt: expected weights of CLIP {tiny}, found other tensors: Missing key.*class_embedding"
    with pytest.raises(BadInputError, match=other):
        OpenCLIPEncoder(path, tiny)
    torch.save({**network.state_dict(), "visual.proj": torch.zeros(3, 3)}, path)
    with pytest.raises(BadInputError, match=r"clip\.pt: .*size mismatch for proj"):
        OpenCLIPEncoder(path, tiny)
    with pytest.raises(BadInputError, match="found no-such-model"):
        OpenCLIPEncoder(path, "no-such-model")
    with pytest.raises(BadInputError, match="expected auto, fp16 or fp32, found bf16"):
        OpenCLIPEncoder(path, tiny, "bf16")


@pytest.mark.blackbox
@pytest.mark.parametrize("model", ["roberta-ViT-B-32", "xlm-roberta-base-ViT-B-32", "hf-hub:timm/ViT-B-16-SigLIP"])
def test_a_model_from_a_hub_is_refused_before_any_request(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *words, **more: pytest.fail("a call over the network"))
    with pytest.raises(BadInputError, match=r"^model: expected "):
        OpenCLIPEncoder(tmp_path / "weights.safetensors", model=model)
