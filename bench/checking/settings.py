"""Checks of the settings that the run of a table uses. The checks do not open the files that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.checking.dataset_listing import check_fit
from bench.config.instantiate import check_targets, require_target
from bench.config.schema import Row, TableSpec
from bench.data.masks import preset
from bench.errors import BadInputError
from bench.generation.local_files import located
from bench.metrics.names import MetricName
from bench.results.out_folder import check_writable
from bench.store import check_store
from bench.tables.build import check_table, styles_of
from bench.tables.main_table import check_tex

__all__ = ["check_settings", "measure_names", "used"]

FEWEST = 2
"""Smallest number of items of which a distance between sets can be computed."""


def measure_names(metrics: Mapping[str, Any], task: str | None) -> list[str]:
    """Return the names of the measures of a task: those that the task lists, and those that state the task themselves.

    Args:
        metrics: value of the configuration key `metrics`, as plain data.
        task: name of the task; None for a table that measures nothing.
    """
    own = [name for name, measure in metrics["measures"].items() if task in measure["tasks"]]
    return [*dict.fromkeys([*metrics["tasks"].get(task, ()), *own])]


def used(
    resolved: Mapping[str, Any], spec: TableSpec, rows: Mapping[str, Row], further: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a configuration without the rows and measures that the run of a table does not use.

    In the generator's settings, each id of the Hugging Face hub is replaced by its folder in the local cache. An id
    without such a folder stays unchanged.

    Args:
        resolved: the whole configuration as plain data.
        spec: specification of the table.
        rows: rows of the run, by name.
        further: names of measures that the run uses in addition to the measures of the table's task.

    Raises:
        BadInputError: `metrics.tasks` does not contain the table's task, or `metrics.measures` lacks a measure that
            this task or `further` names.
    """
    metrics, task = resolved["metrics"], spec.task
    if task not in metrics["tasks"]:
        raise BadInputError(f"table.task: expected one of {', '.join(metrics['tasks'])}, found {task}")
    tasks = {**metrics["tasks"], task: list(dict.fromkeys([*metrics["tasks"][task], *further]))}
    unknown = [name for name in tasks[task] if name not in metrics["measures"]]
    if unknown:
        known = ", ".join(metrics["measures"])
        raise BadInputError(f"metrics.tasks.{task}: expected only names of measures ({known}), found {unknown[0]}")
    measures = {name: metrics["measures"][name] for name in measure_names({**metrics, "tasks": tasks}, task)}
    return {
        **resolved,
        "generator": located(resolved["generator"]),
        "metrics": {**metrics, "tasks": tasks, "measures": measures},
        "rows": {name: resolved["rows"][name] for name in rows},
    }


def check_settings(nodes: Mapping[str, Any], spec: TableSpec, rows: Mapping[str, Row]) -> None:
    """Check the settings of a table's run before any work.

    The columns of the table and of its short form, the rows and the family of masks must be known. Every name in
    `set_metrics` of a measure must begin with a known statistic. The folders of the store and of data must be usable.
    The way to make pictures square must suit the data set. Every `_target_` must accept its arguments.

    Args:
        nodes: the configuration that `used` returns.
        spec: specification of the table.
        rows: rows of the run, by name.

    Raises:
        BadInputError: a value is invalid. The message names the key.
    """
    styles = styles_of(nodes["metrics"]["measures"])
    check_table(spec, rows, styles)
    check_tex(nodes["tex"], styles)
    for name, measure in nodes["metrics"]["measures"].items():
        if measure["fewest"] is not None and measure["fewest"] < FEWEST:
            key = f"metrics.measures.{name}.fewest"
            raise BadInputError(f"{key}: expected a whole number of at least {FEWEST}, found {measure['fewest']}")
    for name in ("store", "data"):
        if not Path(nodes["paths"][name]).is_dir():  # an existing folder may be complete even if it is read-only
            check_writable(nodes["paths"][name], f"paths.{name}")
    check_store(Path(nodes["paths"]["store"]))
    try:
        preset(nodes["profile"]["masks"])
    except ValueError as error:
        raise BadInputError(f"profile.masks: {error}") from error
    require_target(nodes["generator"], "generator", given=("device",))
    require_target(nodes["dataset"]["pictures"], "dataset.pictures")
    check_fit(nodes["dataset"])
    check_targets(nodes["profile"]["datasets"], "profile.datasets")
    for name, measure in nodes["metrics"]["measures"].items():
        require_target(measure["measure"], f"metrics.measures.{name}.measure")
        for metric in measure["set_metrics"]:
            if MetricName(metric).statistic is None:
                raise BadInputError(
                    f"metrics.measures.{name}.set_metrics: expected names that begin with a known statistic, such as "
                    f"fid, kid_mine or inception_score, found {metric}"
                )
    for name, row in nodes["rows"].items():
        if row["method"] is not None:
            require_target(row["method"], f"rows.{name}.method")
