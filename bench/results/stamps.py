"""Functions that read the stamps of a finished run's numbers, and compare the stamps of two runs.

Stamps identify the items and the protocols of numbers. Numbers with different stamps are not ranked together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.metrics.protocol import Protocol
from bench.results.run_files import TableResults, TableRun, is_layers, read_results
from bench.store import content_key

__all__ = ["RESULTS", "Stamps", "read_stamps", "sampling_of", "stamps_of", "unlike"]

RESULTS = "results.json"
PICTURES = ("dataset", "split", "items", "resolution", "resize", "crop", "reference")
"""Fields of a run's protocol that describe its pictures. They are equal for all numbers of the run.

The other fields, `features` and `rounding`, depend on the metric.
"""


@dataclass(frozen=True)
class Stamps:
    """The stamps of the numbers of one run."""

    manifest: str
    """SHA-256 of the manifest; empty if no items were measured."""
    protocols: Mapping[str, Protocol]
    """Protocol of each metric, by the metric's full name. A metric without a value in any row is left out."""
    pictures: Mapping[str, Any] = field(default_factory=dict)
    """Those fields of the run's protocol that are in `PICTURES`; empty if the results of the run do not state them."""


def read_stamps(run: Path) -> Stamps:
    """Read the stamps from the `results.json` of a run.

    Args:
        run: folder of the run.

    Returns:
        The stamps. They are empty for a run that only lists the layers of decoders, because it measures nothing.

    Raises:
        BadInputError: the file is missing or damaged, or `stamps_of` refuses its content.
    """
    path = run / RESULTS
    try:
        results = read_results(path)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected the results of a run, found no such file") from None
    return Stamps("", {}) if is_layers(results) else stamps_of(results, path)


def stamps_of(results: TableResults, path: Path) -> Stamps:
    """Return the stamps of the numbers in a table.

    Args:
        results: content of the table's `results.json`.
        path: path of the `results.json`, for messages.

    Raises:
        BadInputError: a number has no protocol, the hash of a protocol differs from the hash that is saved with it, or
            the manifest's hash is missing.
    """
    entries = [entry for row in results["rows"] for entry in row.get("metrics", {}).items()]
    stamps = {metric: entry["protocol"] for metric, entry in entries if entry["value"] is not None}
    known = {key: Protocol.of(settings) for key, settings in results.get("protocols", {}).items()}
    for metric, stamp in stamps.items():
        if stamp is None:
            raise BadInputError(
                f"{path}: expected the hash of a protocol with each value of {metric}, found a value without a hash"
            )
        if stamp not in known:
            raise BadInputError(
                f"{path}: the key protocols: expected the protocol with the hash {stamp[:12]}…, to which {metric} "
                "refers, found no such protocol"
            )
        if known[stamp].hash != stamp:
            raise BadInputError(
                f"{path}: expected a protocol of {metric} with the hash {stamp[:12]}…, found a protocol with the hash "
                f"{known[stamp].hash[:12]}…"
            )
    manifest = results.get("manifest", "")
    if stamps and not manifest:
        raise BadInputError(f"{path}: expected the hash of the measured items under the key manifest, found no hash")
    protocols = {metric: known[stamp] for metric, stamp in stamps.items() if stamp is not None}
    stated = results["protocol"]["fields"] if "protocol" in results else {}
    return Stamps(manifest, protocols, {name: stated[name] for name in PICTURES if name in stated})


def sampling_of(run: TableRun) -> Protocol:
    """Return the settings that determine a run's latents: the seed, and the generator with the hashes of its weights.

    Args:
        run: content of the run's `run.json`.
    """
    weights = run["weights"]
    return Protocol.of({"seed": run["seed"], "generator": _hashed(run["config"]["generator"], weights)})


def _hashed(node: Any, weights: Mapping[str, str]) -> Any:
    """Return a copy of plain data in which each path of weights is replaced by a hash of these weights.

    Args:
        node: plain data, such as a section of the configuration.
        weights: SHA-256 of each weight file, by the path of the file.
    """
    if isinstance(node, dict):
        return {key: _hashed(value, weights) for key, value in node.items()}
    if isinstance(node, list):
        return [_hashed(value, weights) for value in node]
    if isinstance(node, str):
        files = {path.removeprefix(node): sha for path, sha in weights.items() if f"{path}/".startswith(f"{node}/")}
        return content_key(files) if files else node
    return node


def unlike(new: Stamps, old: Stamps) -> str | None:
    """Compare the stamps of two runs.

    Args:
        new: stamps of the first run, which the message calls "found".
        old: stamps of the second run, which the message calls "expected".

    Returns:
        One line with the first reason why the runs' numbers must not be ranked together; None if there is no reason.
        Metrics that only one of the runs has are not compared.
    """
    apart = [
        f"{name}: expected {_shown(old.pictures[name])}, found {_shown(new.pictures[name])}"
        for name in PICTURES
        if name in old.pictures and name in new.pictures and old.pictures[name] != new.pictures[name]
    ]
    if new.manifest != old.manifest:
        manifest = f"manifest: expected {old.manifest[:12] or 'no hash'}, found {new.manifest[:12] or 'no hash'}"
        return f"{manifest} ({'; '.join(apart)})" if apart else manifest
    if apart:
        return f"protocol: {'; '.join(apart)}"
    for metric in new.protocols.keys() & old.protocols.keys():
        found = old.protocols[metric].differences(new.protocols[metric])
        if found:
            return f"protocol of {metric}: {found[0]}" + (
                f"; {len(found) - 1} more settings differ" if len(found) > 1 else ""
            )
    return None


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
