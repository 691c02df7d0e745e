"""The method that makes the images of a row by decoding the shared latents with one decoder."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Self

import torch
from torch import Tensor, nn

from bench.generation.compiling import GRAPHS, compile_network
from bench.generation.method import LATENTS, Batch, DecodedOnce, Method, checked_image
from bench.generation.schedulers import AUTOCAST
from bench.models.decoder import Decoder
from bench.models.strips import decode_in_strips
from bench.runtime.not_available import NotAvailable

__all__ = ["Decoded", "branch_is_off"]

FEWEST_ROWS = 16
"""Smallest number of rows in a strip when memory runs out.

Smaller strips would save little memory and repeat much work.
"""
log = logging.getLogger(__name__)


class Decoded(Method):
    """A method that decodes latents with one decoder. The decoder may also get the image and the mask."""

    decodes = True

    def __init__(
        self, decoder: nn.Module, *, conditioned: bool, latents: str = "sampled", precision: str = "float32"
    ) -> None:
        """Set the decoder, which is a `Decoder` of this project or any other module. It is set to evaluation mode.

        Args:
            decoder: module that is called as `decoder(z, image, mask)`, or as `decoder(z)` if `conditioned` is False.
            conditioned: True if the decoder gets the image and the mask.
            latents: kind of latents that are decoded, one of `bench.generation.method.LATENTS`.
            precision: `float32`; or `autocast` for half precision on a GPU, as in the released scripts.

        Raises:
            ValueError: `conditioned` is True, and the decoder is a `Decoder` without a branch; or `latents` or
                `precision` is unknown.
        """
        if conditioned and isinstance(decoder, Decoder) and decoder.condition_encoder is None:
            raise ValueError(
                "conditioned=true: expected a decoder with a branch for the known pixels, found a decoder without it"
            )
        if latents not in LATENTS:
            raise ValueError(f"latents: expected one of {', '.join(LATENTS)}, found {latents}")
        if precision not in ("float32", AUTOCAST):
            raise ValueError(f"precision: expected float32 or {AUTOCAST}, found {precision}")
        self.decoder = decoder.eval()
        if isinstance(decoder, Decoder):
            self.training, self.lineage = decoder.training_note, decoder.lineage
        self.half = precision == AUTOCAST
        self.conditioned = conditioned
        self.kind = latents
        self.encoded = () if latents == "sampled" else ("encoded" if latents == "spliced" else latents,)
        self.strip_rows: int | None = None
        """Number of rows that a decoder of this project computes at once, in pixels of the image; None for all rows.

        The value becomes smaller when a single image does not fit the device's memory.
        """
        self.observer: Callable[[Tensor], None] | None = None
        """Function that is called with the latents B×C×h×w of each batch before they are decoded, or None."""
        self.shared = False
        """True if several rows use this method. Then each batch keeps the images, and the decoder runs once."""
        self._owns_output = True
        self._warned = False

    def to(self, device: torch.device) -> Self:
        self.decoder.to(device).to(memory_format=torch.channels_last)
        return self

    def compile(self, mode: str) -> None:
        """Make the decoder compile itself at its first call. Decoding in strips is not compiled.

        Args:
            mode: one of `bench.config.schema.COMPILE`.
        """
        compile_network(self.decoder, mode)
        self._owns_output = mode not in GRAPHS

    def __call__(self, batch: Batch) -> Tensor:
        """Return images B×3×H×W, roughly in [-1, 1].

        If the memory of the device is too small for a single whole image, a `Decoder` of this project decodes this
        image and all later images in strips. A strip is some rows of pixels.

        Raises:
            torch.OutOfMemoryError: the memory is too small for a batch of several images, or for one image even in
                strips. Decoders that are not of this project never use strips.
            UnfitImageError: the decoder did not return floating-point images of the expected shape and device.
        """
        z = batch.latents(self.kind)
        if self.observer is not None:
            self.observer(z)
        if not self.shared:
            return self._decoded(batch, z)
        found = batch.decoded.get(self)
        if found is None or not found.is_of(batch):
            found = batch.decoded[self] = DecodedOnce(batch.tensors, self._decoded(batch, z))
        return found.images.clone()  # the caller may change its images

    def _decoded(self, batch: Batch, z: Tensor) -> Tensor:
        shown = (batch.image, batch.mask) if self.conditioned else ()
        while True:
            try:
                return self._image(z, *shown)
            except torch.OutOfMemoryError:
                rows = self._fewer_rows(z)
                if rows is None:
                    raise
            # The memory can be freed only here, after the exception and the frames that it holds are gone.
            self.strip_rows = rows
            torch.cuda.empty_cache()
            if not self._warned:
                log.warning(
                    "the device has too little memory to decode a whole image; images are now decoded in strips"
                )
                self._warned = True

    def _image(self, z: Tensor, *shown: Tensor) -> Tensor:
        half = self.half and z.device.type == "cuda"
        with torch.inference_mode(), torch.autocast("cuda", torch.float16) if half else contextlib.nullcontext():
            if self.strip_rows is not None and isinstance(self.decoder, Decoder):
                return decode_in_strips(self.decoder, z, *shown, rows=self.strip_rows).float()
            image = checked_image(self.decoder(z, *shown), len(z), shown[0] if shown else None, "decoder")
            return image.float() if self._owns_output else image.float().clone()

    def _fewer_rows(self, z: Tensor) -> int | None:
        """Return how many rows of pixels to decode at once after memory ran out: half of the previous number.

        The result is None if smaller strips cannot help: for several images, for a decoder that is not of this project,
        or if the strips would have fewer than `FEWEST_ROWS` rows.

        Args:
            z: latents B×C×h×w that did not fit the memory.
        """
        if len(z) > 1 or not isinstance(self.decoder, Decoder):
            return None
        height = z.shape[-2] * self.decoder.factor
        rows = min(self.strip_rows or height, height) // 2
        return rows if rows >= FEWEST_ROWS else None


def branch_is_off(methods: Mapping[str, Method], batch: Batch) -> bool | NotAvailable:
    """Test whether a mask of ones switches off the branch of each decoder.

    Args:
        methods: the method of each row. Only decoders of this project that get the image and the mask are tested.
        batch: inputs for the test.

    Returns:
        True if each tested decoder makes the same images in two cases, bit for bit: it gets the image and a mask of
            ones, or it gets neither image nor mask. False if the images of a decoder differ. If no decoder can be
            tested, a `NotAvailable` with the reason.
    """
    decoders = [
        method.decoder
        for method in methods.values()
        if isinstance(method, Decoded) and method.conditioned and isinstance(method.decoder, Decoder)
    ]
    if not decoders:
        return NotAvailable("no row shows known pixels to its decoder")
    with torch.inference_mode():
        return all(
            torch.equal(decoder(batch.z, batch.image, torch.ones_like(batch.mask)), decoder(batch.z))
            for decoder in decoders
        )
