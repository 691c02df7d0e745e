"""Functions that build, load and save the decoders of the paper, and a function that loads autoencoders."""

from bench.models.autoencoders import load_autoencoder
from bench.models.checkpoints import load_decoder, save_decoder
from bench.models.decoder import DECODERS, Decoder, DecoderConfig, build_decoder

__all__ = ["DECODERS", "Decoder", "DecoderConfig", "build_decoder", "load_autoencoder", "load_decoder", "save_decoder"]
