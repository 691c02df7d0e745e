"""The typed schema of an experiment: every key that a configuration may have, and its meaning.

Keys next to a `_target_` are free: they are checked against the target's signature (`bench.config.instantiate`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from bench.config.paths import Paths

__all__ = [
    "AUTOCAST",
    "COMPILE",
    "CONTROLS",
    "DTYPES",
    "FETCH",
    "FIGURES",
    "STAGES",
    "Baseline",
    "Choice",
    "ComposedConfig",
    "Dataset",
    "DecoderSizes",
    "DecoderSpec",
    "FigureSpec",
    "Gate",
    "MeasureSpec",
    "MetricSpec",
    "Metrics",
    "MiniModels",
    "Profile",
    "Row",
    "TableSpec",
]

CONTROLS = ("hole_only", "trained_on", "budget", "reconstruction")
"""Controls that can be measured: true known pixels in every row; the vanilla decoder after more training; the error's
budget between autoencoder and sampler; reconstruction without a sampler.
"""
STAGES = ("check", "prepare", "sample", "score", "tabulate", "report")
FIGURES = ("details", "borders", "captions")
"""Kinds of the paper's figures; see `bench.reporting.paper_figures`."""
DTYPES = ("float32", "float16")
"""Data types in which features can be saved."""
COMPILE = ("default", "reduce-overhead", "max-autotune")
"""Modes of `torch.compile`."""
AUTOCAST = "autocast"
"""Half precision like in the released scripts: autocast to float16 on CUDA, and float32 elsewhere."""
FETCH = "fetch"
"""Value of `stage` that runs no stage, but downloads the files that can be downloaded."""


@dataclass
class DecoderSizes:
    """Sizes of the vanilla decoder; those of the other decoders are multiples of them."""

    channels: list[int] = MISSING
    layers: int = MISSING
    groups: int = MISSING
    widen_groups: bool = False
    """True if a wider decoder has more normalisation groups instead of larger ones."""


@dataclass
class Profile:
    """Everything in which the miniature and the paper's setting differ: sizes and paths."""

    name: str = MISSING
    resolution: int = MISSING
    masks: str = MISSING
    items: dict[str, int | None] = field(default_factory=dict)
    """Number of items of a table by data set; None takes all."""
    per_class: int = 3
    """Largest number of ImageNet validation pictures of each class."""
    captions: int = 5
    """Largest number of captions of each COCO image; each caption is one item."""
    fid_minimum: int = MISSING
    """Smallest number of items for which a Fréchet distance is reported."""
    steps: int = MISSING
    """Number of sampling steps."""
    precision: str = MISSING
    """Precision of the diffusion model and the decoders: `float32`, or `autocast` for half precision on a GPU."""
    start_noise: str = MISSING
    """Start noise of inpainting: `item` draws one for each item, `shared` uses one for all."""
    batch_size: int | str = MISSING
    error: str = "pre_error"
    """Variant of the error over known pixels that tables show if decoders compute in half precision on a GPU:
    `pre_error`, or `pre_error_released` for images saved in half precision; see `bench.tables.headline`.
    """
    weights: str = MISSING
    pipeline: str = MISSING
    """Path of the diffusion pipeline for inpainting."""
    text_pipeline: str = MISSING
    """Path of the diffusion pipeline for text to image."""
    exemplar_pipeline: str = MISSING
    """Path of Paint-by-Example."""
    shared_vae: str | None = None
    """Path of the autoencoder of the other two pipelines, if it is not in their folders."""
    features: dict[str, str] = field(default_factory=dict)
    """Weights of the networks that metrics use."""
    first_stage: str = MISSING
    """Weights of the frozen first stage for which decoders are trained."""
    decoder_sizes: DecoderSizes = field(default_factory=DecoderSizes)
    decoders: dict[str, str] = field(default_factory=dict)
    baselines: dict[str, Any] = field(default_factory=dict)
    """Source of the images of other methods, by row: a `_target_` with its arguments, or None to leave the row out."""
    perceptual: dict[str, Any] = field(default_factory=dict)
    """Perceptual distance in the training loss: a `_target_` with its arguments."""
    predict_branch: bool = False
    """Default of `predict_branch` for the training of a decoder."""
    datasets: dict[str, Any] = field(default_factory=dict)
    controls: list[str] = field(default_factory=list)
    """Default of the controls that are measured in addition to the paper's rows."""


@dataclass
class Row:
    """A row of a table."""

    label: str = MISSING
    method: dict[str, Any] | None = None
    """Method that makes the row's images: a `_target_` with its arguments, or None for published numbers alone."""
    published: dict[int, str] = field(default_factory=dict)
    """Labels of the row in the paper, by the number of the table."""
    cited: bool = False
    """True if the authors copied its published numbers from elsewhere."""
    control: str | None = None
    """Control that must be measured for this row to be shown."""
    beside: bool = False
    """True if the row stands in a separate table next to the paper's."""


@dataclass
class FigureSpec:
    """A figure of the paper that a table's run draws."""

    of: str = MISSING
    """Name of the figure in the paper."""
    kind: str = MISSING
    """Kind of the figure, one of `FIGURES`."""
    rows: list[str] = MISSING
    """Names of the rows to draw; rows that were not measured are left out. The errors in `details` are those of the
    first.
    """


@dataclass
class TableSpec:
    number: int = MISSING
    """Number of the table in the paper."""
    title: str = MISSING
    columns: list[str] = MISSING
    """Names of metrics, in the paper's order."""
    readings: list[str] = field(default_factory=list)
    """Further metrics behind the main ones, not compared separately: the same quantity, computed in the way that is
    assumed for the paper's printed numbers.
    """
    task: str | None = None
    """Name of one of the tasks in `metrics.tasks`, which decides the measures that are computed; None if nothing is
    measured.
    """
    vanilla: str = "StableDiffusion"
    """Name that rows use for the model whose own decoder is the vanilla one."""
    reference: str | None = None
    """Name of the row that the others are compared with, if it is measured."""
    beside: list[str] = field(default_factory=list)
    """Metrics that are shown next to the paper's."""
    figures: dict[str, FigureSpec] = field(default_factory=dict)
    """Figures by the name of their file."""


@dataclass
class Dataset:
    name: str = MISSING
    root: Any = None
    """Folder of the data, or a `_target_` with its arguments that writes one."""
    items: int | None = None
    """Largest number of items; None takes all."""
    pictures: dict[str, Any] = MISSING
    """Reader of the items: a `_target_` with its arguments."""


@dataclass
class MetricSpec:
    """Name and number format of a user-defined metric."""

    title: str = MISSING
    higher_is_better: bool = MISSING
    decimals: int = 4
    unit: str = ""
    scale: float = 1.0
    """Factor of the printed value: printed value = value × scale."""
    on_features: bool = False
    """True if the value depends on the network that `metrics.name` names; the title then contains that name."""


@dataclass
class MeasureSpec:
    """A family of metrics that are computed together."""

    measure: dict[str, Any] = MISSING
    """Measure as a `_target_` with its arguments."""
    set_metrics: dict[str, str] = field(default_factory=dict)
    """Metrics of whole sets of images, and for each one the array of the measure that it is computed from."""
    tasks: list[str] = field(default_factory=list)
    """Further tasks whose tables use this measure; `metrics.tasks` lists the measures of each task."""
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    """User-defined metrics, which are shown next to the paper's columns."""


@dataclass
class Choice:
    """A change to the profile's own way to measure; everything else stays as it is there."""

    label: str = MISSING
    saved: str | None = None
    """Way in which images are saved before they are measured; see `bench.metrics.image_encoding`."""
    metrics: dict[str, str] = field(default_factory=dict)
    """Metrics, and the metric that replaces each one."""
    measures: list[str] = field(default_factory=list)
    """Measures that the replacing metrics need in addition to the task's."""
    bins: str | None = None
    """Rule for mask areas that lie on the edge of a bin; see `bench.metrics.bins`."""
    against: str | None = None
    """Name of the choice that it is compared with; None for the profile's own way to measure."""


@dataclass
class Metrics:
    name: str = MISSING
    """Name that appears in the titles of columns."""
    measures: dict[str, MeasureSpec] = MISSING
    tasks: dict[str, list[str]] = MISSING
    """Names of the measures for each task."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """Rows of the sensitivity table by name."""


@dataclass
class Baseline:
    """Sources of the images of other methods, in addition to those of the profile."""

    root: str | None = None
    """Folder of images that another program made."""
    label: str = "Predictions"
    """Label of the row that shows these images."""
    methods: dict[str, Any] = field(default_factory=dict)
    """Sources by row: a `_target_` with its arguments for each."""


@dataclass
class DecoderSpec:
    """A decoder to train, to draw, or to evaluate in a row."""

    name: str = MISSING
    width: float = 1.0
    """Factor on the vanilla decoder's channels."""
    depth: float = 1.0
    """Factor on the vanilla decoder's layers; the result is rounded to a whole number."""
    conditioned: bool = True
    blending: str = "add"
    branch: str = "plain"
    checkpoint: str | None = None
    """Weights of the decoder, if a row evaluates it."""


@dataclass
class Convergence:
    part: str = MISSING
    figure: str = MISSING
    largest: float = MISSING


@dataclass
class MiniModels:
    """Settings of `train_mini`."""

    per_class: int = MISSING
    """Number of training pictures in each class."""
    dev_per_class: int = MISSING
    """Number of pictures in each class that recipes are selected on."""
    bfloat16: bool = MISSING
    convergence: Convergence = MISSING
    recipes_tried: dict[str, int] = MISSING
    """Number of recipes tried for each part, including the selected one."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Recipes that are used only if `part=` names them; their results are not packed."""
    recipes: dict[str, Any] = MISSING
    """Recipe of each part: a `_target_` with its arguments."""


@dataclass
class Gate:
    """Limits that the tables of a collection must meet."""

    against: str | None = None
    """File of a baseline, or folder of earlier runs, to compare with; None compares nothing."""
    margins: list[str] = field(default_factory=list)
    """Margins that differ from the defaults, such as `fid=0.5`; see `bench.gate.margins`."""
    annotations: bool = False
    """True if annotations for GitHub are printed as well."""


@dataclass
class ComposedConfig:
    """Schema of the composition: every key that the configuration of any experiment may have.

    An experiment receives only its own keys; see `bench.config.experiment_configs`.
    """

    name: str = MISSING
    description: str = MISSING
    _target_: str = "bench.experiments.table.TableExperiment"
    """Class that runs it, one of `bench.config.kinds.KINDS`."""
    stage: str = "report"
    """Last stage to run; `fetch` downloads missing files and runs nothing."""
    limit: int | None = None
    """Number of items to use from the start of the manifest; None uses all."""
    fresh: bool = False
    """True if latents and scores are computed again: those in the store for this run are removed first."""
    seed: int = 0
    device: str = "auto"
    batch_size: int | str = "${profile.batch_size}"
    """Number of items per batch, or `auto`."""
    strip_rows: int | None = None
    """Number of rows that decoders compute at once, to save memory; None computes all, or fewer if a single image does
    not fit.
    """
    compile: str | None = None
    """Mode in which decoders are compiled, one of `COMPILE`; None does not compile them."""
    controls: list[str] = "${profile.controls}"  # type: ignore[assignment]
    """Controls that are measured in addition to the paper's rows; see `CONTROLS`."""
    out: str | None = None
    overwrite: bool = False
    """True if `out` may hold a finished run of another configuration, or files that no run has written."""
    verbose: bool = False
    """True if differences, effects, verdicts and notes are printed as well; the written tables and the report always
    contain them.
    """
    save_images: bool = False
    keep_features: bool = False
    """True if features are saved with the records, for other statistics later (`bench.results.features`)."""
    features_dtype: str = "float32"
    """Data type in which features are saved, one of `DTYPES`."""
    costs: bool = False
    """True if claims about cost are judged, for which rows and the sampler are timed; a report always times its
    rows.
    """
    experiments: list[str] = field(default_factory=list)
    """Names of a collection's experiments, in the order in which they run."""
    each: dict[str, list[str]] = field(default_factory=dict)
    """Overrides for the experiments of a collection, by experiment; `all` applies to every one."""
    gate: Gate | None = None
    seeds: list[int] = field(default_factory=list)
    """Training seeds that `experiment=seeds` measures in addition to the packaged one."""
    seeds_from: str | None = None
    """Folder with the decoders that `experiment=train_mini part=NAME@SEED` trained."""
    card: str | None = None
    """Folder into which `experiment=seeds` writes `seeds.json` and `CARD.md`."""
    part: str | None = None
    """Name of the only part that `train_mini` makes; None makes all."""
    profile: Profile = field(default_factory=Profile)
    paths: Paths = field(default_factory=Paths)
    dataset: Dataset | None = None
    generator: dict[str, Any] | None = None
    metrics: Metrics | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    table: TableSpec | None = None
    mini_models: MiniModels | None = None
    decoder: DecoderSpec | None = None
    baseline: Baseline | None = None
    training: dict[str, Any] | None = None
    """Training of the decoder: a `_target_` with its arguments."""
    start: str | None = None
    """Weights that the decoder starts from; None starts from random ones."""
    first_stage: str | None = None
    training_data: dict[str, Any] | None = None
    validation_data: dict[str, Any] | None = None
    predict_branch: bool = False
    """True if a new branch starts as the linear prediction of the decoder's features from the picture."""
    workers: int = 0
    """Number of processes that read training data, for each training process."""
    wandb: str | None = None
    """Name of the project at W&B."""
