"""DeepFill v2's generator: a coarse painting by gated convolutions, refined with patches of the known pixels.

See Yu et al., "Free-form image inpainting with gated convolution" (ICCV 2019), section 3. The attention is defined in
Yu et al., "Generative image inpainting with contextual attention" (CVPR 2018), section 4. Sizes and tensor names equal
those of nipponjo/deepfillv2-pytorch at 4899fd3 (no licence): model/networks_tf.py. Yu et al. trained the weights in
TensorFlow (JiahuiYu/generative_inpainting, CC BY-NC 4.0), and they were converted for nipponjo's network. Therefore
nipponjo's network and this one pad images by TensorFlow's rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DeepFillGenerator"]

MATCHED = 3
"""Side of the patches that are compared, in positions of the reduced features."""
RATE = 2
"""Factor by which the features are reduced before patches are compared. A pasted patch has the side 2 × `RATE`."""
SHRINKS = 4
"""Side of the image divided by the side of the features that the attention gets."""
SHARPNESS = 10.0
"""Factor by which similarities are multiplied before the softmax. A larger factor prefers the best match more."""
LEAST_NORM = 1e-4


class DeepFillGenerator(nn.Module):
    """A generator that paints pictures. Their sides H and W must be multiples of 8.

    The generator is called with two tensors. The first, `x`, has the shape B×5×H×W. Its channels are the picture with
    zeros in the hole, a channel of ones, and the mask. The second is the mask alone, B×1×H×W, 1 = hole.
    """

    def __init__(self, channels: int = 48) -> None:
        """Initialise with random weights.

        Args:
            channels: number of channels at half the resolution, a multiple of 4.
        """
        super().__init__()
        half, one, two = channels // 2, channels, 2 * channels
        # coarse painting
        self.conv1 = _Gated(5, half, 5)
        self.conv2_downsample = _Gated(half, one, stride=2)
        self.conv3 = _Gated(one, one)
        self.conv4_downsample = _Gated(one, two, stride=2)
        self.conv5 = _Gated(two, two)
        self.conv6 = _Gated(two, two)
        self.conv7_atrous = _Gated(two, two, rate=2)
        self.conv8_atrous = _Gated(two, two, rate=4)
        self.conv9_atrous = _Gated(two, two, rate=8)
        self.conv10_atrous = _Gated(two, two, rate=16)
        self.conv11 = _Gated(two, two)
        self.conv12 = _Gated(two, two)
        self.conv13_upsample = _Doubled(two, one)
        self.conv14 = _Gated(one, one)
        self.conv15_upsample = _Doubled(one, half)
        self.conv16 = _Gated(half, half // 2)
        self.conv17 = _Gated(half // 2, 3, activation=None)
        # refinement, by convolution and by attention
        self.xconv1 = _Gated(3, half, 5)
        self.xconv2_downsample = _Gated(half, half, stride=2)
        self.xconv3 = _Gated(half, one)
        self.xconv4_downsample = _Gated(one, one, stride=2)
        self.xconv5 = _Gated(one, two)
        self.xconv6 = _Gated(two, two)
        self.xconv7_atrous = _Gated(two, two, rate=2)
        self.xconv8_atrous = _Gated(two, two, rate=4)
        self.xconv9_atrous = _Gated(two, two, rate=8)
        self.xconv10_atrous = _Gated(two, two, rate=16)
        self.pmconv1 = _Gated(3, half, 5)
        self.pmconv2_downsample = _Gated(half, half, stride=2)
        self.pmconv3 = _Gated(half, one)
        self.pmconv4_downsample = _Gated(one, two, stride=2)
        self.pmconv5 = _Gated(two, two)
        self.pmconv6 = _Gated(two, two, activation=functional.relu)
        self.pmconv9 = _Gated(two, two)
        self.pmconv10 = _Gated(two, two)
        self.allconv11 = _Gated(2 * two, two)
        self.allconv12 = _Gated(two, two)
        self.allconv13_upsample = _Doubled(two, one)
        self.allconv14 = _Gated(one, one)
        self.allconv15_upsample = _Doubled(one, half)
        self.allconv16 = _Gated(half, half // 2)
        self.allconv17 = _Gated(half // 2, 3, activation=None)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse picture and the refined picture, each B×3×H×W in [-1, 1].

        Args:
            x: B×5×H×W: the picture in [-1, 1] with zeros in the hole, a channel of ones, and the mask.
            mask: B×1×H×W, 1 = hole.
        """
        coarse = torch.tanh(self._through("conv", x, range(1, 18)))
        pasted = coarse * mask + x[:, :3] * (1 - mask)
        by_convolution = self._through("xconv", pasted, range(1, 11))
        attended = self._through("pmconv", pasted, range(1, 7))
        attended = contextual_attention(attended, _subsampled(mask, SHRINKS * RATE))
        attended = self._through("pmconv", attended, range(9, 11))
        refined = self._through("allconv", torch.cat([by_convolution, attended], 1), range(11, 18))
        return coarse, torch.tanh(refined)

    def _through(self, kind: str, x: Tensor, numbers: range) -> Tensor:
        layers = {
            name.removeprefix(kind).split("_")[0]: layer
            for name, layer in self.named_children()
            if name.startswith(kind)
        }
        for number in numbers:
            x = layers[str(number)](x)
        return x


class _Gated(nn.Module):
    """A gated convolution, which multiplies the activation of one half of its outputs by the sigmoid of the other half.

    If `activation` is None, the layer is a plain convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        rate: int = 1,
        activation: Callable[[Tensor], Tensor] | None = functional.elu,
    ) -> None:
        super().__init__()
        channels_out = outputs if activation is None else 2 * outputs
        self.conv = nn.Conv2d(inputs, channels_out, kernel, stride=stride, dilation=rate)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        reach = (self.conv.kernel_size[0] - 1) * self.conv.dilation[0] + 1
        x = self.conv(_same(x, reach, self.conv.stride[0]))
        if self.activation is None:
            return x
        value, gate = x.chunk(2, 1)
        return self.activation(value) * torch.sigmoid(gate)


class _Doubled(nn.Module):
    """A layer that doubles the resolution of its input and then applies a gated convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _Gated(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))
        return out


def contextual_attention(x: Tensor, mask: Tensor) -> Tensor:
    """Replace every patch of features by a weighted sum of similar patches from known positions.

    Args:
        x: features B×C×h×w with even h and w.
        mask: B×1×(h/2)×(w/2). Any value except 0 means hole, and patches that touch the hole are not copied. Each image
            is processed with the mask of this image. The official port uses the first image's mask for the whole batch,
            but a batch of the port has only one image.

    Returns:
        Features B×C×h×w.
    """
    height, width = x.shape[2:]
    small = _subsampled(x, RATE)
    patches = functional.unfold(_same(small, MATCHED, 1), MATCHED)
    norms = patches.square().sum(1, keepdim=True).sqrt().clamp_min(LEAST_NORM)
    known = functional.unfold(_same(mask, MATCHED, 1), MATCHED).sum(1)[..., None] == 0
    pasted = functional.unfold(_same(x, 2 * RATE, RATE), 2 * RATE, stride=RATE)
    # Images are processed one by one, because the similarities of all pairs of positions take much memory.
    rebuilt = []
    for image in range(len(x)):
        similarity = (patches[image] / norms[image]).T @ patches[image]
        # Excluded patches enter the softmax with similarity 0 and are then removed, like in the authors' code.
        weights = torch.softmax(similarity * known[image] * SHARPNESS, 0) * known[image]
        rebuilt.append(pasted[image] @ weights)
    folded = functional.fold(torch.stack(rebuilt), (height, width), 2 * RATE, padding=1, stride=RATE)
    return folded / RATE**2


def _same(x: Tensor, reach: int, stride: int) -> Tensor:
    """Pad a tensor with zeros by the rule of TensorFlow's padding "same".

    If the number of added rows is odd, one more row is added at the bottom than at the top. If the number of added
    columns is odd, one more column is added on the right than on the left.

    Args:
        x: tensor to pad, B×C×H×W.
        reach: number of rows, and of columns, that the kernel covers, including the gaps of a dilated kernel.
        stride: stride of the convolution that follows.
    """
    down, across = (max((math.ceil(side / stride) - 1) * stride + reach - side, 0) for side in x.shape[2:])
    return functional.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))


def _subsampled(x: Tensor, factor: int) -> Tensor:
    """Reduce the height and the width of B×C×H×W by a factor, by selecting rows and columns at equal distances.

    The first and the last row and column are included, as with TensorFlow's `align_corners`. Therefore the distances
    are only roughly equal after the positions are rounded to integers.
    """
    rows, columns = (torch.linspace(0, side - 1, side // factor).add(0.5).long().to(x.device) for side in x.shape[2:])
    return x[:, :, rows][:, :, :, columns]
