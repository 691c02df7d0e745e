"""First stages: networks that encode pictures into the latents that decoders read (paper, section 3.1, appendix B)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from bench.config.opened_files import only_pickled
from bench.errors import BadInputError
from bench.models.checkpoints import network_settings
from bench.models.tensor_files import mismatch, read_tensors

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, VQModel

__all__ = ["FirstStage", "KLFirstStage", "VQFirstStage", "autoencoder_of", "load_first_stage"]

AUTOENCODER = Path(__file__).parent / "configs" / "sd15" / "vae" / "config.json"
"""Settings of Stable Diffusion 1's autoencoder, which a checkpoint file does not contain."""
FIRST_STAGE = "first_stage_model."
"""Beginning of the names of the autoencoder's tensors in a checkpoint file."""


class FirstStage(Protocol):
    """The interface of a network that encodes images into latents, with a normal posterior or a codebook.

    The weights of a first stage stay fixed while decoders are trained.
    """

    def noise_shape(self, image: Tensor) -> tuple[int, ...]:
        """Return the shape C×h×w of the noise that `latents` needs for one image; return () if noise has no effect.

        Args:
            image: images B×3×H×W. The returned shape does not include B.
        """

    def latents(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode images into latents B×C×h×w that a decoder can read.

        `post_quant_conv` is applied to the latents. The scaling of diffusion models is not applied.

        Args:
            image: images B×3×H×W in [-1, 1].
            noise: standard normal values B×C×h×w. With noise, the latents come from a sample of the posterior. With
                None, they come from the posterior's mean. A first stage with a codebook ignores this argument.
        """

    def to(self, device: torch.device) -> FirstStage: ...


class KLFirstStage(nn.Module):
    """A first stage with a normal posterior (eqs. 10, 11), as in Stable Diffusion."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)

    def noise_shape(self, image: Tensor) -> tuple[int, ...]:
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return (self.vae.config.latent_channels, image.shape[-2] // factor, image.shape[-1] // factor)

    @torch.no_grad()
    def latents(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        posterior = self.vae.encode(image).latent_dist
        sample = posterior.mean if noise is None else posterior.mean + posterior.std * noise.to(posterior.mean.device)
        return self.vae.post_quant_conv(sample)  # type: ignore[no-any-return]


class VQFirstStage(nn.Module):
    """A first stage with a codebook (eqs. 1, 2). Noise has no effect.

    The vector at each position of the latents is replaced by the nearest entry of the codebook.
    """

    def __init__(self, vq: VQModel) -> None:
        super().__init__()
        self.vq = vq.eval().requires_grad_(False)

    def noise_shape(self, image: Tensor) -> tuple[int, ...]:
        return ()

    @torch.no_grad()
    def latents(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        quantised, _, _ = self.vq.quantize(self.vq.encode(image).latents)
        return self.vq.post_quant_conv(quantised)  # type: ignore[no-any-return]


def load_first_stage(path: str | Path) -> KLFirstStage | VQFirstStage:
    """Read a first stage in float32.

    Args:
        path: a folder of diffusers' `AutoencoderKL` or `VQModel`; or a checkpoint file of Stable Diffusion 1 in the
            original layout. The other networks in such a file are ignored.

    Raises:
        BadInputError: the path does not contain one of these models, or the model does not load.
    """
    from diffusers import AutoencoderKL, VQModel  # imported here, because it takes seconds

    path = Path(path)
    if path.is_file():
        return KLFirstStage(_autoencoder_of_file(path))
    kind = network_settings(path).get("_class_name")
    kinds = {"AutoencoderKL": (AutoencoderKL, KLFirstStage), "VQModel": (VQModel, VQFirstStage)}
    if kind not in kinds:
        raise BadInputError(f"{path}: expected a first stage of the class {' or '.join(kinds)}, found the class {kind}")
    model: Any
    wrapper: Any
    model, wrapper = kinds[str(kind)]
    try:
        loaded = model.from_pretrained(
            path,
            local_files_only=True,
            torch_dtype=torch.float32,
            use_safetensors=False if only_pickled(path) else None,
        )
    except Exception as error:  # diffusers raises many types of errors for a missing, truncated or mismatched file
        raise BadInputError(
            f"{path}: expected a first stage that diffusers can load, found an error: {error}"
        ) from error
    first_stage: KLFirstStage | VQFirstStage = wrapper(loaded)
    return first_stage


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
