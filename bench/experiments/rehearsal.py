"""The rehearsal of the paper profile. It runs the profile's commands with random weights and artificial pictures."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from bench.checking.inspection import Problem
from bench.checking.report import gigabytes
from bench.config.compose import checked
from bench.config.experiment_configs import RehearsalConfig
from bench.config.kinds import narrowed
from bench.config.overrides import setting
from bench.config.paths import Paths
from bench.config.schema import REHEARSAL
from bench.errors import BadInputError
from bench.experiments.run import experiment_of
from bench.rehearsal.attempts import Ended, in_process, in_subprocess
from bench.rehearsal.files import Place, write_asset, write_profile
from bench.rehearsal.sizes import SIZES
from bench.rehearsal.steps import FORECAST, LAYERS, REQUESTED, Step, chosen_parts, chosen_tables, steps_of
from bench.results.out_folder import STARTED, open_out, writing_into
from bench.results.run_folder import RUN, Results
from bench.results.stamps import RESULTS
from bench.results.write import run_facts, write_run
from bench.runtime.distributed import World
from bench.runtime.files import read_if_there, write_atomically, write_json
from bench.runtime.machine import free_disk
from bench.runtime.text import one_line
from bench.store.putting_aside import removed
from bench.tables.grid import Grid, markdown, print_grid, terminal

__all__ = ["Rehearsal"]

PROXIES = [spelled for name in ("http_proxy", "https_proxy", "all_proxy") for spelled in (name, name.upper())]
OFFLINE = {"HF_HUB_OFFLINE": "1", "NO_PROXY": "", "no_proxy": "", **dict.fromkeys(PROXIES, "http://127.0.0.1:9")}
"""Environment in which no download works, like on a compute node without a network."""
TOLERANCE = 1e-3
"""Largest accepted relative difference of the numbers of two runs of the same table.

If the two runs differ in their batch sizes or in their number of threads, sums are rounded differently, and a few
pixels of the 8-bit images change by one level.
"""
DEFAULT_LIMIT = 4
NAME = "rehearsal"
TABLE, RECORD = "table.md", "rehearsal.json"
FOLDERS, FILES = ("files", "logs", "runs"), (TABLE, RECORD, "run.json")
"""Folders and files in `out` that a new rehearsal in the same folder removes first."""
TITLE = "Rehearsal of the paper profile with random weights: its numbers mean nothing"
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Attempt:
    """The result of one step of a rehearsal, after this step was run."""

    name: str
    command: str
    status: int
    seconds: float
    memory: int
    """Peak memory in bytes."""
    wrong: str
    """Description of what is wrong; empty if nothing is."""


class Rehearsal:
    """An experiment that makes random weights and artificial data, and runs the paper profile's commands on them."""

    def __init__(self, config: RehearsalConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line.

        Raises:
            BadInputError: the size, the profile or the stage is not one that a rehearsal accepts.
        """
        if config.rehearsal.size not in SIZES:
            raise BadInputError(f"rehearsal.size: expected {' or '.join(SIZES)}, found {config.rehearsal.size}")
        if config.profile.name != "paper":
            raise BadInputError(
                f"profile: expected paper, the only profile that a rehearsal can try, found {config.profile.name}"
            )
        if config.stage not in ("check", "report"):
            raise BadInputError(f"stage: expected check or report (the default), found {config.stage}")
        self.config, self.overrides = config, list(overrides)
        self.sizes = SIZES[config.rehearsal.size]

    def missing(self) -> list[Problem]:
        """Return an empty list, because the rehearsal makes all files itself."""
        return []

    def run(self) -> Results:
        """Make the files, run every step, write the table of the steps, and remove the files.

        With `stage=check`, only the settings and the free disk space are checked. With `rehearsal.keep=true`, the files
        are not removed. The returned exit status is 1 if something is wrong in any step, and otherwise 0.

        Raises:
            BadInputError: a setting is wrong, or the disk has too little free space.
        """
        spec, device = self.config.rehearsal, self.config.device
        tables, limit = chosen_tables(spec), self.config.limit or DEFAULT_LIMIT
        if not steps_of(spec, Place(Path("files")), limit=limit, device=device, gpus=0):
            raise BadInputError(
                "rehearsal.parts: expected at least one part that uses a table in rehearsal.tables, found no such part"
            )
        if World.here().size > 1:
            raise BadInputError(
                "rehearsal: expected one process, found several; the rehearsal starts further processes itself"
            )
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # a forked process could not use CUDA
            raise BadInputError(
                "rehearsal: expected a process that has not used a GPU yet, found a process that has; start the "
                "rehearsal as a separate command"
            )
        self._check_disk(Path(self.config.out or "outputs"))
        if self.config.stage == "check":
            print(
                f"{self.config.name}: ready: the files need about {gigabytes(self.sizes.gigabytes * 1e9)} of disk space"
            )
            return Results(Path(), 0)
        _check_folders(self.config.out)
        out = open_out(self.config).absolute()
        for name in (*FOLDERS, *FILES):
            removed(out / name)
        place, started = Place(out / "files"), time.monotonic()
        attempts: list[Attempt] = []
        with _environment(dict.fromkeys(_variables())):
            try:
                for attempt in self._attempts(place, tables, out / "logs"):
                    attempts.append(attempt)
                    self._write(out, attempts, time.monotonic() - started)
            finally:
                if not spec.keep:
                    for path in (place.root, *(out / "runs").glob("*/decoder"), *(out / "runs").glob("*/best")):
                        removed(path)
        with writing_into(out):
            self._report(out, attempts, time.monotonic() - started)
        wrong = [attempt.name for attempt in attempts if attempt.wrong]
        return Results(out, 1 if wrong else 0, f"wrong: {', '.join(wrong)}" if wrong else "")

    def _attempts(self, place: Place, tables: Sequence[str], logs: Path) -> Iterator[Attempt]:
        """Make the files, and then run every step. Yield one result for making the files, and one for each step.

        If the files cannot be made, no step is run.
        """
        making = self._make(place, tables, logs / "make.txt")
        yield making
        if making.wrong:
            return
        spec, device = self.config.rehearsal, self.config.device
        # A process that has used a GPU cannot be forked, so another process counts the GPUs.
        gpus = 0 if device == "cpu" else in_process(_count_gpus, logs / "gpus.txt").status
        steps = steps_of(spec, place, limit=self.config.limit or DEFAULT_LIMIT, device=device, gpus=gpus)
        for number, step in enumerate(steps, 1):
            print(f"{number}/{len(steps)} {step.name}", flush=True)
            name = "forecast" if step.name == FORECAST else f"{number:02d}"
            yield self._attempt(step, place, logs / f"{name}.txt")

    def _check_disk(self, out: Path) -> None:
        free, needed = free_disk(out), self.sizes.gigabytes * 1e9
        if free < needed:
            raise BadInputError(
                f"out: expected {gigabytes(needed)} of free disk space for the files of rehearsal.size="
                f"{self.config.rehearsal.size}, found {gigabytes(free)} at {out}"
            )

    def _make(self, place: Place, tables: Sequence[str], log: Path) -> Attempt:
        """Write all files that the chosen steps need, and return the result in the form of a step's result."""
        ended = in_process(lambda: make_files(place, tables, self.config), log)
        return Attempt("make the files", "", ended.status, ended.seconds, ended.memory, _wrong(ended, 0))

    def _attempt(self, step: Step, place: Place, log: Path) -> Attempt:
        with _taken_away(step.without, place), _environment({**OFFLINE, **place.environment}):
            ended = _run(step, log)
            was_killed = ended.status == -signal.SIGKILL
            if step.killed:
                ended = in_process(lambda: _main(step.arguments), log.with_suffix(".resumed.txt"))
        wrong = _wrong(ended, step.status)
        if not wrong and step.says not in ended.text:
            wrong = f"expected {step.says} in the printed output, found no such text"
        if not wrong and step.killed and step.out is not None:
            latents = read_if_there(step.out / RUN).get("latents") or {}
            if not was_killed or not latents.get("stored"):
                wrong = (
                    "the command ended too early to be killed"
                    if not was_killed
                    else "the second call found no latents in the store"
                )
        if not wrong and step.like is not None and step.out is not None:
            wrong = _differences(step.out, step.out.parent / step.like)
        if step.store is not None:
            shutil.rmtree(step.store, ignore_errors=True)
        return Attempt(step.name, " ".join(step.arguments), ended.status, ended.seconds, ended.memory, wrong)

    def _write(self, out: Path, attempts: Sequence[Attempt], seconds: float) -> None:
        """Write `table.md` and `rehearsal.json` with the steps that have run so far."""
        notes = [f"The rehearsal has taken {seconds:.0f} s. The folder `logs` has what each step printed."]
        write_atomically(out / TABLE, markdown(self._title, [_grid(attempts)], notes))
        write_json(out / RECORD, {"attempts": [asdict(one) for one in attempts], "seconds": seconds})

    def _report(self, out: Path, attempts: Sequence[Attempt], seconds: float) -> None:
        """Write `run.json`, and print the table of the steps.

        If the step `FORECAST` was run, also print the output of this step.
        """
        facts: dict[str, Any] = {
            "custom": [],
            "manifest": None,
            "seconds": {"all": round(seconds, 3)},
            "profile": REHEARSAL,
        }
        write_run(
            out,
            run_facts(
                self.config,
                self.config.resolved,
                self.overrides,
                device=self.config.device,
                weights={},
                facts=facts,
            ),
        )
        print_grid(_grid(attempts), self._title, terminal())
        print(one_line(f"table: {out / TABLE}"))
        if (forecast := out / "logs" / "forecast.txt").is_file():
            print(forecast.read_text(encoding="utf-8"))

    @property
    def _title(self) -> str:
        return f"{TITLE} (size {self.config.rehearsal.size})"


def _grid(attempts: Sequence[Attempt]) -> Grid:
    lines = [
        [one.name, one.wrong or "nothing", str(one.status), f"{one.seconds:.1f}", gigabytes(one.memory)]
        for one in attempts
    ]
    return Grid(["step", "what is wrong", "status", "seconds", "peak memory"], lines, left=2)


def _check_folders(out: str | None) -> None:
    """Check that the folders `files`, `logs` and `runs` in `out` may be removed.

    A rehearsal removes these folders before it starts. They may be removed only if an earlier rehearsal made them.

    Raises:
        BadInputError: `out` has at least one of these folders, but `out` does not belong to an earlier rehearsal.
    """
    found = [name for name in FOLDERS if out is not None and (Path(out) / name).exists()]
    if found and out is not None and read_if_there(Path(out) / STARTED).get("experiment") != NAME:
        raise BadInputError(
            f"out: expected the folder of an earlier rehearsal, or a folder with none of {', '.join(FOLDERS)}, "
            f"because a rehearsal removes them; found {found[0]} in {out}"
        )


def _variables() -> Iterator[str]:
    """Yield the name of each environment variable that sets a path of this project.

    The rehearsal removes these variables, so that no command uses the user's own files.
    """
    yield from (f"BENCH_{field.name.upper()}" for field in fields(Paths))


def make_files(place: Place, tables: Sequence[str], config: RehearsalConfig) -> int:
    """Write the files that the chosen parts of the rehearsal need, and write the profile `rehearsal`.

    The function checks the files of the paper profile, and then makes each file that this check reports as missing. It
    also sets the variables `place.environment` in the environment of the running process.

    Args:
        place: folders into which the files are written. They are empty.
        tables: names of the experiments that measure the chosen tables.
        config: configuration of the rehearsal.

    Returns:
        The exit status 0.

    Raises:
        BadInputError: a missing file would lie outside `place`.
    """
    sizes = SIZES[config.rehearsal.size]
    os.environ.update(place.environment)
    paths = ["profile=paper", setting("paths.weights", place.weights), setting("paths.data", place.data)]
    measured = [name for name in tables if name not in LAYERS]
    wanted = [[f"experiment={name}", *(["baseline=native"] if name.startswith("table1_") else [])] for name in measured]
    parts = chosen_parts(config.rehearsal)
    if "requested" in parts and "table2_inpaint_imagenet" in measured:
        wanted.append(["experiment=table2_inpaint_imagenet", *REQUESTED])
    if "training" in parts:
        wanted.append(["experiment=train_decoder", "training=paper_base"])
    if "sweep" in parts:
        wanted += [["experiment=sweep_decoder_size", f"decoder={name}"] for name in ("large", "large_x2")]
    assets: dict[str, Path] = {}
    for words in wanted:
        composed, resolved = checked([*words, *paths])
        for problem in experiment_of(narrowed(composed, resolved), [*words, *paths]).missing():
            if problem.asset is not None:
                assets[problem.asset.name] = Path(problem.place)
    outside = [path for path in assets.values() if not path.is_relative_to(place.root)]
    if outside:
        raise BadInputError(
            f"rehearsal: expected only paths of files in {place.root}, found {outside[0]}, which is outside"
        )
    for name, path in assets.items():
        print(f"{name}: {path}", flush=True)
        write_asset(name, path, sizes)
    if "imagenet_val" in assets:
        write_asset("flat_imagenet", place.flat_imagenet, sizes)
    if sizes.one_file and "sd_inpainting" in assets and "forms" in parts:
        write_asset("checkpoint", place.checkpoint, sizes)
    write_profile(place, assets, sizes)
    write_json(place.made, {name: str(path) for name, path in assets.items()})
    return 0


def _count_gpus() -> int:
    """Return the number of GPUs that PyTorch can use."""
    return torch.cuda.device_count()


def _main(arguments: list[str]) -> int:
    from bench.cli import main

    return main(arguments)


def _run(step: Step, log: Path) -> Ended:
    if step.processes > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={step.processes}", "--standalone"]
        return in_subprocess([*launcher, "-m", "bench", *step.arguments], log)
    kill_when = (lambda: _has_latents(step.store)) if step.killed else None
    return in_process(lambda: _main(step.arguments), log, kill_when=kill_when)


def _has_latents(store: Path | None) -> bool:
    return store is not None and any((store / "latents").glob("**/*.safetensors"))


def _wrong(ended: Ended, expected: int) -> str:
    """Return a text that says what went wrong in a process, or an empty text if nothing did.

    Something went wrong if the process printed a traceback, or if its exit status is not the expected one.

    Args:
        ended: exit status and printed text of the process.
        expected: expected exit status.
    """
    text = ended.text
    if TRACEBACK in text:
        return f"found a traceback: {one_line(text.strip().splitlines()[-1])}"
    if ended.status != expected:
        last = text.strip().splitlines() or ["nothing printed"]
        return f"expected the exit status {expected}, found {ended.status}: {one_line(last[-1])}"
    return ""


def _differences(out: Path, other: Path) -> str:
    """Describe the first difference between the numbers of two runs of one table.

    Args:
        out: folder of the run.
        other: folder of the run that has the expected numbers.

    Returns:
        The description; "" if all numbers agree within `TOLERANCE`. If the rows or metrics of the two runs differ, or
            if `other` has no numbers, the description says so.
    """
    found, expected = (dict(_numbers(read_if_there(folder / RESULTS))) for folder in (out, other))
    if not any(value is not None for value in expected.values()):
        return f"expected numbers in {other.name} to compare with, found no numbers"
    if found.keys() != expected.keys():
        return f"expected the rows and metrics of {other.name}, found other rows or metrics"
    for key, value in expected.items():
        here = found[key]
        same = here == value or (
            here is not None and value is not None and abs(here - value) <= TOLERANCE * max(abs(value), 1e-9)
        )
        if not same:
            return f"{' of '.join(reversed(key))}: expected {value}, found {here}"
    return ""


def _numbers(results: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], float | None]]:
    for row in results.get("rows", []):
        for metric, entry in row.get("metrics", {}).items():
            yield (row["method"], metric), entry["value"]


@contextmanager
def _taken_away(asset: str | None, place: Place) -> Iterator[None]:
    """Rename the file of an asset during the `with` block, so that no command finds this file.

    Args:
        asset: name of the asset. If it is None, nothing is renamed.
        place: folders of the rehearsal's files.
    """
    path = None if asset is None else Path(read_if_there(place.made)[asset])
    away = None if path is None else path.with_name(f".{path.name}.away")
    if path is not None and away is not None:
        path.rename(away)
    try:
        yield
    finally:
        if path is not None and away is not None:
            away.rename(path)


@contextmanager
def _environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables during the `with` block, and restore their earlier values after it.

    A variable whose value is None is removed during the block.
    """
    before = {name: os.environ.get(name) for name in variables}

    def set_all(values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    set_all(variables)
    try:
        yield
    finally:
        set_all(before)
