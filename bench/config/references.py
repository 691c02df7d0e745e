"""References from one key of a configuration to another, which are interpolations such as `${profile.steps}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

__all__ = ["references", "users", "values_below"]

REFERENCE = re.compile(r"\$\{(?:oc\.(?:select|dict\.keys|dict\.values):\s*)?(\.*[A-Za-z_][\w.\-]*?)\.?\s*(?=[,}]|\$\{)")
"""Pattern of the key to which an interpolation refers: `${KEY}`, or `${oc.select:KEY}` and similar resolvers."""


def values_below(tree: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the full name and the value of every setting at a given key or below it.

    A setting is a key whose value is not itself a group of keys or a list of values. If a key above the given key has
    an interpolation as its value, yield only the key above and its interpolation. Yield nothing if the given key does
    not exist.

    Args:
        tree: configuration as plain data, with unresolved interpolations.
        key: full name of the key; "" for the whole configuration.
    """
    node, way = tree, list[str]()
    for part in key.split(".") if key else ():
        if isinstance(node, str):
            break
        node = _child(node, part)
        if node is None:
            return
        way.append(part)
    yield from _leaves(node, ".".join(way))


def _child(node: Any, part: str) -> Any:
    if isinstance(node, list):
        return node[int(part)] if part.isdecimal() and int(part) < len(node) else None
    if not isinstance(node, dict):
        return None
    # null is a value that exists; keys may be numbers.
    return next((NULL if value is None else value for name, value in node.items() if str(name) == part), None)


NULL = object()


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not isinstance(node, dict | list) or not node:
        yield key, node
    for name, value in below:
        yield from _leaves(value, f"{key}.{name}" if key else str(name))


def references(key: str, value: Any) -> list[str]:
    """Return the full names of the keys to which a value refers by interpolations.

    Args:
        key: full name of the key that has the value. Interpolations that begin with dots are relative to this key.
        value: value with unresolved interpolations. If it is not a text, the result is empty.
    """
    if not isinstance(value, str):
        return []
    found = []
    for name in REFERENCE.findall(value):
        dots = len(name) - len(name.lstrip("."))
        above = key.split(".")[:-dots] if dots else []
        found.append(".".join([*above, name.lstrip(".")]))
    return found


def users(config: DictConfig, key: str) -> Iterator[str]:
    """Yield the full name of every key whose value refers directly to the given key by an interpolation."""
    tree = OmegaConf.to_container(config, resolve=False)
    return (leaf for leaf, value in values_below(tree, "") if key in references(leaf, value))
