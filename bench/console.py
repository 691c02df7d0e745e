"""The console command `asymbench`. The first argument names a command, which gets all further arguments.

If the first argument names no command, `asymbench` does the same as `python -m bench`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from bench.errors import BadInputError

__all__ = ["COMMANDS", "Command", "main"]

HELP = ("help", "--help", "-h")
ROW = "--row"
"""Option with which `asymbench check` tries one decoder, instead of checking an experiment."""


@dataclass(frozen=True)
class Command:
    """A command of `asymbench`, which the user calls by one word."""

    run: Callable[[list[str]], int]
    """Function that runs the command with the arguments after the word, and returns the exit status."""
    usage: str
    """Arguments of the command."""
    about: str
    """Description of the command in one line."""


def _main_of(module: str) -> Callable[[list[str]], int]:
    """Return a function that calls the function `main` of a module.

    The module is imported only for the call, because most commands import many modules.
    """

    def run(arguments: list[str]) -> int:
        status: int = import_module(module).main(arguments)
        return status

    return run


def _check(arguments: list[str]) -> int:
    """Try the decoder of one row if the arguments contain `--row`; otherwise check an experiment.

    Return the exit status.
    """
    if any(word.partition("=")[0] == ROW for word in arguments):
        return _main_of("bench.evaluation.row_trial")(arguments)
    return _main_of("bench.cli")([*arguments, "stage=check"])


COMMANDS = {
    "run": Command(_main_of("bench.cli"), "experiment=NAME [KEY=VALUE …]", "run an experiment, or list them all"),
    "check": Command(
        _check, f"experiment=NAME … | {ROW} ROW", "say what is missing for a run, or try the decoder of a row"
    ),
    "score": Command(
        _main_of("bench.edits.command"), "--truth DIR --edited NAME=DIR …", "score finished pictures of any editor"
    ),
    "compare": Command(_main_of("bench.gate.command"), "NEW OLD", "test whether a run is worse than another one"),
    "gate-decoder": Command(
        _main_of("bench.gate.decoder_command"), "OLD NEW", "test whether a decoder still makes the same pictures"
    ),
    "explain": Command(_main_of("bench.results.explain"), "RUN ROW COLUMN", "show how one number was computed"),
    "publish": Command(
        _main_of("bench.results.publish"), "RUN OUT", "write model cards of a run's rows for the Hugging Face hub"
    ),
    "store": Command(_main_of("bench.store.__main__"), "ls|du|verify|gc", "inspect or clean the store"),
    "gather": Command(_main_of("bench.sweeps.gather"), "FOLDER", "make one table of all jobs of a sweep"),
    "history": Command(
        _main_of("bench.history.command"), "DIR | --git FILE", "show how numbers changed over commits and dates"
    ),
    "manifest": Command(_main_of("bench.data.manifest_command"), "show|verify|diff", "inspect the items of a run"),
}
"""The commands by the first word of the command line."""


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names, and return the exit status of this command.

    If the first argument names no command, run `python -m bench` with all arguments. If there are no arguments, or if
    the first one is `help`, `--help` or `-h`, print an overview.

    Raises:
        BadInputError: the first argument names no command, but is similar to the name of a command.
    """
    if not arguments or arguments[0] in HELP:
        print(_overview())
        return 0
    first, *others = arguments
    if first in COMMANDS:
        return COMMANDS[first].run(others)
    from bench.config.option_files import did_you_mean

    close = "" if "=" in first or first.startswith(("-", "~")) else did_you_mean(first, list(COMMANDS))
    if close:
        raise BadInputError(f"{first}: expected one of the commands {', '.join(COMMANDS)}, or KEY=VALUE{close}")
    return _main_of("bench.cli")(arguments)


def _overview() -> str:
    usages = {f"{name} {one.usage}": one.about for name, one in COMMANDS.items()}
    width = max(map(len, usages))
    return "\n".join(
        [
            "usage: asymbench COMMAND …",
            "       asymbench experiment=NAME [KEY=VALUE …], the same as asymbench run",
            "",
            *(f"  {usage:<{width}}  {about}" for usage, about in usages.items()),
            "",
            "`asymbench run` lists the experiments. `asymbench COMMAND --help` describes the arguments of a command.",
        ]
    )
