"""Merge and check the same parts of configurations only once in a session, which composes thousands of them."""

import io
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import DefaultsList, Overrides
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import ResultDefault
from omegaconf import DictConfig, OmegaConf

from bench.config import compose
from bench.config.schema import ComposedConfig

__all__ = ["check_equal_parts_once", "merge_equal_options_once"]


def merge_equal_options_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Hydra remember which files the overrides of groups choose, and the configuration into which it merges them.

    The overrides of groups and the files of options alone determine both. Hydra itself applies the other overrides to a
    copy. Files that cannot be merged are merged again, so that the error is always raised anew. Nothing is remembered
    while rows are objects of a Python program, which Hydra keeps in memory.
    """
    chosen: dict[tuple[Any, ...], DefaultsList] = {}
    merged: dict[tuple[Any, ...], bytes] = {}
    choose: Callable[..., DefaultsList] = config_loader_impl.create_defaults_list
    merge = ConfigLoaderImpl._compose_config_from_defaults_list

    def choose_once(repo: IConfigRepository, overrides_list: list[Any], **others: Any) -> DefaultsList:
        if ConfigStore.instance().repo.get("row"):
            return choose(repo=repo, overrides_list=overrides_list, **others)
        values = Overrides(repo=repo, overrides_list=overrides_list).config_overrides
        of_values = set(map(id, values))
        groups = tuple(override.input_line for override in overrides_list if id(override) not in of_values)
        key = (files_of(repo), groups, *others.items())
        if key not in chosen:
            chosen[key] = choose(repo=repo, overrides_list=overrides_list, **others)
        return replace(chosen[key], config_overrides=values)

    def merge_once(self: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        if ConfigStore.instance().repo.get("row"):
            return merge(self, defaults, repo)
        key = (files_of(repo), *map(astuple, defaults))
        if key not in merged:
            merged[key] = pickle.dumps(merge(self, defaults, repo))
        copy: DictConfig = pickle.loads(merged[key])
        return copy

    monkeypatch.setattr(config_loader_impl, "create_defaults_list", choose_once)
    monkeypatch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merge_once)


def files_of(repo: IConfigRepository) -> tuple[Any, ...]:
    """Return the folders of options, and the path, the size and the time of the last change of each file in them."""
    folders = tuple(source.path for source in repo.get_sources())
    roots = [Path(folder.removeprefix("file://")) for folder in folders if folder.startswith("file://")]
    files = [path for root in roots for path in sorted(root.rglob("*.yaml"))]
    return folders, *((str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files)


def check_equal_parts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check against the schema remember the result for each value of each key at the top of a configuration.

    The key and its value alone determine the result. Paths of temporary files, which differ in each test, are inserted
    into a copy. If a part does not fit the schema, the whole configuration is checked again, so that the error is
    always raised anew.
    """
    check = compose._merged_with_schema
    schema = pickle.dumps(OmegaConf.structured(ComposedConfig))
    kept: dict[bytes, bytes] = {}

    def check_parts(plain: Any) -> Any:
        paths: dict[str, int] = {}
        try:
            keys = {name: without_paths((name, value), paths) for name, value in plain.items()}
            unknown = {name: plain[name] for name, key in keys.items() if key not in kept}
            if unknown:
                checked = pickle.loads(schema)
                checked.merge_with(OmegaConf.create(unknown))
                for name in unknown:
                    part = checked._get_node(name)
                    part._set_parent(None)
                    kept[keys[name]] = without_paths(part, paths)
            merged = pickle.loads(schema)
            for name, key in keys.items():
                part = with_paths(kept[key], paths)
                part._set_parent(merged)
                merged._content[name] = part
        except Exception:
            return check(plain)
        return merged

    monkeypatch.setattr(compose, "_merged_with_schema", check_parts)


def without_paths(value: Any, paths: dict[str, int]) -> bytes:
    """Pickle an object with numbers in place of the paths of temporary files.

    Args:
        value: the object.
        paths: number of each path; paths that are not in it are added.
    """
    folder, file = tempfile.gettempdir(), io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, found: object) -> int | None:
            return paths.setdefault(found, len(paths)) if isinstance(found, str) and folder in found else None

    Pickler(file, 5).dump(value)
    return file.getvalue()


def with_paths(pickled: bytes, paths: dict[str, int]) -> Any:
    """Return the object that `without_paths` pickled, with the given paths in place of the numbers."""
    found = list(paths)

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, number: int) -> str:
            return found[number]

    return Unpickler(io.BytesIO(pickled)).load()
