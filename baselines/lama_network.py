"""LaMa's generator: a residual network in which most channels are convolved in the frequency domain.

See Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions" (WACV 2022), section 2.1 and
appendix, and Chi et al., "Fast Fourier convolution" (NeurIPS 2020). Sizes and tensor names equal those of advimman/lama
at 786f593 (Apache-2.0): saicinpainting/training/modules/ffc.py with configs/training/generator/ffc_resnet_075.yaml (9
blocks, "LaMa-Fourier") and configs/training/big-lama.yaml (18 blocks).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LaMaGenerator"]

Pair = tuple[Tensor, Tensor | None]
"""Features in two tensors: the channels with a local receptive field, and the channels with a global one or None."""


class LaMaGenerator(nn.Module):
    """A generator that paints pictures B×3×H×W in (0, 1).

    The input B×4×H×W is a picture in [0, 1] with zeros in the hole, followed by the mask (1 = hole).
    """

    def __init__(
        self,
        channels: int = 64,
        blocks: int = 9,
        *,
        halvings: int = 3,
        global_share: float = 0.75,
        widest: int = 1024,
    ) -> None:
        """Initialise with random weights.

        Args:
            channels: number of channels of the first convolution. The number doubles each time that the resolution is
                halved, up to `widest`.
            blocks: number of residual blocks at the lowest resolution.
            halvings: number of times that the resolution is halved.
            global_share: fraction of global channels among the channels of each residual block, in (0, 1). A global
                channel has a global receptive field.
            widest: largest number of channels of any layer. Local and global channels are counted together.
        """
        super().__init__()
        widths = [min(widest, channels * 2**level) for level in range(halvings + 1)]
        across = int(widths[-1] * global_share)
        split = (widths[-1] - across, across)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), _Layer((4, 0), (widths[0], 0), kernel=7, padding=0)]
        for level in range(halvings):
            last = level == halvings - 1
            layers.append(_Layer((widths[level], 0), split if last else (widths[level + 1], 0), stride=2))
        layers += [_Block(split) for _ in range(blocks)]
        layers.append(_Join())
        for level in range(halvings, 0, -1):
            layers += [
                nn.ConvTranspose2d(widths[level], widths[level - 1], 3, stride=2, padding=1, output_padding=1),
                nn.BatchNorm2d(widths[level - 1]),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures in (0, 1).

        The pictures have the size of the input if both sides are multiples of 2**`halvings`. Otherwise they are larger.
        """
        painted: Tensor = self.model(x)
        return painted


class _Layer(nn.Module):
    """A Fourier convolution, followed by normalisation and ReLU.

    `inputs` and `outputs` are each a pair: the number of local channels and the number of global channels. The number
    of global channels may be 0.
    """

    def __init__(
        self, inputs: tuple[int, int], outputs: tuple[int, int], *, kernel: int = 3, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        self.ffc = _FourierConvolution(inputs, outputs, kernel, stride, padding)
        self.bn_l = nn.BatchNorm2d(outputs[0])
        self.bn_g = nn.BatchNorm2d(outputs[1]) if outputs[1] else None

    def forward(self, x: Tensor | Pair) -> Pair:
        near, far = self.ffc(x if isinstance(x, tuple) else (x, None))
        return torch.relu(self.bn_l(near)), None if self.bn_g is None else torch.relu(self.bn_g(far))


class _FourierConvolution(nn.Module):
    """A sum of convolutions from local and global input channels to local and global output channels.

    The convolution from global to global channels works in the frequency domain. A convolution is left out if it has no
    input channel or no output channel.
    """

    def __init__(
        self, inputs: tuple[int, int], outputs: tuple[int, int], kernel: int, stride: int, padding: int
    ) -> None:
        super().__init__()

        def plain(entering: int, leaving: int) -> nn.Conv2d | None:
            if not (entering and leaving):
                return None
            return nn.Conv2d(entering, leaving, kernel, stride, padding, bias=False, padding_mode="reflect")

        self.convl2l = plain(inputs[0], outputs[0])
        self.convl2g = plain(inputs[0], outputs[1])
        self.convg2l = plain(inputs[1], outputs[0])
        self.convg2g = _Spectral(inputs[1], outputs[1]) if inputs[1] and outputs[1] else None

    def forward(self, x: Pair) -> Pair:
        near, far = x
        return _sum(self.convl2l, near, self.convg2l, far), _sum(self.convl2g, near, self.convg2g, far)


def _sum(first: nn.Module | None, near: Tensor, second: nn.Module | None, far: Tensor | None) -> Tensor:
    """Apply `first` to `near` and `second` to `far`, and return the sum of the results.

    A module that is None adds nothing. If `first` and `second` are None, the result has no channels.
    """
    parts = [part(x) for part, x in ((first, near), (second, far)) if part is not None]
    return sum(parts[1:], parts[0]) if parts else near[:, :0]


class _Spectral(nn.Module):
    """A convolution in the frequency domain, with a residual connection.

    The number of channels in the frequency domain is half the number of output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = nn.Sequential(nn.Conv2d(inputs, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True))
        self.fu = _Frequencies(half)
        self.conv2 = nn.Conv2d(half, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        out: Tensor = self.conv2(x + self.fu(x))
        return out


class _Frequencies(nn.Module):
    """A layer that applies a 1×1 convolution, normalisation and ReLU to the Fourier transform of its input.

    Real and imaginary parts are separate channels. The result is transformed back to the size of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        waves = torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))
        parts = waves.permute(0, 1, 4, 2, 3).flatten(1, 2)
        parts = torch.relu(self.bn(self.conv_layer(parts)))
        waves = parts.reshape(x.shape[0], -1, 2, *parts.shape[2:]).permute(0, 1, 3, 4, 2).contiguous()
        back: Tensor = torch.fft.irfft2(torch.view_as_complex(waves), s=(height, width), norm="ortho")
        return back


class _Block(nn.Module):
    def __init__(self, split: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = _Layer(split, split)
        self.conv2 = _Layer(split, split)

    def forward(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        near, far = self.conv2(self.conv1(x))
        return x[0] + near, x[1] + far


class _Join(nn.Module):
    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return torch.cat(x, 1)
