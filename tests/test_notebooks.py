"""Tests that every notebook of the documentation runs from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def outputs(notebook: nbformat.NotebookNode) -> str:
    """Return all printed text and all plain texts of results."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in found)


def executed(name: str, folder: Path) -> str:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
    return outputs(notebook)


def test_the_notebooks_are_saved_without_outputs() -> None:
    assert len(NOTEBOOKS) == 2
    for path in NOTEBOOKS:
        assert outputs(nbformat.read(path, as_version=4)) == ""


@pytest.mark.filterwarnings("default")  # the kernel's own packages warn
def test_the_notebook_on_edits_runs(tmp_path: Path) -> None:
    text = executed("score_my_edits", tmp_path)
    assert "pastes back: in 24 of 24 pictures all known pixels equal the truth exactly" in text
    assert "shifts by a pixel: 24 of 24 pictures are shifted or zoomed against their truth" in text
    assert (tmp_path / "scores" / "report.html").exists()


@pytest.mark.filterwarnings("default")
def test_the_notebook_on_a_decoder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_STORE", str(tmp_path / "store"))
    text = executed("my_decoder_in_table2", tmp_path)
    assert "blurred" in text
