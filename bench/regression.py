"""Tables as a collection runs them, then the gate: are they worse than the baseline?"""

from __future__ import annotations

from pathlib import Path

from bench.collection import Collection
from bench.compare import read_old, write_reports
from bench.errors import BadInputError
from bench.gate.comparing import compare
from bench.gate.margins import margins_of
from bench.gate.numbers import read_side
from bench.gate.report import github_commands, print_outcome, summary
from bench.results import Results
from bench.schema import STAGES
from bench.tables.grid import terminal
from bench.world import World

__all__ = ["Regression"]

TABULATED = STAGES[STAGES.index("tabulate") :]
"""Stages after which there is something to compare."""


class Regression(Collection):
    """The experiments of `experiments`, held to `gate.against`."""

    def run(self) -> Results:
        """Every experiment, then `gate.md`, `gate.xml` and `gate.json`; the status is theirs, or else the gate's.

        Raises:
            BadInputError: before any work, for a margin that is none or a baseline that cannot be read.
        """
        gate = self.config.gate
        assert gate is not None  # the configuration was validated
        margins = margins_of(gate.margins, "gate.margins")
        if gate.against is None:
            return super().run()
        try:
            old = read_old(Path(gate.against))
        except BadInputError as error:
            raise BadInputError(f"gate.against: {error}") from None
        result = super().run()
        if self.config.stage not in TABULATED or not World.here().leads:
            return result
        outcome = compare(read_side(result.path), old, margins)
        print_outcome(outcome, terminal())
        if gate.annotations:
            print("\n".join(github_commands(outcome)))
        markdown, xml, json = (result.path / f"gate.{suffix}" for suffix in ("md", "xml", "json"))
        write_reports(outcome, markdown=markdown, junit_xml=xml, json=json)
        return Results(result.path, result.status or outcome.verdict.status, result.message or summary(outcome))
