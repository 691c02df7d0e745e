"""Print the share of mutants that the tests refused, for each file; `nox -s mutation` runs it after `mutmut run`.

A mutant that cannot change what the code gives is no fault of the tests. `tests/equivalent_mutants.yaml` lists those,
by file and by the line as the mutant has it, each with the reason. One rule stands here instead: whether `zip` is
strict changes nothing where both lists have one length, so a mutant that changes only this is not counted either.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

GOAL = 0.95
"""The share that the tests have to refuse of the mutants that can change something."""
REFUSED = ("killed", "timeout", "segfault")
LISTED = Path(__file__).with_name("equivalent_mutants.yaml")


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test refused."""

    source: str
    """The lines of the source that it changes, joined by spaces."""
    changed: str
    """These lines as the mutant has them."""

    @property
    def changes_strict_alone(self) -> bool:
        return _without_strict(self.source) == _without_strict(self.changed)


@dataclass(frozen=True)
class Tried:
    """Hold the mutants of one file that were tested."""

    path: str
    count: int
    survivors: tuple[Survivor, ...]


def tried() -> Iterator[Tried]:
    """Read what `mutmut run` left in the folder mutants/, file by file."""
    for meta in sorted(Path("mutants").rglob("*.py.meta")):
        path = meta.relative_to("mutants").with_suffix("")
        data = SourceFileMutationData(path=path)
        data.load()
        found = {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items() if code is not None}
        if found:
            names = [name for name, status in found.items() if status not in REFUSED]
            yield Tried(path.as_posix(), len(found), tuple(_survivor(name, path) for name in names))


def _survivor(name: str, path: Path) -> Survivor:
    lines = get_diff_for_mutant(name, path=path).splitlines()
    sides = {"-": "", "+": ""}
    for line in lines:
        if line[:1] in sides and line[:3] not in ("---", "+++"):
            sides[line[0]] = f"{sides[line[0]]} {line[1:].strip()}".strip()
    return Survivor(source=sides["-"], changed=sides["+"])


def _without_strict(line: str) -> str:
    return re.sub(r",\s*(strict=\w+)?\s*\)", ")", line)


def main() -> int:
    """Print a line for each file and each relevant survivor; return 1 if a file misses the goal."""
    listed = {(group["file"], line) for group in yaml.safe_load(LISTED.read_text()) for line in group["lines"]}
    short = False
    print(f"{'file':36} mutants  refused  equivalent  refused of the others")
    for one in tried():
        counted = [
            survivor
            for survivor in one.survivors
            if (one.path, survivor.changed) not in listed and not survivor.changes_strict_alone
        ]
        equivalent = len(one.survivors) - len(counted)
        share = 1 - len(counted) / max(one.count - equivalent, 1)
        short |= share < GOAL
        print(f"{one.path:36} {one.count:7}  {one.count - len(one.survivors):7}  {equivalent:10}  {share:.1%}")
        for survivor in counted:
            print(f"    - {survivor.source}\n    + {survivor.changed}")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
