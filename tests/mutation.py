"""Print the share of mutants that the tests refused, for each file; `nox -s mutation` runs it after `mutmut run`.

A mutant that cannot change what the code gives is no fault of the tests. `tests/equivalent_mutants.yaml` lists those,
by function and by the line as the mutant has it, each with the reason; all other mutants count.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

GOAL = 0.95
"""Share of the mutants that could change something which the tests have to refuse."""
REFUSED = ("killed", "timeout", "segfault")
LISTED = Path(__file__).with_name("equivalent_mutants.yaml")


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test refused."""

    name: str
    changed: str
    """The line, or lines, of the mutant that differ from the source's."""


@dataclass(frozen=True)
class Tried:
    """The mutants of one file that met their tests."""

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
            survivors = [name for name, status in found.items() if status not in REFUSED]
            yield Tried(str(path), len(found), tuple(Survivor(name, _changed(name, path)) for name in survivors))


def _changed(name: str, path: Path) -> str:
    lines = get_diff_for_mutant(name, path=path).splitlines()
    added = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    removed = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    return " ".join(added) if added else f"without {' '.join(removed)}"


def main() -> int:
    """Print a line for each file and each survivor that counts; 1 where a file falls short of the goal, else 0."""
    listed = {entry for group in yaml.safe_load(LISTED.read_text()) for entry in group["mutants"]}
    short = False
    print(f"{'file':40} mutants  refused  equivalent  refused of the others")
    for one in tried():
        counted = [survivor for survivor in one.survivors if _entry(survivor) not in listed]
        equivalent = len(one.survivors) - len(counted)
        share = 1 - len(counted) / max(one.count - equivalent, 1)
        short |= share < GOAL
        print(f"{one.path:40} {one.count:7}  {one.count - len(one.survivors):7}  {equivalent:10}  {share:7.1%}")
        for survivor in counted:
            print(f"    {_entry(survivor)}")
    return int(short)


def _entry(survivor: Survivor) -> str:
    """The survivor as the list of equivalent mutants names it: the function, and the changed line."""
    function = survivor.name.rpartition("__mutmut_")[0].replace("x_", "", 1)
    return f"{function}: {survivor.changed}"


if __name__ == "__main__":
    sys.exit(main())
