"""Autoencoders of many latent spaces with the common interface `Autoencoder`, and the function that loads them."""

from bench.models.autoencoders.autoencoder import Autoencoder, Latents, padded
from bench.models.autoencoders.encoders import same_encoder
from bench.models.autoencoders.loading import described_space, imitates, lacks_encoder, load_autoencoder, takes_mask
from bench.models.autoencoders.space import KNOWN, LatentSpace, alike

__all__ = [
    "KNOWN",
    "Autoencoder",
    "LatentSpace",
    "Latents",
    "alike",
    "described_space",
    "imitates",
    "lacks_encoder",
    "load_autoencoder",
    "padded",
    "same_encoder",
    "takes_mask",
]
