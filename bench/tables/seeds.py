"""The study of several trainings of the same recipe in the paper's tables: the card's `seeds.json`, and its reader.

A decoder's recipe is trained several times, each time with another seed, and every training is measured in every table.
The spread between these values is the part of a table's uncertainty that no interval over items contains.
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
"""Files in the folder of a profile's weights: how the weights were made, and the study of training seeds."""
SCHEMA_VERSION = 1
VANILLA = "vanilla"
"""Name in `profile.decoders` of the decoder that belongs to the pipeline."""
SAME = 1e-6
"""Largest relative difference of two values that are taken for the same measurement made again."""


@dataclass(frozen=True)
class Training:
    """One training of a row's decoder, with the values that a table measured for it."""

    seed: int
    """Training seed."""
    weights: str
    """SHA-256 of the weight file."""
    commit: str | None
    """Commit of the code that measured the values; None if it is unknown."""
    dirty: bool | None
    """Whether that code had local changes; None if this is unknown."""
    metrics: Mapping[str, float]
    """Value of every metric of `results.json` that has one, in the unit of that file."""


@dataclass(frozen=True)
class RowSeeds:
    """All trainings of one row's decoder, the shipped one first."""

    decoder: str
    """Name of the decoder in `profile.decoders`, which is also the name of the trained part."""
    trainings: tuple[Training, ...]

    def has(self, seed: int, weights: str) -> bool:
        """Return whether weights were already measured as those of a training seed."""
        return any((one.seed, one.weights) == (seed, weights) for one in self.trainings)

    def with_training(self, training: Training) -> RowSeeds:
        """Return the row with one more training, which replaces an earlier one with the same seed."""
        shipped, *others = self.trainings
        others = sorted([*(one for one in others if one.seed != training.seed), training], key=lambda one: one.seed)
        return replace(self, trainings=(shipped, *others))


@dataclass(frozen=True)
class TableSeeds:
    """One table of the study: its items, its protocols and its rows."""

    experiment: str
    manifest: str
    """SHA-256 of the items' manifest."""
    seed: int
    """Seed of the runs, which draws masks and latents; it is independent of the training seeds."""
    protocols: Mapping[str, str]
    """Hash of each metric's protocol."""
    weights: Mapping[str, str]
    """SHA-256 of each weight file of the card that the shipped run used, by path in the card's folder."""
    rows: Mapping[str, RowSeeds]
    """Rows by their keys."""

    def measured_as(self, other: TableSeeds) -> bool:
        """Return whether both tables were measured on the same items, by the same protocols and from the same latents.

        Latents have no hash here. They are taken to be the same if the shipped decoders have the same values.
        """
        if (self.manifest, self.seed) != (other.manifest, other.seed):
            return False
        if (self.protocols, self.weights) != (other.protocols, other.weights):
            return False
        shared = self.rows.keys() & other.rows.keys()
        return all(_same(self.rows[row].trainings[0], other.rows[row].trainings[0]) for row in shared)

    def with_training(self, row: str, training: Training) -> TableSeeds:
        """Return the table with one more training of one of its rows."""
        return replace(self, rows={**self.rows, row: self.rows[row].with_training(training)})


def _same(one: Training, other: Training) -> bool:
    return (one.seed, one.weights, one.metrics.keys()) == (other.seed, other.weights, other.metrics.keys()) and all(
        math.isclose(value, other.metrics[metric], rel_tol=SAME) for metric, value in one.metrics.items()
    )


@dataclass(frozen=True)
class SeedStudy:
    """The values of each table's metrics for several training seeds."""

    tables: Mapping[int, TableSeeds] = field(default_factory=dict)
    """Tables by their numbers in the paper."""
    recipes_tried: Mapping[str, int] = field(default_factory=dict)
    """Number of recipes tried on the development split, including the chosen one, by the decoder's name."""
    shipped: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the card's weight files, by their paths in its folder."""

    @classmethod
    def read(cls, folder: Path) -> SeedStudy:
        """Return the study in a folder of weights, without tables if the folder has no `seeds.json`.

        Args:
            folder: folder with `seeds.json` and `card.json`, each of which may be absent.

        Raises:
            BadInputError: one of the files exists and cannot be read; the message names it.
        """
        card, study = _object(folder / CARD), _object(folder / SEEDS)
        if study and study.get("schema_version") != SCHEMA_VERSION:
            found = study.get("schema_version")
            raise BadInputError(f"{folder / SEEDS}: expected schema_version {SCHEMA_VERSION}, found {found}")
        try:
            tables = {int(number): _table(table) for number, table in study.get("tables", {}).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInputError(
                f"{folder / SEEDS}: expected a study of training seeds, found {type(error).__name__}: {error}"
            ) from None
        return cls(tables, card.get("recipes_tried", {}), card.get("sha256", {}))

    def as_json(self) -> dict[str, Any]:
        """Return the content of `seeds.json`."""
        tables = {str(number): asdict(table) for number, table in sorted(self.tables.items())}
        return {"schema_version": SCHEMA_VERSION, "tables": tables}

    def values(
        self, table: int, row: str, metric: str, *, manifest: str, protocol: str | None
    ) -> dict[int, float] | NotAvailable:
        """Return a metric's value for each training seed of a row's decoder, the shipped one first.

        Args:
            table: number of the table in the paper.
            row: key of the row.
            metric: full name of the metric, such as `fid_hole_only` or `fid_40_50`.
            manifest: SHA-256 of the manifest of the run with which the values are combined.
            protocol: hash of the metric's protocol in that run; None if the run has none.

        Returns:
            Two or more values, or the reason why there are none.
        """
        found = self.tables.get(table)
        if found is None:
            return NotAvailable(f"no further training was measured in Table {table}")
        if row not in found.rows or len(found.rows[row].trainings) < 2:
            return NotAvailable(f"the decoder of {row} was not trained again")
        other = next((path for path, sha in found.weights.items() if self.shipped.get(path, sha) != sha), None)
        if other is not None:
            return NotAvailable(f"the values over training seeds were measured with other weights of {other}")
        if found.manifest != manifest:
            return NotAvailable(
                f"the values over training seeds were measured on the items of manifest {found.manifest[:12]}, "
                f"and this run has manifest {manifest[:12]}"
            )
        if found.protocols.get(metric) != protocol:
            return NotAvailable(f"the values over training seeds were measured by another protocol of {metric}")
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
        """Return the values of the study that are valid for one run; the arguments are those of `RunSeeds`."""
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
    """Overrides with which the run's items may have other latents or images than in the study's runs."""

    def design(self, row: str) -> str | None:
        """Return the name of the row's decoder; None for a row without a trained one."""
        return self.decoders.get(row)

    def values(self, row: str, metric: str) -> dict[int, float] | NotAvailable:
        """Return a metric by training seed of the row's decoder, the shipped one first, or why there is no value."""
        if self.altered:
            return NotAvailable(f"the values over training seeds were measured without {', '.join(self.altered)}")
        return self.study.values(self.table, row, metric, manifest=self.manifest, protocol=self.protocols.get(metric))

    def recipes_tried(self, row: str) -> int | None:
        """Return the number of recipes tried for the row's decoder; None if it is unknown or there is no decoder."""
        return self.study.recipes_tried.get(self.decoders.get(row, ""))


def trained_decoders(rows: Mapping[str, Mapping[str, Any]], decoders: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each row's decoder, for rows whose decoder was trained and is not the pipeline's own.

    Args:
        rows: rows of the configuration as resolved plain data.
        decoders: resolved `profile.decoders`, the path of each decoder by its name.

    Returns:
        Name in `profile.decoders` by row, or the path itself for weights that the profile does not name.
    """
    names = {path: name for name, path in decoders.items()}
    found = {row: path for row, spec in rows.items() for path in _decoder_paths(spec.get("method"))}
    return {row: names.get(path, path) for row, path in found.items() if names.get(path) != VANILLA}


def _decoder_paths(method: Any) -> Iterator[str]:
    """Yield the decoder's path in a method, or in the method whose images it takes."""
    if isinstance(method, Mapping):
        if isinstance(decoder := method.get("decoder"), Mapping) and "path" in decoder:
            yield str(decoder["path"])
        yield from _decoder_paths(method.get("of"))


def _object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is no file.

    Raises:
        BadInputError: the file contains anything else.
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
        raise ValueError(f"a row of the decoder {found['decoder']} without any training")
    return RowSeeds(str(found["decoder"]), trainings)
