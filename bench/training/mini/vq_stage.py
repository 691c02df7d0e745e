"""A mini model: a first stage with a codebook (paper, section 3.1, eqs. 1 and 2), in diffusers' own format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import VQModel
from torch import Tensor
from torch.nn import functional

from bench.training.initialization import start_readout
from bench.training.mini.build import Workshop
from bench.training.mini.first_stage import FirstStageRecipe
from bench.training.mini.images import TrainingImages

__all__ = ["VQFirstStagePart", "codebook_terms"]


def codebook_terms(encoded: Tensor, entries: Tensor, *, beta: float) -> dict[str, Tensor]:
    """Return the last two terms of the paper's eq. 2, each a mean over all values.

    `codebook` moves the codebook's entries towards the encoded values. `commitment` moves the encoded values towards
    the entries.

    Args:
        encoded: latents B×C×h×w before they are replaced by entries.
        entries: nearest codebook entry of each position, B×C×h×w.
        beta: factor of the term `commitment`; 0.25 in CompVis/taming-transformers.
    """
    return {
        "codebook": functional.mse_loss(entries, encoded.detach()),
        "commitment": beta * functional.mse_loss(encoded, entries.detach()),
    }


@dataclass(frozen=True)
class VQFirstStagePart(FirstStageRecipe):
    """The recipe of the VQ autoencoder, which is trained as a whole.

    Gradients pass the codebook unchanged from the decoder to the encoder (straight-through gradients).
    """

    entries: int
    """Number of entries of the codebook."""
    beta: float = 0.25

    def fresh(self, resolution: int) -> VQModel:
        vq = VQModel(**self.sizes(resolution), num_vq_embeddings=self.entries)
        start_readout(vq.decoder, constant=self.readout_constant)
        torch.nn.init.normal_(vq.quantize.embedding.weight)
        return vq

    def reconstruct(
        self, network: VQModel, pictures: Tensor, seeds: Sequence[int | str]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        codebook = network.quantize.embedding
        encoded = network.encode(pictures).latents.float()
        entries = codebook(_nearest(encoded, codebook.weight)).permute(0, 3, 1, 2)
        through = encoded + (entries - encoded).detach()
        return network.decoder(network.post_quant_conv(through)), (encoded, entries)

    def regularisation(self, encoded: Tensor, entries: Tensor, /) -> dict[str, Tensor]:
        return codebook_terms(encoded, entries, beta=self.beta)

    @torch.no_grad()
    def measure(self, network: VQModel, images: TrainingImages, workshop: Workshop) -> dict[str, float]:
        """Return how many different codebook entries 256 pictures of the development split use, as `entries_used`."""
        pictures, _ = workshop.dev_images().batch(256, "codebook")
        encoded = network.encode(pictures.to(workshop.device)).latents
        return {
            "entries_used": float(len(set(_nearest(encoded, network.quantize.embedding.weight).flatten().tolist())))
        }


def _nearest(encoded: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the nearest codebook entry for each position, B×h×w, by the paper's eq. 1.

    Args:
        encoded: latents B×C×h×w.
        codebook: the K entries, K×C.
    """
    flat = encoded.permute(0, 2, 3, 1).reshape(-1, encoded.shape[1])
    nearest = torch.cdist(flat.detach().float(), codebook.detach().float()).argmin(1)
    return nearest.view(len(encoded), *encoded.shape[2:])
