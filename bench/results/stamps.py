"""Stamps of a finished run's numbers: items and protocols; numbers with different stamps are not ranked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BadInputError
from bench.metrics.protocol import Protocol
from bench.results.run_files import TableResults, TableRun, is_layers, read_results
from bench.store import content_key

__all__ = ["RESULTS", "Stamps", "read_stamps", "sampling_of", "stamps_of", "unlike"]

RESULTS = "results.json"


@dataclass(frozen=True)
class Stamps:
    """The stamps of one run."""

    manifest: str
    """SHA-256 of the items' manifest; empty if nothing was measured."""
    protocols: Mapping[str, Protocol]
    """Protocol of each metric that has a value in some row."""


def read_stamps(run: Path) -> Stamps:
    """Return the stamps of a run's `results.json`.

    Raises:
        BadInputError: the file is missing, or a number has no stamp or a stamp that differs from its protocol's hash.
    """
    path = run / RESULTS
    try:
        results = read_results(path)
    except FileNotFoundError:
        raise BadInputError(f"{path}: expected the results of a run, found no file") from None
    return Stamps("", {}) if is_layers(results) else stamps_of(results, path)


def stamps_of(results: TableResults, path: Path) -> Stamps:
    """Return the stamps of a table's numbers.

    Args:
        results: content of the table's `results.json`.
        path: path of that file, for messages.

    Raises:
        BadInputError: a number has no stamp, or a stamp that differs from its protocol's hash.
    """
    entries = [entry for row in results["rows"] for entry in row.get("metrics", {}).items()]
    stamps = {metric: entry["protocol"] for metric, entry in entries if entry["value"] is not None}
    known = {key: Protocol.of(settings) for key, settings in results.get("protocols", {}).items()}
    for metric, stamp in stamps.items():
        if stamp is None or stamp not in known:
            raise BadInputError(f"{path}: expected a protocol for {metric}, found {stamp or 'none'}")
        if known[stamp].hash != stamp:
            raise BadInputError(f"{path}: expected {stamp[:12]}… as the hash of {metric}'s protocol, found another")
    manifest = results.get("manifest", "")
    if stamps and not manifest:
        raise BadInputError(f"{path}: expected the manifest of the measured items, found none")
    return Stamps(manifest, {metric: known[stamp] for metric, stamp in stamps.items() if stamp is not None})


def sampling_of(run: TableRun) -> Protocol:
    """Return the settings with which a run sampled its latents: the seed, and the generator with its weights' hashes.

    Args:
        run: content of the run's `run.json`.
    """
    weights = run["weights"]
    return Protocol.of({"seed": run["seed"], "generator": _hashed(run["config"]["generator"], weights)})


def _hashed(node: Any, weights: Mapping[str, str]) -> Any:
    """Return plain data in which the hash of the weights replaces every path of weights."""
    if isinstance(node, dict):
        return {key: _hashed(value, weights) for key, value in node.items()}
    if isinstance(node, list):
        return [_hashed(value, weights) for value in node]
    if isinstance(node, str):
        files = {path.removeprefix(node): sha for path, sha in weights.items() if f"{path}/".startswith(f"{node}/")}
        return content_key(files) if files else node
    return node


def unlike(new: Stamps, old: Stamps) -> str | None:
    """Return one line on why two runs' numbers must not be ranked together; None if they may be."""
    if new.manifest != old.manifest:
        return f"manifest: expected {old.manifest[:12] or 'none'}, found {new.manifest[:12] or 'none'}"
    for metric in new.protocols.keys() & old.protocols.keys():
        found = old.protocols[metric].differences(new.protocols[metric])
        if found:
            return f"protocol of {metric}: {found[0]}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    return None
