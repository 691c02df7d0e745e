"""The commands of a rehearsal, each with the exit status, the output and the numbers that it must produce."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.config.compose import compose_config, conf_dir
from bench.config.overrides import setting
from bench.config.schema import REHEARSAL, RehearsalSpec
from bench.errors import BadInputError
from bench.rehearsal.files import Place
from bench.rehearsal.sizes import SIZES

__all__ = ["FORECAST", "LAYERS", "PARTS", "REQUESTED", "Step", "chosen_parts", "chosen_tables", "steps_of"]

PARTS = ("check", "fetch", "tables", "forms", "requested", "collection", "training", "sweep", "processes", "resume")
"""The parts of a rehearsal.

- `check`: `stage=check` while a file is missing, and with all files.
- `fetch`: `stage=fetch` without a network, while a file is missing.
- `tables`: each table.
- `forms`: Table 2 again with other forms of the same files: one checkpoint file, and ImageNet in one folder.
- `requested`: Table 2 with the measures that no table uses by default.
- `collection`: all tables in one command, from the results in the store.
- `training`: one update by every recipe of the paper.
- `sweep`: a sweep over the sizes of decoders.
- `processes`: a table in two processes.
- `resume`: a table that is killed and started again.
"""
ALL = "all"
FORECAST = "check, nothing is missing, and forecast"
"""Name of the step whose output forecasts the hours, memory and disk of the paper's runs."""
SINGLE = {
    "table2_inpaint_imagenet": "vgg16",
    "table1_inpaint_places": "vgg16",
    "table4_edit_cocoee": "clip",
    "table6_text2image_coco": "inception_fidelity",
}
"""Tables for the steps that run a single table, in order of preference, with the name of one asset of each table.

The first of these tables that is rehearsed is used. Its asset is taken away in steps that need a missing file.
"""
REQUESTED = tuple(f"metrics.measures.{name}.tasks=[inpainting]" for name in ("dinov2", "cmmd", "dists", "dists_known"))
"""Overrides that add FD-DINOv2, CMMD and DISTS to a table of inpainting."""
LAYERS = ("table7_architecture_base", "table8_architecture_large")
"""Tables that need neither weights nor data."""


@dataclass(frozen=True)
class Step:
    """A command of a rehearsal, with its expected results."""

    part: str
    name: str
    arguments: list[str]
    """Arguments of `python -m bench`."""
    status: int = 0
    """Expected exit status."""
    says: str = ""
    """Text that the command must print."""
    without: str | None = None
    """Name of an asset that is taken away while the command runs; None for none."""
    processes: int = 1
    killed: bool = False
    """True if the command is killed in the middle, and started again."""
    like: str | None = None
    """Name of the step whose numbers this step must reproduce; None if its numbers are not compared."""
    out: Path | None = None
    """Folder of the run, if it writes one."""
    store: Path | None = None
    """Store of the run, if it is its own."""


def chosen_tables(spec: RehearsalSpec) -> list[str]:
    """Return the names of the experiments to rehearse. Each experiment computes one table.

    Args:
        spec: settings of the rehearsal. `tables` is `all`, the number of a table, or a list of such numbers.

    Raises:
        BadInputError: `spec.tables` has another form, is empty, or contains an unknown number.
    """
    known = {_number(name): name for name in compose_config(["experiment=all_tables"]).experiments}
    if spec.tables == ALL:
        return list(known.values())
    numbers = list(spec.tables) if isinstance(spec.tables, list) else [spec.tables]
    if not numbers or any(type(number) is not int or number not in known for number in numbers):
        raise BadInputError(
            f"rehearsal.tables: expected all, or some of {', '.join(map(str, known))}, found {spec.tables}"
        )
    return [known[number] for number in dict.fromkeys(numbers)]


def _number(name: str) -> int:
    found = re.match(r"table(\d+)_", name)
    assert found is not None
    return int(found[1])


def chosen_parts(spec: RehearsalSpec) -> list[str]:
    """Return the names of the rehearsal's parts that are to be run, in the order of `PARTS`.

    Args:
        spec: settings of the rehearsal. `parts` is `all`, a name in `PARTS`, or a list of such names.

    Raises:
        BadInputError: `spec.parts` has another form, is empty, or contains an unknown name.
    """
    wanted = list(PARTS) if spec.parts == ALL else spec.parts if isinstance(spec.parts, list) else [spec.parts]
    if not wanted or any(not isinstance(part, str) or part not in PARTS for part in wanted):
        raise BadInputError(f"rehearsal.parts: expected all, or some of {', '.join(PARTS)}, found {spec.parts}")
    return [part for part in PARTS if part in wanted]


class _Commands:
    """An object that creates the steps of a rehearsal. Each public method yields the steps of one part of `PARTS`."""

    def __init__(self, spec: RehearsalSpec, place: Place, limit: int, device: str, *, gpus: int) -> None:
        self.place, self.tables = place, chosen_tables(spec)
        self.sizes, self.gpus = SIZES[spec.size], gpus
        self.forecasts = gpus > 0 and spec.size == "full"
        self.runs = place.root.parent / "runs"
        self.shared = ["--config-dir", str(place.conf), f"profile={REHEARSAL}"]
        self.files = [setting("paths.weights", place.weights), setting("paths.data", place.data), f"device={device}"]
        self.store = place.root / "store"
        self.measured = [
            f"limit={limit}",
            *([] if spec.steps is None else [f"profile.steps={spec.steps}"]),
            # A report times every decoder, which takes hours at the true sizes on a CPU.
            *(["stage=tabulate"] if self.sizes.one_file and not self.forecasts else []),
        ]
        self.single = next((name for name in SINGLE if name in self.tables), None)

    def check(self) -> Iterator[Step]:
        yield from self._lacking("check")
        words = ["experiment=all_tables", "stage=check", *self._words(self.store)]
        if self.forecasts:
            yield Step("check", FORECAST, [*words, self._tables(), "baseline=native"])
        elif self.single is not None and not self.sizes.one_file:
            yield Step("check", "check, nothing is missing", [*words, f"experiments=[{self.single}]", *self.measured])

    def fetch(self) -> Iterator[Step]:
        yield from self._lacking("fetch")

    def _lacking(self, stage: str) -> Iterator[Step]:
        """Yield a step that runs a stage of one table while one of the table's files is missing.

        The command of this step must end with status 2. If none of the tables in `SINGLE` is rehearsed, no step is
        yielded.

        Args:
            stage: stage that the step runs, `check` or `fetch`. The part of the step has the same name.
        """
        if self.single is not None:
            asset = SINGLE[self.single]
            words = [f"experiment={self.single}", f"stage={stage}", *self._words(self.store)]
            yield Step(stage, f"{stage}, a file is missing", words, status=2, says=f"{asset}: ", without=asset)

    def tables_(self) -> Iterator[Step]:
        for name in self.tables:
            if name in LAYERS:
                out = self.runs / name
                yield Step("tables", name, [f"experiment={name}", *self.shared, setting("out", out)], out=out)
            else:
                yield self._run("tables", name, self._table(name))

    def forms(self) -> Iterator[Step]:
        table = "table2_inpaint_imagenet"
        if table not in self.tables:
            return
        if self.sizes.one_file:
            file = setting("paths.sd_inpainting", self.place.checkpoint)
            yield self._run("forms", "table2 from a checkpoint file", [*self._table(table), file])
        flat = [
            setting("paths.imagenet_val", self.place.flat_imagenet),
            "dataset.pictures.ground_truth=ILSVRC2012_validation_ground_truth.txt",
        ]
        step = self._run("forms", "table2 of pictures in one folder", [*self._table(table), *flat])
        yield replace(step, like=table)

    def requested(self) -> Iterator[Step]:
        if "table2_inpaint_imagenet" in self.tables:
            words = [*self._table("table2_inpaint_imagenet"), *REQUESTED]
            yield self._run("requested", "table2 with the measures on request", words)

    def collection(self) -> Iterator[Step]:
        measured = [word for word in self.measured if not word.startswith("stage=")]
        words = ["experiment=all_tables", self._tables(), *measured, "stage=tabulate"]
        yield self._run("collection", "all tables, from the store", words)

    def training(self) -> Iterator[Step]:
        for path in sorted((conf_dir() / "training").glob("paper_*.yaml")):
            decoder = path.stem.removeprefix("paper_").removesuffix("_as_printed")
            words = [
                "experiment=train_decoder", f"training={path.stem}", f"decoder={decoder}",
                f"training.profile={REHEARSAL}", "training.steps=1", "training.batch_size=2", "training.at_once=1",
                "training.validation_items=1", "training.objective.adversary_from=0", *self.sizes.training,
            ]  # fmt: skip
            yield self._run("training", f"one update of {path.stem}", words)

    def sweep(self) -> Iterator[Step]:
        words = ["-m", "experiment=sweep_decoder_size", "decoder=large,large_x2", *self.measured]
        yield self._run("sweep", "sweep of decoder sizes", words)

    def processes(self) -> Iterator[Step]:
        if self.single is not None and self.gpus != 1:
            step = self._run("processes", f"{self.single} in two processes", self._table(self.single), own_store=True)
            yield replace(step, processes=2)

    def resume(self) -> Iterator[Step]:
        if self.single is not None:
            step = self._run("resume", f"{self.single}, killed and resumed", self._table(self.single), own_store=True)
            # With batches of one item, the process can be killed between two batches.
            yield replace(step, arguments=[*step.arguments, "batch_size=1"], killed=True)

    def _table(self, name: str) -> list[str]:
        baselines = ["baseline=native"] if _number(name) == 1 else []
        return [f"experiment={name}", *baselines, *self.measured]

    def _tables(self) -> str:
        return f"experiments=[{','.join(self.tables)}]"

    def _words(self, store: Path) -> list[str]:
        return [*self.shared, *self.files, setting("paths.store", store)]

    def _run(self, part: str, name: str, words: Sequence[str], *, own_store: bool = False) -> Step:
        """Return a step that runs an experiment, which writes its results into a folder.

        Args:
            part: name of the part in `PARTS` to which the step belongs.
            name: name of the step.
            words: arguments of the command, without paths.
            own_store: True if the step uses a new, empty store. The step must then reproduce the numbers of the step
                that measures the table `self.single`. False if the step uses the store that other steps share.
        """
        folder = re.sub(r"[^\w.-]+", "_", name)
        store = self.place.root / f"store_{folder}" if own_store else self.store
        out = self.runs / folder
        step = Step(part, name, [*words, *self._words(store), setting("out", out)], out=out)
        return replace(step, like=self.single, store=store) if own_store else step


def steps_of(spec: RehearsalSpec, place: Place, *, limit: int, device: str, gpus: int) -> list[Step]:
    """Return the steps of a rehearsal.

    Args:
        spec: settings of the rehearsal.
        place: folders of the rehearsal's files.
        limit: number of items of each table.
        device: device of all commands.
        gpus: number of GPUs. If it is 1, no step uses several processes, because each process needs a separate GPU.
            If it is 0, no step makes a forecast, because a forecast at the true sizes would take hours on a CPU. No
            step makes a forecast with the size `small` either.

    Returns:
        The steps. If the step that another step's `like` names is not among them, this `like` is None.

    Raises:
        BadInputError: `spec` names an unknown table or part.
    """
    commands = _Commands(spec, place, limit, device, gpus=gpus)
    made = {
        "check": commands.check, "fetch": commands.fetch, "tables": commands.tables_, "forms": commands.forms,
        "requested": commands.requested,
        "collection": commands.collection, "training": commands.training, "sweep": commands.sweep,
        "processes": commands.processes, "resume": commands.resume,
    }  # fmt: skip
    steps = [step for part in chosen_parts(spec) for step in made[part]()]
    names = {step.name for step in steps}
    return [step if step.like in names else replace(step, like=None) for step in steps]
