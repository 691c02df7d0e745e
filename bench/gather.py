"""The command `python -m bench.gather FOLDER`, which makes one table and one figure from all jobs of a sweep."""

from bench.runtime.streams import run_command
from bench.sweeps.gather import main

if __name__ == "__main__":
    run_command(main)
