"""Functions that write the files of a rehearsal: the assets of the paper profile, and a profile that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.checking.assets import read_facts
from bench.config.schema import REHEARSAL
from bench.metrics.networks.local_weights import is_program
from bench.rehearsal import pictures
from bench.rehearsal.baseline_networks import write_baseline
from bench.rehearsal.decoders import DECODERS, write_decoder
from bench.rehearsal.metric_networks import write_backbone, write_clip, write_dinov2, write_inception
from bench.rehearsal.pipelines import write_checkpoint, write_exemplar, write_text
from bench.rehearsal.sizes import Sizes
from bench.store import file_sha256

__all__ = ["Place", "write_asset", "write_profile"]


@dataclass(frozen=True)
class Place:
    """The paths of a rehearsal's folders and files."""

    root: Path

    @property
    def weights(self) -> Path:
        """Folder of weights, for the setting `paths.weights`."""
        return self.root / "weights"

    @property
    def data(self) -> Path:
        """Folder of data sets, for the setting `paths.data`."""
        return self.root / "data"

    @property
    def conf(self) -> Path:
        """Folder with the profile, for the option `--config-dir`."""
        return self.root / "conf"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for those files whose paths are not the default paths."""
        return {"BENCH_DECODER_BASE": str(self.weights / "base.ckpt")}

    @property
    def made(self) -> Path:
        """JSON file that lists the written assets, as an object from the name of each asset to its path."""
        return self.root / "made.json"

    @property
    def checkpoint(self) -> Path:
        """File of Stable Diffusion for inpainting in the original layout."""
        return self.weights / "sd-v1-5-inpainting.ckpt"

    @property
    def flat_imagenet(self) -> Path:
        """Folder of ImageNet's validation set without synset folders."""
        return self.data / "imagenet" / "flat"


def write_asset(name: str, path: Path, sizes: Sizes) -> None:
    """Write an asset of the paper profile.

    Args:
        name: name of the asset in `bench/checking/assets.yaml`; or `checkpoint`, which writes `sd_inpainting` as one
            file; or `flat_imagenet`, which writes `imagenet_val` in one folder. `places_list` writes nothing, because
            `places` also writes the list.
        path: file or folder to write.
        sizes: sizes of the networks and data sets.

    Raises:
        KeyError: a rehearsal does not write this asset.
    """
    counts = sizes.counts
    writers: Mapping[str, Callable[[], None]] = {
        "places": lambda: pictures.write_places(path, counts),
        "places_list": lambda: None,  # it is written with `places`
        "imagenet_val": lambda: pictures.write_imagenet_val(path, counts),
        "flat_imagenet": lambda: pictures.write_imagenet_flat(path, counts),
        "imagenet_train": lambda: pictures.write_imagenet_train(path, counts),
        "cocoee": lambda: pictures.write_cocoee(path, counts),
        "coco": lambda: pictures.write_coco(path, counts),
        "sd_inpainting": lambda: write_text(path, sizes, channels=9, pickled=False),
        "sd_text2image": lambda: write_text(path, sizes, channels=4, pickled=True),
        "checkpoint": lambda: write_checkpoint(path, sizes, channels=9),
        "paint_by_example": lambda: write_exemplar(path, sizes),
        "inception_lama": lambda: write_inception(path),
        "inception_fidelity": lambda: write_inception(path),
        "inception_clean": lambda: write_inception(path),
        "vgg16": lambda: write_backbone(path, "vgg", classifier=sizes.classifier),
        "alexnet": lambda: write_backbone(path, "alex", classifier=sizes.classifier),
        "clip": lambda: write_clip(path),
        "clip_336": lambda: write_clip(path, sizes.clip_336),
        "dinov2": lambda: write_dinov2(path, **sizes.dinov2),
    }
    if name in DECODERS:
        write_decoder(name, path, sizes)
    elif name in sizes.baselines:
        write_baseline(name, path, sizes.baselines[name])
    else:
        writers[name]()


def write_profile(place: Place, assets: Mapping[str, Path], sizes: Sizes) -> None:
    """Write the profile `rehearsal`, its list of assets, and its settings of `metrics`.

    The list of assets is a copy of the usual list, with the SHA-256 of the written files in place of those of the real
    files. The settings of `metrics` contain the SHA-256 of the written TorchScript programs.

    Args:
        place: folders of the files.
        assets: a dictionary from the name of each written asset to its path.
        sizes: sizes of the networks.
    """
    facts = read_facts()
    hashes = {name: file_sha256(path) for name, path in assets.items() if path.is_file()}
    for name, found in hashes.items():
        if "sha256" in facts[name]:
            facts[name]["sha256"] = found
        download = facts[name].get("download", {})
        if "sha256" in download:
            facts[name]["download"] = {**download, "sha256": found}
    listed = place.root / "assets.yaml"
    _write(listed, facts)
    changed = {"name": REHEARSAL, "asset_list": str(listed), **sizes.profile}
    _write(place.conf / "profile" / f"{REHEARSAL}.yaml", {"defaults": ["paper", "_self_"], **changed})
    _write(
        place.conf / "metrics" / f"{REHEARSAL}.yaml",
        {"defaults": ["paper", "_self_"], **_networks(assets, hashes, sizes)},
    )


def _networks(assets: Mapping[str, Path], hashes: Mapping[str, str], sizes: Sizes) -> dict[str, Any]:
    """Return settings of `metrics` with the SHA-256 of each TorchScript program that was written, and with sizes.

    Without these settings, the harness would refuse the programs, because their SHA-256 differs from that of the real
    files, and also networks whose sizes are not the published ones.
    """
    measures: dict[str, Any] = {}
    if "clip" in assets:
        measures["clip"] = {"measure": {"encoder": {"sha256": hashes["clip"]}}}
    if "clip_336" in assets:
        measures["cmmd"] = {"measure": {"encoder": {"sha256": hashes["clip_336"], "model": sizes.clip_336}}}
    if "dinov2" in assets:
        measures["dinov2"] = {"measure": {"encoder": dict(sizes.dinov2)}}
    if "inception_clean" in assets and is_program(assets["inception_clean"]):
        measures["clean"] = {"measure": {"sha256": hashes["inception_clean"]}}
    return {"measures": measures} if measures else {}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
