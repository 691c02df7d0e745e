"""Loads the measures for a scoring.

A measure is not used if the file of its network is not on this machine, or if its network is in a Python package that
is not installed.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import OmegaConf

from bench.checking.required_paths import Need, needs
from bench.config.instantiate import make, weight_files
from bench.config.option_files import conf_dir
from bench.config.paths import Paths
from bench.config.schema import MeasureSpec, Metrics, Profile
from bench.errors import BadInputError, outcome
from bench.evaluation.scoring import features_of, measure_protocols, minimums_of
from bench.metrics.measure import Measure
from bench.runtime.not_available import NotAvailable
from bench.tables.build import Styles, styles_of

__all__ = ["Measures", "load_measures"]

SETS: Mapping[str, tuple[str, str]] = {
    "default": ("score", "paper"),
    "paper": ("paper", "paper"),
    "mini": ("mini", "mini"),
}
"""For each set of measures that a caller may name: the option of the configuration group `metrics`, and the option of
the group `profile`, which names the files of the networks."""
METRICS_OF: Mapping[str, tuple[str, ...]] = {
    "lpips": ("lpips",),
    "dists": ("dists",),
    "dists_known": ("dists_known",),
    "clip": ("clip_score",),
    "prompt": ("clip_prompt",),
    "efficientnet": ("perceptual_efficientnet",),
}
"""Metrics of single pictures that a measure computes with a network, by the name of the measure."""


NEEDING: Mapping[str, str] = {"clip": "editing", "prompt": "prompted"}
"""Task whose input a measure needs, by the name of the measure."""
GIVEN: Mapping[str, str] = {"editing": "exemplars", "prompted": "prompts"}
"""Argument of `bench.score` that gives the input of a task, by the name of the task."""


@dataclass(frozen=True)
class Measures:
    """The measures of a scoring, and the metrics for which the file of a network is missing."""

    loaded: Mapping[str, Measure]
    """Measures by name, on the device of the scoring."""
    protocols: Mapping[str, Mapping[str, Any]]
    """Everything that can change the values of each measure, by its name."""
    sets: Mapping[str, str]
    """For each metric of a whole set of images, by its name, the name of the features from which it is computed."""
    weights: Mapping[str, str]
    """SHA-256 of every weight file, by path."""
    lacking: Mapping[str, str]
    """For each metric that cannot be computed because a file or a package is missing: the reason, and the command that
    helps."""
    fewest: int
    """Smallest number of pictures with which a Fréchet or kernel distance is computed."""
    minimums: Mapping[str, int]
    """Smallest number of pictures of every metric of a whole set of images, by its name."""
    styles: Styles
    """Style in which each metric is printed, by its name."""
    features: str
    """Name of the feature networks in the headings of a table; empty for the usual ones."""


def load_measures(chosen: str | Sequence[str], tasks: Sequence[str], device: torch.device) -> Measures:
    """Load the measures of a scoring.

    Args:
        chosen: name of a set of measures (`default`, `paper` or `mini`), to load those of its measures that fit the
            tasks; or one or several names of measures of the set `default` or of the group `measure`, such as `text`.
        tasks: names of the scoring's tasks, which are keys of the configuration's `metrics.tasks`.
        device: device on which the networks compute.

    Raises:
        BadInputError: a name is unknown, a chosen measure does not fit the tasks, or a file does not contain the
            network that it should contain.
    """
    option, profile = SETS.get(chosen, SETS["default"]) if isinstance(chosen, str) else SETS["default"]
    resolved = _configuration(option, profile)
    specs: dict[str, Any] = resolved["metrics"]["measures"]
    usual = [name for task in tasks for name in resolved["metrics"]["tasks"].get(task, ())]
    names = _names(chosen, specs, usual)
    for name, task in NEEDING.items():
        if name in names and task not in tasks:
            raise BadInputError(f"{GIVEN[task]}: expected a value, because the measure {name} needs it, found none")
    missing: dict[str, Need] = {}
    for name in names:
        found = needs({name: specs[name]["measure"]}, resolved["paths"])
        absent = next((need for need in found if not need.path.exists()), None)
        if absent is not None:
            missing[name] = absent
    used = {name: specs[name] for name in names if name not in missing}
    by_default = isinstance(chosen, str) and chosen in SETS
    made = {name: _made(spec["measure"], name, optional=by_default) for name, spec in used.items()}
    loaded = {name: measure.to(device) for name, measure in made.items() if not isinstance(measure, NotAvailable)}
    reasons = {name: _advice(need) for name, need in missing.items()}
    reasons |= {name: measure.reason for name, measure in made.items() if isinstance(measure, NotAvailable)}
    used = {name: used[name] for name in loaded}
    weights = {path: sha for name, spec in used.items() for path, sha in weight_files(spec["measure"], name).items()}
    lacking = {
        metric: reason
        for name, reason in reasons.items()
        for metric in (*specs[name]["set_metrics"], *METRICS_OF.get(name, ()))
    }
    fewest = resolved["profile"]["fid_minimum"]
    return Measures(
        loaded,
        measure_protocols({name: measure.protocol for name, measure in loaded.items()}, used, weights),
        features_of(used),
        weights,
        lacking,
        fewest,
        {**dict.fromkeys(features_of(specs), fewest), **minimums_of(specs)},
        styles_of(specs),
        "mini" if option == "mini" else "",
    )


def _made(spec: Mapping[str, Any], name: str, *, optional: bool) -> Measure | NotAvailable:
    """Return the measure that its settings describe.

    Args:
        spec: settings of the measure, with a `_target_`.
        name: name of the measure.
        optional: True to return a message, and not to raise an error, if an extra must be installed first.

    Raises:
        ModuleNotFoundError: a package is not installed, and `optional` is False.
    """
    try:
        made: Measure = make(spec, f"metrics.measures.{name}.measure")
    except ModuleNotFoundError as error:
        found = outcome(error)
        if found is None or not optional:
            raise
        return NotAvailable(found[1])
    return made


def _configuration(metrics: str, profile: str) -> dict[str, Any]:
    """Return the groups `metrics`, `profile` and `paths` of the configuration as plain data.

    The measures are those of the group `metrics` and every option of the group `measure`. Only the files of these
    groups are read, because a scoring has no experiment, and composing a whole configuration takes a second. Of the
    group `profile`, only the key `fid_minimum` is returned.

    Args:
        metrics: option of the group `metrics`.
        profile: option of the group `profile`.
    """
    types = {"metrics": Metrics, "profile": Profile, "paths": Paths}
    options = {"metrics": metrics, "profile": profile, "paths": "default"}
    groups = {
        group: OmegaConf.merge(
            OmegaConf.structured(types[group]), OmegaConf.load(conf_dir() / group / f"{option}.yaml")
        )
        for group, option in options.items()
    }
    for file in sorted((conf_dir() / "measure").glob("*.yaml")):
        own = OmegaConf.merge(OmegaConf.structured(MeasureSpec), OmegaConf.load(file))
        OmegaConf.update(groups["metrics"], f"measures.{file.stem}", own)
    found = OmegaConf.create(groups)
    return {
        "metrics": OmegaConf.to_container(found["metrics"], resolve=True),
        "profile": {"fid_minimum": found["profile"]["fid_minimum"]},
        "paths": OmegaConf.to_container(found["paths"], resolve=True),
    }


def _names(chosen: str | Sequence[str], specs: Mapping[str, Any], usual: Sequence[str]) -> list[str]:
    """Return the names of the measures that a caller chose, each name once.

    Args:
        chosen: name of a set of measures, or one or several names of measures.
        specs: settings of the known measures, by name.
        usual: names of the measures that are used if `chosen` is the name of a set.

    Raises:
        BadInputError: a name is unknown, no measure is chosen, or `chosen` is neither a name nor a list of names.
    """
    if isinstance(chosen, str):
        if chosen in SETS:
            return list(dict.fromkeys(usual))
        chosen = [chosen]
    if not isinstance(chosen, Sequence):
        raise BadInputError(f"measures: expected a name or a list of names, found {type(chosen).__name__}")
    unknown = [name for name in chosen if not isinstance(name, str) or name not in specs]
    if unknown or not chosen:
        raise BadInputError(
            f"measures: expected {', '.join(SETS)}, or some of {', '.join(specs)}, found "
            f"{', '.join(map(str, unknown)) or 'an empty list'}"
        )
    return list(dict.fromkeys(chosen))


def _advice(need: Need) -> str:
    """Return the reason why a metric has no value: a text that names the missing file.

    If the file can be downloaded, the text contains a command that downloads it. For a known file that cannot be
    downloaded, the text names the source of the file.
    """
    reason = f"the file {need.path} is missing"
    asset = need.asset
    if asset is None:
        return reason
    variable = f"; to use a copy at another path, set {asset.variable}=FILE"
    if asset.download is None or asset.download.url is None:
        return f"{reason} ({asset.what}, from {asset.source}){variable}"
    words = shlex.join(["curl", "--location", "--create-dirs", "--output", str(need.path), asset.download.url])
    return f"{reason}; download it with: {words}{variable}"
