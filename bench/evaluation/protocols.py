"""Finds out the protocol of a run from what the run really does, and compares it with the protocol that it declares.

A declared protocol is a file in `conf/protocol`. It contains names and numbers, and the settings that carry them out.
The settings can be overridden one by one. Therefore the fields of a run's protocol are taken from its items and
measures. If a field differs from the declared protocol, the difference is added to the name of the run's protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.checking.dataset_listing import Traits
from bench.config.overrides import key_of
from bench.config.schema import PROTOCOL_FIELDS, ProtocolSpec
from bench.data.prepared import Items

__all__ = ["RunProtocol", "measuring_of", "protocol_of_run"]

MINIATURE = "bench.data.mini."
"""Beginning of the names of the functions that write miniature data sets."""
ENDING = ", in miniature"
"""Ending of the name of a miniature data set."""
DECLARING = ("protocol.", "profile.protocols.")
"""Beginnings of the keys whose overrides change the declaration of a protocol instead of the run."""


@dataclass(frozen=True)
class RunProtocol:
    """The protocol of a run, and how it differs from the declared protocol."""

    fields: Mapping[str, Any]
    """Value of each of `PROTOCOL_FIELDS`, as the run has it; None if the run has no such value."""
    declared: str | None = None
    """Name of the declared protocol; None if the run declares none."""
    title: str = ""
    """Title of the declared protocol."""
    changed: tuple[str, ...] = ()
    """Each difference from the declared protocol, such as `items: 64 instead of 5,000`."""

    @property
    def name(self) -> str | None:
        """Name of the run's protocol; None if the run declares no protocol.

        If the run differs from the declared protocol, the name is the declared name, followed by a list of the
        differences. Runs with different names have different protocols.
        """
        if self.declared is None or not self.changed:
            return self.declared
        return f"{self.declared}, changed ({'; '.join(self.changed)})"

    @property
    def as_json(self) -> dict[str, Any]:
        """Plain data for `results.json`."""
        return {
            "name": self.name,
            "fields": dict(self.fields),
            "declared": self.declared,
            "changed": list(self.changed),
        }

    def notes(self) -> list[str]:
        """Return a list with one line for tables and reports; an empty list if no protocol is declared.

        The line states the name of the run's protocol, with its differences from the declared one, and the value of
        each field in this run.
        """
        if self.declared is None:
            return []
        known = "; ".join(f"{name} {_shown(value)}" for name, value in self.fields.items() if value is not None)
        return [f"Protocol {self.name} ({self.title}): {known}."]


def protocol_of_run(
    declared: ProtocolSpec | None,
    items: Items,
    dataset: Mapping[str, Any],
    traits: Traits,
    measuring: Mapping[str, str | None],
    overrides: Sequence[str],
) -> RunProtocol:
    """Return the protocol of a run.

    Args:
        declared: declared protocol of the run; None if it declares none.
        items: items of the run.
        dataset: value of the configuration key `dataset`, as plain data.
        traits: properties of the data set's adapter.
        measuring: values of the fields `features` and `rounding`, as `measuring_of` returns them.
        overrides: overrides of the run, as they were typed on the command line.
    """
    manifest, squaring, drawn = items.manifest, items.squaring, items.manifest["masks"] not in ("given", "whole")
    once = len(items.references) == len(items)
    found: dict[str, Any] = {
        **_named(dataset, traits),
        "items": len(items),
        "resolution": manifest["resolution"],
        "resize": squaring.resize,
        "crop": squaring.crop(drawn=drawn),
        "reference": "the same crops" if once else "the same crops, each picture once",
        **measuring,
    }
    values = {name: found[name] for name in PROTOCOL_FIELDS}
    if declared is None:
        return RunProtocol(values)
    differing = [
        f"{name}: {_shown(values[name])} instead of {_shown(expected)}"
        for name, expected in asdict(declared).items()
        if name in PROTOCOL_FIELDS and expected is not None and values[name] != expected
    ]
    altered = [f"declared with {word}" for word in overrides if key_of(word).startswith(DECLARING)]
    return RunProtocol(values, declared.name, declared.title, (*differing, *altered))


def measuring_of(sets: Mapping[str, str], protocols: Mapping[str, Mapping[str, Any]], network: str) -> dict[str, Any]:
    """Return the fields `features` and `rounding` of a run: the feature network of FID, and the images that it sees.

    A field is None if the run does not measure FID, or if its measure does not state the value.

    Args:
        sets: for each metric of a whole set of images, the name of its features, in the form `MEASURE.ARRAY`.
        protocols: settings of each measure that can change its values, by the name of the measure.
        network: name of the profile's feature network, for a measure that does not name its network.
    """
    measure, _, array = sets.get("fid", "").partition(".")
    protocol = protocols.get(measure)
    if protocol is None:
        return {"features": None, "rounding": None}
    parts = [str(protocol.get("network", network)), *([array] if array in protocol.get("flavours", {}) else [])]
    image = protocol.get("image")
    return {
        "features": ", ".join(parts),
        "rounding": ", ".join(image.split(", ")[:2]) if isinstance(image, str) else None,
    }


def _named(dataset: Mapping[str, Any], traits: Traits) -> dict[str, str | None]:
    """Return the fields `dataset` and `split` of a run.

    The name of the data set is the one that the adapter states, or else the name of the adapter's class. `ENDING` is
    added to the name of a miniature data set. The split is the one that the adapter states. For a miniature data set
    that is written for another split than `val`, the result has this other split.
    """
    pictures = dataset["pictures"]
    written = pictures.get("root")
    miniature = isinstance(written, Mapping) and str(written.get("_target_", "")).startswith(MINIATURE)
    name = traits.dataset or str(pictures["_target_"]).rpartition(".")[2]
    own = written.get("split", "val") if miniature else "val"
    return {
        "dataset": f"{name}{ENDING if miniature else ''}",
        "split": (traits.split if own == "val" else own) or None,
    }


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
