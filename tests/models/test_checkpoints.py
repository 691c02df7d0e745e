"""Tests of every kind of decoder checkpoint against its source, of written files, and of wrong ones.

The authors' layout is written here from the names and shapes of their released code, and compared with diffusers' own
models (reference, to 1e-4 of scale).
"""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL, VQModel
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models import Decoder, DecoderConfig, build_decoder, load_decoder, save_decoder
from bench.models.layouts import find_decoder

Tensors = dict[str, Tensor]
WEIGHTS = "diffusion_pytorch_model.safetensors"
CHANNELS = (32, 64, 128, 128)
LEVELS = 4
SIZES = [(CHANNELS, 2), ((96, 192, 192, 192), 3), ((64, 128, 128, 128), 5)]
"""Settings of base and of wider and deeper decoders; a file alone has 32 groups, so widths are multiples of 32."""
BLOCK = ("norm1", "conv1", "norm2", "conv2")
ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def inputs(levels: int = LEVELS) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    side = 4 * 2 ** (levels - 1)
    mask = torch.zeros(2, 1, side, side)
    mask[:, :, side // 4 : side // 2, side // 8 :] = 1
    z = torch.randn(2, 4, 4, 4, generator=generator)
    return z, torch.rand(2, 3, side, side, generator=generator) * 2 - 1, mask


@torch.no_grad()
def shaken(module: nn.Module) -> nn.Module:
    """Return a module with different biases and normalisations, so that no two can be confused."""
    for parameter in module.parameters():
        if parameter.ndim == 1:
            parameter += 0.1 * torch.randn(parameter.shape)
    return module.eval()


def vanilla(channels: tuple[int, ...] = CHANNELS, layers: int = 1, groups: int = 32) -> AutoencoderKL:
    torch.manual_seed(0)
    levels = len(channels)
    return shaken(
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=channels,
            layers_per_block=layers,
            norm_num_groups=groups,
        )
    )


def asymmetric(channels: tuple[int, ...] = CHANNELS, layers: int = 2) -> AsymmetricAutoencoderKL:
    torch.manual_seed(0)
    return shaken(
        AsymmetricAutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * LEVELS,
            down_block_out_channels=(32, 32, 32, 32),
            up_block_types=("UpDecoderBlock2D",) * LEVELS,
            up_block_out_channels=channels,
            layers_per_up_block=layers,
        )
    )


def tiny(name: str = "base", **overrides: object) -> Decoder:
    torch.manual_seed(0)
    return shaken(build_decoder(name, **{"channels": (16, 32, 64), "groups": 4, **overrides}))


def assert_same_images(ours: nn.Module, source: nn.Module, *, conditioned: bool, levels: int = LEVELS) -> None:
    z, image, mask = inputs(levels)
    with torch.no_grad():
        for condition in ((), (image, mask)) if conditioned else ((),):
            expected = source(z, *condition)
            assert (ours(z, *condition) - expected).abs().max() <= 1e-4 * expected.abs().max()


def official_names(channels: tuple[int, ...], layers: int, *, conditioned: bool) -> dict[str, str]:
    """Return diffusers' name of each layer of a decoder by the authors' name."""
    names = {"conv_in": "conv_in", "norm_out": "conv_norm_out", "conv_out": "conv_out"}
    for part in BLOCK:
        names[f"mid.block_1.{part}"] = f"mid_block.resnets.0.{part}"
        names[f"mid.block_2.{part}"] = f"mid_block.resnets.1.{part}"
    for theirs, ours in ATTENTION.items():
        names[f"mid.attn_1.{theirs}"] = f"mid_block.attentions.0.{ours}"
    last = len(channels) - 1
    for level, width in enumerate(channels):
        up_block = f"up_blocks.{last - level}"
        for index in range(layers + 1):
            for part in BLOCK:
                names[f"up.{level}.block.{index}.{part}"] = f"{up_block}.resnets.{index}.{part}"
        if width != channels[min(level + 1, last)]:
            names[f"up.{level}.block.0.nin_shortcut"] = f"{up_block}.resnets.0.conv_shortcut"
        if level > 0:
            names[f"up.{level}.upsample.conv"] = f"{up_block}.upsamplers.0.conv"
    if conditioned:
        for index in range(len(channels) + 1):
            names[f"encoder.layers.{index}"] = f"condition_encoder.layers.{index}"
    return names


def official(state: Tensors, channels: tuple[int, ...], layers: int, *, conditioned: bool = True) -> Tensors:
    """Return a decoder's tensors in the authors' layout, with the transposed convolutions that are never called."""
    tensors = {}
    for theirs, ours in official_names(channels, layers, conditioned=conditioned).items():
        for kind in ("weight", "bias"):
            tensor = state[f"{ours}.{kind}"]
            convolution = theirs.startswith("mid.attn_1.") and tensor.ndim == 2
            tensors[f"{theirs}.{kind}"] = tensor[..., None, None] if convolution else tensor
    if conditioned:
        widths = [*channels, channels[-1]][::-1]
        for index in range(len(channels)):
            tensors[f"up_layers.{index}.deconv.weight"] = torch.empty(widths[index], widths[index + 1], 4, 4)
            tensors[f"up_layers.{index}.deconv.bias"] = torch.empty(widths[index + 1])
    return tensors


def first_stage_of(decoder: Tensors) -> Tensors:
    """Return the tensors with some other tensors of the authors' autoencoder."""
    return {
        **{f"decoder.{name}": tensor for name, tensor in decoder.items()},
        "encoder.conv_in.weight": torch.randn(32, 3, 3, 3),
        "encoder.up.weight": torch.randn(2),
        "quant_conv.weight": torch.randn(8, 8, 1, 1),
        "post_quant_conv.weight": torch.randn(4, 4, 1, 1),
        "loss.logvar": torch.zeros(()),
        "loss.perceptual_loss.lin0.model.1.weight": torch.randn(1, 64, 1, 1),
        "loss.discriminator.main.3.num_batches_tracked": torch.tensor(7),
    }


def whole_model_of(first_stage: Tensors) -> Tensors:
    """Return the tensors with some other tensors of Stable Diffusion's checkpoints."""
    return {
        **{f"first_stage_model.{name}": tensor for name, tensor in first_stage.items()},
        "model.diffusion_model.input_blocks.0.0.weight": torch.randn(8, 9, 3, 3),
        "model_ema.diffusion_modelinput_blocks00weight": torch.randn(8, 9, 3, 3),
        "model_ema.num_updates": torch.tensor(3),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "betas": torch.rand(1000),
        "logvar": torch.rand(1000),
    }


@pytest.fixture
def model_checkpoint(monkeypatch: pytest.MonkeyPatch) -> type:
    """Provide the class that Lightning writes as a key while a file is saved."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})  # type: ignore[attr-defined]
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    return module.ModelCheckpoint  # type: ignore[no-any-return]


def lightning(state: Tensors, model_checkpoint: type) -> dict[str, Any]:
    """Return the content that Lightning 1.4 saves around a state dict."""
    parameters = OmegaConf.create(
        {"embed_dim": 4, "ddconfig": {"ch_mult": [1, 2, 4, 4], "dropout": 0.0, "half": "${embed_dim}"}}
    )
    assert parameters.ddconfig.half == 4
    return {
        "epoch": 14,
        "global_step": 120_030,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": state,
        "callbacks": {model_checkpoint: {"monitor": "val/rec_loss", "best_model_score": torch.tensor(0.1)}},
        "optimizer_states": [
            {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": numpy.float64(1e-3)}]}
        ],
        "lr_schedulers": [{"base_lrs": numpy.ones(2), "_last_lr": [numpy.float64(0.5)], "lr_lambdas": [None]}],
        "hparams_name": "config",
        "hyper_parameters": parameters,
        "hparams_type": type(parameters),
    }


# --- the authors' layout ---------------------------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize(("channels", "layers"), SIZES)
def test_the_authors_checkpoint_gives_its_sources_images(
    channels: tuple[int, ...], layers: int, tmp_path: Path, model_checkpoint: type
) -> None:
    source = asymmetric(channels, layers)
    state = first_stage_of(official(source.decoder.state_dict(), channels, layers))
    torch.save(lightning(state, model_checkpoint), tmp_path / "larger.ckpt")
    before = set(torch.serialization.get_safe_globals())
    decoder = load_decoder(tmp_path / "larger.ckpt")
    assert decoder.config == DecoderConfig(channels, layers)
    assert not decoder.training
    assert_same_images(decoder, source.decoder, conditioned=True)
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.blackbox
@pytest.mark.parametrize("ending", ["ckpt", "bin", "old.pt", "third.pth", "safetensors"])
@pytest.mark.parametrize("within", ["decoder", "first stage", "whole model"])
def test_bare_state_dicts_of_any_extent_are_read(within: str, ending: str, tmp_path: Path) -> None:
    source = vanilla()
    state = official(source.decoder.state_dict(), CHANNELS, 1, conditioned=False)
    if within != "decoder":
        state = first_stage_of(state)
    if within == "whole model":
        state = whole_model_of(state)
    file = tmp_path / f"model.{ending}"
    if ending == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    else:
        protocol = 3 if ending == "third.pth" else 2
        torch.save(state, file, _use_new_zipfile_serialization=ending != "old.pt", pickle_protocol=protocol)
    decoder = load_decoder(file)
    assert decoder.config == DecoderConfig(CHANNELS, 1, conditioned=False)
    file.write_bytes(bytes(file.stat().st_size))  # what is loaded does not need its file any more
    assert_same_images(decoder, source.decoder, conditioned=False)


@pytest.mark.blackbox
def test_a_conditioned_decoder_in_a_whole_model_is_found(tmp_path: Path, model_checkpoint: type) -> None:
    source = asymmetric()
    state = whole_model_of(first_stage_of(official(source.decoder.state_dict(), CHANNELS, 2)))
    torch.save(lightning(state, model_checkpoint), str(tmp_path / "model.ckpt"))
    assert_same_images(load_decoder(str(tmp_path / "model.ckpt")), source.decoder, conditioned=True)


@pytest.mark.reference
def test_the_authors_names_are_mapped_like_by_diffusers(tmp_path: Path) -> None:
    """The file is read by diffusers' converter and by this project, which do not use this table of names."""
    source = vanilla()
    names = first_stage_of(official(source.decoder.state_dict(), CHANNELS, 1, conditioned=False))
    torch.save(names, tmp_path / "vae.ckpt")
    converted = convert_ldm_vae_checkpoint(dict(names), source.config)
    peer = vanilla().decoder
    peer.load_state_dict(
        {name.removeprefix("decoder."): tensor for name, tensor in converted.items() if name.startswith("decoder.")}
    )
    assert_same_images(load_decoder(tmp_path / "vae.ckpt"), peer, conditioned=False)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("name", "keys", "official_keys"), [("base", 148, 156), ("large", 180, 188), ("large_x2", 244, 252)]
)
def test_the_papers_decoders_are_recognised_by_their_keys(name: str, keys: int, official_keys: int) -> None:
    with torch.device("meta"):
        expected = build_decoder(name)
        state = expected.state_dict()
        theirs = official(state, expected.config.channels, expected.config.layers)
    assert (len(state), len(theirs)) == (keys, official_keys)
    for tensors in (state, theirs):
        stored = find_decoder(tensors, Path("paper"))
        assert DecoderConfig(**stored.sizes()) == expected.config
        stored.fill(expected)  # or it raises: not one name or shape is unlike


# --- diffusers' layout -----------------------------------------------------------------------------------------------


def old_attention(file: Path) -> None:
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = load_file(file)
    for new, old in names.items():
        for name in [name for name in state if f".{new}." in name]:
            state[name.replace(f".{new}.", f".{old}.")] = state.pop(name)
    assert not any(".to_" in name for name in state)
    save_file(state, file)


@pytest.mark.blackbox
@pytest.mark.parametrize("attention", ["new", "old"])
@pytest.mark.parametrize("kind", ["AsymmetricAutoencoderKL", "AutoencoderKL", "VQModel"])
def test_folders_of_diffusers_and_their_files_alone_are_read(kind: str, attention: str, tmp_path: Path) -> None:
    sources: dict[str, Callable[[], nn.Module]] = {
        "AsymmetricAutoencoderKL": asymmetric,
        "AutoencoderKL": vanilla,
        "VQModel": lambda: shaken(
            VQModel(
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                block_out_channels=(32, 64, 64),
                layers_per_block=2,
                latent_channels=4,
            )
        ),
    }
    torch.manual_seed(0)
    source = sources[kind]()
    source.save_pretrained(tmp_path)
    if attention == "old":
        old_attention(tmp_path / WEIGHTS)
    for path in (tmp_path, tmp_path / WEIGHTS):
        decoder = load_decoder(path)
        levels = len(decoder.config.channels)
        assert_same_images(decoder, source.decoder, conditioned=kind == "AsymmetricAutoencoderKL", levels=levels)


@pytest.mark.blackbox
def test_groups_are_read_from_the_configuration_and_half_precision_becomes_single(tmp_path: Path) -> None:
    source = vanilla((16, 32, 64), 2, groups=4).half()
    source.save_pretrained(tmp_path, safe_serialization=False)
    assert not (tmp_path / WEIGHTS).exists()
    decoder = load_decoder(tmp_path)
    assert decoder.config == DecoderConfig((16, 32, 64), 2, conditioned=False, groups=4)
    assert {parameter.dtype for parameter in decoder.parameters()} == {torch.float32}
    assert_same_images(decoder, source.float().decoder, conditioned=False, levels=3)


@pytest.mark.reference
@pytest.mark.parametrize("conditioned", [True, False])
def test_diffusers_loads_what_is_written_for_it(conditioned: bool, tmp_path: Path) -> None:
    vanilla((16, 32, 64, 64), 2, groups=8).save_pretrained(tmp_path / "first_stage")
    first_stage = AutoencoderKL.from_pretrained(tmp_path / "first_stage").eval()
    sizes = ((24, 48, 96, 96), 3) if conditioned else ((16, 32, 64, 64), 2)
    decoder = shaken(Decoder(DecoderConfig(*sizes, conditioned, groups=8))).to(memory_format=torch.channels_last)
    decoder.training_note, decoder.lineage = "5 + 7", {"seed": 1}
    save_decoder(decoder, tmp_path / "written", layout="diffusers", first_stage=first_stage)
    peer = (AsymmetricAutoencoderKL if conditioned else AutoencoderKL).from_pretrained(tmp_path / "written").eval()
    assert_same_images(decoder, peer.decoder, conditioned=conditioned)
    z, image, _ = inputs()
    with torch.no_grad():
        assert torch.equal(peer.encode(image).latent_dist.mean, first_stage.encode(image).latent_dist.mean)
        assert torch.equal(peer.post_quant_conv(z), first_stage.post_quant_conv(z))
    assert peer.config.scaling_factor == first_stage.config.scaling_factor
    assert_equal(load_decoder(tmp_path / "written"), decoder)
    assert str(tmp_path) not in (tmp_path / "written" / "config.json").read_text()


@pytest.mark.blackbox
def test_decoders_unknown_to_diffusers_are_not_written_for_it(tmp_path: Path) -> None:
    first_stage, three_levels = vanilla((16, 32, 64, 64), 2, groups=4), vanilla((16, 32, 64), 2, groups=4)
    channels = (16, 32, 64, 64)
    refused: list[tuple[Decoder, AutoencoderKL | None, str]] = [
        (tiny(channels=channels, blending="concat"), first_stage, "blending=concat and branch=plain"),
        (tiny(channels=channels, branch="partial"), first_stage, "blending=add and branch=partial"),
        (tiny(channels=channels), None, "first_stage: expected an autoencoder"),
        (tiny(channels=channels, groups=8), first_stage, "stores one number for both, found 8 and 4"),
        (tiny(), three_levels, "condition_encoder.layers.4"),
        (tiny("vanilla", channels=channels, layers=3), first_stage, "unexpected"),
        (tiny(channels=channels, latent_channels=8), first_stage, "decoder.conv_in.weight"),
    ]
    for decoder, stage, message in refused:
        with pytest.raises(ValueError, match=message):
            save_decoder(decoder, tmp_path / "refused", layout="diffusers", first_stage=stage)
    with pytest.raises(ValueError, match="layout: expected 'own' or 'diffusers', found 'safetensors'"):
        save_decoder(tiny(), tmp_path / "refused", layout="safetensors")
    assert not (tmp_path / "refused").exists()


# --- our own layout --------------------------------------------------------------------------------------------------


def assert_equal(first: Decoder, second: Decoder) -> None:
    assert first.config == second.config
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (first.training_note, first.lineage) == (second.training_note, second.lineage)


@pytest.mark.property
@pytest.mark.parametrize("branch", ["plain", "partial"])
@pytest.mark.parametrize("blending", ["add", "concat"])
@pytest.mark.parametrize("name", ["base", "vanilla"])
def test_our_own_layout_is_read_back_unchanged(name: str, blending: str, branch: str, tmp_path: Path) -> None:
    decoder = tiny(name, blending=blending, branch=branch, latent_channels=3)
    decoder.training_note, decoder.lineage = "5 + 7", {"seed": 1, "parents": ["vanilla"]}
    save_decoder(decoder, tmp_path / "new" / "folder")
    random = torch.get_rng_state()
    loaded = load_decoder(str(tmp_path / "new" / "folder"))
    assert torch.equal(torch.get_rng_state(), random)
    assert_equal(loaded, decoder)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.blackbox
def test_a_folder_from_before_concatenation_existed_is_read(tmp_path: Path) -> None:
    decoder = tiny()
    save_decoder(decoder, tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    for name in ("blending", "branch", "_lineage"):
        del settings[name]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert_equal(load_decoder(tmp_path), decoder)


@pytest.mark.blackbox
def test_concatenation_is_recognised_by_the_weights_alone(tmp_path: Path) -> None:
    decoder = tiny(channels=(32, 64), groups=32, blending="concat")
    save_decoder(decoder, tmp_path)
    assert_equal(load_decoder(tmp_path / WEIGHTS), decoder)


# --- files that are wrong --------------------------------------------------------------------------------------------


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"channels": [16, 32, 32]}, r"channels=\(16, 32, 64\) instead of \(16, 32, 32\)"),
        ({"layers": 3}, "layers=2 instead of 3"),
        ({"conditioned": False}, "conditioned=True instead of False"),
        (
            {"latent_channels": 8, "blending": "concat"},
            "latent_channels=4 instead of 8; blending=add instead of concat",
        ),
        ({"groups": 3}, "channels: expected a multiple of 3, .* found 16"),
        ({"groups": "many"}, "whole number of normalisation groups, found 'many'"),
        ({"branch": "gated"}, "branch: expected one of plain, partial"),
        ({"depth": 3}, "expected only keys of a decoder's configuration, found also the keys depth"),
        ({"_class_name": "UNet2DConditionModel"}, "expected one of Decoder.*found UNet2DConditionModel"),
        ({"_class_name": "AutoencoderKL"}, "conditioned=True instead of False"),
        ({"_class_name": "AutoencoderKL", "act_fn": "gelu"}, "act_fn: expected silu, found gelu"),
    ],
)
def test_a_configuration_that_contradicts_the_weights_is_refused(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    save_decoder(tiny(), tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    with pytest.raises(BadInputError, match=says) as caught:
        load_decoder(tmp_path)
    assert str(config) in str(caught.value)


@pytest.mark.blackbox
def test_an_asymmetric_autoencoder_without_its_branch_is_refused(tmp_path: Path) -> None:
    asymmetric().save_pretrained(tmp_path)
    state = load_file(tmp_path / WEIGHTS)
    save_file({name: tensor for name, tensor in state.items() if "condition_encoder" not in name}, tmp_path / WEIGHTS)
    with pytest.raises(
        BadInputError, match=r"weights that fit .*config\.json, found weights with conditioned=False instead of True"
    ):
        load_decoder(tmp_path)


def change(state: Tensors, how: str, name: str) -> None:
    if how == "missing":
        del state[name]
    elif how == "unexpected":
        state[name] = torch.zeros(1)
    elif how == "scalar":
        state[name] = torch.zeros(())
    elif how == "of another shape":
        state[name] = state[name][1:]
    else:
        state[name] = state[name].int()


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("how", "name", "says"),
    [
        ("missing", "decoder.mid.attn_1.q.weight", r"1 missing \(decoder\.mid\.attn_1\.q\.weight\)"),
        ("missing", "decoder.up.3.block.1.conv1.weight", r"1 missing \(decoder\.up\.3\.block\.1\.conv1\.weight\)"),
        ("missing", "decoder.conv_in.weight", r"1 missing \(decoder\.conv_in\.weight\)"),
        ("missing", "decoder.encoder.layers.4.bias", r"1 missing \(decoder\.encoder\.layers\.4\.bias\)"),
        ("unexpected", "decoder.up.3.attn.0.q.weight", r"1 unexpected \(decoder\.up\.3\.attn\.0\.q\.weight\)"),
        ("unexpected", "denoiser.weight", r"1 unexpected \(denoiser\.weight\)"),
        ("unexpected", "decoders.weight", r"1 unexpected \(decoders\.weight\)"),
        (
            "of another shape",
            "decoder.norm_out.bias",
            r"1 of another shape \(.*norm_out\.bias should be \(32,\) and is \(31,\)",
        ),
        (
            "scalar",
            "decoder.up.3.block.0.conv1.weight",
            r"1 of another shape \(.*block\.0\.conv1.*\(128, 128, 3, 3\) and is \(\)",
        ),
        ("scalar", "decoder.conv_in.weight", r"1 of another shape \(.*conv_in.*\(128, 4, 3, 3\) and is \(\)"),
        ("of another type", "decoder.conv_out.bias", r"1 of another type \(decoder\.conv_out\.bias is torch\.int32"),
    ],
)
def test_a_tensor_that_is_wrong_is_named_as_the_file_names_it(how: str, name: str, says: str, tmp_path: Path) -> None:
    source = Decoder(DecoderConfig(CHANNELS, 1))
    state = first_stage_of(official(source.state_dict(), CHANNELS, 1))
    file = tmp_path / "model.ckpt"
    torch.save(state, file)
    load_decoder(file)
    change(state, how, name)
    torch.save(state, file)
    message = rf"model\.ckpt: expected weights that fit the network, found differences: {says}"
    with pytest.raises(BadInputError, match=message) as caught:
        load_decoder(file)
    assert ";" not in str(caught.value)


@pytest.mark.blackbox
def test_the_first_of_many_wrong_tensors_are_named_with_their_number(tmp_path: Path) -> None:
    source = tiny()
    save_decoder(source, tmp_path)
    state = source.state_dict()
    others = {f"x{name}" if name.startswith("mid_block.") else name: tensor for name, tensor in state.items()}
    others["conv_out.bias"] = torch.zeros(4)
    save_file(others, tmp_path / WEIGHTS)
    with pytest.raises(BadInputError) as caught:
        load_decoder(tmp_path)
    count = sum(name.startswith("mid_block.") for name in state)
    first = "mid_block.attentions.0.group_norm.bias, mid_block.attentions.0.group_norm.weight, "
    assert f"{count} missing ({first}mid_block.attentions.0.to_k.bias, ...)" in str(caught.value)
    assert f"{count} unexpected (xmid_block." in str(caught.value)
    assert "1 of another shape (conv_out.bias should be (3,) and is (4,))" in str(caught.value)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("model.diffusion_model.out.0.weight", "cond_stage_model.x.bias", "betas"), "found 3 other tensors"),
        (
            ("conv_in.weight", "down_blocks.0.resnets.0.conv1.weight", "up_blocks.0.resnets.0.conv1.weight"),
            "found 3 other tensors",
        ),
        (
            ("first_stage_model.encoder.conv_in.weight", "first_stage_model.quant_conv.weight"),
            "2 begin with first_stage_model",
        ),
        (("decoder.block.0.layer.0.weight",), "expected a decoder with residual blocks, found no such block"),
        (
            ("decoder.up.0.block.0.conv1.weight", "decoder.up.2.block.0.conv1.weight"),
            "found such blocks only at the levels 0, 2",
        ),
        ((), "found 0 other tensors"),
    ],
)
def test_a_file_without_a_decoder_is_refused_and_its_content_is_named(
    names: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.ckpt"
    torch.save({"state_dict": {name: torch.zeros(32, 32, 3, 3) for name in names}}, file)
    with pytest.raises(BadInputError, match=says) as caught:
        load_decoder(file)
    assert str(file) in str(caught.value)


@pytest.mark.blackbox
def test_missing_paths_and_other_endings_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere: expected a weight file, found no such file"):
        load_decoder(tmp_path / "nowhere")
    with pytest.raises(
        BadInputError, match=r"config\.json: expected a file with the settings of a network, found no such file"
    ):
        load_decoder(tmp_path)
    (tmp_path / "model.txt").touch()
    with pytest.raises(
        BadInputError, match=r"model\.txt: expected a name with one of the endings \.safetensors, .* found \.txt"
    ):
        load_decoder(tmp_path / "model.txt")
    save_decoder(tiny(), tmp_path)
    with pytest.raises(BadInputError, match=r"read with 32 groups: channels: expected a multiple of 32, .* found 16"):
        load_decoder(tmp_path / WEIGHTS)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(BadInputError, match=rf"{WEIGHTS}: expected a weight file, found no such file"):
        load_decoder(tmp_path)


@pytest.mark.blackbox
def test_a_lineage_that_is_no_object_is_refused(tmp_path: Path) -> None:
    save_decoder(Decoder(DecoderConfig(channels=(8, 16), layers=1, groups=4)), tmp_path / "decoder")
    file = tmp_path / "decoder" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "_lineage": "../../escaped"}))
    with pytest.raises(BadInputError, match=r"config\.json: _lineage: expected an object, found '\.\./\.\./escaped'"):
        load_decoder(tmp_path / "decoder")
