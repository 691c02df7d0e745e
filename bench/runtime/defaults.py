"""Functions that check and complete an object whose class does not inherit from a base class.

A missing member for which the base class has a default can be added; any other missing member is reported.
"""

from __future__ import annotations

from typing import Any

__all__ = ["missing_members", "with_defaults"]


def with_defaults(found: Any, base: type) -> Any:
    """Add to an object each public member of `base` that the object lacks, and return the object.

    Abstract methods are not added, because they have no default. An instance of `base` is returned unchanged, because
    it inherits the defaults.

    Args:
        found: an object of any class, for example of a class that a user wrote. This object is changed in place.
        base: the class that defines the defaults. Members that `base` inherits are not added.
    """
    if isinstance(found, base):
        return found
    required: frozenset[str] = getattr(base, "__abstractmethods__", frozenset())
    for name, default in vars(base).items():
        if not name.startswith("_") and name not in required and not hasattr(found, name):
            # A frozen data class refuses its own way of setting an attribute.
            object.__setattr__(
                found, name, default.__get__(found, type(found)) if hasattr(default, "__get__") else default
            )
    return found


def missing_members(found: object, base: type) -> list[str]:
    """Return the names of the required members that an object lacks.

    Required members are the public members for which `base` has no default. These are abstract methods, and members
    with an annotation in `base` but without a value.
    """
    annotated = [name for name in vars(base).get("__annotations__", {}) if not hasattr(base, name)]
    required = [*sorted(getattr(base, "__abstractmethods__", ())), *annotated]
    return [name for name in required if not name.startswith("_") and not hasattr(found, name)]
