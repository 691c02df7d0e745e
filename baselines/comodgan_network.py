"""CoModGAN's generator: StyleGAN2's synthesis network with a style from a random vector and from an encoder.

See Zhao et al., "Large scale image completion via co-modulated generative adversarial networks" (ICLR 2021), section 3,
and Karras et al., "Analyzing and improving the image quality of StyleGAN" (CVPR 2020), for the layers. Sizes and tensor
names equal those of the port zengxianyu/co-mod-gan-pytorch at a178bfd (no licence): models/networks/co_mod_gan.py and
stylegan2.py. The port uses the authors' converted weights (zsyzzsoft/co-mod-gan; Nvidia Source Code License-NC for the
code of StyleGAN2). The port compiles special operations for resampling and activation. This module uses the operations
of PyTorch.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CoModGANGenerator"]

SLOPE = 0.2
GAIN = math.sqrt(2)
"""Factor after each activation, so that the activation preserves the variance."""
EPSILON = 1e-8
MAPPING_LAYERS = 8
MAPPING_RATE = 0.01
"""Value of `rate` for the layers of the mapping network; see `_Dense`."""
BLUR = (1.0, 3.0, 3.0, 1.0)
"""Filter for every change of resolution, in one dimension and before its sum is normalised."""


class CoModGANGenerator(nn.Module):
    """A network that paints square images of one size. The side of the images is a power of 2.

    The inputs of the network are images, masks, random vectors and noise.
    """

    def __init__(self, size: int = 512, *, latent: int = 512, base: int = 16384, widest: int = 512) -> None:
        """Initialise with random weights.

        Args:
            size: side of the images in pixels, a power of 2, 8 or more.
            latent: length of the random vectors.
            base: number that determines the channels: a layer at side s has 2 × `base` / s channels, at most `widest`.
            widest: largest number of channels of any layer.
        """
        super().__init__()
        self.size = size
        self.latent = latent
        self.G_mapping = _Mapping(latent)
        self.G_synthesis = _Synthesis(size, latent, base, widest)

    def noise_shapes(self) -> list[tuple[int, int]]:
        """Return the height and the width of each noise map for an image, in the order of the layers."""
        sides = [4]
        while sides[-1] < self.size:
            sides += [2 * sides[-1]] * 2
        return [(side, side) for side in sides]

    def forward(self, image: Tensor, mask: Tensor, z: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Paint whole images, including the known pixels.

        Args:
            image: B×3×S×S in [-1, 1]; the values in the hole have no effect.
            mask: B×1×S×S, 1 = hole.
            z: B×latent, standard normal.
            noise: one tensor B×1×h×w for each size in `noise_shapes`, standard normal.

        Returns:
            Images B×3×S×S, roughly in [-1, 1]. Known pixels are painted too; the true pixels are not pasted back.
        """
        painted: Tensor = self.G_synthesis(torch.cat([0.5 - mask, image * (1 - mask)], 1), self.G_mapping(z), noise)
        return painted


class _Mapping(nn.Module):
    def __init__(self, latent: int) -> None:
        super().__init__()
        layers = (_Dense(latent, latent, rate=MAPPING_RATE) for _ in range(MAPPING_LAYERS))
        self.G_mapping = nn.Sequential(OrderedDict((f"Dense{index}", layer) for index, layer in enumerate(layers)))

    def forward(self, z: Tensor) -> Tensor:
        style: Tensor = self.G_mapping(z * (z.square().mean(1, keepdim=True) + EPSILON).rsqrt())
        return style


class _Synthesis(nn.Module):
    def __init__(self, size: int, latent: int, base: int, widest: int) -> None:
        super().__init__()
        sides = [4]
        while sides[-1] < size:
            sides.append(2 * sides[-1])
        width = {side: min(widest, 2 * base // side) for side in sides}
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts[f"{size}x{size}_0"] = _Named(FromRGB=_convolution(4, width[size], 1))
        for side in reversed(sides[1:]):
            parts[f"{side}x{side}"] = _Named(
                Conv0=_convolution(width[side], width[side], 3), Conv1_down=_halving(width[side], width[side // 2])
            )
        seen = 2 * width[4]
        parts["4x4"] = _Named(Conv=_convolution(width[4], width[4], 3), Dense0=_Dense(16 * width[4], seen))
        self.E = nn.Sequential(parts)
        style = latent + seen
        self.G_4x4 = _Named(
            Dense=_Dense(seen, 16 * width[4]),
            Conv=_Styled(width[4], width[4], style),
            ToRGB=_ToRGB(width[4], style, doubles=False),
        )
        for side in sides[1:]:
            block = _Named(
                Conv0_up=_Styled(width[side // 2], width[side], style, doubles=True),
                Conv1=_Styled(width[side], width[side], style),
                ToRGB=_ToRGB(width[side], style),
            )
            self.add_module(f"G_{side}x{side}", block)
        self.sides = sides

    def forward(self, y: Tensor, style: Tensor, noise: Sequence[Tensor]) -> Tensor:
        down: list[Any] = list(self.E.children())
        last = down.pop()
        features: list[Tensor] = []
        for part in down:
            if hasattr(part, "FromRGB"):
                y = part.FromRGB(y)
            else:
                features.append(part.Conv0(y))
                y = part.Conv1_down(features[-1])
        # Dropout, which gives the training its variety, has no effect at inference and is left out.
        seen = last.Dense0(last.Conv(y).flatten(1))
        style = torch.cat([style, seen], 1)
        others: list[Any] = [getattr(self, f"G_{side}x{side}") for side in self.sides]
        first = others.pop(0)
        x = first.Dense(seen).unflatten(1, (-1, 4, 4))
        x = first.Conv(x, style, noise[0])
        picture: Tensor = first.ToRGB(x, style, None)
        for index, block in enumerate(others):
            x = block.Conv0_up(x, style, noise[2 * index + 1]) + features[-1 - index]
            x = block.Conv1(x, style, noise[2 * index + 2])
            picture = block.ToRGB(x, style, picture)
        return picture


class _Named(nn.Module):
    """A module that only contains other modules, under the given names."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class _Dense(nn.Module):
    """A dense layer. When it is used, its stored weights are multiplied by `scale`, and its bias by `rate`.

    The stored weights start as standard normal values divided by `rate`.
    """

    def __init__(
        self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0, activated: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale = rate / math.sqrt(inputs)
        self.rate = rate
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        x = functional.linear(x, self.weight * self.scale, self.bias * self.rate)
        return GAIN * functional.leaky_relu(x, SLOPE) if self.activated else x


class _Convolution(nn.Module):
    """A convolution without bias. The stored weights are multiplied by `scale` when they are used."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class _Activation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return GAIN * functional.leaky_relu(x + self.bias[:, None, None], SLOPE)


class _Blur(nn.Module):
    """A layer that pads its input and applies the filter `BLUR` to each channel.

    The result is multiplied by `gain`. A gain of 4 compensates for zeros that an upsampling before this layer inserted.
    """

    def __init__(self, before: int, after: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", _filter(gain))
        self.padding = (before, after, before, after)

    kernel: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.flip(0, 1).expand(channels, 1, -1, -1)
        return functional.conv2d(functional.pad(x, self.padding), kernel, groups=channels)


class _Upsample(nn.Module):
    """A layer that doubles the resolution: it inserts zeros between the values and applies the filter `BLUR`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _filter(4.0))

    kernel: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, -1, -1)
        return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def _filter(gain: float) -> Tensor:
    line = torch.tensor(BLUR)
    square = torch.outer(line, line)
    return square / square.sum() * gain


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(_Convolution(inputs, outputs, kernel, padding=kernel // 2), _Activation(outputs))


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_Blur(2, 2), _Convolution(inputs, outputs, 3, stride=2), _Activation(outputs))


class _Modulated(nn.Module):
    """A convolution whose inputs are scaled by the style.

    If `doubles` is True, the resolution is doubled. If `normalises` is True, the outputs are normalised. StyleGAN2
    scales the kernel for each image instead of the inputs. The result is equal, but needs grouped convolutions.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style: int, *, doubles: bool = False, normalises: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = _Dense(style, inputs, bias=1.0, activated=False)
        self.blur = _Blur(1, 1, gain=4.0) if doubles else None
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.normalises = normalises

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        factors = self.modulation(style)
        weight = self.weight[0] * self.scale
        x = x * factors[:, :, None, None]
        if self.blur is None:
            x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
        else:
            x = functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        if self.normalises:
            power = factors.square() @ weight.square().sum((2, 3)).T
            x = x * (power + EPSILON).rsqrt()[:, :, None, None]
        return x if self.blur is None else self.blur(x)


class _Styled(nn.Module):
    """A modulated convolution followed by noise and the activation."""

    def __init__(self, inputs: int, outputs: int, style: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.conv = _Modulated(inputs, outputs, 3, style, doubles=doubles)
        self.noise = _Noise()
        self.activate = _Activation(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        out: Tensor = self.activate(self.noise(self.conv(x, style), noise))
        return out


class _Noise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight * noise


class _ToRGB(nn.Module):
    """A layer that converts features to three colours.

    If there is a picture of the next coarser layer, its resolution is doubled and the colours are added to it.
    """

    def __init__(self, inputs: int, style: int, *, doubles: bool = True) -> None:
        super().__init__()
        self.upsample = _Upsample() if doubles else None
        self.conv = _Modulated(inputs, 3, 1, style, normalises=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, below: Tensor | None) -> Tensor:
        picture: Tensor = self.conv(x, style) + self.bias
        return picture if self.upsample is None or below is None else picture + self.upsample(below)
