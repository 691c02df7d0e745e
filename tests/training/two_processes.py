"""Train the small decoder in the world of this `torchrun` process, and write its losses."""

import json
import sys
from pathlib import Path

import torch
from torch import distributed

from bench.runtime.distributed import World
from bench.training.objective import Objective
from tests.training.small import training

if __name__ == "__main__":
    root, folder, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    adversary, rate = sys.argv[4], float(sys.argv[5])
    torch.set_num_threads(1)
    world = World.join(torch.device("cpu"))
    objective = Objective(reduction="mean", adversary=adversary, adversary_from=2)
    run = training(
        root,
        folder / "checkpoints",
        world=world,
        steps=steps,
        save_every=steps,
        learning_rate=rate,
        objective=objective,
    )
    losses = [update.losses for update in run.updates()]
    if world.rank == 0:
        (folder / "losses.json").write_text(json.dumps(losses))
    if distributed.is_initialized():
        distributed.destroy_process_group()  # before its threads meet the interpreter's end
