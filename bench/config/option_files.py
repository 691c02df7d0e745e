"""The files from which a configuration is composed.

The files are in the project's folder `conf`, and in the folders that `--config-dir` adds. A subfolder, such as `row`,
is a group, and each file in this subfolder is an option of the group.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from os.path import isfile  # unlike Path.is_file, it accepts a name that is too long for any file
from pathlib import Path

import yaml

from bench.errors import BadInputError

__all__ = [
    "PACKAGES",
    "SEARCH_PATH",
    "conf_dir",
    "did_you_mean",
    "folders_of",
    "groups",
    "option_file",
    "options",
    "package_of",
    "refuse_unreadable",
]

SEARCH_PATH = "hydra.searchpath"
"""Key of the override that adds folders of configuration files."""
PACKAGES = {"row": "rows.{name}", "measure": "metrics.measures.{name}", "experiment": "_global_"}
"""Key of the configuration below which the keys of an option's file are added, by the name of the option's group.

The first line of each file of these groups must name this key: `# @package KEY`. `_global_` means the top level.
"""
FOLDER = re.compile(r"\"file://([^\"]+)\"|file://([^\"',\]]+)")
HEADER = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)
CLOSE = 0.6
"""Smallest similarity, from 0 to 1, between a mistyped name and a known name that is suggested for it."""


SHORTEST_BEGINNING = 4
"""Smallest number of letters with which a word is treated as the beginning of a known name."""


def conf_dir() -> Path:
    """Return the project's folder of configuration files.

    The folder is inside the package `bench` if the package is installed. In a checkout of the repository, it is next to
    the package.
    """
    installed = Path(__file__).parents[1] / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "conf"


def folders_of(overrides: Iterable[str]) -> list[Path]:
    """Return every folder in which options are looked up. The first one is the project's folder `conf`.

    Args:
        overrides: overrides, as on the command line. The override `hydra.searchpath` adds folders.
    """
    found = [conf_dir()]
    for word in overrides:
        key, _, value = word.partition("=")
        if key.lstrip("+") == SEARCH_PATH:
            found += [Path(quoted or plain) for quoted, plain in FOLDER.findall(value)]
    return found


def groups(folders: Iterable[Path]) -> set[str]:
    """Return the names of the groups, such as `row`, that have at least one file in one of these folders."""
    return {file.parent.relative_to(folder).as_posix() for folder in folders for file in folder.rglob("*.yaml")} - {"."}


def options(group: str, folders: Iterable[Path]) -> list[str]:
    """Return the names of all options that a group has in these folders, in alphabetical order."""
    return sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})


def option_file(group: str, name: str, folders: Iterable[Path]) -> Path | None:
    """Return the file of the option `name` of a group, from the first folder that has it; None if no folder has it."""
    files = (folder / group / f"{name.removesuffix('.yaml')}.yaml" for folder in folders)
    return next((file for file in files if isfile(file)), None)


def package_of(file: Path, group: str) -> str:
    """Return the key of the configuration below which the keys of an option's file are added, such as `rows.base_mask`.

    Hydra calls this key a package. The file's line `# @package KEY` sets it; `_global_` means the top level. Without
    this line, the key is the name of the group, with dots in place of slashes.
    """
    header = HEADER.search(file.read_text(encoding="utf-8")[:512])
    return header.group(1) if header else group.replace("/", ".")


def refuse_unreadable(folders: Iterable[Path]) -> None:
    """Require that every configuration file in these folders is YAML in UTF-8.

    Raises:
        BadInputError: a file cannot be read, is not YAML in UTF-8, or is not a mapping of keys to values. The message
            names the file, and the line if it is known.
    """
    for file in sorted(file for folder in folders for file in folder.rglob("*.yaml")):
        try:
            text = file.read_text(encoding="utf-8")
            content = yaml.safe_load(text)
        except RecursionError:
            raise BadInputError(f"{file}: expected YAML with fewer nested levels, found too many to read") from None
        except UnicodeDecodeError as error:
            raise BadInputError(
                f"{file}: expected text in UTF-8, found {error.reason} at byte {error.start}"
            ) from error
        except OSError as error:
            raise BadInputError(f"{file}: expected a readable file, found an error: {error.strerror}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{file}, line {mark.line + 1}" if mark else str(file)
            said = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise BadInputError(f"{where}: expected YAML, found an error: {said}") from error
        if text.startswith("\ufeff"):
            raise BadInputError(f"{file}: expected text in UTF-8 without a byte order mark, found such a mark")
        if not isinstance(content, dict | None) or None in (content or {}):
            found = "an empty or null key" if isinstance(content, dict) else f"a value of type {type(content).__name__}"
            raise BadInputError(f"{file}: expected a mapping of keys to values, found {found}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the end of an error message that suggests a known name: `; did you mean NAME?`.

    Return "" if no known name begins with `name` or is similar to it.
    """
    completions = [one for one in known if len(name) >= SHORTEST_BEGINNING and one.startswith(name)]
    close = completions or difflib.get_close_matches(name, known, 1, CLOSE)
    return f"; did you mean {close[0]}?" if close else ""
