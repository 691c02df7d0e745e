"""Curves and pictures of a training run for TensorBoard, and for W&B where it is installed and asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid

__all__ = ["Scalars"]


class Scalars:
    """Where the numbers of a run go, besides its own files."""

    def __init__(self, folder: Path, *, wandb: str | None, settings: Mapping[str, Any]) -> None:
        """Open both.

        Args:
            folder: of the event files.
            wandb: the project at W&B; None for none.
            settings: shown there beside the curves.
        """
        self._board = SummaryWriter(str(folder))
        self._before = threading.excepthook
        self._wandb: Any = None
        if wandb is not None:
            import wandb as client

            self._wandb = client.init(project=wandb, config=dict(settings))

    def __enter__(self) -> Self:
        threading.excepthook = _ended
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._board.close()
        finally:
            threading.excepthook = self._before
        if self._wandb is not None:
            self._wandb.finish()

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def pictures(self, step: int, rows: Sequence[tuple[str, Tensor]]) -> None:
        """Add rows of pictures N×3×R×R in [-1, 1]."""
        for label, pictures in rows:
            self._board.add_image(label, make_grid((pictures + 1) / 2, nrow=len(pictures)), step)


def _ended(thread: threading.ExceptHookArgs) -> None:
    """Leave an error of the disk in the board's own thread to the next call of the board, which raises it."""
    if not isinstance(thread.exc_value, OSError):
        threading.__excepthook__(thread)
