"""Tests of `stage=fetch`, which downloads only pinned files, completely or not at all, and respects offline mode."""

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from bench.checking import required_paths as needs
from bench.checking.assets import Asset, Download, read_assets
from bench.cli import main

pytestmark = pytest.mark.blackbox

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "a" * 40
FETCH = ["experiment=table2_inpaint_imagenet", "stage=fetch", "device=cpu"]
"""Words of a run on the mini profile, whose files all exist."""


class Server(ThreadingHTTPServer):
    """Serve the same bytes at every path, and record the requests and the byte at which each of them starts."""

    requests = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.starts: list[int] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.requests += 1
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.starts.append(start)
        resumes = start > 0 and "whole" not in self.path  # such a server sends the whole file every time
        if "absent" in self.path:
            self.send_response(404)
        elif resumes and start >= len(CONTENT):
            self.send_response(416)
        else:
            self.send_response(206 if resumes else 200)
        rest = CONTENT[start:] if resumes else CONTENT
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if "broken" in self.path and server.requests == 1 else rest)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=partial(server.serve_forever, 0.01)).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "weights"))


def known(monkeypatch: pytest.MonkeyPatch, *assets: Asset) -> None:
    """Replace the list of known assets by the given ones."""
    monkeypatch.setattr(needs, "read_assets", lambda _: {asset.name: asset for asset in assets})


def file_asset(server: Server, name: str = "vgg16", *, path: str = "file.pth", sha256: str = SHA256) -> Asset:
    url = f"http://127.0.0.1:{server.server_port}/{path}"
    return replace(read_assets()[name], sha256=sha256, download=Download(url=url), companion=None)


VGG = "profile.decoders.base=${paths.vgg16}"
"""Override for a row that needs this asset."""


def test_a_file_is_downloaded_and_checked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, file_asset(server))
    assert main([*FETCH, VGG]) == 0
    target = tmp_path / "weights" / "vgg16-397923af.pth"
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    said = capfd.readouterr().out
    assert f"vgg16: downloaded to {target}" in said
    assert "all files that this experiment needs exist" in said
    assert main([*FETCH, VGG]) == 0
    assert server.requests == 1


@pytest.mark.parametrize(
    ("settings", "reason"), [({"sha256": "0" * 64}, f"found {SHA256}"), ({"path": "absent"}, "HTTP Error 404")]
)
def test_a_failed_download_leaves_nothing_and_stays_in_the_list(
    settings: dict[str, str],
    reason: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    known(monkeypatch, file_asset(server, **settings))
    assert main([*FETCH, VGG]) == 2
    message = " ".join(capfd.readouterr().err.split())
    assert "nothing there; the download failed: " in message
    assert reason in message
    assert list((tmp_path / "weights").iterdir()) == []


def test_files_that_cannot_be_fetched_are_planned_and_set_the_status(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, file_asset(server), read_assets()["decoder_large"])
    assert main([*FETCH, VGG, "profile.decoders.large=${paths.decoder_large}"]) == 2
    said, message = capfd.readouterr()
    assert "vgg16: downloaded to" in said
    assert "1 thing is missing or wrong" in message
    assert "--revision COMMIT" in message
    assert "1. vgg16" not in message


def test_nothing_is_requested_when_offline_mode_is_set(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, file_asset(server))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main([*FETCH, VGG]) == 2
    assert "HF_HUB_OFFLINE is set: nothing was downloaded" in capfd.readouterr().err
    assert server.requests == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("offline", ["", "1"])
def test_nothing_is_downloaded_when_nothing_is_missing(
    offline: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, file_asset(server))
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    for experiment in ("table2_inpaint_imagenet", "table7_architecture_base", "train_mini"):
        assert main([f"experiment={experiment}", "stage=fetch"]) == 0
        assert f"{experiment}: all files that this experiment needs exist" in capfd.readouterr().out
    assert server.requests == 0
    assert list(tmp_path.iterdir()) == []


def test_no_other_stage_downloads(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, file_asset(server))
    for stage in ("check", "sample", "report"):
        assert main([FETCH[0], f"stage={stage}", "device=cpu", VGG]) == 2
        assert "stage=fetch downloads 1 of them" in capfd.readouterr().err
    assert server.requests == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["file.pth", "whole.pth"])
@pytest.mark.parametrize(
    "there",
    [CONTENT[:1500], b"other bytes", CONTENT + b"more", b"x" * len(CONTENT)],
    ids=["cut", "other", "long", "same size"],
)
def test_a_broken_download_is_fetched_again_and_kept_beside(
    path: str, there: bytes, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, file_asset(server, path=path))
    target = tmp_path / "weights" / "vgg16-397923af.pth"
    target.parent.mkdir()
    target.write_bytes(there)
    assert main([*FETCH, VGG]) == 0
    assert target.read_bytes() == CONTENT
    assert target.with_name(f"{target.name}.broken").read_bytes() == there
    assert len(list(target.parent.iterdir())) == 2
    resumed = path == "file.pth" and there == CONTENT[:1500]
    assert server.starts == ([len(there)] if resumed or path == "whole.pth" else [len(there), 0])


def test_an_interrupted_download_is_continued(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, file_asset(server, path="broken.pth"))
    target = tmp_path / "weights" / "vgg16-397923af.pth"
    assert main([*FETCH, VGG]) == 2
    assert "the next run with stage=fetch continues" in " ".join(capfd.readouterr().err.split())
    assert not target.exists()
    assert main([*FETCH, VGG]) == 0
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert server.starts == [0, len(CONTENT) // 2]


def test_a_machine_without_a_network_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url = Download(url="http://nowhere.invalid/file.pth")
    one, other = (replace(read_assets()[name], download=url, companion=None) for name in ("vgg16", "alexnet"))
    known(monkeypatch, one, other)
    assert main([*FETCH, VGG, "profile.decoders.large=${paths.alexnet}"]) == 2
    said, message = capfd.readouterr()
    assert said.count("no network") == 1
    assert said.count(" from http") == 1
    assert re.search(r"run this command on a machine that has one, and copy .* to the paths above\.\s*$", message)


# --- the hub ----------------------------------------------------------------------------------------------------------


def write_file(path: Path) -> None:
    """Write a small valid file of the kind that the ending of its name says."""
    if path.suffix == ".safetensors":
        save_file({"conv_in.weight": np.zeros((8, 9, 3, 3), np.float32)}, path)
    elif path.suffix == ".bin":
        torch.save({"conv_in.weight": torch.zeros(8, 9, 3, 3)}, path)
    else:
        path.write_text("{}")


class Hub:
    """Stand in for the hub with a repository of the given files."""

    def __init__(self, *files: str) -> None:
        self.files, self.asked = files, list[tuple[str, str, list[str]]]()

    def __call__(self, name: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> str:
        self.asked.append((name, revision, allow_patterns))
        (local_dir / ".cache").mkdir(parents=True, exist_ok=True)
        for file in self.files:
            if any(Path(file).match(pattern) for pattern in allow_patterns):
                (local_dir / file).parent.mkdir(parents=True, exist_ok=True)
                write_file(local_dir / file)
        return str(local_dir)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Asset:
    download = Download(
        hub="some/model", revision=COMMIT, files=("*.json", "*/*.json", "*/*.safetensors"), otherwise=("*/*.bin",)
    )
    asset = replace(
        read_assets()["sd_inpainting"],
        parts=("unet",),
        files=("model_index.json",),
        unet_channels=None,
        download=download,
    )
    known(monkeypatch, asset)
    return asset


PIPELINE = "profile.decoders.base=${paths.sd_inpainting}"
SETTINGS = ("model_index.json", "unet/config.json")


@pytest.mark.parametrize(
    ("weights", "times"), [("unet/diffusion_pytorch_model.safetensors", 1), ("unet/diffusion_pytorch_model.bin", 2)]
)
def test_a_repository_is_downloaded_at_its_commit(
    weights: str, times: int, pipeline: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(*SETTINGS, weights, "unet/diffusion_pytorch_model.ckpt")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    assert main([*FETCH, PIPELINE]) == 0
    assert [ask[:2] for ask in hub.asked] == [("some/model", COMMIT)] * times
    folder = tmp_path / "weights" / "stable-diffusion-inpainting"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {*SETTINGS, weights}
    assert list(folder.parent.iterdir()) == [folder]


def test_an_incomplete_repository_is_not_moved_to_the_path(
    pipeline: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub(*SETTINGS))
    assert main([*FETCH, PIPELINE]) == 2
    assert "expected weights in unet, found no such files" in " ".join(capfd.readouterr().err.split())
    assert not (tmp_path / "weights" / "stable-diffusion-inpainting").exists()
    monkeypatch.setattr("huggingface_hub.snapshot_download", Hub("unet/diffusion_pytorch_model.safetensors"))
    assert main([*FETCH, PIPELINE]) == 0, "what was there is taken up"


def test_an_error_of_the_hub_is_shown_in_the_list(
    pipeline: Asset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*names: object, **settings: object) -> str:
        raise RuntimeError("no route to the hub\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    assert main([*FETCH, PIPELINE]) == 2
    message = " ".join(capfd.readouterr().err.split())  # the list is folded to the terminal's width
    assert "the download failed: no route to the hub" in message
    assert "and more" not in message
