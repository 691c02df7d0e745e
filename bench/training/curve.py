"""The learning curve of a run: every update's losses and every validation, on disk as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pandas
from rich.console import Console
from rich.table import Table

from bench.results import write_atomically

__all__ = ["Curve", "print_curve"]

LOSSES, VALIDATIONS = "losses.jsonl", "validation.jsonl"
POINTS = 12
"""Lines of the printed curve."""
RANKED_BY = ("lpips_mask", "lpips")
"""The first of these that a decoder has says which checkpoint is best; the lowest is."""


class Curve:
    """Lines of two files; those after the step from which a run goes on are written anew."""

    def __init__(self, folder: Path, step: int | None = None) -> None:
        """Open the curve of a run.

        Args:
            folder: of the run.
            step: updates done so far, of 0 nothing is kept; None for a finished run, of which nothing is cut.
        """
        self.folder = folder
        if step is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (LOSSES, VALIDATIONS):
                kept = [line for line in _lines(folder / name) if line["step"] <= step] if step else []
                write_atomically(folder / name, "".join(json.dumps(line) + "\n" for line in kept))
        self._files: dict[str, IO[str]] = {}

    def __enter__(self) -> Self:
        self._files = {name: (self.folder / name).open("a") for name in (LOSSES, VALIDATIONS)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def updated(self, step: int, losses: Mapping[str, float]) -> None:
        """Add an update."""
        self._add(LOSSES, step, losses)

    def validated(self, step: int, figures: Mapping[str, float]) -> bool:
        """Add a validation, and say whether it is the best of the run."""
        ranked = next(name for name in RANKED_BY if name in figures)
        earlier = [line[ranked] for line in _lines(self.folder / VALIDATIONS) if line["step"] > 0]
        self._add(VALIDATIONS, step, figures)
        return all(figures[ranked] < value for value in earlier)

    def _add(self, name: str, step: int, values: Mapping[str, float]) -> None:
        self._files[name].write(json.dumps({"step": step, **values}) + "\n")
        self._files[name].flush()

    def losses(self) -> pandas.DataFrame:
        """One line for each update."""
        return pandas.DataFrame(_lines(self.folder / LOSSES))

    def validations(self) -> pandas.DataFrame:
        """One line for each validation."""
        return pandas.DataFrame(_lines(self.folder / VALIDATIONS))


def print_curve(losses: pandas.DataFrame, validations: pandas.DataFrame) -> None:
    """Means of the losses over equal stretches of the run, and the validations."""
    stretch = -(-len(losses) // POINTS)
    means = losses.groupby((losses["step"] - 1) // stretch).mean()
    means["step"] = losses.groupby((losses["step"] - 1) // stretch)["step"].max()
    console = Console(width=max(100, Console().width))
    for title, frame in (("Losses, means", means), ("Validation", validations)):
        table = Table(title=title, title_justify="left")
        for column in frame.columns:
            table.add_column(str(column), justify="right")
        for line in frame.to_dict("records"):
            table.add_row(*(_shown(name, value) for name, value in line.items()))
        console.print(table)


def _shown(name: Any, value: float) -> str:
    return str(int(value)) if name == "step" else "–" if pandas.isna(value) else f"{value:.5g}"


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a file of JSON lines; the last one may have been cut off."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found
