"""A measure that saves an encoder's embedding of each image, for distances between whole sets of images.

The measure is used for FD-DINOv2 and for CMMD. `bench.metrics.dinov2` and `bench.metrics.discrepancy` name the sources
of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from bench.errors import BadInputError
from bench.metrics.clip_score import ImageEncoder
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.runtime.defaults import with_defaults

__all__ = ["FITS", "EmbeddingMeasure"]

FITS: Mapping[str, str] = {"squash": "whole image", "crop": "central square"}
"""Part of an image that is resized, by the name of the way. The two differ only for images that are not square."""


class EmbeddingMeasure(Measure):
    """A measure of the `embeddings` of the true images and of the images of a row.

    An image is truncated to 8 bits, resized to the encoder's resolution with Pillow's antialiased bicubic filter, whose
    result has 8 bits too, and normalised with the encoder's mean and standard deviation.
    """

    def __init__(self, encoder: ImageEncoder, fit: str = "squash", *, unit_length: bool = False) -> None:
        """Set the encoder.

        Args:
            encoder: network that computes the embeddings. Its `protocol` becomes a part of the measure's protocol.
            fit: key of `FITS`. `squash` resizes the whole image to a square, and `crop` resizes its central square.
            unit_length: True to scale each embedding to the Euclidean length 1.

        Raises:
            BadInputError: `fit` is unknown.
        """
        if fit not in FITS:
            raise BadInputError(f"fit: expected {' or '.join(FITS)}, found {fit}")
        self.encoder: ImageEncoder = with_defaults(encoder, ImageEncoder)
        self.fit, self.unit_length = fit, unit_length
        self.protocol = self._protocol()

    def _protocol(self) -> dict[str, Any]:
        encoder = self.encoder
        return {
            "image": f"uint8 RGB, truncated; {FITS[self.fit]}, Pillow's bicubic with 8 bits, then normalised",
            "resolution": encoder.resolution,
            "mean": list(encoder.mean),
            "std": list(encoder.std),
            "length of embeddings": "1" if self.unit_length else "as computed",
            **encoder.protocol,
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.encoder.to(device)
        self.protocol = self._protocol()  # an encoder's precision may depend on the device
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, None]:
        return {"embeddings": self.embeddings(truth)}, None

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: None, extra: Extra) -> Arrays:
        return {"embeddings": self.embeddings(to_uint8(image, rounding="truncate"))}

    def embeddings(self, image: Tensor) -> Tensor:
        """Compute the embeddings B×d float32 of images B×3×H×W uint8, on the encoder's device."""
        with torch.inference_mode():
            prepared = torch.stack([self._resized(one) for one in image.cpu().permute(0, 2, 3, 1).numpy()])
            mean, std = (torch.tensor(list(x))[:, None, None] for x in (self.encoder.mean, self.encoder.std))
            found = self.encoder(((prepared.float() / 255 - mean) / std).to(image.device)).float()
            return functional.normalize(found, dim=1) if self.unit_length else found

    def _resized(self, pixels: np.typing.NDArray[np.uint8]) -> Tensor:
        """Resize one image H×W×3 uint8 to the encoder's resolution r. The result is 3×r×r uint8."""
        picture, side = Image.fromarray(pixels), self.encoder.resolution
        if self.fit == "crop":
            short = min(picture.size)
            left, top = ((size - short) // 2 for size in picture.size)
            picture = picture.crop((left, top, left + short, top + short))
        resized = np.array(picture.resize((side, side), Image.Resampling.BICUBIC))
        return torch.from_numpy(resized).permute(2, 0, 1)
