"""First stages: the networks that encode pictures into the latents for decoders (paper, section 3.1 and appendix B)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import AutoencoderKL, VQModel
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models.checkpoints import network_settings

__all__ = ["FirstStage", "KLFirstStage", "VQFirstStage", "load_first_stage"]


class FirstStage(Protocol):
    """An encoder with the regularisation of its latents. Its weights stay fixed while decoders are trained."""

    def noise_shape(self, image: Tensor) -> tuple[int, ...]:
        """Return the shape of the noise that `latents` takes for one of the images; () if it takes none.

        The axis of the batch is not part of this shape.
        """

    def latents(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode images B×3×H×W in [-1, 1] into decoder inputs B×C×h×w: unscaled, after `post_quant_conv`.

        Args:
            image: the pictures.
            noise: standard normal values, with which the latents are a sample of the posterior. None returns the
                posterior's mean.
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
    """A first stage with a codebook (eqs. 1, 2): each position of the latents is replaced by the nearest entry.

    Noise has no effect.
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
    """Read a first stage in float32 from a folder of diffusers' `AutoencoderKL` or `VQModel`.

    Raises:
        BadInputError: the folder holds neither of these two models, or the model does not load.
    """
    path = Path(path)
    kind = network_settings(path).get("_class_name")
    kinds = {"AutoencoderKL": (AutoencoderKL, KLFirstStage), "VQModel": (VQModel, VQFirstStage)}
    if kind not in kinds:
        raise BadInputError(f"{path}: expected a first stage, {' or '.join(kinds)}, found {kind}")
    model: Any
    wrapper: Any
    model, wrapper = kinds[str(kind)]
    try:
        loaded = model.from_pretrained(path, local_files_only=True, torch_dtype=torch.float32)
    except Exception as error:  # diffusers raises many types of errors for a missing, truncated or mismatched file
        raise BadInputError(f"{path}: the first stage does not load ({error})") from error
    first_stage: KLFirstStage | VQFirstStage = wrapper(loaded)
    return first_stage
