"""External methods: an external program runs on the items, and the pictures that it writes are read as predictions.

The program gets its input in one of three ways: a folder with `ID.png` and `ID_mask.png`, two folders for images and
masks, or a list of files. It writes each picture to an output folder, as `ID.png` or under any other name that
`baselines.predictions` accepts. The program normally runs once for all items. If its command contains `{image}`, it
runs once for each item. If the program fails or is stopped, the pictures that it wrote are kept. The next run calls the
program only with those items that have no picture yet. After the program has made all pictures, its input files are
removed, because they need as much disk space as the pictures.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from baselines.predictions import candidates, images_like, survey
from bench.data.encoding import write_picture
from bench.data.items import Item
from bench.data.names import escaped, file_stem
from bench.data.pictures import read_rgb
from bench.data.prepared import Items
from bench.errors import BadInputError, RunFailedError
from bench.generation.method import Batch, Method
from bench.store import content_key, file_sha256, lease

__all__ = ["External"]

log = logging.getLogger(__name__)

MASKS = {"hole": 255, "known": 0}
"""Grey level of the hole in a mask's file, for each choice of the white region."""
LONGEST_LIST = 400
"""Largest number of characters that a message uses to list missing pictures."""
A_DAY = 24 * 60
"""Minutes in a day."""
LAST_LINES = 15
"""Number of lines from the end of the program's log that an error message shows."""


@dataclass(eq=False)
class External(Method):
    """The method that runs an external program and uses the pictures that the program writes.

    The command may contain these placeholders:
    `{indir}` and `{outdir}` are the folders of the input and of the output.
    `{images}` and `{masks}` are two input folders, in which an image and its mask have equal names.
    `{list}` is a file with one line `IMAGE MASK OUTPUT` of paths for each item. The paths must not contain white space.
    `{image}`, `{mask}`, `{exemplar}` and `{output}` are the files of one item.
    `{folder}` is the working directory, `{python}` is this Python interpreter, `{baselines}` is this module's folder.

    The command may begin with another Python interpreter, a container or `srun`.

    Raises:
        ValueError: the name, the command, the white region, the size or the time is not allowed.
    """

    origin = "external"

    name: str
    """Name of the program. The name of the folder of the program's pictures begins with this name."""
    command: list[str]
    """Words of the command: the program and its arguments."""
    _: KW_ONLY
    folder: str | None = None
    """Working directory of the program, such as a method's repository; None for the folder of pictures and logs."""
    version: str = ""
    """Text that names everything else that changes the pictures, such as the commit and the checkpoint.

    If this text changes, all pictures are made again.
    """
    white: str = "hole"
    """Region that is white in the masks: `hole` or `known`."""
    size: int | None = None
    """Side in pixels of the pictures that the program needs; None for the side of the items.

    Pictures are resized by bicubic interpolation, and masks by nearest neighbour.
    """
    minutes: float | None = None
    """Time limit in minutes for each item. A program that gets N items at once may take N times as long.

    None limits each call of the program to a day.
    """
    environment: dict[str, str] | None = None
    """Environment variables of the program, in addition to those of this process."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.+-]*", self.name):
            raise ValueError(
                "name: expected only letters, digits and the characters - + . _, with a letter, a digit or _ first, "
                f"found {self.name!r}"
            )
        if self.white not in MASKS:
            raise ValueError(f"white: expected one of {', '.join(MASKS)}, found {self.white}")
        too_short = self.minutes is not None and self.minutes <= 0
        if not self.command or too_short or (self.size is not None and self.size < 1):
            raise ValueError(
                "command, minutes, size: expected a command of at least one word, minutes above 0 if they are set, "
                "and a size of 1 or more if it is set, found "
                f"command={self.command}, minutes={self.minutes}, size={self.size}"
            )
        self._settings = {"command": self.command, "version": self.version, "white": self.white, "size": self.size}
        self._found: Mapping[str, Path] = {}

    @property
    def content(self) -> str:
        """Hash of all pictures of the program. It is valid only after a call of `prepare`."""
        return content_key({item: file_sha256(path) for item, path in self._found.items()})

    def prepare(self, items: Items, work: Path) -> None:
        """Run the program on the items whose pictures do not exist yet.

        Args:
            items: the run's items.
            work: folder for pictures and logs.

        Raises:
            BadInputError: the command cannot be run; or the command contains `{exemplar}`, and an item has no exemplar;
                or the command contains `{list}`, and a path in this list contains white space.
            RunFailedError: the program failed, took too long, or did not make all pictures. The message shows the end
                of the program's log.
        """
        side = self.size or items.manifest["resolution"]
        ids = [line["id"] for line in items.lines()]
        folder = work.absolute() / f"{self.name}-{content_key({**self._settings, 'items': items.hash})[:16]}"
        made = folder / "out"
        made.mkdir(parents=True, exist_ok=True)
        with lease(folder / ".lease"):
            state = survey(made, ids, side)
            for item in state.other:
                _remove(made, item)
            wanted = set(ids) - state.found.keys()
            if wanted:
                log.info(
                    "%s: running the program on the items that have no picture yet (%d of %d)",
                    self.name,
                    len(wanted),
                    len(ids),
                )
                try:
                    if self._names("{image}"):
                        self._run_each(folder, items, wanted, side)
                    else:
                        self._run_together(folder, items, wanted, side)
                except RunFailedError as error:
                    kept = len(survey(made, ids, side).found)
                    raise RunFailedError(
                        f"{error}; {kept} of {len(ids)} pictures are finished; run the same command again to make "
                        "the others"
                        f"{_tail(folder)}"
                    ) from None
                state = survey(made, ids, side)
                if state.complaints:
                    missing = textwrap.shorten("; ".join(state.complaints), LONGEST_LIST, placeholder=" …")
                    raise RunFailedError(
                        f"{self.name}: expected one picture of {side}×{side} for each item, found {missing}"
                        f"{_tail(folder)}"
                    )
            shutil.rmtree(folder / "in", ignore_errors=True)
        self._found = state.found

    def __call__(self, batch: Batch) -> Tensor:
        """Return the program's pictures B×3×H×W in [-1, 1], resized to the size of the batch if necessary.

        Known pixels are not pasted back.
        """
        size = (batch.image.shape[-1],) * 2
        pictures = [read_rgb(self._found[item]) for item in batch.ids]
        sized = [one if one.size == size else one.resize(size, Image.Resampling.BICUBIC) for one in pictures]
        return images_like(sized, batch.image)

    def _run_each(self, folder: Path, items: Items, wanted: set[str], side: int) -> None:
        """Run the program once for each item in `wanted`. Each call gets only the files of one item."""
        given, made = _emptied(folder / "in"), folder / "out"
        for item in _chosen(items, wanted):
            self._write_item(given, item, side)
            image, mask = self._inputs(given, item.id)
            output = made / f"{file_stem(item.id)}.png"
            output.parent.mkdir(parents=True, exist_ok=True)
            files = {"{image}": image, "{mask}": mask, "{exemplar}": _exemplar(given, item.id), "{output}": output}
            self._call(folder, {**self._places(folder), **{name: str(path) for name, path in files.items()}}, 1)
            _emptied(given)

    def _run_together(self, folder: Path, items: Items, wanted: set[str], side: int) -> None:
        """Run the program once, with the files of all items in `wanted`."""
        given, made = _emptied(folder / "in"), folder / "out"
        lines = []
        for item in _chosen(items, wanted):
            self._write_item(given, item, side)
            paths = (*self._inputs(given, item.id), made / f"{file_stem(item.id)}.png")
            paths[2].parent.mkdir(parents=True, exist_ok=True)
            if self._names("{list}"):
                self._refuse_white_space(paths)
            lines.append(" ".join(map(str, paths)) + "\n")
        (folder / "list.txt").write_text("".join(lines), encoding="utf-8")
        self._call(folder, self._places(folder), len(lines))

    def _places(self, folder: Path) -> dict[str, str]:
        """Return a text for each placeholder that is replaced by the same text for every item.

        The key is the placeholder, such as `{indir}`.
        """
        given = folder / "in"
        return {
            "{indir}": str(given),
            "{outdir}": str(folder / "out"),
            "{images}": str(given / "images"),
            "{masks}": str(given / "masks"),
            "{list}": str(folder / "list.txt"),
            "{folder}": str(Path(self.folder or folder).absolute()),
            "{python}": sys.executable,
            "{baselines}": str(Path(__file__).parent),
        }

    def _write_item(self, folder: Path, item: Item, side: int) -> None:
        hole = MASKS[self.white]
        image = Image.fromarray(item.image)
        mask = Image.fromarray(np.where(item.mask > 0, hole, 255 - hole).astype(np.uint8))
        if side != image.width:
            image = image.resize((side, side), Image.Resampling.BICUBIC)
            mask = mask.resize((side, side), Image.Resampling.NEAREST)
        for picture, path in zip((image, mask), self._inputs(folder, item.id), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, np.asarray(picture))
        if self._names("{exemplar}"):
            if item.exemplar is None:
                raise BadInputError(
                    f"{self.name}: expected an exemplar of {item.id}, because the command has {{exemplar}}, "
                    "found no exemplar"
                )
            write_picture(_exemplar(folder, item.id), item.exemplar)

    def _names(self, place: str) -> bool:
        return any(place in str(word) for word in self.command)

    def _inputs(self, folder: Path, item: str) -> tuple[Path, Path]:
        """Return the paths at which the picture and the mask of an item are written."""
        stem = file_stem(item)
        if self._names("{masks}"):
            return folder / "images" / f"{stem}.png", folder / "masks" / f"{stem}.png"
        return folder / f"{stem}.png", folder / f"{stem}_mask.png"

    def _refuse_white_space(self, paths: Iterable[Path]) -> None:
        refused = next((path for path in paths if len(str(path).split()) != 1), None)
        if refused is not None:
            raise BadInputError(
                f"{self.name}: expected paths without white space, because white space separates the paths "
                f"in the file {{list}}, found {escaped(refused)}; rename the item's file, or the store's folder "
                "(paths.store)"
            )

    def _call(self, folder: Path, places: Mapping[str, str], count: int) -> None:
        """Run the program on `count` items, and wait until it ends.

        Args:
            folder: folder of the log. It is also the working directory if the user has set none.
            places: text of each placeholder in the command.
            count: number of items. The time limit is `minutes` for each item, or a day if `minutes` is None.
        """
        minutes = A_DAY if self.minutes is None else self.minutes * count
        words = [_replaced(str(word), places) for word in self.command]
        shown_command = escaped(shlex.join(words))
        variables = {name: str(value) for name, value in (self.environment or {}).items()}
        with (folder / "log.txt").open("ab") as output:
            try:
                process = subprocess.Popen(
                    words,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder or folder,
                    env={**os.environ, **variables},
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:  # a null character raises ValueError
                raise BadInputError(
                    f"{self.name}: expected a command that can be run, found {words[0]} ({error})"
                ) from error
            try:
                status = process.wait(60 * minutes)
            except subprocess.TimeoutExpired:
                raise RunFailedError(f"{self.name}: {shown_command} was stopped after {minutes:g} minutes") from None
            finally:
                _stop(process)
        if status < 0:
            number = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
            raise RunFailedError(f"{self.name}: {shown_command} was killed by {number}")
        if status:
            raise RunFailedError(f"{self.name}: {shown_command} ended with status {status}")


def _emptied(folder: Path) -> Path:
    """Delete a folder with all its files if it exists, create it again as an empty folder, and return its path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _chosen(items: Items, wanted: set[str]) -> Iterator[Item]:
    for start, stop in items.blocks():
        places = [start + place for place, line in enumerate(items.lines(start, stop)) if line["id"] in wanted]
        yield from items.pick(places)


def _exemplar(folder: Path, item: str) -> Path:
    return folder / f"{file_stem(item)}_exemplar.png"


def _replaced(word: str, places: Mapping[str, str]) -> str:
    """Replace every placeholder in a word of the command. Placeholders in the inserted text are not replaced."""
    return re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], word)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and all its child processes, and wait until the program has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _remove(folder: Path, item: str) -> None:
    for path in candidates(folder, item):
        path.unlink()


def _tail(folder: Path) -> str:
    try:
        lines = (folder / "log.txt").read_text(errors="replace", encoding="utf-8").splitlines()[-LAST_LINES:]
    except OSError as error:  # the program may remove any file
        return f"\n  the program's log cannot be read: {error}"
    return "".join(f"\n  {line}" for line in [f"the end of {folder / 'log.txt'}:", *lines])
