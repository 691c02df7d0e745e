"""Gives the defaults of a base class to objects of classes that do not inherit from it."""

from __future__ import annotations

from typing import Any

__all__ = ["with_defaults"]


def with_defaults(found: Any, base: type) -> Any:
    """Return an object that has every public member of a base class: its own, or else the default of the base.

    Args:
        found: an object of somebody's own class, changed in place.
        base: the class that has the defaults.
    """
    if isinstance(found, base):
        return found
    for name, default in vars(base).items():
        if not name.startswith("_") and not hasattr(found, name):
            # A frozen data class refuses its own way of setting an attribute.
            object.__setattr__(found, name, default.__get__(found) if hasattr(default, "__get__") else default)
    return found
