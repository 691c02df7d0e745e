"""The command `python -m bench.manifest`, which shows or compares manifests, or verifies a folder of items."""

from bench.data.manifest_command import main
from bench.runtime.streams import run_command

if __name__ == "__main__":
    run_command(main)
