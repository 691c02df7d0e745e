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

`sampled` are the generator's. `encoded` are the first stage's of the whole image, and `encoded_known` those of its
known pixels on grey. `spliced` are the generator's, with those of the whole image in every cell that the hole does not
touch.
"""


class UnfitImageError(ValueError):
    """A decoder or a method returned something else than images of its batch: the message says what."""


@dataclass(frozen=True)
class Batch:
    """The inputs of methods for some items, on the device of the run."""

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


class Method:
    """A way to make images; a row's own class overrides `__call__` and the attributes that differ from these defaults.

    A class that does not inherit from this one gets the defaults when a run makes an object of it.
    """

    training: str = ""
    """Length of the training in words, for the table; empty if it is unknown."""
    origin: str = ""
    """Source of the images: `predictions` or `external`; empty for this project's own code."""
    decodes: bool = False
    """Whether the images are a decoder's output without any pixel of a picture in them: the released scripts save such
    images in half precision."""
    lineage: Mapping[str, Any] = {}
    """The training from which the weights come, as far as their file says."""
    of: Method | None = None
    """The method whose images this one changes; None where there is none."""

    @property
    def content(self) -> str | None:
        """Hash of the images that were made beforehand; None where arguments and weights decide the images."""
        return None

    def to(self, device: torch.device) -> Self:
        """Move the networks to the device of the run, and return the method itself."""
        return self

    def prepare(self, items: Items, work: Path) -> None:
        """Make images of all items before the first batch; only a method that overrides this is asked to.

        Args:
            items: the items of the run.
            work: the folder in which images and logs are kept.
        """

    def __call__(self, batch: Batch) -> Tensor:
        """Return images B×3×H×W, roughly in [-1, 1]."""
        raise NotImplementedError


def as_method(found: Any) -> Method:
    """Return somebody's own object as a method: what it lacks gets the defaults of `Method`."""
    method: Method = with_defaults(found, Method)
    return method


def image_of(method: Method, batch: Batch) -> Tensor:
    """Images B×3×H×W float32, roughly in [-1, 1], seen to be what methods promise; nothing remembers how they came.

    Raises:
        UnfitImageError: the method returned anything else.
    """
    return checked_image(method(batch), len(batch.ids), batch.image, "method").detach().float()


def checked_image(found: object, count: int, like: Tensor | None, maker: str) -> Tensor:
    """Return an image of each item, on the device and of the size of a picture where that is known."""
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
