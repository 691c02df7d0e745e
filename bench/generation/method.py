"""Methods: how a row of a table makes images from the latents that all rows share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from bench.data.prepared import Items
from bench.runtime.defaults import with_defaults

__all__ = [
    "LATENTS",
    "Batch",
    "Method",
    "UnfitImageError",
    "as_method",
    "chain",
    "checked_image",
    "image_of",
    "made_beforehand",
    "origin_of",
]

LATENTS = ("sampled", "encoded", "encoded_known", "spliced")
"""Kinds of latents that a row may decode.

The generator makes `sampled` latents. The first stage makes `encoded` latents from the whole image, and
`encoded_known` latents from the image with a grey hole. `spliced` latents are those of the generator in all cells that
the hole touches, and those of the whole image in all other cells.
"""


class UnfitImageError(ValueError):
    """The error of a decoder or a method that did not return images of its batch; the message says what it returned."""


@dataclass(frozen=True)
class Batch:
    """The inputs of methods for some items, on the device of the run."""

    ids: tuple[str, ...]
    z: Tensor
    """Latents B×4×h×w as the generator sampled them, unscaled and after `post_quant_conv`."""
    image: Tensor
    """B×3×H×W in [-1, 1], unmasked; a method must not use the pixels in the hole."""
    mask: Tensor
    """B×1×H×W float, 1 = hole."""
    encoded: Tensor | None = None
    """The first stage's latents of the whole image, like `z`; only for analyses, as they use the hole's pixels."""
    encoded_known: Tensor | None = None
    """The first stage's latents of the image with a grey hole, like `z`."""

    def latents(self, kind: str) -> Tensor:
        """Return the latents of a kind from `LATENTS`.

        Raises:
            ValueError: the batch has no latents of this kind.
        """
        if kind == "sampled":
            return self.z
        found = self.encoded_known if kind == "encoded_known" else self.encoded
        if found is None:
            raise ValueError(f"latents={kind}: expected such latents in the batch, found none")
        if kind != "spliced":
            return found
        factor = self.mask.shape[-1] // self.z.shape[-1]
        return torch.where(functional.max_pool2d(self.mask, factor) > 0, self.z, found)


class Method:
    """A way to make images; a row's own class overrides `__call__` and the attributes that differ from these defaults.

    A class that does not inherit from this one gets the defaults when a run makes an object of it.
    """

    training: str = ""
    """Length of the training in words, for the table; empty if it is unknown."""
    origin: str = ""
    """Source of the images: `predictions` or `external`; empty for this project's own code."""
    decodes: bool = False
    """Whether the images are a decoder's output without pasted pixels; the released scripts save such images in half
    precision."""
    lineage: Mapping[str, Any] = {}
    """The training from which the weights come, as far as their file says."""
    of: Method | None = None
    """The method whose images this one changes; None if this method makes its images itself."""

    @property
    def content(self) -> str | None:
        """Hash of the images that were made beforehand; None if arguments and weights determine the images."""
        return None

    def to(self, device: torch.device) -> Self:
        """Move the networks to the device of the run, and return the method itself."""
        return self

    def prepare(self, items: Items, work: Path) -> None:
        """Make images of all items before the first batch; a run calls this only for methods that override it.

        Args:
            items: the items of the run.
            work: the folder in which images and logs are kept.
        """

    def __call__(self, batch: Batch) -> Tensor:
        """Return images B×3×H×W, roughly in [-1, 1]."""
        raise NotImplementedError


def as_method(found: Any) -> Method:
    """Return an object of any class as a method; members that it lacks get the defaults of `Method`."""
    method: Method = with_defaults(found, Method)
    return method


def image_of(method: Method, batch: Batch) -> Tensor:
    """Return checked images B×3×H×W float32, roughly in [-1, 1], without gradients.

    Raises:
        UnfitImageError: the method returned something else.
    """
    return checked_image(method(batch), len(batch.ids), batch.image, "method").detach().float()


def checked_image(found: object, count: int, like: Tensor | None, maker: str) -> Tensor:
    """Return images unchanged if there are `count` of them, and with the shape and device of `like` if it is given.

    Raises:
        UnfitImageError: something else was found.
    """
    expected = f"{count}×3×H×W" if like is None else "×".join(map(str, like.shape))
    if not isinstance(found, Tensor):
        raise UnfitImageError(f"the {maker} made a {type(found).__name__}, expected a tensor {expected}")
    shape = tuple(found.shape)
    fits = shape[:2] == (count, 3) and len(shape) == 4 if like is None else shape == tuple(like.shape)
    if not fits:
        made = "×".join(map(str, shape)) or "a single number"
        raise UnfitImageError(f"the {maker} made {made}, expected {expected}")
    if not found.is_floating_point():
        kind = str(found.dtype).removeprefix("torch.")
        raise UnfitImageError(f"the {maker} made {kind}, expected floating-point numbers roughly in [-1, 1]")
    if like is not None and found.device != like.device:
        raise UnfitImageError(f"the {maker} made an image on {found.device}, expected it on {like.device}")
    return found


def chain(method: Method) -> Iterator[Method]:
    """Yield the method, and the methods whose images it changes."""
    found: Method | None = method
    while found is not None:
        yield found
        found = found.of


def made_beforehand(method: Method) -> list[Method]:
    """Return the methods of a chain that make their images before the first batch."""
    return [one for one in chain(method) if getattr(one.prepare, "__func__", None) is not Method.prepare]


def origin_of(method: Method) -> str:
    """Return where the images of a method come from; empty for this project's own code."""
    return next((one.origin for one in chain(method) if one.origin), "")
