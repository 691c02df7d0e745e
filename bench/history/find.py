"""Functions that find earlier runs and baselines below a folder, and say when and from which commit each was made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.gate.baseline import baseline_of
from bench.gate.read_run import Side, read_side
from bench.history.repository import Commit, commit_in, file_versions
from bench.results.out_folder import STARTED
from bench.results.run_folder import RUN
from bench.results.stamps import RESULTS
from bench.runtime.strict_json import parse_json, read_json
from bench.store.layout import MARKER

__all__ = ["Skipped", "Source", "find", "find_versions"]

SWEEP = "sweep.csv"
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[_T](\d\d)[-:]?(\d\d)[-:]?(\d\d))?")
"""Pattern of a date, with or without a time, in the name of a folder or file."""
BASELINE_KEYS = {"schema_version", "experiments", "protocols"}
"""Keys by which the JSON file of a baseline is recognized."""
BY_COMMIT, BY_START, BY_NAME, BY_FILE = "commit date", "start of the run", "date in the name", "date of the file"
BY_PARENT = "date of an earlier commit"
"""Origin of the date of a commit whose own date is before that of an earlier commit, as after a wrong clock."""
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Skipped:
    """A file or folder that the history does not contain, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class Source:
    """A run, a collection of runs or a version of a baseline, whose numbers have not been read yet."""

    name: str
    """Path below the searched folder, or path and commit of a version of a baseline."""
    kind: str
    """Word for what it is: `run`, `collection` or `baseline`."""
    date: datetime
    """Date by which the sources are ordered, in UTC."""
    dated_by: str
    """Description of where `date` was read."""
    began: datetime
    """Start of the run; equal to `date` if it is not known. It orders runs of one commit."""
    commit: Commit | None
    dirty: bool | None
    """Whether files of the run's code differed from the commit; None if it is not known."""
    read: Callable[[], Side]
    """Function that reads the numbers. It raises a `BadInputError` if the files are damaged."""
    margins: tuple[str, ...] = ()
    """Margins with which the run itself was compared, as in `gate.margins`."""


def find(root: Path) -> tuple[list[Source], list[Skipped]]:
    """Return all runs and baselines below a folder, and the files and folders that look like one but cannot be used.

    Stores, folders of sweeps and hidden folders are not searched, and links to folders are not followed.

    Raises:
        BadInputError: `root` is not a folder.
    """
    try:
        if not root.is_dir():
            found_instead = "a file" if root.exists() else "nothing"
            raise BadInputError(f"{root}: expected a folder with earlier runs or baselines, found {found_instead}")
    except OSError as error:  # such as a name that is too long
        raise BadInputError(
            f"{root}: expected a folder with earlier runs or baselines, found the error {error.strerror}"
        ) from None
    found: list[Source | Skipped] = list(_in_folder(root, root))
    return (
        [one for one in found if isinstance(one, Source)],
        [one for one in found if isinstance(one, Skipped)],
    )


def find_versions(path: Path) -> tuple[list[Source], list[Skipped]]:
    """Return the versions of a baseline's file in a git repository, oldest first, and those that cannot be used.

    The dates follow the order of the commits: a version whose commit date is before that of an earlier version gets the
    date of the earlier one.

    Args:
        path: path of the file in the working tree.

    Raises:
        BadInputError: the file is in no commit of a git repository.
    """
    sources: list[Source] = []
    skipped: list[Skipped] = []
    earlier = datetime.min.replace(tzinfo=UTC)
    for version in reversed([*file_versions(path)]):
        name = f"{path} at {version.commit.short}"
        own = earlier if version.commit.date is None else version.commit.date.astimezone(UTC)
        earlier = date = max(own, earlier)
        by = BY_COMMIT if own == date and version.commit.date is not None else BY_PARENT
        try:
            content = _content(parse_json(version.content, name), name)
            side = baseline_of(content, Path(name), older=True)
        except BadInputError as error:
            skipped.append(Skipped(name, _reason(error, name)))
            continue
        sources.append(Source(name, "baseline", date, by, date, version.commit, False, _constant(side)))
    return sources, skipped


def _in_folder(folder: Path, root: Path) -> Iterator[Source | Skipped]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(_name(folder, root), f"expected a folder that can be read, found the error {error.strerror}")
        return
    names = {entry.name for entry in entries}
    if SWEEP in names:
        yield Skipped(_name(folder, root), "expected runs of one table at different times, found the jobs of a sweep")
        return
    if names & {RUN, RESULTS}:
        yield _of_run(folder, root)
        return
    if STARTED in names:
        yield Skipped(_name(folder, root), f"expected a finished run, found {STARTED} without {RUN}")
        return
    if MARKER in names:
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                yield from _in_folder(path, root)
        elif entry.name.endswith(".json"):
            yield from _of_file(path, root)


def _of_run(folder: Path, root: Path) -> Source | Skipped:
    name = _name(folder, root)
    try:
        facts = read_json(folder / RUN)
    except FileNotFoundError:
        return Skipped(name, f"expected a finished run, found {RESULTS} without {RUN}")
    except BadInputError as error:
        return Skipped(name, _reason(error, str(folder / RUN)))
    began, by = _start(folder, facts)
    commit, dirty = _commit(facts, [Path(), PROJECT])
    date, by = (began, by) if commit is None or commit.date is None else (commit.date.astimezone(UTC), BY_COMMIT)
    return Source(
        name,
        "run" if (folder / RESULTS).exists() else "collection",
        date,
        by,
        began,
        commit,
        dirty,
        lambda: read_side(folder),
        _margins(facts),
    )


def _of_file(path: Path, root: Path) -> Iterator[Source | Skipped]:
    """Yield the baseline in a JSON file. Nothing is yielded if the file's content is no baseline.

    A file that is no JSON is skipped, because it can be a damaged baseline.
    """
    name = _name(path, root)
    try:
        content = read_json(path)
        if not content.keys() >= BASELINE_KEYS:
            return
        side = baseline_of(content, path, older=True)
        stamp = STAMP.search(path.stem)
        date = None if stamp is None else _parsed(stamp)
        by = BY_FILE if date is None else BY_NAME
        date = date or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (BadInputError, FileNotFoundError) as error:
        yield Skipped(name, _reason(error, str(path)))
        return
    yield Source(name, "baseline", date, by, date, None, None, _constant(side))


def _constant(side: Side) -> Callable[[], Side]:
    return lambda: side


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else root.resolve().name


def _reason(error: Exception, place: str) -> str:
    """Return the message of an error without the path at its beginning."""
    return str(error).removeprefix(place).removeprefix(":").strip()


def _content(content: Any, name: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise BadInputError(f"{name}: expected a JSON object, found other content")
    return content


def _start(folder: Path, facts: Mapping[str, Any]) -> tuple[datetime, str]:
    """Return the start of a run in UTC, and where it was read.

    The start is in `run.json`. A run of an older version has it only in the folder's name. If the name contains no
    date, the start is the date of the file `run.json`.
    """
    try:
        return datetime.fromisoformat(facts["started"]).astimezone(UTC), BY_START
    except (KeyError, TypeError, ValueError, OverflowError):
        stamp = STAMP.search(folder.resolve().name)
    date = None if stamp is None else _parsed(stamp)
    if date is not None:
        return date, BY_NAME
    return datetime.fromtimestamp((folder / RUN).stat().st_mtime, UTC), BY_FILE


def _parsed(stamp: re.Match[str]) -> datetime | None:
    """Return the date that a name states in the local time zone, as runs name their folders; None if it is no date."""
    day, *time = stamp.groups()
    try:
        return datetime.fromisoformat(f"{day} {':'.join(time)}" if time[0] else day).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _commit(facts: Mapping[str, Any], folders: Sequence[Path]) -> tuple[Commit | None, bool | None]:
    source = facts.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("commit"), str):
        return None, None
    if not re.fullmatch(r"[0-9a-f]{7,64}", source["commit"]):
        return None, None
    dirty = source.get("dirty")
    return commit_in(folders, source["commit"]), dirty if isinstance(dirty, bool) else None


def _margins(facts: Mapping[str, Any]) -> tuple[str, ...]:
    gate = facts["config"].get("gate") if isinstance(facts.get("config"), dict) else None
    words = gate.get("margins") if isinstance(gate, dict) else None
    return tuple(word for word in words if isinstance(word, str)) if isinstance(words, list) else ()
