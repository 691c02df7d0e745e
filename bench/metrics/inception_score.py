"""The Inception Score as torch-fidelity computes it, with what each image does to it.

Salimans et al., "Improved techniques for training GANs" (2016): exp of the mean over images of KL(p(y|x) | p(y)).
Barratt and Sharma, "A note on the Inception Score" (2018), on its splits. Shuffling, splits and float64 are those of
toshas/torch-fidelity, metric_isc.py. The influence is found by leaving each image out of its split: a split is small
beside the number of classes, and the derivative by an image's weight, which the image's own part in p(y) holds down,
is too small for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.metrics.features import Features

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


def inception_score(logits: npt.ArrayLike | Features, *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """Score of N images.

    Args:
        logits: N×K, of any classifier, in memory or in pieces; log-probabilities are logits as well.
        splits: parts of nearly equal size in which the score is taken before the mean.
        seed: of the shuffling before the split. It belongs to the published metric, not to the run.

    Raises:
        ValueError: another shape, a value that is not finite, or fewer items than splits.
    """
    x = Features.of(logits, "logits")
    if not np.isfinite(x.sum()).all():
        raise ValueError(f"logits hold {x.not_finite()} values that are not finite")
    count = len(x)
    if splits < 1 or count < splits:
        raise ValueError(f"each of {splits} splits needs an item: found {count}")
    order = np.random.RandomState(seed).permutation(count)  # torch-fidelity's generator
    scores = np.empty(splits)
    influence = np.empty(count)
    for index in range(splits):
        chosen = np.sort(order[index * count // splits : (index + 1) * count // splits])
        log_p = _log_probabilities(x[chosen].array())
        scores[index] = _score(log_p)
        influence[chosen] = count / (splits * len(chosen)) * _influence(log_p)
    return InceptionScore(float(scores.mean()), float(scores.std()), influence)


def _log_probabilities(logits: Array) -> Array:
    shifted = logits - logits.max(1, keepdims=True)
    log_p: Array = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return log_p


def _score(log_p: Array) -> float:
    """The exponential of the mean of KL(p_i | q), q the mean of all p_i."""
    p = np.exp(log_p)
    q = p.mean(0)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)  # where q is 0 so is every p, and the term vanishes
    return float(np.exp((p * (log_p - log_q)).sum(1).mean()))


def _influence(log_p: Array) -> Array:
    """The jackknife's, from the score without each of n items; the sum of squares / n² is the score's variance."""
    count = len(log_p)
    if count == 1:
        return np.zeros(1)
    p = np.exp(log_p)
    negative_entropy = (p * log_p).sum(1)
    q = np.maximum(p.sum(0) - p, 0) / (count - 1)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)
    without = np.exp((negative_entropy.sum() - negative_entropy) / (count - 1) - (q * log_q).sum(1))
    influence: Array = np.sqrt(count * (count - 1)) * (without.mean() - without)
    return influence
