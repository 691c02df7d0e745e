"""The command `python -m bench.history DIR`, which shows how numbers changed over commits and dates."""

from bench.history.command import main
from bench.runtime.streams import run_command

if __name__ == "__main__":
    run_command(main)
