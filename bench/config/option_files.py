"""The files of which a configuration is composed: those in the project's folder, and those that `--config-dir` adds."""

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
"""The override that adds folders of configuration files."""
PACKAGES = {"row": "rows.{name}", "measure": "metrics.measures.{name}", "experiment": "_global_"}
"""Groups whose files must name the place of their keys in their first line, and the place that they must name."""
FOLDER = re.compile(r"\"file://([^\"]+)\"|file://([^\"',\]]+)")
HEADER = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)
CLOSE = 0.6
"""Smallest similarity, from 0 to 1, at which a known name is suggested."""


SHORTEST_BEGINNING = 4
"""Number of letters from which a word can be the beginning of a known name."""


def conf_dir() -> Path:
    """Return the folder of configuration files: in the installed package, or next to the package in a checkout."""
    installed = Path(__file__).parents[1] / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "conf"


def folders_of(overrides: Iterable[str]) -> list[Path]:
    """Return every folder in which options are looked up; the project's own folder is the first.

    Args:
        overrides: overrides as on the command line; `hydra.searchpath` adds folders.
    """
    found = [conf_dir()]
    for word in overrides:
        key, _, value = word.partition("=")
        if key.lstrip("+") == SEARCH_PATH:
            found += [Path(quoted or plain) for quoted, plain in FOLDER.findall(value)]
    return found


def groups(folders: Iterable[Path]) -> set[str]:
    """Return the names of the groups that have a file in one of these folders, such as `row`."""
    return {file.parent.relative_to(folder).as_posix() for folder in folders for file in folder.rglob("*.yaml")} - {"."}


def options(group: str, folders: Iterable[Path]) -> list[str]:
    """Return the sorted names of a group's options in these folders."""
    return sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})


def option_file(group: str, name: str, folders: Iterable[Path]) -> Path | None:
    """Return the file of a group's option, or None if there is none."""
    files = (folder / group / f"{name.removesuffix('.yaml')}.yaml" for folder in folders)
    return next((file for file in files if isfile(file)), None)


def package_of(file: Path, group: str) -> str:
    """Return the package of an option's file, such as `rows.base_mask`, from its `# @package` line or else its
    group.
    """
    header = HEADER.search(file.read_text(encoding="utf-8")[:512])
    return header.group(1) if header else group.replace("/", ".")


def refuse_unreadable(folders: Iterable[Path]) -> None:
    """Require that every configuration file in these folders is YAML in UTF-8.

    Raises:
        BadInputError: a file is not; the message names the file, and the line if it is known.
    """
    for file in sorted(file for folder in folders for file in folder.rglob("*.yaml")):
        try:
            text = file.read_text(encoding="utf-8")
            content = yaml.safe_load(text)
        except RecursionError:
            raise BadInputError(f"{file}: expected YAML of fewer levels, found more than can be read") from None
        except UnicodeDecodeError as error:
            raise BadInputError(f"{file}: expected UTF-8, found {error.reason} at byte {error.start}") from error
        except OSError as error:
            raise BadInputError(f"{file}: expected a file that can be read, found {error.strerror}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{file}, line {mark.line + 1}" if mark else str(file)
            said = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise BadInputError(f"{where}: expected YAML, found an error: {said}") from error
        if text.startswith("\ufeff"):
            raise BadInputError(f"{file}: expected UTF-8 without a byte order mark, found one")
        if not isinstance(content, dict | None) or None in (content or {}):
            found = "a key without a name" if isinstance(content, dict) else f"a {type(content).__name__}"
            raise BadInputError(f"{file}: expected keys with values, found {found}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Suggest the most similar known name as a question after a semicolon; return "" if no name is similar."""
    completions = [one for one in known if len(name) >= SHORTEST_BEGINNING and one.startswith(name)]
    close = completions or difflib.get_close_matches(name, known, 1, CLOSE)
    return f"; did you mean {close[0]}?" if close else ""
