"""The command `python -m bench.store ls|verify|gc|du [--store DIR] [--json]`, which inspects and cleans a store.

`ls` lists the stored content by key. `du` prints the size of each kind of content. `verify` compares all content with
its checksums. If something is damaged, `verify` exits with status 1; with the option `--repair`, it renames the damaged
files instead and exits with status 0. `gc` lists the content that no run uses, the notes of deleted runs, damaged files
that were renamed, and files of dead processes. With the option `--delete`, `gc` removes them. All commands are safe
while runs use the store.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import BadInputError, outcome
from bench.runtime.streams import run_command
from bench.runtime.text import as_line, printable
from bench.store.layout import MARKER, is_store
from bench.store.maintenance import Leftover, damaged, entries, foreign, remove, unused, usage
from bench.store.putting_aside import put_aside

DEFAULT = "outputs/store"
DAYS = 7.0


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status.

    The status is 0 after success. It is 1 if `verify` finds damage and `--repair` is not given, or if the disk is full.
    It is 2 for bad input or another error of the file system.
    """
    given = _parser().parse_args(arguments)
    try:
        given.store = _store(given)
        return {"ls": _ls, "du": _du, "verify": _verify, "gc": _gc}[given.command](given)
    except (BadInputError, OSError) as error:
        status, message = outcome(error) or (2, str(error))
        print(printable(f"bench.store: {message}"), file=sys.stderr)
        return status


def _store(given: argparse.Namespace) -> Path:
    """Return the folder of the store: the option `--store`, or else the variable `BENCH_STORE`, or else `DEFAULT`.

    Raises:
        BadInputError: the path is empty or is not a folder; or `--delete` or `--repair` is given, and the folder has no
            marker of a store.
    """
    name = "--store" if given.store is not None else "BENCH_STORE"
    text = given.store if given.store is not None else os.environ.get("BENCH_STORE", DEFAULT)
    if not text.strip():
        raise BadInputError(f"{name}: expected the path of a store, found an empty text")
    root = Path(text)
    if not root.is_dir():
        found = f"a file at {root}" if os.path.lexists(root) else f"no folder at {root}"
        raise BadInputError(f"{name}: expected the folder of a store, found {found}")
    if (getattr(given, "delete", False) or getattr(given, "repair", False)) and not is_store(root):
        raise BadInputError(
            f"{name}: expected a store, found no file {MARKER} in {root}; if an older version of "
            f"this program made the store, a run with paths.store={root} adds this file, unless the store also "
            "contains other files"
        )
    return root


def _days(text: str) -> float:
    days = float(text)
    if not days >= 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, found {text}")
    return days


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--store", help=f"folder of the store (default: BENCH_STORE, or {DEFAULT})")
    shared.add_argument("--json", action="store_true", help="print JSON")
    parser = argparse.ArgumentParser(
        prog="python -m bench.store",
        description="Inspect or clean a store, the folder in which runs save their results.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "ls", parents=[shared], help="list all content, its age, the experiment that made it, and the runs that use it"
    )
    commands.add_parser("du", parents=[shared], help="show the total size of each kind of content")
    verify = commands.add_parser("verify", parents=[shared], help="compare all content with its checksums")
    verify.add_argument("--repair", action="store_true", help="rename damaged files, so that runs make them again")
    gc = commands.add_parser("gc", parents=[shared], help="list or remove content that no run uses")
    gc.add_argument(
        "--days",
        type=_days,
        default=DAYS,
        help=f"keep content that was written in the last DAYS days (default: {DAYS:g})",
    )
    gc.add_argument(
        "--runs",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="consider only runs with a folder below DIR",
    )
    how = gc.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only list the content (the default)")
    how.add_argument("--delete", action="store_true", help="remove the content")
    return parser


def _ls(given: argparse.Namespace) -> int:
    found, others = list(entries(given.store)), list(foreign(given.store))
    if given.json:
        lines = [{**asdict(entry), "path": str(entry.path)} for entry in found]
        return _json({"entries": lines, "foreign": [str(path) for path in others]})
    for entry in found:
        items = "" if entry.items is None else f"{entry.items} items"
        runs = f"{len(entry.used_by)} run(s): {entry.used_by[0]}" if entry.used_by else "no run"
        made_by = "" if entry.made_by is None else f"made by {entry.made_by}  "  # most kinds do not record it
        line = (
            f"{entry.kind:<9} {entry.key[:16]:<16} {_size(entry.bytes):>9} {entry.days:>7.1f} d  {items:<9}  "
            f"{made_by}used by {runs}"
        )
        print(as_line(line))
    _print_foreign(others)
    print(f"{len(found)} entries, {_size(sum(entry.bytes for entry in found))}")
    return 0


def _print_foreign(paths: Sequence[Path]) -> None:
    for path in paths:
        print(as_line(f"{path}: not made by this program, which leaves it unchanged"))


def _du(given: argparse.Namespace) -> int:
    kinds, free = usage(given.store), shutil.disk_usage(given.store).free
    total = sum(kind["bytes"] for kind in kinds.values())
    if given.json:
        return _json({"kinds": kinds, "bytes": total, "free": free})
    for name, kind in kinds.items():
        print(f"{name:<9} {kind['entries']:>7} entries {_size(kind['bytes']):>9}")
    print(f"{_size(total)} in total; {_size(free)} are free on the disk of the store")
    return 0


def _verify(given: argparse.Namespace) -> int:
    found, others = list(damaged(given.store)), list(foreign(given.store))
    if given.repair:
        for path in dict.fromkeys(path for path, _ in found):
            put_aside(path)
    if given.json:
        lines = [{"path": str(path), "found": said} for path, said in found]
        _json({"damaged": lines, "foreign": [str(path) for path in others], "repaired": given.repair})
    else:
        for path, said in found:
            print(as_line(f"{path}: {said}"))
        _print_foreign(others)
        print(f"{len(found)} damaged" if found else "no content is damaged")
    return 1 if found and not given.repair else 0


def _gc(given: argparse.Namespace) -> int:
    found = list(unused(given.store, days=given.days, under=given.runs))
    gone = [one for one in found if given.delete and _removed(one, given)]
    shown = gone if given.delete else found
    size = sum(one.bytes for one in shown)
    if given.json:
        lines = [{"path": str(one.what.path), "bytes": one.bytes, "why": one.why} for one in shown]
        return _json({"removed": given.delete, "bytes": size, "paths": lines})
    for one in shown:
        print(as_line(f"{_size(one.bytes):>9}  {one.what.path}: {one.why}"))
    print(f"{len(shown)} {'removed' if given.delete else 'can be removed with --delete'}, {_size(size)}")
    return 0


def _removed(one: Leftover, given: argparse.Namespace) -> bool:
    return remove(one, root=given.store, days=given.days, under=given.runs)


def _json(content: dict[str, Any]) -> int:
    print(json.dumps({"schema_version": 1, **content}, indent=1))
    return 0


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


if __name__ == "__main__":
    run_command(main)
