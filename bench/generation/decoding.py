"""Methods: how a table's row makes images of the shared latents."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.generation.compiling import GRAPHS, compile_network
from bench.generation.sampling import AUTOCAST
from bench.models.decoder import Decoder
from bench.models.strips import decode_in_strips

__all__ = ["LATENTS", "Batch", "Decoded", "Method", "branch_is_off", "chain", "made_beforehand", "origin_of"]

LATENTS = ("sampled", "encoded", "encoded_known", "spliced")
"""Which latents are decoded: the generator's; the first stage's of the whole image, or of its known pixels on grey; or
the generator's with those of the whole image in every cell that no pixel of the hole touches."""

FEWEST_ROWS = 16
"""Of a strip, where memory runs out: with fewer, little memory is saved and more is computed in vain."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """What a method may use of some items, on the run's device."""

    ids: tuple[str, ...]
    z: Tensor
    """Latents B×4×h×w as the generator sampled them, unscaled and after `post_quant_conv`."""
    image: Tensor
    """B×3×H×W in [-1, 1], unmasked: what lies in the hole is not to be looked at."""
    mask: Tensor
    """B×1×H×W float, 1 = hole."""
    encoded: Tensor | None = None
    """The first stage's latents of the whole image, likewise; for analyses, as they have seen what is in the hole."""
    encoded_known: Tensor | None = None
    """The first stage's latents of the image with grey in the hole, likewise."""

    def latents(self, kind: str) -> Tensor:
        """Latents of one of the `LATENTS`.

        Raises:
            ValueError: the batch has none of that kind.
        """
        if kind == "sampled":
            return self.z
        found = self.encoded_known if kind == "encoded_known" else self.encoded
        if found is None:
            raise ValueError(f"latents={kind}: this run keeps none")
        if kind != "spliced":
            return found
        factor = self.mask.shape[-1] // self.z.shape[-1]
        return torch.where(functional.max_pool2d(self.mask, factor) > 0, self.z, found)


class Method(Protocol):
    """Whatever turns a batch into images.

    One whose images are made beforehand has `prepare(items, work)`, called once before any batch, and `content`, a hash
    of them where its arguments do not tell; one that rests on another method has that as `of`. `origin` says how they
    come about where that is another way than this project's own code: `predictions` or `external`. One whose images are
    a decoder's output, without any pixel of a picture in them, has `decodes = True`: the released scripts save such
    images in half precision.
    """

    @property
    def training(self) -> str:
        """How long it was trained, in words, for the table; empty where that is not known."""

    def to(self, device: torch.device) -> Method: ...

    def __call__(self, batch: Batch) -> Tensor:
        """Images B×3×H×W, roughly in [-1, 1]."""


class Decoded:
    """A decoder, with the known pixels shown to it or without."""

    decodes = True

    def __init__(
        self, decoder: nn.Module, *, conditioned: bool, latents: str = "sampled", precision: str = "float32"
    ) -> None:
        """Take a decoder of this project, or any module that is called as one.

        Args:
            decoder: called as `decoder(z, image, mask)`, or as `decoder(z)` where it is not conditioned.
            conditioned: whether the known pixels are shown to it.
            latents: one of the `LATENTS`.
            precision: `float32`, or `autocast` for half precision on a GPU, as the released scripts decode.

        Raises:
            ValueError: known pixels are to be shown, but its `condition_encoder` is None; or unknown latents or
                precision.
        """
        if conditioned and getattr(decoder, "condition_encoder", decoder) is None:
            raise ValueError("conditioned=true asks for a decoder with a condition branch: this one has none")
        if latents not in LATENTS:
            raise ValueError(f"latents: expected one of {', '.join(LATENTS)}, found {latents}")
        if precision not in ("float32", AUTOCAST):
            raise ValueError(f"precision: expected float32 or {AUTOCAST}, found {precision}")
        self.decoder = decoder.eval()
        self.half = precision == AUTOCAST
        self.conditioned = conditioned
        self.kind = latents
        self.strip_rows: int | None = None
        """Rows that a decoder of ours computes at once; None for all of them, until one image alone does not fit."""
        self.observer: Callable[[Tensor], None] | None = None
        """Called with the latents B×4×h×w of each batch before they are decoded; None for nobody."""
        self._keeps_output = True
        self._warned = False

    @property
    def training(self) -> str:
        return str(getattr(self.decoder, "training_note", ""))

    @property
    def lineage(self) -> dict[str, Any]:
        """What the weights come from, as far as their file says."""
        return dict(getattr(self.decoder, "lineage", {}))

    def to(self, device: torch.device) -> Decoded:
        self.decoder.to(device).to(memory_format=torch.channels_last)
        return self

    def compile(self, mode: str) -> None:
        """Compile the decoder, whole images of it, at its first call.

        Args:
            mode: one of `bench.schema.COMPILE`.
        """
        compile_network(self.decoder, mode)
        self._keeps_output = mode not in GRAPHS

    def __call__(self, batch: Batch) -> Tensor:
        """Images B×3×H×W, roughly in [-1, 1]; in strips from where one alone did not fit the memory.

        Raises:
            torch.OutOfMemoryError: several do not fit, or one does not even in strips.
        """
        z = batch.latents(self.kind)
        if self.observer is not None:
            self.observer(z)
        shown = (batch.image, batch.mask) if self.conditioned else ()
        while True:
            try:
                return self._image(z, *shown)
            except torch.OutOfMemoryError:
                rows = self._fewer_rows(z)
                if rows is None:
                    raise
            # Only here is the exception gone, and with it the frames that hold what filled the memory.
            self.strip_rows = rows
            torch.cuda.empty_cache()
            if not self._warned:
                log.warning("one image does not fit the device's memory as a whole; decoding in strips of rows")
                self._warned = True

    def _image(self, z: Tensor, *shown: Tensor) -> Tensor:
        half = self.half and z.device.type == "cuda"
        with torch.inference_mode(), torch.autocast("cuda", torch.float16) if half else contextlib.nullcontext():
            if self.strip_rows is not None and isinstance(self.decoder, Decoder):
                return decode_in_strips(self.decoder, z, *shown, rows=self.strip_rows).float()
            image: Tensor = self.decoder(z, *shown)
            return image.float() if self._keeps_output else image.float().clone()

    def _fewer_rows(self, z: Tensor) -> int | None:
        """Of a strip to go on with where latents were too many at once; None where that is no way out."""
        if len(z) > 1 or not isinstance(self.decoder, Decoder):
            return None
        height = z.shape[-2] * self.decoder.factor
        rows = min(self.strip_rows or height, height) // 2
        return rows if rows >= FEWEST_ROWS else None


def chain(method: Method) -> Iterator[Any]:
    """The method, and those that it rests on."""
    found: Any = method
    while found is not None:
        yield found
        found = getattr(found, "of", None)


def made_beforehand(method: Method) -> list[Any]:
    """Those of them whose images are made before any batch."""
    return [one for one in chain(method) if hasattr(one, "prepare")]


def origin_of(method: Method) -> str:
    """How its images come about; empty for this project's own code."""
    return next((one.origin for one in chain(method) if getattr(one, "origin", "")), "")


def branch_is_off(methods: Mapping[str, Method], batch: Batch) -> bool | str:
    """Whether a mask of ones gives the images of a decoder without its branch, bit for bit; or why nobody knows.

    Args:
        methods: by row; asked are our own decoders to which known pixels are shown.
        batch: what they decode.
    """
    decoders = [
        method.decoder
        for method in methods.values()
        if isinstance(method, Decoded) and method.conditioned and isinstance(method.decoder, Decoder)
    ]
    if not decoders:
        return "no row shows known pixels to its decoder"
    with torch.inference_mode():
        return all(
            torch.equal(decoder(batch.z, batch.image, torch.ones_like(batch.mask)), decoder(batch.z))
            for decoder in decoders
        )
