"""The learning curve of a run: the losses of each update and the metrics of each validation.

All losses and metrics are written to files immediately, so that an interrupted run keeps its curve.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pandas
from rich.console import Console
from rich.table import Table

from bench.errors import BadInputError
from bench.runtime.files import write_atomically
from bench.runtime.strict_json import parse_json

__all__ = ["Curve", "print_curve"]

LOSSES, VALIDATIONS = "losses.jsonl", "validation.jsonl"
POINTS = 12
"""Largest number of lines that `print_curve` prints for the losses."""
RANKED_BY = ("lpips_mask", "lpips")
"""Metrics by which checkpoints are ranked; the lowest value is best.

Only the first metric that a validation contains is used. A decoder without a branch has no `lpips_mask`.
"""


class Curve:
    """The learning curve of a run, kept in the files `losses.jsonl` and `validation.jsonl` of its folder."""

    def __init__(self, folder: Path, step: int | None = None) -> None:
        """Open the curve of a run.

        Args:
            folder: folder of the run.
            step: number of updates after which the run starts or resumes. Lines of later updates are removed, and 0
                removes all lines. None removes nothing, for a finished run.
        """
        self.folder = folder
        if step is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (LOSSES, VALIDATIONS):
                kept = [line for line in _lines(folder / name) if line["step"] <= step] if step else []
                write_atomically(folder / name, "".join(json.dumps(line) + "\n" for line in kept))
        self._opened = ExitStack()
        self._files: dict[str, IO[str]] = {}

    def __enter__(self) -> Self:
        for name in (LOSSES, VALIDATIONS):
            self._files[name] = self._opened.enter_context((self.folder / name).open("a", encoding="utf-8"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()  # closes every file, even if closing one of them fails on a full disk

    def updated(self, step: int, losses: Mapping[str, float]) -> None:
        """Add the losses of one update. Its number `step` is the number of finished updates, including this one."""
        self._add(LOSSES, step, losses)

    def validated(self, step: int, figures: Mapping[str, float]) -> bool:
        """Add a validation, and return True if it is better than all earlier validations of the run.

        An earlier validation at step 0 is not compared. The metric that decides is the first metric of `RANKED_BY` that
        `figures` contains. A lower value is better.

        Args:
            step: number of finished updates.
            figures: measured value of each metric. The keys are the names of the metrics.
        """
        metric = next(name for name in RANKED_BY if name in figures)
        earlier = [line[metric] for line in _lines(self.folder / VALIDATIONS) if line["step"] > 0]
        self._add(VALIDATIONS, step, figures)
        return all(figures[metric] < value for value in earlier)

    def _add(self, name: str, step: int, values: Mapping[str, float]) -> None:
        self._files[name].write(json.dumps({"step": step, **values}) + "\n")
        self._files[name].flush()

    def losses(self) -> pandas.DataFrame:
        """Return the losses of all updates, as a data frame with one line for each update."""
        return pandas.DataFrame(_lines(self.folder / LOSSES))

    def validations(self) -> pandas.DataFrame:
        """Return the metrics of all validations, as a data frame with one line for each validation."""
        return pandas.DataFrame(_lines(self.folder / VALIDATIONS))


def print_curve(losses: pandas.DataFrame, validations: pandas.DataFrame) -> None:
    """Print two tables: the mean losses in up to twelve equal parts of the run, and all validations."""
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
    """Return the parsed lines of a file with one JSON object in each line; [] if the file does not exist.

    Reading stops at the first line that is not valid JSON: an interruption may have cut off the last line.
    """
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(parse_json(line, str(path)))
        except BadInputError:
            break
    return found
