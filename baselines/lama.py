"""LaMa: one pass of a Fourier-convolution network paints the hole, whatever the resolution.

Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions" (WACV 2022). What surrounds the
network is that of advimman/lama at 786f593 (Apache-2.0): bin/predict.py, saicinpainting/evaluation/data.py and
training/trainers/default.py, without the refinement of predict.py, which is off by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from baselines.lama_network import LaMaGenerator
from baselines.program_tensors import read_program_tensors
from baselines.sides import mirrored
from baselines.weights import count_of, filled
from bench.generation.decoding import Batch
from bench.metrics.local_weights import is_program
from bench.models.checkpoints import WEIGHTS, training_note
from bench.models.tensor_files import read_tensors

__all__ = ["LaMa", "load_lama"]

MULTIPLE = 8
"""To which sides are lengthened."""
PLACES = ("generator.", "model.generator.", "")
"""Before the generator's names: in a Lightning checkpoint, in the traced program, in a file of the generator alone."""


class LaMa:
    """The hole as the network paints it, and the known pixels as they were."""

    def __init__(self, weights: str, *, training: str = "") -> None:
        """Take weights of any size that the network has.

        Args:
            weights: `best.ckpt` of the authors' folders, the community's `big-lama.pt` (whose program is not run, only
                its tensors are read), a state dict of `LaMaGenerator`, or a folder of this project, which says how long
                it was trained.
            training: how long it was trained, for the table, where the weights do not say.

        Raises:
            BadInputError: the file is missing or broken, or holds another network.
        """
        path = Path(weights)
        self.network = load_lama(path / WEIGHTS if path.is_dir() else path)
        self.training = training_note(path) if path.is_dir() else training

    def to(self, device: torch.device) -> LaMa:
        self.network.to(device)
        return self

    def __call__(self, batch: Batch) -> Tensor:
        height, width = batch.image.shape[2:]
        hole = batch.mask > 0
        with torch.inference_mode():
            image = mirrored((batch.image + 1) / 2, MULTIPLE)
            mask = mirrored(hole.to(image), MULTIPLE)
            painted = self.network(torch.cat([image * (1 - mask), mask], 1))[:, :, :height, :width]
            return torch.where(hole, 2 * painted - 1, batch.image)


def load_lama(path: Path) -> LaMaGenerator:
    """The generator of a file, for inference; its width and blocks are those of the file.

    Raises:
        BadInputError: as `LaMa`.
    """
    tensors = read_program_tensors(path) if is_program(path) else read_tensors(path)
    own = _generator_of(tensors)
    first = own.get("model.1.ffc.convl2l.weight")
    blocks = count_of(own, before="model.", after=".conv1.ffc.convl2l.weight")
    network = LaMaGenerator(64 if first is None else len(first), blocks or 9)
    return filled(network, own, path=path, what="weights of LaMa's generator")


def _generator_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The generator's tensors by its own names; a checkpoint may hold losses and discriminators as well."""
    for place in PLACES:
        start = f"{place}model.1."
        if any(name.startswith(start) for name in tensors):
            return {name.removeprefix(place): value for name, value in tensors.items() if name.startswith(place)}
    return dict(tensors)
