"""Tests of the inspection and the download of autoencoders of the configuration group `vae`."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.checking.autoencoders import vae_asset, vae_problems
from bench.checking.fetch import fetch
from bench.checking.report import report
from bench.config.schema import HubFiles, VaeSpec
from bench.errors import BadInputError
from bench.models import build_decoder, save_decoder
from tests.models.tiny_autoencoders import tiny_autoencoder

pytestmark = pytest.mark.blackbox

COMMIT = "a" * 40
WEIGHTS = "diffusion_pytorch_model.safetensors"
MINI = Path(bench.__file__).parent / "assets" / "mini"


def kl4(folder: Path) -> VaeSpec:
    """Write an autoencoder with 4 channels, and return its description with the true sizes of its files."""
    tiny_autoencoder("kl4").save_pretrained(folder)
    files = {name: (folder / name).stat().st_size for name in ("config.json", WEIGHTS)}
    return VaeSpec("Tiny", path=str(folder), hub=HubFiles("some/model", COMMIT), licence="MIT", files=dict(files))


def said(vae: VaeSpec) -> list[str]:
    return [problem.said for problem in vae_problems({"mine": vae})]


def test_a_whole_autoencoder_has_no_problem(tmp_path: Path) -> None:
    assert said(kl4(tmp_path / "vae")) == []
    assert said(replace(kl4(tmp_path / "vae"), space="my own")) == []


@pytest.mark.parametrize("name", ["base", "large", "vanilla_finetuned"])
def test_the_shipped_decoders_have_no_problem(name: str) -> None:
    encoder = str(MINI / "inpainting" / "vae")
    assert said(VaeSpec("Mini", path=str(MINI / name), encoder=encoder, files={WEIGHTS: None})) == []


def set_class(folder: Path, kind: str) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": kind}))


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])


@pytest.mark.parametrize(
    ("change", "settings", "messages"),
    [
        (lambda folder: folder.rename(folder.with_name("moved")), {}, ["nothing there"]),
        (lambda folder: (folder / WEIGHTS).unlink(), {}, [f"a folder without {WEIGHTS}"]),
        (lambda folder: (folder / WEIGHTS).unlink(), {"files": {}}, ["a folder without weights, such as"]),
        (lambda folder: (folder / "config.json").unlink(), {}, ["a folder without config.json"]),
        (cut, {"files": {}}, [f"{WEIGHTS} is a damaged safetensors file"]),
        (cut, {"files": {WEIGHTS: None}}, [f"{WEIGHTS} is a damaged safetensors file"]),
        (cut, {}, [f"{WEIGHTS} is a damaged safetensors file", r"\d+ bytes, expected \d+"]),
        (lambda _: None, {"files": {"config.json": 3}}, [r"config\.json has \d+ bytes, expected 3: another file"]),
        (lambda folder: set_class(folder, "Autoencoder9"), {"files": {}}, ["_class_name: expected .*, found Autoenc"]),
        (lambda _: None, {"space": "flux1"}, ["16 channels and the factor 8, as in the space flux1, found 4 channels"]),
        (lambda _: None, {"encoder": "nowhere"}, ["nothing there"]),
        (lambda folder: folder.with_name("file").touch(), {"path": "file"}, ["expected a folder, found a file"]),
    ],
)
def test_each_problem_is_described(
    change: Callable[[Path], object], settings: dict[str, Any], messages: list[str], tmp_path: Path
) -> None:
    vae = kl4(tmp_path / "vae")
    change(tmp_path / "vae")
    if "path" in settings:
        settings = {**settings, "path": str(tmp_path / settings["path"])}
    found = said(replace(vae, **settings))
    assert len(found) == len(messages)
    for message, one in zip(messages, found, strict=True):
        assert re.search(message, one)


def test_a_decoder_whose_encoder_has_other_latents_is_named(tmp_path: Path) -> None:
    kl4(tmp_path / "vae")
    save_decoder(build_decoder("base", channels=(8, 16, 16), groups=4), tmp_path / "decoder")
    vae = VaeSpec("Mine", path=str(tmp_path / "decoder"), encoder=str(tmp_path / "vae"))
    assert said(vae) == [
        "the argument encoder: expected an autoencoder whose latents have 4 channels and the factor 4, as the decoder "
        "needs them, found 4 channels and the factor 2"
    ]
    (problem,) = said(replace(vae, encoder=None))
    assert "because the folder contains no encoder, found no value" in problem
    text = report("leaderboard", vae_problems({"mine": replace(vae, encoder=None)}))
    assert f"1. vaes.mine.encoder: {tmp_path / 'decoder'}: expected also the folder of the autoencoder" in text


def test_an_encoder_that_two_decoders_lack_is_listed_once(tmp_path: Path) -> None:
    vaes = {name: VaeSpec("Mine", path=str(MINI / name), encoder=str(tmp_path / "no")) for name in ("base", "large")}
    (problem,) = vae_problems(vaes)
    assert problem.keys == ("vaes.base.encoder", "vaes.large.encoder")


def shown(vae: VaeSpec) -> str:
    return " ".join(report("leaderboard", vae_problems({"mine": vae})).split())


def test_the_list_says_what_to_do(tmp_path: Path) -> None:
    pinned = VaeSpec("Mine", path=str(tmp_path / "no"), hub=HubFiles("some/model", COMMIT), licence="MIT")
    text = shown(pinned)
    assert "1. vaes.mine: Mine, an autoencoder looked at" in text
    assert "set by vaes.mine.path=PATH from https://huggingface.co/some/model" in text
    assert f"revision {COMMIT} of some/model licence MIT" in text
    assert "stage=fetch downloads 1 of them" in text
    assert "conf/paths" not in text
    unknown = shown(replace(pinned, hub=HubFiles("some/model"), licence="", unverified=["licence"]))
    assert "licence not known (this value was not verified)" in unknown
    assert f"run hf download some/model --revision COMMIT --local-dir {tmp_path}/no" in unknown
    gated = shown(replace(pinned, hub=HubFiles("some/model", COMMIT, folder="vae", gated=True)))
    assert "accept the licence at the source, log in with hf auth login, then run" in gated
    assert f"--revision {COMMIT} --include 'vae/*' --local-dir DIR, and set vaes.mine.path=DIR/vae" in gated
    assert "stage=fetch" not in unknown + gated


# --- stage=fetch ------------------------------------------------------------------------------------------------------


class Hub:
    """Stand in for the hub with a repository that has an autoencoder with 4 channels in one of its folders."""

    def __init__(self, folder: str) -> None:
        self.folder, self.asked = folder, list[tuple[str, str, list[str]]]()

    def __call__(self, name: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, allow_patterns))
        (local_dir / ".cache").mkdir(parents=True, exist_ok=True)
        if f"{self.folder}/{WEIGHTS}".lstrip("/") in allow_patterns:
            kl4(local_dir / self.folder)
        return str(local_dir)


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def fetched(vae: VaeSpec) -> int:
    return fetch("leaderboard", lambda: vae_problems({"mine": vae})).status


@pytest.mark.parametrize("folder", ["", "vae"])
def test_an_autoencoder_is_downloaded_at_its_commit_into_its_path(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = kl4(tmp_path / "expected")
    hub = Hub(folder)
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    target = tmp_path / "weights" / "mine"
    vae = replace(expected, path=str(target), hub=HubFiles("some/model", COMMIT, folder))
    assert fetched(vae) == 0
    prefix = f"{folder}/" if folder else ""
    assert hub.asked == [("some/model", COMMIT, [f"{prefix}config.json", f"{prefix}{WEIGHTS}"])]
    assert {path.name for path in target.iterdir()} == {"config.json", WEIGHTS}
    assert list(target.parent.iterdir()) == [target]
    assert fetched(vae) == 0
    assert len(hub.asked) == 1


@pytest.mark.parametrize("folder", ["", "vae"])
def test_a_broken_copy_is_replaced_and_kept_beside(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub(folder))
    vae = replace(kl4(tmp_path / "mine"), hub=HubFiles("some/model", COMMIT, folder))
    cut(tmp_path / "mine")
    assert len(said(vae)) == 2
    assert fetched(vae) == 0
    assert said(vae) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.broken"]


def test_a_repository_without_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub("elsewhere"))
    vae = VaeSpec("Mine", path=str(tmp_path / "mine"), hub=HubFiles("some/model", COMMIT, "vae"), files={WEIGHTS: None})
    with pytest.raises(BadInputError) as caught:
        fetched(vae)
    assert f"some/model at {COMMIT}: expected {WEIGHTS}, found no such files" in " ".join(str(caught.value).split())
    assert not (tmp_path / "mine").exists()


def test_a_gated_repository_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub("")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    gated = HubFiles("some/model", COMMIT, gated=True)
    with pytest.raises(BadInputError, match="1 thing is missing or wrong"):
        fetched(VaeSpec("Mine", path=str(tmp_path / "mine"), hub=gated))
    assert hub.asked == []
    assert vae_asset("mine", VaeSpec("Mine", path="mine", hub=gated)).download is None
