"""Benchmark harness for asymmetric VQGAN decoders (arXiv 2306.04632)."""
