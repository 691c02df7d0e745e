"""The typed schema of an experiment: every key that a configuration may have, and what it means.

Below a `_target_` it is open: such keys are checked against the target's signature (`bench.objects`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from bench.paths import Paths

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
    "Config",
    "Dataset",
    "DecoderSizes",
    "DecoderSpec",
    "Features",
    "FigureSpec",
    "Gate",
    "MeasureSpec",
    "MetricSpec",
    "Parts",
    "Profile",
    "Row",
    "TableSpec",
]

CONTROLS = ("hole_only", "trained_on", "budget", "reconstruction")
"""Known pixels taken from the truth for every row; the vanilla decoder trained on; the error's budget between
autoencoder and sampler; reconstruction without a sampler."""
STAGES = ("check", "prepare", "sample", "score", "tabulate", "report")
FIGURES = ("details", "borders", "captions")
"""Kinds of the paper's figures; see `bench.reporting.paper_figures`."""
DTYPES = ("float32", "float16")
"""In which features are kept."""
COMPILE = ("default", "reduce-overhead", "max-autotune")
"""Modes of `torch.compile`."""
AUTOCAST = "autocast"
"""Half precision as the released scripts have it: on CUDA under autocast to float16, elsewhere float32."""
FETCH = "fetch"
"""Named like a stage, but nothing else is run with it: it downloads what may be downloaded."""


@dataclass
class DecoderSizes:
    """Of the vanilla decoder, from which the others' follow by their factors."""

    channels: list[int] = MISSING
    layers: int = MISSING
    groups: int = MISSING
    widen_groups: bool = False
    """Whether a wider decoder has more normalisation groups instead of larger ones."""


@dataclass
class Profile:
    """Everything that differs between the miniature and the real thing: sizes and paths."""

    name: str = MISSING
    resolution: int = MISSING
    masks: str = MISSING
    items: dict[str, int | None] = field(default_factory=dict)
    """Items of a table by data set; None for all that it gives."""
    per_class: int = 3
    """How many ImageNet validation pictures of each class are taken at most."""
    captions: int = 5
    """How many captions of each COCO image are taken at most; each gives an item."""
    fid_minimum: int = MISSING
    """Fewest items of which a Fréchet distance is given."""
    steps: int = MISSING
    """Sampling steps."""
    precision: str = MISSING
    """Of the diffusion model and the decoders: `float32`, or `autocast` for half precision on a GPU."""
    start_noise: str = MISSING
    """Of inpainting: each `item`'s own, or one that is `shared` by all."""
    batch_size: int | str = MISSING
    error: str = "pre_error"
    """The reading of the error over known pixels that tables show where decoders compute in half precision on a GPU:
    `pre_error`, or `pre_error_released` for images saved in half precision; see `bench.tables.headline`."""
    weights: str = MISSING
    pipeline: str = MISSING
    """Of inpainting."""
    text_pipeline: str = MISSING
    """From text to image."""
    exemplar_pipeline: str = MISSING
    """Paint-by-Example."""
    shared_vae: str | None = None
    """The autoencoder of those two, where it is kept elsewhere."""
    features: dict[str, str] = field(default_factory=dict)
    """Weights of the networks that metrics use."""
    first_stage: str = MISSING
    """The frozen one for which decoders are trained."""
    decoder_sizes: DecoderSizes = field(default_factory=DecoderSizes)
    decoders: dict[str, str] = field(default_factory=dict)
    baselines: dict[str, Any] = field(default_factory=dict)
    """How rows of methods by others are measured: by row a `_target_` and that one's arguments; None for not."""
    perceptual: dict[str, Any] = field(default_factory=dict)
    """The distance that decoders are trained with: a `_target_` and that one's arguments."""
    predict_branch: bool = False
    """Of a decoder's training, unless the run says otherwise."""
    datasets: dict[str, Any] = field(default_factory=dict)
    controls: list[str] = field(default_factory=list)
    """What is measured beyond the paper unless the run says otherwise."""


@dataclass
class Row:
    """One line of a table."""

    label: str = MISSING
    method: dict[str, Any] | None = None
    """How its images are made: a `_target_` and that one's arguments; None for published numbers alone."""
    published: dict[int, str] = field(default_factory=dict)
    """The paper's labels of the row, by the number of the table."""
    cited: bool = False
    """Whether the authors copied its published numbers from elsewhere."""
    control: str | None = None
    """The control without which the row is left out."""
    beside: bool = False
    """Whether it stands in a table of its own, beside the paper's."""


@dataclass
class FigureSpec:
    """One of the paper's figures, as a table's run draws it."""

    of: str = MISSING
    """What it is called in the paper."""
    kind: str = MISSING
    """One of `FIGURES`."""
    rows: list[str] = MISSING
    """Names of rows, those left out that were not measured; the first is the one whose errors `details` shows."""


@dataclass
class TableSpec:
    number: int = MISSING
    """Of the table in the paper."""
    title: str = MISSING
    columns: list[str] = MISSING
    """Names of metrics, in the paper's order."""
    readings: list[str] = field(default_factory=list)
    """Metrics that stand behind those without a comparison of their own: the same quantity, as the paper's printed
    numbers are assumed to have it."""
    task: str | None = None
    """Of the features' tasks: which measures are taken; None where nothing is measured."""
    vanilla: str = "StableDiffusion"
    """What rows call the model whose own decoder is the vanilla one."""
    reference: str | None = None
    """Name of the row with which the others are compared, where it is measured."""
    beside: list[str] = field(default_factory=list)
    """Metrics shown beside the paper's."""
    figures: dict[str, FigureSpec] = field(default_factory=dict)
    """By the name of the file."""


@dataclass
class Dataset:
    name: str = MISSING
    root: Any = None
    """A folder, or what writes one: a `_target_` and that one's arguments."""
    items: int | None = None
    """Take as many items at most; None for all."""
    pictures: dict[str, Any] = MISSING
    """What yields them: a `_target_` and that one's arguments."""


@dataclass
class MetricSpec:
    """How a metric of somebody's own is named and printed."""

    title: str = MISSING
    higher_is_better: bool = MISSING
    decimals: int = 4
    unit: str = ""
    scale: float = 1.0
    """Printed value = value × scale."""
    on_features: bool = False
    """Whether its value belongs to the features' network, which its title then names."""


@dataclass
class MeasureSpec:
    """One family of metrics that are taken together."""

    measure: dict[str, Any] = MISSING
    """A `_target_` and that one's arguments."""
    sets: dict[str, str] = field(default_factory=dict)
    """Metrics of whole sets of images, and the array of the measure that each is made of."""
    tasks: list[str] = field(default_factory=list)
    """Kinds of table that take it beside those that name it in `features.tasks`."""
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    """Metrics that no table of ours knows, which then stand beside the paper's columns."""


@dataclass
class Choice:
    """One way to measure otherwise than the features' own protocol, everything else as there."""

    label: str = MISSING
    saved: str | None = None
    """How images are saved before they are measured; see `bench.metrics.saving`."""
    metrics: dict[str, str] = field(default_factory=dict)
    """Metrics, and what stands in the place of each."""
    measures: list[str] = field(default_factory=list)
    """What those need beside the task's measures."""
    bins: str | None = None
    """The rule for mask areas on an edge; see `bench.metrics.bins`."""
    against: str | None = None
    """Name of the choice that it is compared with; None for the features' own protocol."""


@dataclass
class Features:
    name: str = MISSING
    """Stands in the titles of columns."""
    measures: dict[str, MeasureSpec] = MISSING
    tasks: dict[str, list[str]] = MISSING
    """Names of the measures that each kind of table takes."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """Of the sensitivity's table, by name."""


@dataclass
class Baseline:
    """Where rows of methods by others take their images from, beyond what the profile has for them."""

    root: str | None = None
    """A folder of images that somebody made."""
    label: str = "Predictions"
    """Of their row."""
    methods: dict[str, Any] = field(default_factory=dict)
    """By row a `_target_` and that one's arguments."""


@dataclass
class DecoderSpec:
    """A decoder to train, to draw up, or to put into a row."""

    name: str = MISSING
    width: float = 1.0
    """Factor on the vanilla decoder's channels."""
    depth: float = 1.0
    """Factor on its layers, rounded to whole ones."""
    conditioned: bool = True
    blending: str = "add"
    branch: str = "plain"
    checkpoint: str | None = None
    """Its weights, where a row is made with it."""


@dataclass
class Convergence:
    part: str = MISSING
    figure: str = MISSING
    largest: float = MISSING


@dataclass
class Parts:
    """What `train_mini` makes."""

    per_class: int = MISSING
    """Pictures to train on in each class."""
    dev_per_class: int = MISSING
    """Pictures to choose recipes by in each class."""
    bfloat16: bool = MISSING
    convergence: Convergence = MISSING
    recipes_tried: dict[str, int] = MISSING
    """By part, the chosen one included."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Recipes that are made only when `part=` names them; nothing of them is packed."""
    recipes: dict[str, Any] = MISSING
    """By name, each a `_target_` and that one's arguments."""


@dataclass
class Gate:
    """What a collection's tables are held to when they are made."""

    against: str | None = None
    """A baseline's file, or a folder of earlier runs; None for nothing."""
    margins: list[str] = field(default_factory=list)
    """Such as `fid=0.5`, where they are not the default ones; see `bench.gate.margins`."""
    annotations: bool = False
    """Whether GitHub's annotations are printed as well."""


@dataclass
class Config:
    """One experiment."""

    name: str = MISSING
    description: str = MISSING
    kind: str = "table"
    stage: str = "report"
    """Run up to and including this stage; with `fetch`, download what is missing and run nothing."""
    limit: int | None = None
    """Take only the first items of the manifest."""
    seed: int = 0
    device: str = "auto"
    batch_size: int | str = "${profile.batch_size}"
    """Items at once, or `auto`."""
    strip_rows: int | None = None
    """Rows that decoders compute at once, for less memory; None for all, until one image alone does not fit."""
    compile: str | None = None
    """How decoders are compiled, one of `COMPILE`; None for not."""
    controls: list[str] = "${profile.controls}"  # type: ignore[assignment]
    """What is measured beyond the paper; see `CONTROLS`."""
    out: str | None = None
    save_images: bool = False
    keep_features: bool = False
    """Whether features stay beside the records, for other statistics later (`bench.kept`)."""
    features_dtype: str = "float32"
    """In which they are written; see `DTYPES`."""
    costs: bool = False
    """Whether claims on cost are judged, for which rows and sampler are timed; a report times its rows anyway."""
    experiments: list[str] = field(default_factory=list)
    """Of a collection, in order."""
    each: dict[str, list[str]] = field(default_factory=dict)
    """Overrides that a collection runs its experiments with, by experiment; `all` for all of them."""
    gate: Gate | None = None
    seeds: list[int] = field(default_factory=list)
    """The training seeds that `experiment=seeds` measures beside the shipped one."""
    seeds_from: str | None = None
    """The folder in which `experiment=train_mini part=NAME@SEED` made their decoders."""
    card: str | None = None
    """The folder into which `experiment=seeds` writes `seeds.json` and `CARD.md`."""
    part: str | None = None
    """Of `train_mini`: the one part to make; None for all."""
    profile: Profile = field(default_factory=Profile)
    paths: Paths = field(default_factory=Paths)
    dataset: Dataset | None = None
    generator: dict[str, Any] | None = None
    features: Features | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    table: TableSpec | None = None
    parts: Parts | None = None
    decoder: DecoderSpec | None = None
    baseline: Baseline | None = None
    training: dict[str, Any] | None = None
    """How the decoder is trained: a `_target_` and that one's arguments."""
    start: str | None = None
    """Weights that the decoder starts from; None for fresh ones."""
    first_stage: str | None = None
    training_data: dict[str, Any] | None = None
    validation_data: dict[str, Any] | None = None
    predict_branch: bool = False
    """Whether a fresh branch starts as the linear prediction of the decoder's features from the picture."""
    workers: int = 0
    """Processes that read training data, beside each that trains."""
    wandb: str | None = None
    """Project at W&B."""
