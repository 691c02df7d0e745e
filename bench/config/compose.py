"""Functions that turn a command line into a configuration of `bench.config.schema`, or into one error message.

This module does not import torch. The program therefore needs only about a second to list the experiments or to refuse
a bad key.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from os.path import isfile
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from bench.config import schema
from bench.config.experiment_configs import CollectingConfig
from bench.config.kinds import kind_of
from bench.config.option_files import (
    PACKAGES,
    conf_dir,
    did_you_mean,
    folders_of,
    groups,
    option_file,
    options,
    package_of,
    refuse_unreadable,
)
from bench.config.overrides import group_of, key_of, parse, parse_all, values_of
from bench.config.schema import (
    COMPILE,
    CONTROLS,
    DTYPES,
    EXPORT,
    FETCH,
    MASKS,
    PRECISIONS,
    STAGES,
    ComposedConfig,
    VaeSpec,
)
from bench.config.used_keys import Usage
from bench.errors import BadInputError
from bench.runtime.own_yaml import read_own_yaml
from bench.runtime.strict_json import LARGEST_INTEGER

__all__ = [
    "changing",
    "checked",
    "compose_config",
    "conf_dir",
    "experiments",
    "for_each",
    "group_of",
    "key_of",
    "one_message",
    "refuse_unused",
    "typed",
    "usage_of",
    "with_decoder_rows",
]

WRONG_TYPES = {
    re.compile(r"Value '(?P<found>.*)' of type '\w+' could not be converted to Integer", re.DOTALL): "a whole number",
    re.compile(r"Value '(?P<found>.*)' of type '\w+' could not be converted to Float", re.DOTALL): "a number",
    re.compile(r"Value '(?P<found>.*)' is not a valid bool", re.DOTALL): "true or false",
    re.compile(r"Cannot convert '\w+' to string: '(?P<found>.*)'", re.DOTALL): "a text",
    re.compile(r"(field '[^']*' is not Optional|Incompatible value 'None' for field of type)(?P<found>)"): "a value",
    re.compile(r"Cannot assign (?P<found>\w+) to Dict"): "a mapping of keys to values",
}
"""Patterns of OmegaConf's messages about a value of a wrong type. Each pattern has a description of the expected type.
"""
COMPOSING = re.compile(r"In '(?P<option>[^']+)': \w+ raised.*?:\n(?P<said>.*?)\n\s*full_key: (?P<key>\S+)", re.DOTALL)
"""Pattern of Hydra's message about the file of an option, if the file's content does not fit the schema."""
RENAMED = {"features": "metrics", "parts": "mini_models", "sets": "set_metrics", "kind": "_target_"}
"""Former names of keys and groups, each with its present name."""
CELL = 8
"""Side, in image pixels, of the square to which one position of the latents corresponds."""
RESOLVERS = (
    "oc.env", "oc.select", "oc.decode", "oc.create", "oc.deprecated", "oc.dict.keys", "oc.dict.values", "part_of",
)  # fmt: skip
"""Names of the resolvers that an interpolation such as `${oc.env:HOME}` may use: OmegaConf's own, and `part_of`."""

OWN = ("experiment", "experiments", "out", "each", "gate", "seeds", "seeds_from", "card")
"""Keys that only a collection itself uses. It does not pass their overrides on to its experiments."""

NEUTRAL = (
    "experiment", "experiments", "stage", "device", "batch_size", "strip_rows", "compile", "out", "overwrite",
    "save_images", "keep_features", "features_dtype", "paths", "hydra", "controls", "costs", "verbose", "fresh", "each",
    "tex", "gate", "seeds", "seeds_from", "card",
)  # fmt: skip
"""Keys and groups whose overrides do not change the numbers in the paper's tables."""
OFFERED = ("profile=", "baseline=", "baseline.", "dataset=imagenet_archive", "dataset.pictures.ground_truth=")
"""Beginnings of further overrides with which a table still counts as the paper's table, and not as "custom".

They only choose between alternatives that the project offers.
"""
CHECKPOINTS = (".ckpt", ".safetensors")
"""Endings of checkpoint files."""

ConfigStore.instance().store(name="schema", node=ComposedConfig)


def part_of(pipeline: str, part: str) -> str:
    """Return the path of one network of a pipeline. The interpolation `${part_of:PIPELINE,PART}` calls this function.

    Args:
        pipeline: folder of a pipeline, or one checkpoint file that contains all networks of the pipeline.
        part: name of the network's folder in the pipeline's folder, such as `vae`.

    Returns:
        The folder of the network. If `pipeline` is a checkpoint file, the result is `pipeline` itself.
    """
    is_one_file = Path(pipeline).is_file() or Path(pipeline).suffix in CHECKPOINTS
    return pipeline if is_one_file else f"{pipeline}/{part}"


OmegaConf.register_new_resolver("part_of", part_of, replace=True)


def experiments() -> dict[str, str]:
    """Return the description of every experiment in the folder `conf/experiment`. The key is the experiment's name."""
    found = {}
    for path in sorted((conf_dir() / "experiment").glob("*.yaml")):
        found[path.stem] = str(read_own_yaml(path)["description"])
    return found


def compose_config(overrides: list[str]) -> DictConfig:
    """Compose a configuration from the overrides of a command line.

    Raises:
        BadInputError: Hydra cannot compose the configuration. The message names the key and the allowed values.
    """
    parse_all(overrides)
    try:
        return _composed(overrides)
    except Exception as error:  # Hydra, OmegaConf and YAML have no common error class
        raise BadInputError(_why_not_composed(error, overrides)) from error


def _composed(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
        return compose("config", overrides=overrides)


def typed(composed: DictConfig) -> tuple[ComposedConfig, dict[str, Any]]:
    """Check a composed configuration against the schema.

    Returns:
        The configuration as objects of the schema's classes, and the same configuration as plain data. In both, all
            interpolations are resolved.

    Raises:
        BadInputError: a key is not in the schema, or a value is missing, not allowed or of a wrong type.
    """
    try:
        # Convert to plain data first, so that keys added with `+` are checked against the schema as well.
        merged = _merged_with_schema(OmegaConf.to_container(composed, resolve=True))
        resolved = OmegaConf.to_container(merged, throw_on_missing=True)
        config = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, RecursionError) as error:
        missing_keys = list(_missing(OmegaConf.to_container(composed, resolve=False)))
        if missing_keys:
            raise BadInputError(
                f"{missing_keys[0]}: expected a value, found none; {missing_keys[0]}=VALUE sets it"
            ) from error
        raise BadInputError(one_message(error)) from error
    if not isinstance(config, ComposedConfig) or not isinstance(resolved, dict):
        raise TypeError("the schema did not give a ComposedConfig")
    _refuse_unwritable_numbers(resolved)
    _validate(config)
    return config, typing.cast(dict[str, Any], resolved)


def _merged_with_schema(plain: Any) -> Any:
    return OmegaConf.merge(OmegaConf.structured(ComposedConfig), OmegaConf.create(plain))


def checked(overrides: list[str]) -> tuple[ComposedConfig, dict[str, Any]]:
    """Return the checked configuration of a run, in the two forms that `typed` returns.

    If the overrides name a `decoder.checkpoint`, the configuration of a table includes the rows of this decoder.

    Raises:
        BadInputError: the configuration from the overrides is not valid, or one of the overrides would change nothing.
    """
    composed = compose_config(overrides)
    config, resolved = typed(composed)
    words = with_decoder_rows(config, overrides)
    if words != overrides:
        composed = compose_config(words)
        config, resolved = typed(composed)
    refuse_unused(config, composed, overrides)
    return config, resolved


def refuse_unused(config: ComposedConfig, composed: DictConfig, overrides: Sequence[str]) -> None:
    """Require that every override sets something that the run uses.

    If the run is a collection, an override that one of the collection's experiments uses is accepted too.

    Args:
        config: configuration of the run.
        composed: the same configuration with unresolved interpolations. It includes the rows that `with_decoder_rows`
            adds.
        overrides: the overrides as the user typed them.

    Raises:
        BadInputError: an override would change nothing. The message names the key of this override.
    """
    usage = usage_of(composed, overrides)
    unused = usage.unused(overrides)
    if kind_of(config._target_).collects and unused:
        used = [set(words) for words in for_each(config, list(overrides)).values()]
        unused = [word for word in unused if not any(word in words for words in used)]
    if unused:
        raise BadInputError(usage.refusal(unused[0]))


def usage_of(composed: DictConfig, overrides: Sequence[str]) -> Usage:
    """Return the keys of a composed configuration that the run uses.

    Args:
        composed: configuration with unresolved interpolations.
        overrides: the overrides from which the configuration was composed.

    Raises:
        BadInputError: a value that decides which keys are used cannot be resolved.
    """
    given = any(key_of(word) == "decoder.checkpoint" for word in overrides)
    try:
        return Usage(composed, ("decoder.conditioned",) if given and kind_of(str(composed._target_)).measures else ())
    except OmegaConfBaseException as error:
        raise BadInputError(one_message(error)) from error


def with_decoder_rows(config: ComposedConfig, overrides: list[str]) -> list[str]:
    """Add an override that chooses the rows of the decoder in `decoder.checkpoint`, if the overrides set this key.

    A decoder with a branch has one row with the mask and one row without the mask. Other decoders have only the row
    without the mask.

    Args:
        config: configuration that was composed from the overrides.
        overrides: the overrides as the user typed them.

    Returns:
        `overrides` and one more override. The result is only `overrides` if they set no `decoder.checkpoint`, if the
            experiment measures no rows, or if one of the decoder's rows is already chosen.
    """
    given = any(key_of(word) == "decoder.checkpoint" for word in overrides)
    if config.decoder is None or not given or not kind_of(config._target_).measures:
        return overrides
    own = [f"decoder_{ending}" for ending in (("mask", "nomask") if config.decoder.conditioned else ("nomask",))]
    if set(own) & set(config.rows):
        return overrides
    return [*overrides, f"row=[{','.join([*config.rows, *own])}]"]


def changing(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that change the paper's table. If the list is not empty, the run is labelled custom.

    Overrides of keys in `NEUTRAL` and overrides that begin as in `OFFERED` do not change the table. An override of
    `generator.tokenizer` does not change it either, because it only sets the path of a file. An override of
    `profile.decoders.vanilla` does not change it if another override sets `paths.sd_inpainting` to the same path.
    """
    values = dict(word.partition("=")[::2] for word in overrides)
    own_files = {"generator.tokenizer"}  # a checkpoint file contains no tokenizer
    if values.get("profile.decoders.vanilla") == values.get("paths.sd_inpainting"):
        own_files.add("profile.decoders.vanilla")
    return [
        word
        for word in overrides
        if group_of(word) not in NEUTRAL and not word.startswith(OFFERED) and key_of(word) not in own_files
    ]


def for_each(config: ComposedConfig | CollectingConfig, overrides: list[str]) -> dict[str, list[str]]:
    """Return the overrides with which a collection runs each of its experiments. The key is the experiment's name.

    For the experiment NAME, the list consists of `experiment=NAME`, the overrides in `config.each` under `all` and
    under NAME, and `overrides` without those of keys in `OWN`. Overrides under `all` and in `overrides` are left out if
    the experiment does not use them. If the experiment's configuration cannot be composed, all of them are kept.

    Args:
        config: configuration of the collection.
        overrides: overrides of the collection's run. They take precedence over the overrides in `config.each`.
    """
    shared = [word for word in overrides if group_of(word) not in OWN]
    everywhere = config.each.get("all", [])
    found = {}
    for name in config.experiments:
        words = [f"experiment={name}", *everywhere, *config.each.get(name, []), *shared]
        try:
            unused = usage_of(compose_config(words), words).unused([*everywhere, *shared])
        except BadInputError:
            unused = []  # the experiment's own run reports the error
        found[name] = [word for word in words if word not in unused]
    return found


def one_message(error: BaseException, folders: Sequence[Path] = ()) -> str:
    """Turn an error of Hydra or OmegaConf into one message. It names the key and the allowed values if they are known.

    Args:
        error: error that Hydra or OmegaConf raised.
        folders: folders of configuration files, in which options are looked up. If the list is empty, options are
            looked up in the project's folder `conf`.
    """
    deeper = error.__cause__
    if isinstance(error, HydraException) and isinstance(deeper, OmegaConfBaseException):
        return one_message(deeper, folders)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        return _no_such_option(Path(missing), folders or [conf_dir()])
    if isinstance(error, RecursionError):
        return (
            "configuration: expected values, found interpolations such as ${KEY} that refer to each other in a circle"
        )
    composing = COMPOSING.search(str(error))
    if composing:
        return f"{_plain_message(composing['key'], composing['said'])} (in the option {composing['option']})"
    if not isinstance(error, OmegaConfBaseException) or not error.full_key:
        return " ".join(lines)
    key, parent = str(error.full_key), error.parent_node
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and isinstance(parent, DictConfig):
        kind = parent._metadata.object_type
        allowed = [item.name for item in fields(kind)] if is_dataclass(kind) else [str(name) for name in parent]
        name = key.rpartition(".")[2]
        deeper_keys = [one for one in _keys(parent, key.rpartition(".")[0]) if one.endswith(f".{name}")]
        close = (
            f"; did you mean {deeper_keys[0]}?"
            if len(deeper_keys) == 1
            else did_you_mean(name, [*allowed, *(groups([conf_dir()]) if "." not in key else [])])
        )
        return _no_such_key(key, allowed, close)
    empty = re.search(r"interpolation '\$\{([\w.]+)\}': Incompatible value 'None'", lines[0])
    if empty:
        return f"{empty[1]}: expected a value, found none; {empty[1]}=VALUE sets it"
    if isinstance(error, InterpolationToMissingValueError | MissingMandatoryValue):
        missing_key = lines[0].rpartition(": ")[2]
        return f"{missing_key}: expected a value, found none; {missing_key}=VALUE sets it"
    if isinstance(error, UnsupportedInterpolationType):
        unknown = lines[0].rpartition(" ")[2]
        known = ", ".join(RESOLVERS)
        return (
            f"{key}: expected an interpolation ${{NAME:…}} whose NAME is one of {known}, found "
            f"{unknown}{did_you_mean(unknown, RESOLVERS)}"
        )
    if "Recursive interpolation" in lines[0]:
        return f"{key}: expected a value, found an interpolation that refers back to {key}"
    return _plain_message(key, lines[0])


def _plain_message(key: str, said: str) -> str:
    """Translate OmegaConf's message about a key's value into this project's wording.

    Args:
        key: full name of the key.
        said: OmegaConf's message.

    Returns:
        The translation. If this project has no wording for the message, the result is OmegaConf's message. The key is
            added in front if the message does not begin with it.
    """
    if "is not a ListConfig" in said:
        return f"{key}: expected a list, such as {key}=[A,B], found a single value"
    if "Cannot merge DictConfig with ListConfig" in said:
        return (
            f"{key}: expected a mapping of keys to values, found a list{did_you_mean(key, list(groups([conf_dir()])))}"
        )
    for pattern, wanted in WRONG_TYPES.items():
        if wrong := pattern.match(said):
            return f"{key}: expected {wanted}, found {wrong['found'] or _nothing(said)}"
    unknown = re.match(r"Key '(?P<name>\w+)' not in '(?P<kind>\w+)'", said)
    if unknown:
        kind = getattr(schema, unknown["kind"], None)
        allowed = [item.name for item in fields(kind)] if is_dataclass(kind) else []
        return _no_such_key(key, allowed, did_you_mean(unknown["name"], allowed))
    return said if said.startswith(key) else f"{key}: {said}"


def _no_such_key(key: str, allowed: Sequence[str], close: str) -> str:
    """Return the message that a key does not exist.

    If the key was renamed, the message states the new name. Otherwise it lists the allowed keys.

    Args:
        key: full name of the key.
        allowed: names of the keys that exist at the same level; empty if they are not known.
        close: end of the message, which suggests a similar key.
    """
    name = key.rpartition(".")[2]
    if name in RENAMED:
        return f"{key}: no such key; it is called {RENAMED[name]} now"
    known = f"; allowed are {', '.join(allowed)}" if allowed else ""
    return f"{key}: no such key{known}{close}"


def _keys(node: DictConfig, prefix: str) -> Iterator[str]:
    """Yield the full name of every key below a node, such as `paths.store`. No value is resolved.

    Args:
        node: part of a configuration.
        prefix: full name of the key that has this part; "" for the whole configuration.
    """
    for name, below in node.items_ex(resolve=False):
        word = name if isinstance(name, str) else repr(name)
        key = f"{prefix}.{word}" if prefix else word
        yield key
        if isinstance(below, DictConfig) and not below._is_none() and not below._is_missing():
            yield from _keys(below, key)


def _nothing(said: str) -> str:
    return "an empty text" if said.startswith("Value ''") else "null"


def _no_such_option(missing: Path, folders: Sequence[Path]) -> str:
    """Return the error message about an option that has no file, such as `row/nonsense`.

    Args:
        missing: path of the option that Hydra did not find, relative to a folder of configuration files.
        folders: folders in which options are looked up.
    """
    there = groups(folders)
    parents = (parent for parent in missing.parents if parent.as_posix() in there)
    group, name = (next(parents).as_posix(), missing.stem) if missing.parent.name else (missing.name, "")
    known = options(group, folders)
    found = f"{missing}, which does not exist" if name else "none"
    unlike = next((file for folder in folders if isfile(file := folder / group / f"{name}.yml")), None)
    if unlike is not None:
        return f"{unlike}: expected a file name that ends in .yaml, found .yml"
    return f"{group}: expected one of {', '.join(known)}, found {found}{did_you_mean(name, known)}"


def _why_not_composed(error: Exception, overrides: list[str]) -> str:
    folders = folders_of(overrides)
    _refuse_nameless_options(overrides, folders)
    refuse_unreadable(folders[1:])
    chosen = [(override.key_or_group, name) for override in map(parse, overrides) for name in values_of(override)]
    for group, name in chosen:
        file = option_file(group, name, folders) if group in PACKAGES else None
        if file is not None and package_of(file, group) == group:
            wanted = PACKAGES[group].format(name=file.stem)
            return f"{file}: expected `# @package {wanted}` as the first line, found no such line"
    if not any(key_of(word) == "experiment" for word in overrides):
        mistyped = next((word for word in overrides if did_you_mean(key_of(word), ["experiment"])), None)
        found = "none" if mistyped is None else f"{mistyped}; did you mean experiment={mistyped.partition('=')[2]}?"
        return (
            f"experiment: expected experiment=NAME with one of the names {', '.join(options('experiment', folders))}, "
            f"found {found}"
        )
    if isinstance(error, AssertionError):
        return _message_for_empty_group(overrides) or one_message(error)
    if isinstance(error, ValueError) and not isinstance(error, HydraException | OmegaConfBaseException):
        # Hydra's message about `dataset=null` is a bare ValueError.
        nulls = ", ".join(word for word in overrides if word.endswith("=null"))
        return f"{nulls}: {error}" if nulls else one_message(error)
    key = getattr(error.__cause__, "full_key", None)
    message = one_message(error, folders)
    if key or getattr(error, "missing_cfg_file", None):
        return message
    blamed = [word for word in overrides if key_of(word) in message]
    return f"{key_of(blamed[0])}: {message}" if blamed and not message.startswith(key_of(blamed[0])) else message


def _refuse_nameless_options(overrides: list[str], folders: Sequence[Path]) -> None:
    """Require that every override of a group, such as `row=NAME`, has the name of an option or a list of names.

    Raises:
        BadInputError: the value is something else, such as a number, null or a list of lists.
    """
    there = groups(folders)
    for override in map(parse, overrides):
        group, value = override.key_or_group, None if override.is_delete() else override.value()
        names = value if isinstance(value, list) else [value]
        if group in there and not override.is_delete() and not all(isinstance(one, str) for one in names):
            raise BadInputError(
                f"{group}: expected one of {', '.join(options(group, folders))}, found "
                f"{str(override.input_line).partition('=')[2]}"
            )


def _message_for_empty_group(overrides: list[str]) -> str | None:
    """Return the error message for an override such as `decoder.width=2` if no option of the group `decoder` is chosen.

    Return None if no override has this problem.
    """
    below = [word for word in overrides if "." in key_of(word) and not key_of(word).startswith("hydra.")]
    composed = compose_config([word for word in overrides if word not in below])
    usage = usage_of(composed, [])
    for word in below:
        group = group_of(word)
        if group in composed and composed[group] is None:
            if not usage.uses(group):
                return usage.refusal(word)
            known = options(group, folders_of(overrides))
            return (
                f"{key_of(word)}: expected {group}=NAME as well, with one of the names {', '.join(known)}; found "
                f"{group}=null"
            )
    return None


def _missing(node: Any, key: str = "") -> Iterator[str]:
    """Yield the full name of each key at or below `key` that needs a value but has none (OmegaConf's `???`)."""
    if node == MISSING:
        yield key
    below = node.items() if isinstance(node, dict) else ()
    for name, value in below:
        yield from _missing(value, f"{key}.{name}" if key else str(name))


def _refuse_unwritable_numbers(node: Any, key: str = "") -> None:
    """Refuse infinite numbers, NaN, and integers above `LARGEST_INTEGER` or below its negative.

    Many programs cannot read such numbers exactly from a JSON file.

    Raises:
        BadInputError: the configuration contains such a number. The message names the key of this number.
    """
    if isinstance(node, dict | list):
        below = node.items() if isinstance(node, dict) else enumerate(node)
        for name, value in below:
            _refuse_unwritable_numbers(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, float) and not math.isfinite(node):
        raise BadInputError(f"{key}: expected a finite number, found {node}")
    elif isinstance(node, int) and abs(node) > LARGEST_INTEGER:
        raise BadInputError(
            f"{key}: expected a whole number from -{LARGEST_INTEGER} to {LARGEST_INTEGER}, found {node}"
        )


def _validate(config: ComposedConfig) -> None:
    """Refuse values that have the right type but are not allowed: numbers out of range, unknown words and empty paths.

    Raises:
        BadInputError: a value is not allowed. The message names the key and the allowed values.
    """
    for name, path in vars(config.paths).items():
        if not path.strip() or "\0" in path:
            found = "an empty text" if not path.strip() else "a text with a null character"
            raise BadInputError(f"paths.{name}: expected a path, found {found}")
    _one_of("stage", config.stage, (STAGES[0], FETCH, EXPORT, *STAGES[1:]))
    _positive(config, "", "limit", "turns")
    if config.masks is not None:
        _one_of("masks", config.masks, MASKS)
    if config.batch_size != "auto" and not (isinstance(config.batch_size, int) and config.batch_size >= 1):
        raise BadInputError(f"batch_size: expected auto or a whole number of 1 or more, found {config.batch_size}")
    _positive(config, "", "strip_rows")
    if config.compile is not None:
        _one_of("compile", config.compile, COMPILE)
    _one_of("features_dtype", config.features_dtype, DTYPES)
    for control in config.controls:
        _one_of("controls", control, CONTROLS)
    kind = kind_of(config._target_)
    kind.config.check(config)
    if kind.measures:
        _positive(config.profile, "profile.", "resolution", "steps")
        if config.profile.resolution % CELL:
            raise BadInputError(
                f"profile.resolution: expected a multiple of {CELL}, because each position of the latents stands for "
                f"{CELL}×{CELL} pixels; found {config.profile.resolution}"
            )
        _positive(config.dataset, "dataset.", "items")
        if config.profile.fid_minimum < 2:
            raise BadInputError(f"profile.fid_minimum: expected 2 or more, found {config.profile.fid_minimum}")
    if config.rehearsal is not None:
        _positive(config.rehearsal, "rehearsal.", "steps")
    if config.mini_models is not None:
        _positive(config.mini_models, "mini_models.", "per_class", "dev_per_class")
    for name in ("width", "depth") if config.decoder is not None else ():
        if getattr(config.decoder, name) <= 0:
            raise BadInputError(f"decoder.{name}: expected more than 0, found {getattr(config.decoder, name)}")
    if config.name in ("", ".", "..") or "/" in config.name:
        raise BadInputError(
            "name: expected a name that a folder can have, without the character /, found "
            f"{config.name or 'an empty text'}"
        )
    for row, spec in config.rows.items():
        if spec.control is not None:
            _one_of(f"rows.{row}.control", spec.control, CONTROLS)
    for name, vae in config.vaes.items():
        _validate_vae(f"vaes.{name}", vae)
    if config.seed < 0:
        raise BadInputError(f"seed: expected 0 or more, found {config.seed}")


def _validate_vae(key: str, vae: VaeSpec) -> None:
    if not vae.path.strip():
        raise BadInputError(f"{key}.path: expected a folder, found an empty text")
    if vae.space and not re.fullmatch(r"\w[\w.-]*", vae.space):
        raise BadInputError(
            f"{key}.space: expected a name of letters, digits, '.', '_' and '-' that begins with a letter or a digit, "
            f"because it is also the name of a folder, found {vae.space}"
        )
    for precision in vae.precisions:
        _one_of(f"{key}.precisions", precision, PRECISIONS)
    if not vae.precisions or len(set(vae.precisions)) < len(vae.precisions):
        raise BadInputError(
            f"{key}.precisions: expected one or more of {', '.join(PRECISIONS)}, each of them once, found "
            f"{', '.join(vae.precisions) or 'none'}"
        )
    revision = None if vae.hub is None else vae.hub.revision
    if revision is not None and not re.fullmatch("[0-9a-f]{40}", revision):
        raise BadInputError(f"{key}.hub.revision: expected a commit, 40 hexadecimal digits, found {revision}")
    for file, size in vae.files.items():
        if size is not None and size < 1:
            raise BadInputError(f"{key}.files: expected a size of 1 byte or more, found {size} for {file}")


def _positive(node: object, prefix: str, *names: str) -> None:
    for name in names:
        value = getattr(node, name)
        if value is not None and value < 1:
            raise BadInputError(f"{prefix}{name}: expected 1 or more, found {value}")


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        found = f"{value}{did_you_mean(value, allowed)}" if value else "an empty text"
        raise BadInputError(f"{key}: expected one of {', '.join(allowed)}, found {found}")
