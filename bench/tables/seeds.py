"""What several trainings of the same recipe give in the paper's tables: the card's `seeds.json`, and its reader.

A decoder's recipe is trained several times, each time with other random draws, and every training is measured in every
table. The spread between these values is the part of a table's uncertainty that no interval over items contains.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import BadInputError

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
"""The name, in `profile.decoders`, of the decoder that belongs to the pipeline."""
SAME = 1e-6
"""Values that differ by less, relative to their size, are the same measurement made again."""


@dataclass(frozen=True)
class Training:
    """One training of a row's decoder and what a table measured of it."""

    seed: int
    """The training seed."""
    weights: str
    """SHA-256 of the weight file."""
    commit: str | None
    """The commit of the code that measured it; None where it is not known."""
    dirty: bool | None
    """Whether that code had local changes; None where it is not known."""
    metrics: Mapping[str, float]
    """The value of every metric of `results.json` that has one, in the unit in which that file gives it."""


@dataclass(frozen=True)
class RowSeeds:
    """All trainings of one row's decoder, the shipped one first."""

    decoder: str
    """The decoder's name in `profile.decoders`, which is also the name of the part that was trained."""
    trainings: tuple[Training, ...]

    def has(self, seed: int, weights: str) -> bool:
        """Whether these weights were already measured as those of this training seed."""
        return any((one.seed, one.weights) == (seed, weights) for one in self.trainings)

    def with_training(self, training: Training) -> RowSeeds:
        """The row with one more training, which takes the place of an earlier one of the same seed."""
        shipped, *others = self.trainings
        others = sorted([*(one for one in others if one.seed != training.seed), training], key=lambda one: one.seed)
        return replace(self, trainings=(shipped, *others))


@dataclass(frozen=True)
class TableSeeds:
    """One table of the study: its items, its protocols and its rows."""

    experiment: str
    manifest: str
    """SHA-256 of the manifest of its items."""
    seed: int
    """The seed of the runs, which draws masks and latents; it has nothing to do with the training seeds."""
    protocols: Mapping[str, str]
    """The hash of each metric's protocol."""
    weights: Mapping[str, str]
    """SHA-256 of each weight file of the card that the shipped run used, by its path in the card's folder."""
    rows: Mapping[str, RowSeeds]
    """Rows by their keys."""

    def measured_as(self, other: TableSeeds) -> bool:
        """Whether both tables were measured on the same items, by the same protocols and from the same latents.

        Latents have no hash here. They are taken to be the same where the shipped decoders have the same values.
        """
        if (self.manifest, self.seed) != (other.manifest, other.seed):
            return False
        if (self.protocols, self.weights) != (other.protocols, other.weights):
            return False
        shared = self.rows.keys() & other.rows.keys()
        return all(_same(self.rows[row].trainings[0], other.rows[row].trainings[0]) for row in shared)

    def with_training(self, row: str, training: Training) -> TableSeeds:
        """The table with one more training of a row that it has."""
        return replace(self, rows={**self.rows, row: self.rows[row].with_training(training)})


def _same(one: Training, other: Training) -> bool:
    return (one.seed, one.weights, one.metrics.keys()) == (other.seed, other.weights, other.metrics.keys()) and all(
        math.isclose(value, other.metrics[metric], rel_tol=SAME) for metric, value in one.metrics.items()
    )


@dataclass(frozen=True)
class SeedStudy:
    """Values of each table's metrics for several training seeds."""

    tables: Mapping[int, TableSeeds] = field(default_factory=dict)
    """Tables by their numbers in the paper."""
    recipes_tried: Mapping[str, int] = field(default_factory=dict)
    """How many recipes were tried on the development split, by the decoder's name, the chosen one included."""
    shipped: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the weight files that the card ships, by their paths in its folder."""

    @classmethod
    def read(cls, folder: Path) -> SeedStudy:
        """The study in a folder of weights; without tables where it has no `seeds.json`.

        Args:
            folder: holds `seeds.json` and `card.json`, each of which may be absent.

        Raises:
            BadInputError: one of the files is there and cannot be read; the message names it.
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
        """What `seeds.json` holds."""
        tables = {str(number): asdict(table) for number, table in sorted(self.tables.items())}
        return {"schema_version": SCHEMA_VERSION, "tables": tables}

    def values(
        self, table: int, row: str, metric: str, *, manifest: str, protocol: str | None
    ) -> dict[int, float] | str:
        """A metric's value for each training seed of a row's decoder, the shipped one first.

        Args:
            table: the table's number in the paper.
            row: the row's key.
            metric: the full name, such as `fid_hole_only` or `fid_40_50`.
            manifest: SHA-256 of the manifest of the run that the values are to stand beside.
            protocol: the hash of the metric's protocol in that run; None where the run has none.

        Returns:
            Two values or more, or in words why there are none.
        """
        found = self.tables.get(table)
        if found is None:
            return f"no further training was measured in Table {table}"
        if row not in found.rows or len(found.rows[row].trainings) < 2:
            return f"the decoder of {row} was not trained again"
        other = next((path for path, sha in found.weights.items() if self.shipped.get(path, sha) != sha), None)
        if other is not None:
            return f"the card's seeds were measured with other weights of {other}"
        if found.manifest != manifest:
            return f"the card's seeds were measured on other items: manifest {found.manifest[:12]}, not {manifest[:12]}"
        if found.protocols.get(metric) != protocol:
            return f"the card's seeds were measured by another protocol of {metric}"
        trainings = found.rows[row].trainings
        if any(metric not in training.metrics for training in trainings):
            return f"{metric} has no value for every training of {row}"
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
        """The study as it stands to one run of a table; the arguments are those of `RunSeeds`."""
        return RunSeeds(self, table, manifest, protocols, decoders, tuple(altered))


@dataclass(frozen=True)
class RunSeeds:
    """The values of the study that are valid for one run of a table."""

    study: SeedStudy
    table: int
    """The table's number in the paper."""
    manifest: str
    """SHA-256 of the run's manifest."""
    protocols: Mapping[str, str]
    """The hash of each metric's protocol in the run."""
    decoders: Mapping[str, str]
    """The name of each row's decoder, as `trained_decoders` gives it."""
    altered: tuple[str, ...] = ()
    """Overrides of the run that may give its items other latents or images than the study's runs had."""

    def design(self, row: str) -> str | None:
        """The name of the row's decoder; None for a row without a trained one."""
        return self.decoders.get(row)

    def values(self, row: str, metric: str) -> dict[int, float] | str:
        """A metric's value for each training seed of the row's decoder, the shipped one first; or why it has none."""
        if self.altered:
            return f"the card's seeds were measured without {', '.join(self.altered)}"
        return self.study.values(self.table, row, metric, manifest=self.manifest, protocol=self.protocols.get(metric))

    def recipes_tried(self, row: str) -> int | None:
        """How many recipes were tried for the row's decoder; None where they were not counted or it has none."""
        return self.study.recipes_tried.get(self.decoders.get(row, ""))


def trained_decoders(rows: Mapping[str, Mapping[str, Any]], decoders: Mapping[str, str]) -> dict[str, str]:
    """The name of each row's decoder, for the rows whose decoder was trained and is not the pipeline's own.

    Args:
        rows: the configuration's rows as resolved plain data.
        decoders: `profile.decoders`, resolved: the path of each decoder by its name.

    Returns:
        By row, the name in `profile.decoders`; or the path itself, for weights that the profile does not name.
    """
    names = {path: name for name, path in decoders.items()}
    found = {row: path for row, spec in rows.items() for path in _decoder_paths(spec.get("method"))}
    return {row: names.get(path, path) for row, path in found.items() if names.get(path) != VANILLA}


def _decoder_paths(method: Any) -> Iterator[str]:
    """The decoder's path in a method, or in the method whose images it takes."""
    if isinstance(method, Mapping):
        if isinstance(decoder := method.get("decoder"), Mapping) and "path" in decoder:
            yield str(decoder["path"])
        yield from _decoder_paths(method.get("of"))


def _object(path: Path) -> dict[str, Any]:
    """A file's JSON object; empty where there is no file.

    Raises:
        BadInputError: the file holds anything else.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: expected JSON, found something else ({error})") from None
    if not isinstance(found, dict):
        raise BadInputError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def _table(found: Mapping[str, Any]) -> TableSeeds:
    return TableSeeds(**{**found, "rows": {key: _row(row) for key, row in found["rows"].items()}})


def _row(found: Mapping[str, Any]) -> RowSeeds:
    trainings = tuple(Training(**training) for training in found["trainings"])
    if not trainings:
        raise ValueError(f"a row of the decoder {found['decoder']} without any training")
    return RowSeeds(str(found["decoder"]), trainings)
