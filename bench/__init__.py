"""Benchmark harness for asymmetric VQGAN decoders (arXiv 2306.04632).

Each name in `__all__` is imported when it is first used, so that `import bench` takes little time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.edits.score import score
    from bench.evaluation.decoder_trial import try_decoder
    from bench.experiments.run import run

__all__ = ["run", "score", "try_decoder"]

_MODULES = {
    "run": "bench.experiments.run",
    "score": "bench.edits.score",
    "try_decoder": "bench.evaluation.decoder_trial",
}
"""Module of each name in `__all__`."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
