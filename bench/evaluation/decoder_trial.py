"""A quick trial of a user's decoder: one batch of noise shows whether the decoder can be a row of a table."""

from __future__ import annotations

import copy
import html
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.checking.estimate import trial_items
from bench.errors import BadInputError
from bench.evaluation.contracts import TOLERANCE
from bench.evaluation.costs import row_costs
from bench.generation.decoding import Decoded
from bench.generation.generator import float_images, image_batch, mask_batch
from bench.generation.method import Batch, UnfitImageError, checked_image
from bench.generation.python_objects import as_module, takes_known_pixels
from bench.runtime.seeding import standard_normal
from bench.runtime.text import one_line

__all__ = ["Finding", "Trial", "try_decoder"]

FACTORS = {4: "the profile mini", 8: "the profile paper"}
"""Factors that are tried if none is given, each with the profile that has it."""
LONG = 1.0
"""Time in seconds. If a call for a batch takes this time or longer, the decoder is timed with one image instead."""
WIDEST, OUTSIDE = 2.0, 0.5
"""Largest absolute value that counts as roughly in [-1, 1], and largest share of values that may be above it."""


@dataclass(frozen=True)
class Finding:
    """One result of a trial."""

    name: str
    """Name of the property that was tested, such as `range`."""
    text: str
    """Found value. For a problem, a sentence that says what was expected and what was found."""
    ok: bool = True
    """False if the finding is a problem."""


@dataclass(frozen=True)
class Trial:
    """The result of `try_decoder`. As text, it has a heading and one line for each finding."""

    name: str
    """Name of the decoder's class or function."""
    findings: tuple[Finding, ...]
    conditioned: bool
    """True if the decoder was called as `decoder(z, image, mask)`, and False if it was called as `decoder(z)`."""
    factor: int | None = None
    """Side of an image divided by the side of its latents; None if the decoder made no image of the right size."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Costs of decoding one image, as far as they are known.

    They are `seconds_per_image`, `parameters`, `tera_flop`, `peak_activation_bytes` and others, with the names that
    `run.json` uses.
    """

    @property
    def ok(self) -> bool:
        """True if no problem was found."""
        return all(finding.ok for finding in self.findings)

    @property
    def problems(self) -> list[str]:
        """One sentence for each problem, with the name of the tested property before it."""
        return [f"{finding.name}: {finding.text}" for finding in self.findings if not finding.ok]

    def __str__(self) -> str:
        count = len(self.problems)
        head = "no problem" if not count else "1 problem" if count == 1 else f"{count} problems"
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [f"{'ok' if one.ok else 'PROBLEM':<8} {one.name:<{width}}  {one.text}" for one in self.findings]
        return "\n".join([f"{self.name}: {head}", *lines])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def try_decoder(
    module: Callable[..., Tensor],
    *,
    latent_channels: int = 4,
    factor: int | None = None,
    resolution: int = 64,
    conditioned: bool | None = None,
    batch_size: int = 2,
    device: str | torch.device | None = None,
) -> Trial:
    """Test a decoder on one batch of noise, and report every problem that it would cause as a row of a table.

    The trial tests these requirements: The decoder must run and leave its inputs unchanged. Its images must have the
    right shape, type and range, and only finite values. A second call with equal inputs must make equal images, and an
    item must give the same image alone and in a batch. If the decoder gets the image and the mask, known pixels must
    change its result, and pixels in the hole must not.

    The trial also measures the time for each image, and counts the parameters and the operations. A module is copied,
    and the copy is tested in evaluation mode, as in a run. At the default sizes, the trial takes some seconds on a
    CPU.

    Args:
        module: a module or a function that returns images B×3×H×W, roughly in [-1, 1].
        latent_channels: number C of channels of the latents z, B×C×h×w.
        factor: H / h, the side of an image divided by the side of its latents. If it is None, 4 (the profile mini) and
            8 (the profile paper) are tried.
        resolution: side H of the square images in pixels, a multiple of the factor.
        conditioned: True to call ``decoder(z, image, mask)``, with the image B×3×H×W in [-1, 1] and the mask B×1×H×W,
            1 = hole. False to call ``decoder(z)``. If it is None, the decoder's signature decides, as in `bench.run`.
        batch_size: number B of images, at least 2.
        device: device on which the decoder is tested. If it is None, the device of the module's weights is used, or the
            CPU if the module has no weights.

    Returns:
        The findings. A fault of the decoder raises no error. It is a finding whose `ok` is False.

    Raises:
        BadInputError: `module` is a class or cannot be called, or another argument is wrong.
    """
    _check_arguments(module, latent_channels, factor, resolution, batch_size)
    shown = takes_known_pixels(module) if conditioned is None else conditioned
    where = _device(module, device)
    findings, found, costs = list(_on_module(module)), None, dict[str, float]()
    try:
        method = _method(module, shown, where)
        tried = [
            _batch(latent_channels, resolution, one, batch_size, where)
            for one in (FACTORS if factor is None else [factor])
        ]
        with torch.random.fork_rng([where] if where.type == "cuda" else []):
            batch, image, seconds = _first_image(method, tried)
            found = resolution // batch.z.shape[-1]
            findings += _on_image(image, found)
            if torch.isfinite(image).all():
                findings += _on_repetition(method, batch, image)
                findings += _on_known_pixels(method, batch, image) if shown else []
            costs = _costs(method, batch if seconds < LONG else batch.first())
    except _StopError as stop:
        findings.append(Finding("call", str(stop), ok=False))
    name = str(getattr(module, "__name__", type(module).__name__))
    return Trial(name, (*findings, *_on_costs(costs)), shown, found, costs)


def _check_arguments(
    module: object, latent_channels: int, factor: int | None, resolution: int, batch_size: int
) -> None:
    if isinstance(module, type):
        raise BadInputError(
            f"module: expected a module or a function, found the class {module.__qualname__}; pass an object of this "
            "class"
        )
    if not callable(module):
        raise BadInputError(f"module: expected a module or a function, found {type(module).__name__}")
    multiple = max(FACTORS) if factor is None else factor
    for name, value, least in (
        ("latent_channels", latent_channels, 1),
        ("factor", multiple, 1),
        ("resolution", resolution, 1),
        ("batch_size", batch_size, 2),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadInputError(f"{name}: expected a whole number of {least} or more, found {value!r}")
    if resolution % multiple:
        raise BadInputError(f"resolution: expected a multiple of the factor {multiple}, found {resolution}")


def _tensors(module: object) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()] if isinstance(module, nn.Module) else []


def _device(module: object, device: str | torch.device | None) -> torch.device:
    """Return the given device. For None, return the device of the module's weights; if it has no weights, the CPU.

    Raises:
        BadInputError: the given device does not exist, or stores no values.
    """
    if device is None:
        return next((tensor.device for tensor in _tensors(module)), torch.device("cpu"))
    try:
        found = torch.empty(0, device=device).device
        if found.type == "meta":
            raise RuntimeError("its tensors have no values")
        return found
    except (RuntimeError, AssertionError, TypeError) as error:  # AssertionError if PyTorch was built without CUDA
        said = one_line(str(error).partition("\n")[0])
        raise BadInputError(
            f"device: expected a device that exists and stores values, such as cpu, found {device} ({said})"
        ) from None


def _on_module(module: object) -> Iterator[Finding]:
    """Yield the findings on a module before it is called."""
    if isinstance(module, nn.Module) and module.training:
        yield Finding("mode", "training; a run uses a copy in evaluation mode, and so did this trial")
    types = {str(one.dtype).removeprefix("torch.") for one in _tensors(module) if one.is_floating_point()}
    if types - {"float32"}:
        found = " and ".join(sorted(types))
        yield Finding(
            "weights", f"{found}, while the latents of a run are float32; module.float() converts the weights"
        )


def _method(module: Callable[..., Tensor], conditioned: bool, device: torch.device) -> Decoded:
    """Make a method from a copy of the module, as a run does, and move the method to a device.

    Raises:
        _StopError: the module is no decoder, or cannot be copied or moved.
    """
    if hasattr(module, "decode") and hasattr(module, "post_quant_conv"):
        raise _StopError(
            f"expected a decoder of latents after post_quant_conv, found {type(module).__name__}, a whole autoencoder; "
            "its attribute decoder is such a decoder"
        )
    devices = sorted({str(tensor.device) for tensor in _tensors(module)})
    if len(devices) > 1 or devices == ["meta"]:
        raise _StopError(f"expected weights on one device that stores values, found weights on {' and '.join(devices)}")
    with _stopping(f"a module that can be copied and moved to {device}"):
        return Decoded(as_module(copy.deepcopy(module)), conditioned=conditioned).to(device)


def _batch(channels: int, resolution: int, factor: int, count: int, device: torch.device) -> Batch:
    """Return a batch of noise: latents from a standard normal distribution, and pictures with a rectangular hole."""
    items, side = trial_items(resolution, count), resolution // factor
    with _stopping(f"that tensors can be made on {device}"):
        z = torch.from_numpy(standard_normal((count, channels, side, side), 0, "trial of a decoder")).to(device)
        image, mask = float_images(image_batch(items)).to(device), mask_batch(items).to(device)
    return Batch(tuple(item.id for item in items), z, image, mask)


class _StopError(Exception):
    """The error that ends a trial, because nothing else can be tested. The message describes the problem."""


class _SizeError(_StopError):
    """The error that ends a trial, because the decoder made an image of another size than expected."""


@contextmanager
def _stopping(expected: str) -> Iterator[None]:
    """Convert any error in the `with` block into a `_StopError`, which ends the trial.

    Args:
        expected: description of what the decoder should do, for the message.
    """
    try:
        yield
    except _StopError:
        raise
    except UnfitImageError as error:
        raise _StopError(str(error)) from None
    except (Exception, SystemExit) as error:  # a faulty decoder may raise anything
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        own = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
        lines = [line for line in traceback.extract_tb(error.__traceback__) if not line.filename.startswith(own)]
        place = f" ({lines[-1].filename}:{lines[-1].lineno})" if lines else ""
        raise _StopError(f"expected {expected}, found {one_line(said)}{place}") from None


def _image(method: Decoded, batch: Batch) -> Tensor:
    """Decode a batch, and return the images without changing them.

    Raises:
        _StopError: the decoder fails, changes its inputs, or does not return images of the right size.
    """
    inputs = (batch.z, batch.image, batch.mask) if method.conditioned else (batch.z,)
    names, before = ("z", "image", "mask"), [tensor.clone() for tensor in inputs]
    shapes = " and ".join(f"{name} {_size(tensor)}" for name, tensor in zip(names, inputs, strict=False))
    with _stopping(f"an image {_size(batch.image)} for {shapes}"), torch.inference_mode():
        made = _without_tuple(method.decoder(*inputs))
        if isinstance(made, Tensor) and made.shape != batch.image.shape:
            raise _SizeError(f"expected an image {_size(batch.image)} from the decoder, found {_size(made)}")
        image = checked_image(made, len(batch.ids), batch.image, "decoder").detach()
    for name, was, now in zip(names, before, inputs, strict=False):
        if not torch.equal(was, now):
            raise _StopError(f"expected that the decoder leaves its input {name} unchanged, found a change")
    return image


def _without_tuple(made: object) -> object:
    """Return the result of a decoder unchanged, and refuse a result that contains the image inside another object.

    Raises:
        UnfitImageError: the image is inside a tuple, a list or another object. The message says how to get the image
            from this object.
    """
    inside = made[0] if isinstance(made, tuple | list) and made else getattr(made, "sample", None)
    if isinstance(inside, Tensor) and not isinstance(made, Tensor):
        part = ".sample" if hasattr(made, "sample") else "[0]"
        raise UnfitImageError(
            f"expected a tensor from the decoder, found {type(made).__name__}; return {part} of this object, "
            f"which is a tensor of the size {_size(inside)}"
        )
    return made


def _first_image(method: Decoded, batches: list[Batch]) -> tuple[Batch, Tensor, float]:
    """Call the decoder on one batch after the other, until it makes an image of the right size.

    Args:
        method: the decoder.
        batches: a batch for each possible factor.

    Returns:
        The batch, its image, and the seconds of the call.

    Raises:
        _StopError: no batch gave an image of the right size. The message is about the first batch.
    """
    first: _StopError | None = None
    for batch in batches:
        started = time.perf_counter()
        try:
            return batch, _image(method, batch), time.perf_counter() - started
        except _StopError as stop:
            first = first or stop
    assert first is not None  # there is at least one batch
    if isinstance(first, _SizeError) and len(batches) > 1:
        raise _StopError(f"{first} (the factors {' and '.join(map(str, FACTORS))} were tried)")
    raise first


def _on_image(image: Tensor, factor: int) -> Iterator[Finding]:
    """Yield the findings on the first images B×3×H×W."""
    profile = f", as in {FACTORS[factor]}" if factor in FACTORS else ""
    kind = str(image.dtype).removeprefix("torch.")
    yield Finding("shape", f"{_size(image)} of {kind} on {image.device}, factor {factor}{profile}")
    if not torch.isfinite(image).all():
        count = int((~torch.isfinite(image)).sum())
        yield Finding(
            "finite",
            f"expected finite values, found that {count:,} of {image.numel():,} values are NaN or infinite",
            ok=False,
        )
        return
    low, high = float(image.min()), float(image.max())
    expected = f"expected values roughly in [-1, 1], found values from {low:.3g} to {high:.3g}"
    if low >= 0 and high > low and high <= 1:
        yield Finding("range", f"{expected}, which seem to be in [0, 1]; 2 * image - 1 converts them", ok=False)
    elif low >= 0 and high > WIDEST:
        yield Finding("range", f"{expected}, which seem to be in [0, 255]; image / 127.5 - 1 converts them", ok=False)
    elif float((image.abs() > WIDEST).float().mean()) > OUTSIDE:
        yield Finding("range", expected, ok=False)
    else:
        yield Finding("range", f"{low:.3g} to {high:.3g}")


def _on_repetition(method: Decoded, batch: Batch, image: Tensor) -> Iterator[Finding]:
    """Yield the findings on a second call with the same batch, and on a call with the first item alone."""
    again, alone = _image(method, batch), _image(method, batch.first())
    moved, apart = _distance(again, image), _distance(alone, image[:1])
    if moved > TOLERANCE:
        yield Finding(
            "repeated", f"expected equal images from equal inputs, found a difference of {moved:.3g}", ok=False
        )
    else:
        yield Finding(
            "repeated", "bit-equal" if torch.equal(again, image) else f"the two images differ by at most {moved:.2g}"
        )
    if apart > TOLERANCE:
        yield Finding(
            "alone",
            f"expected the same image of an item alone and in a batch, found a difference of {apart:.3g}",
            ok=False,
        )
    else:
        yield Finding("alone", f"the images of an item alone and in a batch differ by at most {apart:.2g}")


def _on_known_pixels(method: Decoded, batch: Batch, image: Tensor) -> Iterator[Finding]:
    """Yield the findings on two calls: one with other known pixels, and one with other pixels in the hole."""
    hole = batch.mask > 0
    known, hidden = (
        _distance(_image(method, replace(batch, image=torch.where(other, -batch.image, batch.image))), image)
        for other in (~hole, hole)
    )
    turned = "; perhaps the decoder inverts the mask, which is 1 in the hole" if known == 0 < hidden else ""
    if known == 0:
        yield Finding("known", f"expected that known pixels change the image, found no change{turned}", ok=False)
    else:
        yield Finding("known", f"other known pixels change the image by up to {known:.3g}")
    if hidden > TOLERANCE:
        yield Finding(
            "hidden",
            f"expected that pixels in the hole do not change the image, found a change of up to {hidden:.3g}",
            ok=False,
        )
    else:
        yield Finding("hidden", "the pixels in the hole are not used")


def _costs(method: Decoded, batch: Batch) -> dict[str, float]:
    """Return the costs of decoding one image, as `bench.evaluation.costs.row_costs` measures them."""
    with _stopping("that the decoder can be called several times"):
        return row_costs({"decoder": method}, batch)["decoder"]


def _on_costs(costs: Mapping[str, float]) -> Iterator[Finding]:
    if "parameters" in costs:
        yield Finding("parameters", f"{costs['parameters']:,.0f}")
    if "tera_flop" in costs:
        yield Finding("operations", f"{costs['tera_flop'] * 1e12 / 2:,.0f} multiply–adds for an image")
    if "seconds_per_image" in costs:
        yield Finding("speed", f"{costs['seconds_per_image'] * 1e3:.3g} ms for an image")
    memory = costs.get("peak_memory_bytes", costs.get("peak_activation_bytes"))
    if memory is not None:
        yield Finding("memory", f"{memory / 1e6:,.3g} MB for an image, without the weights")


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first.float() - second.float()).abs().max())


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a single number"
