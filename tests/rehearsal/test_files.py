"""Tests of the files that a rehearsal makes: the readers of the paper profile read them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ExifTags, Image

from bench.checking.assets import read_assets
from bench.config.compose import checked
from bench.config.instantiate import make
from bench.data.cocoee import COCOEE
from bench.data.imagenet import ImageNetValidation
from bench.data.imagenet_train import ImageNetTrain
from bench.data.karpathy import KarpathyCOCO
from bench.data.pictures import read_rgb
from bench.data.places import Places
from bench.errors import BadInputError
from bench.generation.pipelines import INPAINTING, TEXT_TO_IMAGE, text_parts
from bench.metrics.clip_score import OpenCLIPEncoder
from bench.metrics.inception import InceptionMeasure
from bench.models.checkpoints import load_decoder
from bench.models.decoder import DECODERS, DecoderConfig, sized
from bench.models.first_stage import load_first_stage
from bench.rehearsal import decoders
from bench.rehearsal.files import Place, write_asset, write_profile
from bench.rehearsal.sizes import SIZES
from bench.store import file_sha256

pytestmark = pytest.mark.blackbox

SMALL = SIZES["small"]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("asset", "channels", "ending"),
    [("sd_inpainting", INPAINTING, ".safetensors"), ("sd_text2image", TEXT_TO_IMAGE, ".bin")],
)
def test_both_forms_of_stable_diffusion_are_read_with_the_same_first_stage(
    asset: str, channels: int, ending: str, tmp_path: Path
) -> None:
    write_asset(asset, tmp_path / "pipeline", SMALL)
    assert (tmp_path / "pipeline" / "vae" / f"diffusion_pytorch_model{ending}").is_file()
    parts = text_parts(str(tmp_path / "pipeline"), None, channels=channels, precision="float32", device=CPU)
    expected = {name: x for name, x in first_stage_tensors().items()}
    found = parts["vae"].state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], x) for name, x in expected.items())
    assert load_first_stage(tmp_path / "pipeline" / "vae").space.channels == 4


def first_stage_tensors() -> dict[str, torch.Tensor]:
    from bench.rehearsal.pipelines import autoencoder

    tensors: dict[str, torch.Tensor] = autoencoder(SMALL).state_dict()
    return tensors


@pytest.mark.parametrize("name", decoders.DECODERS)
def test_every_decoder_is_read_with_its_sizes(name: str, tmp_path: Path) -> None:
    path = tmp_path / ("base.ckpt" if name == "decoder_base" else "decoder")
    write_asset(name, path, SMALL)
    profile: Any = SMALL.profile["decoder_sizes"]
    expected = sized(profile, **decoders.DECODERS[name])
    found = load_decoder(path).config
    # The authors' file does not say the number of groups.
    assert found == (DecoderConfig(**{**vars(expected), "groups": 32}) if name == "decoder_base" else expected)


@pytest.mark.parametrize("name", ["base", "large", "large_x2"])
def test_the_full_size_is_the_papers(name: str) -> None:
    vanilla = {"channels": (128, 256, 512, 512), "layers": 2, "groups": 32, "widen_groups": False}
    assert list(SIZES["full"].autoencoder["block_out_channels"]) == list(vanilla["channels"])
    assert sized(vanilla, **decoders.DECODERS[f"decoder_{name}"]) == DECODERS[name]


@pytest.mark.slow
def test_programs_of_metric_networks_are_read_only_with_their_own_hash(tmp_path: Path) -> None:
    inception, clip = tmp_path / "inception.pt", tmp_path / "clip.pt"
    write_asset("inception_clean", inception, SMALL)
    write_asset("clip", clip, SMALL)
    measure = InceptionMeasure(inception, ["clean"], sha256=file_sha256(inception))
    assert measure.features(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))["clean"].shape == (2, 2048)
    encoder = OpenCLIPEncoder(clip, sha256=file_sha256(clip))
    assert encoder(torch.zeros(1, 3, 224, 224)).shape == (1, 512)
    with pytest.raises(BadInputError, match="SHA-256"):
        OpenCLIPEncoder(clip)


def test_networks_on_request_are_read_with_the_sizes_of_the_rehearsal(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assets = {"dinov2": place.weights / "dinov2.pth", "clip_336": place.weights / "clip.pt"}
    for name, path in assets.items():
        write_asset(name, path, SMALL)
    write_profile(place, assets, SMALL)
    words = [f"metrics.measures.{name}.tasks=[inpainting]" for name in ("dinov2", "cmmd")]
    words += [f"paths.{name}={path}" for name, path in assets.items()]
    words += ["experiment=table2_inpaint_imagenet", f"hydra.searchpath=[file://{place.conf}]", "profile=rehearsal"]
    _, resolved = checked(words)
    images = torch.zeros(2, 3, 40, 30, dtype=torch.uint8)
    for name, size in (("dinov2", SMALL.dinov2["width"]), ("cmmd", 384)):
        measure = make(resolved["metrics"]["measures"][name]["measure"], name)
        assert measure.embeddings(images).shape == (2, size)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("places", "imagenet_val", "flat_imagenet", "imagenet_train", "cocoee", "coco"):
        write_asset(name, folder / name, SMALL)
    return folder


def test_the_adapters_read_every_data_set(data: Path) -> None:
    counts = SMALL.counts
    sets: dict[str, tuple[Any, int]] = {
        "places": (Places(data / "places", "test_large_30k.lst"), counts.places),
        "imagenet": (ImageNetValidation(data / "imagenet_val"), counts.classes * counts.per_class),
        "cocoee": (COCOEE(data / "cocoee"), counts.cocoee),
        "coco": (KarpathyCOCO(data / "coco"), 5 * counts.coco),
    }
    for name, (pictures, expected) in sets.items():
        listed = list(pictures)
        assert len(listed) == expected, name
        assert all(read_rgb(picture.path).mode == "RGB" for picture in listed[:9]), name
    training = ImageNetTrain(data / "imagenet_train", resolution=32, masks="thick_256@32")
    assert len(training) == counts.classes * counts.per_class


@pytest.mark.parametrize("name", ["imagenet_val", "flat_imagenet", "imagenet_train", "coco"])
def test_some_pictures_are_png_files_with_another_name_and_some_are_turned(name: str, data: Path) -> None:
    kinds, turned = set[str | None](), 0
    for path in sorted((data / name).rglob("*.[jJ][pP]*[gG]")):
        with Image.open(path) as picture:
            kinds.add(picture.format)
            if picture.getexif().get(ExifTags.Base.Orientation) == 6:
                turned += 1
                assert read_rgb(path).size == picture.size[::-1]
    assert kinds == {"JPEG", "PNG"}
    assert turned > 0


def test_both_layouts_of_imagenet_give_the_same_pictures(data: Path) -> None:
    truth = "ILSVRC2012_validation_ground_truth.txt"
    flat = list(ImageNetValidation(data / "flat_imagenet", ground_truth=truth))
    folders = list(ImageNetValidation(data / "imagenet_val"))
    assert [one.id for one in flat] == [one.id for one in folders]


def test_captions_of_other_splits_are_listed_but_not_used(data: Path) -> None:
    listed = list(KarpathyCOCO(data / "coco"))
    assert len({picture.path for picture in listed}) == SMALL.counts.coco
    assert any(not (picture.caption or "").isascii() for picture in listed)


def test_only_the_rehearsal_accepts_the_made_files(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made = {"clip": place.weights / "ViT-B-32.pt"}
    write_asset("clip", made["clip"], SMALL)
    write_profile(place, made, SMALL)
    own = read_assets(str(tmp_path / "assets.yaml"))
    assert own["clip"].sha256 == file_sha256(made["clip"])
    assert own["vgg16"].sha256 == read_assets()["vgg16"].sha256
    words = ["experiment=table4_edit_cocoee", f"hydra.searchpath=[file://{place.conf}]"]
    config, _ = checked([*words, "profile=rehearsal"])
    assert (config.profile.name, config.profile.resolution) == ("rehearsal", SMALL.resolution)
    assert config.metrics is not None
    assert config.metrics.measures["clip"].measure["encoder"]["sha256"] == file_sha256(made["clip"])


@pytest.fixture
def unreadable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "list.yaml").write_text("- one\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    return {"list": str(tmp_path / "list.yaml"), "broken": str(tmp_path / "broken.yaml"), "none": str(tmp_path / "no")}


@pytest.mark.parametrize("kind", ["list", "broken", "none"])
def test_a_file_without_assets_is_refused(kind: str, unreadable: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match=r"profile\.asset_list: "):
        read_assets(unreadable[kind])
