"""Provide the folder of a sweep without a launcher, with which the sweeps on clusters are compared."""

import subprocess
from pathlib import Path

import pytest

from tests.helpers.sweeps import environment, sweep


@pytest.fixture(scope="session")
def without_launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of equal jobs that run one after the other."""
    folder = tmp_path_factory.mktemp("sweeps") / "without_launcher"
    subprocess.run(sweep(folder), check=True, capture_output=True, env=environment())
    return folder
