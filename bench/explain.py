"""The command `python -m bench.explain RUN ROW COLUMN`, which shows how one number of a run's table was computed."""

from bench.results.explain import main
from bench.runtime.streams import run_command

if __name__ == "__main__":
    run_command(main)
