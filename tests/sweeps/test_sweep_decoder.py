"""Tests of a sweep over decoder sizes: existing weights are used, missing ones trained, latents sampled once."""

import json
from pathlib import Path

import pandas
import pytest

from bench.cli import main
from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import TrainDecoderConfig
from bench.experiments.train_decoder import TrainDecoder, own_checkpoint
from tests.helpers.branches import quickly_started_branches

pytestmark = pytest.mark.blackbox

ITEMS = 8


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    words = [
        "-m", "experiment=sweep_decoder_size", "decoder.width=1,1.5,1.1", f"limit={ITEMS}", "generator.steps=2",
        "profile.fid_minimum=4", "device=cpu", "training.steps=3", "training.validate_every=3",
        "training.validation_items=8", "profile.datasets.imagenet_train.per_class=1",
        "profile.datasets.imagenet_dev.per_class=1", f"paths.store={folder / 'store'}", f"paths.data={folder / 'data'}",
        f"out={folder / 'out'}", "stage=tabulate",
    ]  # fmt: skip
    with quickly_started_branches():
        assert main(words) == 2  # no decoder of the mini profile is 1.1 times as wide
    return folder


@pytest.mark.slow
def test_every_job_has_its_rows_or_a_reason(swept: Path) -> None:
    table = pandas.read_csv(swept / "out" / "sweep.csv")
    assert list(table["decoder.width"]) == [1.0] * 3 + [1.5] * 3 + [1.1]
    assert list(table["row"].dropna()) == ["stablediffusion", "decoder_mask", "decoder_nomask"] * 2
    assert "decoder: " in table["failed"].iloc[-1]
    assert table["failed"].iloc[:-1].isna().all()
    masked = table[table["row"] == "decoder_mask"]
    assert masked["parameters"].is_monotonic_increasing
    assert masked["tera_flop"].is_monotonic_increasing
    assert (masked["seconds_per_image"] > 0).all()
    assert (swept / "out" / "sweep.png").stat().st_size > 10_000


@pytest.mark.slow
def test_latents_are_sampled_once(swept: Path) -> None:
    runs = [json.loads((swept / "out" / job / "run.json").read_text()) for job in ("0", "1")]
    assert [run["latents"] for run in runs] == [{"sampled": ITEMS, "stored": 0}, {"sampled": 0, "stored": ITEMS}]


@pytest.mark.slow
def test_only_the_decoder_without_weights_was_trained(swept: Path) -> None:
    trained = list((swept / "store" / "training").glob("*/decoder/config.json"))
    assert len(trained) == 1
    run = json.loads((swept / "out" / "1" / "run.json").read_text())
    assert run["lineage"]["decoder_mask"]["decoder"]["channels"] == [24, 48, 96]


@pytest.mark.parametrize(
    ("overrides", "trained"),
    [
        ([], False),
        (["decoder.checkpoint=nowhere"], False),
        (["decoder=large_x2", "profile.decoders.large_x2=nowhere"], False),
        (["decoder.checkpoint=nowhere", "decoder.width=1"], True),
        (["decoder.blending=concat"], True),
        (["decoder.checkpoint=null"], True),
    ],
)
def test_a_decoder_is_trained_where_another_shape_is_asked_for_or_none_is_configured(
    overrides: list[str], trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainDecoder, "weights_of", lambda _: Path("trained"))
    words = ["experiment=sweep_decoder_size", *overrides]
    config = TrainDecoderConfig.of(*typed(compose_config(words)))
    assert own_checkpoint(config, words) == ("trained" if trained else None)


def test_a_missing_decoder_of_the_paper_profile_is_named_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["experiment=sweep_decoder_size", "profile=paper", "decoder=large_x2", "paths.weights=nowhere"]) == 2
    message = capfd.readouterr().err
    assert "decoder_large_x2: the large×2 asymmetric decoder" in message
    assert "huggingface.co/cross-attention/asymmetric-autoencoder-kl-x-2" in message
