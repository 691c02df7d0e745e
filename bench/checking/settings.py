"""What of a table's configuration its run uses, and whether that is right, whatever files are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.masks import preset
from bench.errors import BadInputError
from bench.generation.pipelines import located
from bench.objects import check_targets, require_target
from bench.results import check_writable
from bench.schema import Row, TableSpec
from bench.tables.build import check_table, styles_of

__all__ = ["check_settings", "used"]


def used(resolved: Mapping[str, Any], spec: TableSpec, rows: Mapping[str, Row]) -> dict[str, Any]:
    """The configuration without rows of other controls and measures of other tasks; hub ids are their local folders.

    Args:
        resolved: as plain data.
        spec: of the table.
        rows: that the run has.

    Raises:
        BadInputError: the table's task is not one of the features', or that one names a measure that they do not have.
    """
    features, task = resolved["features"], spec.task
    if task not in features["tasks"]:
        raise BadInputError(f"table.task: expected one of {', '.join(features['tasks'])}, found {task}")
    unknown = [name for name in features["tasks"][task] if name not in features["measures"]]
    if unknown:
        known = ", ".join(features["measures"])
        raise BadInputError(f"features.tasks.{task}: expected some of {known}, found {unknown[0]}")
    own = [name for name, measure in features["measures"].items() if task in measure["tasks"]]
    measures = {name: features["measures"][name] for name in dict.fromkeys([*features["tasks"][task], *own])}
    return {
        **resolved,
        "generator": located(resolved["generator"]),
        "features": {**features, "measures": measures},
        "rows": {name: resolved["rows"][name] for name in rows},
    }


def check_settings(nodes: Mapping[str, Any], spec: TableSpec, rows: Mapping[str, Row]) -> None:
    """See that targets and arguments are right.

    Args:
        nodes: what `used` gives.
        spec: of the table.
        rows: that the run has.

    Raises:
        BadInputError: something is not; the message names the key.
    """
    check_table(spec, rows, styles_of(nodes["features"]["measures"]))
    for name in ("store", "data"):
        if not Path(nodes["paths"][name]).is_dir():  # one that is there and cannot be written may have all of it
            check_writable(nodes["paths"][name], f"paths.{name}")
    try:
        preset(nodes["profile"]["masks"])
    except ValueError as error:
        raise BadInputError(f"profile.masks: {error}") from error
    require_target(nodes["generator"], "generator", given=("device",))
    require_target(nodes["dataset"]["pictures"], "dataset.pictures")
    check_targets(nodes["profile"]["datasets"], "profile.datasets")
    for name, measure in nodes["features"]["measures"].items():
        require_target(measure["measure"], f"features.measures.{name}.measure")
    for name, row in nodes["rows"].items():
        if row["method"] is not None:
            require_target(row["method"], f"rows.{name}.method")
