"""The command `python -m bench.compare NEW OLD`, which tests whether NEW is worse than OLD.

NEW is a run or a folder of runs; OLD is a run, a folder of runs, or a baseline.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.errors import BadInputError
from bench.gate.baseline import read_baseline, write_baseline
from bench.gate.comparing import Outcome, compare
from bench.gate.margins import ANY, COSTS, DEFAULTS, QUALITY, Margin, add_margins, margins_of
from bench.gate.read_run import Side, read_side
from bench.gate.report import as_json, github_commands, junit, print_outcome, to_markdown
from bench.runtime.files import write_atomically, write_json
from bench.runtime.text import printable
from bench.tables.grid import terminal

__all__ = ["main", "read_old", "write_reports"]

DONE, BAD_INPUT = 0, 2


def read_old(path: Path) -> Side:
    """Read the old numbers of a comparison.

    Args:
        path: file of a baseline, folder of a run, or folder of several runs.

    Raises:
        BadInputError: there is no such file or folder, or its content is not valid.
    """
    return read_side(path) if path.is_dir() else read_baseline(path)


def write_reports(
    outcome: Outcome, *, markdown: Path | None = None, junit_xml: Path | None = None, json: Path | None = None
) -> None:
    """Write the outcome of a comparison to each file whose path is not None.

    Args:
        outcome: outcome of the comparison.
        markdown: path of a section in Markdown for a pull request.
        junit_xml: path of a JUnit XML file with a test case for each comparison and each problem.
        json: path of a JSON file with the whole outcome.

    Raises:
        BadInputError: a file cannot be written.
    """
    try:
        if markdown is not None:
            write_atomically(markdown, to_markdown(outcome))
        if junit_xml is not None:
            write_atomically(junit_xml, junit(outcome))
        if json is not None:
            write_json(json, as_json(outcome))
    except OSError as error:
        raise BadInputError(
            f"the reports of the comparison: expected files that can be written, found the error {error}"
        ) from None


def _arguments(arguments: list[str]) -> argparse.Namespace:
    others = ", ".join(f"{name} {margin}" for name, margin in DEFAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description="Compares the headline numbers and costs of a run, or of a folder of runs, "
        "with those of an earlier "
        "run, folder of runs, or baseline.",
        epilog=f"Exit status: 0 pass, 3 regression, 4 cannot tell, 2 bad input. Default margins: {others}; "
        f"every other metric {QUALITY} of its old value.",
    )
    parser.add_argument("new", type=Path, metavar="NEW", help="a run's folder, or a folder of runs")
    parser.add_argument(
        "old", type=Path, metavar="OLD", help="a run's folder, a folder of runs, or a baseline's JSON file"
    )
    add_margins(
        parser,
        "largest worsening that is tolerated, such as fid=0.5 or lpips=1%%; "
        f"{ANY} excludes a metric or a cost ({', '.join(COSTS)})",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the changes as Markdown for a pull request"
    )
    parser.add_argument(
        "--junit", type=Path, metavar="FILE", help="write JUnit's XML with a test case for each comparison"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every comparison as JSON")
    parser.add_argument("--github", action="store_true", help="also print annotations for GitHub")
    parser.add_argument(
        "--update", action="store_true", help="write NEW's values to the baseline OLD, and print the changes"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status: 0 pass, 3 regression, 4 cannot tell, 2 bad input.

    With `--update`, the status is 0 as soon as the baseline is written, whatever the comparison finds.

    Args:
        arguments: words of the command line after `python -m bench.compare`.
    """
    given = _arguments(arguments)
    try:
        margins = margins_of(given.margin)
        if given.update:
            return _update(given.new, given.old, margins)
        outcome = compare(read_side(given.new), read_old(given.old), margins)
        write_reports(outcome, markdown=given.markdown, junit_xml=given.junit, json=given.json)
        print_outcome(outcome, terminal())
        if given.github:
            print("\n".join(github_commands(outcome)))
    except BadInputError as error:
        print(printable(f"bench.compare: {error}"), file=sys.stderr)
        return BAD_INPUT
    return outcome.verdict.status


def _update(new: Path, baseline: Path, margins: dict[str, Margin]) -> int:
    if baseline.is_dir():
        raise BadInputError(f"{baseline}: expected the file of a baseline, found a folder")
    side = read_side(new)
    changes = compare(side, read_baseline(baseline), margins) if baseline.exists() else None
    write_baseline(baseline, side)
    if changes is not None:
        print_outcome(changes, terminal())
    print(f"{baseline}: written")
    return DONE
