"""Rows of a table that are objects, such as a `torch.nn.Module`, in the Python program that calls `bench.run`.

A row is usually a configuration file, which is an option of Hydra's group `row`. For each object, this module adds an
option to this group, and an override that chooses the option. The option's configuration calls the function
`python_object` with two arguments: the name of the object's class or function, and the hash of the object's content.
The store's keys are computed from these two arguments.
"""

from __future__ import annotations

import copy
import inspect
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.config_store import ConfigStore
from torch import Tensor, nn

from bench.config.option_files import folders_of, options
from bench.config.overrides import added_row
from bench.errors import BadInputError
from bench.generation.method import Method
from bench.generation.object_content import UnidentifiableError, content_of, name_of
from bench.models.decoder import Decoder
from bench.runtime.distributed import World

__all__ = ["CalledFunction", "as_module", "as_rows", "notes_on", "object_of", "python_object", "takes_known_pixels"]

log = logging.getLogger(__name__)

ROW = re.compile(r"(?!(?:null|true|false|inf|nan)$)[a-z][a-z0-9_]*", re.IGNORECASE | re.ASCII)
"""Pattern of the name of a row. The excluded names are values in Hydra's grammar."""
TARGET = f"{__name__}.python_object"
_objects: dict[str, Any] = {}
"""The objects that are rows of the present run. The key is the text that `_content` returns for the object."""


class CalledFunction(nn.Module):
    """A module that calls a function. If the function uses networks, their parameters are not part of the module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def as_module(function: Callable[..., Tensor]) -> nn.Module:
    """Return a module that calls `function`. If `function` is already a module, it is returned unchanged."""
    return function if isinstance(function, nn.Module) else CalledFunction(function)


def takes_known_pixels(decoder: Callable[..., Tensor]) -> bool:
    """Return True if a decoder is called as `decoder(z, image, mask)`, and False if it is called as `decoder(z)`.

    A `Decoder` of this project takes the image and the mask if it has a branch. Any other decoder takes them if it
    needs exactly three positional arguments, or if its second and third argument have the names `image` and `mask`.

    Args:
        decoder: a module or a function.
    """
    if isinstance(decoder, Decoder):
        return decoder.condition_encoder is not None
    try:
        parameters = inspect.signature(decoder.forward if isinstance(decoder, nn.Module) else decoder).parameters
    except (TypeError, ValueError):  # a function that is not written in Python may have no signature
        return False
    places = [one for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = [one for one in places if one.default is one.empty]
    return len(needed) == 3 or [one.name for one in places[1:3]] == ["image", "mask"]


@contextmanager
def as_rows(rows: Mapping[str, Any], overrides: Sequence[str]) -> Iterator[list[str]]:
    """Make objects available as rows during the `with` block, and yield the overrides that add these rows to a table.

    Args:
        rows: a module, a function of latents or a `Method` for each row, by the name of the row.
        overrides: the other overrides of the run. They may name further folders of configuration files.

    Raises:
        BadInputError: `rows` is empty or not a mapping, the name of a row is invalid or already exists, or an object
            cannot be a row.
    """
    if not isinstance(rows, Mapping) or not rows:
        found = "an empty dictionary" if isinstance(rows, Mapping) else type(rows).__name__
        raise BadInputError(f"rows: expected a dictionary from the name of each row to its decoder, found {found}")
    known = options("row", folders_of(overrides))
    for name, found in rows.items():
        _check(name, found, known)
    contents = {name: _content(name, found) for name, found in rows.items()}
    store = ConfigStore.instance()
    try:
        for name, found in rows.items():
            _objects[contents[name]] = found
            store.store(name, _row(name, found, contents[name]), group="row", package=f"rows.{name}")
        yield [added_row(name) for name in rows]
    finally:
        _objects.clear()
        for name in rows:
            store.repo.get("row", {}).pop(f"{name}.yaml", None)


def _check(name: object, found: object, known: Sequence[str]) -> None:
    if not isinstance(name, str) or not ROW.fullmatch(name):
        raise BadInputError(
            "rows: expected that each name begins with a letter, contains only letters, digits and _, and is not null, "
            f"true, false, inf or nan; found {name!r}"
        )
    if name in known:
        raise BadInputError(f"rows.{name}: expected a new name, found the name of a row that already exists")
    if isinstance(found, type):
        raise BadInputError(
            f"rows.{name}: expected an object, found the class {found.__qualname__}; pass an object of this class"
        )
    if not isinstance(found, Method) and not callable(found):
        raise BadInputError(
            f"rows.{name}: expected a module, a function of latents or a Method, found {type(found).__name__}"
        )


def _content(name: str, found: object) -> str:
    """Return the hash of an object's content. If the object has no hash, return a random text that is used only once.

    Raises:
        BadInputError: the object has no hash, and the run has several processes. Their random texts would differ.
    """
    try:
        return content_of(found)
    except UnidentifiableError as error:
        if World.here().size > 1:
            raise BadInputError(
                f"rows.{name}: expected an object whose content several processes can compare, found that {error}"
            ) from None
        log.warning("rows.%s: no later run reuses the scores of this row, because %s", name, error)
        return f"unknown {secrets.token_hex(16)}"


def _row(name: str, found: Any, content: str) -> dict[str, Any]:
    """Return the configuration of a row, with the keys that the file of a row has.

    Args:
        name: name of the row.
        found: object that becomes the row.
        content: text that `_content` returns for the object.
    """
    method: dict[str, Any] = {"_target_": TARGET, "name": name_of(found), "content": content}
    if not isinstance(found, Method):
        method = {
            "_target_": "bench.generation.decoding.Decoded",
            "decoder": method,
            "conditioned": takes_known_pixels(found),
            "precision": "${profile.precision}",
        }
    return {"label": name, "method": method}


def python_object(name: str, content: str) -> Any:
    """Return a copy of an object of the Python program that started the run, as a module or a `Method`.

    The run changes the copy only. If the object is neither a module nor a `Method`, the result is a module that calls
    the copy.

    Args:
        name: full name of the object's class or of the function.
        content: text that `_content` returned for the object: a hash, or a random text.

    Raises:
        ValueError: the run was not started with this object, or the object cannot be copied.
    """
    if content not in _objects:
        raise ValueError(
            f"expected the object {name} of the Python program that started the run, found no such object; only "
            "bench.run with rows={…} adds this row"
        )
    try:
        found = copy.deepcopy(_objects[content])
    except Exception as error:  # an object decides itself how it is copied
        raise ValueError(f"expected an object {name} that copy.deepcopy can copy, found an error: {error}") from error
    return found if isinstance(found, Method) else as_module(found)


def object_of(node: Mapping[str, Any]) -> Any:
    """Return the object of the program to which a part of a configuration refers.

    Args:
        node: part of a configuration, as plain data.

    Returns:
        The object itself, not a copy. None if the part refers to no object, or if the run was not started with it.
    """
    return _objects.get(str(node.get("content"))) if node.get("_target_") == TARGET else None


def notes_on(rows: Mapping[str, Any]) -> dict[str, str]:
    """Return a sentence on the origin of each row that is an object of a Python program, by the name of the row.

    Args:
        rows: all rows of a configuration, as plain data. Rows that are no objects of a program get no sentence.
    """
    return {
        name: f"This row is an object of a Python program. Only bench.run with rows={{'{name}': …}} makes it again; a "
        "command line alone cannot."
        for name, row in rows.items()
        if row["method"] is not None and TARGET in (row["method"]["_target_"], _target_of(row["method"].get("decoder")))
    }


def _target_of(node: object) -> object:
    return node.get("_target_") if isinstance(node, Mapping) else None
