"""Benchmark harness for asymmetric VQGAN decoders (arXiv 2306.04632)."""

from bench.command import run

__all__ = ["run"]
