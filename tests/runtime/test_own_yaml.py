"""Tests of the quick reader of YAML files."""

from pathlib import Path

import pytest
import yaml

import bench
from bench.runtime import own_yaml

pytestmark = pytest.mark.reference

FILES = sorted(Path(bench.__file__).parent.rglob("*.yaml"))


@pytest.mark.parametrize("loader", [own_yaml.LOADER, yaml.SafeLoader])
def test_the_files_of_the_project_are_read_as_by_pyyaml(loader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_yaml, "LOADER", loader)
    assert FILES
    for path in FILES:
        assert own_yaml.read_own_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))
