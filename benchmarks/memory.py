"""Measure whether a run's memory grows with the items in each stage: `python benchmarks/memory.py [ITEMS …]`.

Each number of items is measured in a separate process, which makes Table 1 on the mini profile from an empty store and
with cheap settings. The number of blocks in the store shows how far a stage is. The first quarter of a stage is left
out, because allocators still grow then. The measured memory is the private memory of the process (`RssAnon`). It does
not include pages of the mapped file of items, which the system can take back; only the peak (`VmHWM`) includes them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Watched", "watch"]

BLOCK = 64
STAGES = {"sample": "latents", "score": "scores"}
"""Stages that work on items, and the kinds of their entries in the store."""
MB = 1e6


@dataclass
class Watched:
    """The memory in bytes and the time in seconds of one run."""

    peak: int = 0
    seconds: float = 0.0
    quarters: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Peak memory in bytes, by stage: in the second quarter of the blocks, and in the last quarter."""


def command(folder: Path, items: int, data: Path) -> list[str]:
    """Return the command that makes Table 1 with some items."""
    return [
        sys.executable, "-m", "bench", "experiment=table1_inpaint_places", f"limit={items}", "device=cpu",
        "generator.steps=1", "row=[stablediffusion,base_mask]", "controls=[]", "costs=false", "batch_size=8",
        "stage=tabulate",
        f"paths.store={folder / 'store'}", f"paths.data={data}", f"out={folder / 'out'}",
    ]  # fmt: skip


def watch(folder: Path, items: int, data: Path) -> Watched:
    """Run the table in another process, and measure the memory of this process again and again.

    Raises:
        RuntimeError: the run failed; the message is its output.
    """
    blocks = -(-items // BLOCK)
    seen: dict[str, list[tuple[int, int]]] = {stage: [] for stage in STAGES}
    started, found = time.monotonic(), Watched()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command(folder, items, data), stdout=log, stderr=log)
        while process.poll() is None:
            held, found.peak = _memory(process.pid, found.peak)
            counts = {stage: _files(folder / "store" / kind) for stage, kind in STAGES.items()}
            if counts["score"]:
                seen["score"].append((counts["score"], held))
            elif counts["sample"]:
                seen["sample"].append((counts["sample"], held))
            time.sleep(0.05)
        found.seconds = time.monotonic() - started
        if process.returncode:
            log.seek(0)
            raise RuntimeError(log.read())
    totals = {stage: _files(folder / "store" / kind) for stage, kind in STAGES.items()}
    assert totals["sample"] == blocks
    for stage, samples in seen.items():
        second, last = ([held for count, held in samples if 4 * count // totals[stage] == part] for part in (1, 3))
        if second and last:
            found.quarters[stage] = max(second), max(last)
    return found


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.safetensors"))


def _memory(process: int, peak: int) -> tuple[int, int]:
    """Return the private memory of a process and its peak resident memory, both in bytes."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return 0, peak
    values = dict(line.split(":", 1) for line in lines)
    sizes = {name: int(value.split()[0]) * 1024 for name, value in values.items() if value.endswith(" kB")}
    return sizes.get("RssAnon", 0), max(peak, sizes.get("VmHWM", 0))


def main(counts: list[int]) -> None:
    """Print a table with one line for each number of items."""
    print("| items | seconds | peak, MB | sample: quarters, MB | score: quarters, MB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for items in counts:
            found = watch(Path(folder) / str(items), items, Path(folder) / "data")
            quarters = (found.quarters.get(stage) for stage in STAGES)
            shown = ("–" if pair is None else f"{pair[0] / MB:.0f}, {pair[1] / MB:.0f}" for pair in quarters)
            print(f"| {items} | {found.seconds:.0f} | {found.peak / MB:.0f} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [128, 768])
