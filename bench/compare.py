"""The command `python -m bench.compare NEW OLD`, which tests whether a run is worse than another run or a baseline."""

from bench.gate.command import main
from bench.runtime.streams import run_command

if __name__ == "__main__":
    run_command(main)
