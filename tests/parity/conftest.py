"""Provide common weights and pictures, and record differences, which `pytest tests/parity -v` prints."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.random_weights import inception_weights, random_images
from tests.helpers.weights import saved_inception

Within = Callable[..., None]
RECORD = pytest.StashKey[list[tuple[str, str, float, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RECORD] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.get_verbosity() < 1 or not config.stash[RECORD]:
        return
    terminalreporter.write_line("| quantity | peer | largest deviation | tolerance |\n| --- | --- | ---: | ---: |")
    for quantity, peer, deviation, tolerance in config.stash[RECORD]:
        terminalreporter.write_line(f"| {quantity} | {peer} | {deviation:.1e} | {tolerance} |")


@pytest.fixture
def within(pytestconfig: pytest.Config) -> Within:
    """Asserts that two results differ by no more than a tolerance, and records by how much they do."""

    def check(quantity: str, peer: str, found: Any, expected: Any, tolerance: float, *, absolute: bool = False) -> None:
        deviation = _deviation(found, expected, absolute=absolute)
        pytestconfig.stash[RECORD].append((quantity, peer, deviation, f"{tolerance:.0e}"))
        assert deviation <= tolerance

    return check


@pytest.fixture
def apart(pytestconfig: pytest.Config) -> Within:
    """Asserts that two results differ by design by a certain size at least, and records by how much they do."""

    def check(quantity: str, peer: str, found: Any, expected: Any, least: float) -> None:
        deviation = _deviation(found, expected)
        pytestconfig.stash[RECORD].append((quantity, peer, deviation, f"by design; {least:.0e} at least"))
        assert deviation >= least

    return check


def _deviation(found: Any, expected: Any, *, absolute: bool = False) -> float:
    """Return the largest deviation, relative to the largest expected value unless `absolute`."""
    ours, theirs = (np.asarray(values, np.float64) for values in (found, expected))
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / (1 if absolute else np.abs(theirs).max()))


@pytest.fixture(scope="session")
def weights() -> dict[str, torch.Tensor]:
    return inception_weights()


@pytest.fixture(scope="session")
def ported(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_inception(tmp_path_factory.mktemp("weights"), weights)


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    return random_images(4, 512, 384)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Ignore the packages' warnings of changes in SciPy and of the memory that they take."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
