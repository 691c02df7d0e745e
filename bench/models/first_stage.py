"""First stages: networks that encode pictures into the latents that decoders read (paper, section 3.1, appendix B)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models.autoencoders import Autoencoder, LatentSpace, load_autoencoder
from bench.models.autoencoders.loading import adapted
from bench.models.tensor_files import mismatch, read_tensors

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

__all__ = ["AdaptedFirstStage", "FirstStage", "autoencoder_of", "first_stage_of", "load_first_stage"]

AUTOENCODER = Path(__file__).parent / "configs" / "sd15" / "vae" / "config.json"
"""Settings of Stable Diffusion 1's autoencoder, which a checkpoint file does not contain."""
FIRST_STAGE = "first_stage_model."
"""Beginning of the names of the autoencoder's tensors in a checkpoint file."""


class FirstStage(Protocol):
    """The interface of a network that encodes images into latents for a decoder.

    The weights of a first stage stay fixed while decoders are trained.
    """

    def noise_shape(self, image: Tensor) -> tuple[int, ...]:
        """Return the shape C×h×w of the noise that `latents` needs for one image; return () if noise has no effect.

        Args:
            image: images B×3×H×W. The returned shape does not include B.
        """

    def latents(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode images into latents B×C×h×w that a decoder can read.

        The layers that the network applies before its decoder, such as `post_quant_conv`, are applied to the latents.
        The scaling of diffusion models is not applied.

        Args:
            image: images B×3×H×W in [-1, 1].
            noise: standard normal values B×C×h×w. With noise, the latents come from a sample of the posterior. With
                None, they come from the posterior's mean. A first stage without a posterior ignores this argument.
        """

    def to(self, device: torch.device) -> FirstStage: ...


class AdaptedFirstStage(nn.Module):
    """A first stage that encodes with an autoencoder of any class.

    If the encoder has a posterior, as in Stable Diffusion, the latents come from this posterior (eqs. 10, 11). If the
    autoencoder has a codebook, the latents are computed from vectors of the codebook (eqs. 1, 2). For all other
    autoencoders, the latents are computed directly from the encoder's output. Noise has an effect only if there is a
    posterior.
    """

    def __init__(self, autoencoder: Autoencoder) -> None:
        """Set the autoencoder, whose decoder is not used."""
        super().__init__()
        self.autoencoder = autoencoder

    @property
    def space(self) -> LatentSpace:
        """Space of the latents before the autoencoder's `input_layers` are applied."""
        return self.autoencoder.space

    def noise_shape(self, image: Tensor) -> tuple[int, ...]:
        if not self.autoencoder.has_posterior:
            return ()
        factor = self.space.factor
        return (self.space.channels, image.shape[-2] // factor, image.shape[-1] // factor)

    @torch.no_grad()
    def latents(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.autoencoder.decodable(self.autoencoder.encode(image, noise).values)


def first_stage_of(network: Any) -> AdaptedFirstStage:
    """Return a network of diffusers as a first stage.

    Args:
        network: network of one of the classes in `bench.models.autoencoders.adapters.ADAPTERS`, in float32. It is set
            to evaluation mode, and its weights are fixed.

    Raises:
        BadInputError: the network is an `AutoencoderTiny`, or its scaling is invalid.
    """
    return AdaptedFirstStage(adapted(network, type(network).__name__))


def load_first_stage(path: str | Path, *, space: str = "") -> AdaptedFirstStage:
    """Read a first stage in float32.

    Args:
        path: a folder of an autoencoder that `bench.models.load_autoencoder` reads, with an encoder; or a checkpoint
            file of Stable Diffusion 1 in the original layout. The other networks in such a file are ignored.
        space: name of the latent space, as for `load_autoencoder`. Only an `AutoencoderTiny` needs it.

    Raises:
        BadInputError: the path does not contain such a model, the model does not load, or it does not fit `space`.
    """
    path = Path(path)
    if path.is_file():
        return AdaptedFirstStage(adapted(_autoencoder_of_file(path), path, space))
    return AdaptedFirstStage(load_autoencoder(path, space=space))


def autoencoder_of(tensors: Mapping[str, Tensor], place: str) -> AutoencoderKL:
    """Return Stable Diffusion 1's autoencoder with the weights of a checkpoint file. The number types of the weights
    are kept.

    Args:
        tensors: all tensors of a checkpoint file in the original layout.
        place: text with which error messages begin. It is the path of the file, or the name of a setting and the path.

    Raises:
        BadInputError: the tensors are not those of Stable Diffusion 1.
    """
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    settings = json.loads(AUTOENCODER.read_text(encoding="utf-8"))
    with torch.device("meta"):
        autoencoder: AutoencoderKL = AutoencoderKL.from_config(settings)
    try:
        found = convert_ldm_vae_checkpoint(dict(tensors), settings)
    except Exception as error:  # another model's tensors can fail anywhere in the conversion
        raise BadInputError(f"{place}: expected Stable Diffusion 1, found another model ({error!r})") from error
    differences = mismatch(autoencoder.state_dict(), found)
    if differences:
        raise BadInputError(f"{place}: expected the vae of Stable Diffusion 1, found one with {'; '.join(differences)}")
    autoencoder.load_state_dict(found, assign=True)
    return autoencoder


def _autoencoder_of_file(path: Path) -> AutoencoderKL:
    tensors = read_tensors(path)
    if not any(name.startswith(FIRST_STAGE) for name in tensors):
        raise BadInputError(
            f"{path}: expected Stable Diffusion 1 in the original layout, found no tensors whose names begin with "
            f"{FIRST_STAGE}"
        )
    return autoencoder_of(tensors, str(path)).float()
