"""A rehearsal of the paper profile: every command that its user will give, with random weights and made pictures."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.checking.inspection import Problem
from bench.checking.report import gigabytes
from bench.config.compose import checked
from bench.config.experiment_configs import RehearsalConfig
from bench.config.kinds import narrowed
from bench.config.overrides import setting
from bench.errors import BadInputError
from bench.experiments.run import experiment_of
from bench.rehearsal.attempts import Ended, in_process, in_subprocess
from bench.rehearsal.files import Place, write_asset, write_profile
from bench.rehearsal.sizes import SIZES
from bench.rehearsal.steps import FORECAST, LAYERS, Step, chosen_parts, chosen_tables, steps_of
from bench.results.out_folder import open_out, writing_into
from bench.results.run_folder import Results
from bench.results.stamps import RESULTS
from bench.results.write import run_facts, write_run
from bench.runtime.files import read_if_there, write_atomically, write_json
from bench.runtime.text import one_line
from bench.tables.grid import Grid, markdown, print_grid, terminal

__all__ = ["Rehearsal"]

OFFLINE = {"HF_HUB_OFFLINE": "1", **{f"{name}_PROXY": "http://127.0.0.1:9" for name in ("HTTP", "HTTPS", "ALL")}}
"""Environment in which no download works, like on a compute node without a network."""
TOLERANCE = 1e-5
"""Largest accepted relative difference of the numbers of two runs of the same table."""
DEFAULT_LIMIT = 4
TITLE = "Rehearsal of the paper profile with random weights: its numbers mean nothing"
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Attempt:
    """A step of a rehearsal that was run."""

    name: str
    command: str
    status: int
    seconds: float
    memory: int
    """Peak memory in bytes."""
    wrong: str
    """Description of what is wrong; empty if nothing is."""


class Rehearsal:
    """An experiment that makes all files of the paper profile with random weights, and runs the profile on them."""

    def __init__(self, config: RehearsalConfig, overrides: Sequence[str]) -> None:
        """Set the configuration and the overrides of the command line."""
        if config.rehearsal.size not in SIZES:
            raise BadInputError(f"rehearsal.size: expected {' or '.join(SIZES)}, found {config.rehearsal.size}")
        self.config, self.overrides = config, list(overrides)
        self.sizes = SIZES[config.rehearsal.size]

    def missing(self) -> list[Problem]:
        """Return an empty list, because the rehearsal makes all files itself."""
        return []

    def run(self) -> Results:
        """Make the files, run every step, write the table, and remove the files.

        The exit status of the results is 1 if something is wrong in any step.

        Raises:
            BadInputError: a setting is wrong, or the disk has too little free space.
        """
        spec = self.config.rehearsal
        tables = chosen_tables(spec)
        chosen_parts(spec)
        self._check_disk(Path(self.config.out or "outputs"))
        if self.config.stage == "check":
            print(f"{self.config.name}: ready: the files need about {gigabytes(self.sizes.gigabytes * 1e9)} of disk")
            return Results(Path(), 0)
        out = open_out(self.config).absolute()
        place, logs = Place(out / "files"), out / "logs"
        for folder in (place.root, logs, out / "runs"):
            shutil.rmtree(folder, ignore_errors=True)
        started = time.monotonic()
        try:
            attempts = [self._make(place, tables, logs / "make.txt")]
            if not attempts[0].wrong:
                forecasts = spec.size == "full" and in_process(_has_gpu, logs / "device.txt").status == 0
                limit, device = self.config.limit or DEFAULT_LIMIT, self.config.device
                steps = steps_of(spec, place, limit=limit, device=device, forecasts=forecasts)
                for number, step in enumerate(steps, 1):
                    print(f"{number}/{len(steps)} {step.name}", flush=True)
                    name = "forecast" if step.name == FORECAST else f"{number:02d}"
                    attempts.append(self._attempt(step, place, logs / f"{name}.txt"))
        finally:
            if not spec.keep:
                shutil.rmtree(place.root, ignore_errors=True)
        with writing_into(out):
            self._report(out, attempts, time.monotonic() - started)
        wrong = [attempt.name for attempt in attempts if attempt.wrong]
        return Results(out, 1 if wrong else 0, f"wrong: {', '.join(wrong)}" if wrong else "")

    def _check_disk(self, out: Path) -> None:
        there = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
        free, needed = shutil.disk_usage(there).free, self.sizes.gigabytes * 1e9
        if free < needed:
            raise BadInputError(
                f"out: expected {gigabytes(needed)} of free disk for the files of rehearsal.size="
                f"{self.config.rehearsal.size}, found {gigabytes(free)} at {there}"
            )

    def _make(self, place: Place, tables: Sequence[str], log: Path) -> Attempt:
        """Write all files that the chosen steps need."""
        ended = in_process(lambda: make_files(place, tables, self.config), log)
        return Attempt("make the files", "", ended.status, ended.seconds, ended.memory, _wrong(ended, 0))

    def _attempt(self, step: Step, place: Place, log: Path) -> Attempt:
        with _taken_away(step.without, place), _environment({**OFFLINE, **place.environment}):
            ended = _run(step, log)
            stored_before = ended.status == -9
            if step.killed:
                ended = in_process(lambda: _main(step.arguments), log.with_suffix(".resumed.txt"))
        wrong = _wrong(ended, step.status)
        if not wrong and step.says not in ended.text:
            wrong = f"expected {step.says} in what it printed"
        if not wrong and step.killed and not stored_before:
            wrong = "ended before it could be killed"
        if not wrong and step.like is not None and step.out is not None:
            wrong = _differences(step.out, step.out.parent / step.like)
        if step.store is not None:
            shutil.rmtree(step.store, ignore_errors=True)
        return Attempt(step.name, " ".join(step.arguments), ended.status, ended.seconds, ended.memory, wrong)

    def _report(self, out: Path, attempts: Sequence[Attempt], seconds: float) -> None:
        """Write `table.md`, `rehearsal.json` and `run.json`, and print the table."""
        grid = Grid(
            ["step", "what is wrong", "status", "seconds", "peak memory"],
            [
                [one.name, one.wrong or "nothing", str(one.status), f"{one.seconds:.1f}", gigabytes(one.memory)]
                for one in attempts
            ],
            left=2,
        )
        title = f"{TITLE} (size {self.config.rehearsal.size})"
        notes = [f"The whole rehearsal took {seconds:.0f} s. The folder `logs` has what each step printed."]
        write_atomically(out / "table.md", markdown(title, [grid], notes))
        write_json(out / "rehearsal.json", {"attempts": [asdict(one) for one in attempts], "seconds": seconds})
        write_run(
            out,
            run_facts(
                self.config,
                self.config.resolved,
                self.overrides,
                device=self.config.device,
                weights={},
                facts={"custom": [], "manifest": None, "seconds": {"all": round(seconds, 3)}},
            ),
        )
        print_grid(grid, title, terminal())
        print(one_line(f"table: {out / 'table.md'}"))
        if (forecast := out / "logs" / "forecast.txt").is_file():
            print(forecast.read_text(encoding="utf-8"))


def make_files(place: Place, tables: Sequence[str], config: RehearsalConfig) -> int:
    """Write the files that the tables and the trainings of the paper profile lack, and the profile `rehearsal`.

    The check of the paper profile itself says which files these are.

    Args:
        place: folders of the files, which are empty.
        tables: names of the tables' experiments.
        config: configuration of the rehearsal.

    Returns:
        The exit status.
    """
    sizes = SIZES[config.rehearsal.size]
    os.environ.update(place.environment)
    paths = ["profile=paper", setting("paths.weights", place.weights), setting("paths.data", place.data)]
    measured = [name for name in tables if name not in LAYERS]
    wanted = [[f"experiment={name}", *(["baseline=native"] if name.startswith("table1_") else [])] for name in measured]
    parts = chosen_parts(config.rehearsal)
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


def _has_gpu() -> int:
    """Return 0 if there is a GPU that PyTorch can use, and 1 otherwise."""
    import torch

    return 0 if torch.cuda.is_available() else 1


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
    """Return what is wrong with the end of a process, from its exit status and its printed text; "" for nothing."""
    text = ended.text
    if TRACEBACK in text:
        return f"a traceback: {one_line(text.strip().splitlines()[-1])}"
    if ended.status != expected:
        last = text.strip().splitlines() or ["nothing printed"]
        return f"expected status {expected}: {one_line(last[-1])}"
    return ""


def _differences(out: Path, other: Path) -> str:
    """Return the first number in which two runs of one table differ; "" if there is none."""
    found, expected = (dict(_numbers(read_if_there(folder / RESULTS))) for folder in (out, other))
    if not expected:
        return f"no results in {other.name} to compare with"
    for key, value in expected.items():
        here = found.get(key)
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
    """Rename the file of an asset while the block runs."""
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
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
