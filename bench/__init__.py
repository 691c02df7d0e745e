"""Benchmark harness for asymmetric VQGAN decoders (arXiv 2306.04632)."""

from bench.edits.score import score
from bench.experiments.run import run

__all__ = ["run", "score"]
