"""The keys of a configuration that a run uses.

The used keys are the keys that the run's experiment reads, and all keys to which the values of used keys refer. An
override of any other key would change nothing, and is refused. This module does not import torch, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from bench.config.kinds import RUN, kind_of
from bench.config.option_files import SEARCH_PATH, folders_of, groups, option_file, package_of
from bench.config.overrides import keys_set, parse, values_of
from bench.config.references import references, values_below
from bench.errors import BadInputError

__all__ = ["Usage"]

SHOWN = 12
"""Largest number of keys that an error message lists."""


class Usage:
    """The keys that one run uses, out of all keys of its configuration."""

    def __init__(self, config: DictConfig, more: Sequence[str] = ()) -> None:
        """Start with the keys that the experiment reads, and follow every interpolation in their values.

        Args:
            config: composed configuration with unresolved interpolations. Its `_target_` is a class in
                `bench.config.kinds.KINDS`.
            more: further keys that the run reads.
        """
        self.name = str(config.name)
        self._tree = OmegaConf.to_container(config, resolve=False)
        self.named: set[str] = set()
        """Every key that the experiment reads or to which a used value refers, even if the key does not exist."""
        self.leaves: set[str] = set()
        """The full name of each existing value at a key in `named` or below such a key."""
        waiting = [*RUN, *kind_of(str(config._target_)).reads(config), *more]
        while waiting:
            key = waiting.pop()
            if key not in self.named:
                self.named.add(key)
                for leaf, value in values_below(self._tree, key):
                    self.leaves.add(leaf)
                    waiting += references(leaf, value)

    def uses(self, key: str) -> bool:
        """Return True if the run uses this key, a key above it or a key below it."""
        return any(_related(key, used) for used in self.named)

    def refuse_unused(self, overrides: Sequence[str]) -> None:
        """Require that each override sets something that the run uses.

        Raises:
            BadInputError: an override would change nothing. The message names the key of this override.
        """
        unused = self.unused(overrides)
        if unused:
            raise BadInputError(self.refusal(unused[0]))

    def unused(self, overrides: Sequence[str]) -> list[str]:
        """Return the overrides that would change nothing."""
        folders = folders_of(overrides)
        known = groups(folders)
        return [word for word in overrides if not self._is_used(parse(word), known, overrides)]

    def refusal(self, word: str) -> str:
        """Return the error message about an override that would change nothing.

        The message suggests used keys whose last part is that of the override's key. If no used key has this last part,
        the message suggests used keys of the same group. If no key of this group is used, it suggests all used groups.
        """
        override = parse(word)
        key = next((key for key in keys_set(override) if not self.uses(key)), override.key_or_group)
        if key.startswith("hydra"):
            own = "out=DIR sets the folder of a run" if ".dir" in key else "for a sweep, use -m and hydra/launcher=NAME"
            return f"{key}: expected a key that {self.name} uses, found a key of Hydra, which has no effect here; {own}"
        last = key.rpartition(".")[2]
        namesakes = sorted(
            used for used in self.leaves if used.rpartition(".")[2] == last != "" and not last.isdecimal()
        )
        siblings = sorted(used for used in self.leaves if used.partition(".")[0] == key.partition(".")[0])
        shown = (namesakes or siblings or sorted({used.partition(".")[0] for used in self.leaves}))[:SHOWN]
        return (
            f"{key}: expected a key that {self.name} uses, such as {', '.join(shown)}; found one that it does not use"
        )

    def _is_used(self, override: Override, known: set[str], overrides: Sequence[str]) -> bool:
        key = override.key_or_group
        if key in ("experiment", SEARCH_PATH):
            return True
        if override.is_delete():
            return self.uses(key) or ("." in key and self.uses(key.rpartition(".")[0]))
        if key in known:
            return not values_of(override) or any(self._has(package) for package in self._packages(override, overrides))
        return all(self.uses(one) for one in keys_set(override))

    def _has(self, package: str) -> bool:
        return any(_related(package, leaf) for leaf in self.leaves)

    def _packages(self, override: Override, overrides: Sequence[str]) -> Iterator[str]:
        group, folders = override.key_or_group, folders_of(overrides)
        if override.package is not None:
            yield override.package
            return
        for name in values_of(override):
            file = option_file(group, name, folders)
            package = group if file is None else package_of(file, group)
            if package == "_global_" and file is not None:
                yield from (str(key) for key in OmegaConf.load(file) if key != "defaults")
            else:
                yield package


def _related(first: str, second: str) -> bool:
    return first == second or first.startswith(f"{second}.") or second.startswith(f"{first}.")
