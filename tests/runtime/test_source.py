"""Tests of the hash of the project's source files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.runtime import source
from bench.runtime.source import source_hash

pytestmark = pytest.mark.property


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a folder with two modules in the place of the project's packages."""
    for name, text in {"one.py": "A = 1\n", "deep/two.py": "B = 2\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(source, "FOLDERS", (tmp_path,))
    source_hash.cache_clear()
    yield tmp_path
    source_hash.cache_clear()


def hashed() -> str:
    source_hash.cache_clear()
    return source_hash()


def test_the_hash_changes_with_the_text_and_the_name_of_a_module_only(folder: Path) -> None:
    first = hashed()
    (folder / "note.txt").write_text("no module")
    assert hashed() == first
    (folder / "deep" / "two.py").write_text("B = 3\n")
    assert hashed() != first
    (folder / "deep" / "two.py").write_text("B = 2\n")
    assert hashed() == first
    (folder / "one.py").rename(folder / "three.py")
    assert hashed() != first


def test_the_project_s_packages_are_hashed() -> None:
    files = [path for folder in source.FOLDERS for path in folder.rglob("*.py")]
    assert Path(source.__file__) in files
    assert "lama.py" in [path.name for path in files]
