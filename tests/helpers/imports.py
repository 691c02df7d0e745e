"""Find the modules that an import loads, in a separate process."""

import os
import subprocess
import sys
from pathlib import Path

import bench

HEAVY = {"torch", "torchvision", "diffusers", "transformers"}


def loaded_with(modules: str, folder: Path) -> set[str]:
    """Return the names of all modules that are loaded when some are imported outside the checkout."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())
