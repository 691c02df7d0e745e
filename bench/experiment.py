"""One experiment, stage by stage: check, prepare, sample, score, tabulate, report.

Each stage takes what the one before left in the store and leaves its own. What is there is not made again: that is
resume, caching and sharing between experiments in one.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from hydra.utils import get_object
from PIL import Image

from bench.checking.estimate import Meter, Trial, Work, before_trial, estimate, trial_items
from bench.checking.inspection import Inspection, inspect_table
from bench.checking.report import report
from bench.config import STAGES, Config, TableSpec
from bench.costs import row_costs
from bench.data.items import Item
from bench.data.manifest import Items, prepare_items
from bench.data.masks import preset
from bench.device import choose_device
from bench.errors import BadInputError
from bench.generation.batching import halving, probe_batch_size
from bench.generation.decoding import Batch, Decoded, Method
from bench.generation.latents import float_images, image_batch, mask_batch
from bench.generation.pipelines import locate
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Measure
from bench.metrics.scoring import Scorer, Unit
from bench.metrics.summary import HOLE_ONLY, Scored, Summary
from bench.models.decoder import Decoder
from bench.objects import check_targets, identity, make, require_target, weight_files
from bench.progress import Progress
from bench.reporting.figures import draw_rows
from bench.reporting.files import write_manifest, write_records, write_results, write_run, write_table
from bench.reporting.notes import latent_gap, leak_by_distance, leak_note, notes
from bench.results import Results, check_writable, open_out
from bench.seeding import numpy_generator
from bench.store import Arrays, Store, content_key
from bench.tables.build import Table, bins_of, build_table, check_table, label_of
from bench.tables.claims import judge, judge_printed, two_by_two
from bench.tables.grid import terminal
from bench.tables.render import frame, print_table, renderings

__all__ = ["TableExperiment"]

log = logging.getLogger(__name__)
T = TypeVar("T")

SAMPLING_VERSION = 2
"""Raised when the same settings give other latents."""
SCORING_VERSION = 2
"""Raised when the same images give other scores."""
SHOWN = 6
"""Items in the figure."""
TEXT_CLAIMS = 2
"""The table whose run judges what the paper says outside its tables."""
PARTS = ("dataset", "generator", "features", "rows")
"""Of the configuration: what names files."""
NEUTRAL = ("experiment", "stage", "device", "batch_size", "out", "save_images", "paths", "hydra", "controls")
"""Overrides that change no number; a run with others is labelled custom."""
TRUTH = ""
"""Stands for the true images where scores are kept by row."""


class TableExperiment:
    """Rows of one table, all decoded from the same latents."""

    def __init__(self, config: Config, resolved: dict[str, Any], overrides: Sequence[str]) -> None:
        """Take a configuration as `bench.config.typed` gives it: as objects and as plain data."""
        self.config, self.overrides = config, list(overrides)
        self.custom = [word for word in overrides if word.lstrip("+~").partition("=")[0].split(".")[0] not in NEUTRAL]
        self.rows = {
            name: row for name, row in config.rows.items() if row.control is None or row.control in config.controls
        }
        self.resolved = self._used(resolved)
        self.store = Store(Path(config.paths.store))
        self.device = choose_device(config.device)
        self.seconds: dict[str, float] = {}
        self.latents = {"sampled": 0, "stored": 0}

    def _used(self, resolved: dict[str, Any]) -> dict[str, Any]:
        """The configuration without what this run leaves out: rows of other controls, measures of other tasks."""
        features, task = resolved["features"], self._spec.task
        if task not in features["tasks"]:
            raise BadInputError(f"table.task: expected one of {', '.join(features['tasks'])}, found {task}")
        unknown = [name for name in features["tasks"][task] if name not in features["measures"]]
        if unknown:
            known = ", ".join(features["measures"])
            raise BadInputError(f"features.tasks.{task}: expected some of {known}, found {unknown[0]}")
        measures = {name: features["measures"][name] for name in features["tasks"][task]}
        return {
            **resolved,
            "generator": _located(resolved["generator"]),
            "features": {**features, "measures": measures},
            "rows": {name: resolved["rows"][name] for name in self.rows},
        }

    def run(self) -> Results:
        """Every stage up to the configured one."""
        wanted = STAGES[: STAGES.index(self.config.stage) + 1]
        with self._stage("check"):
            self.check()
            self.load()
        if "prepare" not in wanted:
            size = sum(Path(path).stat().st_size for path in self.weights)
            print(f"{self.config.name}: ready: all is there, {len(self.rows)} rows and {size / 1e6:.1f} MB of weights")
            print("\n".join(estimate(self.work, self.trial(), self.store.root)))
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
            scored = self.score(items, latents)
        if "tabulate" not in wanted:
            return Results(out, 0)
        with self._stage("tabulate"):
            summary = self.measure(scored)
            table = self.tabulate(items, latents, summary)
            write_manifest(out, items)
            records = write_records(out, items, scored)
            write_table(out, renderings(table))
            write_results(
                out, self.config, self.resolved, table, items=items, custom=self.custom, protocols=self.hashed_protocols
            )
        if "report" in wanted:
            with self._stage("report"):
                self.report(out, items, latents, table)
        self._write_run(out, items, self.costs(items, latents))
        return Results(out, 0, table=frame(table), records=records, summary=(self._spec.number, summary))

    # --- check -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See before any work that all is there: targets, arguments, the table's own settings, and files."""
        self.check_settings()
        problems = self.inspection.problems
        if problems:
            raise BadInputError(report(self.config.name, problems, tail=before_trial(self.work)))

    def check_settings(self) -> None:
        """See that targets and arguments are right, whatever files are there."""
        nodes = self.resolved
        check_table(self._spec, self.rows)
        for name in ("store", "data"):
            check_writable(nodes["paths"][name], f"paths.{name}")
        try:
            preset(self.config.profile.masks)
        except ValueError as error:
            raise BadInputError(f"profile.masks: {error}") from error
        require_target(nodes["generator"], "generator", given=("device",))
        require_target(nodes["dataset"]["pictures"], "dataset.pictures")
        check_targets(nodes["profile"]["datasets"], "profile.datasets")
        for name, spec in nodes["features"]["measures"].items():
            require_target(spec["measure"], f"features.measures.{name}.measure")
        for name, row in nodes["rows"].items():
            if row["method"] is not None:
                require_target(row["method"], f"rows.{name}.method")

    @cached_property
    def inspection(self) -> Inspection:
        """What is missing or wrong of the files that the run needs, and how many pictures there are."""
        return inspect_table({key: self.resolved[key] for key in PARTS}, self.resolved["paths"])

    @property
    def work(self) -> Work:
        """How many items there are to do at most, and of what kind."""
        dataset, listing = self.resolved["dataset"], self.inspection.listing
        counts = [dataset["items"], self.config.limit, listing.count if listing else self.inspection.expected]
        return Work(
            min((count for count in counts if count is not None), default=None),
            self.config.profile.resolution,
            getattr(get_object(dataset["pictures"]["_target_"]), "masks", "drawn"),
        )

    def load(self) -> None:
        """Load what every row needs, so that a wrong weight file is found before hours of sampling.

        The files are hashed before: what the keys of the store say is what was loaded.

        Raises:
            BadInputError: something does not load; the message is of the generator, the methods and the measures.
        """
        errors = []
        for part in ("weights", "generator", "methods", "measures"):
            try:
                getattr(self, part)
            except BadInputError as error:
                errors.append(str(error))
        if errors:
            raise BadInputError("\n".join(errors))

    def trial(self) -> Trial:
        """Sample, decode and score two items of noise with all rows, in a store that goes away."""
        block, meter = trial_items(self.config.profile.resolution), Meter(self.device)
        log.info("trying %d items on %s", len(block), meter.name)
        trial, progress = copy.copy(self), Progress("trial", len(block))  # the same models; a bar that nobody sees
        with tempfile.TemporaryDirectory() as folder:
            trial.store = Store(Path(folder))
            try:
                latents, sampling = meter.timed(lambda: trial._sample_block(block, progress))
                trial.store.put("latents", "trial", latents)
                parts = [(TRUTH, (name, "")) for name in self.measures]
                parts += [(row, unit) for row in self.methods for unit in self._units]
                for _ in range(2):  # the first time, kernels are chosen too
                    scores, scoring = meter.timed(lambda: trial._score_block(block, "trial", parts, progress))
            except torch.OutOfMemoryError as error:
                raise BadInputError(f"device: one item alone does not fit the memory of {meter.name}") from error
        return Trial(
            items=len(block),
            sampling=sampling / len(block),
            scoring=scoring / len(block),
            latents=_size(latents) / len(block),
            scores=sum(_size(arrays) for arrays in scores.values()) / len(block),
            memory=meter.memory(),
            device=meter.name,
        )

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
        def sampled(batch: Sequence[Item]) -> Arrays:
            seen, mask = float_images(image_batch(batch)), mask_batch(batch)
            made = {
                "latents": self.generator.sample(batch, self.config.seed),
                "encoded": self.generator.encode(seen),
                "encoded_known": self.generator.encode(seen * (mask == 0)),
            }
            ids = [item.id for item in batch]
            progress.advance(len(batch))
            return {
                name: _finite(values, f"sample: {name}", ids).float().cpu().numpy() for name, values in made.items()
            }

        if self.config.batch_size == "auto" and not self._batch_size:
            self._batch_size = probe_batch_size(
                lambda batch: self.generator.sample(batch, self.config.seed), block, device=self.device
            )
        return _joined(list(halving(block, self.batch_size, sampled)))

    _batch_size = 0

    @property
    def batch_size(self) -> int:
        """Items at once; where it is found by a probe, that of sampling."""
        if isinstance(self.config.batch_size, int):
            return self.config.batch_size
        return self._batch_size or 8

    def latents_of(self, key: str) -> Arrays:
        """Latents of a block: `latents`, `encoded` and `encoded_known`, as the generator scales them."""
        arrays = self.store.get("latents", key)
        if arrays is None:
            raise BadInputError(f"latents {key[:12]}… went missing from the store {self.store.root}; run again")
        return arrays

    # --- score -------------------------------------------------------------------------------------------------------

    @cached_property
    def measures(self) -> dict[str, Measure]:
        specs = self.resolved["features"]["measures"]
        return {
            name: make(spec["measure"], f"features.measures.{name}.measure").to(self.device)
            for name, spec in specs.items()
        }

    @cached_property
    def methods(self) -> dict[str, Method]:
        """How each measured row makes its images."""
        return {
            name: make(row["method"], f"rows.{name}.method").to(self.device)
            for name, row in self.resolved["rows"].items()
            if row["method"] is not None
        }

    @cached_property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """By measure, everything that can change its values."""
        specs = self.resolved["features"]["measures"]
        return {
            name: {
                **measure.protocol,
                "weights": content_key({"measure": identity(specs[name]["measure"], self.weights)}),
                "version": SCORING_VERSION,
            }
            for name, measure in self.measures.items()
        }

    @cached_property
    def _units(self) -> list[Unit]:
        """What is measured on every row's images."""
        units = [(name, "") for name in self.measures]
        if "hole_only" in self.config.controls and self._spec.task != "generation":
            units += [
                (name, HOLE_ONLY) for name, measure in self.measures.items() if getattr(measure, "sees_hole", True)
            ]
        return units

    def score(self, items: Items, latents: list[str]) -> Scored:
        """Everything measured on every row and on the truth, items as in the manifest."""
        blocks: list[dict[tuple[str, Unit], Arrays]] = []
        with Progress("score", len(items)) as progress:
            for latent_key, (start, stop) in zip(latents, items.blocks(), strict=True):
                keys = self._score_keys(items, start, stop, latent_key)
                with self.store.lock("scores", next(iter(keys.values()))):
                    found = {part: self.store.get("scores", key) for part, key in keys.items()}
                    missing = [part for part, arrays in found.items() if arrays is None]
                    if missing:
                        block = items.read(start, stop)
                        for part, arrays in self._score_block(block, latent_key, missing, progress).items():
                            self.store.put("scores", keys[part], arrays)
                            found[part] = arrays
                    else:
                        progress.skip(stop - start)
                blocks.append({part: arrays for part, arrays in found.items() if arrays is not None})
        return self._scored(items, blocks)

    @cached_property
    def _identities(self) -> dict[str, Any]:
        """What makes each measured row's images, its weights by their hashes."""
        return {row: identity(self.resolved["rows"][row]["method"], self.weights) for row in self.methods}

    def _score_keys(self, items: Items, start: int, stop: int, latents: str) -> dict[tuple[str, Unit], str]:
        lines = items.lines(start, stop)
        keys = {}
        for name, protocol in self.protocols.items():
            shared = {"protocol": protocol, "items": lines}
            keys[TRUTH, (name, "")] = content_key({**shared, "row": "truth"})
            for row, method in self._identities.items():
                for unit in self._units:
                    if unit[0] == name:
                        keys[row, unit] = content_key({**shared, "row": method, "variant": unit[1], "latents": latents})
        return keys

    def _score_block(
        self, block: list[Item], latent_key: str, missing: list[tuple[str, Unit]], progress: Progress
    ) -> dict[tuple[str, Unit], Arrays]:
        """All that is missing of a block, batch by batch: the truth's features are computed once for all rows."""
        latents = self.latents_of(latent_key)
        names = {unit[0] for _, unit in missing}
        measures = {name: measure for name, measure in self.measures.items() if name in names}

        def scored(chosen: Sequence[int]) -> dict[tuple[str, Unit], Arrays]:
            items = [block[place] for place in chosen]
            batch, truth = self._batch(items, {name: arrays[list(chosen)] for name, arrays in latents.items()})
            scorer = Scorer(measures, truth, batch.mask, [item.exemplar for item in items])
            parts: dict[tuple[str, Unit], Arrays] = {}
            for row in dict.fromkeys(row for row, _ in missing):
                units = [unit for name, unit in missing if name == row]
                if row == TRUTH:
                    parts |= {(row, unit): dict(scorer.truth(unit[0])) for unit in units}
                    continue
                image = _unit(_finite(self.methods[row](batch), f"score: images of {row}", batch.ids))
                parts |= {(row, unit): arrays for unit, arrays in scorer.score(image, units).items()}
            progress.advance(len(items))
            return parts

        batches = list(halving(range(len(block)), self.batch_size, scored))
        return {part: _joined([found[part] for found in batches]) for part in missing}

    def _batch(self, items: Sequence[Item], latents: Arrays) -> tuple[Batch, torch.Tensor]:
        image, mask = (tensor.to(self.device) for tensor in (image_batch(items), mask_batch(items)))
        z, encoded, known = (
            self.generator.decodable(torch.from_numpy(latents[name]))
            for name in ("latents", "encoded", "encoded_known")
        )
        ids = tuple(item.id for item in items)
        return Batch(ids, z, float_images(image), mask, encoded, known), image

    def _scored(self, items: Items, blocks: list[dict[tuple[str, Unit], Arrays]]) -> Scored:
        """The blocks' arrays end to end, named as metrics are."""
        rows: dict[str, Arrays] = {name: {} for name in self.methods}
        truth: Arrays = {}
        for part in blocks[0]:
            row, (measure, variant) = part
            for array, values in _joined([block[part] for block in blocks]).items():
                name = f"{measure}.{array}" if values.ndim > 1 else array
                if row == TRUTH:
                    truth[name] = values[items.references]
                else:
                    rows[row][f"{name}_{variant}" if variant else name] = values
        specs = self.resolved["features"]["measures"]
        sets = {metric: f"{name}.{array}" for name, spec in specs.items() for metric, array in spec["sets"].items()}
        areas = np.array([line["mask_area"] for line in items.lines()])
        return Scored(rows, truth, sets, items.sources, items.references, areas)

    # --- tabulate ----------------------------------------------------------------------------------------------------

    def measure(self, scored: Scored) -> Summary:
        """Numbers of each row with their uncertainty."""
        return Summary(scored, self.config.profile.fid_minimum, bins_of(self._spec.columns))

    def tabulate(self, items: Items, latents: list[str], summary: Summary) -> Table:
        """The paper's table with ours beside it, and what it says of the paper's claims."""
        profile = self.config.profile.name
        measured = summary.table(self._spec.reference)
        shared, number = content_key({"latents": latents}), self._spec.number
        blocks = [self.latents_of(key) for key in latents]
        leak = leak_by_distance(blocks, items.masks()) if self._spec.task != "generation" else {}
        structure = (
            {"x2": self._branch_is_off(items, latents), "x6": any(leak.values())} if number == TEXT_CLAIMS else {}
        )
        verdicts = judge(
            number, summary, profile=profile, latents=dict.fromkeys(self.methods, shared), structure=structure
        )
        return build_table(
            self._spec,
            self.rows,
            measured,
            profile=f"{profile}, custom ({', '.join(self.custom)})" if self.custom else profile,
            features=str(self.resolved["features"]["name"]),
            training={name: method.training for name, method in self.methods.items()},
            notes=[*self._notes(items, summary), latent_gap(blocks), *leak_note(leak)],
            claims=[*verdicts, *judge_printed(number)],
            effects={metric: two_by_two(summary, metric) for metric in self._spec.columns},
        )

    def _branch_is_off(self, items: Items, latents: list[str]) -> bool | str:
        """Whether a mask of ones gives the images of a decoder without its branch, bit for bit; or why nobody knows."""
        decoders = {
            name: method.decoder
            for name, method in self.methods.items()
            if isinstance(method, Decoded) and method.conditioned and isinstance(method.decoder, Decoder)
        }
        if not decoders:
            return "no row shows known pixels to its decoder"
        arrays = {name: values[:1] for name, values in self.latents_of(latents[0]).items()}
        batch, _ = self._batch(items.read(0, 1), arrays)
        with torch.inference_mode():
            return all(
                torch.equal(decoder(batch.z, batch.image, torch.ones_like(batch.mask)), decoder(batch.z))
                for decoder in decoders.values()
            )

    def _notes(self, items: Items, summary: Summary) -> Iterator[str]:
        truncated = getattr(self.generator, "truncated", None)
        captions = [] if truncated is None else [item["caption"] for item in items.table.select_columns(["caption"])]
        return notes(
            self.config,
            self._spec,
            self.rows,
            items=items,
            summary=summary,
            protocol=next(iter(self.hashed_protocols)),
            truncated=None if truncated is None else truncated(captions),
        )

    @cached_property
    def hashed_protocols(self) -> dict[str, dict[str, Any]]:
        """The protocol of all measures together, by its hash."""
        return {content_key(self.protocols): self.protocols}

    # --- report ------------------------------------------------------------------------------------------------------

    def report(self, out: Path, items: Items, latents: list[str], table: Table) -> None:
        """The figure, the terminal's table, and images where they are asked for."""
        chosen = numpy_generator(self.config.seed, "figure").permutation(len(items))[:SHOWN]
        own = [name for name in self.methods if not self.rows[name].beside]
        shown, images = self._decode(items, latents, [int(index) for index in chosen], own)
        (out / "figures").mkdir(exist_ok=True)
        draw_rows(
            out / "figures" / "rows.png",
            shown,
            [(label_of(self.rows[name], self._spec), pictures) for name, pictures in images.items()],
            title=f"{table.title}, profile {table.profile}",
        )
        if self.config.save_images:
            self._save_images(out / "images", items, latents)
        print_table(table, terminal())
        print(f"\n{out}")

    def _decode(
        self, items: Items, latents: list[str], indices: Sequence[int], rows: Sequence[str]
    ) -> tuple[list[Item], dict[str, npt.NDArray[np.uint8]]]:
        """Some items, and some rows' images of them as uint8 N×S×S×3."""
        chosen = items.pick(indices)
        size = next(items.blocks())[1]
        found = [
            {name: values[index % size] for name, values in self.latents_of(latents[index // size]).items()}
            for index in indices
        ]
        batch, _ = self._batch(chosen, {name: np.stack([arrays[name] for arrays in found]) for name in found[0]})
        return chosen, {
            name: to_uint8(_unit(self.methods[name](batch)), rounding="truncate").permute(0, 2, 3, 1).cpu().numpy()
            for name in rows
        }

    def _save_images(self, folder: Path, items: Items, latents: list[str]) -> None:
        with Progress("save images", len(items)) as progress:
            for start in range(0, len(items), self.batch_size):
                indices = range(start, min(start + self.batch_size, len(items)))
                chosen, images = self._decode(items, latents, indices, list(self.methods))
                for name, pictures in images.items():
                    for item, picture in zip(chosen, pictures, strict=True):
                        path = folder / name / f"{item.id}.png"
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(picture).save(path)
                progress.advance(len(indices))

    def costs(self, items: Items, latents: list[str]) -> dict[str, dict[str, float]]:
        """What each row costs, where the run asks for it."""
        if not self.config.costs:
            return {}
        stop = min(len(items), self.batch_size, next(items.blocks())[1])
        arrays = {name: values[:stop] for name, values in self.latents_of(latents[0]).items()}
        return row_costs(self.methods, self._batch(items.read(0, stop), arrays)[0])

    def _write_run(self, out: Path, items: Items, costs: dict[str, dict[str, float]]) -> None:
        write_run(
            out,
            self.config,
            self.resolved,
            self.overrides,
            device=str(self.device),
            weights=self.weights,
            facts={
                "custom": self.custom,
                "lineage": {
                    name: lineage
                    for name, method in self.methods.items()
                    if (lineage := getattr(method, "lineage", None))
                },
                "manifest": items.hash,
                "dropped": items.manifest["dropped"],
                "broken": items.manifest["broken"],
                "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
                "latents": self.latents,
                "costs": costs,
            },
        )

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started


def _located(generator: dict[str, Any]) -> dict[str, Any]:
    """The generator with the folder of the local cache in place of a hub's id; what is not there stays as it is."""
    found = dict(generator)
    for key in ("pipeline", "tokenizer", "vae"):
        if isinstance(found.get(key), str):
            with contextlib.suppress(BadInputError):  # the check names it with all else that is missing
                found[key] = str(locate(found[key]))
    return found


def _joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([arrays[name] for arrays in parts]) for name in sorted(parts[0])}


def _size(arrays: Arrays) -> int:
    """Bytes."""
    return sum(array.nbytes for array in arrays.values())


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
