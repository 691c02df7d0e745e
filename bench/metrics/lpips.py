"""LPIPS with the learned heads of version 0.1 (Zhang et al., 2018), with weights from files on this machine.

The heads are part of the `lpips` package; the backbones are torchvision's `vgg16-397923af.pth` and
`alexnet-owt-7be5be79.pth`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.local_weights import misfit, read_tensors
from bench.metrics.networks.winograd import convolve_relu, kernel_of

__all__ = ["LPIPSMeasure", "LPIPSNetwork"]

BACKBONES = {"vgg": ("vgg16", "VGG16", (3, 8, 15, 22, 29)), "alex": ("alexnet", "AlexNet", (1, 4, 7, 9, 11))}
"""For each name of a backbone, its function in `torchvision.models`, its name in messages, and the indices of the
layers after which features are taken. The file of the learned heads also has the name of the backbone."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Normalisation of the input: from each channel in [-1, 1], `SHIFT` is subtracted, and the result is divided by
`SCALE`."""


class LPIPSNetwork(nn.Module):
    """A network that computes LPIPS between two batches: image i is compared with image i of the other batch."""

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: str | Path, net: str = "vgg") -> None:
        """Load the backbone and the heads.

        Args:
            backbone: path of torchvision's weights for ImageNet, a state dict in a `.pth` file.
            net: name of the backbone to which the weights belong, `vgg` or `alex`.

        Raises:
            BadInputError: the file is missing or contains another network, or `net` is unknown.
        """
        super().__init__()
        import torchvision.models  # imported here, because no other code of a run needs it

        if net not in BACKBONES:
            raise BadInputError(f"net: expected {' or '.join(BACKBONES)}, found {net}")
        function, self.name, self.taps = BACKBONES[net]
        build = getattr(torchvision.models, function)
        path, what = Path(backbone), f"torchvision's {self.name}"
        tensors = read_tensors(path, what)
        with torch.device("meta"):
            self.layers = build(weights=None).features[: self.taps[-1] + 1]
        names = [name for name in tensors if name.startswith("features.")]
        try:
            self.layers.load_state_dict({name.removeprefix("features."): tensors[name] for name in names}, assign=True)
        except RuntimeError as error:
            raise misfit(path, what, error) from None
        self.heads = nn.ParameterList(_heads(net, len(self.taps)))
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)
        self._kernels: dict[int, Tensor] = {}
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Return the B distances between images and targets, both B×3×H×W in [-1, 1].

        Gradients flow only to the images, and not to the targets.
        """
        with torch.no_grad():
            target_levels = self.levels(target)
        return self.between(self.levels(image), target_levels)

    def levels(self, image: Tensor) -> list[Tensor]:
        """Return the features B×C×h×w of images B×3×H×W in [-1, 1], for each of five levels.

        At each position, the vector of C features is scaled to the Euclidean length 1.
        """
        found = [level.float() for level in self._taps((image - self.shift) / self.scale, {})]
        return [level / (level.square().sum(1, keepdim=True).sqrt() + 1e-10) for level in found]

    def between(self, levels: list[Tensor], others: list[Tensor]) -> Tensor:
        """Return the B distances between two batches, from the features that `levels` returned for each batch."""
        distance = torch.zeros(len(levels[0]), device=levels[0].device)
        for head, first, second in zip(self.heads, levels, others, strict=True):
            distance = distance + functional.conv2d((first - second).square(), head).mean((1, 2, 3))
        return distance

    def quick_levels(self, image: Tensor) -> list[Tensor]:
        """Compute the features that `levels` returns, but faster and without gradients.

        The features differ from the result of `levels` by about 1e-6. On a CPU, Winograd's convolution is used.
        """
        on_cpu = image.device.type == "cpu"
        if on_cpu and not self._kernels:
            self._kernels = {
                index: kernel_of(layer.weight)
                for index, layer in enumerate(self.layers)
                if getattr(layer, "kernel_size", None) == (3, 3) and layer.in_channels > 3
            }
        x = (image - self.shift) / self.scale
        x = x.contiguous(memory_format=torch.channels_last) if on_cpu else x
        found = list(self._taps(x, self._kernels if on_cpu else {}))
        # Divide in place, now that nothing else reads the features: new memory costs more time than the arithmetic.
        return [level.div_(torch.linalg.vector_norm(level, dim=1, keepdim=True).add_(1e-10)) for level in found]

    def _taps(self, x: Tensor, kernels: Mapping[int, Tensor]) -> Iterator[Tensor]:
        """Yield the features of the backbone, one level after the other.

        Args:
            x: normalised images B×3×H×W.
            kernels: transformed kernels of the layers that use Winograd's convolution. The key is the layer's index.
        """
        for index, layer in enumerate(self.layers):
            x = convolve_relu(x, kernels[index], layer.bias) if index in kernels else layer(x)
            if index in self.taps:
                yield x

    def quick_between(self, levels: list[Tensor], others: list[Tensor]) -> Tensor:
        """Return the same distances as `between`, but faster. The tensors of the argument `levels` are overwritten."""
        parts = [
            functional.conv2d(first.sub_(second).square_(), head).mean((1, 2, 3))
            for head, first, second in zip(self.heads, levels, others, strict=True)
        ]
        return torch.stack(parts).sum(0)


class LPIPSMeasure(Measure):
    """A measure of `lpips` between the whole images of a row, truncated to 8 bits, and the true images.

    The measure follows the evaluation of LaMa. The source is advimman/lama at 786f593:
    saicinpainting/evaluation/losses/lpips.py, which maps inputs from [0, 1] to [-1, 1].
    """

    def __init__(self, backbone: str | Path, net: str = "vgg", name: str = "lpips") -> None:
        """Load the backbone and the heads as `LPIPSNetwork` does.

        Args:
            backbone: path of the backbone's weights, as in `LPIPSNetwork`.
            net: name of the backbone, as in `LPIPSNetwork`. The paper's inpainting evaluation uses `vgg`.
            name: name of the metric. Replace the default if another measure of the run already uses `lpips`.
        """
        self.network, self.name = LPIPSNetwork(backbone, net), name
        self.protocol: Mapping[str, Any] = {
            "image": "uint8 RGB, truncated, at the items' own size; 2x - 1",
            "network": f"{self.network.name}, learned heads of LPIPS 0.1",
            "version": 2,
        }

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, list[Tensor]]:
        with torch.inference_mode():
            return {}, self._levels(truth)

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: list[Tensor], extra: Extra) -> Arrays:
        with torch.inference_mode():
            levels = self._levels(to_uint8(image, rounding="truncate"))
            return {self.name: self.network.quick_between(levels, kept).double()}

    def _levels(self, image: Tensor) -> list[Tensor]:
        return self.network.quick_levels(2 * (image.float() / 255) - 1)


def _heads(net: str, count: int) -> list[Tensor]:
    """Read the learned heads from the installed package `lpips`: for each level, weights 1×C×1×1.

    Args:
        net: name of the backbone, `vgg` or `alex`.
        count: number of levels.
    """
    spec = find_spec("lpips")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "weights" / "v0.1" / f"{net}.pth"
    tensors = read_tensors(path, "the learned heads of the package lpips")
    return [nn.Parameter(tensors[f"lin{index}.model.1.weight"]) for index in range(count)]
