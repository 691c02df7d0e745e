"""The command `python -m bench.score`, which scores folders of finished pictures."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from bench.data.listing import read_lines
from bench.edits.score import score
from bench.edits.scores import OVERWRITE
from bench.errors import BadInputError
from bench.results.out_folder import check_writable, refuse_foreign_files
from bench.results.run_folder import REPORT
from bench.runtime.text import one_line, printable
from bench.tables.grid import terminal

__all__ = ["main"]

DONE, BAD_INPUT = 0, 2


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.score",
        description="Scores folders of finished pictures, of one or several editors, against the true pictures.",
        epilog="Files are paired by their names without the suffix. Exit status: 0 if the pictures were scored, 2 for "
        "bad input.",
    )
    parser.add_argument("--truth", required=True, metavar="DIR", help="folder of the true pictures")
    parser.add_argument(
        "--edited",
        required=True,
        action="append",
        metavar="NAME=DIR",
        help="folder of the pictures of one editor; repeat this option for each further editor",
    )
    parser.add_argument("--mask", metavar="DIR", help="folder of the masks, in which the hole is white")
    parser.add_argument(
        "--exemplars",
        metavar="DIR",
        help="folder with one picture for each true picture: the content to paint into the hole",
    )
    parser.add_argument("--prompts", metavar="FILE", help="text file with the prompt of each picture, one on each line")
    parser.add_argument("--reference", metavar="NAME", help="editor with which the others are compared")
    parser.add_argument(
        "--measures",
        metavar="NAMES",
        default="default",
        help="default, mini, or names of measures, separated by commas",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or another PyTorch device")
    parser.add_argument(
        "--batch-size", default="auto", metavar="N", help="pictures in a batch; auto chooses the number"
    )
    parser.add_argument("--out", metavar="DIR", help="folder for the report and the tables")
    parser.add_argument("--overwrite", action="store_true", help="allow a folder that contains other files")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser.parse_args(arguments)


def _editors(words: list[str]) -> dict[str, str]:
    """Convert words of the form NAME=DIR into a dictionary from each editor's name to its folder.

    Raises:
        BadInputError: a word does not have this form, or a name occurs twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or not name.strip() or not folder:
            raise BadInputError(f"--edited: expected NAME=DIR, found {word}")
        if name in found:
            raise BadInputError(f"--edited: expected a different name for each editor, found {name} twice")
        found[name] = folder
    return found


def _prompts(path: str | None) -> list[str] | None:
    if path is None:
        return None
    return read_lines(Path(path), "--prompts", "a text file with the prompt of each picture")


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit status: 0 if the pictures were scored, 2 for bad input."""
    given = _arguments(arguments)
    measures = [name for name in given.measures.split(",") if name]
    try:
        if given.out is not None:
            check_writable(given.out, "--out")
            if Path(given.out).is_dir() and not given.overwrite:
                refuse_foreign_files(Path(given.out), OVERWRITE)
        scores = score(
            given.truth,
            _editors(given.edited),
            given.mask,
            reference=given.reference,
            measures=measures[0] if len(measures) == 1 else measures,
            prompts=_prompts(given.prompts),
            exemplars=given.exemplars,
            device=given.device,
            batch_size=int(given.batch_size) if re.fullmatch(r"\d{1,9}", given.batch_size) else given.batch_size,
            quiet=given.quiet,
        )
        scores.show(terminal())
        if given.out is not None:
            out = scores.save(given.out, overwrite=given.overwrite)
            print(one_line(f"report: {out / REPORT}"))
    except BadInputError as error:
        print(printable(f"bench.score: {error}"), file=sys.stderr)
        return BAD_INPUT
    return DONE
