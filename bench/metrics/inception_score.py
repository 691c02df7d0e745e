"""The Inception Score as torch-fidelity computes it, with the influence of each image.

The score is the exponential of the mean over images of KL(p(y|x) | p(y)) (Salimans et al., "Improved techniques for
training GANs", 2016). The images are shuffled and divided into splits, and the score is the mean over the splits.
Barratt and Sharma, "A note on the Inception Score" (2018), discuss the splits. Shuffling, splits and the use of float64
follow toshas/torch-fidelity, metric_isc.py.

The influence of an image is computed by a jackknife, which leaves the image out of its split. A derivative with respect
to the image's weight would be too small. The reason is that a split has few images compared with the number of classes.
Each image therefore contributes much to p(y), and this contribution reduces the derivative.
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
    """The Inception Score with the influence of each item."""

    value: float
    """Mean of the splits' scores, at least 1."""
    splits_std: float
    """Standard deviation of the splits' scores, with the number of splits as divisor. Papers usually print it after ±,
    but it is not the standard error of the score."""
    influence: Array
    """Influence of each of the N items on `value`, as `bench.metrics.uncertainty` explains it. The mean is 0. The
    division into splits is treated as fixed."""


def inception_score(logits: npt.ArrayLike | Features, *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """Compute the Inception Score of N images.

    Args:
        logits: logits N×K of any classifier, as an array or a `bench.metrics.features.Features` object.
            Log-probabilities are valid logits.
        splits: number of parts of nearly equal size; the score is the mean of the parts' scores.
        seed: seed of the shuffling. The default is the seed of torch-fidelity, and not the seed of the run.

    Raises:
        ValueError: the shape is not N×K, a value is not finite, `splits` is below 1, or there are fewer images than
            splits.
    """
    x = Features.of(logits, "logits")
    if not np.isfinite(x.sum()).all():
        raise ValueError(f"logits hold {x.not_finite()} values that are not finite")
    count = len(x)
    if splits < 1 or count < splits:
        raise ValueError(f"splits: expected a number from 1 to {count}, the number of items, found {splits}")
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
    """Return the Inception Score of one split.

    The score is the exponential of the mean of KL(p_i | q), where q is the mean of all p_i.

    Args:
        log_p: logarithms of the class probabilities p_i, n×K for n images and K classes.
    """
    p = np.exp(log_p)
    q = p.mean(0)
    log_q = np.log(q, out=np.zeros_like(q), where=q > 0)  # if q is 0, every p is 0, and the term is 0
    return float(np.exp((p * (log_p - log_q)).sum(1).mean()))


def _influence(log_p: Array) -> Array:
    """Return the influence of each of the n images of one split on the split's score, computed by the jackknife.

    The influences are scaled so that the sum of their squares, divided by n², is the variance of the score. The
    influence is 0 if the split has only one image.

    Args:
        log_p: logarithms of the class probabilities, n×K.
    """
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
