"""Tests that features in pieces and their statistics equal those in memory."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.metrics import features as module
from bench.metrics import frechet_distance, frechet_estimate
from bench.metrics.features import BLOCK, Features, Piece
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import kernel_estimate_by_parts

Array = np.ndarray  # type: ignore[type-arg]


def pieces(array: Array, size: int, reads: list[int] | None = None) -> Features:
    """Return the features in pieces; each piece that is read is recorded in `reads`."""

    def load(start: int) -> Callable[[], Array]:
        def read() -> Array:
            if reads is not None:
                reads.append(start // size)
            return array[start : start + size]

        return read

    starts = range(0, len(array), size)
    return Features([Piece(len(array[start : start + size]), load(start)) for start in starts], array.shape[1])


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD", 0)


def made(count: int, width: int, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    return (generator.normal(size=(count, width)) @ generator.normal(size=(width, width))).astype(np.float32)


@pytest.mark.blackbox
def test_pieces_are_read_like_the_whole() -> None:
    array = made(100, 3)
    features = pieces(array, 7)
    assert features.shape == (100, 3)
    assert np.array_equal(features.array(), array)
    chosen = np.random.default_rng(1).random(100) < 0.3
    some = features[chosen]
    assert np.array_equal(some.array(), array[chosen])
    assert np.array_equal(some[np.arange(0, len(some), 2)].array(), array[chosen][::2])
    assert some.array().dtype == np.float64
    assert features[np.zeros(100, np.bool_)].array().shape == (0, 3)


@pytest.mark.blackbox
def test_only_requested_pieces_are_read() -> None:
    reads: list[int] = []
    features = pieces(made(100, 3), 10, reads)[[12, 13, 57]]
    assert reads == []
    features.array()
    assert reads == [1, 5]


@pytest.mark.blackbox
def test_few_features_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD", 10_000)
    reads: list[int] = []
    features = pieces(made(100, 3), 50, reads)
    first, again = features.array(), features[np.arange(10)].array()
    assert reads == [0, 1]
    again[:] = 0
    assert np.array_equal(features.array(), first)


@pytest.mark.blackbox
def test_blocks_do_not_exceed_the_limit() -> None:
    array = made(2 * BLOCK + 5, 2)
    assert [len(block) for block in pieces(array, 1000).blocks()] == [BLOCK, BLOCK, 5]


@pytest.mark.blackbox
def test_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="ascending"):
        Features.of(made(5, 2))[[2, 1]]


@pytest.mark.reference
@pytest.mark.parametrize("spread", [1.0, 0.0], ids=["full rank", "two features alike"])
def test_the_frechet_distance_of_several_blocks_equals_that_in_memory(spread: float) -> None:
    a, b = made(2 * BLOCK + 77, 6), made(BLOCK + 300, 6, seed=1)
    a[:, 1] = a[:, 0] + spread * a[:, 1]
    whole, streamed = frechet_estimate(a, b), frechet_estimate(pieces(a, 640), pieces(b, 640))
    assert streamed.value == pytest.approx(whole.value, rel=1e-10)
    assert frechet_distance(pieces(a, 640), b) == pytest.approx(frechet_distance(a, b), rel=1e-10)
    assert streamed.influence_a == pytest.approx(
        whole.influence_a, rel=1e-6, abs=1e-8 * np.abs(whole.influence_a).max()
    )
    assert streamed.influence_b == pytest.approx(
        whole.influence_b, rel=1e-6, abs=1e-8 * np.abs(whole.influence_b).max()
    )
    product = np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)  # the textbook's, of moderate precision
    roots = np.sqrt(np.maximum(np.linalg.eigvals(product).real, 0)).sum()
    traces = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    assert whole.value == pytest.approx(np.square(a.mean(0) - b.mean(0)).sum() + traces - 2 * roots, rel=1e-4)
    # The estimate goes by triangular factors and singular values, the distance alone by sums over blocks.
    assert frechet_distance(a, b) == pytest.approx(whole.value, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(whole.value, rel=1e-9)
    assert frechet_distance(a[:5], b) == pytest.approx(frechet_estimate(a[:5], b).value, rel=1e-9)


@pytest.mark.reference
def test_inception_score_and_kernel_distance_of_pieces_equal_those_in_memory() -> None:
    logits = made(500, 5)
    assert inception_score(pieces(logits, 64)).value == pytest.approx(inception_score(logits).value, rel=1e-12)
    truth, sources = made(500, 5, seed=2), [str(item // 2) for item in range(500)]
    found, expected = kernel_estimate_by_parts(pieces(logits, 64), truth, sources), (logits, truth)
    assert found.value == pytest.approx(kernel_estimate_by_parts(*expected, sources).value, rel=1e-12)
