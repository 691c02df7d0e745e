"""Functions that describe the machine and the software versions that a run uses."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["environment", "versions"]

CPUINFO = Path("/proc/cpuinfo")
"""File in which Linux describes its processors."""
PACKAGES = (
    "asymbench",
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "hydra-core",
    "datasets",
    "numpy",
    "pandas",
    "opencv-python-headless",
    "pillow",
    "rapidocr",
    "onnxruntime",
    "scikit-image",
)


def environment() -> dict[str, Any]:
    """Describe the software and the machine of this process, as plain data.

    Returns:
        Dictionary with three keys. `versions` contains the result of the function `versions`, and `hardware` describes
        the machine. `source` contains the commit of this project's source, and says whether files differ from the
        commit. An unknown value is None.
    """
    return {
        "versions": versions(),
        "hardware": {
            "machine": platform.machine(),
            **_cpu(),
            "processors": os.cpu_count(),
            "system": platform.system(),
            **_gpu(),
        },
        "source": _source(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages in `PACKAGES`; None for a package that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _cpu() -> dict[str, str]:
    """Return the name of the processor under the key `cpu`; nothing if it is not known."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    name = " ".join((names[0] if names else platform.processor()).split())
    return {"cpu": name} if name and name != platform.machine() else {}


def _gpu() -> dict[str, str]:
    import torch

    return {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}


def _source() -> dict[str, Any]:
    root = Path(__file__).parents[2]

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
                encoding="utf-8",
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    changes = git("status", "--porcelain", "--", ".", ":!reports")  # reports/ contains results and no code
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}
