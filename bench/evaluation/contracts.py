"""Checks that the generator, the methods and the measures have the interfaces that a run needs.

Before anything is sampled, each of these objects is tried on one item of noise. External code may take wrong arguments,
or return a wrong shape, type or device, or values that are not finite. If such an error is found here, it costs a
second. If it is found during the run, it may cost hours of sampling.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.checking.estimate import trial_items
from bench.config.instantiate import named
from bench.config.own_code import OWN_PACKAGES
from bench.errors import BadInputError
from bench.evaluation.sampling import KINDS, LATENTS, Sampling, latents_of_items
from bench.evaluation.scoring import unit_interval
from bench.generation.decoding import Decoded
from bench.generation.generator import Generator, float_images
from bench.generation.method import Batch, Method, UnfitImageError, chain, image_of, made_beforehand
from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.measure import Extra, Measure
from bench.models.decoder import Decoder
from bench.runtime.copies import ReadBack

__all__ = ["check_contracts", "check_generator", "check_measure", "check_method", "check_space"]

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference between two images of one item, in [-1, 1], for which a method counts as deterministic. It is
about an eighth of a grey level."""
WANTED = "a dictionary of numpy arrays or tensors"
"""Description of what `Measure.keep_truth` and `Measure.keep` return, for messages."""
COPIES = 2
"""Number of copies of the item in the batch for measures. With more than one copy, the check can distinguish a measure
that returns one value for the whole batch from a measure that returns one value for each item."""


def check_contracts(
    sampling: Sampling,
    methods: Mapping[str, Method],
    measures: Mapping[str, Measure],
    specs: Mapping[str, Mapping[str, Any]],
    *,
    resolution: int,
) -> None:
    """Sample, decode and measure one item of noise, and check every result.

    A row is not checked if all of its images are made before the scoring stage, for example by another program.

    Args:
        sampling: sampling stage, which contains the generator.
        methods: method of each row.
        measures: measures by name.
        specs: specifications of the measures, as in the configuration's `metrics.measures`.
        resolution: side of the run's items in pixels.

    Raises:
        BadInputError: an object does not have the interface. The message names the key of the configuration, what was
            expected and what was found.
    """
    item = trial_items(resolution, 1)
    latents = check_generator(sampling.generator, resolution, seed=sampling.seed)
    with _named("generator", "latents that become a decoder's input"):
        batch, truth = sampling.batch(item, {name: made.float().cpu().numpy() for name, made in latents.items()})
    image = float_images(truth)
    for row, method in methods.items():
        if not made_beforehand(method):
            check_space(row, method, sampling.generator)
            image = check_method(row, method, batch)
    seen = unit_interval(image).repeat(COPIES, 1, 1, 1)
    truth, mask = truth.repeat(COPIES, 1, 1, 1), batch.mask.repeat(COPIES, 1, 1, 1)
    extra = Extra([item[0].exemplar] * COPIES, words=[item[0].words] * COPIES)
    for name, measure in measures.items():
        check_measure(name, measure, specs[name], seen, truth, mask, extra)


def check_space(row: str, method: Method, generator: Generator) -> None:
    """Require that a row decodes latents of the generator's latent space.

    Equal shapes do not suffice: a decoder of Stable Diffusion 1 accepts the latents of SDXL, but its images are wrong.
    Nothing is required if the space of the decoder or of the generator is not a known one.

    Args:
        row: name of the row, for the message.
        method: method of the row.
        generator: generator of the run.

    Raises:
        BadInputError: both spaces are known, and they differ.
    """
    for one in chain(method):
        decoder = one.decoder if isinstance(one, Decoded) else None
        name = decoder.space_name if isinstance(decoder, Decoder) else ""
        if name and generator.space_name and name != generator.space_name:
            raise BadInputError(
                f"rows.{row}: expected a decoder for the latent space {generator.space_name}, which the generator's "
                f"latents belong to, found one for the latent space {name}"
            )


def check_generator(generator: Generator, resolution: int, *, seed: int) -> dict[str, Tensor]:
    """Check a generator on one item of noise, and return the latents that it makes.

    Args:
        generator: the generator, on its device.
        resolution: side of the item in pixels.
        seed: the run's seed.

    Returns:
        Latents 1×C×h×w of the item for each name in `KINDS`, in the generator's scale.

    Raises:
        BadInputError: latents are not a floating-point tensor, are not finite, do not all have the same shape, or are
            not square; or the resolution is not a multiple of their side.
    """
    item = trial_items(resolution, 1)
    found: dict[str, Tensor] = {}
    for name in KINDS:
        what = "sample" if name == LATENTS else "encode"
        with _named(f"the method generator.{what}()", "latents of one item"):
            made = latents_of_items(generator, item, seed, [name])[name]
        shape = tuple(found[LATENTS].shape) if found else None
        found[name] = _latents(made, what, resolution, shape)
    return found


def _latents(made: object, what: str, resolution: int, shape: tuple[int, ...] | None) -> Tensor:
    key = f"the method generator.{what}()"
    wanted = _sizes(shape) if shape else f"1×C×h×w, where h and w are equal and {resolution} is a multiple of them"
    if not isinstance(made, Tensor):
        raise BadInputError(f"{key}: expected a tensor of the shape {wanted}, found {type(made).__name__}")
    size = tuple(made.shape)
    fits = len(size) == 4 and size[0] == 1 and min(size) > 0 and size[2] == size[3] and resolution % size[2] == 0
    if not fits or (shape is not None and size != shape):
        raise BadInputError(f"{key}: expected latents of the shape {wanted}, found {_sizes(size)}")
    if not made.is_floating_point() or not torch.isfinite(made).all():
        kind = "values that are not finite" if made.is_floating_point() else str(made.dtype).removeprefix("torch.")
        raise BadInputError(f"{key}: expected finite floating-point numbers, found {kind}")
    return made


def check_method(row: str, method: Method, batch: Batch) -> Tensor:
    """Check a method on one item, and return the image 1×3×H×W that it makes, roughly in [-1, 1].

    The method is called twice. If the two images differ by more than `TOLERANCE`, a warning is logged.

    Args:
        row: name of the row, for messages.
        method: the method, on the batch's device.
        batch: inputs of one item.

    Raises:
        BadInputError: the method fails, changes its inputs, or does not return a finite image of this shape.
    """
    key, maker = f"rows.{row}", _maker(method)
    before = _copied(batch)
    with _named(key, f"an image from the {maker}"):
        first = _finite(key, maker, image_of(method, batch))
    for field in fields(Batch):
        was, now = getattr(before, field.name), getattr(batch, field.name)
        if isinstance(was, Tensor) and not torch.equal(was, now):
            raise BadInputError(
                f"{key}: expected that the {maker} leaves its input {field.name} unchanged, found a change"
            )
    with _named(key, f"an image from the {maker}"):
        moved = (image_of(method, batch) - first).abs().max().item()
    if moved > TOLERANCE:
        log.warning(
            "%s: the %s made two different images of the same item; their values differ by up to %.3g, so a second run "
            "would give other numbers",
            key, maker, moved,
        )  # fmt: skip
    return first


def _finite(key: str, maker: str, image: Tensor) -> Tensor:
    if not torch.isfinite(image).all():
        raise BadInputError(
            f"{key}: expected finite values roughly in [-1, 1] from the {maker}, found NaN or infinite values"
        )
    return image


def _maker(method: Method) -> str:
    return "decoder" if any(isinstance(one, Decoded) for one in chain(method)) else "method"


def _copied(batch: Batch) -> Batch:
    encoded, known = (None if one is None else one.clone() for one in (batch.encoded, batch.encoded_known))
    return Batch(batch.ids, batch.z.clone(), batch.image.clone(), batch.mask.clone(), encoded, known)


def check_measure(
    name: str,
    measure: Measure,
    spec: Mapping[str, Any],
    image: Tensor,
    truth: Tensor,
    mask: Tensor,
    extra: Extra,
) -> None:
    """Check a measure on a batch of B items.

    The measure must return a value or features for each item, and every array that its specification names.

    Args:
        name: name in `metrics.measures`.
        measure: the measure, on the images' device.
        spec: specification of the measure, as in the configuration's `metrics.measures`.
        image: images to measure, B×3×H×W in [0, 1].
        truth: true images B×3×H×W uint8.
        mask: masks B×1×H×W, 1 = hole.
        extra: exemplars and words of the items.

    Raises:
        BadInputError: the measure fails, or does not return these arrays.
    """
    key, count = f"metrics.measures.{name}.measure", len(image)
    with _named(key, WANTED):
        scorer = Scorer({name: measure}, truth, mask, extra.exemplars, words=extra.words)
        made = {"keep_truth": scorer.truth(name), "keep": scorer.score(image, [Unit(name)])[Unit(name)]}
    for what, arrays in made.items():
        if not isinstance(arrays, Mapping):
            raise BadInputError(
                f"{key}: expected that the method {what}() returns {WANTED}, found {type(arrays).__name__}"
            )
    with _named(key, WANTED):
        kept = {what: ReadBack(arrays).wait() for what, arrays in made.items()}
    external = type(measure).__module__.partition(".")[0] not in OWN_PACKAGES
    for what, arrays in kept.items():
        for array, values in arrays.items():
            name = f"{key}: the array {array} from the method {what}()"
            _check_array(name, values, count)
            if external and values.ndim == 1 and np.isnan(values).all():
                log.warning("%s: the value is NaN for the only item of the trial, so no other value was tested", name)
    columns = {array: values.ndim for array, values in kept["keep"].items()}
    wanted = {metric: 1 for metric in spec.get("metrics", {}) if metric not in spec.get("set_metrics", {})}
    wanted |= dict.fromkeys(spec.get("set_metrics", {}).values(), 2)
    for array, dimensions in wanted.items():
        if columns.get(array) != dimensions:
            shape = "one value" if dimensions == 1 else "one row of features"
            known = ", ".join(f"{name} ({'values' if axes == 1 else 'features'})" for name, axes in columns.items())
            raise BadInputError(
                f"{key}: expected that the method keep() returns the array {array} with {shape} for each item, found "
                f"{known or 'no array'}"
            )


def _check_array(what: str, values: object, count: int) -> None:
    expected = f"expected an array of {count} real values or {count} rows of features for {count} items"
    if not isinstance(values, np.ndarray):
        raise BadInputError(f"{what}: {expected}, found {type(values).__name__}")
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2) or len(values) != count:
        raise BadInputError(f"{what}: {expected}, found {_sizes(values.shape)} of the type {values.dtype}")
    if values.ndim == 2 and not np.isfinite(values).all():
        raise BadInputError(f"{what}: expected finite features, found NaN or infinite values")
    if values.ndim == 1 and np.isinf(values).any():
        raise BadInputError(
            f"{what}: expected finite values, or NaN for an item that cannot be measured, found infinite values"
        )


def _sizes(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "a single number"


@contextmanager
def _named(key: str, expected: str) -> Iterator[None]:
    """Convert an error in the `with` block into a `BadInputError` with a message of one sentence.

    Args:
        key: key of the configuration that names the external code. The message begins with this key.
        expected: description of the value that the code should return; see `bench.config.instantiate.named`.
    """
    with named(key, expected):
        try:
            yield
        except UnfitImageError as error:
            raise BadInputError(f"{key}: {error}") from None
