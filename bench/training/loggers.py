"""Logging of a training run to TensorBoard (curves and pictures), and optionally to W&B (curves)."""

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
    """A writer that sends a run's curves and pictures to TensorBoard, and its curves to W&B if this is requested.

    The curves in the run's folder, such as `losses.jsonl`, are written by `bench.training.curve`.
    """

    def __init__(self, folder: Path, *, wandb: str | None, settings: Mapping[str, Any]) -> None:
        """Open TensorBoard and, if requested, W&B.

        Args:
            folder: folder in which TensorBoard's event files are written.
            wandb: name of the project at W&B. None means that nothing is sent to W&B.
            settings: settings of the run, which W&B shows next to the curves.
        """
        self._board = SummaryWriter(str(folder))
        self._previous_hook = threading.excepthook
        self._wandb: Any = None
        if wandb is not None:
            import wandb as client

            self._wandb = client.init(project=wandb, config=dict(settings))

    def __enter__(self) -> Self:
        threading.excepthook = _thread_hook
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._board.close()
        finally:
            threading.excepthook = self._previous_hook
        if self._wandb is not None:
            self._wandb.finish()

    def values(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each curve.

        Args:
            step: number of finished updates, the horizontal position of the points.
            values: value of each curve at this step, by the curve's name.
        """
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def pictures(self, step: int, rows: Sequence[tuple[str, Tensor]]) -> None:
        """Add an image to TensorBoard for each label, with the label's pictures in a row. W&B gets no pictures.

        Args:
            step: number of finished updates.
            rows: pairs of a label and its pictures N×3×R×R in [-1, 1].
        """
        for label, pictures in rows:
            self._board.add_image(label, make_grid((pictures + 1) / 2, nrow=len(pictures)), step)


def _thread_hook(thread: threading.ExceptHookArgs) -> None:
    """Ignore a disk error in the thread of TensorBoard's writer: the next call of the writer raises it again."""
    if not isinstance(thread.exc_value, OSError):
        threading.__excepthook__(thread)
