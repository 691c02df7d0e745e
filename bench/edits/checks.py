"""Checks finished pictures for properties that change the meaning of their scores, such as pasted pixels.

Each check looks at the pictures and not at the scores. It reports each finding with the numbers that show it, and
changes no score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from bench.data.items import sha256_of
from bench.data.listing import few
from bench.edits.jpeg import has_jpeg_traces
from bench.edits.pairing import Pairs
from bench.edits.pictures import Mask

__all__ = ["Check", "EditFacts", "PictureFacts", "checks", "edit_facts", "picture_facts"]

Pixels = npt.NDArray[np.uint8]
Hole = npt.NDArray[np.bool_]

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
MOVED = 0.15
"""Smallest shift in pixels that is reported."""
ZOOMED = 0.25
"""Smallest zoom in percent that is reported."""
EXPLAINED = 0.25
"""Smallest share of the difference over known pixels that shift, zoom and blur must explain for a shift or a zoom to be
reported."""
CAST = 1.0
"""Smallest change of the mean of a colour channel over known pixels, in grey levels, that is reported."""
BLURRED = 0.4
"""Smallest standard deviation in pixels of a blur, or of the blur that a sharpened picture lacks, that is reported."""
INVERTED = 4.0
"""Ratio of the relative errors of known pixels and of the hole above which a mask is probably inverted.

A relative error is a mean squared error divided by the variance of the truth in the same region. An error that follows
the texture, such as that of a shift, has about the same relative error in both regions.
"""
VISIBLE = (2 / 255) ** 2
"""Mean squared error of known pixels that a picture must exceed if its mask is to count as probably inverted."""
MOST = 0.6
"""Smallest share of pictures with a mask that is probably inverted at which this is reported for an editor."""
ONE_SIDE = 0.5
"""Smallest reported difference between the shares of edited and of true pictures that have traces of JPEG."""
SOFT = 0.001
"""Largest share of grey pixels of a mask that is not reported."""


@dataclass(frozen=True)
class Check:
    """The finding of one check: a property of the pictures that changes the meaning of their scores."""

    kind: str
    """Kind of the finding: `identical`, `pasted`, `inverted`, `soft`, `whole`, `empty`, `moved`, `cast`, `blurred`,
    `size`, `jpeg`, `duplicate` or `same`."""
    editor: str
    """Name of the editor; empty if the finding concerns the truth, the masks or several editors."""
    text: str
    """The finding and its numbers in one sentence."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PictureFacts:
    """Properties of one true picture and of its mask, which the checks use."""

    sha256: str
    mask_sha256: str | None
    """SHA-256 of the mask, 1 = hole; None if all pixels are known."""
    jpeg: bool
    hole: float
    """Share of the pixels that lie in the hole, from 0 to 1."""
    grey: float
    """Share of the mask's pixels that are neither nearly black nor nearly white, from 0 to 1."""


@dataclass(frozen=True)
class EditFacts:
    """Properties of a picture that an editor made, compared with the true picture. The checks use them."""

    sha256: str
    jpeg: bool
    identical: bool
    """Whether every pixel equals the truth."""
    pasted: bool
    """Whether every known pixel equals the truth, and some pixel of the hole does not."""
    known_error: float
    """Mean squared error over known pixels, for values in [0, 1]; NaN if no pixel is known."""
    hole_error: float
    """Mean squared error over the hole, for values in [0, 1]; NaN if there is no hole."""
    known_relative: float
    """`known_error` divided by the variance of the true known pixels plus (1/255)²."""
    hole_relative: float
    """`hole_error` divided by the variance of the true pixels in the hole plus (1/255)²."""
    diagnosis: Mapping[str, float]
    """Values of `bench.metrics.diagnostics.diagnose`, by name; NaN for what the known pixels do not determine."""


def picture_facts(truth: Pixels, mask: Mask | None) -> PictureFacts:
    """Return the properties of a true picture and of its mask.

    Args:
        truth: true picture H×W×3 uint8.
        mask: mask of the picture; None if all pixels are known.
    """
    sha256, jpeg = sha256_of(truth), has_jpeg_traces(truth @ LUMINANCE)
    if mask is None:
        return PictureFacts(sha256, None, jpeg, 0.0, 0.0)
    return PictureFacts(sha256, sha256_of(mask.hole.astype(np.uint8)), jpeg, float(mask.hole.mean()), mask.grey)


def edit_facts(truth: Pixels, edited: Pixels, hole: Hole | None, diagnosis: Mapping[str, float]) -> EditFacts:
    """Return the properties of an edited picture, compared with the true picture.

    Args:
        truth: true picture H×W×3 uint8.
        edited: edited picture H×W×3 uint8.
        hole: mask H×W, True in the hole; None if all pixels are known.
        diagnosis: values of `bench.metrics.diagnostics.diagnose` for this picture, by name.
    """
    known = np.ones(truth.shape[:2], np.bool_) if hole is None else ~hole
    squared = np.square((edited.astype(np.float64) - truth) / 255).mean(-1)
    (known_error, known_relative), (hole_error, hole_relative) = (
        _errors(squared, truth, region) for region in (known, ~known)
    )
    identical = not squared.any()
    return EditFacts(
        sha256_of(edited),
        has_jpeg_traces(edited @ LUMINANCE),
        identical,
        not identical and known_error == 0,
        known_error,
        hole_error,
        known_relative,
        hole_relative,
        diagnosis,
    )


def _errors(squared: npt.NDArray[np.float64], truth: Pixels, region: Hole) -> tuple[float, float]:
    """Return the mean squared error in a region, and this error divided by the variance of the truth in the region.

    Before the division, (1/255)² is added to the variance, so that the divisor is never 0. If the region is empty, the
    two results are NaN.
    """
    if not region.any():
        return float("nan"), float("nan")
    error = float(squared[region].mean())
    variance = float((truth[region] / 255).var(0).mean())
    return error, error / (variance + 1 / 255**2)


def checks(
    pairs: Pairs, pictures: Sequence[PictureFacts], edits: Mapping[str, Sequence[EditFacts]]
) -> tuple[Check, ...]:
    """Return the findings of all checks. The findings on the masks and the true pictures come first.

    Args:
        pairs: paired pictures.
        pictures: properties of each true picture and of its mask.
        edits: properties of the pictures of each measured editor, by the editor's name.
    """
    found = [*_about_masks(pairs, pictures), *_duplicates(pairs, pictures)]
    for editor in pairs.edited:
        found += _about_sizes(pairs, editor)
    for editor, facts in edits.items():
        found += [*_identical(editor, facts), *_pasted(editor, facts)]
        found += [*_inverted(editor, facts)] or [*_about_known_pixels(editor, facts)]
        found += _jpeg(editor, pictures, facts)
        found += _same_output(pairs, editor, pictures, facts)
    return (*found, *_same_editors(edits))


def _about_masks(pairs: Pairs, pictures: Sequence[PictureFacts]) -> Iterator[Check]:
    if pairs.masks is None:
        return
    count = len(pictures)
    soft = [facts.grey for facts in pictures if facts.grey > SOFT]
    if soft:
        yield Check(
            "soft",
            "",
            f"{len(soft)} of {count} masks have grey pixels (up to {max(soft):.1%} of a mask); levels from 128 on "
            "count as the hole.",
        )
    whole = _names(pairs, pictures, lambda facts: facts.hole == 1)
    if whole:
        yield Check(
            "whole",
            "",
            f"{len(whole)} of {count} masks cover the whole picture, so that no pixel is known and measures of known "
            f"pixels have no value there: {few(whole)}.",
        )
    empty = _names(pairs, pictures, lambda facts: facts.hole == 0)
    if empty:
        yield Check(
            "empty",
            "",
            f"{len(empty)} of {count} masks have no hole, so that all pixels of these pictures count as known: "
            f"{few(empty)}.",
        )


def _names(pairs: Pairs, pictures: Sequence[PictureFacts], condition: Callable[[PictureFacts], bool]) -> list[str]:
    return [name for name, facts in zip(pairs.names, pictures, strict=True) if condition(facts)]


def _about_sizes(pairs: Pairs, editor: str) -> Iterator[Check]:
    places = pairs.misfits(editor)
    if not places:
        return
    first = places[0]
    true, found = (one.sizes[first] for one in (pairs.truth, pairs.edited[editor]))
    aspect = abs(true[1] / true[0] / (found[1] / found[0]) - 1)
    kind = (
        f"an aspect ratio that differs by {aspect:.1%}" if aspect > 1 / min(*true, *found) else "the same aspect ratio"
    )
    yield Check(
        "size",
        editor,
        f"{editor}: {len(places)} of {len(pairs)} pictures have another size than their truth, and nothing is measured "
        f"for this editor; {pairs.names[first]} has {found[1]}×{found[0]} pixels, and its truth "
        f"has {true[1]}×{true[0]} "
        f"({kind}).",
    )


def _identical(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    count = sum(one.identical for one in facts)
    if count:
        yield Check(
            "identical",
            editor,
            f"{editor}: {count} of {len(facts)} pictures are identical to their truth in every pixel.",
        )


def _pasted(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    count = sum(one.pasted for one in facts)
    if count:
        yield Check(
            "pasted",
            editor,
            f"{editor}: in {count} of {len(facts)} pictures all known pixels equal the truth exactly, as after pasting "
            "them back; their error of 0 says nothing about the model.",
        )


def _inverted(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    both = [one for one in facts if np.isfinite([one.known_error, one.hole_error]).all()]
    wrong = [one for one in both if one.known_error > VISIBLE and one.known_relative > INVERTED * one.hole_relative]
    if both and len(wrong) >= MOST * len(both):
        known, hole = (float(np.mean([getattr(one, name) for one in both])) for name in ("known_error", "hole_error"))
        yield Check(
            "inverted",
            editor,
            f"{editor}: the masks are probably inverted, because in {len(wrong)} of {len(both)} pictures the pixels "
            "that the masks mark as known changed much more than those of the hole (mean squared "
            f"errors {known:.2g} and "
            f"{hole:.2g}); 1 or white must be the hole.",
        )


def _about_known_pixels(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    """Yield what happened to the known pixels. If the masks are inverted, this means nothing."""
    yield from _moved(editor, facts)
    yield from _cast(editor, facts)
    yield from _blurred(editor, facts)


def _moved(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    names = ("shift_right", "shift_down", "zoom", "explained")
    count, moved = _agreeing(
        facts,
        names,
        lambda right, down, zoom, explained: (
            explained > EXPLAINED and (float(np.hypot(right, down)) > MOVED or abs(zoom) > ZOOMED)
        ),
    )
    if moved:
        right, down, zoom, explained = _medians(moved)
        yield Check(
            "moved",
            editor,
            f"{editor}: {len(moved)} of {_counted(count, facts)} are shifted or zoomed against their truth; "
            f"the medians are {right:+.2f} pixels to the right, {down:+.2f} pixels down and {zoom:+.2f} % in size. "
            f"Together with a blur, this explains {explained:.0%} of the difference over known pixels.",
        )


def _cast(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    names = ("red_shift", "green_shift", "blue_shift", "colour_shift")
    count, changed = _agreeing(facts, names, lambda *values: max(map(abs, values[:3])) > CAST)
    if changed:
        red, green, blue, difference = _medians(changed)
        yield Check(
            "cast",
            editor,
            f"{editor}: in {len(changed)} of {count} pictures the mean colour of the known pixels changed; the medians "
            f"are {red:+.1f} grey levels in red, {green:+.1f} in green and {blue:+.1f} in blue, and a CIEDE2000 of "
            f"{difference:.1f}.",
        )


def _blurred(editor: str, facts: Sequence[EditFacts]) -> Iterator[Check]:
    softer, sharper = (
        _agreeing(facts, ("blur", "sharpness_change"), condition)
        for condition in (lambda blur, _: blur > BLURRED, lambda blur, _: blur < -BLURRED)
    )
    for word, (count, found) in (("softer", softer), ("sharper", sharper)):
        if found:
            blur, sharpness = _medians(found)
            yield Check(
                "blurred",
                editor,
                f"{editor}: {len(found)} of {_counted(count, facts)} are {word} than their truth over known pixels, "
                f"by a blur of {abs(blur):.2f} pixels in the median; the differences between neighbouring pixels "
                f"changed by {sharpness:+.0f} %.",
            )


def _agreeing(
    facts: Sequence[EditFacts], names: Sequence[str], condition: Callable[..., bool]
) -> tuple[int, list[tuple[float, ...]]]:
    """Return for how many pictures some values are known, and the values of those pictures that meet a condition.

    The second result is empty if fewer than half of all pictures have known values, or if fewer than half of those meet
    the condition.

    Args:
        facts: properties of the pictures of an editor.
        names: names of values of the diagnosis.
        condition: function that receives the values in the order of `names`.
    """
    values = [tuple(one.diagnosis[name] for name in names) for one in facts]
    known = [one for one in values if np.isfinite(one).all()]
    found = [one for one in known if condition(*one)]
    enough = 2 * len(known) >= len(facts) and 2 * len(found) >= len(known)
    return len(known), found if enough else []


def _counted(count: int, facts: Sequence[EditFacts]) -> str:
    """Return the number of pictures with known values in words. It is named if some pictures are without them."""
    return f"{count} pictures" + (" with enough texture" if count < len(facts) else "")


def _medians(values: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(median(column) for column in zip(*values, strict=True))


def _jpeg(editor: str, pictures: Sequence[PictureFacts], facts: Sequence[EditFacts]) -> Iterator[Check]:
    true, found = (sum(one.jpeg for one in side) / len(side) for side in (pictures, facts))
    if abs(true - found) >= ONE_SIDE:
        yield Check(
            "jpeg",
            editor,
            f"{editor}: {found:.0%} of its pictures and {true:.0%} of the true ones show traces of a JPEG compression, "
            "so a part of the difference may come from the file format.",
        )


def _duplicates(pairs: Pairs, pictures: Sequence[PictureFacts]) -> Iterator[Check]:
    for names in _groups(pairs.names, [one.sha256 for one in pictures]):
        yield Check(
            "duplicate", "", f"truth: {len(names)} pictures are identical ({few(names)}), so they are not independent."
        )


def _same_output(
    pairs: Pairs, editor: str, pictures: Sequence[PictureFacts], facts: Sequence[EditFacts]
) -> Iterator[Check]:
    true = {name: one.sha256 for name, one in zip(pairs.names, pictures, strict=True)}
    for names in _groups(pairs.names, [one.sha256 for one in facts]):
        if len({true[name] for name in names}) > 1:
            yield Check(
                "duplicate",
                editor,
                f"{editor}: {len(names)} pictures are identical although their truths differ ({few(names)}).",
            )


def _same_editors(edits: Mapping[str, Sequence[EditFacts]]) -> Iterator[Check]:
    editors = list(edits)
    for place, first in enumerate(editors):
        for second in editors[place + 1 :]:
            pairs = list(zip(edits[first], edits[second], strict=True))
            equal = sum(one.sha256 == other.sha256 for one, other in pairs)
            if equal:
                yield Check(
                    "same", "", f"{first} and {second}: {equal} of {len(pairs)} pictures are identical in every pixel."
                )


def _groups(names: Sequence[str], hashes: Sequence[str]) -> list[list[str]]:
    """Return the groups of at least two names with the same hash."""
    groups: dict[str, list[str]] = {}
    for name, sha256 in zip(names, hashes, strict=True):
        groups.setdefault(sha256, []).append(name)
    return [group for group in groups.values() if len(group) > 1]
