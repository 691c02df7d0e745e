"""Tables 7 and 8, which compare the layers of a decoder with the paper's lists, and the paper's claims on these layers.

The lines of the paper are in `architecture.yaml`. The "live" decoder is the decoder that this project's code builds.
The caller passes its lines as plain data, so that this module does not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from bench.config.schema import REHEARSAL
from bench.runtime.own_yaml import read_own_yaml
from bench.tables.verdicts import FAILS, HOLDS, not_judged

__all__ = ["TABLES", "ArchitectureTable", "Line", "LineRow", "claims", "compare", "notes", "published"]

TABLES = (7, 8)
JOINING = ("Concat", "Conv 1x1")
"""Layers that join the branch to the decoder. The vanilla decoder does not have them."""


class Line(NamedTuple):
    """A line of a list of layers. It describes a layer, or several equal layers that follow each other.

    The fields are the same as in `bench.models.architecture.Layer`.
    """

    part: str
    level: int | str
    layer: str
    output: tuple[int, int, int]
    """Shape C×H×W of the layer's output."""

    @property
    def size(self) -> str:
        """Shape of the output as text, such as 512×64×64."""
        return "×".join(str(number) for number in self.output)


@dataclass(frozen=True)
class LineRow:
    """A pair of matching lines: a line of the live decoder and a line of the paper. One of the two may be missing."""

    part: str
    level: int | str
    live: Line | None
    """Line of the live decoder; None if only the paper has this line."""
    paper: Line | None
    """Line of the paper; None if only the live decoder has this line."""

    @property
    def agrees(self) -> bool:
        """Whether both lines exist and have the same layer and the same shape of the output."""
        if self.live is None or self.paper is None:
            return False
        return self.live.layer == _plain(self.paper.layer) and self.live.output == self.paper.output


@dataclass(frozen=True)
class ArchitectureTable:
    number: int
    title: str
    label: str
    """Text that describes the sizes of the live decoder."""
    rows: tuple[LineRow, ...]
    decoders: tuple[Mapping[str, Any], ...]
    """Properties of each decoder: name, blending, branch, parameters, tera_flop and peak_activation_bytes."""
    claims: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    """Notes below the table."""


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = read_own_yaml(Path(__file__).with_suffix(".yaml"))
    return data


def published(number: int) -> list[Line]:
    """Return the lines of the paper's Table 7 or 8, with the order and the layer names that the paper prints.

    Args:
        number: number of the table, 7 or 8.
    """
    parts = _data()[f"table{number}"]
    return [Line(part, line["level"], line["layer"], tuple(line["output"])) for part in parts for line in parts[part]]


def notes() -> list[str]:
    """Return notes on what is missing or wrong in the paper's two lists."""
    return list(_data()["notes"])


def compare(lines: Sequence[Line], paper: Sequence[Line]) -> list[LineRow]:
    """Match the lines of a decoder with the lines of the paper.

    Only lines with equal fields `part` and `level` are matched. Lines whose layers have equal names are matched first,
    in the order of the two lists. Lines between these matches are then paired one by one, although their layers differ.
    A line that is left alone becomes a row in which the other line is None.

    Args:
        lines: lines of the live decoder.
        paper: lines of the paper, as `published` returns them.

    Returns:
        Matched lines in the order of the paper. Levels that the paper does not have come last.
    """
    rows = []
    for place in dict.fromkeys((line.part, line.level) for line in (*paper, *lines)):
        found, printed = ([line for line in side if (line.part, line.level) == place] for side in (lines, paper))
        matcher = SequenceMatcher(
            None, [line.layer for line in found], [_plain(line.layer) for line in printed], autojunk=False
        )
        for _, start, stop, paper_start, paper_stop in matcher.get_opcodes():
            pairs = zip_longest(found[start:stop], printed[paper_start:paper_stop])
            rows += [LineRow(*place, live, other) for live, other in pairs]
    return rows


def _plain(layer: str) -> str:
    """Return the paper's name of a layer in the form that the live decoder uses.

    For example, `PConv2d/(3, 3)` becomes `PConv 3x3`, and `GroupNorm (1, 1)` becomes `GroupNorm`.
    """
    return re.sub(r"Conv2d/\((\d), (\d)\)", r"Conv \1x\2", layer).replace("GroupNorm (1, 1)", "GroupNorm")


# --- claims ----------------------------------------------------------------------------------------------------------


def claims(
    number: int,
    rows: Sequence[LineRow],
    live: Mapping[str, Sequence[Line]],
    parameters: Mapping[str, int],
    *,
    scope: str,
) -> list[dict[str, Any]]:
    """Judge the paper's statements on the structure of its decoders.

    The evidence consists of the layers and the numbers of parameters of the live decoders. In a rehearsal, no statement
    is judged: each verdict is "not judged on rehearsal".

    Args:
        number: number of the table, 7 or 8.
        rows: rows of this table, as `compare` returns them.
        live: lines of the live decoders `vanilla`, `base_concat` and `large_concat`, in the order in which the layers
            run.
        parameters: number of parameters of the live decoders `vanilla`, `base_concat`, `large_concat`, `base`, `large`
            and `large_x2`.
        scope: scope of the verdicts, as in `bench.tables.verdicts.Verdict`.

    Returns:
        Statements with their verdicts and evidence, as plain data with the fields of `bench.tables.verdicts.Verdict`.
    """
    base, large = live["base_concat"], live["large_concat"]
    checks = (
        ("every line's layer and size are those of the live module", _every_line(rows)),
        ("Table 8's widths are 1.5 times Table 7's", _widths(base, large)),
        ("a level has 3 residual blocks in Table 7 and 4 in Table 8", _blocks(base, large)),
        ("Table 7's layers other than its branch, Concat and Conv 1x1 are the vanilla decoder's",
         _vanilla(base, live["vanilla"])),
        ("a concatenation has the channels of the decoder, of the branch, and one more", _channels(base, large)),
        ("parameters are those of the released code, and concatenation adds those that its printed sizes imply",
         _parameters(parameters)),
    )  # fmt: skip
    return [
        {
            "id": f"table{number}_{letter}",
            "text": text,
            "kind": "structure",
            "scope": scope,
            "verdict": not_judged(scope) if scope == REHEARSAL else HOLDS if holds else FAILS,
            "evidence": evidence,
            "by": "paper",
            "design": "",
            "design_evidence": "",
        }
        for letter, (text, (holds, evidence)) in zip("abcdef", checks, strict=True)
    ]


def _every_line(rows: Sequence[LineRow]) -> tuple[bool, str]:
    wrong = [
        f"{line.part} {line.level} {_plain(line.layer)}"
        for row in rows
        for line in [row.paper or row.live]
        if line is not None and not row.agrees
    ]
    count = f"{len(rows) - len(wrong)} of {len(rows)} lines agree"
    return not wrong, f"{count}; not {', '.join(wrong)}" if wrong else count


def _widths(base: Sequence[Line], large: Sequence[Line]) -> tuple[bool, str]:
    # The mask has one channel and the image has three at every width, so these channels are left out.
    pairs = [
        (small.output[0] - extra, wide.output[0] - extra)
        for small, wide in zip(base, large, strict=True)
        if small.output[0] != 3
        for extra in [1 if small.layer == "Concat" else 0]
    ]
    widths = ", ".join(f"{small} to {wide}" for small, wide in sorted(set(pairs)))
    return all(2 * wide == 3 * small for small, wide in pairs), f"live, the mask's channel left out: {widths}"


def _blocks(base: Sequence[Line], large: Sequence[Line]) -> tuple[bool, str]:
    small, more = (
        {line.layer for line in lines if line.layer.startswith("ResBlock") and line.level != "stem"}
        for lines in (base, large)
    )
    shown = f"live, at every level: {', '.join(sorted(small))} and {', '.join(sorted(more))}"
    return (small, more) == ({"ResBlock x3"}, {"ResBlock x4"}), shown


def _vanilla(base: Sequence[Line], vanilla: Sequence[Line]) -> tuple[bool, str]:
    others = [line for line in base if line.part == "main" and line.layer not in JOINING]
    return others == list(vanilla), f"{len(others)} other lines, {len(vanilla)} lines of the live vanilla decoder"


def _channels(*decoders: Sequence[Line]) -> tuple[bool, str]:
    holds, sums = True, []
    for lines in decoders:
        branch = {line.level or "out": line.output[0] for line in lines if line.part == "branch"}
        for before, line in pairwise(lines):
            if line.layer == "Concat":
                holds &= line.output[0] == before.output[0] + branch[line.level] + 1
                sums.append(f"{line.output[0]} = {before.output[0]} + {branch[line.level]} + 1")
    return holds and bool(sums), f"live: {', '.join(dict.fromkeys(sums))}"


def _parameters(found: Mapping[str, int]) -> tuple[bool, str]:
    expected: dict[str, int] = dict(_data()["parameters"])
    for name, number in (("base", 7), ("large", 8)):
        lines = pairwise(published(number))
        added = sum(
            after.output[0] * (before.output[0] + 1) for before, after in lines if before.layer == "Concat"
        )  # weights of a 1x1 convolution and its biases
        expected[f"{name}_concat"] = expected[name] + added
    counts = ", ".join(f"{name} {found[name]:,}" for name in expected)
    wrong = [f"{name} {count:,}" for name, count in expected.items() if found[name] != count]
    return not wrong, f"live: {counts}" + (f"; expected {', '.join(wrong)}" if wrong else "")
