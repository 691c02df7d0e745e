"""The flags of the command line, such as `--cfg job`.

The flags are Hydra's flags. Hydra parses them, and Hydra prints the information for which a flag asks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from typing import NoReturn

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from bench.config.compose import compose_config, experiments, typed
from bench.config.option_files import SEARCH_PATH, conf_dir, did_you_mean
from bench.config.overrides import quoted
from bench.config.schema import ComposedConfig
from bench.errors import BadInputError

__all__ = ["Request", "answer", "as_overrides", "read_arguments"]

CONFIG = "config"
"""Name of the configuration file from which Hydra composes the configuration of every experiment."""
WITHOUT_MEANING = {
    "--config-name": "experiment=NAME chooses the experiment",
    "--config-path": "--config-dir DIR adds a folder of configuration files",
    "--experimental-rerun": "to continue an earlier run, run the same command again",
}
"""Flags of Hydra that this program refuses, each with a text that says what the user can do instead."""


@dataclass(frozen=True)
class Request:
    """The parsed command line."""

    flags: argparse.Namespace
    """Values of Hydra's flags, as attributes with the names that Hydra's parser gives them."""
    words: list[str]
    """The overrides as the user typed them."""
    folders: list[Path]
    """Folders of configuration files that `--config-dir` adds."""

    @property
    def overrides(self) -> list[str]:
        """The overrides in `words`. If `folders` is not empty, one more override adds these folders."""
        return [*self.words, *_search_path(self.folders)]

    @property
    def asks(self) -> bool:
        """True if the command line asks Hydra to print information. No experiment is run in this case."""
        flags = self.flags
        return bool(flags.cfg or flags.info or flags.shell_completion or flags.hydra_help)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"command line: {message.splitlines()[0]}")


def read_arguments(arguments: Sequence[str]) -> Request:
    """Parse a command line, in which flags and overrides may stand in any order.

    Raises:
        BadInputError: a flag is unknown or lacks its value, or a word is neither a flag nor an override.
    """
    parser = _parser()
    words, folders = _without_folders(arguments)
    flags, rest = parser.parse_known_args(words)
    known = [name for action in parser._actions for name in action.option_strings]
    for word in rest:
        if word.startswith("-"):
            asked = _as_override(word) or did_you_mean(word, known)
            raise BadInputError(f"{word}: expected a known flag, such as --help, found an unknown one{asked}")
    for flag, instead in WITHOUT_MEANING.items():
        if getattr(flags, flag.lstrip("-").replace("-", "_")) is not None:
            raise BadInputError(
                f"{flag}: expected a flag that has an effect in this program, found one that only other programs with "
                f"Hydra use; {instead}"
            )
    if sum(map(bool, (flags.cfg, flags.info, flags.shell_completion, flags.multirun, flags.run))) > 1:
        raise BadInputError(
            "command line: expected at most one of the flags --run, -m, --cfg, --info and -sc, found several"
        )
    if (flags.resolve or flags.package) and not flags.cfg:
        raise BadInputError(f"{'--resolve' if flags.resolve else '--package'}: expected --cfg as well, found no --cfg")
    overrides = [*flags.overrides, *rest]
    for word in overrides if not flags.shell_completion else ():
        if word in experiments():
            raise BadInputError(f"{word}: expected KEY=VALUE; did you mean experiment={word}?")
        if "=" not in word and not word.startswith("~"):
            asked = did_you_mean(word, list(experiments())).replace("mean ", "mean experiment=")
            raise BadInputError(f"{word or repr('')}: expected KEY=VALUE or a flag, found neither{asked}")
    return Request(flags, overrides, folders)


def as_overrides(words: Sequence[str], config_dir: str | Path | None = None) -> list[str]:
    """Convert words to overrides. A Python program passes these words in place of a command line.

    Args:
        words: overrides. The list may also contain `--config-dir DIR`, as on the command line.
        config_dir: a further folder of configuration files.

    Raises:
        BadInputError: `words` is a text instead of a list of texts, or contains a flag other than `--config-dir`; or a
            folder of configuration files does not exist.
    """
    if isinstance(words, str):
        raise BadInputError(f"overrides: expected a list of texts such as KEY=VALUE, found the text {words}")
    further = [] if config_dir is None else [f"--config-dir={config_dir}"]
    others, folders = _without_folders([*words, *further])
    for word in others:
        if word.startswith("-"):
            raise BadInputError(
                f"{word}: expected KEY=VALUE or --config-dir DIR, found a flag that works only on the command "
                f"line; use it there: python -m bench {word} …"
            )
    return [*others, *_search_path(folders)]


def _search_path(folders: Sequence[Path]) -> list[str]:
    """Return the override that adds folders of configuration files, or no override if there are no folders."""
    if not folders:
        return []
    return [f"{SEARCH_PATH}=[{','.join(quoted(f'file://{folder}') for folder in folders)}]"]


def _as_override(flag: str) -> str:
    """Return a question that suggests an override in place of an unknown flag.

    For `--limit=8`, the question suggests `limit=8`. Return "" if no key has the name of the flag.
    """
    name, _, value = flag.lstrip("-").partition("=")
    keys = {"experiment", "row", "measure", *(field.name for field in fields(ComposedConfig))}
    return f"; did you mean {name}={value or 'VALUE'}?" if name.partition(".")[0] in keys else ""


def _parser() -> argparse.ArgumentParser:
    parser = get_args_parser()
    parser.__class__ = _Parser
    parser.prog, parser.allow_abbrev = "python -m bench", False
    return parser


def _without_folders(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Remove every `--config-dir` from a command line.

    Returns:
        The remaining arguments, and the folders that the removed flags named, as absolute paths.

    Raises:
        BadInputError: a flag `--config-dir` names no folder, or a folder that does not exist.
    """
    others, folders = [], []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--config-dir", "-cd"):
            others.append(word)
            continue
        given = value if equals else next(words, "")
        if not given:
            raise BadInputError(f"{name}: expected the path of a folder with configuration files, found no path")
        folder = Path(given).resolve()
        if not folder.is_dir():
            found = "a file" if folder.exists() else "nothing"
            raise BadInputError(f"{name}: expected a folder with configuration files, found {found} at {folder}")
        folders.append(folder)
    return others, folders


def answer(request: Request) -> None:
    """Print the information for which the command line asks Hydra.

    The information is Hydra's help, a configuration, the files from which a configuration is composed, or a shell
    completion.

    Raises:
        BadInputError: the configuration is invalid, it lacks the key that `--package` names, or the arguments of `-sc`
            are wrong.
    """
    flags = request.flags
    if flags.hydra_help:
        hydra = _hydra(request)
        hydra.hydra_help(CONFIG, args_parser=_parser(), args=flags)
        return
    if flags.shell_completion:
        if len([word for word in request.words if word.partition("=")[0] in ("install", "uninstall", "query")]) != 1:
            raise BadInputError(
                "-sc: expected exactly one of install=SHELL, uninstall=SHELL and query=SHELL, such as -sc "
                "install=bash; found none of them or several"
            )
        try:
            _hydra(request).shell_completion(CONFIG, request.words)
        except ValueError as error:
            raise BadInputError(f"-sc: {' '.join(str(error).split())}") from error
        except KeyError as error:
            raise BadInputError(
                f"-sc: expected the environment variable {error}, which the shell sets when it asks for completions; "
                "found no such variable"
            ) from error
        return
    composed = compose_config(request.overrides)
    typed(composed)
    if flags.info:
        _hydra(request).show_info(flags.info, CONFIG, request.words, run_mode=RunMode.RUN)
        return
    package = flags.package if flags.package != "_global_" else None
    if package and flags.cfg == "job" and OmegaConf.select(composed, package) is None:
        close = did_you_mean(package, [str(key) for key in composed])
        raise BadInputError(f"--package: expected a key of the configuration, found {package}{close}")
    hydra = _hydra(request)
    try:
        with redirect_stderr(StringIO()):  # hides Hydra's message about a missing package
            hydra.show_cfg(CONFIG, request.words, cfg_type=flags.cfg, package=package, resolve=flags.resolve)
    except SystemExit:
        raise BadInputError(f"--package: expected a key of the configuration, found {package}") from None


def _hydra(request: Request) -> Hydra:
    GlobalHydra.instance().clear()
    path = create_config_search_path(str(conf_dir().resolve()))
    for folder in request.folders:
        path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    return Hydra.create_main_hydra2("bench", path)
