"""The function that compares two decoders on the same latents: do the pictures differ, and are they worse?

The rules of the decision are those of `bench.gate.decision`, and the intervals are paired by picture as in
`bench.metrics.uncertainty`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.config.schema import COMPILE, PRECISIONS
from bench.edits.measures import load_measures
from bench.errors import BadInputError
from bench.gate.comparing import Comparison, Outcome
from bench.gate.decision import Worsening, decide
from bench.gate.decoder_pictures import DecoderPicture, decoder_pictures
from bench.gate.margins import DECODERS, DIFFERENCES, NO_DIFFERENCE, Margin
from bench.gate.read_run import Problem
from bench.gate.report import as_json
from bench.generation.compiling import check_compiler, check_mode, compile_network
from bench.generation.generator import picture_batch
from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Measure
from bench.metrics.spread import Spread
from bench.metrics.uncertainty import Chosen, combined, mean_estimate, rounding_of
from bench.models.autoencoders import Autoencoder, Latents, load_autoencoder
from bench.models.autoencoders.adapters import OwnDecoder
from bench.models.checkpoints import OWN, network_settings
from bench.runtime.device import choose_device
from bench.runtime.progress import Progress
from bench.runtime.seeding import seed_for
from bench.tables.build import style_of

__all__ = ["DecoderOutcome", "DecoderSettings", "DecoderUse", "compare_decoders"]

Array = npt.NDArray[np.float64]
EXPERIMENT = "decoders"
"""Name that stands in the place of an experiment's name in the outcome."""
LARGEST = "largest_difference"
BROKEN = "broken_pictures"
"""Name of the number of pictures in which NEW made NaN or infinite values. Its margin is always 0."""
SIZE = 128
"""Side of the pictures in pixels, if no other one is asked for. It is raised to a multiple that fits both decoders."""
SMALLEST = 11
"""Smallest side of a picture in pixels. It is the side of the window of SSIM."""
PIXELS = 2**18
"""Largest number of pixels in a batch of several pictures."""
ERRORS: Mapping[str, Sequence[str]] = {
    "mini": ("images", "known_region", "similarity"),
    "default": ("known_region", "similarity", "lpips"),
}
"""Measures of the errors to the true pictures, by the name of the set that the caller chooses.

In the set `mini`, LPIPS is computed with a small network of this project, which needs no further file. In the set
`default`, it is computed with VGG16 and the learned heads of LPIPS 0.1, as `bench.score` does.
"""
METRICS = ("psnr", "ssim", "lpips")
"""Errors to the true pictures, by name."""
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class DecoderUse:
    """The way in which a decoder is used: its precision, its tiles and its compilation."""

    precision: str = "float32"
    """Number type of the weights, the latents and the computation, one of `bench.config.schema.PRECISIONS`."""
    tile: int | None = None
    """Side of overlapping tiles in pixels, or height of the strips of a decoder of this project.

    None if whole pictures are decoded.
    """
    compile: str | None = None
    """Mode of `torch.compile`, one of `bench.config.schema.COMPILE`; None if the decoder is not compiled."""

    def __str__(self) -> str:
        tile = "" if self.tile is None else f", tiles of {self.tile}"
        return f"{self.precision}{tile}{'' if self.compile is None else f', compiled ({self.compile})'}"


@dataclass(frozen=True)
class DecoderSettings:
    """Everything that a comparison of two decoders needs in addition to their folders."""

    old: DecoderUse = DecoderUse()
    new: DecoderUse = DecoderUse()
    space: str = ""
    """Name of the latent space of both sides, as for `load_autoencoder`; empty to find it for each side."""
    encoder: Path | None = None
    """Folder of the autoencoder whose encoder belongs to a decoder in the layout `own`; None if no side is one."""
    pictures: Path | None = None
    """Folder of pictures; None for drawn pictures."""
    limit: int | None = None
    """Number of pictures, 2 or more; None for all of the folder, or for 32 drawn ones."""
    size: int | None = None
    """Side of the square pictures in pixels; None for 128, or for the next larger side that fits both decoders."""
    margins: Mapping[str, Margin] = field(default_factory=dict)
    """Margins that replace those of `bench.gate.margins.DECODERS`, by the name of the number."""
    measures: str = "mini"
    """Set of measures of the errors to the true pictures: `mini` or `default`."""
    device: str = "auto"
    """PyTorch device, or `auto`."""


@dataclass(frozen=True)
class DecoderOutcome:
    """The result of comparing two decoders."""

    outcome: Outcome
    """Every compared number with its margin and its verdict, and the verdict on the whole."""
    settings: DecoderSettings
    items: int
    """Number of pictures."""
    size: int
    """Side of the pictures in pixels."""
    space: str
    """Name of the latent space."""
    identical_expected: bool
    """True if both sides have the same weights and are used in the same way, so that no difference is tolerated."""
    psnr_between: float | None
    """PSNR in dB between the 8-bit pictures of the two sides, from the mean squared difference over all pictures.

    None if all pictures are equal, or if NEW made NaN or infinite values.
    """

    def as_json(self) -> dict[str, Any]:
        """Return the result, and the way in which each decoder was used, as plain data that can be saved as JSON."""
        return {
            **as_json(self.outcome),
            "items": self.items,
            "size": self.size,
            "space": self.space,
            "use": {"old": asdict(self.settings.old), "new": asdict(self.settings.new)},
            "measures": self.settings.measures,
            "identical_expected": self.identical_expected,
            "psnr_between": self.psnr_between,
        }


def compare_decoders(old: str | Path, new: str | Path, settings: DecoderSettings = DecoderSettings()) -> DecoderOutcome:
    """Decode the same latents with two decoders, and compare the pictures with each other and with the true pictures.

    The encoder of OLD encodes all pictures once, in float32. Both decoders then decode these latents, and the decoded
    pictures are rounded to 8 bits. A decoder that uses known pixels also gets the true picture and a mask. The hole of
    this mask is a square in the centre, with half the side of the picture.

    Args:
        old: folder of the decoder that was used so far; see `bench.models.load_autoencoder`.
        new: folder of the decoder to judge.
        settings: precisions, tiles, pictures, margins and other settings.

    Returns:
        The compared numbers. The name of a number is one of these:

        - `largest_difference`: largest absolute difference between NEW's and OLD's value of one pixel and channel, over
          all pictures, in grey levels;
        - `share_changed`: mean share of the pixels that changed by more than one level in at least one channel;
        - `squared_difference`: mean squared difference, in squared grey levels;
        - `colour_shift_red`, `_green` and `_blue`: mean of NEW's value minus OLD's value, in grey levels;
        - `psnr`, `ssim` and `lpips`: each compares the pictures of one decoder with the true pictures.

        If NEW makes NaN or infinite values, the only number is `broken_pictures`, which is then a regression.

    Raises:
        BadInputError: a folder does not contain a decoder with finite weights; the latent spaces differ; OLD makes NaN
            or infinite values; or a setting is wrong.
    """
    _check_settings(settings)
    before, after = _sides(Path(old), Path(new), settings)
    identical = settings.old == settings.new and _same_weights(before.autoencoder, after.autoencoder)
    size = _size(settings.size, before.autoencoder, after.autoencoder)
    for side in (before, after):
        side.check_tiles(size)
    pictures = decoder_pictures(settings.pictures, limit=settings.limit, size=size)
    device = choose_device(settings.device)
    measures, lacking = _measures(settings.measures, device)
    latents = _encoded(before.autoencoder.to(device), pictures, device)
    for side in (before, after):
        side.prepare(device)
    values = _compared(before, after, pictures, latents, measures)
    judged = _judged(values, settings.margins, [one.source for one in pictures], after.row, identical)
    between = None if values.broken else _psnr(float(values.new["squared_difference"].mean()))
    space = before.autoencoder.space.name
    notes = [
        f"{len(pictures)} pictures of {size}×{size} pixels, latents of the space {space}; old: {before.use}; "
        f"new: {after.use}",
        *_findings(values, between, settings.new.precision, identical),
        *(note for side in (before, after) for note in side.notes()),
        *judged.notes,
        *lacking,
    ]
    outcome = Outcome(after.folder, before.folder, judged.comparisons, judged.problems, tuple(notes))
    return DecoderOutcome(outcome, settings, len(pictures), size, space, identical, between)


def _findings(values: _Values, between: float | None, precision: str, identical: bool) -> list[str]:
    """Return the notes on NaN and infinite values, on the PSNR between OLD and NEW, and on margins of 0.

    Args:
        values: values of all pictures.
        between: PSNR in dB between the pictures of OLD and of NEW; None if it is not known.
        precision: number type of NEW.
        identical: True if the pictures of OLD and of NEW should not differ at all.
    """
    notes = []
    if identical:
        notes.append("both sides have the same weights and are used in the same way, so no difference is tolerated")
    if values.broken:
        reason = "; float16 has no number above 65504" if precision == "float16" else ""
        notes.append(f"NEW made NaN or infinite values in {values.broken} of {values.count} pictures{reason}")
    if between is not None:
        notes.append(f"PSNR between the pictures of the two sides: {between:.2f} dB")
    return notes


def _check_settings(settings: DecoderSettings) -> None:
    for side, use in (("old", settings.old), ("new", settings.new)):
        for key, value, known in (
            ("precision", use.precision, PRECISIONS),
            ("compile", use.compile, (None, *COMPILE)),
        ):
            if value not in known:
                names = ", ".join(name for name in known if name is not None)
                raise BadInputError(f"{side} {key}: expected one of {names}, found {value}")
    if settings.measures not in ERRORS:
        raise BadInputError(f"measures: expected one of {', '.join(ERRORS)}, found {settings.measures}")
    for name in settings.margins:
        if name not in DECODERS:
            raise BadInputError(f"margin of {name}: expected one of {', '.join(DECODERS)}")


def _sides(old: Path, new: Path, settings: DecoderSettings) -> tuple[_Side, _Side]:
    """Load both decoders in float32.

    Raises:
        BadInputError: a decoder cannot be loaded, `settings.encoder` is missing or not needed, or the decoders have
            different latent spaces.
    """
    own = {path: network_settings(path).get("_class_name") == OWN for path in (old, new)}
    if settings.encoder is not None and not any(own.values()):
        raise BadInputError(
            f"encoder: expected none, because neither {old} nor {new} is a decoder in the layout own, found "
            f"{settings.encoder}"
        )
    first, second = (
        load_autoencoder(path, space=settings.space, encoder=settings.encoder if own[path] else None)
        for path in (old, new)
    )
    if first.space.name != second.space.name:
        raise BadInputError(
            f"{new}: expected a decoder of the space {first.space.name}, which {old} has, found the space "
            f"{second.space.name}"
        )
    return _Side("OLD", old, first, settings.old), _Side("NEW", new, second, settings.new)


def _same_weights(one: Autoencoder, other: Autoencoder) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return (
        type(one.network) is type(other.network)
        and first.keys() == second.keys()
        and all(torch.equal(values, second[name]) for name, values in first.items())
    )


def _size(asked: int | None, old: Autoencoder, new: Autoencoder) -> int:
    """Return the side of the pictures in pixels.

    Args:
        asked: side that the caller asks for; None to choose one.
        old: the old autoencoder.
        new: the new autoencoder.

    Raises:
        BadInputError: the side does not fit one of the autoencoders.
    """
    multiple = math.lcm(old.divisor, new.divisor)
    fixed = old.side or new.side
    size = (fixed or math.ceil(SIZE / multiple) * multiple) if asked is None else asked
    if size < SMALLEST or size % multiple or any(one.side not in (None, size) for one in (old, new)):
        wanted = f"{fixed}" if fixed else f"a multiple of {multiple} that is at least {SMALLEST}"
        raise BadInputError(f"size: expected {wanted}, found {size}")
    return size


def _measures(name: str, device: torch.device) -> tuple[Mapping[str, Measure], list[str]]:
    """Return the measures that compare pictures with the true pictures.

    The second result is a list with a note for each metric whose network is missing.
    """
    chosen = "mini" if name == "mini" else list(ERRORS[name])
    found = load_measures(chosen, ["inpainting"], device)
    lacking = [f"{metric} is not compared: {why}" for metric, why in found.lacking.items() if metric in METRICS]
    return {key: found.loaded[key] for key in ERRORS[name] if key in found.loaded}, lacking


def _batches(count: int, size: int) -> list[range]:
    """Divide the indices of the pictures into batches."""
    each = max(1, PIXELS // size**2)
    return [range(start, min(start + each, count)) for start in range(0, count, each)]


def _truth(pictures: Sequence[DecoderPicture], places: range, device: torch.device) -> Tensor:
    """Return the true pictures of a batch as B×3×H×W uint8."""
    return picture_batch([pictures[place].pixels for place in places]).to(device)


def _in_range(truth: Tensor) -> Tensor:
    """Return pictures B×3×H×W float32 in [-1, 1]."""
    return truth.float() / 127.5 - 1


def _encoded(old: Autoencoder, pictures: Sequence[DecoderPicture], device: torch.device) -> list[Latents]:
    """Encode all pictures with the encoder of the old autoencoder, and return the latents of each batch."""
    return [
        old.encode(_in_range(_truth(pictures, places, device)))
        for places in _batches(len(pictures), pictures[0].pixels.shape[0])
    ]


@dataclass(frozen=True)
class _Side:
    """The old or the new decoder, with the way in which it is used."""

    label: str
    """Name of the side in messages, `OLD` or `NEW`."""
    folder: Path
    autoencoder: Autoencoder
    use: DecoderUse

    @property
    def row(self) -> str:
        """Name of the decoder in the table."""
        return f"{self.folder.name}, {self.use}"

    def notes(self) -> list[str]:
        """Return a note if the autoencoder's configuration asks for float32, but another precision is used."""
        if self.autoencoder.precision != "float32" or self.use.precision == "float32":
            return []
        return [
            f"{self.label}: its configuration asks for float32 (force_upcast), but it is used in {self.use.precision}"
        ]

    def check_tiles(self, size: int) -> None:
        """Require that the tiles, if any are used, are smaller than the pictures.

        Args:
            size: side of the pictures in pixels.

        Raises:
            BadInputError: a whole picture would fit into one tile.
        """
        if self.use.tile is not None and self.use.tile >= size:
            raise BadInputError(
                f"{self.label}: tiles: expected a side below that of the pictures, which is {size}, found "
                f"{self.use.tile}"
            )

    def prepare(self, device: torch.device) -> None:
        """Change the autoencoder in place, so that it decodes on a device in the way that `use` describes.

        Raises:
            BadInputError: the decoder cannot decode in tiles, or cannot be compiled on this device.
        """
        self.autoencoder.to(device, getattr(torch, self.use.precision))
        if self.use.tile is not None:
            try:
                self.autoencoder.use_tiles(self.use.tile)
            except BadInputError as error:
                raise BadInputError(f"{self.label}: {error}") from None
        if self.use.compile is not None:
            if self.use.tile is not None and isinstance(self.autoencoder, OwnDecoder):
                raise BadInputError(f"{self.label}: expected either strips or a compiled decoder, found both")
            check_mode(self.use.compile, device)
            check_compiler(self.use.compile, device)
            compile_network(self.autoencoder.decoder_network, self.use.compile)

    def decode(self, z: Latents, image: Tensor, mask: Tensor, seeds: Sequence[int]) -> Tensor:
        """Return the pictures B×3×H×W float32, roughly in [0, 1], not clamped.

        The arguments are those of `Autoencoder.decode`.

        Raises:
            BadInputError: the latents do not fit the decoder, or it makes pictures of another size.
        """
        kind = getattr(torch, self.use.precision)
        given = (image.to(kind), mask.to(kind)) if self.autoencoder.conditioned else ()
        decoded = self.autoencoder.decode(replace(z, values=z.values.to(kind)), *given, seeds=seeds)
        if decoded.shape != image.shape:
            raise BadInputError(
                f"{self.folder}: expected pictures of {tuple(image.shape)} from the decoder, found "
                f"{tuple(decoded.shape)}"
            )
        return (decoded.float() + 1) / 2


@dataclass(frozen=True)
class _Values:
    """The values of all N pictures of OLD and of NEW, by the name of the number.

    A difference between OLD and NEW is a value of NEW, and the value of OLD is then 0.
    """

    old: Mapping[str, Array]
    new: Mapping[str, Array]
    count: int
    """Number of pictures."""
    broken: int
    """Number of pictures in which NEW made NaN or infinite values."""


def _compared(
    old: _Side,
    new: _Side,
    pictures: Sequence[DecoderPicture],
    latents: Sequence[Latents],
    measures: Mapping[str, Measure],
) -> _Values:
    """Decode all latents with both decoders, and measure the pictures.

    Raises:
        BadInputError: OLD made NaN or infinite values, or a decoder made pictures of a wrong size.
    """
    values: tuple[dict[str, list[Tensor]], dict[str, list[Tensor]]] = ({}, {})
    broken, units = 0, [Unit(name) for name in measures]
    with Progress("compare", len(pictures), unit="pictures") as progress, torch.inference_mode():
        for places, z in zip(_batches(len(pictures), pictures[0].pixels.shape[0]), latents, strict=True):
            truth = _truth(pictures, places, z.values.device)
            image, mask = _in_range(truth), _hole(truth)
            seeds = [seed_for(0, "gate of decoders", place) for place in places]
            first, second = (side.decode(z, image, mask, seeds) for side in (old, new))
            if not bool(torch.isfinite(first).all()):
                raise BadInputError(f"{old.folder}: expected finite pictures, found NaN or infinite values")
            broken += int((~torch.isfinite(second)).flatten(1).any(1).sum())
            levels = [to_uint8(one.nan_to_num(), rounding="round") for one in (first, second)]
            differences = _differences(*levels)
            zeros = {name: torch.zeros_like(found) for name, found in differences.items()}
            scorer = Scorer(measures, truth, torch.zeros_like(mask), [None] * len(places))
            for kept, one, change in zip(values, levels, (zeros, differences), strict=True):
                for name, found in {**change, **_errors(scorer, one, units)}.items():
                    kept.setdefault(name, []).append(torch.as_tensor(found).double().cpu())
            progress.advance(len(places))
    both = [{name: torch.cat(parts).numpy() for name, parts in kept.items()} for kept in values]
    return _Values(both[0], both[1], len(pictures), broken)


def _errors(scorer: Scorer, levels: Tensor, units: Sequence[Unit]) -> Arrays:
    """Return the errors of pictures B×3×H×W uint8 to the true pictures, B values for each name in `METRICS`."""
    arrays = scorer.score(levels.float() / 255, units).values()
    return {name: values for found in arrays for name, values in found.items() if name in METRICS}


def _hole(truth: Tensor) -> Tensor:
    """Return masks B×1×H×W, 1 = hole, whose hole is a square in the centre with half the side of the picture."""
    mask = torch.zeros_like(truth[:, :1], dtype=torch.float32)
    side = mask.shape[-1]
    mask[:, :, side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = 1
    return mask


def _differences(old: Tensor, new: Tensor) -> dict[str, Tensor]:
    """Return B differences between pictures B×3×H×W uint8, by the name of the number; see `compare_decoders`."""
    change = new.double() - old.double()
    largest = change.abs().amax(1)
    shift = change.mean((2, 3))
    return {
        LARGEST: largest.amax((1, 2)),
        "share_changed": (largest > 1).double().mean((1, 2)),
        "squared_difference": change.square().mean((1, 2, 3)),
        **{f"colour_shift_{name}": shift[:, channel] for channel, name in enumerate(CHANNELS)},
    }


def _psnr(squared: float) -> float | None:
    """Return the PSNR in dB for a mean squared difference in squared grey levels; None for a difference of 0."""
    return 10 * math.log10(255**2 / squared) if squared > 0 else None


@dataclass(frozen=True)
class _Judged:
    """The comparisons with their verdicts, and the problems and notes on numbers that could not be compared."""

    comparisons: tuple[Comparison, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def _judged(
    values: _Values, margins: Mapping[str, Margin], sources: Sequence[str], row: str, identical: bool
) -> _Judged:
    """Compare every number with its margin.

    Args:
        values: values of all pictures.
        margins: margins that replace the default ones.
        sources: source of each picture.
        row: name of the row.
        identical: True if the pictures of OLD and of NEW should not differ at all.
    """
    if values.broken:
        worse = Worsening(float(values.broken))
        found = [Comparison(EXPERIMENT, row, BROKEN, worse.value, 0.0, NO_DIFFERENCE, False, worse)]
        return _Judged(_with_verdicts(found), (), ())
    comparisons, problems, notes = list[Comparison](), list[Problem](), list[str]()
    for name in values.new:
        margin = margins.get(name, NO_DIFFERENCE if identical and name in DIFFERENCES else DECODERS[name])
        if math.isinf(margin.amount):
            notes.append(f"{name} is not compared, because its margin is {margin}")
            continue
        old, new = np.isfinite(values.old[name]), np.isfinite(values.new[name])
        if (old != new).any() or not old.any():
            which = "on one side only" if (old != new).any() else "on both sides"
            problems.append(Problem(EXPERIMENT, f"{name}: expected a value of every picture, some have none {which}"))
            continue
        if not old.all():
            left_out = int((~old).sum())
            notes.append(f"{name}: {left_out} pictures that both sides decode without any error are left out")
        comparisons.append(_comparison(name, values, old, sources, row, margin))
    return _Judged(_with_verdicts(comparisons), tuple(problems), tuple(notes))


def _with_verdicts(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    verdicts = decide([(one.worsening, one.allowed) for one in comparisons])
    return tuple(replace(one, verdict=verdict) for one, verdict in zip(comparisons, verdicts, strict=True))


def _comparison(
    name: str, values: _Values, known: Chosen, sources: Sequence[str], row: str, margin: Margin
) -> Comparison:
    """Compare one number of OLD and of NEW. The comparison has no verdict yet.

    The largest difference is compared by value, because it is no mean. All other numbers are means over the pictures,
    and are paired by picture. A colour shift is a worsening, whether it is positive or negative.

    Args:
        name: name of the number.
        values: values of all N pictures.
        known: N booleans, True for each picture that has a value.
        sources: source of each picture.
        row: name of the row.
        margin: margin of the number.
    """
    old, new = values.old[name][known], values.new[name][known]
    if name == LARGEST:
        worse = Worsening(float(new.max()))
        return Comparison(EXPERIMENT, row, name, worse.value, 0.0, margin, False, worse)
    style, estimates = style_of(name), (mean_estimate(new), mean_estimate(old))
    higher = estimates[0].value < 0 if style is None else style.higher_is_better
    sign = -1.0 if higher else 1.0
    weighted = [(sign, estimates[0]), (-sign, estimates[1])]
    worsening = combined(weighted)
    used = [source for source, one in zip(sources, known, strict=True) if one]
    spread = Spread.of(worsening.influence, used, rounding=rounding_of(weighted))
    worse = Worsening(worsening.value, spread, paired=True)
    return Comparison(EXPERIMENT, row, name, estimates[0].value, estimates[1].value, margin, higher, worse)
