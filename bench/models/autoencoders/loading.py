"""Functions that load autoencoders from folders. The class that a folder's `config.json` names selects the adapter."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.config.opened_files import only_pickled, opened_weights
from bench.errors import BadInputError
from bench.models.autoencoders.adapters import ADAPTERS, OwnDecoder, require_latents_of
from bench.models.autoencoders.autoencoder import Autoencoder
from bench.models.autoencoders.encoders import ENCODING_PARTS
from bench.models.autoencoders.space import KNOWN, LatentSpace, alike, known_name
from bench.models.autoencoders.trained_space import require_trained_space
from bench.models.checkpoints import OWN, check_decoder, load_decoder, network_settings
from bench.models.tensor_files import read_some_tensors
from bench.models.weight_headers import read_header
from bench.runtime.libraries import quiet
from bench.runtime.strict_json import read_json
from bench.runtime.text import few

__all__ = [
    "adapted",
    "described_space",
    "imitates",
    "lacks_encoder",
    "load_autoencoder",
    "require_finite",
    "require_whole_shards",
    "takes_mask",
]


def load_autoencoder(path: str | Path, *, space: str = "", encoder: str | Path | None = None) -> Autoencoder:
    """Load an autoencoder in float32.

    An autoencoder of diffusers is also tested: it must encode and decode one small picture.

    Args:
        path: a folder that diffusers wrote for one of the classes in `bench.models.autoencoders.adapters.ADAPTERS`; or
            a folder that `save_decoder` wrote in the layout `own`.
        encoder: for a decoder in the layout `own`, the folder of the autoencoder whose encoder is used. For an
            `AutoencoderTiny`, the folder of the autoencoder that it imitates; it is only needed if `space` is not a key
            of `KNOWN`. None for all other classes, because their folders contain an encoder.
        space: name of the latent space. If the name is a key of `bench.models.autoencoders.space.KNOWN`, the sizes and
            the scaling must fit this known space. If the name is empty, the name of a known space that fits is used. If
            no known space fits, a name is made from the encoder's weights. Any other name is used without a check. An
            `AutoencoderTiny` needs a key of `KNOWN` or the argument `encoder`.

    Raises:
        BadInputError: the folder has no `config.json`, or its class is unknown; weights are missing, do not fit, or
            contain NaN or infinite values; the network cannot encode and decode a picture; the space is unknown or does
            not fit; the argument `encoder` is missing or not needed; or the lineage of a decoder names another space
            than that of `encoder`.
    """
    path = Path(path)
    kind = _kind(path, encoder)
    of = None if encoder is None else load_autoencoder(encoder, space=space)
    if kind != OWN:
        return _of_diffusers(path, kind, space, None if of is None else of.space)
    decoder = load_decoder(path)
    require_finite(decoder.state_dict(), path)
    assert of is not None
    try:
        require_trained_space(decoder.lineage, of)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error} ({encoder})") from None
    return OwnDecoder(decoder, of)


def described_space(path: str | Path, *, space: str = "", encoder: str | Path | None = None) -> LatentSpace:
    """Return the latent space of the autoencoder that `load_autoencoder` would load, without loading it.

    The function reads `config.json`. If the network has statistics, such as those of a batch normalisation, it also
    reads the values of the statistics. It does not read the values of weights. For a decoder in the layout `own`, it
    also reads the names and shapes of the weights.

    Args:
        path: as for `load_autoencoder`.
        space: as for `load_autoencoder`.
        encoder: as for `load_autoencoder`.

    Returns:
        The space. Its name is empty if `load_autoencoder` would make the name from the encoder's weights.

    Raises:
        BadInputError: the folder has no `config.json`, or its class is unknown; its settings are invalid; the space is
            unknown or does not fit; or the argument `encoder` is missing or not needed.
    """
    path = Path(path)
    kind = _kind(path, encoder)
    of = None if encoder is None else described_space(encoder, space=space)
    if kind == OWN:
        assert of is not None
        require_latents_of(check_decoder(path), of)
        return of
    with _named_settings(path):
        return _space(ADAPTERS[kind], _without_weights(path, kind), space, of, path)


def _kind(path: Path, encoder: str | Path | None) -> str:
    """Return the class that the `config.json` of a folder names.

    Args:
        path: folder of the autoencoder.
        encoder: argument `encoder` of `load_autoencoder`.

    Raises:
        BadInputError: there is no `config.json`, the class is unknown, or `encoder` is missing or not needed.
    """
    kind = str(network_settings(path).get("_class_name"))
    if kind == OWN:
        if encoder is None:
            raise BadInputError(
                f"the argument encoder: expected the folder of an autoencoder with an encoder, because {path} contains "
                "only a decoder, found no such argument"
            )
    elif kind not in ADAPTERS:
        raise BadInputError(
            f"{path / 'config.json'}: _class_name: expected one of {', '.join((*ADAPTERS, OWN))}, found {kind}; "
            "docs/autoencoders.md shows how to write an adapter for another class"
        )
    elif encoder is not None and not ADAPTERS[kind].imitates:
        raise BadInputError(
            f"the argument encoder: expected no value, because {path} contains an encoder ({kind}), found {encoder}"
        )
    return kind


def takes_mask(path: str | Path) -> bool:
    """Return True if the decoder in a folder uses the true image and the mask. Weights are not read.

    The result is False if the folder has no `config.json`, or one that names no known class.
    """
    settings = _settings_if_there(Path(path))
    if settings.get("_class_name") == OWN:
        return bool(settings.get("conditioned"))
    adapter = _adapter_of(settings)
    return adapter is not None and adapter.conditioned


def lacks_encoder(path: str | Path) -> bool:
    """Return True if a folder contains only a decoder in the layout `own`. Weights are not read.

    Args:
        path: folder of an autoencoder or a decoder, with a `config.json`.

    Raises:
        BadInputError: the folder has no `config.json`, or this file cannot be read.
    """
    return network_settings(Path(path)).get("_class_name") == OWN


def imitates(path: str | Path) -> bool:
    """Return True if the folder's network was trained on the latents of another autoencoder. Weights are not read.

    The result is False if the folder has no `config.json`, or one that names no known class.
    """
    adapter = _adapter_of(_settings_if_there(Path(path)))
    return adapter is not None and adapter.imitates


def _settings_if_there(path: Path) -> Mapping[str, Any]:
    """Return the content of a folder's `config.json`; an empty mapping if the folder has no such file."""
    return network_settings(path) if (path / "config.json").is_file() else {}


def _adapter_of(settings: Mapping[str, Any]) -> type[Autoencoder] | None:
    return ADAPTERS.get(str(settings.get("_class_name")))


def _without_weights(path: Path, kind: str) -> Any:
    """Create the network that diffusers saved in a folder, with parameters that have shapes but no values.

    Only statistics, such as those of a batch normalisation, get their values from the weight files.
    """
    import diffusers  # imported here, because it takes seconds

    with quiet(), torch.device("meta"):
        network = getattr(diffusers, kind).from_config(network_settings(path))
    names = {name for name, _ in network.named_buffers()} & set(network.state_dict())
    files = [file for file in opened_weights(path) if file.suffix != ".json"] if names else []
    values = {name: value for file in files for name, value in read_some_tensors(file, names).items()}
    network.load_state_dict(values, strict=False, assign=True)
    return network


@contextmanager
def _named_settings(path: Path) -> Iterator[None]:
    """Turn any error inside the `with` block into a `BadInputError` about the `config.json` in a folder.

    An error that is already a `BadInputError` stays unchanged.
    """
    try:
        yield
    except BadInputError:
        raise
    except Exception as error:  # a value of another type can fail anywhere
        raise BadInputError(
            f"{path / 'config.json'}: expected settings with which the network encodes and decodes a picture, found an "
            f"error: {error}"
        ) from error


def _of_diffusers(path: Path, kind: str, space: str, imitated: LatentSpace | None) -> Autoencoder:
    import diffusers  # imported here, because it takes seconds

    try:
        with quiet(), torch.random.fork_rng(devices=[]):  # diffusers draws random weights before it reads the file
            network, found = getattr(diffusers, kind).from_pretrained(
                path,
                local_files_only=True,
                low_cpu_mem_usage=False,
                output_loading_info=True,
                torch_dtype=torch.float32,
                use_safetensors=False if only_pickled(path) else None,
            )
    except Exception as error:  # diffusers raises many types of errors for a missing, truncated or mismatched file
        raise BadInputError(
            f"{path}: expected an autoencoder that diffusers can load, found an error: {error}"
        ) from error
    if found["missing_keys"]:  # diffusers leaves such weights random
        raise BadInputError(
            f"{path}: expected all weights of {kind}, found no weights with the names "
            f"{few(sorted(found['missing_keys']))}"
        )
    if found["unexpected_keys"]:  # diffusers ignores such weights
        raise BadInputError(
            f"{path}: expected only weights of the network that config.json describes, found also "
            f"{few(sorted(found['unexpected_keys']))}"
        )
    require_whole_shards(path)
    require_finite(network.state_dict(), path)
    with _named_settings(path):
        autoencoder = adapted(network, path, space, imitated)
        _require_working(autoencoder, path / "config.json")
    return autoencoder


def adapted(network: Any, path: str | Path, space: str = "", imitated: LatentSpace | None = None) -> Autoencoder:
    """Return the adapter of a network of diffusers, with the name of its latent space.

    Args:
        network: network of one of the classes in `bench.models.autoencoders.adapters.ADAPTERS`, in float32.
        path: folder or file of the network, for messages.
        space: name of the space, as for `load_autoencoder`.
        imitated: space of the autoencoder that an `AutoencoderTiny` imitates; None if `space` names it.

    Raises:
        BadInputError: the network's latents do not fit the space, or their scaling is invalid.
    """
    adapter = ADAPTERS[type(network).__name__]
    described = _space(adapter, network, space, imitated, Path(path))
    found = described.name if adapter.imitates else known_name(described) or _name_of_weights(network)
    autoencoder = adapter(network, described if described.name else replace(described, name=found))
    autoencoder.found_name = found
    return autoencoder


def require_whole_shards(path: Path) -> None:
    """Require that each weight file contains the tensors that an index assigns to it.

    A folder has an index only if the weights are divided into several files. If a tensor were missing, diffusers would
    use arbitrary content of the memory instead.

    Args:
        path: folder of the network.

    Raises:
        BadInputError: a weight file is missing or damaged, or lacks a tensor.
    """
    for index in (file for file in opened_weights(path) if file.suffix == ".json"):
        stored: dict[str, set[str]] = {}
        for name, file in read_json(index)["weight_map"].items():
            if file not in stored:
                stored[file] = set(read_header(path / file))
            if name not in stored[file]:
                raise BadInputError(
                    f"{path / file}: expected the tensor {name}, which {index.name} names, found no such tensor"
                )


def _require_working(autoencoder: Autoencoder, config: Path) -> None:
    """Encode and decode one small picture, and require finite values in the expected shapes.

    Raises:
        BadInputError: a shape is wrong, or a value is NaN or infinite.
    """
    space, side = autoencoder.space, autoencoder.side or 2 * autoencoder.divisor
    z = autoencoder.encode(torch.zeros(1, 3, side, side))
    expected = (1, space.channels, side // space.factor, side // space.factor)
    decoded = autoencoder.decode(z, seeds=(0,) if autoencoder.stochastic else ())
    shapes = tuple(z.values.shape), tuple(decoded.shape)
    if shapes != (expected, (1, 3, side, side)):
        raise BadInputError(
            f"{config}: expected settings with which the latents have the shape {expected} and the decoded picture the "
            f"shape {(1, 3, side, side)}, found the shapes {shapes[0]} and {shapes[1]}"
        )
    if not all(bool(torch.isfinite(values).all()) for values in (z.values, z.for_diffusion(), decoded)):
        raise BadInputError(
            f"{config}: expected settings with which all values are finite, found NaN or infinite values"
        )


def require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Require that no weight of a network is NaN or infinite.

    Args:
        tensors: weights by name.
        path: folder of the network, for the message.

    Raises:
        BadInputError: a weight is NaN or infinite.
    """
    broken = [name for name, values in tensors.items() if not bool(torch.isfinite(values).all())]
    if broken:
        raise BadInputError(f"{path}: expected finite weights, found NaN or infinite weights in {few(broken)}")


def _space(
    adapter: type[Autoencoder], network: Any, name: str, imitated: LatentSpace | None, path: Path
) -> LatentSpace:
    """Return the latent space of a network. The space has an empty name if no name is given and no known space fits.

    Args:
        adapter: adapter of the network.
        network: network of diffusers.
        name: argument `space` of `load_autoencoder`.
        imitated: space of the autoencoder that the network imitates; None if it is not given.
        path: folder of the network, for messages.

    Raises:
        BadInputError: the network needs a known name; the latents have other sizes or another scaling than the named
            space; or the scaling is invalid.
    """
    own = adapter.space_of(network)
    _require_valid(own, path)
    known = imitated or KNOWN.get(name)
    if adapter.imitates:
        if known is None:
            raise BadInputError(
                f"the argument space: expected one of {', '.join(KNOWN)}, because {path} ({type(network).__name__}) "
                f"does not say which autoencoder it imitates, found {name or 'no value'}; the argument encoder can "
                "name the folder of any other autoencoder"
            )
        own = replace(known, channels=own.channels, factor=own.factor)
    if known is None:
        return replace(own, name=name or known_name(own))
    title = f"the space {known.name}" if known.name else "the imitated autoencoder"
    if (own.channels, own.factor) != (known.channels, known.factor):
        raise BadInputError(
            f"{path}: expected latents with {known.channels} channels and the factor {known.factor}, as in {title}, "
            f"found {own.channels} channels and the factor {own.factor}"
        )
    if not alike(own, known):
        raise BadInputError(
            f"{path}: expected the scaling of {title} (scale {known.scale:g}, shift {known.shift:g}, and its means and "
            f"deviations if it has them), found another scaling (scale {own.scale:g}, shift {own.shift:g})"
        )
    return replace(own, name=known.name)


def _require_valid(space: LatentSpace, path: Path) -> None:
    """Require that the numbers that scale latents are usable.

    Raises:
        BadInputError: a number is not finite; `space.scale` is 0; a standard deviation is not above 0; or the number of
            means or standard deviations is neither 0 nor `channels` times `patch` squared.
    """
    place, count = path / "config.json", space.channels * space.patch**2
    for key, number in (("scaling_factor", space.scale), ("shift_factor", space.shift)):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise BadInputError(f"{place}: {key}: expected a finite number, found {number!r}")
    if space.scale == 0:
        raise BadInputError(f"{place}: scaling_factor: expected a number other than 0, found 0")
    for what, numbers in (("means", space.mean), ("standard deviations", space.deviation)):
        if numbers and (len(numbers) != count or not all(math.isfinite(number) for number in numbers)):
            raise BadInputError(f"{place}: expected {count} finite {what} of latents, found {len(numbers)}: {numbers}")
    if any(number <= 0 for number in space.deviation):
        raise BadInputError(f"{place}: expected standard deviations of latents above 0, found {min(space.deviation)}")


def _name_of_weights(network: Any) -> str:
    """Return a name for the space of an encoder, made from its weights, such as `space-1f0c5a2b`."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        if name.split(".")[0] in ENCODING_PARTS:
            digest.update(name.encode())
            digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return f"space-{digest.hexdigest()[:8]}"
