"""Three ways to resize images for the Inception network, which takes 299×299 pixels.

Packages that report FID resize images in different ways, and the choice changes the FID. Each way is called a flavour.
The functions can also resize to a side of `side` pixels instead of 299.

- `lama` is the way of pytorch-fid and of LaMa's evaluation. The paper uses LaMa's evaluation for inpainting. The source
  is advimman/lama at 786f593, saicinpainting/evaluation/losses/fid/inception.py.
- `torchfidelity` is the way of toshas/torch-fidelity at 0.4.0, interpolate_compat_tensorflow.py.
- `clean` is the way of GaParmar/clean-fid at 0.1.35, resize.py (Parmar et al., "On aliased resizing and surprising
  subtleties in GAN evaluation", 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from bench.metrics.networks.inception import SIDE

__all__ = ["FLAVOURS", "Flavour", "clean", "lama", "tensorflow_resize", "torchfidelity"]


def lama(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×3×H×W uint8 to B×3×side×side float32 in [-1, 1].

    The interpolation is bilinear between the centres of pixels, without antialiasing.
    """
    x = functional.interpolate(image.float() / 255, (side, side), mode="bilinear", align_corners=False, antialias=False)
    return 2 * x - 1


def torchfidelity(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×3×H×W uint8 to B×3×side×side float32 in [-1, 1).

    The interpolation is bilinear as in TensorFlow 1 (see `tensorflow_resize`), without antialiasing.
    """
    return (tensorflow_resize(image, side) - 128) / 128


def clean(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×3×H×W uint8 to B×3×side×side float32 in [-1, 1), with Pillow's antialiased bicubic filter.

    Each channel is resized as float numbers, and then clipped to [0, 255]. Pillow works on the CPU. The result is on
    the device of the given images.
    """
    resized = np.empty((len(image), 3, side, side), np.float32)
    for index, channels in enumerate(image.cpu().numpy()):
        for channel, values in enumerate(channels):
            # Pillow opens float32 pixels in mode F, which it neither rounds nor clips.
            one = Image.fromarray(values.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
            resized[index, channel] = np.asarray(one)
    return (torch.from_numpy(resized).clamp_(0, 255).to(image.device) - 128) / 128


def tensorflow_resize(image: Tensor, side: int = SIDE) -> Tensor:
    """Resize images B×C×H×W of any real type to B×C×side×side float32, bilinearly as in TensorFlow 1.

    The range of values does not change. Row i of the output is interpolated at the position i · H / side, counted in
    rows from the centre of the first input row. The same rule holds for columns, with W in place of H. A position after
    the centre of the last row or column gets the value of the last row or column.
    """
    count, channels, height, width = image.shape
    above, below, down = _between(height, side, image.device)
    left, right, across = _between(width, side, image.device)
    resized = torch.empty(count, channels, side, side, device=image.device)
    for place, one in enumerate(image):  # one image at a time, so that its rows stay in the cache
        rows = torch.lerp(one.index_select(1, above).float(), one.index_select(1, below).float(), down[:, None])
        torch.lerp(_columns(rows, left), _columns(rows, right), across, out=resized[place])
    return resized


def _between(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the position of each output pixel between two input pixels, along one axis.

    Args:
        length: number of input pixels.
        side: number of output pixels.
        device: device of the results.

    Returns:
        For each output pixel, the index of the input pixel before it, the index of the input pixel after it, and the
        position between the two in [0, 1).
    """
    places = torch.arange(side, device=device) * torch.tensor(length / side)  # in float32, like TensorFlow
    before = places.long()
    return before, (before + 1).clamp_max(length - 1), places - before


def _columns(rows: Tensor, chosen: Tensor) -> Tensor:
    if rows.device.type == "cpu":  # NumPy is twice as fast on the CPU
        return torch.from_numpy(np.take(rows.numpy(), chosen.numpy(), 2))
    return rows.index_select(2, chosen)


@dataclass(frozen=True)
class Flavour:
    """A way to resize images for Inception, and its description for the protocol."""

    prepare: Callable[..., Tensor]
    """Function that resizes images B×3×H×W uint8. Its second argument is the new side in pixels, by default 299."""
    protocol: Mapping[str, str]

    def resize(self, side: int) -> str:
        """Return the text that describes this way of resizing in a protocol, with `side` pixels in place of 299."""
        return f"{self.protocol['resize'].removesuffix(str(SIDE))}{side}"


FLAVOURS: Mapping[str, Flavour] = {
    "lama": Flavour(
        lama,
        {"resize": "float in [0, 1], bilinear between pixels' centres, no antialiasing, 299", "range": "2x - 1"},
    ),
    "torchfidelity": Flavour(
        torchfidelity,
        {
            "resize": "bilinear of TensorFlow 1, from pixels' corners, no antialiasing, 299",
            "range": "(x - 128) / 128",
            "logits": "1008, without the bias",
        },
    ),
    "clean": Flavour(
        clean,
        {
            "resize": "Pillow's bicubic with antialiasing, each channel in float, not rounded, 299",
            "range": "(x - 128) / 128",
        },
    ),
}
"""All flavours by name."""
