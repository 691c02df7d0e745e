"""Benchmark harness for asymmetric VQGAN decoders (arXiv 2306.04632)."""

from typing import TYPE_CHECKING, Any

from bench.experiments.run import run

if TYPE_CHECKING:
    from bench.evaluation.decoder_trial import try_decoder

__all__ = ["run", "try_decoder"]


def __getattr__(name: str) -> Any:
    """Import a name that needs torch when it is first used."""
    if name == "try_decoder":
        from bench.evaluation.decoder_trial import try_decoder

        return try_decoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
