"""Functions that describe the latent space of a decoder's training, and compare it with an autoencoder's space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bench.errors import BadInputError
from bench.models.autoencoders.autoencoder import Autoencoder

__all__ = ["SPACE", "require_trained_space", "space_facts"]

SPACE = "space"
"""Key of the lineage under which the facts of the space are recorded."""
LAYERS = "input_layers"


def space_facts(encoder: Autoencoder) -> dict[str, Any]:
    """Describe an autoencoder's latents for the lineage of a decoder that is trained on these latents.

    Args:
        encoder: the autoencoder.

    Returns:
        JSON data: the fields of `LatentSpace`, and the autoencoder's `input_layers`.
    """
    own = replace(encoder.space, name=encoder.found_name)
    space = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(own).items()}
    return {**space, LAYERS: list(encoder.input_layers)}


def require_trained_space(lineage: Mapping[str, Any], encoder: Autoencoder) -> None:
    """Require that a decoder was trained on latents of the same kind as those of an autoencoder.

    If the lineage contains no space, nothing is checked.

    Args:
        lineage: lineage of the decoder.
        encoder: autoencoder whose latents the decoder is to decode.

    Raises:
        BadInputError: the lineage names another space; or other layers were applied to the latents in the training.
    """
    trained = lineage.get(SPACE)
    if not isinstance(trained, Mapping):
        return
    if trained.get("name") not in (encoder.space.name, encoder.found_name):
        raise BadInputError(
            f"encoder: expected an encoder of the space {trained.get('name')}, in which the decoder was trained, found "
            f"one of the space {encoder.space.name}"
        )
    if trained.get(LAYERS) != list(encoder.input_layers):
        raise BadInputError(
            f"encoder: expected an autoencoder that applies {_named(trained.get(LAYERS))} before its decoder, as in "
            f"the training, found one that applies {_named(encoder.input_layers)}"
        )


def _named(layers: Any) -> str:
    return ", ".join(map(str, layers or ())) or "no layer"
