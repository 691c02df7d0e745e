"""The stages of a table's run up to its scores: check, prepare, sample, score.

Each stage reads the results of the stage before from the store, and saves its own results there. A stage skips results
that the store already has, so an interrupted run can resume, and experiments share their work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.checking.estimate import Meter, Taken, before_trial, estimate
from bench.checking.inspection import Problem
from bench.checking.report import report
from bench.checking.settings import check_settings
from bench.config.instantiate import make, own_code
from bench.config.schema import STAGES
from bench.data.file_hashes import FileHashes
from bench.data.masks import preset
from bench.data.prepared import Contents, DamagedItemsError, Items, prepare_items
from bench.errors import BadInputError
from bench.evaluation.contracts import check_contracts
from bench.evaluation.dry_run import try_out
from bench.evaluation.setup import Setup
from bench.generation.compiling import check_mode
from bench.generation.method import made_beforehand
from bench.metrics.scores import Scored
from bench.results.out_folder import open_out, writing_into
from bench.results.run_folder import Results
from bench.runtime.progress import Progress
from bench.store import Fact, mark_store
from bench.tables.verdicts import PAPER

__all__ = ["MeasuredRun", "Stages", "check", "missing", "prepare", "run_stages"]

log = logging.getLogger(__name__)

ITEMS = "items"
"""Folder of the prepared items in the store."""
COUNTED = ("sample", "score")
"""Stages that show their own progress, item by item."""


@dataclass
class Stages:
    """The stages of one run, and the seconds that each took."""

    last: str
    """The stage after which the run ends."""
    seconds: dict[str, float] = field(default_factory=dict)

    def include(self, name: str) -> bool:
        """Return whether the run includes a stage."""
        return STAGES.index(name) <= STAGES.index(self.last)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure the time of a stage, and show its progress."""
        started = time.monotonic()
        with Progress(name) if name not in COUNTED else nullcontext():
            yield
        self.seconds[name] = time.monotonic() - started


@dataclass(frozen=True)
class MeasuredRun:
    """Everything that a run has measured on all items."""

    out: Path
    """The folder of the run's files."""
    items: Items
    latents: list[str]
    """Store key of the latents of each block of items."""
    scored: Scored
    taken: Taken
    stages: Stages


def run_stages(setup: Setup, conclude: Callable[[MeasuredRun], Results]) -> Results:
    """Run every stage up to the configured one.

    Args:
        setup: objects that the run needs.
        conclude: function that makes the table and the report from the measured values, up to the configured stage.
    """
    stages, meter = Stages(setup.config.stage), Meter(setup.device)
    with stages.timed("check"):
        check(setup)
    if not stages.include("prepare"):
        predict(setup)
        return Results(Path(), 0)
    out = open_out(setup.config) if setup.world.is_main_process else Path()
    if setup.config.profile.name != PAPER:
        log.info("profile %s: compare its numbers only with each other", setup.config.profile.name)
    setup.store.uses.begin(setup.store.root, setup.config.name, out if setup.world.is_main_process else None)
    try:
        run = _measured(setup, out, stages, meter)
    except DamagedItemsError:
        if setup.world.size > 1:  # the other processes wait for this one at a later stage, so it cannot start again
            raise
        run = _measured(setup, out, stages, meter)
    if run is None or not stages.include("tabulate") or not setup.world.is_main_process:
        return Results(out, 0)
    with writing_into(out):
        return conclude(run)


def _measured(setup: Setup, out: Path, stages: Stages, meter: Meter) -> MeasuredRun | None:
    """Prepare, sample and score; return None if the run ends before it has scores."""
    with stages.timed("prepare"):
        items = prepare(setup)
        setup.store.uses.add(ITEMS, [items.folder.name])
    if not stages.include("sample"):
        return None
    with stages.timed("sample"):
        latents = setup.sampling.run(items)
        _make_beforehand(setup, items)
    if not stages.include("score"):
        return None
    with stages.timed("score"):
        scored = setup.scoring.run(items, latents, setup.sets)
        taken = Taken(setup.sampling.pace.each, setup.scoring.pace.each, meter.memory())
    return MeasuredRun(out, items, latents, scored, taken, stages)


# --- check -----------------------------------------------------------------------------------------------------------


def check(setup: Setup) -> None:
    """Check before any work that everything exists, loads, and satisfies its contract.

    Raises:
        BadInputError: something is missing or wrong.
    """
    problems = missing(setup)
    if problems:
        raise BadInputError(report(setup.config.name, problems, tail=before_trial(setup.work)))
    mark_store(setup.store.root)
    load(setup)
    _try_contracts(setup)


def missing(setup: Setup) -> list[Problem]:
    """Return the problems of the files that a run needs: missing or wrong ones.

    Raises:
        BadInputError: the configuration itself is wrong.
    """
    check_settings(setup.resolved, setup.spec, setup.rows)
    check_mode(setup.config.compile, setup.device)
    return list(setup.inspection.problems)


def load(setup: Setup) -> None:
    """Load everything that the rows need, so that a wrong weight file is reported before hours of sampling.

    The files are hashed before they are loaded, because the store's keys contain their hashes.

    Raises:
        BadInputError: something does not load; the message covers the generator, the methods and the measures.
    """
    errors = []
    for part in ("weights", "generator", "methods", "measures"):
        try:
            getattr(setup, part)
        except BadInputError as error:
            errors.append(str(error))
    if errors:
        raise BadInputError("\n".join(errors))


def _try_contracts(setup: Setup) -> None:
    """Check generator, methods and measures on one item of noise, unless the store records that they passed.

    Raises:
        BadInputError: one of them violates its contract.
    """
    if setup.config.stage == "prepare" or setup.contracts.recall():
        return
    specs = setup.resolved["metrics"]["measures"]
    resolution = setup.config.profile.resolution
    check_contracts(setup.sampling, setup.methods, setup.measures, specs, resolution=resolution)
    setup.contracts.remember({"kept": True})


def predict(setup: Setup) -> None:
    """Print that everything exists and what a run would take, and save the estimate for comparison after the run."""
    size = sum(Path(path).stat().st_size for path in setup.weights)
    print(f"{setup.config.name}: ready: all is there, {len(setup.rows)} rows and {size / 1e6:.1f} MB of weights")
    if known := setup.generator.unet_weights:
        print(f"generator: the UNet's weights are {known}")
    resolution = setup.config.profile.resolution
    tried = try_out(setup.sampling, setup.scoring, resolution=resolution, device=setup.device)
    setup.prediction.remember(asdict(tried))
    print("\n".join(estimate(setup.work, tried, setup.store.root)))


# --- prepare, sample -------------------------------------------------------------------------------------------------


def prepare(setup: Setup) -> Items:
    """Return the prepared items with their manifest, and prepare them first if they do not exist yet."""
    config, dataset, root = setup.config, setup.resolved["dataset"], setup.store.root
    limits = [limit for limit in (dataset["items"], config.limit) if limit is not None]
    items = prepare_items(
        root / ITEMS,
        make(dataset["pictures"], "dataset.pictures"),
        resolution=config.profile.resolution,
        masks=preset(config.profile.masks),
        seed=config.seed,
        limit=min(limits, default=None),
        contents=Contents(
            FileHashes(Fact(root, {"what": "hashes of files", "pictures": dataset["pictures"]})),
            own_code(dataset["pictures"]),
        ),
    )
    if config.limit is not None and config.limit > len(items):
        log.info("limit: expected at most %d items, found %d", config.limit, len(items))
    return items


def _make_beforehand(setup: Setup, items: Items) -> None:
    """Prepare the methods whose images are made beforehand: the first process makes them, and the others read them."""
    with setup.world.main_process_first():
        for method in setup.methods.values():
            for one in made_beforehand(method):
                one.prepare(items, setup.store.root / "external")
