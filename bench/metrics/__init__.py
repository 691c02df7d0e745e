"""Metrics: features or pairs in, a value out; devices, files and progress are the caller's."""

from bench.metrics.frechet import frechet_distance, frechet_distance_from_statistics, frechet_estimate
from bench.metrics.kernel import kernel_distance

__all__ = ["frechet_distance", "frechet_distance_from_statistics", "frechet_estimate", "kernel_distance"]
