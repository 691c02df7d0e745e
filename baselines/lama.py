"""LaMa: a Fourier-convolution network paints the hole in one pass, at any resolution.

See Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions" (WACV 2022). The processing
around the network is that of advimman/lama at 786f593 (Apache-2.0): bin/predict.py, saicinpainting/evaluation/data.py
and training/trainers/default.py, without the refinement of predict.py, which is off by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from baselines.lama_network import LaMaGenerator
from baselines.padding import mirrored
from baselines.torchscript import read_program_tensors
from baselines.weights import count_of, filled
from bench.generation.method import Batch, Method
from bench.metrics.networks.local_weights import is_program
from bench.models.checkpoints import WEIGHTS, training_note
from bench.models.tensor_files import read_tensors

__all__ = ["LaMa", "load_lama"]

MULTIPLE = 8
"""Number to whose multiples sides are padded."""
PREFIXES = ("generator.", "model.generator.", "")
"""Prefixes of the generator's names: in a Lightning checkpoint, in the traced program, and in a file of its own."""


class LaMa(Method):
    """The method LaMa: the hole painted by the network, and the known pixels unchanged."""

    def __init__(self, weights: str, *, training: str = "") -> None:
        """Load weights of any size that the network has.

        Args:
            weights: `best.ckpt` of the authors' folders, the community's `big-lama.pt` (whose program is not run,
                only its tensors are read), a state dict of `LaMaGenerator`, or a folder of this project, which
                contains its training note.
            training: description of how long it was trained, for the table, if the weights do not contain it.

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
    """Load the generator from a file, for inference; its width and blocks are those of the file.

    Raises:
        BadInputError: see `LaMa`.
    """
    tensors = read_program_tensors(path) if is_program(path) else read_tensors(path)
    own = _generator_of(tensors)
    first = own.get("model.1.ffc.convl2l.weight")
    blocks = count_of(own, before="model.", after=".conv1.ffc.convl2l.weight")
    network = LaMaGenerator(64 if first is None else len(first), blocks or 9)
    return filled(network, own, path=path, what="weights of LaMa's generator")


def _generator_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the generator's tensors by its own names; a checkpoint may hold losses and discriminators as well."""
    for place in PREFIXES:
        start = f"{place}model.1."
        if any(name.startswith(start) for name in tensors):
            return {name.removeprefix(place): value for name, value in tensors.items() if name.startswith(place)}
    return dict(tensors)
