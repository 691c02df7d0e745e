"""The command `python -m bench experiment=NAME …`, which runs an experiment.

Without arguments, it lists the experiments.
"""

from __future__ import annotations

from typing import NoReturn

from bench.cli import main
from bench.runtime.streams import run_command

__all__ = ["command"]


def command() -> NoReturn:
    """Run the installed command `asymbench`, which does the same as `python -m bench`."""
    run_command(main)


if __name__ == "__main__":
    command()
