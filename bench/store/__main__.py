"""Look after a store: `python -m bench.store ls|verify|gc|du [--store DIR] [--json]`.

`ls` lists what is kept under which key, `du` sums it up, `verify` reads every checksum (exit status 1 where one is not
right), `gc` names what no run uses and, with `--delete`, removes it. All are safe while runs go on.
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
from bench.store.arrays import put_aside
from bench.store.upkeep import Leftover, damaged, entries, remove, unused, usage

DEFAULT = "outputs/store"
DAYS = 7.0


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status: 0 done, 1 something is damaged, 2 bad input."""
    given = _parser().parse_args(arguments)
    try:
        if not given.store.is_dir():
            raise BadInputError(f"--store: expected the folder of a store, found nothing at {given.store}")
        return {"ls": _ls, "du": _du, "verify": _verify, "gc": _gc}[given.command](given)
    except (BadInputError, OSError) as error:
        status, message = outcome(error) or (2, str(error))
        print(f"bench.store: {message}", file=sys.stderr)
        return status


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    store = Path(os.environ.get("BENCH_STORE", DEFAULT))
    shared.add_argument("--store", type=Path, default=store, help=f"its folder (BENCH_STORE, or {DEFAULT})")
    shared.add_argument("--json", action="store_true", help="as JSON")
    parser = argparse.ArgumentParser(prog="python -m bench.store", description="Look after a store of results.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ls", parents=[shared], help="what is kept, since when, what made it, which runs use it")
    commands.add_parser("du", parents=[shared], help="how much of it there is")
    verify = commands.add_parser("verify", parents=[shared], help="read every checksum")
    verify.add_argument("--repair", action="store_true", help="put damaged files aside: runs make them again")
    gc = commands.add_parser("gc", parents=[shared], help="name or remove what no run uses")
    gc.add_argument("--days", type=float, default=DAYS, help=f"keep what was written since ({DAYS:g})")
    gc.add_argument("--runs", type=Path, action="append", default=[], metavar="DIR", help="only runs below it count")
    how = gc.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only name it, as without --delete")
    how.add_argument("--delete", action="store_true", help="remove it")
    return parser


def _ls(given: argparse.Namespace) -> int:
    found = list(entries(given.store))
    if given.json:
        return _json({"entries": [{**asdict(entry), "path": str(entry.path)} for entry in found]})
    for entry in found:
        items = "" if entry.items is None else f"{entry.items} items"
        runs = f"{len(entry.used_by)} run(s): {entry.used_by[0]}" if entry.used_by else "no run"
        print(
            f"{entry.kind:<9} {entry.key[:16]:<16} {_size(entry.bytes):>9} {entry.days:>7.1f} d  {items:<9}  "
            f"by {entry.made_by or 'unknown'}  used by {runs}"
        )
    print(f"{len(found)} entries, {_size(sum(entry.bytes for entry in found))}")
    return 0


def _du(given: argparse.Namespace) -> int:
    kinds, free = usage(given.store), shutil.disk_usage(given.store).free
    total = sum(kind["bytes"] for kind in kinds.values())
    if given.json:
        return _json({"kinds": kinds, "bytes": total, "free": free})
    for name, kind in kinds.items():
        print(f"{name:<9} {kind['entries']:>7} entries {_size(kind['bytes']):>9}")
    print(f"{_size(total)} in all, {_size(free)} free on its disk")
    return 0


def _verify(given: argparse.Namespace) -> int:
    found = list(damaged(given.store))
    if given.repair:
        for path in dict.fromkeys(path for path, _ in found):
            put_aside(path)
    if given.json:
        _json({"damaged": [{"path": str(path), "found": said} for path, said in found], "repaired": given.repair})
    else:
        for path, said in found:
            print(f"{path}: {said}")
        print(f"{len(found)} damaged" if found else "all whole")
    return 1 if found and not given.repair else 0


def _gc(given: argparse.Namespace) -> int:
    found = list(unused(given.store, days=given.days, under=given.runs))
    gone = [one for one in found if given.delete and _removed(one, given)]
    shown = gone if given.delete else found
    size = sum(one.bytes for one in shown)
    if given.json:
        lines = [{**asdict(one), "path": str(one.path)} for one in shown]
        return _json({"removed": given.delete, "bytes": size, "paths": lines})
    for one in shown:
        print(f"{_size(one.bytes):>9}  {one.path}: {one.why}")
    print(f"{len(shown)} {'removed' if given.delete else 'would be removed; --delete does it'}, {_size(size)}")
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
    sys.exit(main(sys.argv[1:]))
