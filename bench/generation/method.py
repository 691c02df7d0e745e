"""Methods, which make the images of a table's rows, most of them from the latents that all rows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.data.prepared import Items
from bench.runtime.defaults import with_defaults

__all__ = [
    "ENCODED",
    "LATENTS",
    "Batch",
    "DecodedOnce",
    "Method",
    "UnfitImageError",
    "as_method",
    "awaited",
    "chain",
    "checked_image",
    "image_of",
    "made_beforehand",
    "origin_of",
]

ENCODED = ("encoded", "encoded_known")
"""Kinds of latents that the first stage makes from true images."""
LATENTS = ("sampled", *ENCODED, "spliced")
"""Kinds of latents that a row may decode.

The generator makes `sampled` latents. The first stage makes `encoded` latents from the whole image, and
`encoded_known` latents from the image with a grey hole. `spliced` latents combine two kinds: they equal `sampled` at
all positions whose pixels touch the hole, and `encoded` at all other positions.
"""


class UnfitImageError(ValueError):
    """The error for an image that does not have the expected type, shape or device. The message says what was found."""


@dataclass(frozen=True, eq=False)
class DecodedOnce:
    """Images that a decoder made once, and that several rows use."""

    inputs: tuple[Tensor | None, ...]
    """The tensors of the batch from which the images were made."""
    images: Tensor
    """B×3×H×W, roughly in [-1, 1]."""

    def is_of(self, batch: Batch) -> bool:
        """Return True if the images were made from the same tensor objects that a batch has, not from equal copies."""
        return all(mine is theirs for mine, theirs in zip(self.inputs, batch.tensors, strict=True))


@dataclass(frozen=True)
class Batch:
    """Some items as the inputs of a method, on the device of the run."""

    ids: tuple[str, ...]
    z: Tensor
    """Latents B×C×h×w that the generator sampled, in the form of a decoder's input.

    The scaling of the diffusion model is undone, and the first stage's `post_quant_conv` is applied.
    """
    image: Tensor
    """True images B×3×H×W in [-1, 1]. They are not masked, but a method must not use the pixels in the hole."""
    mask: Tensor
    """B×1×H×W float, 1 = hole."""
    encoded: Tensor | None = None
    """The first stage's latents of the whole image, in the form of `z`; None if the run does not need them.

    They are only for analyses, because they contain the true pixels of the hole.
    """
    encoded_known: Tensor | None = None
    """The first stage's latents of the image with a grey hole, in the form of `z`. None if the run needs none."""
    decoded: dict[object, DecodedOnce] = field(default_factory=dict, compare=False, repr=False)
    """Images that decoders have made from this batch. The key is the method that decoded them.

    Only images of methods that several rows use are kept here, so that such a decoder is called once for all its rows.
    """

    def again(self) -> Batch:
        """Return a copy of the batch without the decoded images, so that every decoder is called again."""
        return replace(self, decoded={})

    def first(self) -> Batch:
        """Return a batch with the first item only, without decoded images."""
        encoded, known = (None if one is None else one[:1] for one in (self.encoded, self.encoded_known))
        return Batch(self.ids[:1], self.z[:1], self.image[:1], self.mask[:1], encoded, known)

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """All tensors that a decoder may get."""
        return self.z, self.image, self.mask, self.encoded, self.encoded_known

    def latents(self, kind: str) -> Tensor:
        """Return the latents of one kind, B×C×h×w; `kind` is one of `LATENTS`.

        Raises:
            ValueError: the batch has no latents of this kind.
        """
        if kind == "sampled":
            return self.z
        found = self.encoded_known if kind == "encoded_known" else self.encoded
        if found is None:
            raise ValueError(f"latents={kind}: expected latents of this kind in the batch, found no such latents")
        if kind != "spliced":
            return found
        factor = self.mask.shape[-1] // self.z.shape[-1]
        return torch.where(functional.max_pool2d(self.mask, factor) > 0, self.z, found)


class Method:
    """The base class of methods. A subclass overrides `__call__`, and each other member whose default does not fit.

    The class of a method need not inherit from this class. If such a class lacks a member, a run adds the member with
    its default from this class. Only `__call__` has no default.
    """

    training: str = ""
    """Text that says how long the method was trained, which the table shows; empty if this is unknown."""
    origin: str = ""
    """Place that the images come from: `predictions` for a folder of images, `external` for another program.

    Empty if code of this project makes the images.
    """
    decodes: bool = False
    """True if the images are the output of a decoder, without pasted pixels.

    The released scripts save such images in half precision.
    """
    lineage: Mapping[str, Any] = {}
    """Description of the training that made the weights, as far as the file of the weights contains one."""
    encoded: Sequence[str] = ()
    """Kinds of encoded latents that the method reads from a batch, some of `ENCODED`.

    A batch contains encoded latents only if a row or a claim of the run needs them.
    """
    of: Method | None = None
    """The method whose images this method changes; None if this method makes its images itself."""

    @property
    def counted_network(self) -> nn.Module | None:
        """The network that makes the images, whose parameters and operations are counted as the costs of the row.

        None if the method itself is a module, or if no network makes the images.
        """
        return None

    @property
    def content(self) -> str | None:
        """Hash of the images, for a method whose images were made before the first batch.

        None if the method's arguments and weights determine the images.
        """
        return None

    def to(self, device: torch.device) -> Self:
        """Move the networks to the device of the run, and return this method."""
        return self

    def prepare(self, items: Items, work: Path) -> None:
        """Make the images of all items before the first batch. By default, no images are made here.

        Args:
            items: the items of the run.
            work: the folder in which images and logs are kept.
        """

    def begin(self, batch: Batch) -> Callable[[], Tensor]:
        """Begin to make the images of a batch, and return a function that waits for them and returns them.

        A run calls `begin` for all rows before it waits for the images of the first row. A method that computes in
        threads on the CPU overrides `begin`, so that it computes while the other rows compute. By default, the images
        are made only when the returned function is called.
        """
        return partial(self, batch)

    def __call__(self, batch: Batch) -> Tensor:
        """Return one image for each item of the batch, B×3×H×W, roughly in [-1, 1]."""
        raise NotImplementedError


def as_method(found: Any) -> Method:
    """Add to an object of any class the public members of `Method` that the object lacks, and return the object."""
    method: Method = with_defaults(found, Method)
    return method


def image_of(method: Method, batch: Batch) -> Tensor:
    """Call a method, and return its images as B×3×H×W float32, roughly in [-1, 1], without gradients.

    Raises:
        UnfitImageError: the method did not return floating-point images in the shape and on the device of
            `batch.image`.
    """
    return awaited(partial(method, batch), batch)


def awaited(begun: Callable[[], object], batch: Batch) -> Tensor:
    """Wait for the images that a method has begun to make, and return them as `image_of` does.

    Args:
        begun: result of `Method.begin` for the batch.
        batch: the batch.

    Raises:
        UnfitImageError: the images are not floating-point images in the shape and on the device of `batch.image`.
    """
    return checked_image(begun(), len(batch.ids), batch.image, "method").detach().float()


def checked_image(found: object, count: int, like: Tensor | None, maker: str) -> Tensor:
    """Check images, and return them unchanged.

    Args:
        found: what a decoder or a method returned.
        count: expected number of images.
        like: tensor with the expected shape and device; None if any height, width and device are allowed.
        maker: `decoder` or `method`, for the message.

    Raises:
        UnfitImageError: `found` is not a floating-point tensor `count`×3×H×W, or it does not fit `like`.
    """
    expected = f"{count}×3×H×W" if like is None else "×".join(map(str, like.shape))
    if not isinstance(found, Tensor):
        raise UnfitImageError(f"expected a tensor {expected} from the {maker}, found {type(found).__name__}")
    shape = tuple(found.shape)
    fits = shape[:2] == (count, 3) and len(shape) == 4 if like is None else shape == tuple(like.shape)
    if not fits:
        made = "×".join(map(str, shape)) or "a single number"
        raise UnfitImageError(f"expected an image {expected} from the {maker}, found {made}")
    if not found.is_floating_point():
        kind = str(found.dtype).removeprefix("torch.")
        raise UnfitImageError(f"expected floating-point numbers roughly in [-1, 1] from the {maker}, found {kind}")
    if like is not None and found.device != like.device:
        raise UnfitImageError(
            f"expected that the {maker} makes its image on {like.device}, found an image on {found.device}"
        )
    return found


def chain(method: Method) -> Iterator[Method]:
    """Yield a method, then the method in its attribute `of`, and so on. The last method makes its images itself."""
    found: Method | None = method
    while found is not None:
        yield found
        found = found.of


def made_beforehand(method: Method) -> list[Method]:
    """Return those methods of `chain(method)` that override `prepare` and make images before the first batch."""
    return [one for one in chain(method) if getattr(one.prepare, "__func__", None) is not Method.prepare]


def origin_of(method: Method) -> str:
    """Return the first `origin` in `chain(method)` that is not empty, or "" if this project's code makes the images."""
    return next((one.origin for one in chain(method) if one.origin), "")
