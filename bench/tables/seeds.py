"""Classes that read the study of training seeds from `seeds.json`, and select the values that are valid for a run.

The study trains each decoder several times by the same recipe, each time with a different seed. It measures every
trained decoder in every table. The values differ from seed to seed, and an interval over items does not contain this
part of the uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.runtime.not_available import NotAvailable
from bench.runtime.strict_json import read_json

__all__ = [
    "CARD",
    "SEEDS",
    "RowSeeds",
    "RunSeeds",
    "SeedStudy",
    "TableSeeds",
    "Training",
    "trained_decoders",
]

CARD, SEEDS = "card.json", "seeds.json"
"""Names of two files in the folder of a profile's weights.

The card says how the weights were made; the other file contains the study of training seeds.
"""
SCHEMA_VERSION = 1
VANILLA = "vanilla"
"""Name in `profile.decoders` of the pipeline's decoder, which this project did not train."""
SAME = 1e-6
"""Largest relative difference at which two values count as two results of the same measurement."""


@dataclass(frozen=True)
class Training:
    """One training of a row's decoder, with the values that were measured in one table for the trained decoder."""

    seed: int
    """Seed of the training."""
    weights: str
    """SHA-256 of the weight file that this training made."""
    commit: str | None
    """Commit of the code that measured the values; None if it is unknown."""
    dirty: bool | None
    """Whether the code had changes that were not in `commit`; None if this is unknown."""
    metrics: Mapping[str, float]
    """Value of each metric in the unit of `results.json`. Metrics without a value are left out."""


@dataclass(frozen=True)
class RowSeeds:
    """All trainings of one row's decoder. The first training produced the weights that the profile uses."""

    decoder: str
    """Name of the decoder in `profile.decoders`."""
    trainings: tuple[Training, ...]

    def has(self, seed: int, weights: str) -> bool:
        """Return whether the row has a training with the seed `seed` and a weight file with the SHA-256 `weights`."""
        return any((one.seed, one.weights) == (seed, weights) for one in self.trainings)

    def with_training(self, training: Training) -> RowSeeds:
        """Return a copy of the row to which `training` is added.

        If one of the trainings after the first has the same seed, `training` replaces it.
        """
        shipped, *others = self.trainings
        others = sorted([*(one for one in others if one.seed != training.seed), training], key=lambda one: one.seed)
        return replace(self, trainings=(shipped, *others))


@dataclass(frozen=True)
class TableSeeds:
    """One table of the study: the items and protocols with which it was measured, and its rows."""

    experiment: str
    manifest: str
    """SHA-256 of the items' manifest."""
    seed: int
    """Seed of the measuring runs, from which masks and latents are drawn; it is not a training seed."""
    protocols: Mapping[str, str]
    """Hash of the protocol of each metric, by the name of the metric."""
    weights: Mapping[str, str]
    """SHA-256 of each weight file that was used to measure the profile's own decoders, by the file's path.

    Each path is relative to the folder of the card.
    """
    rows: Mapping[str, RowSeeds]
    """Trainings of each row's decoder, by the key of the row."""

    def measured_as(self, other: TableSeeds) -> bool:
        """Return whether this table and `other` were measured with the same items, protocols, weights and latents.

        The study saves no hash of the latents. Therefore the values of each row's first training, whose weights the
        profile uses, are compared. The latents count as the same if these values agree, within a small tolerance, for
        all rows that both tables have.
        """
        if (self.manifest, self.seed) != (other.manifest, other.seed):
            return False
        if (self.protocols, self.weights) != (other.protocols, other.weights):
            return False
        shared = self.rows.keys() & other.rows.keys()
        return all(_same(self.rows[row].trainings[0], other.rows[row].trainings[0]) for row in shared)

    def with_training(self, row: str, training: Training) -> TableSeeds:
        """Return a copy of the table in which `training` is added to the row with the key `row`."""
        return replace(self, rows={**self.rows, row: self.rows[row].with_training(training)})


def _same(one: Training, other: Training) -> bool:
    return (one.seed, one.weights, one.metrics.keys()) == (other.seed, other.weights, other.metrics.keys()) and all(
        math.isclose(value, other.metrics[metric], rel_tol=SAME) for metric, value in one.metrics.items()
    )


@dataclass(frozen=True)
class SeedStudy:
    """The study of training seeds: the metrics of each table, measured for several trainings of each decoder."""

    tables: Mapping[int, TableSeeds] = field(default_factory=dict)
    """Results for each table that was measured, by the number of the table in the paper."""
    recipes_tried: Mapping[str, int] = field(default_factory=dict)
    """Number of training recipes that were tried on the development split, including the chosen recipe.

    The keys are the names of the decoders.
    """
    shipped: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each weight file that the card lists, by the file's path in the folder of the card."""

    @classmethod
    def read(cls, folder: Path) -> SeedStudy:
        """Read the study of training seeds that belongs to a folder of weights.

        The tables come from `seeds.json`, and the numbers of recipes and the hashes of the weights from `card.json`.
        Without `seeds.json`, the result is a study without tables.

        Args:
            folder: folder in which `seeds.json` and `card.json` are looked for. Each of the two files may be absent.

        Raises:
            BadInputError: one of the two files is damaged, or `seeds.json` has an unknown schema version. The message
                names this file.
        """
        card, study = _object(folder / CARD), _object(folder / SEEDS)
        if study and study.get("schema_version") != SCHEMA_VERSION:
            found = study.get("schema_version")
            raise BadInputError(f"{folder / SEEDS}: expected schema_version {SCHEMA_VERSION}, found {found}")
        try:
            tables = {int(number): _table(table) for number, table in study.get("tables", {}).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInputError(
                f"{folder / SEEDS}: expected a study of training seeds, found an error: {type(error).__name__}: {error}"
            ) from None
        return cls(tables, card.get("recipes_tried", {}), card.get("sha256", {}))

    def as_json(self) -> dict[str, Any]:
        """Return the study as plain data in the form of `seeds.json`."""
        tables = {str(number): asdict(table) for number, table in sorted(self.tables.items())}
        return {"schema_version": SCHEMA_VERSION, "tables": tables}

    def values(
        self, table: int, row: str, metric: str, *, manifest: str, protocol: str | None
    ) -> dict[int, float] | NotAvailable:
        """Return the value of a metric for each training of a row's decoder.

        Args:
            table: number of the table in the paper.
            row: key of the row.
            metric: full name of the metric, such as `fid_hole_only` or `fid_40_50`.
            manifest: SHA-256 of the manifest of the run with which the values are combined.
            protocol: hash of the metric's protocol in this run; None if the run has no protocol of the metric.

        Returns:
            Two or more values, whose keys are the training seeds, or the reason why there are no values that can be
            combined with the run. The first value belongs to the weights that the profile uses.
        """
        found = self.tables.get(table)
        if found is None:
            return NotAvailable(f"no decoder with another training seed was measured in Table {table}")
        if row not in found.rows or len(found.rows[row].trainings) < 2:
            return NotAvailable(f"the decoder of {row} was not trained with another seed")
        other = next((path for path, sha in found.weights.items() if self.shipped.get(path, sha) != sha), None)
        if other is not None:
            return NotAvailable(f"the values over training seeds were measured with other weights of {other}")
        if found.manifest != manifest:
            return NotAvailable(
                f"the values over training seeds were measured on the items of manifest {found.manifest[:12]}, "
                f"and this run has manifest {manifest[:12]}"
            )
        if found.protocols.get(metric) != protocol:
            return NotAvailable(
                f"the values over training seeds were measured with another protocol of {metric} than this run uses"
            )
        trainings = found.rows[row].trainings
        if any(metric not in training.metrics for training in trainings):
            return NotAvailable(f"{metric} has no value for every training of {row}")
        return {training.seed: training.metrics[metric] for training in trainings}

    def of_run(
        self,
        table: int,
        *,
        manifest: str,
        protocols: Mapping[str, str],
        decoders: Mapping[str, str],
        altered: Sequence[str] = (),
    ) -> RunSeeds:
        """Return the values of the study that are valid for one run.

        Args:
            table: number of the table in the paper.
            manifest: SHA-256 of the run's manifest.
            protocols: hash of each metric's protocol in the run.
            decoders: name of each row's decoder, as `trained_decoders` returns it.
            altered: overrides of the run that may change its latents or images. If there are any, no value of the study
                is valid for the run.
        """
        return RunSeeds(self, table, manifest, protocols, decoders, tuple(altered))


@dataclass(frozen=True)
class RunSeeds:
    """The values of the study that are valid for one run of a table."""

    study: SeedStudy
    table: int
    """Number of the table in the paper."""
    manifest: str
    """SHA-256 of the run's manifest."""
    protocols: Mapping[str, str]
    """Hash of each metric's protocol in the run."""
    decoders: Mapping[str, str]
    """Name of each row's decoder, as `trained_decoders` returns it."""
    altered: tuple[str, ...] = ()
    """Overrides of the run that may change its latents or images, compared with the runs of the study.

    If there are any, no value of the study is valid for the run.
    """

    def design(self, row: str) -> str | None:
        """Return the name of the row's decoder; None if this project did not train the decoder."""
        return self.decoders.get(row)

    def values(self, row: str, metric: str) -> dict[int, float] | NotAvailable:
        """Return the value of `metric` for each training of the row's decoder. The keys are the training seeds.

        The first value belongs to the weights that the profile uses. If there are no values that are valid for the run,
        the result is the reason for this.
        """
        if self.altered:
            return NotAvailable(
                f"this run has {', '.join(self.altered)}; the values over training seeds were measured without that"
            )
        return self.study.values(self.table, row, metric, manifest=self.manifest, protocol=self.protocols.get(metric))

    def recipes_tried(self, row: str) -> int | None:
        """Return the number of training recipes that were tried for the row's decoder.

        The result is None if this number is unknown, or if this project did not train the decoder.
        """
        return self.study.recipes_tried.get(self.decoders.get(row, ""))


def trained_decoders(rows: Mapping[str, Mapping[str, Any]], decoders: Mapping[str, str]) -> dict[str, str]:
    """Return the decoder's name for each row that has a decoder, except for rows with the pipeline's decoder `vanilla`.

    Args:
        rows: rows of the configuration as plain data, in which all references to other settings are resolved. The keys
            are the keys of the rows.
        decoders: path of each decoder, from `profile.decoders`. The keys are the names of the decoders.

    Returns:
        The decoder's name in `profile.decoders`, or the path of its weights if the profile has no name for them. The
        keys are the keys of the rows.
    """
    names = {path: name for name, path in decoders.items()}
    found = {row: path for row, spec in rows.items() for path in _decoder_paths(spec.get("method"))}
    return {row: names.get(path, path) for row, path in found.items() if names.get(path) != VANILLA}


def _decoder_paths(method: Any) -> Iterator[str]:
    """Yield the path of the decoder that a method uses; yield nothing if the method uses no decoder.

    Some methods process the images of another method. The setting `of` of such a method contains the other method, and
    the path of the other method's decoder is yielded as well.
    """
    if isinstance(method, Mapping):
        if isinstance(decoder := method.get("decoder"), Mapping) and "path" in decoder:
            yield str(decoder["path"])
        yield from _decoder_paths(method.get("of"))


def _object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file contains; an empty object if there is no such file.

    Raises:
        BadInputError: the file exists but does not contain a JSON object.
    """
    try:
        return read_json(path)
    except FileNotFoundError:
        return {}


def _table(found: Mapping[str, Any]) -> TableSeeds:
    return TableSeeds(**{**found, "rows": {key: _row(row) for key, row in found["rows"].items()}})


def _row(found: Mapping[str, Any]) -> RowSeeds:
    trainings = tuple(Training(**training) for training in found["trainings"])
    if not trainings:
        raise ValueError(f"the list of trainings is empty for a row of the decoder {found['decoder']}")
    return RowSeeds(str(found["decoder"]), trainings)
