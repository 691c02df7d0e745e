"""LaMa: a Fourier-convolution network paints the hole in one pass, at any resolution.

See Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions" (WACV 2022). Images are
processed before and after the network as in advimman/lama at 786f593 (Apache-2.0): bin/predict.py,
saicinpainting/evaluation/data.py and training/trainers/default.py. The refinement of predict.py, which is off by
default, is left out.
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
"""Images are padded so that both sides are multiples of this number."""
PREFIXES = ("generator.", "model.generator.", "")
"""Beginnings of the names of the generator's tensors in a file.

They belong to a Lightning checkpoint, to the traced program and to a file with only the generator, in this order.
"""


class LaMa(Method):
    """The method LaMa. Its network paints the hole, and the known pixels stay unchanged."""

    def __init__(self, weights: str, *, training: str = "") -> None:
        """Load weights. They determine the width and the depth of the network.

        Args:
            weights: path of one of four things: `best.ckpt` from the authors' folders; the community's `big-lama.pt`,
                whose tensors are read but whose program is not run; a file with a state dict of `LaMaGenerator`; or a
                folder of weights that this project trained.
            training: description of how long the network was trained, for the table. If `weights` is a folder, this
                argument is ignored, and the description is read from the folder.

        Raises:
            BadInputError: the file is missing or broken, or does not contain the weights of LaMa's generator.
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
    """Load the generator from a file, for inference. The file's tensors determine the generator's width and depth.

    Raises:
        BadInputError: the file is missing or broken, or does not contain the weights of LaMa's generator.
    """
    tensors = read_program_tensors(path) if is_program(path) else read_tensors(path)
    own = _generator_of(tensors)
    first = own.get("model.1.ffc.convl2l.weight")
    blocks = count_of(own, before="model.", after=".conv1.ffc.convl2l.weight")
    network = LaMaGenerator(64 if first is None else len(first), blocks or 9)
    return filled(network, own, path=path, what="weights of LaMa's generator")


def _generator_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the generator's tensors, and return each one under the name that it has in `LaMaGenerator`.

    A checkpoint may also contain the tensors of losses and discriminators. If no name begins as in `PREFIXES`, all
    tensors are returned.
    """
    for place in PREFIXES:
        start = f"{place}model.1."
        if any(name.startswith(start) for name in tensors):
            return {name.removeprefix(place): value for name, value in tensors.items() if name.startswith(place)}
    return dict(tensors)
