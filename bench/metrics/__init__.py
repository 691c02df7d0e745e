"""Functions that compute metrics from features or from pairs of images; callers handle devices, files and progress."""

from bench.metrics.frechet import frechet_distance, frechet_distance_from_statistics, frechet_estimate
from bench.metrics.kernel import kernel_distance

__all__ = ["frechet_distance", "frechet_distance_from_statistics", "frechet_estimate", "kernel_distance"]
