"""Functions that ask git for the date of a commit, and for the earlier versions of a file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.errors import BadInputError

__all__ = ["SHORT", "Commit", "Version", "commit_in", "file_versions", "is_shallow"]

SHORT = 8
"""Number of digits with which a commit's hash is shown."""
FORMAT = "%H%x09%cI%x09%s"
"""Format of `git log` for one commit: hash, commit date and subject, separated by tabs."""
SECONDS = 60


@dataclass(frozen=True)
class Commit:
    hash: str
    date: datetime | None = None
    """Commit date with its time zone; None if the repository does not have the commit."""
    subject: str = ""

    @property
    def short(self) -> str:
        """The first digits of the hash."""
        return self.hash[:SHORT]


@dataclass(frozen=True)
class Version:
    """The content of a file in one commit."""

    commit: Commit
    content: bytes


def commit_in(folders: Sequence[Path], commit: str) -> Commit:
    """Return a commit with its date and subject.

    Args:
        folders: folders that may lie in the commit's repository. The first repository that has the commit is used.
        commit: hash of the commit. If no repository has it, the date and the subject are unknown.
    """
    for folder in folders:
        found = _git(folder, "show", "--no-patch", f"--format={FORMAT}", f"{commit}^{{commit}}", "--")
        if found is not None:
            return _commit(found.decode(errors="replace").strip("\n"))
    return Commit(commit)


def file_versions(path: Path) -> Iterator[Version]:
    """Yield the content of a file in each commit that changed the file, newest commit first.

    Commits that removed the file are left out. The file is not followed to earlier names.

    Args:
        path: path of the file in the working tree of a git repository. The file itself need not exist any more.

    Raises:
        BadInputError: git is not installed, the folder is in no repository, or no commit has the file.
    """
    folder = path.parent
    listed = _git(folder, "log", f"--format={FORMAT}", "--", path.name) if folder.is_dir() else None
    if listed is None:
        raise BadInputError(f"--git {path}: expected a file in a git repository, found no repository there")
    commits = [_commit(line) for line in listed.decode(errors="replace").split("\n") if line]
    if not commits:
        raise BadInputError(f"--git {path}: expected a file that is in a commit, found no commit with this file")
    for commit in commits:
        content = _git(folder, "show", f"{commit.hash}:./{path.name}")
        if content is not None:
            yield Version(commit, content)


def is_shallow(path: Path) -> bool:
    """Return True if the repository of a file lacks older commits, as a clone with `--depth` does."""
    return (_git(path.parent, "rev-parse", "--is-shallow-repository") or b"").strip() == b"true"


def _commit(line: str) -> Commit:
    name, date, subject = line.split("\t", 2)
    try:
        return Commit(name, datetime.fromisoformat(date), subject)
    except ValueError:  # git accepts dates that Python does not have
        return Commit(name, None, subject)


def _git(folder: Path, *words: str) -> bytes | None:
    """Return the output of a git command in a folder; None if the command fails or git is not installed.

    A path in `words` has no wildcards.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--literal-pathspecs", "-c", "log.showSignature=false", *words],
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
