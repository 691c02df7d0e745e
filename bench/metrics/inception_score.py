"""The Inception Score as torch-fidelity computes it, with its influence function.

Salimans et al., "Improved techniques for training GANs" (2016): exp of the mean over images of KL(p(y|x) | p(y)).
Barratt and Sharma, "A note on the Inception Score" (2018), on its splits. Shuffling, splits and float64 are those of
toshas/torch-fidelity, metric_isc.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["InceptionScore", "inception_score"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class InceptionScore:
    """The score, and how far each item moves it."""

    value: float
    """Mean over the splits, at least 1."""
    splits_std: float
    """Standard deviation over the splits, divided by their number: what is usually printed behind ±. It is not the
    score's standard error."""
    influence: Array
    """N values with mean 0, as `bench.metrics.uncertainty` takes them, for the splits as they were drawn."""


def inception_score(logits: npt.ArrayLike, *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """Score of N images.

    Args:
        logits: N×K, of any classifier; log-probabilities are logits as well.
        splits: parts of nearly equal size in which the score is taken before the mean.
        seed: of the shuffling before the split. It belongs to the published metric, not to the run.

    Raises:
        ValueError: another shape, a value that is not finite, or fewer items than splits.
    """
    x = np.asarray(logits)
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"logits must have shape N×K: found {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"logits hold {np.count_nonzero(~np.isfinite(x))} values that are not finite")
    count = len(x)
    if splits < 1 or count < splits:
        raise ValueError(f"each of {splits} splits needs an item: found {count}")
    order = np.random.RandomState(seed).permutation(count)  # torch-fidelity's generator
    scores = np.empty(splits)
    influence = np.empty(count)
    for index in range(splits):
        chosen = order[index * count // splits : (index + 1) * count // splits]
        divergence = _divergences(x[chosen].astype(np.float64))
        mean = divergence.mean()
        scores[index] = np.exp(mean)
        # A split's mean divergence moves by KL(p_i | q) - mean for a weight on item i: the change of q cancels.
        share = count / (splits * len(chosen))
        influence[chosen] = share * scores[index] * (divergence - mean)
    return InceptionScore(float(scores.mean()), float(scores.std()), influence)


def _divergences(logits: Array) -> Array:
    """KL(p_i | q) of each row's softmax p_i from their mean q."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    p = np.exp(log_p)
    q = p.mean(0)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)  # where q is 0 so is every p, and the term vanishes
    divergences: Array = (p * (log_p - log_q)).sum(1)
    return divergences
