"""Train the small decoder in the world of this process, which may be one of several that `torchrun` started."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from bench.runtime.distributed import World
from bench.training.objective import DecoderStep, Objective
from tests.training.small import training

__all__ = ["losses_of"]


def losses_of(root: Path, folder: Path, steps: int, adversary: str, rate: float) -> list[dict[str, float]]:
    """Train for some updates on the pictures under `root`, and return the losses of each update."""
    run = training(
        root,
        folder / "checkpoints",
        world=World.join(torch.device("cpu")),
        steps=steps,
        save_every=steps,
        learning_rate=rate,
        objective=Objective(reduction="mean", adversary=adversary, adversary_from=2),
    )
    return [update.losses for update in run.updates()]


def stop_in_update(number: int) -> None:
    """Let this process receive SIGTERM in the first pass of an update."""
    step = DecoderStep.__call__

    def stopped(self: DecoderStep, *arguments: Any, **options: Any) -> dict[str, torch.Tensor]:
        if options["step"] == number - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *arguments, **options)

    DecoderStep.__call__ = stopped  # type: ignore[method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[6:] and os.environ["RANK"] == "1":
        stop_in_update(int(sys.argv[6]))
    losses = losses_of(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
    if World.here().rank == 0:
        (Path(sys.argv[2]) / "losses.json").write_text(json.dumps(losses))
    if distributed.is_initialized():
        distributed.destroy_process_group()  # before its threads meet the interpreter's end
