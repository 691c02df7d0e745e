"""Reports of the gate's outcome for people, for a pull request, and for continuous integration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from bench.gate.comparing import Comparison, Outcome
from bench.gate.decision import Verdict
from bench.reporting.index import Judged
from bench.runtime.text import one_line
from bench.tables.grid import Grid, markdown, print_grid, print_notes

__all__ = ["as_json", "github_commands", "judged", "junit", "print_outcome", "summary", "to_markdown"]

SCHEMA_VERSION = 1
HEADS = ["verdict", "row", "metric", "old", "new", "change, 95 % interval", "worse by at most", "margin"]
SHOWN = (Verdict.REGRESSION, Verdict.CANNOT_TELL, Verdict.IMPROVED)
"""Verdicts whose numbers are listed one by one; numbers that pass are only counted."""
KINDS = {Verdict.REGRESSION: "bad", Verdict.CANNOT_TELL: "open"}
"""CSS class of each verdict on a page; other verdicts have the class `good`."""
MOST = 9
"""Number of findings that get an annotation of their own, if there are more than ten findings of one kind.

GitHub shows at most ten errors and ten warnings for each step. The tenth annotation says how many were left out.
"""


def summary(outcome: Outcome) -> str:
    """Return one line with the verdict on the whole run, and with the number of comparisons that have each verdict."""
    counts = Counter(found.verdict for found in outcome.comparisons)
    parts = [f"{counts[verdict]} {name}" for verdict, name in _NAMES.items() if counts[verdict]]
    if outcome.problems:
        parts.append(f"{len(outcome.problems)} not comparable")
    return f"{outcome.verdict}: {', '.join(parts)}"


_NAMES = {
    Verdict.REGRESSION: "worse",
    Verdict.CANNOT_TELL: "undecided",
    Verdict.IMPROVED: "improved",
    Verdict.PASS: "within their margins",
}


def print_outcome(outcome: Outcome, console: Console, *, passed: bool = False) -> None:
    """Print the worse, undecided and improved numbers, then the problems and notes, and last the verdict.

    Args:
        outcome: outcome of the comparison.
        console: console on which the outcome is printed.
        passed: True to print the numbers that pass as well.
    """
    for experiment, grid in _grids(outcome, (*SHOWN, Verdict.PASS) if passed else SHOWN):
        print_grid(grid, experiment, console)
    print_notes([*_reasons(outcome), *outcome.notes], console)
    console.print(Text(one_line(f"{outcome.new} compared with {outcome.old}: {summary(outcome)}")))


def to_markdown(outcome: Outcome) -> str:
    """Return a section in GitHub's Markdown for a pull request.

    The section has the verdict, the worse, undecided and improved numbers, the problems and the notes.
    """
    head = f"## Gate: {summary(outcome)}\n\n{_code(outcome.new)} compared with {_code(outcome.old)}\n"
    tables = [f"##{markdown(experiment, [grid], [])}" for experiment, grid in _grids(outcome)]
    lines = [f"- {_plain(reason)}" for reason in (*_reasons(outcome), *outcome.notes)]
    return "\n".join([head, *(text.rstrip() + "\n" for text in tables), *lines]).rstrip() + "\n"


def judged(outcome: Outcome, files: Sequence[str] = ()) -> Judged:
    """Return the section of an index page. It shows worse and undecided numbers, and folds all others.

    Args:
        outcome: outcome of the comparison.
        files: names of the files beside the page that contain the whole outcome.
    """
    return Judged(
        str(outcome.verdict),
        KINDS.get(outcome.verdict, "good"),
        summary(outcome),
        f"{outcome.new} is compared with {outcome.old}",
        tuple(_grids(outcome, (Verdict.REGRESSION, Verdict.CANNOT_TELL))),
        tuple(_reasons(outcome)),
        tuple(_grids(outcome, (Verdict.IMPROVED, Verdict.PASS))),
        outcome.notes,
        files,
    )


def junit(outcome: Outcome) -> bytes:
    """Return a JUnit XML file in UTF-8, which has a test case for each comparison and for each problem.

    A regression is a failure of its test case. An undecided number and a problem are errors.
    """
    root = ElementTree.Element("testsuites", name="gate")
    experiments = [found.experiment for found in outcome.comparisons]
    for experiment in dict.fromkeys([*experiments, *(found.experiment for found in outcome.problems)]):
        comparisons = [found for found in outcome.comparisons if found.experiment == experiment]
        problems = [found for found in outcome.problems if found.experiment == experiment]
        counts = Counter(found.verdict for found in comparisons)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(experiment) or "gate",
            tests=str(len(comparisons) + len(problems)),
            failures=str(counts[Verdict.REGRESSION]),
            errors=str(counts[Verdict.CANNOT_TELL] + len(problems)),
            skipped="0",
        )
        for found in comparisons:
            _case(suite, f"{found.row}: {found.metric}", found.verdict, _sentence(found))
        for problem in problems:
            _case(suite, problem.what.partition(":")[0], Verdict.CANNOT_TELL, problem.what)
    ElementTree.indent(root, " ")
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ElementTree.Element, name: str, verdict: Verdict, message: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=suite.attrib["name"], name=_xml(name))
    tag = {Verdict.REGRESSION: "failure", Verdict.CANNOT_TELL: "error"}.get(verdict)
    if tag is None:
        ElementTree.SubElement(case, "system-out").text = _xml(message)
    else:
        ElementTree.SubElement(case, tag, type=str(verdict), message=_xml(message))


def _xml(text: str) -> str:
    r"""Return `text` on one line, with an escape such as `\x1b` in place of each character that is not printable.

    XML cannot contain some of these characters.
    """
    return one_line(text)


def github_commands(outcome: Outcome) -> list[str]:
    """Return workflow commands. If a job of GitHub prints these commands, GitHub shows annotations.

    Each regression becomes an error. Each undecided number and each problem becomes a warning. If there are more than
    ten errors or more than ten warnings, the tenth command says how many were left out.
    """
    errors = [(f"{found.experiment}: worse", _sentence(found)) for found in outcome.of(Verdict.REGRESSION)]
    warnings = [(f"{found.experiment}: undecided", _sentence(found)) for found in outcome.of(Verdict.CANNOT_TELL)]
    warnings += [(f"{found.experiment or 'gate'}: not comparable", found.what) for found in outcome.problems]
    return [*_commands("error", errors), *_commands("warning", warnings)]


def _commands(kind: str, found: list[tuple[str, str]]) -> Iterator[str]:
    shown = found if len(found) <= MOST + 1 else [*found[:MOST], ("gate", f"and {len(found) - MOST} more")]
    for title, message in shown:
        yield f"::{kind} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """Return `text` on one line, with `%` escaped as GitHub's workflow commands need it."""
    return one_line(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the whole outcome as plain data that can be saved as JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "new": str(outcome.new),
        "old": str(outcome.old),
        "verdict": str(outcome.verdict),
        "status": outcome.verdict.status,
        "comparisons": [_comparison_as_json(found) for found in outcome.comparisons],
        "problems": [{"experiment": found.experiment, "what": found.what} for found in outcome.problems],
        "notes": list(outcome.notes),
    }


def _comparison_as_json(found: Comparison) -> dict[str, Any]:
    bound = found.bound
    return {
        "experiment": found.experiment,
        "row": found.row,
        "metric": found.metric,
        "old": found.old,
        "new": found.new,
        "change": found.change,
        "ci95": found.ci95,
        "paired": found.worsening.paired,
        "higher_is_better": found.higher_is_better,
        "worse_by_at_most": bound if math.isfinite(bound) else None,
        "margin": found.allowed,
        "verdict": str(found.verdict),
    }


def _grids(outcome: Outcome, verdicts: tuple[Verdict, ...] = SHOWN) -> Iterator[tuple[str, Grid]]:
    """Yield the name of each experiment, with a grid of those numbers that have one of the verdicts.

    The numbers are in the order of the verdicts. An experiment without such numbers is left out.
    """
    shown = [found for verdict in verdicts for found in outcome.of(verdict)]
    for experiment in dict.fromkeys(found.experiment for found in outcome.comparisons):
        lines = [_line(found) for found in shown if found.experiment == experiment]
        if lines:
            title = f"{experiment}: {', '.join(verdicts)}"
            yield experiment, Grid(HEADS, lines, left=3, title=title)


def _line(found: Comparison) -> list[str]:
    return [
        str(found.verdict),
        found.row,
        found.metric,
        _number(found.old),
        _number(found.new),
        f"{_signed(found.change)}{_interval(found, ' (', ')')}",
        _number(found.bound) if math.isfinite(found.bound) else "unknown",
        _number(found.allowed),
    ]


def _interval(found: Comparison, opening: str, closing: str = "") -> str:
    interval = found.ci95
    return "" if interval is None else f"{opening}{_signed(interval[0])} to {_signed(interval[1])}{closing}"


def _sentence(found: Comparison) -> str:
    """Return a comparison as one line of text: both values, the change with its interval, the margin, the verdict."""
    share = f" ({found.change / abs(found.old):+.1%})" if found.old else ""
    return (
        f"{found.metric} of {found.row}: {_number(found.old)} to {_number(found.new)}, {_signed(found.change)}{share}"
        f"{_interval(found, ', 95 % interval ')}; margin {_number(found.allowed)}: {found.verdict}"
    )


def _reasons(outcome: Outcome) -> list[str]:
    return [f"{found.experiment}: {found.what}" if found.experiment else found.what for found in outcome.problems]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:.4g}"


def _signed(value: float) -> str:
    return f"{value:+.3g}"


def _plain(text: str) -> str:
    """Return `text` on one line, in which the characters that have a meaning in Markdown are escaped."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|" else character for character in one_line(text))


def _code(path: Path) -> str:
    """Return a path as inline code in Markdown; a backtick in the path, which would end the code, becomes `'`."""
    return f"`{one_line(str(path)).replace('`', chr(39))}`"
