"""Autoencoders of many latent spaces with the common interface `Autoencoder`, and the function that loads them."""

from bench.models.autoencoders.autoencoder import Autoencoder, Latents, padded
from bench.models.autoencoders.loading import described_space, load_autoencoder, takes_mask
from bench.models.autoencoders.space import KNOWN, LatentSpace

__all__ = [
    "KNOWN",
    "Autoencoder",
    "LatentSpace",
    "Latents",
    "described_space",
    "load_autoencoder",
    "padded",
    "takes_mask",
]
