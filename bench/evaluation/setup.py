"""Makes the objects that a run of a table needs from the configuration. Each object is made when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.checking.dataset_listing import Traits, traits_of
from bench.checking.estimate import Planned, Work
from bench.checking.inspection import Inspection, inspect_table
from bench.checking.settings import used
from bench.config.compose import changing
from bench.config.experiment_configs import MeasuringConfig
from bench.config.instantiate import TARGET, identity, make, named, weight_files
from bench.config.schema import TableSpec, is_measured
from bench.data.prepared import Items
from bench.errors import BadInputError
from bench.evaluation.batch_size import Batches
from bench.evaluation.part_facts import LoadedLater, PartFacts, part_facts, stored_part_facts
from bench.evaluation.protocols import RunProtocol, measuring_of, protocol_of_run
from bench.evaluation.sampling import NeededLatents, Sampling
from bench.evaluation.scoring import Scoring, features_of, measure_protocols, metric_protocols, minimums_of
from bench.generation.compiling import check_compiler
from bench.generation.decoding import Decoded
from bench.generation.generator import Generator
from bench.generation.method import ENCODED, Method, chain
from bench.generation.own_rows import code_of_row
from bench.metrics.batch_scorer import Unit
from bench.metrics.measure import Measure
from bench.metrics.names import HOLE_ONLY
from bench.metrics.protocol import Protocol
from bench.metrics.summary import Summary
from bench.results.environment import versions
from bench.runtime.defaults import missing_members, with_defaults
from bench.runtime.device import choose_device, describe
from bench.runtime.distributed import World
from bench.runtime.source import source_hash
from bench.store import Fact, Store, content_key
from bench.tables.build import Styles, TableDesign, styles_of
from bench.tables.headline import headline_reading, in_reading

__all__ = ["Setup"]

PARTS = ("dataset", "generator", "metrics", "rows")
"""Keys of those parts of the configuration that can contain paths of files."""


CONTRACTS = 2
"""Version number of the checks in `bench.evaluation.contracts`. It is increased when the checks become stricter, so
that objects that passed before are checked again."""


class Setup:
    """An object that makes the generator, the methods and the measures of one table from the configuration.

    It also computes the identities of these objects, from which the keys of the store are computed. An identity
    consists of the object's settings in the configuration. Each path in these settings is replaced by a hash of the
    content at this path.
    """

    def __init__(
        self,
        config: MeasuringConfig,
        overrides: Sequence[str],
        *,
        further: Sequence[str] = (),
        more: Sequence[Unit] = (),
    ) -> None:
        """Set the configuration of the run.

        Args:
            config: configuration of the run.
            overrides: overrides of the configuration, as they were typed on the command line.
            further: names of measures to compute in addition to the measures that the table's task needs.
            more: additional pairs of a measure and a variant; each pair is scored for every row.
        """
        self.config, self.overrides, self.more = config, list(overrides), list(more)
        self.device = choose_device(config.device)
        self.reading = headline_reading(config.profile, self.device)
        self.custom = changing(overrides)
        self.rows = {
            name: row for name, row in config.rows.items() if is_measured(row, config.table.number, config.controls)
        }
        self.resolved = used(config.resolved, self.spec, self.rows, further)
        self.store = Store(Path(config.paths.store), fresh=config.fresh)

    @cached_property
    def world(self) -> World:
        """The processes that share the work of the run. The first access joins this process to the others."""
        return World.join(self.device)

    @cached_property
    def inspection(self) -> Inspection:
        """Result of a check of the files that the run needs: missing files, wrong files, and the number of pictures."""
        return self.inspect(PARTS)

    def inspect(self, parts: Sequence[str]) -> Inspection:
        """Check the files whose paths are under some keys of the configuration, and return the result.

        Args:
            parts: keys of the configuration, some of `PARTS`.
        """
        nodes, profile = {key: self.resolved[key] for key in parts}, self.config.profile
        return inspect_table(nodes, self.resolved["paths"], asset_list=profile.asset_list, unpinned=profile.unpinned)

    @cached_property
    def traits(self) -> Traits:
        """Properties of the data set's items, which the adapter states before it lists the items."""
        return traits_of(self.resolved["dataset"])

    @property
    def work(self) -> Work:
        """Number and resolution of the run's items, source of their masks, and number of latent arrays for each item.

        The run has at most this number of items; None if the number is unknown. The store saves the latent arrays.
        """
        dataset, listing = self.resolved["dataset"], self.inspection.listing
        counts = [dataset["items"], self.config.limit, listing.count if listing else self.inspection.expected]
        return Work(
            min((count for count in counts if count is not None), default=None),
            self.config.profile.resolution,
            self.traits.masks,
            1 + (len(ENCODED) if self.studies_latents else 0),
        )

    @property
    def planned(self) -> Planned:
        """Plan of the items and latents that the run will save in the store."""
        config, profile = self.config, self.config.profile
        drawn = {"limit": config.limit, "seed": config.seed, "masks": profile.masks, "resolution": profile.resolution}
        items = content_key({"dataset": self.resolved["dataset"], **drawn})
        return Planned(self.work, items, content_key({"items": items, "generator": self.resolved["generator"]}))

    @cached_property
    def weights(self) -> dict[str, str]:
        """SHA-256 of every weight file that the run needs. The key is the file's path."""
        nodes = [self.resolved["generator"], self.resolved["metrics"]["measures"], self.resolved["rows"]]
        return {path: sha for node in nodes for path, sha in weight_files(node).items()}

    @cached_property
    def own_code(self) -> dict[str, dict[str, Any]]:
        """Code of each row that is a user's own, as `bench.generation.own_rows.code_of_row` returns it.

        A run reads it at its beginning, because a file may be edited while the run continues.
        """
        found = {name: code_of_row(node) for name, node in self._method_nodes.items()}
        return {name: code for name, code in found.items() if code}

    @cached_property
    def spec(self) -> TableSpec:
        """Specification of the table.

        There are several definitions of the known-region error (see `bench.metrics.known_region`). The specification
        names the definition that this run shows as its headline metric.
        """
        return in_reading(self.config.table, self.reading)

    @cached_property
    def generator(self) -> Generator:
        """The generator, which samples the latents. It is on the device of the run."""
        made: Generator = with_defaults(make(self.resolved["generator"], "generator", device=self.device), Generator)
        _refuse_incomplete(made, "generator", Generator)
        if self.compile_mode is not None:
            made.compile(self.compile_mode)
        return made

    @cached_property
    def compile_mode(self) -> str | None:
        """Mode in which networks are compiled, one of `bench.config.schema.COMPILE`; None if networks are not compiled.

        Raises:
            BadInputError: the compiler does not work on the device of the run.
        """
        if self.config.compile is not None:
            check_compiler(self.config.compile, self.device)
        return self.config.compile

    @cached_property
    def sampling(self) -> Sampling:
        """The sampling stage. All rows use its latents."""
        return self.sampling_with(self.config.seed, self.encoded)

    def sampling_with(self, seed: int, encoded: Sequence[str]) -> Sampling:
        """Return a sampling stage with the generator of the run.

        Args:
            seed: seed of the noise.
            encoded: kinds of encoded latents that are needed beside the sampled ones, some of `ENCODED`.
        """
        known = identity(self.resolved["generator"], self.weights)
        # A compiled UNet rounds differently, and sampling enlarges the difference, so its latents have other keys.
        made_by = known if self.compile_mode is None else {**known, "compile": self.compile_mode}
        return Sampling(
            lambda: self.generator,
            NeededLatents(made_by, seed, encoded, self.facts["generator"]["latent_shape"]),
            store=self.store,
            device=self.device,
            batches=self._batches("sample", known),
            world=self.world,
        )

    @property
    def encoded(self) -> tuple[str, ...]:
        """Kinds of encoded latents that the run needs, some of `ENCODED`.

        These are the kinds that the rows decode. If the controls include `budget` or `reconstruction`, and the data set
        has pictures, all kinds of encoded latents are needed for statistics. In a table of whole generated images, no
        pixel is known, so the statistics do not need `encoded_known`.

        Raises:
            BadInputError: a row decodes encoded latents, but the data set has no pictures.
        """
        rows = {kind for facts in self.facts["rows"].values() for kind in facts["encoded"]}
        if rows and not self.traits.pictured:
            raise BadInputError(
                "rows: expected rows that decode sampled latents, because the data set has no pictures, found rows "
                "that decode encoded pictures"
            )
        studied = ENCODED if self.studies_latents else ()
        unknown = {"encoded_known"} if self.spec.task == "generation" else set()
        return tuple(kind for kind in ENCODED if kind in rows | set(studied) - unknown)

    @property
    def studies_latents(self) -> bool:
        """True if the run's controls ask for statistics of encoded latents, and there are pictures to encode."""
        return self.traits.pictured and not {"budget", "reconstruction"}.isdisjoint(self.config.controls)

    @cached_property
    def measures(self) -> LoadedLater[Measure]:
        """The measures by name, on the device of the run. They are loaded when one of them is first used."""
        return LoadedLater(self.resolved["metrics"]["measures"], self._loaded_measures)

    def _loaded_measures(self) -> dict[str, Measure]:
        specs = self.resolved["metrics"]["measures"]
        return {
            name: self._moved(
                make(spec["measure"], f"metrics.measures.{name}.measure"), f"metrics.measures.{name}", Measure
            )
            for name, spec in specs.items()
        }

    def _moved(self, made: Any, key: str, base: type) -> Any:
        """Move an object to the run's device, and add the members that it lacks.

        Args:
            made: object from the configuration, which can be external code.
            key: key of the configuration that describes the object, for messages.
            base: base class whose defaults are used for members that the object does not have.

        Raises:
            BadInputError: the object lacks a member without a default, or it cannot be moved to the device.
        """
        with named(key, "an object with the method to(device)"):
            with_defaults(made, base)
            _refuse_incomplete(made, key, base)
            moved = made.to(self.device)
        if moved is None:
            raise BadInputError(
                f"{key}: expected that the method to(device) returns the object, found that it returns None"
            )
        return with_defaults(moved, base)

    @cached_property
    def methods(self) -> LoadedLater[Method]:
        """Method of each row that is measured. All methods are loaded when one of them is first used.

        A row whose numbers are only quoted has no method. If the methods of several rows decode latents with equal
        settings and weights, these rows share one method object, which decodes each batch only once.
        """
        return LoadedLater(self._method_nodes, self._loaded_methods)

    @property
    def _method_nodes(self) -> dict[str, Any]:
        """For each row that has a method, the part of the configuration that describes the method."""
        return {name: row["method"] for name, row in self.resolved["rows"].items() if row["method"] is not None}

    def _loaded_methods(self) -> dict[str, Method]:
        nodes = self._method_nodes
        decoders: dict[str, Decoded] = {}
        made: dict[str, Method] = {
            name: self._moved(self._method(node, f"rows.{name}.method", decoders), f"rows.{name}.method", Method)
            for name, node in nodes.items()
        }
        for one in {one: None for method in made.values() for one in chain(method) if isinstance(one, Decoded)}:
            one.strip_rows = self.config.strip_rows
            if self.compile_mode is not None:
                one.compile(self.compile_mode)
        return made

    def _method(self, node: Mapping[str, Any], key: str, decoders: dict[str, Decoded]) -> Any:
        """Make the method of a row. If an earlier row has an equal method that decodes latents, return that method.

        Two methods are equal if their settings and weights are equal. A method that changes the images of an inner
        method has the inner method as its argument `of`. The same rule decides whether the inner method is made or
        taken from an earlier row.

        Args:
            node: part of the configuration that describes the method, as plain data.
            key: full name of the key of this part in the configuration, for error messages.
            decoders: methods of earlier rows that decode latents. The key of a method is the hash of its settings and
                weights. If this call makes a new method that decodes latents, the method is added.
        """
        settings = content_key({"method": identity(node, self.weights)})
        if settings in decoders:
            decoders[settings].shared = True
            return decoders[settings]
        inner = node.get("of")
        if isinstance(inner, Mapping) and TARGET in inner:
            rest = {name: value for name, value in node.items() if name != "of"}
            return make(rest, key, of=self._method(inner, f"{key}.of", decoders))
        method = make(node, key)
        if isinstance(method, Decoded):
            decoders[settings] = method
        return method

    @cached_property
    def stored_facts(self) -> PartFacts | None:
        """Properties of generator, methods and measures that an earlier run with the same files saved in the store.

        The value is None if the store does not have these properties, or if the run has the setting `fresh=true`.
        """
        return None if self.config.fresh else stored_part_facts(self._facts, self.methods, self.measures)

    @cached_property
    def facts(self) -> PartFacts:
        """Properties of generator, methods and measures. If the store does not have them, these objects are loaded."""
        if self.stored_facts is not None:
            return self.stored_facts
        found = part_facts(self.generator, self.methods, self.measures, resolution=self.config.profile.resolution)
        if not any(facts["beforehand"] for facts in found["rows"].values()):
            self._facts.remember(found)
        return found

    @property
    def _facts(self) -> Fact:
        """File of the store in which `facts` is saved."""
        made = {key: identity(self.resolved[key], self.weights) for key in ("generator", "rows")}
        made |= {"measures": identity(self.resolved["metrics"]["measures"], self.weights)}
        made |= {name: getattr(self.config, name) for name in ("strip_rows", "compile")}
        return self._fact("facts of parts", {**made, "versions": versions(), "code": source_hash()})

    @cached_property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """Everything that can change the values of each measure, as plain data. The key is the measure's name."""
        found = {name: facts["protocol"] for name, facts in self.facts["measures"].items()}
        return measure_protocols(found, self.resolved["metrics"]["measures"], self.weights)

    def protocol_of_run(self, items: Items) -> RunProtocol:
        """Return the protocol of this run: its fields, and how they differ from the named protocol that the run
        declares, if it declares one.

        Args:
            items: items of the run.
        """
        return protocol_of_run(
            self.config.protocol,
            items,
            self.resolved["dataset"],
            self.traits,
            measuring_of(self.sets, self.protocols, self.config.metrics.name),
            self.overrides,
        )

    @cached_property
    def scoring(self) -> Scoring:
        """The scoring stage, which applies every measure to the images of every row."""
        return self.scoring_with(self.sampling, self.methods)

    def scoring_with(self, sampling: Sampling, methods: Mapping[str, Method]) -> Scoring:
        """Return a scoring stage that applies every measure to the images of some rows.

        Args:
            sampling: sampling stage, which reads the latents of these rows.
            methods: method of each row. It may differ from the row's method in `self.methods` only in the inputs that
                it gets, if the latents' keys of `sampling` contain these inputs.
        """
        identities = {row: self.identity_of(row) for row in methods}
        return Scoring(
            sampling,
            methods,
            self.measures,
            identities=identities,
            protocols=self.protocols,
            units=[*self._units(), *self.more],
            batches=self._batches("score", {"rows": identities, "measures": self.protocols}),
        )

    def _units(self) -> Iterator[Unit]:
        """Yield each pair of a measure and a variant that is scored for every row.

        Every measure is applied to the unchanged images of each row. If the controls include `hole_only`, each measure
        that looks at the hole is also applied to the variant `hole_only` of the images. A table of whole generated
        images does not have this variant.
        """
        yield from (Unit(name) for name in self.measures)
        if HOLE_ONLY in self.config.controls and self.spec.task != "generation":
            yield from (Unit(name, HOLE_ONLY) for name, facts in self.facts["measures"].items() if facts["sees_hole"])

    def _batches(self, stage: str, settings: Any) -> Batches:
        """Return the division of items into batches for a stage.

        If the configuration sets no batch size, `Batches` uses the size that an earlier run saved in the store, or
        finds the size by a probe.

        Args:
            stage: name of the stage.
            settings: everything that can change the best batch size, as plain data.
        """
        size = self.config.batch_size
        known = self._fact("batch size", {"stage": stage, "settings": settings})
        return Batches(size if isinstance(size, int) else None, known=known, device=self.device)

    @property
    def prediction(self) -> Fact:
        """File of the store in which a run with `stage=check` saves its estimate.

        A later run compares its measured time and memory with the estimate.
        """
        made = {key: identity(self.resolved[key], self.weights) for key in ("generator", "rows")}
        speed = {name: getattr(self.config, name) for name in ("batch_size", "strip_rows", "compile")}
        return self._fact("estimate", {**made, "measures": self.protocols, **speed})

    @property
    def contracts(self) -> Fact:
        """File of the store which states that the generator, methods and measures passed `check_contracts`."""
        made = {key: identity(self.resolved[key], self.weights) for key in ("generator", "rows")}
        return self._fact("contracts", {**made, "measures": self.protocols, "version": CONTRACTS})

    def remembered(
        self, what: str, latents: Sequence[str], find: Callable[[], dict[str, Any]], *, rows: Sequence[str], count: int
    ) -> dict[str, Any]:
        """Return a result that depends only on latents and on the rows' networks. It is computed once, and then stored.

        The result is computed again with `fresh=true`, and whenever this project's code, the version of a package or
        the device has changed.

        Args:
            what: name of the result, under which the store saves it.
            latents: store keys of the latents from which the result is computed.
            find: function that computes the result and returns it as plain data (JSON types).
            rows: names of the rows whose networks are used.
            count: number of items that are used.
        """
        fact = self._fact(what, self.determining(latents, rows=rows, count=count))
        found = None if self.config.fresh else fact.recall()
        if found is None:
            found = find()
            fact.remember(found)
        return {name: value for name, value in found.items() if name != "when"}

    def determining(self, latents: Sequence[str], *, rows: Sequence[str], count: int) -> dict[str, Any]:
        """Return everything that can change a result, as plain data.

        The result is one that is computed from latents and from the networks of some rows.

        Args:
            latents: store keys of the latents from which the result is computed.
            rows: names of the rows whose networks are used.
            count: number of items that are used.
        """
        made: dict[str, Any] = {"generator": identity(self.resolved["generator"], self.weights)}
        made |= {name: getattr(self.config, name) for name in ("strip_rows", "compile")}
        made |= {"latents": list(latents), "items": count, "rows": {row: self.identity_of(row) for row in rows}}
        made |= {"device": describe(self.device), "resolution": self.config.profile.resolution}
        return {**made, "versions": versions(), "code": source_hash()}

    def _fact(self, what: str, settings: Any) -> Fact:
        """Return the file of the store for a value that depends on the device and on the resolution of the run.

        Args:
            what: name of the value.
            settings: everything else on which the value depends, as plain data.
        """
        of = {"what": what, "device": describe(self.device), "resolution": self.config.profile.resolution}
        return Fact(self.store.root, {**of, "settings": content_key({"of": settings})})

    def identity_of(self, row: str) -> dict[str, Any]:
        """Return everything that determines the images of a row's method, as plain data.

        This includes the method's settings, the hashes of its weights, and, if its images are made beforehand, the
        hashes of these images.
        """
        known: dict[str, Any] = identity(self.resolved["rows"][row]["method"], self.weights)
        if not self.facts["rows"][row]["beforehand"]:
            return known
        made = [one.content for one in chain(self.methods[row]) if one.content is not None]
        return {**known, "images": made} if made else known

    @cached_property
    def styles(self) -> Styles:
        """Style in which each metric is printed, such as its title and its unit."""
        return styles_of(self.resolved["metrics"]["measures"])

    @cached_property
    def design(self) -> TableDesign:
        """Description of what the run's table shows."""
        return TableDesign(
            self.spec,
            self.rows,
            profile=self.config.profile.name,
            features=str(self.resolved["metrics"]["name"]),
            custom=tuple(self.custom),
            styles=self.styles,
            reading=self.reading,
        )

    @property
    def sets(self) -> dict[str, str]:
        """Name of the features from which each metric of a whole set of images is computed.

        The key is the name of the metric. The name of the features has the form `MEASURE.ARRAY`.
        """
        return features_of(self.resolved["metrics"]["measures"])

    @property
    def minimums(self) -> dict[str, int]:
        """Smallest number of items of each metric of a whole set of images whose measure sets this number."""
        return minimums_of(self.resolved["metrics"]["measures"])

    def protocols_of(self, summary: Summary) -> dict[str, Protocol]:
        """Return the protocol of each metric that some row in `summary` has, by the metric's full name."""
        return metric_protocols(summary, self.protocols)


def _refuse_incomplete(made: object, key: str, base: type) -> None:
    missing = missing_members(made, base)
    if missing:
        raise BadInputError(
            f"{key}: expected an object with the members {', '.join(missing)}, found {type(made).__name__} without them"
        )
