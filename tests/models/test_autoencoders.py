"""Tests of the adapters for autoencoders: they equal diffusers' own calls, and refuse what does not fit."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import BadInputError
from bench.models import build_decoder, save_decoder
from bench.models.autoencoders import (
    KNOWN,
    Autoencoder,
    Latents,
    LatentSpace,
    described_space,
    load_autoencoder,
    padded,
)
from bench.models.autoencoders.adapters import ADAPTERS
from tests.models.tiny_autoencoders import SETTINGS, tiny_autoencoder

SPACES = {"tiny": "sd3"}
"""Name of the space with which a tiny autoencoder is read, if it needs one."""
TINY16 = {"latent_channels": 16}
SIDE = 32
PAGE = Path(__file__).parents[2] / "docs" / "autoencoders.md"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folder of each tiny autoencoder, as diffusers writes it."""
    root = tmp_path_factory.mktemp("autoencoders")
    for name in SETTINGS:
        tiny_autoencoder(name).save_pretrained(root / name)
    return {name: root / name for name in SETTINGS}


def loaded(folders: dict[str, Path], name: str) -> Autoencoder:
    return load_autoencoder(folders[name], space=SPACES.get(name, ""))


def pictures(side: int = SIDE, count: int = 2) -> Tensor:
    return torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(1)) * 2 - 1


def means(statistics: list[float]) -> Tensor:
    return torch.tensor(statistics).view(1, -1, 1, 1)


def patched(latents: Tensor) -> Tensor:
    """Join 2×2 positions as the pipeline of FLUX.2 does."""
    count, channels, height, width = latents.shape
    split = latents.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return split.reshape(count, channels * 4, height // 2, width // 2)


def own_calls(network: Any, name: str, image: Tensor, z: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents, diffusion latents and pictures by the calls that diffusers' own pipelines make."""
    config = network.config
    with torch.no_grad():
        if name in ("wan", "qwen"):
            latents = network.encode(image[:, :, None]).latent_dist.mode()[:, :, 0]
            scaled = (latents - means(config.latents_mean)) / means(config.latents_std)
            return latents, scaled, network.decode(z[:, :, None]).sample[:, :, 0]
        if name == "dc":
            latents = network.encode(image).latent
            return latents, latents * config.scaling_factor, network.decode(z).sample
        if name == "rae":
            latents = network.encode((image + 1) / 2).latent
            return latents, latents, 2 * network.decode(z).sample - 1
        if name == "vq":
            latents = network.encode(image).latents
            return latents, latents * config.scaling_factor, network.decode(z).sample
        if name == "tiny":  # a pipeline scales by the configuration of the tiny autoencoder itself
            scaled = (network.encode(image).latents - config.shift_factor) * config.scaling_factor
            sd3 = KNOWN["sd3"]
            decoded = (z - sd3.shift) * sd3.scale / config.scaling_factor + config.shift_factor
            return scaled / sd3.scale + sd3.shift, scaled, network.decode(decoded).sample
        latents = network.encode(image).latent_dist.mode()
        if name == "flux2":
            mean, variance = (value.view(1, -1, 1, 1) for value in (network.bn.running_mean, network.bn.running_var))
            scaled = (patched(latents) - mean) / torch.sqrt(variance + config.batch_norm_eps)
            return latents, scaled, network.decode(z).sample
        if name == "kl4_by_channel":
            scaled = (latents - means(config.latents_mean)) * config.scaling_factor / means(config.latents_std)
        else:
            scaled = (latents - (config.get("shift_factor") or 0)) * config.scaling_factor
        if name == "asymmetric":
            return latents, scaled, network.decode(z, image=image, mask=mask).sample
        if name == "consistency":
            generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
            return latents, scaled, network.decode(z, generator=generators).sample
        return latents, scaled, network.decode(z).sample


@pytest.mark.reference
@pytest.mark.parametrize("name", SETTINGS)
def test_an_adapter_equals_diffusers_own_calls(folders: dict[str, Path], name: str) -> None:
    autoencoder, image = loaded(folders, name), pictures()
    network = getattr(diffusers, SETTINGS[name][0]).from_pretrained(folders[name], low_cpu_mem_usage=False).eval()
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[..., 8:20, 4:24] = 1
    z = autoencoder.encode(image)
    latents, scaled, decoded = own_calls(network, name, image, z.values, mask)
    torch.testing.assert_close(z.values, latents, rtol=0, atol=1e-6)
    torch.testing.assert_close(z.for_diffusion(), scaled, rtol=0, atol=2e-6 * float(scaled.abs().max()))
    seeds = (3, 4) if autoencoder.stochastic else ()
    found = autoencoder.decode(z, image, mask, seeds=seeds)
    torch.testing.assert_close(found, decoded, rtol=0, atol=1e-6)
    space = autoencoder.space
    assert z.values.shape == (2, space.channels, SIDE // space.factor, SIDE // space.factor)
    assert found.shape == image.shape


@pytest.mark.property
@pytest.mark.parametrize("name", SETTINGS)
def test_latents_return_from_the_diffusion_models_scale(folders: dict[str, Path], name: str) -> None:
    autoencoder = loaded(folders, name)
    z = autoencoder.encode(pictures()).values
    back = autoencoder.space.from_diffusion(autoencoder.space.to_diffusion(z))
    torch.testing.assert_close(back, z, rtol=1e-5, atol=1e-5)


@pytest.mark.property
@pytest.mark.parametrize("name", SETTINGS)
def test_files_make_an_exact_round_trip(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    autoencoder = loaded(folders, name)
    autoencoder.network.save_pretrained(tmp_path)
    first, second = (load_file(folder / "diffusion_pytorch_model.safetensors") for folder in (folders[name], tmp_path))
    assert first.keys() == second.keys()
    assert all(torch.equal(values, second[key]) for key, values in first.items())
    again = load_autoencoder(tmp_path, space=SPACES.get(name, ""))
    assert again.space == autoencoder.space
    assert torch.equal(again.encode(pictures()).values, autoencoder.encode(pictures()).values)


@pytest.mark.reference
@pytest.mark.parametrize("conditioned", [False, True])
def test_an_own_decoder_decodes_the_latents_of_its_encoder(
    folders: dict[str, Path], tmp_path: Path, conditioned: bool
) -> None:
    decoder = build_decoder("base" if conditioned else "vanilla", channels=(8, 8), layers=1, groups=4).eval()
    save_decoder(decoder, tmp_path)
    autoencoder = load_autoencoder(tmp_path, encoder=folders["kl4"])
    first_stage = loaded(folders, "kl4")
    image, mask = pictures(), torch.ones(2, 1, SIDE, SIDE)
    mask[..., 8:20, 4:24] = 0
    z = autoencoder.encode(image)
    assert torch.equal(z.values, first_stage.encode(image).values)
    with torch.no_grad():
        inputs = first_stage.network.post_quant_conv(z.values)
        expected = decoder(inputs, image, mask) if conditioned else decoder(inputs)
    torch.testing.assert_close(autoencoder.decode(z, image, mask), expected, rtol=0, atol=1e-6)
    assert first_stage.decode(z).shape == image.shape  # the two share their latents


@pytest.mark.blackbox
def test_an_own_decoder_needs_an_encoder_that_fits(folders: dict[str, Path], tmp_path: Path) -> None:
    save_decoder(build_decoder("vanilla", channels=(8, 8), layers=1, groups=4), tmp_path)
    with pytest.raises(
        BadInputError, match=r"encoder: expected the folder of an autoencoder .* contains only a decoder"
    ):
        load_autoencoder(tmp_path)
    with pytest.raises(BadInputError, match=r"latents have 4 channels and the factor 2, .* found 16 channels and"):
        load_autoencoder(tmp_path, encoder=folders["kl16"])
    with pytest.raises(
        BadInputError, match=r"encoder: expected no value, because .* an encoder .AutoencoderKL., found"
    ):
        load_autoencoder(folders["kl4"], encoder=folders["kl4"])


@pytest.mark.blackbox
def test_the_adapter_of_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if "class Pooled" in block), names)
    autoencoder = names["autoencoder"]
    z = autoencoder.encode(pictures())
    assert autoencoder.decode(z).shape == (2, 3, SIDE, SIDE)
    with pytest.raises(BadInputError, match="multiples of 4"):
        autoencoder.encode(pictures(30))


@pytest.mark.blackbox
def test_the_page_lists_every_class_and_space() -> None:
    text = PAGE.read_text()
    assert [name for name in (*ADAPTERS, *KNOWN) if f"`{name}`" not in text] == []


@pytest.mark.blackbox
def test_every_adapter_is_tested() -> None:
    assert {kind for kind, _ in SETTINGS.values()} == set(ADAPTERS)


@pytest.mark.property
def test_the_noise_of_an_item_depends_on_its_seed_alone(folders: dict[str, Path]) -> None:
    autoencoder = loaded(folders, "consistency")
    z = autoencoder.encode(pictures())
    both = autoencoder.decode(z, seeds=(3, 4))
    alone = autoencoder.decode(Latents(z.values[1:], z.space), seeds=(4,))
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-5)
    assert not torch.allclose(both[1:], autoencoder.decode(Latents(z.values[1:], z.space), seeds=(5,)))
    with pytest.raises(BadInputError, match="seeds: expected 2 seeds, one for each item, found 0"):
        autoencoder.decode(z)


@pytest.mark.blackbox
def test_known_spaces_are_found_by_their_convention(folders: dict[str, Path]) -> None:
    names = {name: loaded(folders, name).space.name for name in SETTINGS}
    known = {"wan": "wan21", "qwen": "wan21", "tiny": "sd3", "consistency": "sd1"}
    assert {name: space for name, space in names.items() if not space.startswith("space-")} == known
    assert names["kl4"] == names["kl4_by_channel"]  # the encoders have equal weights, and only the scaling differs
    others = [space for name, space in names.items() if name not in (*known, "kl4_by_channel")]
    assert len(set(others)) == len(others)
    assert load_autoencoder(folders["kl4"]).space.name == names["kl4"]
    assert load_autoencoder(folders["kl4"], space="mine").space.name == "mine"


@pytest.mark.blackbox
def test_latents_of_another_space_are_refused_by_name(folders: dict[str, Path]) -> None:
    first, second = (load_autoencoder(folders["kl4"], space=name) for name in ("mine", "yours"))
    with pytest.raises(
        BadInputError, match="latents: expected latents of the space yours, found latents of the space mine"
    ):
        second.decode(first.encode(pictures()))


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("name", "side", "multiple"), [("kl4", 33, 2), ("dc", 30, 4), ("flux2", 34, 4), ("wan", 36, 8)]
)
def test_pictures_that_do_not_fit_are_refused_and_can_be_padded(
    folders: dict[str, Path], name: str, side: int, multiple: int
) -> None:
    autoencoder, image = loaded(folders, name), pictures(side)
    with pytest.raises(BadInputError, match=f"expected sides that are multiples of {multiple}, found {side}×{side}"):
        autoencoder.encode(image)
    whole = padded(image, autoencoder.divisor)
    decoded = autoencoder.decode(autoencoder.encode(whole))
    assert decoded[..., :side, :side].shape == image.shape
    assert torch.equal(whole[..., :side, :side], image)
    assert torch.equal(whole[..., :side, side], image[..., :, -2])  # reflected about the last column


@pytest.mark.blackbox
def test_pictures_of_another_size_are_refused_if_the_network_has_one(folders: dict[str, Path]) -> None:
    with pytest.raises(BadInputError, match="pictures: expected 32×32 pixels, found 64×64"):
        loaded(folders, "rae").encode(pictures(64))


@pytest.mark.blackbox
def test_a_picture_too_small_to_be_reflected_is_refused() -> None:
    with pytest.raises(BadInputError, match="expected sides of more than 4 pixels, found 3×3"):
        padded(pictures(3), 8)


def without_weights(folder: Path) -> None:
    (folder / "diffusion_pytorch_model.safetensors").unlink()


def with_nan(folder: Path) -> None:
    file = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["decoder.conv_in.weight"][0, 0] = torch.nan
    save_file(tensors, file, {"format": "pt"})


def of_another_class(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "_class_name": "AutoencoderOobleck"}))


def without_a_tensor(folder: Path) -> None:
    file = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["decoder.conv_in.weight"]
    save_file(tensors, file, {"format": "pt"})


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda folder: (folder / "config.json").unlink(),
            "expected a file with the settings of a network, found no such file",
        ),
        (without_weights, "expected an autoencoder that diffusers can load, found an error"),
        (with_nan, r"expected finite weights, found NaN or infinite weights in decoder\.conv_in\.weight"),
        (of_another_class, r"_class_name: expected one of AsymmetricAutoencoderKL, .*, found AutoencoderOobleck; docs"),
        (
            without_a_tensor,
            r"expected all weights of AutoencoderKL, found no weights .* names decoder\.conv_in\.weight",
        ),
    ],
    ids=["config", "weights", "nan", "class", "tensor"],
)
def test_a_broken_folder_is_refused_with_one_message(
    tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    tiny_autoencoder("kl4").save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadInputError, match=said):
        load_autoencoder(tmp_path)


@pytest.mark.blackbox
def test_sharded_and_pickled_weights_are_read(tmp_path: Path) -> None:
    network = tiny_autoencoder("kl4")
    network.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    network.save_pretrained(tmp_path / "pickled", safe_serialization=False)
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    expected = None
    for folder in (tmp_path / "shards", tmp_path / "pickled"):
        found = load_autoencoder(folder, space="mine").encode(pictures()).values
        assert expected is None or torch.equal(found, expected)
        expected = found
    next((tmp_path / "shards").glob("*.safetensors")).unlink()
    with pytest.raises(BadInputError, match="expected an autoencoder that diffusers can load, found an error"):
        load_autoencoder(tmp_path / "shards")


@pytest.mark.property
@pytest.mark.parametrize("name", SETTINGS)
def test_the_space_is_described_without_loading_the_autoencoder(folders: dict[str, Path], name: str) -> None:
    expected = loaded(folders, name).space
    found = described_space(folders[name], space=SPACES.get(name, ""))
    assert found.name == ("" if expected.name.startswith("space-") else expected.name)
    assert {**vars(found), "name": ""} == {**vars(expected), "name": ""}


@pytest.mark.blackbox
def test_the_space_of_pickled_statistics_is_described(folders: dict[str, Path], tmp_path: Path) -> None:
    tiny_autoencoder("flux2").save_pretrained(tmp_path, safe_serialization=False)
    assert described_space(tmp_path) == described_space(folders["flux2"])


@pytest.mark.blackbox
@pytest.mark.parametrize("space", ["", "mine"])
def test_a_tiny_autoencoder_has_the_space_of_the_autoencoder_that_it_imitates(
    space: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    kind, settings = SETTINGS["tiny"]
    blocks = dict.fromkeys(("encoder_block_out_channels", "decoder_block_out_channels"), (8, 8))
    counts = dict.fromkeys(("num_encoder_blocks", "num_decoder_blocks"), (1, 1))
    getattr(diffusers, kind)(**{**settings, **blocks, **counts, "latent_channels": 32}).save_pretrained(tmp_path)
    imitated = load_autoencoder(folders["kl32"], space=space)
    tiny = load_autoencoder(tmp_path, space=space, encoder=folders["kl32"])
    assert tiny.space == imitated.space
    assert described_space(tmp_path, space="mine", encoder=folders["kl32"]).name == "mine"
    z = imitated.encode(pictures())
    own = tiny.network.config
    expected = tiny.network.decode(z.values * 0.5 / own.scaling_factor + own.shift_factor).sample
    torch.testing.assert_close(tiny.decode(z), expected, rtol=0, atol=1e-6)
    with pytest.raises(BadInputError, match=r"4 channels and the factor 2, as in .*, found 32 channels"):
        load_autoencoder(tmp_path, space=space, encoder=folders["kl4"])


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            "",
            "space: expected one of sd1, .*, because .*AutoencoderTiny. does not say which .* imitates, found no value",
        ),
        ("mine", "space: expected one of sd1, .*, found mine"),
        (
            "sd1",
            "expected latents with 4 channels and the factor 8, as in the space sd1, found 16 channels",
        ),
    ],
)
def test_a_space_that_does_not_fit_is_refused(tmp_path: Path, space: str, said: str) -> None:
    kind, settings = SETTINGS["tiny"]
    getattr(diffusers, kind)(**{**settings, "latent_channels": 16}).save_pretrained(tmp_path)
    with pytest.raises(BadInputError, match=said):
        load_autoencoder(tmp_path, space=space)


@pytest.mark.property
def test_the_spaces_of_known_convention_have_different_names_and_are_recognised() -> None:
    from bench.models.autoencoders.space import known_name

    for name, space in KNOWN.items():
        assert space.name == name
        assert known_name(LatentSpace(**{**vars(space), "name": ""})) == name


def changed(folder: Path, kind: str, **settings: object) -> Path:
    """Write a tiny autoencoder, and change settings in its `config.json` afterwards."""
    tiny_autoencoder(kind).save_pretrained(folder)
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))
    return folder


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("kl4", {"scaling_factor": 0}, "scaling_factor: expected a number other than 0, found 0"),
        ("kl4", {"scaling_factor": None}, "scaling_factor: expected a finite number, found None"),
        ("dc", {"scaling_factor": "0.5"}, "scaling_factor: expected a finite number, found '0.5'"),
        ("consistency", {"scaling_factor": None}, "scaling_factor: expected a finite number, found None"),
        ("tiny", {"scaling_factor": None}, "expected settings with which the network encodes and decodes a picture"),
        ("rae", {"scaling_factor": 0}, "expected settings with which all values are finite, found NaN or infinite"),
        ("kl4_by_channel", {"latents_std": [0, 1, 1, 1]}, "expected standard deviations of latents above 0, found 0"),
        ("kl4_by_channel", {"latents_mean": [0.5]}, "expected 4 finite means of latents, found 1"),
        ("wan", {"latents_mean": None}, "expected settings with which the network encodes and decodes a picture"),
        ("wan", {"scale_factor_spatial": 4}, r"the latents have the shape \(1, 16, 2, 2\) and the decoded picture"),
        (
            "kl4",
            {"use_quant_conv": False},
            "expected only weights of the network that config.json describes, found also",
        ),
        ("kl4", {"mid_block_add_attention": False}, "expected only weights of the network that config.json describes"),
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(
    tmp_path: Path, kind: str, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        load_autoencoder(changed(tmp_path, kind, **settings), space=SPACES.get(kind, ""))


@pytest.mark.blackbox
def test_a_shard_without_a_tensor_of_the_index_is_refused(tmp_path: Path) -> None:
    tiny_autoencoder("kl4").save_pretrained(tmp_path, max_shard_size="40KB")
    for file in sorted(tmp_path.glob("*-of-*.safetensors")):
        whole = load_file(file)
        for name in list(whole)[::8]:
            save_file({key: value for key, value in whole.items() if key != name}, file, {"format": "pt"})
            with pytest.raises(
                BadInputError, match=f"expected the tensor {name}, which .* names, found no such tensor"
            ):
                load_autoencoder(tmp_path)
        save_file(whole, file, {"format": "pt"})
    load_autoencoder(tmp_path)


@pytest.mark.blackbox
def test_a_known_space_with_another_scaling_is_refused(tmp_path: Path) -> None:
    kind, settings = SETTINGS["kl4"]
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    deep = {**settings, **blocks, "block_out_channels": (4,) * 4, "scaling_factor": 0.13025}
    getattr(diffusers, kind)(**deep).save_pretrained(tmp_path)
    assert load_autoencoder(tmp_path).space.name == "sdxl"
    with pytest.raises(
        BadInputError,
        match=r"expected the scaling of the space sd1 .*, found another scaling \(scale 0\.13025, shift 0\)",
    ):
        load_autoencoder(tmp_path, space="sd1")


@pytest.mark.blackbox
def test_an_own_decoder_with_nan_weights_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    decoder = build_decoder("vanilla", channels=(8, 8), layers=1, groups=4)
    torch.nn.init.constant_(decoder.conv_in.weight, torch.nan)
    save_decoder(decoder, tmp_path)
    with pytest.raises(
        BadInputError, match=r"expected finite weights, found NaN or infinite weights in conv_in\.weight"
    ):
        load_autoencoder(tmp_path, encoder=folders["kl4"])


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(3, 32, 32), "pictures: expected a tensor of the shape any×3×any×any, found 3×32×32"),
        (torch.zeros(2, 1, 32, 32), "pictures: expected a tensor of the shape any×3×any×any, found 2×1×32×32"),
        (torch.zeros(0, 3, 32, 32), "pictures: expected a tensor of the shape any×3×any×any, found 0×3×32×32"),
        (
            torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
            "pictures: expected a float32, float16 or bfloat16 tensor .* any×3×any×any, found uint8",
        ),
        (
            torch.zeros(2, 3, 32, 32).numpy(),
            "pictures: expected a float32, float16 or bfloat16 tensor .* any×3×any×any, found ndarray",
        ),
    ],
)
def test_other_pictures_are_refused(folders: dict[str, Path], given: Any, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        loaded(folders, "kl4").encode(given)


@pytest.mark.blackbox
def test_latents_images_and_masks_of_other_shapes_are_refused(folders: dict[str, Path]) -> None:
    rae, asymmetric = loaded(folders, "rae"), loaded(folders, "asymmetric")
    with pytest.raises(BadInputError, match="latents: expected a tensor of the shape any×64×2×2, found 1×64×4×4"):
        rae.decode(Latents(torch.zeros(1, 64, 4, 4), rae.space))
    z, image = asymmetric.encode(pictures()), pictures()
    with pytest.raises(BadInputError, match="mask: expected a tensor of the shape 2×1×32×32, found 1×1×32×32"):
        asymmetric.decode(z, image, torch.zeros(1, 1, SIDE, SIDE))
    with pytest.raises(BadInputError, match="image: expected a tensor of the shape 2×3×32×32, found 2×3×16×16"):
        asymmetric.decode(z, pictures(16), torch.zeros(2, 1, SIDE, SIDE))
    with pytest.raises(BadInputError, match="image and mask: expected both or neither of them, found only one"):
        asymmetric.decode(z, image)
