"""The command `python -m bench.history DIR`, which shows how headline numbers changed over commits and dates."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.text import Text

from bench.errors import BadInputError
from bench.gate.margins import add_margins, margins_of
from bench.history.find import find, find_versions
from bench.history.lines import History, history_of
from bench.history.page import history_page
from bench.history.render import as_json, marks_grid, moments_grid, summary, to_csv, to_markdown
from bench.history.repository import is_shallow
from bench.runtime.files import write_atomically, write_json
from bench.runtime.text import one_line, printable
from bench.tables.grid import print_grid, terminal

__all__ = ["main"]

DONE, BAD_INPUT = 0, 2
NAME = "history"
"""Name of the written files without their suffixes."""


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.history",
        description="Shows how the headline numbers and costs of tables changed over commits and dates, and marks what "
        "the gate calls a regression or an improvement. Reads every run and every baseline below DIR, the versions of "
        f"a baseline in git, or both. Writes {NAME}.html, {NAME}.md, {NAME}.csv and {NAME}.json.",
        epilog="Exit status: 0 done, whatever the numbers are; 2 bad input. Damaged files are named and skipped.",
    )
    parser.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="folder with earlier runs and baselines")
    parser.add_argument(
        "--git", type=Path, metavar="FILE", help="also read the baseline FILE from every commit that changed it"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the written files; without it, DIR or the current folder"
    )
    add_margins(
        parser,
        "largest worsening that is tolerated, as in python -m bench.compare",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status: 0 if the history was written, 2 for bad input.

    Args:
        arguments: words of the command line after `python -m bench.history`.
    """
    given = _arguments(arguments)
    try:
        history = _read(given)
        out = given.out or given.folder or Path()
        _write(history, out)
    except BadInputError as error:
        print(printable(f"bench.history: {error}"), file=sys.stderr)
        return BAD_INPUT
    _print(history, out)
    return DONE


def _read(given: argparse.Namespace) -> History:
    if given.folder is None and given.git is None:
        raise BadInputError("expected a folder DIR, or --git FILE, found neither")
    margins = margins_of(given.margin)
    sources, skipped, notes = [], [], []
    if given.folder is not None:
        found, left_out = find(given.folder)
        sources += found
        skipped += left_out
    if given.git is not None:
        found, left_out = find_versions(given.git)
        sources += found
        skipped += left_out
        if is_shallow(given.git):
            notes.append(
                "The repository is a shallow clone, so that older versions of the baseline are missing. In GitHub's "
                "checkout action, fetch-depth: 0 gets all commits."
            )
    history = history_of(sources, margins, skipped, notes)
    if not history.moments:
        places = " and ".join(str(place) for place in (given.folder, given.git) if place is not None)
        first = history.skipped[:1]
        more = f"; {len(history.skipped)} skipped, the first is {first[0].path}: {first[0].reason}" if first else ""
        raise BadInputError(f"{places}: expected at least one finished run or baseline, found none{more}")
    return history


def _write(history: History, out: Path) -> None:
    """Write all files, or none if the content of one cannot be made or its name belongs to a folder."""
    texts = {"md": to_markdown(history), "csv": to_csv(history), "html": history_page(history)}
    content = as_json(history)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for suffix in (*texts, "json"):
            if (out / f"{NAME}.{suffix}").is_dir():
                raise BadInputError(f"{out / NAME}.{suffix}: expected a file to write, found a folder")
        for suffix, text in texts.items():
            write_atomically(out / f"{NAME}.{suffix}", text)
        write_json(out / f"{NAME}.json", content)
    except OSError as error:
        raise BadInputError(f"{out}: expected a folder that can be written, found the error {error}") from None


def _print(history: History, out: Path) -> None:
    console = terminal()
    print_grid(moments_grid(history), "", console)
    marks = marks_grid(history)
    if marks.lines:
        print_grid(marks, "Regressions and improvements", console)
    for one in history.skipped:
        console.print(Text(one_line(f"skipped: {one.path}: {one.reason}")))
    for note in history.notes:
        console.print(Text(one_line(note)))
    console.print(Text(summary(history)))
    console.print(Text(one_line(f"history: {out / NAME}.html")))
