"""Run Python in a process in which some installed packages cannot be imported, as if they were not installed."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import bench

SITE = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {names} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run_without(
    packages: Iterable[str], arguments: Iterable[str | Path], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python with some arguments in an empty folder outside the checkout.

    Args:
        packages: top-level names of the packages to hide.
        arguments: arguments of Python, such as ``["-m", "bench"]``.
        folder: a folder, in which the folders `site` (with the file that hides the packages) and `work` are made.
    """
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(SITE.format(names=set(packages)))
    (folder / "work").mkdir(exist_ok=True)
    paths = [folder / "site", Path(bench.__file__).parents[1]]
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder / "work",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        check=False,
        timeout=300,
    )
