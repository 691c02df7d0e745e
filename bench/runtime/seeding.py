"""Random generators, each with a seed that depends on the seed of the run and on the purpose of the random values.

Therefore, no random value depends on the order in which the work is done.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["numpy_generator", "seed_for", "standard_normal"]


def seed_for(run_seed: int, *purpose: str | int) -> int:
    """Return an integer seed in [0, 2**63), computed from `run_seed` and every word of `purpose`.

    Example: ``seed_for(0, item.id, "mask")`` gives the seed for the mask of one item.
    """
    text = "\x1f".join([str(run_seed), *(str(word) for word in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(run_seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a PCG64 generator with the seed `seed_for(run_seed, *purpose)`."""
    return np.random.Generator(np.random.PCG64(seed_for(run_seed, *purpose)))


def standard_normal(shape: tuple[int, ...], run_seed: int, *purpose: str | int) -> npt.NDArray[np.float32]:
    """Return random float32 values of the standard normal distribution, with shape `shape`.

    The values are drawn on the CPU with `numpy_generator`, so they do not depend on the device of the run.
    """
    return numpy_generator(run_seed, *purpose).standard_normal(shape, dtype=np.float32)
