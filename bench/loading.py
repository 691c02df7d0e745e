"""What a table's run rests on: the pieces of its configuration, each made once, when it is first wanted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from bench.checking.estimate import Meter, Taken, Work
from bench.checking.inspection import Inspection, inspect_table
from bench.checking.settings import used
from bench.config import changing
from bench.device import choose_device, describe
from bench.generation.batching import Batches
from bench.generation.compiling import check_compiler
from bench.generation.decoding import Decoded, Method, chain
from bench.metrics.measure import Measure
from bench.metrics.scoring import Unit
from bench.objects import identity, make, weight_files
from bench.sampling import Sampling
from bench.schema import Config, TableSpec
from bench.scoring import VERSION, Scoring
from bench.store import Fact, Store, content_key
from bench.tables.build import Styles, styles_of
from bench.tables.headline import headline_reading, in_reading
from bench.world import World

__all__ = ["Loaded"]

PARTS = ("dataset", "generator", "features", "rows")
"""Of the configuration: what names files."""


class Loaded:
    """Rows, generator, methods and measures of one table, with what names their content in the store."""

    def __init__(self, config: Config, resolved: dict[str, Any], overrides: Sequence[str]) -> None:
        """Take a configuration as `bench.config.typed` gives it: as objects and as plain data."""
        self.config, self.overrides = config, list(overrides)
        self.device = choose_device(config.device)
        self.reading = headline_reading(config.profile, self.device)
        self.custom = changing(overrides)
        self.rows = {
            name: row for name, row in config.rows.items() if row.control is None or row.control in config.controls
        }
        self.resolved = used(resolved, self._spec, self.rows)
        self.store = Store(Path(config.paths.store))
        self.meter = Meter(self.device)
        self.world = World()
        self.seconds: dict[str, float] = {}
        self.taken: Taken | None = None

    @cached_property
    def inspection(self) -> Inspection:
        """What is missing or wrong of the files that the run needs, and how many pictures there are."""
        return inspect_table({key: self.resolved[key] for key in PARTS}, self.resolved["paths"])

    @property
    def work(self) -> Work:
        """How many items there are to do at most, and of what kind."""
        dataset, listing = self.resolved["dataset"], self.inspection.listing
        counts = [dataset["items"], self.config.limit, listing.count if listing else self.inspection.expected]
        return Work(
            min((count for count in counts if count is not None), default=None),
            self.config.profile.resolution,
            getattr(get_object(dataset["pictures"]["_target_"]), "masks", "drawn"),
        )

    @cached_property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file by its path."""
        return {
            path: sha for key in PARTS if key != "dataset" for path, sha in weight_files(self.resolved[key]).items()
        }

    @cached_property
    def _spec(self) -> TableSpec:
        """The table, its error in the run's reading."""
        assert self.config.table is not None  # the configuration was validated
        return in_reading(self.config.table, self.reading)

    @cached_property
    def generator(self) -> Any:
        return make(self.resolved["generator"], "generator", device=self.device)

    @cached_property
    def sampling(self) -> Sampling:
        """Latents that all rows share."""
        known = identity(self.resolved["generator"], self.weights)
        return Sampling(
            self.generator,
            identity=known,
            seed=self.config.seed,
            store=self.store,
            device=self.device,
            batches=self._batches("sample", known),
            world=self.world,
        )

    @cached_property
    def measures(self) -> dict[str, Measure]:
        specs = self.resolved["features"]["measures"]
        return {
            name: make(spec["measure"], f"features.measures.{name}.measure").to(self.device)
            for name, spec in specs.items()
        }

    @cached_property
    def methods(self) -> dict[str, Method]:
        """How each measured row makes its images."""
        if self.config.compile is not None:
            check_compiler(self.config.compile, self.device)
        made: dict[str, Method] = {
            name: make(row["method"], f"rows.{name}.method").to(self.device)
            for name, row in self.resolved["rows"].items()
            if row["method"] is not None
        }
        for one in (one for method in made.values() for one in chain(method) if isinstance(one, Decoded)):
            one.strip_rows = self.config.strip_rows
            if self.config.compile is not None:
                one.compile(self.config.compile)
        return made

    @cached_property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """By measure, everything that can change its values."""
        specs = self.resolved["features"]["measures"]
        return {
            name: {
                **measure.protocol,
                "weights": content_key({"measure": identity(specs[name]["measure"], self.weights)}),
                "scoring": VERSION,
            }
            for name, measure in self.measures.items()
        }

    @cached_property
    def scoring(self) -> Scoring:
        """Every measure on every row."""
        identities = {row: self._identity(row) for row in self.methods}
        return Scoring(
            self.sampling,
            self.methods,
            self.measures,
            identities=identities,
            protocols=self.protocols,
            hole_only="hole_only" in self.config.controls and self._spec.task != "generation",
            store=self.store,
            batches=self._batches("score", {"rows": identities, "measures": self.protocols}),
            more=self.more,
        )

    def _batches(self, stage: str, settings: Any) -> Batches:
        """How many items are worked on at once: as configured, or as a probe finds and the store remembers."""
        size = self.config.batch_size
        known = self._fact("batch size", {"stage": stage, "settings": settings})
        return Batches(size if isinstance(size, int) else None, known=known, device=self.device)

    @property
    def prediction(self) -> Fact:
        """Where `stage=check` leaves what it expects of a run, for the run to compare itself with."""
        made = {key: identity(self.resolved[key], self.weights) for key in ("generator", "rows")}
        speed = {name: getattr(self.config, name) for name in ("batch_size", "strip_rows", "compile")}
        return self._fact("estimate", {**made, "measures": self.protocols, **speed})

    def _fact(self, what: str, settings: Any) -> Fact:
        """The place of something measured on this device at this resolution."""
        of = {"what": what, "device": describe(self.device), "resolution": self.config.profile.resolution}
        return Fact(self.store.root, {**of, "settings": content_key({"of": settings})})

    def _identity(self, row: str) -> dict[str, Any]:
        """What makes a row's images, as plain data."""
        made = [one.content for one in chain(self.methods[row]) if hasattr(one, "content")]
        known: dict[str, Any] = identity(self.resolved["rows"][row]["method"], self.weights)
        return {**known, "images": made} if made else known

    @cached_property
    def styles(self) -> Styles:
        """How metrics are printed."""
        return styles_of(self.resolved["features"]["measures"])

    @property
    def more(self) -> list[Unit]:
        """What else than a table's numbers is measured of every row."""
        return []

    @property
    def sets(self) -> dict[str, str]:
        """Metrics of whole sets of images, and the array that each is made of."""
        specs = self.resolved["features"]["measures"]
        return {metric: f"{name}.{array}" for name, spec in specs.items() for metric, array in spec["sets"].items()}
