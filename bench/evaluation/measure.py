"""The stages of a run that come before the table: `check`, `prepare`, `sample` and `score`.

Each stage reads from the store what the previous stage saved, and saves its results in the store. A stage skips every
result that the store already has. Therefore an interrupted run can continue, and several experiments can share results.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.checking.dataset_listing import adapter_of
from bench.checking.estimate import Meter, Taken, before_trial, estimate, forecast
from bench.checking.inspection import Problem
from bench.checking.report import report
from bench.checking.settings import check_settings
from bench.config.instantiate import identity, own_code
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
from bench.results.run_folder import Forecast, Results
from bench.runtime.progress import Progress
from bench.store import Fact, content_key, lease, mark_store
from bench.tables.verdicts import PAPER

__all__ = ["MeasuredRun", "Stages", "check", "check_data", "load", "missing", "prepare", "run_stages"]

log = logging.getLogger(__name__)

ITEMS = "items"
"""Name of the folder in the store that contains prepared items."""
COUNTED = ("sample", "score", "turns")
"""Stages that show a progress bar over items themselves, so that no other bar is needed for the stage."""


@dataclass
class Stages:
    """The stages that one run includes, and the time that each of them took."""

    last: str
    """Name of the last stage that the run includes."""
    seconds: dict[str, float] = field(default_factory=dict)

    def include(self, name: str) -> bool:
        """Return True if the stage `name` comes before the last stage of the run or is this last stage."""
        return STAGES.index(name) <= STAGES.index(self.last)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Run the `with` block as the stage `name`. Save the block's time in `seconds`, and show its progress."""
        started = time.monotonic()
        with Progress(name) if name not in COUNTED else nullcontext():
            yield
        self.seconds[name] = time.monotonic() - started


@dataclass(frozen=True)
class MeasuredRun:
    """Everything that a run has made and measured before its table is computed."""

    out: Path
    """Folder of the run's files. In a process other than the first, it is the current folder and is not used."""
    items: Items
    latents: list[str]
    """For each block of items, the store key of its latents."""
    scored: Scored
    taken: Taken
    stages: Stages


def run_stages(
    setup: Setup, conclude: Callable[[MeasuredRun], Results], further: Callable[[MeasuredRun], None] | None = None
) -> Results:
    """Run all stages up to the stage that the configuration sets.

    Args:
        setup: objects that the run needs.
        conclude: function that makes the table and the report from the measured values. Only the first process calls
            it, and only if the configured stage comes after `score`.
        further: function that measures more after the scoring stage. Every process calls it, before `conclude`. None
            if nothing more is measured.

    Returns:
        The result of `conclude`. If `conclude` was not called, the result has the folder of the run and the status 0.
            If the run ends with the stage `check`, the result has a forecast instead of a folder.
    """
    stages, meter = Stages(setup.config.stage), Meter(setup.device)
    with stages.timed("check"):
        check(setup)
    if not stages.include("prepare"):
        return Results(Path(), 0, forecast=predict(setup))
    out = open_out(setup.config) if setup.world.is_main_process else Path()
    if setup.config.profile.name != PAPER:
        log.info("the numbers of the profile %s can be compared only with each other", setup.config.profile.name)
    setup.store.uses.begin(setup.store.root, setup.config.name, out if setup.world.is_main_process else None)
    try:
        run = _measured(setup, out, stages, meter, further)
    except DamagedItemsError:
        if setup.world.size > 1:  # the other processes wait for this one at a later stage, so it cannot start again
            raise
        run = _measured(setup, out, stages, meter, further)
    if run is None or not stages.include("tabulate") or not setup.world.is_main_process:
        return Results(out, 0)
    with writing_into(out):
        return conclude(run)


def _measured(
    setup: Setup, out: Path, stages: Stages, meter: Meter, further: Callable[[MeasuredRun], None] | None
) -> MeasuredRun | None:
    """Run `prepare`, `sample` and `score`, and then `further`. Return None if the run ends before the stage `score`."""
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
    run = MeasuredRun(out, items, latents, scored, taken, stages)
    if further is not None:
        further(run)
    return run


# --- check -----------------------------------------------------------------------------------------------------------


def check(setup: Setup) -> None:
    """Check that all files exist, that all objects load, and that external code has the interfaces that a run needs.

    The check comes before all other work, so that errors are found early.

    Raises:
        BadInputError: something is missing or wrong.
    """
    problems = missing(setup)
    if problems:
        raise BadInputError(report(setup.config.name, problems, tail=before_trial(setup.work)))
    mark_store(setup.store.root)
    load(setup)
    _ = setup.own_code  # its files are hashed now, because they may be edited while the run continues
    _try_contracts(setup)


def check_data(setup: Setup) -> None:
    """Check the settings and the files of the data set. Weights may be missing, because no model is needed for items.

    Raises:
        BadInputError: something is missing or wrong.
    """
    check_settings(setup.resolved, setup.spec, setup.rows)
    problems = setup.inspect(["dataset"]).problems
    if problems:
        raise BadInputError(report(setup.config.name, problems))
    mark_store(setup.store.root)


def missing(setup: Setup) -> list[Problem]:
    """Return a problem for each file that the run needs and that is missing or wrong.

    Raises:
        BadInputError: the configuration itself is wrong.
    """
    check_settings(setup.resolved, setup.spec, setup.rows)
    check_mode(setup.config.compile, setup.device)
    return list(setup.inspection.problems)


def load(setup: Setup) -> None:
    """Load the generator, the methods and the measures, so that a wrong weight file is reported before the sampling.

    The files are hashed before they are loaded, because the store's keys contain their hashes. If the store has the
    `PartFacts` of a run with the same files, an earlier run has loaded these files without an error. This function then
    loads nothing.

    Raises:
        BadInputError: the generator, the methods or the measures do not load. The message has each error on a line.
    """
    if setup.stored_facts is not None:
        return
    errors = []
    for load_part in (lambda: setup.generator, setup.methods.load, setup.measures.load):
        try:
            load_part()
        except BadInputError as error:
            errors.append(str(error))
    if errors:
        raise BadInputError("\n".join(dict.fromkeys(errors)))


def _try_contracts(setup: Setup) -> None:
    """Check generator, methods and measures on one item of noise; see `bench.evaluation.contracts`.

    The check is skipped if the store records that the same objects passed it before, or if the run ends with `prepare`.

    Raises:
        BadInputError: one of these objects does not have the interface that a run needs.
    """
    if setup.config.stage == "prepare" or setup.contracts.recall():
        return
    specs = setup.resolved["metrics"]["measures"]
    resolution = setup.config.profile.resolution
    check_contracts(setup.sampling, setup.methods, setup.measures, specs, resolution=resolution)
    setup.contracts.remember({"kept": True})


def predict(setup: Setup) -> Forecast:
    """Print that all files exist, and print and return the time, memory and disk space that the run would need.

    The estimate is saved in the store, so that a later run can compare its measured time and memory with the estimate.
    """
    size = sum(Path(path).stat().st_size for path in setup.weights)
    print(f"{setup.config.name}: ready: no file is missing; {len(setup.rows)} rows, {size / 1e6:.1f} MB of weights")
    if known := setup.generator.unet_weights:
        print(f"generator: the UNet's weights are {known}")
    resolution = setup.config.profile.resolution
    if setup.config.profile.name == PAPER and setup.device.type == "cpu":
        log.info(
            "this run has no GPU; if a batch takes more than a minute, the time is estimated from a few steps of one "
            "item"
        )
    tried = try_out(setup.sampling, setup.scoring, resolution=resolution, device=setup.device)
    setup.prediction.remember(asdict(tried))
    print("\n".join(estimate(setup.work, tried, setup.store.root)))
    return forecast(setup.work, tried)


# --- prepare, sample -------------------------------------------------------------------------------------------------


def prepare(setup: Setup) -> Items:
    """Return the prepared items with their manifest. They are prepared now if the store does not have them."""
    config, dataset, root = setup.config, setup.resolved["dataset"], setup.store.root
    limits = [limit for limit in (dataset["items"], config.limit) if limit is not None]
    items = prepare_items(
        root / ITEMS,
        adapter_of(dataset),
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
        log.info(
            "limit: expected a data set with at least %d items, found %d items; the run uses all of them",
            config.limit,
            len(items),
        )
    return items


def _make_beforehand(setup: Setup, items: Items) -> None:
    """Make the images of the rows whose images are all made before the scoring stage.

    If there are several processes, each process first makes the images of the rows on which no other process works.
    Then it waits until the other processes have made the images of the remaining rows, and reads these images.
    """
    work, waiting = setup.store.root / "external", []
    rows = [row for row, facts in setup.facts["rows"].items() if facts["beforehand"]]
    for row in setup.world.rotated([row for row in rows if made_beforehand(setup.methods[row])]):
        with _row_lease(setup, work, row, wait=False) as held:
            if held:
                _prepare_row(setup, row, items, work)
            else:
                waiting.append(row)
    if waiting:
        log.info("waiting for other processes, which make the images of the rows %s", ", ".join(waiting))
    for row in waiting:
        with _row_lease(setup, work, row, wait=True):
            _prepare_row(setup, row, items, work)


def _prepare_row(setup: Setup, row: str, items: Items, work: Path) -> None:
    for one in made_beforehand(setup.methods[row]):
        one.prepare(items, work)


@contextmanager
def _row_lease(setup: Setup, work: Path, row: str, *, wait: bool) -> Iterator[bool]:
    """Hold the lease of a row's images during the `with` block; see `bench.store.lease`.

    A single process needs no lease. It can therefore read existing images even if the store is not writable.

    Yields:
        True if this process may make the images; False if another process holds the lease and `wait` is False.
    """
    if setup.world.size == 1:
        yield True
        return
    key = content_key({"row": identity(setup.resolved["rows"][row]["method"], setup.weights)})
    with lease(work / f".{key}.lease", wait=wait) as held:
        yield held
