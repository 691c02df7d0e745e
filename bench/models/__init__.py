"""Networks: the decoders of the paper."""

from bench.models.decoder import DECODERS, Decoder, DecoderConfig, build_decoder

__all__ = ["DECODERS", "Decoder", "DecoderConfig", "build_decoder"]
