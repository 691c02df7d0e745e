"""EdgeConnect's two generators: the first completes a map of edges, and the second paints a picture along these edges.

See Nazeri et al., "EdgeConnect: Generative image inpainting with adversarial edge learning" (2019), section 3 and
appendix A. Sizes and tensor names equal those of knazeri/edge-connect at 3142579 (CC BY-NC 4.0): src/networks.py. The
generators differ in their channels and in the last activation. In addition, the convolutions of the edge generator,
except the last one, are spectrally normalised, and the convolutions in its residual blocks have no bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

__all__ = ["EdgeConnectGenerator", "edge_generator", "painting_generator"]


def edge_generator(channels: int = 64, blocks: int = 8) -> EdgeConnectGenerator:
    """Create the generator that completes edges.

    The generator's input B×3×H×W has three channels: the grey picture in [0, 1] with ones in the hole, the edges of the
    known region, and the mask (1 = hole). The output B×1×H×W in (0, 1) is the map of all edges.
    """
    return EdgeConnectGenerator(3, 1, channels=channels, blocks=blocks, spectral=True)


def painting_generator(channels: int = 64, blocks: int = 8) -> EdgeConnectGenerator:
    """Create the generator that paints the picture.

    The generator's input B×4×H×W is the picture in [0, 1] with ones in the hole, followed by the completed edges. The
    output is a picture B×3×H×W in (0, 1).
    """
    return EdgeConnectGenerator(4, 3, channels=channels, blocks=blocks, spectral=False)


class EdgeConnectGenerator(nn.Module):
    """A generator for images whose sides are multiples of 4.

    Each image is normalised separately, so that the output for an image does not depend on other images of the batch.
    """

    def __init__(self, inputs: int, outputs: int, *, channels: int, blocks: int, spectral: bool) -> None:
        """Initialise with random weights.

        Args:
            inputs: number of input channels.
            outputs: number of output channels. If it is 1, the last activation is a sigmoid. Otherwise, it is a
                hyperbolic tangent scaled to (0, 1).
            channels: number of channels of the first convolution. The number doubles each time that the resolution is
                halved.
            blocks: number of residual blocks at a quarter of the resolution.
            spectral: True if all convolutions except the last one are spectrally normalised.
        """
        super().__init__()

        def normalised(convolution: nn.Module) -> nn.Module:
            return spectral_norm(convolution) if spectral else convolution

        double, most = 2 * channels, 4 * channels
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3),
            normalised(nn.Conv2d(inputs, channels, 7)),
            *_activated(channels),
            normalised(nn.Conv2d(channels, double, 4, stride=2, padding=1)),
            *_activated(double),
            normalised(nn.Conv2d(double, most, 4, stride=2, padding=1)),
            *_activated(most),
        )
        self.middle = nn.Sequential(*(_Block(most, spectral=spectral) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            normalised(nn.ConvTranspose2d(most, double, 4, stride=2, padding=1)),
            *_activated(double),
            normalised(nn.ConvTranspose2d(double, channels, 4, stride=2, padding=1)),
            *_activated(channels),
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, outputs, 7),
        )
        self.one = outputs == 1

    def forward(self, x: Tensor) -> Tensor:
        x = self.decoder(self.middle(self.encoder(x)))
        return torch.sigmoid(x) if self.one else (torch.tanh(x) + 1) / 2


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)


class _Block(nn.Module):
    """A residual block with two convolutions. The first convolution is dilated by 2."""

    def __init__(self, channels: int, *, spectral: bool) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, 3, dilation=reach, bias=not spectral) for reach in (2, 1)]
        first, second = (spectral_norm(one) if spectral else one for one in convolutions)
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(2),
            first,
            *_activated(channels),
            nn.ReflectionPad2d(1),
            second,
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv_block(x)
        return out
