"""The Inception network of 2015, with which FID and the Inception Score are defined, arranged for fast inference.

The architecture (Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016) is that of the
TensorFlow graph `inception-2015-12-05`. The network has 1008 classes. Its average pools do not count the padding. Its
last block has a maximum pool in place of an average pool. The tensors have the names of the port in
mseitzer/pytorch-fid (inception.py). torch-fidelity publishes the same weight file.

For speed, three details differ from a plain port. They do not change the computed function:

- The batch normalisation is included in the weights of the convolutions.
- All 1×1 convolutions that read the input of a block are joined into one convolution. An average pool comes after its
  1×1 convolution and not before it, which gives the same result.
- Tensors have the memory format channels_last.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.metrics.networks.winograd import convolve_relu, kernel_of

__all__ = ["CLASSES", "FEATURES", "SIDE", "InceptionNetwork"]

SIDE = 299
FEATURES = 2048
CLASSES = 1008
EPSILON = 1e-3
"""Number that is added to the variance in the batch normalisation."""
WINOGRAD_FROM = 64
"""Smallest number of input channels for which Winograd's convolution is faster."""

Tensors = Mapping[str, Tensor]
Branch = tuple[str | tuple[str, ...], ...]
"""Names of convolutions that are applied one after the other. Two names in inner brackets are two convolutions that
read the same input, and whose outputs are concatenated."""

A: tuple[Branch, ...] = (
    ("branch1x1",),
    ("branch5x5_1", "branch5x5_2"),
    ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
)
B: tuple[Branch, ...] = (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))
C: tuple[Branch, ...] = (
    ("branch1x1",),
    ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
    ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
)
D: tuple[Branch, ...] = (
    ("branch3x3_1", "branch3x3_2"),
    ("branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"),
)
E: tuple[Branch, ...] = (
    ("branch1x1",),
    ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
    ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
)
BLOCKS: dict[str, tuple[tuple[Branch, ...], str]] = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), (A, "average")),
    "Mixed_6a": (B, "halving"),
    **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), (C, "average")),
    "Mixed_7a": (D, "halving"),
    "Mixed_7b": (E, "average"),
    "Mixed_7c": (E, "maximum"),
}
"""For each block, its branches and the kind of its pool. A pool of the kind `halving` halves the height and the width.
Every other pool has a 1×1 convolution."""


class InceptionNetwork(nn.Module):
    """The Inception network, which computes features B×2048 of images B×3×299×299 in [-1, 1].

    The features are the means of the last feature map over all positions.
    """

    def __init__(self, tensors: Tensors) -> None:
        """Load the published weights.

        Args:
            tensors: tensors of the published file, on the CPU. The keys are the tensors' names in the file.

        Raises:
            RuntimeError: a tensor is missing, is unknown or has the wrong shape. `load_state_dict` raises the error.
        """
        from torchvision.models import inception_v3  # imported here, because no other code of a run needs it

        super().__init__()
        with torch.device("meta"):
            expected = inception_v3(weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False)
        expected.load_state_dict(tensors, assign=True)
        self.stem = nn.Sequential(
            _Convolution(*_folded(tensors, "Conv2d_1a_3x3"), stride=2, pad=False),
            _Convolution(*_folded(tensors, "Conv2d_2a_3x3"), pad=False),
            _Convolution(*_folded(tensors, "Conv2d_2b_3x3")),
            nn.MaxPool2d(3, 2),
            _Convolution(*_folded(tensors, "Conv2d_3b_1x1")),
            _Convolution(*_folded(tensors, "Conv2d_4a_3x3"), pad=False),
            nn.MaxPool2d(3, 2),
        )
        self.blocks = nn.Sequential(*(_Block(tensors, name, *parts) for name, parts in BLOCKS.items()))
        self.classes = _fixed(tensors["fc.weight"].float())
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """Return the features B×2048 of images B×3×299×299 in [-1, 1]."""
        x = image.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.blocks(self.stem(x)).mean((2, 3))
        return features

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits B×1008 that belong to features B×2048.

        The bias of the last layer is not added, because the Inception Score is computed without it.
        """
        return features @ self.classes.T


class _Convolution(nn.Module):
    """A convolution that includes the batch normalisation and is followed by ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int = 1, pad: bool = True) -> None:
        super().__init__()
        self.weight = _fixed(weight.contiguous(memory_format=torch.channels_last))
        self.bias = _fixed(bias)
        self.stride = stride
        self.padding = (weight.shape[2] // 2, weight.shape[3] // 2) if pad else (0, 0)
        quick = weight.shape[2:] == (3, 3) and stride == 1 and weight.shape[1] >= WINOGRAD_FROM
        self.kernel = _fixed(kernel_of(weight)) if quick else None

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel is not None and x.device.type == "cpu":
            return convolve_relu(x, self.kernel, self.bias, padding=self.padding[0])
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding).relu_()


class _Parallel(nn.Module):
    """Convolutions that read the same input. Their outputs are concatenated along the channels."""

    def __init__(self, parts: list[_Convolution]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.parts], 1)


class _Block(nn.Module):
    """A block of the network. It has several branches and a pool, which all read the block's input.

    The outputs of the branches and of the pool are concatenated along the channels. The pool's output is last.
    """

    def __init__(self, tensors: Tensors, name: str, branches: tuple[Branch, ...], pool: str) -> None:
        super().__init__()
        self.pool = pool
        firsts = [_folded(tensors, f"{name}.{branch[0]}") for branch in branches]
        self.enters = [weight.shape[2:] == (1, 1) for weight, _ in firsts]
        """Whether each branch starts with the common convolution."""
        common = [first for first, enters in zip(firsts, self.enters, strict=True) if enters]
        if pool == "average":
            common.append(_folded(tensors, f"{name}.branch_pool"))
        self.widths = [len(bias) for _, bias in common]
        self.weight = _fixed(torch.cat([weight for weight, _ in common]))
        self.bias = _fixed(torch.cat([bias for _, bias in common]))
        self.after = _Convolution(*_folded(tensors, f"{name}.branch_pool")) if pool == "maximum" else None
        self.branches = nn.ModuleList()
        for branch, enters in zip(branches, self.enters, strict=True):
            chain = nn.Sequential()
            for part in branch[1:] if enters else branch:
                if isinstance(part, tuple):
                    sides = [_Convolution(*_folded(tensors, f"{name}.{side}")) for side in part]
                    chain.append(_Parallel(sides))
                else:
                    halves = pool == "halving" and part == branch[-1]
                    folded = _folded(tensors, f"{name}.{part}")
                    chain.append(_Convolution(*folded, stride=2 if halves else 1, pad=not halves))
            self.branches.append(chain)

    def forward(self, x: Tensor) -> Tensor:
        heads = list(functional.conv2d(x, self.weight, self.bias).split_with_sizes(self.widths, 1))
        if self.pool == "average":
            pooled = functional.avg_pool2d(heads.pop(), 3, 1, 1, count_include_pad=False).relu_()
        elif self.after is not None:
            pooled = self.after(functional.max_pool2d(x, 3, 1, 1))
        else:
            pooled = functional.max_pool2d(x, 3, 2)
        entered = iter(heads)
        outputs = [
            branch(next(entered).relu_() if enters else x)
            for branch, enters in zip(self.branches, self.enters, strict=True)
        ]
        return torch.cat([*outputs, pooled], 1)


def _folded(tensors: Tensors, name: str) -> tuple[Tensor, Tensor]:
    """Combine a convolution and the batch normalisation after it into one convolution.

    Args:
        tensors: tensors of the published file. The keys are the tensors' names in the file.
        name: name of the convolution in the file.

    Returns:
        Weight and bias of the combined convolution, float32.
    """
    weight, gain, shift, mean, variance = (
        tensors[f"{name}.{part}"].double()
        for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    )
    scale = gain / (variance + EPSILON).sqrt()
    return (weight * scale[:, None, None, None]).float(), (shift - mean * scale).float()


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
