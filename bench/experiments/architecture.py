"""The experiment for Tables 7 and 8.

It compares the layers of a decoder with the layers that the paper prints, and computes the costs of all decoders. In
every profile, the decoders have the paper's sizes and no weights. No items are prepared, and nothing is sampled or
scored.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.checking.inspection import Problem
from bench.config.compose import group_of
from bench.config.experiment_configs import ArchitectureConfig
from bench.config.schema import REHEARSAL, STAGES
from bench.errors import BadInputError
from bench.models import DECODERS, Decoder, build_decoder
from bench.models.architecture import cost, trace_layers
from bench.reporting.page import Page, write_report
from bench.results.out_folder import check_writable, open_out, writing_into
from bench.results.run_folder import REPORT, SCHEMA_VERSION, Results
from bench.results.write import run_facts, write_run, write_table
from bench.runtime.distributed import World
from bench.runtime.files import write_json
from bench.runtime.text import one_line
from bench.tables.architecture import TABLES, ArchitectureTable, Line, claims, compare, notes, published
from bench.tables.architecture_render import frame, layer_grids, print_table, renderings
from bench.tables.grid import terminal
from bench.tables.verdicts import PAPER, Verdict

__all__ = ["ArchitectureExperiment"]

RESOLUTION = 512
"""Side, in pixels, of the image for which Tables 7 and 8 list the layers."""
FIELDS = ("width", "depth", "conditioned", "blending", "branch")
"""Names of the keys in `decoder` that determine the decoder.

`width` and `depth` are factors by which the sizes of the vanilla decoder are multiplied.
"""
CHANGING = ("decoder", "table")
"""Groups of keys whose overrides change the paper's table. A run with such an override is labelled custom."""
COSTS = (
    f"Costs are of one {RESOLUTION}×{RESOLUTION} image in float32, with image and mask where there is a branch. TFLOP: "
    "twice the multiply-accumulates of convolutions, linear layers and attention. Peak activations: the most bytes "
    "that tensors hold at one time, without weights and inputs, and without what kernels and allocators need besides."
)


class ArchitectureExperiment:
    """An experiment that compares the layers of one decoder with the layers that Table 7 or 8 lists."""

    def __init__(self, config: ArchitectureConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line."""
        self.config, self.overrides = config, list(overrides)
        self.custom = [word for word in overrides if group_of(word) in CHANGING]

    @property
    def _scope(self) -> str:
        """Scope of the verdicts: `rehearsal` in a rehearsal, `custom` if overrides change the table, otherwise `paper`.

        Even in a small profile, the scope can be `paper`, because the decoders have the paper's sizes and no weights.
        """
        if self.config.profile.name == REHEARSAL:
            return REHEARSAL
        return "custom" if self.custom else PAPER

    def missing(self) -> list[Problem]:
        """Return an empty list, because neither weights nor data are needed."""
        return []

    def run(self) -> Results:
        """Run every stage up to and including the stage in the configuration, and return the results.

        After the stage `check`, only the stages `tabulate` and `report` have any work to do.
        """
        started = time.monotonic()
        decoder = self.check()
        reached = STAGES.index(self.config.stage)
        if reached < STAGES.index("tabulate"):
            print(f"{self.config.name}: ready: neither weights nor data are needed")
            return Results(Path(), 0)
        if not World.here().is_main_process:
            return Results(Path(), 0)
        out = open_out(self.config)
        table = self.tabulate(decoder)
        with writing_into(out):
            self._write_numbers(out, table)
            facts = self.facts(time.monotonic() - started)
            if reached >= STAGES.index("report"):
                write_report(out, self.page(table, facts))
            write_run(out, facts)
        if reached >= STAGES.index("report"):
            print_table(table, terminal(), verbose=self.config.verbose)
            print(one_line(f"report: {out / REPORT}"))
        return Results(out, 0, table=frame(table), headline=(table.claims[0]["evidence"],))

    def check(self) -> Decoder:
        """Check that the table is 7 or 8, that `out` is writable if it is set, and that the decoder can be built.

        Returns:
            The configured decoder, without weights (on PyTorch's device `meta`).

        Raises:
            BadInputError: one of the three checks fails. The message names the configuration key.
        """
        if self.config.table.number not in TABLES:
            expected = " or ".join(str(number) for number in TABLES)
            raise BadInputError(f"table.number: expected {expected}, found {self.config.table.number}")
        if self.config.out is not None:
            check_writable(self.config.out, "out")
        chosen = {key: getattr(self.config.decoder, key) for key in FIELDS}
        try:
            with torch.device("meta"):
                return build_decoder("base", **chosen)
        except ValueError as error:
            raise BadInputError(f"decoder: {error}") from error

    def tabulate(self, decoder: Decoder) -> ArchitectureTable:
        """Return the table: the decoder's layers next to the paper's layers, the costs of all decoders, and the claims.

        Args:
            decoder: the configured decoder.
        """
        decoders = _decoders_of_the_paper()
        lines = {name: _lines(decoders[name]) for name in ("vanilla", "base_concat", "large_concat")}
        if all(decoder.config != other.config for other in decoders.values()):
            decoders["as configured"] = decoder
        costs = [_cost_entry(name, each) for name, each in decoders.items()]
        rows = compare(_lines(decoder), published(self.config.table.number))
        return ArchitectureTable(
            self.config.table.number,
            self.config.table.title,
            f"custom ({', '.join(self.custom)})"
            if self.custom
            else "at the paper's sizes"
            if self._scope == PAPER
            else REHEARSAL,
            tuple(rows),
            tuple(costs),
            tuple(
                claims(
                    self.config.table.number,
                    rows,
                    lines,
                    {entry["name"]: entry["parameters"] for entry in costs},
                    scope=self._scope,
                )
            ),
            (*notes(), COSTS),
        )

    def _write_numbers(self, out: Path, table: ArchitectureTable) -> None:
        write_table(out, renderings(table))
        rows = [
            {
                "part": row.part,
                "level": row.level,
                "layer": row.live and row.live.layer,
                "output": row.live and row.live.output,
                "paper_layer": row.paper and row.paper.layer,
                "paper_output": row.paper and row.paper.output,
                "agrees": row.agrees,
            }
            for row in table.rows
        ]
        write_json(
            out / "results.json",
            {
                "schema_version": SCHEMA_VERSION,
                "experiment": self.config.name,
                "table": table.number,
                "profile": self.config.profile.name,
                "custom": self.custom,
                "resolution": RESOLUTION,
                "notes": table.notes,
                "rows": rows,
                "decoders": table.decoders,
                "claims": table.claims,
            },
        )

    def page(self, table: ArchitectureTable, facts: dict[str, Any]) -> Page:
        """Return the content of the report's page.

        Args:
            table: table to show.
            facts: settings, software and time of the run, as the method `facts` returns them.
        """
        return Page(
            f"Table {table.number}: {table.title}",
            table.label,
            "decoders are built without weights, whatever the profile, and nothing is measured on images",
            facts,
            grids=layer_grids(table),
            claims=[Verdict(**claim) for claim in table.claims],
            notes=table.notes,
        )

    def facts(self, seconds: float) -> dict[str, Any]:
        """Return the settings, the software and the time of the run, for `run.json` and for the report.

        Args:
            seconds: time in seconds that the run has taken.
        """
        return run_facts(
            self.config,
            self.config.resolved,
            self.overrides,
            device="meta",
            weights={},
            facts={"custom": self.custom, "manifest": None, "seconds": {"all": round(seconds, 3)}},
        )


def _decoders_of_the_paper() -> dict[str, Decoder]:
    """Return all decoders of the paper, without weights. The key is the name of the decoder.

    A decoder computes features from the latents, and a branch computes features from the known pixels. The decoders in
    `DECODERS` add the two sorts of features if they have a branch. The decoders `base_concat` and `large_concat`, which
    are those of Tables 7 and 8, concatenate the two sorts.
    """
    with torch.device("meta"):
        return {name: build_decoder(name) for name in DECODERS} | {
            f"{name}_concat": build_decoder(name, blending="concat", branch="partial") for name in ("base", "large")
        }


def _lines(decoder: Decoder) -> list[Line]:
    return [Line(layer.part, layer.level, layer.layer, layer.output) for layer in trace_layers(decoder, RESOLUTION)]


def _cost_entry(name: str, decoder: Decoder) -> dict[str, Any]:
    config = decoder.config
    joining = (config.blending, config.branch) if config.conditioned else (None, None)
    return {"name": name, "blending": joining[0], "branch": joining[1], **asdict(cost(decoder, RESOLUTION))}
