"""The command `python -m bench experiment=NAME …`, which runs an experiment.

Without arguments, it lists the experiments.
"""

from __future__ import annotations

from typing import NoReturn

from bench.runtime.streams import run_command

__all__ = ["command"]


def command() -> NoReturn:
    """Run the installed command `asymbench`."""
    from bench.console import main

    run_command(main)


if __name__ == "__main__":
    from bench.cli import main

    run_command(main)
