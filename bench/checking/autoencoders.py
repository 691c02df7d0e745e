"""Search for missing and wrong files of the autoencoders in the configuration group `vae`. It loads no autoencoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bench.checking.assets import Asset, Download
from bench.checking.inspection import Problem, damaged_weights, inspect_needs, merged
from bench.checking.required_paths import Need
from bench.config.opened_files import opened_weights
from bench.config.schema import HubFiles, VaeSpec
from bench.errors import BadInputError
from bench.models.autoencoders import described_space, lacks_encoder

__all__ = ["vae_asset", "vae_problems"]

HUB = "https://huggingface.co"
UNKNOWN_COMMIT = "this project knows no commit of this repository, so choose one from its history, then "


def vae_problems(vaes: Mapping[str, VaeSpec]) -> list[Problem]:
    """Return everything that is missing or wrong among the files of autoencoders.

    These are problems: a folder or a file does not exist; a file has another size than `VaeSpec.files` states; weights
    are damaged; the folder contains no encoder, and `VaeSpec.encoder` is None; `config.json` names an unknown class or
    has invalid settings; the latent space that follows from `config.json` is not the declared one. The encoder,
    `config.json` and the space are checked only if all files are right.

    Args:
        vaes: value of the configuration key `vaes`.
    """
    return merged(problem for name, vae in vaes.items() for problem in _problems(name, vae))


def vae_asset(name: str, vae: VaeSpec) -> Asset:
    """Return the description of an autoencoder's files in the form of an asset, for messages and downloads.

    Args:
        name: name of the autoencoder in the configuration key `vaes`.
        vae: the autoencoder. A program may download it if its repository is not gated and a commit is known.
    """
    sizes = [size for size in vae.files.values() if size is not None]
    return Asset(
        name=f"vaes.{name}",
        what=f"{vae.label}, an autoencoder" + (f" of the latent space {vae.space}" if vae.space else ""),
        used_for="autoencoder",
        source=f"{HUB}/{vae.hub.id}" if vae.hub else "this project, or your own training",
        licence=vae.licence or "not known",
        how=_how(name, vae.hub) if vae.hub else "",
        gigabytes=sum(sizes) / 1e9 if sizes else None,
        files=tuple(vae.files),
        download=_download(vae.hub, vae.files) if vae.hub else None,
        unverified=tuple("gigabytes" if field == "files" else field for field in vae.unverified),
        key=f"vaes.{name}.path",
    )


def _download(hub: HubFiles, files: Iterable[str]) -> Download | None:
    if hub.gated or hub.revision is None:
        return None
    return Download(hub=hub.id, revision=hub.revision, files=tuple(files), folder=hub.folder)


def _how(name: str, hub: HubFiles) -> str:
    """Return what the user must do by hand to get the files; "" if a program may download them."""
    if not hub.gated and hub.revision is not None:
        return ""
    steps = UNKNOWN_COMMIT if hub.revision is None else ""
    if hub.gated:
        steps += "accept the licence at the source, log in with hf auth login, then "
    command = f"hf download {hub.id} --revision {hub.revision or 'COMMIT'}"
    if not hub.folder:
        return f"{steps}run {command} --local-dir PATH"
    where = f"--include '{hub.folder}/*' --local-dir DIR, and set vaes.{name}.path=DIR/{hub.folder}"
    return f"{steps}run {command} {where}"


def _problems(name: str, vae: VaeSpec) -> Iterator[Problem]:
    asset, place = vae_asset(name, vae), Path(vae.path)
    found = inspect_needs([Need(asset.key, place, asset, place)])
    if place.is_file():
        found = [Problem(vae.path, "expected a folder, found a file", (asset.key,), asset)]
    elif place.is_dir():
        said = {problem.said for problem in found}
        wrong = [*_wrong_sizes(vae, place), *(one for one in damaged_weights(place, place) if one not in said)]
        if not opened_weights(place) and not said:
            wrong.append("a folder without weights, such as diffusion_pytorch_model.safetensors")
        found += [Problem(vae.path, one, (asset.key,), asset, broken=True) for one in wrong]
    if vae.encoder is not None:
        found += inspect_needs([Need(f"vaes.{name}.encoder", Path(vae.encoder))])
    yield from found
    if not found:
        try:
            if vae.encoder is None and lacks_encoder(place):
                reason = (
                    "expected also the folder of the autoencoder whose latents this decoder decodes, because the "
                    "folder contains no encoder, found no value"
                )
                yield Problem(vae.path, reason, (f"vaes.{name}.encoder",))
                return
            described_space(place, space=vae.space, encoder=vae.encoder)
        except BadInputError as error:
            yield Problem(vae.path, str(error).removeprefix(f"{place}: "), (asset.key,), asset)


def _wrong_sizes(vae: VaeSpec, place: Path) -> Iterator[str]:
    for name, size in vae.files.items():
        file = place / name
        if size is not None and file.is_file() and (found := file.stat().st_size) != size:
            yield f"{name} has {found} bytes, expected {size}: another file, or a broken download"
