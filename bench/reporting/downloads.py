"""The files of a run that its page offers for download, grouped by kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.results.run_folder import RUN

__all__ = ["Download", "DownloadGroup", "download_groups", "files_of_run"]

KINDS = {
    "The whole table": ("table.csv", "table.md", "table.html", "table.tex", "table.json"),
    "The short table, to submit": ("table_main.tex", "table_main.md", "table_main.html"),
    "Values of each item": ("records.parquet", "influences.parquet"),
    "Results and settings": ("results.json", RUN, "manifest.json"),
}
"""Names of the files of each kind, in the order in which the page shows them. Figures are a further kind."""
FIGURES = ("png", "pdf")
"""Suffixes of figures, without the dot."""


@dataclass(frozen=True)
class Download:
    """A link to a file."""

    path: str
    """Path of the file, relative to the page."""
    text: str

    @property
    def address(self) -> str:
        """The path as a link: all characters but letters, digits, `/` and `_.-~` are percent-encoded bytes."""
        return quote(os.fsencode(self.path))


@dataclass(frozen=True)
class DownloadGroup:
    """All links to files of one kind, or to one figure in several formats."""

    label: str
    files: Sequence[Download]


def files_of_run(out: Path) -> tuple[str, ...]:
    """Return the paths of the files in a run's folder that the page can offer, relative to the folder.

    `run.json` is always among them, because it is written after the page.

    Args:
        out: folder of the run.
    """
    names = [name for names in KINDS.values() for name in names if name == RUN or (out / name).is_file()]
    figures = [path for suffix in FIGURES for path in (out / "figures").glob(f"*.{suffix}")]
    return (*names, *sorted(path.relative_to(out).as_posix() for path in figures))


def download_groups(files: Iterable[str]) -> tuple[list[DownloadGroup], list[DownloadGroup]]:
    """Return the links to files other than figures, grouped by kind, and the links to figures, grouped by figure.

    Args:
        files: paths as `files_of_run` returns them.
    """
    there = list(files)
    groups = [
        DownloadGroup(label, [Download(name, name) for name in names if name in there])
        for label, names in KINDS.items()
    ]
    figures: dict[str, list[Download]] = {}
    for path in (Path(name) for name in there):
        if len(path.parts) > 1:
            figures.setdefault(path.stem, []).append(Download(path.as_posix(), path.suffix[1:].upper()))
    drawn = [
        DownloadGroup(name, sorted(links, key=lambda link: link.text, reverse=True)) for name, links in figures.items()
    ]
    return [group for group in groups if group.files], drawn
