"""The function `bench.score`, which measures the pictures of any editor in the same way as the rows of a table."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from hashlib import sha256
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from bench.data.items import sha256_of
from bench.edits.checks import PictureFacts, checks
from bench.edits.measures import load_measures
from bench.edits.measuring import measure
from bench.edits.pairing import ONE, Pairs, pair
from bench.edits.pictures import Pictures
from bench.edits.scores import Provenance, Scores
from bench.edits.table import compact_table, differences_of, numbers_of, score_table
from bench.errors import BadInputError, naming_extras
from bench.evaluation.scoring import metric_protocols
from bench.metrics.summary import Summary
from bench.results.write import records_of
from bench.runtime.clock import utc_now
from bench.runtime.device import choose_device
from bench.runtime.quiet import quiet as quietly

__all__ = ["score"]


@naming_extras()
def score(  # noqa: PLR0913  every argument after `mask` has a default that fits most callers
    truth: Pictures,
    edited: Pictures | Mapping[str, Pictures],
    mask: Pictures | None = None,
    *,
    reference: str | None = None,
    measures: str | Sequence[str] = "default",
    prompts: Sequence[str] | None = None,
    exemplars: Pictures | None = None,
    device: str = "auto",
    batch_size: int | str = "auto",
    quiet: bool = False,
) -> Scores:
    """Score the pictures of one or several editors against the true pictures, as a run scores the rows of a table.

    Pictures are given as a folder, as a list of paths, or as arrays. Arrays and tensors are uint8 of shape N×H×W×3, or
    floats in [0, 1] of shape N×3×H×W. A list of arrays may contain pictures of different sizes. Files are paired by
    their names without the suffix, and arrays are paired by their order.

    Args:
        truth: true pictures.
        edited: pictures of one editor; or a dictionary from the name of each editor to its pictures.
        mask: masks, 1 or white in the hole; None if all pixels are known. Arrays of masks are booleans, integers (0 and
            1, or 0 to 255) or floats in [0, 1], of shape N×H×W.
        reference: editor with which every other editor is compared; None compares every pair of editors.
        measures: `default` for the networks of the paper's metrics and EfficientNet, `mini` for this project's small
            networks; or names of single measures, some of `known_region`, `similarity`, `diagnostics`, `lpips`,
            `inception`, `efficientnet`, `clip`, `prompt` and `text`. `text` needs the extra `ocr`.
        prompts: for each picture in the order of `truth`, the text that the editor was given; None leaves out the CLIP
            score of text and picture.
        exemplars: for each picture, a picture of what was to be painted into the hole; None leaves out the CLIP score
            of exemplar and picture.
        device: name of a PyTorch device, or `auto` for CUDA if it is available.
        batch_size: number of pictures in a batch; `auto` chooses this number by the number of pixels.
        quiet: True to show no progress.

    Returns:
        The tables, the checks and the records. If the file of a network is missing, or the extra that installs it,
            the metrics that need this network have no value, and the tables state the reason.

    Raises:
        BadInputError: pictures are missing, are broken, have a wrong type or belong to no true picture; or an argument
            is wrong.
    """
    began, started = utc_now(), time.monotonic()
    editors = dict(edited) if isinstance(edited, Mapping) else {ONE: edited}
    _check_arguments(editors, reference, batch_size, device)
    pairs = pair(truth, editors, mask, exemplars=exemplars, prompts=prompts)
    chosen = choose_device(device)
    if chosen.type == "meta":
        raise BadInputError("device: expected a device that computes values, found meta")
    loaded = load_measures(measures, pairs.tasks, chosen)
    read = time.monotonic()
    with quietly() if quiet else nullcontext():
        size = None if isinstance(batch_size, str) else int(batch_size)
        measured = measure(pairs, loaded, device=chosen, batch_size=size)
    summary = Summary(measured.scored, loaded.fewest, minimums=loaded.minimums)
    found = checks(pairs, measured.pictures, measured.edits)
    table = score_table(pairs, summary, loaded, found, reference)
    differences = differences_of(summary, reference)
    seconds = {"load": read - started, "score": time.monotonic() - read}
    provenance = Provenance(
        _manifest(pairs, measured.pictures),
        metric_protocols(summary, loaded.protocols),
        loaded.weights,
        began,
        str(chosen),
        torch.get_num_threads(),
        seconds,
        _command(
            [truth, mask, exemplars],
            editors,
            {"--reference": reference, "--measures": measures, "--device": device, "--batch-size": batch_size},
            prompted=prompts is not None,
        ),
    )
    return Scores(
        compact_table(table),
        numbers_of(table),
        records_of(pairs.names, measured.scored),
        differences,
        found,
        provenance,
        table,
        summary,
        pairs,
    )


def _check_arguments(editors: Mapping[str, Any], reference: str | None, batch_size: int | str, device: str) -> None:
    """Check the arguments that can be checked without reading a picture.

    Raises:
        BadInputError: there is no editor, a name is empty, the reference is unknown, or the batch size is wrong.
    """
    if not editors:
        raise BadInputError("edited: expected the pictures of at least one editor, found an empty dictionary")
    wrong = [name for name in editors if not isinstance(name, str) or not name.strip() or not name.isprintable()]
    if wrong:
        raise BadInputError(f"edited: expected a printable text as the name of each editor, found {wrong[0]!r}")
    if reference is not None and (not isinstance(reference, str) or reference not in editors):
        raise BadInputError(f"reference: expected one of {', '.join(editors)}, found {reference}")
    if not isinstance(device, str):
        raise BadInputError(f"device: expected the name of a device, found {device!r}")
    whole = isinstance(batch_size, Integral) and not isinstance(batch_size, bool) and batch_size >= 1
    if not whole and batch_size != "auto":
        raise BadInputError(f"batch_size: expected auto or a whole number of at least 1, found {batch_size!r}")


def _manifest(pairs: Pairs, pictures: Sequence[PictureFacts]) -> dict[str, Any]:
    """Return the ordered list of the pictures with their SHA-256, in the format of a run's manifest."""
    items = [
        {
            "id": name,
            "source": source,
            "mask_area": facts.hole,
            "reference": True,
            "image": facts.sha256,
            "mask": facts.mask_sha256,
            "caption": None if pairs.prompts is None else sha256(pairs.prompts[place].encode()).hexdigest(),
            "exemplar": None if pairs.exemplars is None else sha256_of(pairs.exemplars.pixels(place)),
        }
        for place, (name, source, facts) in enumerate(zip(pairs.names, pairs.sources, pictures, strict=True))
    ]
    return {
        "subset": "custom",
        "masks": "whole" if pairs.masks is None else "given",
        "seed": 0,
        "dropped": [],
        "broken": {},
        "left_out": {},
        "grey_masks": sum(facts.grey > 0 for facts in pictures),
        "items": items,
    }


def _command(
    given: Sequence[Pictures | None],
    editors: Mapping[str, Pictures],
    options: Mapping[str, str | int | Sequence[str] | None],
    *,
    prompted: bool,
) -> str:
    """Return the command line that repeats a scoring. If no command line can do this, return a text that says so.

    Args:
        given: true pictures, masks and exemplars; None for what was not given.
        editors: pictures of each editor, by its name.
        options: value of each further option of the command; None for what was not given.
        prompted: True if prompts were given. The command line could take them only from a file.
    """
    folders = dict(zip(("--truth", "--mask", "--exemplars"), given, strict=True))
    named = [one for one in (*folders.values(), *editors.values()) if one is not None]
    if prompted or not all(isinstance(one, str | Path) for one in named):
        return f"bench.score(…)  # called in Python for {', '.join(editors)}, with arguments that no command line has"
    words = ["python", "-m", "bench.score"]
    words += [word for name, folder in folders.items() if folder is not None for word in (name, str(folder))]
    words += [word for name, folder in editors.items() for word in ("--edited", f"{name}={folder}")]
    for option, value in options.items():
        if value is not None and value not in ("auto", "default"):
            words += [option, str(value) if isinstance(value, str | int) else ",".join(value)]
    return shlex.join(words)
