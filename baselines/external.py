"""External: the method's own program, run on the items as it wants them, and its pictures read back as predictions.

The program gets a folder of `ID.png` and `ID_mask.png`, or a folder of each, or a list, and leaves `ID.png`, or what
`baselines.predictions` takes for it, in another. A command that names `{image}` is run for each item. What was made
before a program failed or was stopped is kept: the next start gives it only what is missing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from baselines.predictions import candidates, images_like, survey
from bench.data.items import Item, read_rgb
from bench.data.manifest import Items
from bench.errors import BadInputError, RunFailedError
from bench.generation.decoding import Batch
from bench.store import content_key, file_sha256, lease

__all__ = ["External"]

log = logging.getLogger(__name__)

MASKS = {"hole": 255, "known": 0}
"""What is white in a mask, and the grey level of a hole."""
MOST_SAID = 400
"""Characters of what a program left out."""
LAST_LINES = 15
"""Of the program's log, in the message where it failed."""


class External:
    """What a program of its own makes of the items."""

    origin = "external"
    training = ""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        folder: str | None = None,
        version: str = "",
        white: str = "hole",
        size: int | None = None,
        minutes: float = 60.0,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Take the program.

        Args:
            name: of its folder.
            command: words, in which `{indir}` and `{outdir}` are the two folders; or `{images}` and `{masks}`, folders
                in which both have the same name; or `{list}`, a file with a line `IMAGE MASK OUTPUT` for each item; or
                `{image}`, `{mask}` and `{output}`, files of one item, and `{exemplar}`, the patch to be painted.
                `{folder}` is where it is run, `{python}` this interpreter and `{baselines}` the folder of this file. A
                Python of its own, a container or `srun` may lead it.
            folder: where it is run, such as a method's repository; None for a folder of its own.
            version: whatever else changes its pictures, such as the commit and the checkpoint's name.
            white: what is white in its masks: the `hole`, or what is `known`.
            size: side that it wants, where that is not the items'; pictures go there and back by bicubic interpolation.
            minutes: after which it is stopped; of one item where the command is run for each.
            environment: variables that it gets besides this process's.

        Raises:
            ValueError: an argument is not one of these.
        """
        if white not in MASKS:
            raise ValueError(f"white: expected one of {', '.join(MASKS)}, found {white}")
        if not command or minutes <= 0 or (size is not None and size < 1):
            raise ValueError("external: expected a command, minutes above 0, and a size of 1 or more")
        self.folder = None if folder is None else Path(folder)
        self.name, self.command, self.minutes = name, command, minutes
        self.white, self.size, self.environment = white, size, environment or {}
        self._settings = {"command": command, "version": version, "white": white, "size": size}
        self._found: Mapping[str, Path] = {}

    @property
    def content(self) -> str:
        """Hash of its pictures, once there are some."""
        return content_key({item: file_sha256(path) for item, path in self._found.items()})

    def to(self, device: torch.device) -> External:
        return self

    def prepare(self, items: Items, work: Path) -> None:
        """Run the program on the items whose pictures are not there yet.

        Args:
            items: the run's.
            work: where pictures and logs are kept.

        Raises:
            RunFailedError: it failed, took too long, or left pictures out; the message has the end of its log.
        """
        side = self.size or items.manifest["resolution"]
        ids = [line["id"] for line in items.lines()]
        folder = work.absolute() / f"{self.name}-{content_key({**self._settings, 'items': items.hash})[:16]}"
        made = folder / "out"
        made.mkdir(parents=True, exist_ok=True)
        with lease(folder / ".lease"):
            there = survey(made, ids, side)
            for item in there.other:
                _remove(made, item)
            wanted = set(ids) - there.found.keys()
            if wanted:
                log.info("%s: %d of %d items are to be made", self.name, len(wanted), len(ids))
                self._write(folder / "in", items, wanted, side)
                try:
                    self._run(folder, [name for name in ids if name in wanted])
                except RunFailedError as error:
                    kept = len(survey(made, ids, side).found)
                    raise RunFailedError(
                        f"{error}; {kept} of {len(ids)} pictures are kept: the next start goes on with the others"
                        f"{_tail(folder)}"
                    ) from None
                there = survey(made, ids, side)
                if there.complaints:
                    left = textwrap.shorten("; ".join(there.complaints), MOST_SAID, placeholder=" …")
                    raise RunFailedError(f"{self.name}: it ended well, but left {left}{_tail(folder)}")
        self._found = there.found

    def __call__(self, batch: Batch) -> Tensor:
        """The pictures B×3×H×W in [-1, 1], of which known pixels are as the program left them."""
        size = (batch.image.shape[-1],) * 2
        pictures = [read_rgb(self._found[item]) for item in batch.ids]
        sized = [one if one.size == size else one.resize(size, Image.Resampling.BICUBIC) for one in pictures]
        return images_like(sized, batch.image)

    def _write(self, folder: Path, items: Items, wanted: set[str], side: int) -> None:
        """The program's input, and nothing else."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for start, stop in items.blocks():
            places = [start + place for place, line in enumerate(items.lines(start, stop)) if line["id"] in wanted]
            for item in items.pick(places):
                self._write_item(folder, item, side)

    def _write_item(self, folder: Path, item: Item, side: int) -> None:
        hole = MASKS[self.white]
        image = Image.fromarray(item.image)
        mask = Image.fromarray(np.where(item.mask > 0, hole, 255 - hole).astype(np.uint8))
        if side != image.width:
            image = image.resize((side, side), Image.Resampling.BICUBIC)
            mask = mask.resize((side, side), Image.Resampling.NEAREST)
        for picture, path in zip((image, mask), self._inputs(folder, item.id), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
        if self._names("{exemplar}"):
            if item.exemplar is None:
                raise BadInputError(f"{self.name}: expected an exemplar of {item.id}, as the command names, found none")
            Image.fromarray(item.exemplar).save(_exemplar(folder, item.id))

    def _names(self, place: str) -> bool:
        return any(place in word for word in self.command)

    def _inputs(self, folder: Path, item: str) -> tuple[Path, Path]:
        """Files of an item's picture and mask."""
        if self._names("{masks}"):
            return folder / "images" / f"{item}.png", folder / "masks" / f"{item}.png"
        return folder / f"{item}.png", folder / f"{item}_mask.png"

    def _run(self, folder: Path, wanted: list[str]) -> None:
        given, made = folder / "in", folder / "out"
        files = {item: (*self._inputs(given, item), made / f"{item}.png") for item in wanted}
        for _, _, output in files.values():
            output.parent.mkdir(parents=True, exist_ok=True)
        (folder / "list.txt").write_text("".join(" ".join(map(str, paths)) + "\n" for paths in files.values()))
        places = {
            "{indir}": str(given),
            "{outdir}": str(made),
            "{images}": str(given / "images"),
            "{masks}": str(given / "masks"),
            "{list}": str(folder / "list.txt"),
            "{folder}": str((self.folder or folder).absolute()),
            "{python}": sys.executable,
            "{baselines}": str(Path(__file__).parent),
        }
        if not self._names("{image}"):
            self._call(folder, places)
            return
        for item, (image, mask, output) in files.items():
            own = {"{image}": image, "{mask}": mask, "{exemplar}": _exemplar(given, item), "{output}": output}
            self._call(folder, {**places, **{name: str(path) for name, path in own.items()}})

    def _call(self, folder: Path, places: Mapping[str, str]) -> None:
        words = [_replaced(word, places) for word in self.command]
        with (folder / "log.txt").open("ab") as output:
            try:
                process = subprocess.Popen(
                    words,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder or folder,
                    env={**os.environ, **self.environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise BadInputError(
                    f"{self.name}: expected a command that can be run, found {words[0]} ({error})"
                ) from error
            try:
                status = process.wait(60 * self.minutes)
            except subprocess.TimeoutExpired:
                raise RunFailedError(
                    f"{self.name}: {' '.join(words)} was stopped after {self.minutes:g} minutes"
                ) from None
            finally:
                _stop(process)
        if status:
            raise RunFailedError(f"{self.name}: {' '.join(words)} ended with status {status}")


def _exemplar(folder: Path, item: str) -> Path:
    return folder / f"{item}_exemplar.png"


def _replaced(word: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(name, value)
    return word


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the program with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _remove(folder: Path, item: str) -> None:
    for path in candidates(folder, item):
        path.unlink()


def _tail(folder: Path) -> str:
    lines = (folder / "log.txt").read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "".join(f"\n  {line}" for line in [f"the end of {folder / 'log.txt'}:", *lines])
