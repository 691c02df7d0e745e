"""Search for files of a run that are missing or wrong. The search loads no model."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.checking.assets import Asset, Companion, read_assets
from bench.checking.dataset_listing import Listing, list_pictures
from bench.checking.required_paths import Need, needs
from bench.config.opened_files import opened_weights
from bench.config.option_files import did_you_mean
from bench.errors import BadInputError
from bench.generation.unet_weights import averaged_folder
from bench.models.checkpoints import check_decoder
from bench.models.weight_headers import damage, read_header
from bench.runtime.strict_json import read_json
from bench.store import file_sha256

__all__ = ["Inspection", "Problem", "damaged_weights", "incomplete", "inspect_needs", "inspect_table", "merged"]

DATASET, PICTURES = "dataset", "dataset.pictures"
DECODER = "decoder"
"""Value of `Asset.used_for` for the assets that `bench.models.load_decoder` reads."""
FIRST_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
FILE_PARTS = {"first_stage_model.": "first stage", "cond_stage_model.transformer.": "text encoder"}
"""Networks in a checkpoint file of Stable Diffusion except the UNet. The key is the beginning of their tensor names."""
PART_TENSORS = {
    "unet": ("conv_in.weight",),
    "vae": ("encoder.conv_in.weight", "decoder.conv_in.weight"),
    "text_encoder": ("embeddings.token_embedding.weight",),
    "transformer": ("proj_out.weight",),
}
"""Ends of tensor names, by the network of a pipeline. The network must have a tensor for each of these ends."""
KINDS = {4: "a text-to-image checkpoint", 9: "an inpainting checkpoint"}


@dataclass(frozen=True)
class Problem:
    """A missing or wrong file or folder."""

    place: str
    """Path of the file or folder that was inspected."""
    said: str
    """Description of the problem at this path."""
    keys: tuple[str, ...] = ()
    """Full names of the configuration keys that name this path."""
    asset: Asset | None = None
    missing: bool = False
    """True if the path does not exist at all."""
    broken: bool = False
    """True if an incomplete or damaged copy of the asset is at the path. A new download can replace this copy."""
    experiments: tuple[str, ...] = ()
    """Names of the experiments that need the file or folder; empty if only one experiment is checked."""

    @property
    def download(self) -> Asset | None:
        """The asset whose download by a program solves the problem; None if no such download solves it."""
        is_mended = self.asset is not None and self.asset.download is not None and (self.missing or self.broken)
        return self.asset if is_mended else None


@dataclass(frozen=True)
class Inspection:
    """The result of inspecting a table's files."""

    problems: tuple[Problem, ...]
    listing: Listing | None = None
    """Listing of the data set; None if the data set has missing or wrong files, or if the run itself makes it."""
    expected: int | None = None
    """Number of items that the paper's table has from this data set; None if it is not known."""


def inspect_table(
    nodes: Mapping[str, Any],
    paths: Mapping[str, str],
    *,
    asset_list: str | None = None,
    unpinned: Collection[str] = (),
) -> Inspection:
    """Inspect every file and folder that a table needs. If the data set has no problem, list the data set's pictures.

    Args:
        nodes: for each configuration key that the table uses, its value as plain data, with resolved interpolations.
        paths: value of the configuration key `paths`, with resolved interpolations.
        asset_list: file that lists the assets; None for `bench/checking/assets.yaml`.
        unpinned: names of assets whose SHA-256 is not checked.

    Raises:
        BadInputError: a name in `unpinned` belongs to no asset with a known SHA-256.
    """
    found = needs(nodes, paths, asset_list=asset_list)
    problems = inspect_needs(found, unpinned)
    data_needs = [need for need in found if need.key.startswith(f"{DATASET}.")]
    expected = next((need.asset.items for need in data_needs if need.asset and need.asset.items), None)
    if DATASET not in nodes or any(key.startswith(f"{DATASET}.") for problem in problems for key in problem.keys):
        return Inspection(tuple(problems), expected=expected)
    listing = list_pictures(nodes[DATASET]["pictures"], PICTURES)
    if listing is not None and listing.problems:
        asset = next((need.asset for need in data_needs if need.asset is not None), None)
        place = str(data_needs[0].root or data_needs[0].path) if data_needs else PICTURES
        problems += [Problem(place, said, (PICTURES,), asset) for said in listing.problems]
        listing = None
    return Inspection(tuple(problems), listing, expected)


def inspect_needs(found: Iterable[Need], unpinned: Collection[str] = ()) -> list[Problem]:
    """Return the problems with paths that must exist. All paths of one asset are inspected together.

    Args:
        found: the paths that must exist.
        unpinned: names of assets whose SHA-256 is not checked.

    Raises:
        BadInputError: a name in `unpinned` belongs to no asset with a known SHA-256.
    """
    pinned = [name for name, asset in read_assets().items() if asset.sha256 is not None]
    for name in unpinned:
        if name not in pinned:
            raise BadInputError(
                f"profile.unpinned: expected some of {', '.join(pinned)}, found {name}{did_you_mean(name, pinned)}"
            )
    groups: dict[tuple[str, str], list[Need]] = {}
    for need in found:
        groups.setdefault((need.asset.name if need.asset else "", str(need.root or need.path)), []).append(need)
    problems = []
    for (_, place), group in groups.items():
        keys, asset = tuple(dict.fromkeys(need.key for need in group)), group[0].asset
        if not Path(place).exists():
            hub = asset is None and any(key.endswith(".pipeline") for key in keys)
            problems.append(Problem(place, _not_found(place, hub=hub), keys, asset, missing=True))
        elif asset is not None:
            asset = replace(asset, sha256=None) if asset.name in unpinned else asset
            below = [need.path for need in group]
            problems += [
                Problem(place, said, keys, asset, broken=broken)
                for said, broken in _asset_problems(asset, Path(place), below)
            ]
        else:
            problems += [Problem(place, said, keys) for said in _own_problems(Path(place))]
    return problems


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """Return each different problem once, with the keys and experiments of all its copies in `problems`.

    Two problems are equal if they have the same asset, the same path and the same description.
    """
    found: dict[tuple[str, str, str], Problem] = {}
    for problem in problems:
        key = (problem.asset.name if problem.asset else "", problem.place, problem.said)
        earlier = found.get(key)
        found[key] = problem if earlier is None else _combined(earlier, problem)
    return list(found.values())


def _combined(first: Problem, second: Problem) -> Problem:
    return replace(
        first,
        keys=tuple(dict.fromkeys((*first.keys, *second.keys))),
        experiments=tuple(dict.fromkeys((*first.experiments, *second.experiments))),
    )


def _not_found(place: str, *, hub: bool) -> str:
    """Return the description of a path that does not exist.

    The path may look like an id of the Hugging Face hub, such as `owner/name`. If the files of this id are in the local
    cache, the description also names their folder. If the files are not in the cache, the description says how to
    download them, but only if `hub` is True.

    Args:
        place: the path, or an id of the hub.
        hub: True if the value of the key may be an id of the hub.
    """
    if place.count("/") != 1 or place.startswith((".", "/", "~")):
        return "nothing there"
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name, _, revision = place.partition("@")
    try:
        folder = snapshot_download(name, revision=revision or None, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        at = f" --revision {revision}" if revision else ""
        return (
            f"nothing there; to download this id from the Hugging Face hub: hf download {name}{at}"
            if hub
            else "nothing there"
        )
    return f"nothing there; the id is in the local cache of the Hugging Face hub, so set its folder instead: {folder}"


def _asset_problems(asset: Asset, place: Path, below: Iterable[Path]) -> Iterator[tuple[str, bool]]:
    """Yield each problem of an asset as a pair: a description, and True if a new download can solve the problem.

    Args:
        asset: the asset.
        place: path of the asset. It must exist.
        below: paths in the asset's folder that the configuration names.
    """
    if asset.sha256 is not None:
        if not place.is_file():
            yield "expected a file, found a folder", False
            return
        if (found := _sha256(place, place.stat().st_mtime_ns)) != asset.sha256:
            yield (
                f"expected SHA-256 {asset.sha256}, found {found}: another file, or a broken download; "
                f"profile.unpinned=[{asset.name}] accepts another file",
                True,
            )
    if asset.companion is not None:
        yield from ((said, False) for said in _companion(asset.companion))
    absent = [*incomplete(asset, place), *(_relative(path, place) for path in below if not path.exists())]
    if absent:
        kind = "a folder" if place.is_dir() else "a file"
        yield f"{kind} without {', '.join(dict.fromkeys(absent))}{_elsewhere(place, absent)}", place.is_dir()
    yield from ((said, place.is_dir()) for said in _weight_problems(asset, place))
    yield from ((said, False) for said in _kind_problems(asset, place))
    if asset.raw_unet and averaged_folder(place / "unet"):
        yield (
            "expected only the raw weights of the UNet, which the released script uses, found their moving average "
            "(EMA) as well; in the folder unet, keep only the files with non_ema in their names, and remove non_ema "
            "from these names",
            False,
        )


def _own_problems(place: Path) -> Iterator[str]:
    """Yield a description of each damaged weight file at a path that belongs to no asset."""
    if place.is_file():
        said = damage(place)
        yield from [] if said is None else [said]
    elif (place / "config.json").is_file():
        yield from damaged_weights(place, place)


def _weight_problems(asset: Asset, place: Path) -> Iterator[str]:
    """Check an asset's weight files. Yield a description of each file that is empty, cut off, or of the wrong network.

    Only the headers of the files are read.
    """
    if place.is_file():
        said = damage(place) if asset.sha256 is None else None
        if said is None and asset.used_for == DECODER:
            said = _no_decoder(place)
        yield from [] if said is None else [said]
        return
    for name in asset.files:
        if (place / name).is_file() and (said := damage(place / name)) is not None:
            yield f"{name} is {said}"
    for part in asset.parts:
        damaged = list(damaged_weights(place / part, place))
        yield from damaged or _part_problems(place, part)
    reported = any(not (place / name).exists() for name in asset.files)
    if asset.used_for == DECODER and not reported and (said := _no_decoder(place)) is not None:
        yield said


def damaged_weights(folder: Path, place: Path) -> Iterator[str]:
    """Yield a description of each damaged or absent weight file of a network.

    Args:
        folder: folder of the network.
        place: `folder` itself or a folder above it. The descriptions name files by their paths relative to `place`.
    """
    for file in opened_weights(folder) if folder.is_dir() else []:
        if file.suffix == ".json":
            yield from (f"{_relative(file, place)} needs {name}, which is missing" for name in _absent_shards(file))
        elif (said := damage(file)) is not None:
            yield f"{_relative(file, place)} is {said}"


def _absent_shards(index: Path) -> list[str]:
    try:
        names = read_json(index)["weight_map"].values()
        return sorted({str(name) for name in names if not (index.parent / str(name)).is_file()})
    except (BadInputError, OSError, KeyError, AttributeError):
        return ["a valid key weight_map"]


def _part_problems(place: Path, part: str) -> Iterator[str]:
    """Check that the weights of one network of a pipeline have the tensors that `PART_TENSORS` lists for it.

    Yield a description of each missing tensor. The weight files must be undamaged. Pickled weights are not checked.

    Args:
        place: folder of the pipeline.
        part: name of the network's folder in the pipeline's folder, such as `unet`.
    """
    files = [file for file in opened_weights(place / part) if file.suffix == ".safetensors"]
    if not files:  # pickled weights are read only when they are loaded
        return
    tensors = {name for file in files for name in read_header(file)}
    for end in PART_TENSORS.get(part, ()):
        if not any(name.endswith(end) for name in tensors):
            yield (
                f"{part} has the weights of another network: none of its {len(tensors)} tensors has a name that ends "
                f"in {end}"
            )


def _no_decoder(place: Path) -> str | None:
    """Return the reason for which `bench.models.load_decoder` would refuse a path; None if it would accept the path."""
    try:
        check_decoder(place)
    except BadInputError as error:
        return str(error).removeprefix(f"{place}: ")
    return None


def _kind_problems(asset: Asset, place: Path) -> Iterator[str]:
    """Yield a description of each difference between the asset at `place` and the model that is expected there.

    The asset is a checkpoint file or the folder of a pipeline. The number of the UNet's input channels shows the type
    of the model, such as inpainting. If this number is not known for the asset, nothing is checked.
    """
    if asset.unet_channels is None:
        return
    if place.is_dir():
        channels = _unet_channels(place)
        if channels is not None and channels != asset.unet_channels:
            yield _other_kind(channels, asset.unet_channels)
    elif damage(place) is None:  # otherwise it is reported already
        try:
            yield from _file_problems(read_header(place), asset.unet_channels)
        except BadInputError as error:
            yield str(error).removeprefix(f"{place}: ")


def _file_problems(tensors: Mapping[str, Tensor], channels: int) -> Iterator[str]:
    """Yield a description of each difference between a checkpoint file and the expected model of Stable Diffusion 1.

    Args:
        tensors: tensors in the header of the file, by name.
        channels: number of input channels that the UNet must have.
    """
    first = tensors.get(FIRST_CONVOLUTION)
    if first is None or first.ndim != 4:
        yield (
            f"expected Stable Diffusion 1 in the original layout, found no tensor {FIRST_CONVOLUTION} with 4 axes "
            f"(number of tensors: {len(tensors)})"
        )
        return
    if first.shape[1] != channels:
        yield _other_kind(first.shape[1], channels)
    absent = [part for start, part in FILE_PARTS.items() if not any(name.startswith(start) for name in tensors)]
    if absent:
        yield f"a file without the {' and the '.join(absent)} of Stable Diffusion 1"


def _other_kind(found: int, expected: int) -> str:
    wanted, other = (KINDS.get(number, "another model") for number in (expected, found))
    return f"expected {wanted}, whose UNet has {expected} input channels, found {other} with {found}"


def _elsewhere(place: Path, absent: Sequence[str]) -> str:
    """Return the end of a message that suggests the folder above `place` or a folder in `place`.

    The suggested folder contains everything in `absent`. If no such folder exists, the result is "".

    Args:
        place: path that the user has set.
        absent: names of the files and folders that `place` lacks.
    """
    try:
        below = sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:  # it is a file, or cannot be read
        below = []
    for folder in (place.parent, *below):
        if all(os.path.exists(folder / name) for name in absent):
            return f"; {folder} contains what is missing, and may be the right folder"
    return ""


def _relative(path: Path, place: Path) -> str:
    return path.relative_to(place).as_posix()


def incomplete(asset: Asset, place: Path) -> Iterator[str]:
    """Yield the name of each required file or network of an asset that the folder `place` lacks.

    If `place` is not a folder, yield nothing.
    """
    if not place.is_dir():
        return
    yield from (name for name in asset.files if not (place / name).exists())
    for part in asset.parts:
        folder = place / part
        if not folder.is_dir():
            yield part
        elif not (folder / "config.json").is_file():
            yield f"{part}/config.json"
        elif not opened_weights(folder):
            yield f"weights in {part}"


def _unet_channels(place: Path) -> int | None:
    """Return the number of the UNet's input channels from the `config.json` in a pipeline's folder.

    Return None if this file is missing or broken, or does not state the number.
    """
    try:
        return int(read_json(place / "unet" / "config.json")["in_channels"])
    except (BadInputError, OSError, ValueError, KeyError, TypeError):
        return None


def _companion(wanted: Companion) -> Iterator[str]:
    spec = find_spec(wanted.package)
    folders = (spec.submodule_search_locations or []) if spec else []
    file = next((Path(folder) / wanted.file for folder in folders if (Path(folder) / wanted.file).is_file()), None)
    if file is None:
        yield f"expected the file {wanted.file} in the installed package {wanted.package}, found no such file"
    elif (found := _sha256(file, file.stat().st_mtime_ns)) != wanted.sha256:
        yield f"expected SHA-256 {wanted.sha256} of {wanted.file} in the package {wanted.package}, found {found}"


@cache
def _sha256(path: Path, changed: int) -> str:
    """Return the SHA-256 of a file. The result is cached, so that a collection hashes each file only once.

    Args:
        path: path of the file.
        changed: time of the file's last change in nanoseconds. A cached hash is used only for an equal time, so that
            the hash of a changed file is computed again.
    """
    return file_sha256(path)
