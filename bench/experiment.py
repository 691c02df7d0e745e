"""One experiment, stage by stage: check, prepare, sample, score, tabulate, report.

Each stage takes what the one before left in the store and leaves its own. What is there is not made again: that is
resume, caching and sharing between experiments in one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas
import torch
from PIL import Image
from rich.console import Console

from bench.config import STAGES, Config, TableSpec
from bench.data.items import Item
from bench.data.manifest import Items, prepare_items
from bench.data.masks import preset
from bench.device import choose_device
from bench.errors import BadInputError
from bench.generation.decoding import Batch, Method
from bench.metrics.known_region import to_uint8
from bench.metrics.scoring import Protocol, Scorer
from bench.metrics.summary import Measurement, RowScores, summarise
from bench.objects import check_targets, identity, make, missing_files, require_target, weight_files
from bench.progress import Progress
from bench.reporting.figures import draw_rows
from bench.results import (
    SCHEMA_VERSION,
    Results,
    check_writable,
    environment,
    open_out,
    portable,
    write_atomically,
    write_json,
)
from bench.seeding import numpy_generator
from bench.store import Arrays, Store, content_key
from bench.tables.build import METRICS, Table, build_table, check_table
from bench.tables.render import frame, print_table, to_csv, to_html, to_latex, to_markdown

__all__ = ["TableExperiment"]

log = logging.getLogger(__name__)
T = TypeVar("T")

SAMPLING_VERSION = 1
"""Raised when the same settings give other latents."""
SHOWN = 6
"""Items in the figure."""
TERMINAL = 108
"""Least width of the printed table in characters."""
PARTS = ("dataset", "generator", "features", "rows")
"""Of the configuration: what names files."""
NEUTRAL = ("experiment", "stage", "device", "batch_size", "out", "save_images", "paths", "hydra")
"""Overrides that change no number; a run with others is labelled custom."""


class TableExperiment:
    """Rows of one table, all decoded from the same latents."""

    def __init__(self, config: Config, resolved: dict[str, Any], overrides: Sequence[str]) -> None:
        """Take a configuration as `bench.config.typed` gives it: as objects and as plain data."""
        self.config, self.resolved, self.overrides = config, resolved, list(overrides)
        self.custom = [word for word in overrides if word.lstrip("+~").partition("=")[0].split(".")[0] not in NEUTRAL]
        self.store = Store(Path(config.paths.store))
        self.device = choose_device(config.device)
        self.seconds: dict[str, float] = {}
        self.latents = {"sampled": 0, "stored": 0}

    def run(self) -> Results:
        """Every stage up to the configured one."""
        wanted = STAGES[: STAGES.index(self.config.stage) + 1]
        with self._stage("check"):
            self.check()
            self.load()
        if "prepare" not in wanted:
            size = sum(Path(path).stat().st_size for path in self.weights)
            print(f"{self.config.name}: all is there, {len(self.methods)} rows and {size / 1e6:.1f} MB of weights")
            return Results(Path(), 0)
        out = open_out(self.config.out, self.config.name)
        if self.config.profile.name != "paper":
            log.info("profile %s: its numbers are comparable with nothing but themselves", self.config.profile.name)
        with self._stage("prepare"):
            items = self.prepare()
        if "sample" not in wanted:
            return Results(out, 0)
        with self._stage("sample"):
            latents = self.sample(items)
        if "score" not in wanted:
            return Results(out, 0)
        with self._stage("score"):
            scores, truth = self.score(items, latents)
        if "tabulate" not in wanted:
            return Results(out, 0)
        with self._stage("tabulate"):
            records = _records(items, scores)
            measured = self.measure(items, scores, truth)
            table = self.tabulate(items, latents, measured, truth.shape[1])
            self._write_numbers(out, items, table, measured, records)
        if "report" in wanted:
            with self._stage("report"):
                self.report(out, items, latents, table)
        self._write_run(out, items)
        return Results(out, 0, table=frame(table), records=records)

    # --- check -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See before any work that all is there: targets, arguments, files, and the table's own settings."""
        nodes = self.resolved
        check_table(self._spec, self.config.rows)
        for name in ("store", "data"):
            check_writable(nodes["paths"][name], f"paths.{name}")
        try:
            preset(self.config.profile.masks)
        except ValueError as error:
            raise BadInputError(f"profile.masks: {error}") from error
        require_target(nodes["generator"], "generator", given=("device",))
        require_target(nodes["features"]["network"], "features.network")
        require_target(nodes["dataset"]["pictures"], "dataset.pictures")
        check_targets(nodes["profile"]["datasets"], "profile.datasets")
        for name, row in nodes["rows"].items():
            require_target(row["method"], f"rows.{name}.method")
        missing = [line for key in PARTS for line in missing_files(nodes[key], key)]
        if missing:
            raise BadInputError("these are missing: " + "; ".join(dict.fromkeys(missing)))

    def load(self) -> None:
        """Load what every row needs, so that a wrong weight file is found before hours of sampling.

        The files are hashed before: what the keys of the store say is what was loaded.
        """
        _ = self.weights, self.generator, self.methods, self.network

    @cached_property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file by its path."""
        return {
            path: sha for key in PARTS if key != "dataset" for path, sha in weight_files(self.resolved[key]).items()
        }

    @property
    def _spec(self) -> TableSpec:
        assert self.config.table is not None  # the configuration was validated
        return self.config.table

    # --- prepare -----------------------------------------------------------------------------------------------------

    def prepare(self) -> Items:
        """Items on disk, with their manifest."""
        profile, dataset = self.config.profile, self.resolved["dataset"]
        limits = [limit for limit in (dataset["items"], self.config.limit) if limit is not None]
        return prepare_items(
            self.store.root / "items",
            make(dataset["pictures"], "dataset.pictures"),
            resolution=profile.resolution,
            masks=preset(profile.masks),
            seed=self.config.seed,
            limit=min(limits, default=None),
        )

    # --- sample ------------------------------------------------------------------------------------------------------

    @cached_property
    def generator(self) -> Any:
        return make(self.resolved["generator"], "generator", device=self.device)

    def sample(self, items: Items) -> list[str]:
        """Latents of every block, in the store; returns their keys."""
        settings = {
            "version": SAMPLING_VERSION,
            "generator": identity(self.resolved["generator"], self.weights),
            "seed": self.config.seed,
        }
        keys = [content_key({**settings, "items": items.lines(start, stop)}) for start, stop in items.blocks()]
        with Progress("sample", len(items)) as progress:
            for key, (start, stop) in zip(keys, items.blocks(), strict=True):
                with self.store.lock("latents", key):
                    if self.store.get("latents", key) is None:
                        self.store.put("latents", key, self._sample_block(items.read(start, stop), progress))
                        self.latents["sampled"] += stop - start
                    else:
                        self.latents["stored"] += stop - start
                        progress.skip(stop - start)
        return keys

    def _sample_block(self, block: list[Item], progress: Progress) -> Arrays:
        parts: dict[str, list[npt.NDArray[np.float32]]] = {"latents": [], "encoded": []}
        for batch in _batches(block, self.config.batch_size):
            image, mask = _tensors(batch)
            ids = [item.id for item in batch]
            latents = self.generator.sample(image, mask, ids, self.config.seed)
            for name, made in (("latents", latents), ("encoded", self.generator.encode(image))):
                parts[name].append(_finite(made, f"sample: {name}", ids).float().cpu().numpy())
            progress.advance(len(batch))
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _latents(self, key: str) -> Arrays:
        arrays = self.store.get("latents", key)
        if arrays is None:
            raise BadInputError(f"latents {key[:12]}… went missing from the store {self.store.root}; run again")
        return arrays

    # --- score -------------------------------------------------------------------------------------------------------

    @cached_property
    def network(self) -> Any:
        return make(self.resolved["features"]["network"], "features.network").to(self.device)

    @cached_property
    def methods(self) -> dict[str, Method]:
        rows = self.resolved["rows"]
        return {name: make(row["method"], f"rows.{name}.method").to(self.device) for name, row in rows.items()}

    @cached_property
    def protocol(self) -> Protocol:
        features = self.resolved["features"]
        return Protocol(features["name"], content_key({"network": identity(features["network"], self.weights)}))

    def score(self, items: Items, latents: list[str]) -> tuple[dict[str, RowScores], npt.NDArray[np.float32]]:
        """Scores of every row, metrics in the order of names, and the truth's features; items as in the manifest."""
        methods = {name: identity(row["method"], self.weights) for name, row in self.resolved["rows"].items()}
        blocks = []
        with Progress("score", len(items)) as progress:
            for latent_key, (start, stop) in zip(latents, items.blocks(), strict=True):
                shared = {"protocol": self.protocol.hash, "items": items.lines(start, stop)}
                keys = {"": content_key({**shared, "row": "truth"})}
                keys |= {
                    name: content_key({**shared, "row": method, "latents": latent_key})
                    for name, method in methods.items()
                }
                with self.store.lock("scores", keys[""]):
                    found = {name: self.store.get("scores", key) for name, key in keys.items()}
                    missing = [name for name, arrays in found.items() if arrays is None]
                    if missing:
                        made = self._score_block(items.read(start, stop), self._latents(latent_key), missing, progress)
                        for name, arrays in made.items():
                            self.store.put("scores", keys[name], arrays)
                        found |= made
                    else:
                        progress.skip(stop - start)
                blocks.append({name: arrays for name, arrays in found.items() if arrays is not None})
        whole = {
            name: {part: np.concatenate([block[name][part] for block in blocks]) for part in sorted(blocks[0][name])}
            for name in ("", *methods)
        }
        truth = whole.pop("")["features"]
        return {
            name: RowScores({part: values for part, values in arrays.items() if part != "features"}, arrays["features"])
            for name, arrays in whole.items()
        }, truth

    def _score_block(
        self, block: list[Item], latents: Arrays, missing: list[str], progress: Progress
    ) -> dict[str, Arrays]:
        """All missing rows of a block, batch by batch: the truth's features are computed once for all of them."""
        parts: dict[str, list[Arrays]] = {name: [] for name in missing}
        places = np.arange(len(block))
        for chosen in _batches(list(places), self.config.batch_size):
            batch_items = [block[place] for place in chosen]
            batch, truth = self._batch(batch_items, latents["latents"][chosen])
            scorer = Scorer(self.network, truth, batch.mask)
            for name in missing:
                if name == "":
                    parts[name].append({"features": scorer.truth_features})
                    continue
                scores = scorer.score(_unit(_finite(self.methods[name](batch), f"score: images of {name}", batch.ids)))
                parts[name].append({**scores.per_item, "features": scores.features})
            progress.advance(len(batch_items))
        return {
            name: {part: np.concatenate([arrays[part] for arrays in batches]) for part in batches[0]}
            for name, batches in parts.items()
        }

    def _batch(self, items: list[Item], latents: npt.NDArray[np.float32]) -> tuple[Batch, torch.Tensor]:
        image, mask = (tensor.to(self.device) for tensor in _tensors(items))
        z = self.generator.decodable(torch.from_numpy(latents))
        ids = tuple(item.id for item in items)
        return Batch(ids, z, image.float() / 127.5 - 1, mask.float()), image

    # --- tabulate ----------------------------------------------------------------------------------------------------

    def measure(
        self, items: Items, scores: dict[str, RowScores], truth: npt.NDArray[np.float32]
    ) -> dict[str, dict[str, Measurement]]:
        """One number, its standard error and its difference to the reference row, for each row and metric."""
        references = [name for name, row in self.config.rows.items() if row.reference]
        return summarise(
            scores,
            truth,
            [line["source"] for line in items.lines()],
            reference=references[0] if references else None,
            fid_minimum=self.config.profile.fid_minimum,
        )

    def tabulate(
        self, items: Items, latents: list[str], measured: dict[str, dict[str, Measurement]], dimensions: int
    ) -> Table:
        """The paper's table with ours beside it."""
        return build_table(
            self._spec,
            self.config.rows,
            measured,
            profile=self._label,
            features=str(self.resolved["features"]["name"]),
            training={name: method.training for name, method in self.methods.items()},
            notes=[*self._notes(items, measured, dimensions), *self._latent_gap(latents)],
        )

    @property
    def _label(self) -> str:
        """The profile, and what the run changes of it."""
        name = self.config.profile.name
        return f"{name}, custom ({', '.join(self.custom)})" if self.custom else name

    def _notes(self, items: Items, measured: dict[str, dict[str, Measurement]], dimensions: int) -> Iterator[str]:
        profile = self.config.profile
        if profile.name != "paper":
            yield (
                f"Measured on the {profile.name} profile: small models and data of this project's own making. The "
                "paper's columns are another world's and stand here for their order only."
            )
        yield "† is not in the paper. ± is one standard error, items of one source taken together."
        references = [row.label for row in self.config.rows.values() if row.reference]
        if references:
            yield (
                f"÷ 2 is half the error of {references[0]}. Differences are paired by item, with 95 % "
                "intervals; their p-values are Holm's over the rows of one column."
            )
        if any(METRICS[name].unit for name in self._spec.columns):
            yield "The paper prints its Pre_error in units of 1e-5 and does not say of what: it stands as printed."
        any_row = next(iter(measured.values()))
        found = any_row["pre_error"]
        yield (
            f"{len(items)} items of {found.sources} sources at {profile.resolution}×{profile.resolution}; "
            f"{dimensions} features ({len(items) / dimensions:.1f} items each); "
            f"{len(items.manifest['dropped'])} pictures left out by the masks' rejection, "
            f"{len(items.manifest['broken'])} broken."
        )
        if any_row["fid"].reason:
            yield f"No FID: {any_row['fid'].reason}."
        floor = any_row["pre_floor"].value
        if floor is not None:
            yield (
                "Pre_error is the mean squared difference in [0, 1] over known pixels of the truncated 8-bit image; "
                f"truncation alone costs about {floor * 1e5:.2f}e-5. The ring are known pixels at most 4 from the hole."
            )
        yield f"Manifest {items.hash[:16]}, protocol {self.protocol.hash[:16]}, seed {self.config.seed}."

    def _latent_gap(self, latents: list[str]) -> Iterator[str]:
        """How far sampled latents are from those that decoders are trained on."""
        blocks = [self._latents(key) for key in latents]
        texts = []
        for channel in range(blocks[0]["latents"].shape[1]):
            sampled, encoded = (
                np.concatenate([block[name][:, channel].ravel() for block in blocks]) for name in ("latents", "encoded")
            )
            texts.append(f"{sampled.mean():+.2f} ({sampled.std():.2f}) for {encoded.mean():+.2f} ({encoded.std():.2f})")
        yield f"Latents by channel, mean (deviation), sampled for encoded: {'; '.join(texts)}."

    # --- report ------------------------------------------------------------------------------------------------------

    def report(self, out: Path, items: Items, latents: list[str], table: Table) -> None:
        """The figure, the terminal's table, and images where they are asked for."""
        chosen = numpy_generator(self.config.seed, "figure").permutation(len(items))[:SHOWN]
        shown, images = self._decode(items, latents, [int(index) for index in chosen])
        (out / "figures").mkdir(exist_ok=True)
        labels = {name: row.label for name, row in self.config.rows.items()}
        draw_rows(
            out / "figures" / "rows.png",
            shown,
            [(labels[name], pictures) for name, pictures in images.items()],
            title=f"{table.title}, profile {table.profile}",
        )
        if self.config.save_images:
            self._save_images(out / "images", items, latents)
        print_table(table, Console(width=max(TERMINAL, Console().width)))
        print(f"\n{out}")

    def _decode(
        self, items: Items, latents: list[str], indices: Sequence[int]
    ) -> tuple[list[Item], dict[str, npt.NDArray[np.uint8]]]:
        """Some items, and each row's images of them as uint8 N×S×S×3."""
        chosen = items.pick(indices)
        size = next(items.blocks())[1]
        arrays = [self._latents(latents[index // size])["latents"][index % size] for index in indices]
        batch, _ = self._batch(chosen, np.stack(arrays))
        return chosen, {
            name: to_uint8(_unit(method(batch)), rounding="truncate").permute(0, 2, 3, 1).cpu().numpy()
            for name, method in self.methods.items()
        }

    def _save_images(self, folder: Path, items: Items, latents: list[str]) -> None:
        with Progress("save images", len(items)) as progress:
            for indices in _batches(list(range(len(items))), self.config.batch_size):
                chosen, images = self._decode(items, latents, indices)
                for name, pictures in images.items():
                    for item, picture in zip(chosen, pictures, strict=True):
                        path = folder / name / f"{item.id}.png"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(picture).save(path)
                progress.advance(len(indices))

    def _write_numbers(
        self,
        out: Path,
        items: Items,
        table: Table,
        measured: dict[str, dict[str, Measurement]],
        records: pandas.DataFrame,
    ) -> None:
        for suffix, render in {"md": to_markdown, "csv": to_csv, "tex": to_latex, "html": to_html}.items():
            write_atomically(out / f"table.{suffix}", render(table))
        write_atomically(out / "records.parquet", records.to_parquet(index=False))
        rows = [
            {
                "label": row.label,
                "method": name,
                "decoder": self._portable(self.resolved["rows"][name]["method"].get("decoder")),
                "conditioned": self.resolved["rows"][name]["method"].get("conditioned"),
                "metrics": {
                    metric: _as_json(metric, found, self.protocol.hash, line.published.get(metric))
                    for metric, found in measured[name].items()
                },
            }
            for (name, row), line in zip(self.config.rows.items(), table.rows, strict=True)
        ]
        write_json(
            out / "results.json",
            {
                "schema_version": SCHEMA_VERSION,
                "experiment": self.config.name,
                "table": table.number,
                "profile": self.config.profile.name,
                "custom": self.custom,
                "manifest": items.hash,
                "protocols": {self.protocol.hash: asdict(self.protocol)},
                "notes": list(table.notes),
                "rows": rows,
                "claims": [],
            },
        )

    def _write_run(self, out: Path, items: Items) -> None:
        write_json(
            out / "run.json",
            {
                "experiment": self.config.name,
                "profile": self.config.profile.name,
                "overrides": self.overrides,
                "custom": self.custom,
                "config": self._portable(self.resolved),
                **environment(),
                "device": str(self.device),
                "threads": torch.get_num_threads(),
                "seed": self.config.seed,
                "weights": self._portable(self.weights),
                "lineage": {
                    name: self._portable(lineage)
                    for name, method in self.methods.items()
                    if (lineage := getattr(method, "lineage", None))
                },
                "manifest": items.hash,
                "dropped": items.manifest["dropped"],
                "broken": items.manifest["broken"],
                "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
                "latents": self.latents,
                "status": "complete",
            },
        )

    def _portable(self, node: Any) -> Any:
        return portable(node, self.config.paths.assets)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started


def _batches(things: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _tensors(items: Sequence[Item]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images B×3×S×S and masks B×1×S×S, uint8."""
    image = torch.from_numpy(np.stack([item.image for item in items])).permute(0, 3, 1, 2).contiguous()
    return image, torch.from_numpy(np.stack([item.mask for item in items])).unsqueeze(1)


def _unit(image: torch.Tensor) -> torch.Tensor:
    """From [-1, 1] to [0, 1]."""
    return ((image.float() + 1) / 2).clamp(0, 1)


def _finite(values: torch.Tensor, what: str, ids: Sequence[str]) -> torch.Tensor:
    """The values, unless some of an item's are not finite: then nothing is to be stored of them."""
    fine = torch.isfinite(values).flatten(1).all(1).tolist()
    if not all(fine):
        bad = ", ".join(name for name, good in zip(ids, fine, strict=True) if not good)
        raise FloatingPointError(f"{what}: values that are not finite for {bad}")
    return values


def _records(items: Items, scores: dict[str, RowScores]) -> pandas.DataFrame:
    """A line for each item and row."""
    lines = items.lines()
    shared = {
        "item": [line["id"] for line in lines],
        "source": [line["source"] for line in lines],
        "mask_area": [line["mask_area"] for line in lines],
    }
    frames = [
        pandas.DataFrame({"item": shared["item"], "row": name, **shared, **found.per_item})
        for name, found in scores.items()
    ]
    return pandas.concat(frames, ignore_index=True)


def _as_json(metric: str, found: Measurement, protocol: str, published: float | None) -> dict[str, Any]:
    style = METRICS.get(metric)
    entry: dict[str, Any] = {
        "value": found.value,
        "stderr": found.stderr,
        "ci95": found.ci95,
        "n": found.n,
        "sources": found.sources,
        "unit": "",
        "higher_is_better": style.higher_is_better if style else None,
        "protocol": protocol,
        "published": published,
    }
    if published is not None and style and style.unit:
        entry["published_unit"] = f"{style.unit}, as printed"
    if found.reason:
        entry["reason"] = found.reason
    if found.ratio is not None:
        entry["reference_over_value"] = found.ratio
    if found.difference is not None:
        entry["difference_to_reference"] = {
            "value": found.difference.value,
            "ci95": found.difference.ci95,
            "p_holm": found.p_holm,
        }
    return entry
