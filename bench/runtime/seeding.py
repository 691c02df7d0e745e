"""Random generators that are seeded by their purpose, so that no draw depends on the order of the work."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["numpy_generator", "seed_for", "standard_normal"]


def seed_for(run_seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on the run's seed and on every word of the purpose.

    Example: ``seed_for(0, item.id, "mask")``.
    """
    text = "\x1f".join([str(run_seed), *(str(word) for word in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(run_seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a PCG64 generator for one purpose."""
    return np.random.Generator(np.random.PCG64(seed_for(run_seed, *purpose)))


def standard_normal(shape: tuple[int, ...], run_seed: int, *purpose: str | int) -> npt.NDArray[np.float32]:
    """Return standard normal float32 values of the given shape, which are equal on every device."""
    return numpy_generator(run_seed, *purpose).standard_normal(shape, dtype=np.float32)
