"""Tests of the leaderboard on shipped weights and few items."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from diffusers import AutoencoderKL

import bench
from bench.cli import main
from bench.evaluation import finite
from tests.helpers.commands import refused

ITEMS = 10
THREE = "mini_kl,mini_base,own"
MINI = Path(bench.__file__).parent / "assets" / "mini"
FIRST_STAGE = MINI / "inpainting" / "vae"


def words(folder: Path, out: str, *extra: str, vae: str = "mini_kl,mini_base") -> list[str]:
    few = [f"limit={ITEMS}", "device=cpu", "profile.fid_minimum=4", f"vae=[{vae}]"]
    places = [f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}", f"out={folder / out}"]
    return ["experiment=leaderboard", *few, *places, *extra]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `first`, a leaderboard of two spaces, one of which is a random autoencoder of factor 2."""
    folder = tmp_path_factory.mktemp("leaderboard")
    torch.manual_seed(0)
    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    random = AutoencoderKL(
        down_block_types=down, up_block_types=up, block_out_channels=(8, 16), norm_num_groups=4, latent_channels=16
    )
    random.save_pretrained(folder / "random")
    bench.run(words(folder, "first", *another(folder), vae=THREE))
    return folder


def another(folder: Path) -> list[str]:
    own = ["vaes.own.label=Random", f"vaes.own.path={folder / 'random'}", "vaes.own.precisions=[float32,float16]"]
    return [*own, "vaes.mini_kl.precisions=[float32]"]


def board(folder: Path, out: str = "first") -> pandas.DataFrame:
    return pandas.read_csv(folder / out / "leaderboard.csv").set_index("row")


@pytest.mark.blackbox
@pytest.mark.slow
def test_every_decoder_mask_and_precision_is_a_row(folder: Path) -> None:
    found = board(folder)
    assert list(found.index) == [
        "mini_kl", "mini_base_mask", "mini_base_nomask", "own", "own_float16",
    ]  # fmt: skip
    assert found["space"].tolist() == ["mini-kl"] * 3 + ["own"] * 2
    assert found["factor"].tolist() == [4] * 3 + [2] * 2
    assert found["channels"].tolist() == [4] * 3 + [16] * 2
    assert found["values_per_pixel"].tolist() == [0.25] * 3 + [4.0] * 2
    assert found["reason"].isna().all()


@pytest.mark.blackbox
@pytest.mark.slow
def test_paired_differences_are_those_of_the_records(folder: Path) -> None:
    run = folder / "first" / "mini-kl"
    records = pandas.read_parquet(run / "records.parquet").pivot(index="item", columns="row", values="psnr")
    difference = (records["mini_base_mask"] - records["mini_kl"]).mean()
    table = pandas.read_csv(run / "table.csv").set_index("row")["psnr"]
    assert table["mini_base_mask"] - table["mini_kl"] == pytest.approx(difference, abs=1e-6)
    shown = (run / "table.md").read_text()
    assert f"+{difference:.2f}" in shown


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_board_has_the_numbers_of_the_spaces(folder: Path) -> None:
    found = board(folder)
    for space in ("mini-kl", "own"):
        table = pandas.read_csv(folder / "first" / space / "table.csv").set_index("row")
        for metric in ("fid", "kid", "psnr", "ssim", "lpips"):
            np.testing.assert_allclose(found.loc[table.index, metric], table[metric], rtol=1e-12)
    assert (found["parameters"] > 0).all()
    assert (found["seconds_per_image"] > 0).all()
    text = (folder / "first" / "leaderboard.md").read_text()
    assert text.index("Factor 2") < text.index("Factor 4")
    assert "**" not in text
    for name in ("leaderboard.png", "index.html", "run.json", "leaderboard.json", "mini-kl/report.html"):
        assert (folder / "first" / name).is_file()


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_row_that_overflows_has_no_numbers_but_a_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = folder / "random" / "diffusion_pytorch_model.safetensors"
    loud = AutoencoderKL.from_pretrained(folder / "random")
    with torch.no_grad():  # its values are far above the largest number of float16
        loud.decoder.conv_out.weight.mul_(1e7)
    loud.save_pretrained(folder / "loud")
    assert weights.is_file()
    own = ["vaes.own.label=Loud", f"vaes.own.path={folder / 'loud'}", "vaes.own.precisions=[float32,float16]"]
    bench.run(words(folder, "loud_run", *own, "stage=tabulate", vae="own"))
    found = board(folder, "loud_run")
    assert found.loc["own_float16", "reason"] == f"{ITEMS} of {ITEMS} images contain NaN or infinite values"
    assert np.isnan(found.loc["own_float16", "psnr"])
    assert not np.isnan(found.loc["own", "psnr"])
    notes = json.loads((folder / "loud_run" / "leaderboard.json").read_text())["notes"]
    assert any("Loud, float16: 10 of 10 images" in note for note in notes)


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_second_run_encodes_and_decodes_nothing(folder: Path) -> None:
    bench.run(words(folder, "second", *another(folder), "stage=tabulate", vae=THREE))
    for space in ("mini-kl", "own"):
        run = json.loads((folder / "second" / space / "run.json").read_text())
        assert run["latents"]["sampled"] == 0
    pandas.testing.assert_series_equal(board(folder, "second")["psnr"], board(folder)["psnr"])


@pytest.mark.blackbox
@pytest.mark.slow
def test_the_gate_passes_for_the_same_leaderboard(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.gate.command import main as compare

    assert compare([str(folder / "first"), str(folder / "first")]) == 0
    assert "pass: 40 within their margins" in " ".join(capsys.readouterr().out.split())


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["vae=[]"], "vae: expected a list of at least one autoencoder, found an empty list"),
        (["vaes.mini_kl.precisions=[int8]"], "vaes.mini_kl.precisions"),
        (["vaes.mini_kl.path=/nowhere"], "/nowhere"),
        (["vaes.mini_base.space=sdxl"], "sdxl"),
        (["vaes.mini_base.space=../escaped"], "vaes.mini_base.space: expected a name of letters"),
        (["vaes.mini_kl.precisions=[float16]", "vae=[mini_kl]"], "vaes.mini_kl.precisions: expected float32"),
        (["dataset.crop_offset=3"], "dataset.crop_offset: expected 0, because only dataset.fit=crop"),
        (["profile.resolution=62"], "expected pictures whose side is a multiple of 4, found profile.resolution=62"),
    ],
)
def test_bad_input_is_refused_with_one_message(
    tmp_path: Path, extra: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(words(tmp_path, "out", *extra), capsys)
    assert said in message
    assert not (tmp_path / "out").exists()


def variant(folder: Path, name: str, **settings: object) -> Path:
    """Save an autoencoder with the sizes of the mini first stage but random weights, and return its folder."""
    torch.manual_seed(1)
    config = {**AutoencoderKL.load_config(FIRST_STAGE), **settings}
    AutoencoderKL.from_config(config).save_pretrained(folder / name)
    return folder / name


@pytest.mark.blackbox
def test_a_space_has_only_the_latents_of_one_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random, scaled = variant(tmp_path, "random"), variant(tmp_path, "scaled", scaling_factor=0.5)
    other = f"expected an encoder with the weights of {FIRST_STAGE}"
    for path, said in ((random, other), (scaled, "expected latents like those of vaes.mini_kl")):
        own = ["vaes.own.space=mini-kl", f"vaes.own.path={path}"]
        message = refused(words(tmp_path, "out", *own, vae="mini_kl,own"), capsys)
        assert f"vaes.own.space: {path}: {said}" in message
    message = refused(words(tmp_path, "out", f"vaes.mini_base.encoder={random}"), capsys)
    assert f"vaes.mini_base.space: {random}: {other}" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
def test_a_relative_path_of_an_encoder_names_its_space(tmp_path: Path) -> None:
    # A decoder without a row in float32 passes the check only in the space of an autoencoder that has such a row.
    own = [f"vaes.own.path={MINI / 'base'}", "vaes.own.precisions=[bfloat16]"]
    relative = f"vaes.own.encoder={os.path.relpath(FIRST_STAGE)}"
    assert main(words(tmp_path, "out", *own, relative, "stage=check", vae="mini_kl,own")) == 0


@pytest.mark.blackbox
def test_names_that_mean_two_things_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "vae").mkdir()
    for name in ("mini_kl_bfloat16", "mini-kl"):
        text = f"# @package vaes.{name}\nlabel: x\npath: {FIRST_STAGE}\n"
        (tmp_path / "vae" / f"{name}.yaml").write_text(text)
    more = ["--config-dir", str(tmp_path)]
    message = refused([*words(tmp_path, "out", vae="mini_kl,mini_kl_bfloat16"), *more], capsys)
    assert "found the row mini_kl_bfloat16 of both mini_kl and mini_kl_bfloat16" in message
    message = refused([*words(tmp_path, "out", vae="mini_kl,mini-kl"), *more], capsys)
    assert "vaes.mini-kl.space: expected the name of a space, because another autoencoder declares" in message


@pytest.mark.blackbox
def test_weights_of_the_last_space_are_read_before_the_first_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = variant(tmp_path, "broken")
    network = AutoencoderKL.from_pretrained(broken)
    network.decoder.conv_out.bias.data[0] = float("nan")
    network.save_pretrained(broken)
    assert main(words(tmp_path, "out", f"vaes.own.path={broken}", vae="mini_kl,own")) == 2
    message = capsys.readouterr().err
    assert message.count("found NaN or infinite weights in decoder.conv_out.bias") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.blackbox
@pytest.mark.slow
def test_nothing_of_another_leaderboard_stays_in_the_folder(folder: Path) -> None:
    shutil.copytree(folder / "first", folder / "replaced")
    assert (folder / "replaced" / "leaderboard.png").is_file()
    assert (folder / "replaced" / "own").is_dir()
    only = ["vaes.mini_kl.precisions=[float32]", "costs=false", "stage=tabulate", "overwrite=true"]
    bench.run(words(folder, "replaced", *only, vae="mini_kl"))
    assert not (folder / "replaced" / "own").exists()
    assert not (folder / "replaced" / "leaderboard.png").exists()


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_lack_of_memory_is_no_property_of_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ["vaes.mini_kl.precisions=[float32,bfloat16]", "limit=4", "costs=false", "stage=tabulate"]
    with monkeypatch.context() as patched:
        patched.setattr(finite, "image_of", lambda method, batch: lacking())
        assert main(words(tmp_path, "out", *few, vae="mini_kl")) == 1
    assert board(tmp_path, "out")["reason"].str.startswith("out of memory").all()
    bench.run(words(tmp_path, "out", *few, vae="mini_kl"))
    assert board(tmp_path, "out")["psnr"].notna().all()


def lacking() -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


@pytest.mark.blackbox
def test_the_stage_prepare_encodes_nothing(tmp_path: Path) -> None:
    bench.run(words(tmp_path, "out", "stage=prepare", vae="mini_kl"))
    assert (tmp_path / "store" / "items").is_dir()
    assert not (tmp_path / "store" / "latents").exists()


@pytest.mark.blackbox
def test_the_check_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = words(tmp_path, "out", "profile=paper", f"paths.weights={tmp_path}", "stage=check", vae="sdxl,taesdxl")
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "vaes.sdxl.path" in message
    assert "madebyollin/taesdxl" in message


@pytest.mark.slow
@pytest.mark.blackbox
def test_a_decoder_trained_for_16_channels_copies_known_pixels_better_than_the_vanilla_one(tmp_path: Path) -> None:
    first_stage, trained = MINI / "kl16_first_stage", tmp_path / "trained"
    places = [f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}", "device=cpu"]
    sizes = "profile.decoder_sizes.channels=[16,32,64,64]"
    start = [f"first_stage={first_stage}", f"start={MINI / 'kl16_vanilla'}", sizes, "training.steps=300"]
    bench.run(["experiment=train_decoder", "decoder=base", *start, *places, f"out={trained}"])
    own = [f"vaes.own.path={trained / 'decoder'}", f"vaes.own.encoder={first_stage}", "vaes.own.space=mini-kl16"]
    board_words = ["experiment=leaderboard", "vae=[mini_kl16,own]", "limit=128", "stage=tabulate", *own, *places]
    bench.run([*board_words, f"out={tmp_path / 'board'}"])
    records = pandas.read_parquet(tmp_path / "board" / "mini-kl16" / "records.parquet")
    errors = records.pivot(index="item", columns="row", values="pre_error")
    change = errors["own_mask"] - errors["mini_kl16"]
    # The pictures are independent of each other, so this is the standard error of the mean.
    assert change.mean() + 4 * change.std() / len(change) ** 0.5 < 0
    assert list(board(tmp_path, "board").index) == ["mini_kl16", "own_mask", "own_nomask"]
