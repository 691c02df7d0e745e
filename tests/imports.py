"""What importing a module brings with it, seen in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import bench

HEAVY = {"torch", "torchvision", "diffusers", "transformers"}


def loaded_with(modules: str, folder: Path) -> set[str]:
    """Names of all modules that are loaded once some are imported, away from the checkout."""
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
