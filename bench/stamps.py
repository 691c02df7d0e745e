"""What a finished run's numbers were measured on and by; numbers with unlike stamps do not stand in one ranking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BadInputError
from bench.metrics.protocol import Protocol

__all__ = ["RESULTS", "Stamps", "read_stamps", "unlike"]

RESULTS = "results.json"


@dataclass(frozen=True)
class Stamps:
    """Of one run."""

    manifest: str
    """SHA-256 of its items; empty where nothing was measured."""
    protocols: Mapping[str, Protocol]
    """By metric that has a value in some row."""


def read_stamps(run: Path) -> Stamps:
    """The stamps of a run's `results.json`.

    Raises:
        BadInputError: there is none, or a number in it has no stamp, or one that is not its protocol's.
    """
    path = run / RESULTS
    try:
        results = json.loads(path.read_text())
        entries = [entry for row in results["rows"] for entry in row.get("metrics", {}).items()]
        wanted = {metric: entry.get("protocol") for metric, entry in entries if entry["value"] is not None}
        known = {key: Protocol.of(settings) for key, settings in results.get("protocols", {}).items()}
    except OSError:
        raise BadInputError(f"{path}: expected the results of a run, found no file") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInputError(f"{path}: expected the results of a run, found {type(error).__name__}: {error}") from None
    for metric, stamp in wanted.items():
        if stamp not in known:
            raise BadInputError(f"{path}: expected a protocol for {metric}, found {stamp or 'none'}")
        if known[stamp].hash != stamp:
            raise BadInputError(f"{path}: expected {stamp[:12]}… as the hash of {metric}'s protocol, found another")
    manifest = results.get("manifest", "")
    if wanted and not manifest:
        raise BadInputError(f"{path}: expected the manifest that its numbers rest on, found none")
    return Stamps(manifest, {metric: known[stamp] for metric, stamp in wanted.items()})


def unlike(new: Stamps, old: Stamps) -> str | None:
    """Why two runs' numbers are not to be ranked against one another, in one line; None where they may be."""
    if new.manifest != old.manifest:
        return f"manifest: expected {old.manifest[:12] or 'none'}, found {new.manifest[:12] or 'none'}"
    for metric in new.protocols.keys() & old.protocols.keys():
        found = old.protocols[metric].differences(new.protocols[metric])
        if found:
            return f"protocol of {metric}: {found[0]}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    return None
