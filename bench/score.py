"""The command `python -m bench.score --truth DIR --edited NAME=DIR`, which scores finished pictures.

In Python, `bench.score` is the function `bench.edits.score.score`, so importing this module raises an ImportError.
"""

from bench.edits.command import main
from bench.runtime.streams import run_command

if __name__ == "__main__":
    run_command(main)
else:
    raise ImportError("bench.score is a function: write `import bench` and call bench.score(…)")
