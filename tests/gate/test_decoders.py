"""Tests of the comparison of two decoders: equal ones differ by 0, and noise, NaN and other spaces are noticed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from bench.console import main as asymbench
from bench.errors import BadInputError
from bench.gate.decision import Verdict
from bench.gate.decoder_command import main
from bench.gate.decoder_pictures import decoder_pictures
from bench.gate.decoders import DecoderOutcome, DecoderSettings, DecoderUse, compare_decoders
from bench.gate.margins import DECODERS, DIFFERENCES, Margin
from bench.models import load_autoencoder
from bench.models.autoencoders.adapters import ADAPTERS
from tests.models.tiny_autoencoders import SETTINGS, tiny_autoencoder

pytestmark = pytest.mark.blackbox

MINI = Path(__file__).parents[2] / "bench" / "assets" / "mini"
VAE = MINI / "inpainting" / "vae"
PASS, BAD_INPUT, REGRESSION, CANNOT_TELL = 0, 2, 3, 4
QUICK = ("--size", "64", "--limit", "8", "--device", "cpu")
SMALL = DecoderSettings(size=64, limit=8, device="cpu")


def changed(folder: Path, change: Callable[[torch.nn.Module], None], vae: Path = VAE) -> Path:
    """Save a copy of the mini profile's autoencoder after a change of its weights."""
    network = diffusers.AutoencoderKL.from_pretrained(vae)
    with torch.no_grad():
        change(network)
    network.save_pretrained(folder)
    return folder


def noisy(share: float, seed: int = 0) -> Callable[[torch.nn.Module], None]:
    """Return a function that multiplies each weight of a decoder by 1 plus noise of the given size."""

    def change(network: torch.nn.Module) -> None:
        generator = torch.Generator().manual_seed(seed)
        for part in (network.decoder, network.post_quant_conv):
            for values in part.parameters():
                values.mul_(1 + share * torch.randn(values.shape, generator=generator))

    return change


def numbers(found: DecoderOutcome) -> dict[str, float]:
    return {one.metric: one.new for one in found.outcome.comparisons}


def ends(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run the command, and return its status and what it printed as one line."""
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, " ".join((captured.out + captured.err).split())


def test_a_decoder_compared_with_itself_differs_by_exactly_0(tmp_path: Path) -> None:
    shutil.copytree(VAE, tmp_path / "copy")
    found = compare_decoders(VAE, tmp_path / "copy", SMALL)
    assert found.outcome.verdict.status == PASS
    assert found.identical_expected
    assert found.psnr_between is None
    assert set(numbers(found)) == set(DECODERS)
    for one in found.outcome.comparisons:
        assert one.change == 0
        assert (one.new, one.allowed) == (0, 0) or one.metric not in DIFFERENCES


def test_the_command_prints_every_number_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = ends(capsys, VAE, VAE, *QUICK)
    assert status == PASS
    for name in DECODERS:
        assert f"pass vae, float32 {name} " in shown
    assert "no difference is tolerated" in shown
    assert "pass: 9 within their margins" in shown


def test_bfloat16_has_a_finite_difference_that_is_not_0() -> None:
    found = compare_decoders(VAE, VAE, DecoderSettings(size=64, limit=8, new=DecoderUse("bfloat16"), device="cpu"))
    assert found.outcome.verdict is not Verdict.REGRESSION  # eight pictures can be too few for a pass
    assert not found.identical_expected
    assert 0 < numbers(found)["largest_difference"] < DIFFERENCES["largest_difference"].amount
    assert 0 < numbers(found)["squared_difference"] < 1
    assert found.psnr_between == pytest.approx(10 * np.log10(255**2 / numbers(found)["squared_difference"]))
    assert any("asks for float32" in note for note in found.outcome.notes)  # the configuration has force_upcast


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_one_percent_on_the_weights_is_a_regression(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = ends(capsys, VAE, changed(tmp_path / "noisy", noisy(0.01, seed)), "--size", "64", "--device", "cpu")
    assert status == REGRESSION
    assert "regression noisy, float32" in shown


def test_noise_of_a_thousandth_of_a_percent_passes(tmp_path: Path) -> None:
    found = compare_decoders(VAE, changed(tmp_path / "noisy", noisy(1e-5)), SMALL)
    assert found.outcome.verdict.status == PASS
    assert not found.identical_expected


def test_a_shift_of_one_colour_is_found_in_its_channel_and_direction(tmp_path: Path) -> None:
    def darker(network: torch.nn.Module) -> None:
        network.decoder.conv_out.bias[1] -= 2 * 2 / 255

    found = compare_decoders(VAE, changed(tmp_path / "darker", darker), SMALL)
    shift = {one.metric: one for one in found.outcome.comparisons if one.metric.startswith("colour_shift")}
    assert shift["colour_shift_green"].new == pytest.approx(-2, abs=0.1)
    assert shift["colour_shift_green"].verdict is Verdict.REGRESSION
    low, high = shift["colour_shift_green"].ci95 or (0, 0)
    assert low < shift["colour_shift_green"].new < high < 0
    assert shift["colour_shift_red"].new == shift["colour_shift_blue"].new == 0


def test_an_interval_on_both_sides_of_the_margin_cannot_tell() -> None:
    use = DecoderUse("bfloat16")
    wide = compare_decoders(VAE, VAE, DecoderSettings(size=64, limit=8, new=use, device="cpu"))
    middle = numbers(wide)["squared_difference"]
    margins = {"squared_difference": Margin(middle, relative=False)}
    found = compare_decoders(VAE, VAE, DecoderSettings(size=64, limit=8, new=use, margins=margins, device="cpu"))
    (one,) = (one for one in found.outcome.comparisons if one.metric == "squared_difference")
    assert one.verdict is Verdict.CANNOT_TELL
    assert found.outcome.verdict.status == CANNOT_TELL


def test_margins_decide_and_any_leaves_a_number_out(capsys: pytest.CaptureFixture[str]) -> None:
    half = (VAE, VAE, *QUICK, "--new-precision", "bfloat16", "--margin")
    assert ends(capsys, *half, "largest_difference=0")[0] == REGRESSION
    others = [f"{name}=any" for name in DIFFERENCES if name != "squared_difference"]
    status, shown = ends(capsys, *half, *others, "squared_difference=4", "psnr=5%", "ssim=5%", "lpips=20%")
    assert status == PASS
    assert "largest_difference is not compared, because its margin is any" in shown


def test_another_space_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        tiny_autoencoder("kl4", seed).save_pretrained(tmp_path / f"kl{seed}")
    names = [load_autoencoder(tmp_path / f"kl{seed}").space.name for seed in (0, 1)]
    status, shown = ends(capsys, tmp_path / "kl0", tmp_path / "kl1", *QUICK)
    assert status == BAD_INPUT
    assert f"expected a decoder of the space {names[0]}" in shown
    assert f"found the space {names[1]}" in shown


def test_weights_of_nan_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(network: torch.nn.Module) -> None:
        network.decoder.conv_in.weight[0, 0, 0, 0] = torch.nan

    status, shown = ends(capsys, VAE, changed(tmp_path / "broken", broken), *QUICK)
    assert status == BAD_INPUT
    assert "expected finite weights" in shown
    assert "decoder.conv_in.weight" in shown


def test_infinite_values_of_float16_are_a_regression_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights are finite in float32, and a normalisation cancels their size. In float16 they overflow."""

    def large(network: torch.nn.Module) -> None:
        network.decoder.conv_in.weight.mul_(1e6)

    folder = changed(tmp_path / "large", large)
    status, shown = ends(capsys, folder, folder, *QUICK, "--new-precision", "float16", "--json", tmp_path / "a.json")
    assert status == REGRESSION
    assert "NEW made NaN or infinite values in 8 of 8 pictures; float16 has no number above 65504" in shown
    written = json.loads((tmp_path / "a.json").read_text())
    assert [(one["metric"], one["new"]) for one in written["comparisons"]] == [("broken_pictures", 8)]
    assert ends(capsys, folder, folder, *QUICK, "--old-precision", "float16")[0] == BAD_INPUT


def test_tiles_of_diffusers_change_the_pictures_and_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    """The attention and the normalisations of the mini autoencoder see the whole picture, so its tiles differ."""
    status, shown = ends(capsys, VAE, VAE, *QUICK, "--new-tile", "32")
    assert status == REGRESSION
    assert "vae, float32, tiles of 32" in shown


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in ("rae", "tiny", "flux2", "wan", "qwen")])
def test_an_autoencoder_either_decodes_in_tiles_or_says_that_it_cannot(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_autoencoder(name).save_pretrained(tmp_path / name)
    status, shown = ends(
        capsys, tmp_path / name, tmp_path / name, "--size", "64", "--limit", "2", "--device", "cpu", "--new-tile", "32"
    )
    if name in ("asymmetric", "vq", "consistency"):
        assert (status, "NEW: tiles: expected a decoder that can decode in tiles" in shown) == (BAD_INPUT, True)
    else:
        assert status in (PASS, REGRESSION, CANNOT_TELL), shown
        assert "tiles of 32 largest_difference 0 0 " not in shown


@pytest.mark.parametrize("name", ["qwen", "flux2", "tiny"])
def test_tiles_of_other_classes_have_the_size_that_was_asked_for(name: str) -> None:
    network = tiny_autoencoder(name)
    adapter = ADAPTERS[type(network).__name__]
    space = adapter.space_of(network)
    autoencoder = adapter(network, space)
    z = torch.randn((1, space.channels, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = autoencoder.decoded(z, None, None, ())
        autoencoder.use_tiles(8 * space.factor)
        parts = autoencoder.decoded(z, None, None, ())
    assert parts.shape == whole.shape
    assert not torch.equal(parts, whole)
    assert torch.isfinite(parts).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--new-tile", "64"], "NEW: tiles: expected a side below that of the pictures, which is 64, found 64"),
        (["--old-tile", "30"], "OLD: tiles: expected a side that is a multiple of 4 and at least 16 pixels, found 30"),
        (["--new-precision", "float8"], "new precision: expected one of float32, bfloat16, float16, found float8"),
        (["--new-compile", "fast"], "new compile: expected one of default"),
        (["--new-compile", "reduce-overhead"], "expected a GPU, which CUDA graphs need"),
        (["--margin", "fid=1"], "margin of fid: expected one of largest_difference"),
        (["--margin", "psnr=x"], "--margin psnr=x: expected a number"),
        (["--measures", "clip"], "measures: expected one of mini, default, found clip"),
        (["--limit", "1"], "limit: expected 2 or more"),
        (["--size", "65"], "size: expected a multiple of 4"),
        (["--encoder", str(VAE)], "encoder: expected none"),
        (["--pictures", "nowhere"], "pictures: expected a folder of pictures, found nothing at nowhere"),
        (["--space", "sdxl"], "as in the space sdxl"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_message(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(VAE), str(VAE), *QUICK, *words]) == BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert [line for line in captured.err.splitlines() if line.startswith("asymbench gate-decoder: ")] != []


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(capsys, VAE, tmp_path / "none", *QUICK)[0] == BAD_INPUT
    with pytest.raises(BadInputError, match="none"):
        compare_decoders(tmp_path / "none", VAE)


@pytest.mark.slow
def test_two_decoders_of_this_project_use_the_given_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    base, concat = MINI / "base", MINI / "base_concat"
    assert ends(capsys, base, base, *QUICK)[0] == BAD_INPUT  # an own decoder needs an encoder
    encoder = ("--encoder", VAE)
    assert ends(capsys, base, base, *QUICK, *encoder)[0] == PASS
    assert ends(capsys, base, concat, *QUICK, *encoder)[0] == REGRESSION
    assert ends(capsys, VAE, base, *QUICK, *encoder)[0] == REGRESSION  # only one side is an own decoder


def test_strips_of_a_decoder_of_this_project_change_rounding_only() -> None:
    settings = DecoderSettings(size=64, limit=4, encoder=VAE, new=DecoderUse(tile=16), device="cpu")
    found = compare_decoders(MINI / "base", MINI / "base", settings)
    assert found.outcome.verdict is Verdict.PASS
    assert numbers(found)["largest_difference"] <= 1
    both = DecoderSettings(size=64, limit=4, encoder=VAE, new=DecoderUse(tile=16, compile="default"), device="cpu")
    with pytest.raises(BadInputError, match="NEW: expected either strips or a compiled decoder, found both"):
        compare_decoders(MINI / "base", MINI / "base", both)


@pytest.mark.slow
def test_a_compiled_decoder_changes_rounding_only(tmp_path: Path) -> None:
    tiny_autoencoder("kl4").save_pretrained(tmp_path)
    use = DecoderUse(compile="default")
    found = compare_decoders(tmp_path, tmp_path, DecoderSettings(size=32, limit=2, new=use, device="cpu"))
    assert not found.identical_expected
    assert numbers(found)["largest_difference"] <= 1


def test_the_json_file_has_every_number_and_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gate.json"
    status, _ = ends(capsys, VAE, VAE, *QUICK, "--new-precision", "bfloat16", "--json", file)
    written = json.loads(file.read_text())
    assert (written["status"], Verdict(written["verdict"]).status) == (status, status)
    assert status in (PASS, CANNOT_TELL)
    assert (written["items"], written["size"]) == (8, 64)
    assert written["use"]["new"] == {"precision": "bfloat16", "tile": None, "compile": None}
    assert {one["metric"] for one in written["comparisons"]} == set(DECODERS)
    assert written["psnr_between"] > 40
    blocked = file / "gate.json"
    status, shown = ends(capsys, VAE, VAE, *QUICK, "--json", blocked)
    assert status == BAD_INPUT
    assert f"--json: expected a folder, found the file {file}" in shown


def test_pictures_of_a_folder_are_squares_in_the_order_of_their_names(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("b.png", "a.png", "c.png"):
        Image.fromarray(generator.integers(0, 256, (80, 120, 3), np.uint8)).save(tmp_path / name)
    found = decoder_pictures(tmp_path, limit=2, size=64)
    assert [one.source for one in found] == ["a.png", "b.png"]
    assert [one.pixels.shape for one in found] == [(64, 64, 3)] * 2
    settings = DecoderSettings(size=64, pictures=tmp_path, device="cpu")
    assert compare_decoders(VAE, VAE, settings).items == 3
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").unlink()
    with pytest.raises(BadInputError, match=r"pictures: expected 2 or more pictures in .*, found 1"):
        compare_decoders(VAE, VAE, settings)


def test_drawn_pictures_differ_and_do_not_depend_on_their_number() -> None:
    few, many = (decoder_pictures(None, limit=limit, size=32) for limit in (4, 8))
    assert [one.source for one in few] == [one.source for one in many][:4]
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(few, many, strict=False))
    assert len({one.source for one in many}) == len({one.pixels.tobytes() for one in many}) == 8


def test_the_console_has_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert asymbench(["gate-decoder", str(VAE), str(VAE), "--limit", "1"]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("asymbench gate-decoder: ")
