"""The command `python -m bench.manifest show PATH`, `verify PATH [ROOT …]` or `diff A B`.

`show` summarises a manifest, `verify` compares a manifest with the prepared items that it lists, and `diff` compares
two manifests. PATH, A and B are each a `manifest.json`, or a folder that contains this file: the folder of a run, or a
folder of prepared items in the store. Each ROOT is a folder below which `verify` searches for the prepared items. If no
ROOT is given, `verify` searches below the folder of the manifest.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.data.listing import few
from bench.errors import BadInputError
from bench.runtime.strict_json import read_json
from bench.runtime.text import as_line, printable
from bench.store import content_key

__all__ = ["diff", "main", "show", "verify"]

SAME, DIFFERENT, BAD_INPUT = 0, 1, 2
CONTENTS = ("image", "mask", "caption", "exemplar")
"""Keys of an item's entry in a manifest whose value is a SHA-256, or null if the item has no such content."""
FACTS = ("source", "reference", "words")
SETTINGS = ("resolution", "masks", "fit", "seed")
FIRST = 5
DIGITS = 12

Manifest = dict[str, Any]


def show(manifest: Manifest) -> dict[str, Any]:
    """Return a summary of a manifest: the hash of the items, the settings, several counts, and the first five items."""
    lines = manifest["items"]
    return {
        "hash": content_key({"items": lines}),
        "subset": manifest.get("subset"),
        "items": len(lines),
        "sources": len({line["source"] for line in lines}),
        "references": sum(line.get("reference", True) for line in lines),
        "dropped": len(manifest.get("dropped", [])),
        "broken": len(manifest.get("broken", {})),
        "left_out": len(manifest.get("left_out", {})),
        **{name: manifest.get(name) for name in SETTINGS},
        "first": lines[:FIRST],
    }


def diff(first: Manifest, second: Manifest) -> dict[str, list[str]]:
    """Compare the items of two manifests, A and B. The settings of the manifests are not compared.

    Returns:
        For each kind of difference that was found, the ids of the differing items. The result is empty if the items of
            the manifests are equal. The kinds are `only in A`, `only in B`, `image`, `mask`, `caption`, `exemplar`,
            `source`, `reference`, `words` and `order`. The kind `order` has each item that is in both manifests but has
            another position in A than in B. Items that are in only one manifest are ignored when positions are counted.
    """
    left, right = ({line["id"]: line for line in manifest["items"]} for manifest in (first, second))
    common, reordered = [name for name in left if name in right], [name for name in right if name in left]
    found = {
        "only in A": [name for name in left if name not in right],
        "only in B": [name for name in right if name not in left],
        **{key: [name for name in common if left[name].get(key) != right[name].get(key)] for key in CONTENTS + FACTS},
        "order": [name for name, other in zip(common, reordered, strict=True) if name != other],
    }
    return {key: names for key, names in found.items() if names}


def verify(manifest: Manifest, folder: Path) -> dict[str, list[str]]:
    """Compare prepared items, including their pixels, against a manifest.

    Args:
        manifest: the manifest.
        folder: folder of the prepared items. Exemplars, and images for which no mask was drawn, are read from their
            original files.

    Returns:
        For each kind of difference that was found, the ids of the items that differ in this way. A kind is a key that
            the manifest states for each item, such as `image`; or the word `unreadable` for items that cannot be read.

    Raises:
        BadInputError: the Arrow file of the prepared items is broken, has other columns than this version of the code
            writes, or has another number of items than the manifest; or the manifest does not state the resolution
            and the masks of its items.
    """
    for key in ("resolution", "masks"):
        if key not in manifest:
            raise BadInputError(f"manifest.json: expected the key {key}, found no such key")
    import datasets

    from bench.data.prepared import TABLE, Items, table_features

    try:
        items = Items(manifest, datasets.Dataset.from_file(str(folder / TABLE)), folder)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{folder / TABLE}: expected prepared items, found an error: {error}") from None
    if items.table.features != table_features() or len(items.table) != len(items):
        columns = ", ".join(items.table.column_names)
        raise BadInputError(
            f"{folder / TABLE}: expected {len(items)} items with the columns {', '.join(table_features())}, "
            f"found {len(items.table)} items with the columns {columns}"
        )
    found: dict[str, list[str]] = {}
    for index, line in enumerate(items.lines()):
        for key in _changed(items, index, line):
            found.setdefault(key, []).append(line["id"])
    return found


def _changed(items: Any, index: int, line: dict[str, Any]) -> list[str]:
    try:
        changed: list[str] = items.changed(items.as_stored(index), line)
    except (BadInputError, ValueError):
        return ["unreadable"]
    return changed


def _read(path: Path) -> Manifest:
    file = path / "manifest.json" if path.is_dir() else path
    try:
        manifest = read_json(file)
    except FileNotFoundError as error:
        raise BadInputError(
            f"{path}: expected the file manifest.json, or a folder that contains it, found no such file ({error})"
        ) from None
    lines = manifest.get("items")
    if not isinstance(lines, list) or not all(isinstance(line, dict) and _is_line(line) for line in lines):
        raise BadInputError(
            f"{file}: expected a list `items` whose entries have an id, a source and values of the right types, found "
            "no such list"
        )
    for key, kind in (
        ("dropped", list),
        ("broken", dict),
        ("left_out", dict),
        ("resolution", int),
        ("masks", str),
        ("fit", str),
    ):
        if not isinstance(manifest.get(key, kind()), kind):
            raise BadInputError(f"{file}: expected type {kind.__name__} for the key {key}, found {manifest[key]!r:.40}")
    return manifest


def _is_line(line: dict[str, Any]) -> bool:
    area = line.get("mask_area", 0.0)
    return (
        all(isinstance(line.get(key), str) for key in ("id", "source"))
        and all(isinstance(line.get(key), str | None) for key in CONTENTS)
        and isinstance(line.get("reference", True), bool)
        and isinstance(area, int | float)
        and 0 <= area <= 1
    )


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _prepared(manifest: Manifest, roots: list[Path]) -> Path:
    """Search below `roots` for the prepared items that a manifest lists, and return their folder.

    The `manifest.json` in this folder must have the same list of items as `manifest`.

    Raises:
        BadInputError: there is no such folder.
    """
    for table in sorted(table for root in roots for table in root.rglob("items.arrow")):
        if table.with_name("manifest.json").is_file() and _read(table.parent)["items"] == manifest["items"]:
            return table.parent
    raise BadInputError(
        f"{', '.join(map(str, roots))}: expected the prepared items of this manifest here or in a folder below, found "
        "no such items; name the store's folder as ROOT"
    )


def _print_shown(shown: dict[str, Any]) -> None:
    print(f"hash      {shown['hash']}")
    print(as_line(f"subset    {shown['subset']}"))
    counts = ", ".join(f"{shown[name]} {name}" for name in ("items", "sources", "references", "dropped", "broken"))
    print(f"counts    {counts}")
    print(as_line(f"settings  {', '.join(f'{name} {shown[name]}' for name in SETTINGS)}"))
    for line in shown["first"]:
        hashes = " ".join(f"{key} {line[key][:DIGITS]}" for key in CONTENTS if line.get(key))
        print(as_line(f"  {line['id']}  ({line['source']})  {hashes}"))
    if shown["items"] > len(shown["first"]):
        print(f"  and {shown['items'] - len(shown['first'])} more")


def _print_found(found: dict[str, list[str]], same: str) -> None:
    for key, names in found.items():
        print(as_line(f"{key}: {len(names)} item(s): {few(names)}"))
    if not found:
        print(same)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.manifest",
        description="A manifest lists the items of a run. Each PATH is a manifest.json, or a folder that contains one.",
        epilog="Exit status: 0 if nothing differs or a summary was shown, 1 if items differ, 2 for bad input.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("show", help="print the hash, the settings, the counts and the first items")
    shown.add_argument("path", type=Path)
    verified = commands.add_parser("verify", help="compare the prepared items and their original files with a manifest")
    verified.add_argument("path", type=Path)
    verified.add_argument("root", type=Path, nargs="*", help="folders to search for prepared items (default: PATH)")
    compared = commands.add_parser("diff", help="list the items in which two manifests differ")
    compared.add_argument("path", type=Path, metavar="A")
    compared.add_argument("other", type=Path, metavar="B")
    for command in (shown, verified, compared):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status.

    The status is 0 if nothing differs or a summary was shown, 1 if something differs, and 2 for bad input.
    """
    given = _arguments(arguments)
    try:
        manifest = _read(given.path)
        if given.command == "show":
            shown = show(manifest)
            print(json.dumps(shown, indent=1)) if given.json else _print_shown(shown)
            return SAME
        if given.command == "verify":
            found = verify(manifest, _prepared(manifest, given.root or [_folder(given.path)]))
        else:
            found = diff(manifest, _read(given.other))
    except BadInputError as error:
        print(printable(f"bench.manifest: {error}"), file=sys.stderr)
        return BAD_INPUT
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        _print_found(found, f"{len(manifest['items'])} items, and none of them differs")
    return DIFFERENT if found else SAME
