"""Functions that write weight files for the methods of other authors.

The weights are random. The layouts are those of the real files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from baselines.comodgan_network import CoModGANGenerator
from baselines.deepfill_network import DeepFillGenerator
from baselines.edgeconnect_network import edge_generator, painting_generator
from baselines.lama_network import LaMaGenerator

__all__ = ["write_baseline"]

SEED = 6


def write_baseline(name: str, path: Path, sizes: Mapping[str, int]) -> None:
    """Write random weights of a method, in the layout of the method's real files.

    Args:
        name: name of the method: `lama`, `comodgan`, `deepfill_v2` or `edgeconnect`.
        path: file to write; for `edgeconnect`, the folder to which two files are written.
        sizes: arguments of the method's network.
    """
    torch.manual_seed(SEED)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name == "lama":
        tensors = {f"generator.{key}": x for key, x in LaMaGenerator(**sizes).state_dict().items()}
        torch.save({"epoch": 1, "global_step": 1, "state_dict": tensors}, path)
    elif name == "comodgan":
        torch.save(CoModGANGenerator(**sizes).state_dict(), path)
    elif name == "deepfill_v2":
        torch.save({"G": DeepFillGenerator(**sizes).state_dict()}, path)
    else:
        path.mkdir(exist_ok=True)
        for file, build in (("EdgeModel_gen.pth", edge_generator), ("InpaintingModel_gen.pth", painting_generator)):
            torch.save({"iteration": 1, "generator": build(**sizes).state_dict()}, path / file)
