"""An experiment that runs a collection of experiments, and then compares their results with a baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.config.experiment_configs import RegressionConfig
from bench.config.schema import STAGES
from bench.errors import BadInputError
from bench.experiments.collection import Collection
from bench.gate.command import read_old, write_reports
from bench.gate.comparing import compare
from bench.gate.margins import margins_of
from bench.gate.read_run import read_side
from bench.gate.report import github_commands, judged, print_outcome, summary
from bench.reporting.index import index_page
from bench.results.run_folder import Results
from bench.runtime.distributed import World
from bench.runtime.files import write_atomically
from bench.tables.grid import terminal

__all__ = ["Regression"]

TABULATED = STAGES[STAGES.index("tabulate") :]
"""Values of `stage` with which the experiments write results that the gate can compare."""


class Regression(Collection):
    """An experiment that runs the experiments in `experiments`, and compares their results with earlier results.

    The key `gate.against` names the file or folder of the earlier results.
    """

    config: RegressionConfig

    def run(self) -> Results:
        """Run every experiment, and write the comparison with the baseline as `gate.md`, `gate.xml` and `gate.json`.

        The index page `index.html` then also shows the verdict, with each number that is worse or undecided.

        Nothing is compared if `gate.against` is not set, or if the run ends before the stage `tabulate`. The returned
        exit status is the highest exit status of all experiments. If this status is 0 and the results are compared, the
        exit status of the comparison is returned instead.

        Raises:
            BadInputError: a margin is invalid, or the baseline cannot be read. Margins and baseline are checked before
                any experiment runs. With `stage=check`, it is also an error if something is missing or wrong for an
                experiment.
        """
        gate = self.config.gate
        margins = margins_of(gate.margins, "gate.margins")
        if gate.against is None:
            return super().run()
        try:
            old = read_old(Path(gate.against))
        except BadInputError as error:
            raise BadInputError(f"gate.against: {error}") from None
        result = super().run()
        if self.config.stage not in TABULATED or not World.here().is_main_process:
            return result
        outcome = compare(read_side(result.path), old, margins)
        markdown, xml, json = (result.path / f"gate.{suffix}" for suffix in ("md", "xml", "json"))
        write_reports(outcome, markdown=markdown, junit_xml=xml, json=json)
        assert self.index is not None  # the main process has written the index page
        section = judged(outcome, [markdown.name, xml.name, json.name])
        write_atomically(result.path / "index.html", index_page(replace(self.index, judged=section)))
        print_outcome(outcome, terminal())
        if gate.annotations:
            print("\n".join(github_commands(outcome)))
        return Results(result.path, result.status or outcome.verdict.status, result.message or summary(outcome))
