"""The typed schema of an experiment: every key that a configuration may have, and its meaning.

A `_target_` names a class or function. The keys next to a `_target_` are its arguments, so this schema does not list
them. `bench.config.instantiate` checks them against the signature of the class or function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING

from bench.config.paths import Paths

__all__ = [
    "AUTOCAST",
    "COMPILE",
    "CONTROLS",
    "DTYPES",
    "EXPORT",
    "FETCH",
    "FIGURES",
    "MASKS",
    "PRECISIONS",
    "PROTOCOL_FIELDS",
    "REHEARSAL",
    "REHEARSAL_NOTE",
    "STAGES",
    "Baseline",
    "Choice",
    "ComposedConfig",
    "Dataset",
    "DecoderSizes",
    "DecoderSpec",
    "FigureSpec",
    "Gate",
    "HubFiles",
    "MeasureSpec",
    "MetricSpec",
    "Metrics",
    "MiniModels",
    "Profile",
    "ProtocolSpec",
    "ReferenceChange",
    "RehearsalSpec",
    "Row",
    "TableSpec",
    "VaeSpec",
    "is_measured",
]

CONTROLS = ("hole_only", "trained_on", "budget", "reconstruction", "blending")
"""Controls that can be measured.

- `hole_only`: metrics on images in which the true pixels replace the known pixels of each row.
- `trained_on`: rows of the vanilla decoder after more training.
- `budget`: rows that show how much of the error comes from the autoencoder and how much from the sampler.
- `reconstruction`: rows that decode encoded images, without a sampler.
- `blending`: rows of Table 1 that the paper's table does not have: other decoders, and classical ways to blend images
  or to fill the hole, which are slow.
"""
MASKS = ("fixed", "moving")
"""Kinds of masks in repeated edits: the item's own mask in every turn, or a further mask in each turn."""
STAGES = ("check", "prepare", "sample", "score", "tabulate", "report")
FIGURES = ("details", "borders", "captions", "words_outside", "words_crossing")
"""Kinds of the paper's figures. `bench.reporting.paper_figures` draws them."""
DTYPES = ("float32", "float16")
"""Data types in which features can be saved."""
COMPILE = ("default", "reduce-overhead", "max-autotune")
"""Modes of `torch.compile` in which the UNet and the decoders can be compiled."""
PRECISIONS = ("float32", "bfloat16", "float16")
"""Number types in which the autoencoders of a leaderboard can compute."""
AUTOCAST = "autocast"
"""Value of `profile.precision` for half precision as in the released scripts: autocast to float16 on CUDA.

On other devices, this value means float32.
"""
REHEARSAL = "rehearsal"
"""Name of the profile of a rehearsal, whose networks have random weights. Its numbers mean nothing."""
REHEARSAL_NOTE = "This is a rehearsal with random weights and artificial pictures. Its numbers mean nothing."
"""Note under every table of a rehearsal."""
FETCH = "fetch"
"""Value of `stage` that downloads those missing files that a program may download, and runs no stage."""
EXPORT = "export"
"""Value of `stage` that prepares the items and writes them as files for another program. It needs no weights."""


@dataclass
class DecoderSizes:
    """Sizes of the vanilla decoder. The sizes of the other decoders are multiples of these sizes."""

    channels: list[int] = MISSING
    layers: int = MISSING
    groups: int = MISSING
    widen_groups: bool = False
    """True if a wider decoder has more normalisation groups; False if it has as many groups, but larger ones."""


@dataclass
class Profile:
    """The settings of a profile: those in which one profile differs from another, such as sizes, models and paths."""

    name: str = MISSING
    resolution: int = MISSING
    masks: str = MISSING
    items: dict[str, int | None] = field(default_factory=dict)
    """Number of items that a table uses, by the name of the data set; None uses all items of the data set."""
    per_class: int = 3
    """Largest number of ImageNet validation pictures that are used from each class."""
    captions: int = 5
    """Largest number of captions that are used from each COCO image. Each caption is one item."""
    fid_minimum: int = MISSING
    """Smallest number of items with which a Fréchet distance (FID) is reported. With fewer items, it has no value."""
    steps: int = MISSING
    """Number of steps with which the generator samples latents."""
    precision: str = MISSING
    """Precision of the diffusion model and the decoders: `float32`, or `autocast` for half precision on a GPU."""
    start_noise: str = MISSING
    """Start noise of inpainting: `item` draws new noise for each item, and `shared` uses one noise for all items."""
    batch_size: int | str = MISSING
    error: str = "pre_error"
    """Name of the metric that shows the error over known pixels if decoders compute in half precision on a GPU.

    It is `pre_error`, or `pre_error_released` for images that are saved in half precision. See
    `bench.tables.headline`.
    """
    weights: str = MISSING
    pipeline: str = MISSING
    """Path of the diffusion pipeline for inpainting."""
    text_pipeline: str = MISSING
    """Path of the diffusion pipeline for text to image."""
    exemplar_pipeline: str = MISSING
    """Path of the diffusion pipeline for inpainting with an exemplar, which is Paint-by-Example."""
    shared_vae: str | None = None
    """Path of the autoencoder of `text_pipeline` and `exemplar_pipeline`; None if each has it in its own folder."""
    features: dict[str, str] = field(default_factory=dict)
    """Paths of the weights of the networks that metrics use. The key is the name of the network."""
    first_stage: str = MISSING
    """Path of the weights of the first stage, the autoencoder whose encoder is frozen while decoders are trained."""
    decoder_sizes: DecoderSizes = field(default_factory=DecoderSizes)
    decoders: dict[str, str] = field(default_factory=dict)
    baselines: dict[str, Any] = field(default_factory=dict)
    """Sources of the images of other methods, by the name of the row.

    Each value is a `_target_` with its arguments, or None to leave the row out.
    """
    perceptual: dict[str, Any] = field(default_factory=dict)
    """Perceptual distance that is part of the loss when decoders are trained: a `_target_` with its arguments."""
    predict_branch: bool = False
    """Default value of the key `predict_branch`, which sets how the training of a decoder starts."""
    datasets: dict[str, Any] = field(default_factory=dict)
    protocols: dict[str, Any] = field(default_factory=dict)
    """Values that the files in `conf/protocol` declare and that depend on the profile, such as the numbers of items."""
    asset_list: str | None = None
    """File that describes the external files, for example by SHA-256; None for `bench/checking/assets.yaml`."""
    unpinned: list[str] = field(default_factory=list)
    """Names of files in `bench/checking/assets.yaml` whose SHA-256 is not checked, so that other files are accepted."""
    controls: list[str] = field(default_factory=list)
    """Default value of the key `controls`: names of the controls that are measured in addition to the paper's rows."""


@dataclass
class Row:
    """A row of a table."""

    label: str = MISSING
    method: dict[str, Any] | None = None
    """Method that makes the row's images: a `_target_` with its arguments; None if the row is only quoted."""
    published: dict[int, str] = field(default_factory=dict)
    """Label that the paper gives to this row, by the number of the paper's table."""
    cited: bool = False
    """True if the paper's authors did not measure the row's published numbers, but copied them from another source."""
    control: str | None = None
    """Name of the control to which the row belongs, or None. The row is shown only if the control is measured."""
    control_in: dict[int, str] = field(default_factory=dict)
    """Name of the control to which the row belongs in a table, by the table's number, if it differs from `control`."""
    beside: bool = False
    """True if the row is shown in a separate table and not among the rows of the paper's table."""


def is_measured(row: Row, table: int, controls: Sequence[str]) -> bool:
    """Return True if a run measures a row, given the controls of the run.

    Args:
        row: the row.
        table: number of the run's table in the paper.
        controls: names of the controls that the run measures.
    """
    control = row.control_in.get(table, row.control)
    return control is None or control in controls


@dataclass
class FigureSpec:
    """A figure of the paper that a table's run draws."""

    of: str = MISSING
    """Name of the figure in the paper."""
    kind: str = MISSING
    """Kind of the figure, one of `FIGURES`."""
    rows: list[str] = MISSING
    """Names of the rows to draw. Rows that were not measured are left out.

    In a figure of the kind `details`, the printed errors are the errors of the first of these rows.
    """


@dataclass
class TableSpec:
    number: int = MISSING
    """Number that the table has in the paper; 0 for a table that the paper does not have."""
    title: str = MISSING
    columns: list[str] = MISSING
    """Names of the metrics that are the columns of the main table, in the order of the paper."""
    readings: list[str] = field(default_factory=list)
    """Names of further metrics that are shown after those in `columns` and that are not compared separately.

    Each one is the same quantity as a metric in `columns`, but computed in the way that this project assumes for the
    paper's printed numbers.
    """
    task: str | None = None
    """Name of a task in `metrics.tasks`, which decides which measures are computed; None if nothing is measured."""
    vanilla: str = "StableDiffusion"
    """Name that the labels of rows use for the diffusion model whose decoder is the vanilla decoder."""
    reference: str | None = None
    """Name of the reference row, with which every other row is compared if the reference row is measured."""
    beside: list[str] = field(default_factory=list)
    """Names of metrics that the paper does not have. They are shown in separate tables."""
    figures: dict[str, FigureSpec] = field(default_factory=dict)
    """Figures that the run draws, by the name of the file into which the figure is drawn."""


@dataclass
class Tex:
    """Settings of the short form of a table, which a run writes as `table_main.tex`, `table_main.md` and
    `table_main.html`.
    """

    label: str | None = None
    """Label for `\\ref`, such as `tab:inpainting`.

    None for `tab:` and the number of the table, or for `tab:asymbench` if the paper does not have the table.
    """
    caption: str | None = None
    """Caption; None for the title of the table and sentences that explain its signs."""
    columns: list[str] | None = None
    """Names of the metrics that are shown, in this order; None for those in `table.columns`."""
    published: bool | None = None
    """True if the numbers that the paper prints are shown beside the measured ones.

    None shows them on the profile `paper`, if the table then fits into a two-column article in the size of its text.
    """


@dataclass
class Dataset:
    name: str = MISSING
    root: Any = None
    """Folder of the data, or a `_target_` with its arguments that writes the data into a folder."""
    items: int | None = None
    """Largest number of items that are used; None uses all items."""
    masks: str | None = None
    """Folder of the masks of the pictures in `root`, for `dataset=folder`; None if masks are drawn."""
    captions: str | None = None
    """File or folder of the captions, for `dataset=folder` and `dataset=prompts`; None if there are none."""
    exemplars: str | None = None
    """Folder of the exemplars of the pictures in `root`, for `dataset=folder`; None if there are none."""
    more: str | None = None
    """Folder with further unpacked packages of photographs, for `dataset=photographs`; None if there is none."""
    fit: str | None = None
    """Way to make pictures square: `squash` scales both sides, and `crop` scales the shorter side and cuts out the
    centre. None leaves it to the data set. With either way, no masks are drawn, and the whole image is the hole.
    """
    filter: str | None = None
    """Filter with which pictures are scaled, one of `bench.data.squaring.FILTERS`; None leaves it to the data set."""
    crop_offset: int | None = None
    """Number of pixels by which the square of `fit=crop` is moved from the centre along the longer side; None for 0."""
    other_split: Any = None
    """Folder of other pictures in the layout of `root`, such as the training split, or a `_target_` with its arguments
    that writes them; None if there is none. The sensitivity study uses them.
    """
    pictures: dict[str, Any] = MISSING
    """Object that lists and reads the pictures of the data set: a `_target_` with its arguments."""


@dataclass
class MetricSpec:
    """Name and number format of a user-defined metric."""

    title: str = MISSING
    higher_is_better: bool = MISSING
    decimals: int = 4
    unit: str = ""
    scale: float = 1.0
    """Factor by which a value is multiplied before it is printed."""
    on_features: bool = False
    """True if the value depends on the network that `metrics.name` names. The title then contains this name."""


@dataclass
class MeasureSpec:
    """A measure, and the metrics that are computed from its arrays."""

    measure: dict[str, Any] = MISSING
    """The measure that computes the arrays of these metrics: a `_target_` with its arguments."""
    set_metrics: dict[str, str] = field(default_factory=dict)
    """For each metric of a whole set of images: the name of the measure's array from which the metric is computed.

    The beginning of the metric's name chooses the statistic: `fid`, `fd`, `kid`, `cmmd`, `cmmd_unbiased` or
    `inception_score`, as in `fid_mine`. The statistics `fid` and `fd` are the same distance. The name `fd` is for
    features that are not Inception's.
    """
    fewest: int | None = None
    """Smallest number of items for which the `set_metrics` are computed; None means `profile.fid_minimum`."""
    tasks: list[str] = field(default_factory=list)
    """Names of tasks whose tables use this measure even if `metrics.tasks` does not list it for the task."""
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    """Metrics that the user defines, by name. Those that are not in `table.columns` are shown in a separate table."""


@dataclass
class ReferenceChange:
    """Changes of the true images that form the reference set of FID and KID. A key that is None changes nothing."""

    split: Any = None
    """Folder of other pictures in the layout of `dataset.root`, or a `_target_` with its arguments."""
    fit: str | None = None
    """Way to make the pictures square; see `Dataset.fit`."""
    filter: str | None = None
    """Filter with which the pictures are scaled; see `Dataset.filter`."""
    crop_offset: int | None = None
    """Number of pixels by which the square is moved; see `Dataset.crop_offset`."""


@dataclass
class Choice:
    """A change in how images are measured. All settings that are not changed have the values of the profile.

    The sensitivity study (`bench.experiments.sensitivity`) measures the same images once with each change.
    """

    label: str = MISSING
    saved: str | None = None
    """Way in which images are saved before they are measured, such as a file format; None does not change it.

    See `bench.metrics.image_encoding`.
    """
    metrics: dict[str, str] = field(default_factory=dict)
    """For each metric that the choice replaces: the name of the metric that replaces it."""
    measures: list[str] = field(default_factory=list)
    """Names of the measures that the replacing metrics need in addition to the measures of the table's task."""
    bins: str | None = None
    """Rule that decides to which bin an item belongs if its mask area lies on the edge of a bin.

    See `bench.metrics.bins`.
    """
    items: float | None = None
    """Share of the items that are measured, above 0 and below 1; None for all items.

    The items are taken at equal distances from the manifest.
    """
    reference: ReferenceChange | None = None
    """Changes of the reference set with which FID and KID compare the same images; None changes nothing.

    If none of its keys has a value, the choice is left out with a note.
    """
    against: str | None = None
    """Name of the choice with which this choice is compared; None compares with the profile's own way to measure."""


@dataclass
class Metrics:
    name: str = MISSING
    """Name of the feature network. It appears in the titles of the columns that depend on this network."""
    measures: dict[str, MeasureSpec] = MISSING
    tasks: dict[str, list[str]] = MISSING
    """Names of the measures that are computed for a table, by the name of the table's task."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """Choices of the sensitivity study, by name. Each row of the study's table has one line for each choice."""


@dataclass
class Baseline:
    """Settings of the rows that show images of other methods, in addition to the rows in `profile.baselines`."""

    root: str | None = None
    """Folder of images that another program made. With `baseline=predictions`, they become one row of the table."""
    label: str = "Predictions"
    """Label of the row that shows the images in `root`."""
    methods: dict[str, Any] = field(default_factory=dict)
    """Source of the images of each row, by the name of the row: a `_target_` with its arguments."""


@dataclass
class DecoderSpec:
    """A decoder to train, to evaluate in a row, or to list layer by layer as in Tables 7 and 8."""

    name: str = MISSING
    width: float = 1.0
    """Factor by which the vanilla decoder's numbers of channels are multiplied."""
    depth: float = 1.0
    """Factor by which the vanilla decoder's number of layers is multiplied. The product is rounded to an integer."""
    conditioned: bool = True
    """True if the decoder has a branch for the known pixels."""
    blending: str = "add"
    """Way to combine the branch's features with the decoder's features, one of `bench.models.decoder.BLENDINGS`."""
    branch: str = "plain"
    """Kind of convolutions in the branch, one of `bench.models.decoder.BRANCHES`."""
    checkpoint: str | None = None
    """Path of the decoder's weights; None if the decoder is only trained, or if only its layers are listed."""


@dataclass
class Convergence:
    """The condition under which a trained model counts as converged. If it is not met, `train_mini` fails."""

    part: str = MISSING
    """Name of the model."""
    figure: str = MISSING
    """Name of a relative change that the training of this model measures, such as `l1_change`."""
    largest: float = MISSING
    """Largest absolute value of this change with which the model counts as converged."""


@dataclass
class MiniModels:
    """Settings of the experiment `train_mini`, which trains the models of the mini profile."""

    per_class: int = MISSING
    """Number of training pictures in each class."""
    dev_per_class: int = MISSING
    """Number of pictures in each class of the set on which the best training recipe of a model is selected."""
    bfloat16: bool = MISSING
    convergence: Convergence = MISSING
    from_shipped: bool = False
    """True if models that `out` does not have are taken from the shipped weights, for training and for packing.

    It is for adding a model to the shipped ones. The shipped weights are rounded to half precision.
    """
    recipes_tried: dict[str, int] = MISSING
    """Number of recipes that were tried for each model, by the model's name. The selected recipe counts as well."""
    extras: dict[str, Any] = field(default_factory=dict)
    """Recipes of further models, which are trained only if the key `part` names them. They are not shipped."""
    recipes: dict[str, Any] = MISSING
    """Training recipe of each model, by the model's name: a `_target_` with its arguments."""


@dataclass
class HubFiles:
    """Files of a repository of the Hugging Face hub."""

    id: str = MISSING
    """Name of the repository, such as `stabilityai/sdxl-vae`."""
    revision: str | None = None
    """Commit of the repository, 40 hexadecimal digits; None if this project knows no commit of it."""
    folder: str = ""
    """Folder of the files in the repository, such as `vae`; empty if they lie at the top."""
    gated: bool = False
    """True if the licence must be accepted at the hub before the download."""


@dataclass
class VaeSpec:
    """An autoencoder, or a decoder for the latents of another autoencoder.

    A leaderboard has one row for each number type in `precisions`.
    """

    label: str = MISSING
    space: str = ""
    """Name of its latent space, one of `bench.models.autoencoders.KNOWN`; empty to take the name from the weights."""
    path: str = MISSING
    """Folder that `bench.models.load_autoencoder` reads."""
    encoder: str | None = None
    """Folder of the autoencoder whose latents it decodes, or which it imitates; None if it has an encoder of its own.

    `bench.models.load_autoencoder` says which classes need it.
    """
    hub: HubFiles | None = None
    """Repository from which its files can be downloaded; None if this project or the user made them."""
    licence: str = ""
    files: dict[str, int | None] = field(default_factory=dict)
    """Size in bytes of each file that `path` must contain, by the file's name; None if the size is not known."""
    unverified: list[str] = field(default_factory=list)
    """Names of those fields of this description whose values were not verified in a source."""
    precisions: list[str] = field(default_factory=lambda: ["float32"])
    """Number types in which it is measured, some of `PRECISIONS`. Each one is a row of its own."""


@dataclass
class ProtocolSpec:
    """A named protocol: the pictures on which an autoencoder is measured, and the way to measure.

    Numbers are ranked together only if they have the same protocol. `bench.evaluation.protocols` finds out the value
    that a run has for each field in `PROTOCOL_FIELDS`, and compares it with the field's value here. A field that is
    None accepts every value.
    """

    name: str = MISSING
    title: str = MISSING
    """Name that tables and pages show."""
    dataset: str | None = None
    """Name of the data set, such as `COCO 2017`."""
    split: str | None = None
    """Name of the split, such as `val`."""
    items: int | None = None
    """Number of pictures."""
    resolution: int | None = None
    """Side of the square pictures in pixels."""
    resize: str | None = None
    """Way to scale a picture, such as `shorter side, bicubic`."""
    crop: str | None = None
    """Way to make a picture square, such as `center`."""
    reference: str | None = None
    """Set of pictures with which the reconstructions are compared by FID and KID, such as `the same crops`."""
    features: str | None = None
    """Feature network of FID and KID."""
    rounding: str | None = None
    """Range and rounding of the pictures before they are measured, such as `uint8, rounded`."""
    source: str = ""
    """Publication or repository that the protocol comes from."""
    assumed: list[str] = field(default_factory=list)
    """Names of those fields that the source does not state. This project has chosen their values."""


PROTOCOL_FIELDS = tuple(
    one.name for one in fields(ProtocolSpec) if one.name not in ("name", "title", "source", "assumed")
)
"""Names of those fields of a protocol that decide whether two numbers can be compared."""


@dataclass
class RehearsalSpec:
    """Settings of the experiment `rehearsal`."""

    size: str = MISSING
    """Size of the networks: `full` for the true sizes, or `small`."""
    tables: Any = "all"
    """Numbers of the tables to rehearse, such as `[1,2]`; or `all`."""
    parts: Any = "all"
    """Names of the parts to run; or `all`. `bench.rehearsal.steps.PARTS` lists the parts."""
    steps: int | None = 1
    """Number of sampling steps; None takes the paper's number."""
    keep: bool = False
    """True if the made files and the store are kept at the end."""


@dataclass
class Gate:
    """Settings of the gate, which checks that no result of a run is worse than the saved result (the baseline)."""

    against: str | None = None
    """File of a baseline, or folder of earlier runs, with which the results are compared; None compares nothing."""
    margins: list[str] = field(default_factory=list)
    """For each metric whose margin is not the default: the margin by which it may be worse, such as `fid=0.5`.

    See `bench.gate.margins`.
    """
    annotations: bool = False
    """True if the gate also prints annotations, which GitHub shows next to the code of a pull request."""


@dataclass
class ComposedConfig:
    """Schema of the configuration that Hydra composes: every key that any experiment may have.

    An experiment receives only the keys that its class needs. See `bench.config.experiment_configs`.
    """

    name: str = MISSING
    description: str = MISSING
    _target_: str = "bench.experiments.table.TableExperiment"
    """Full name of the class that runs the experiment, one of the keys of `bench.config.kinds.KINDS`."""
    stage: str = "report"
    """Last stage to run, one of `STAGES`; or a word that replaces the stages.

    `fetch` downloads missing files. `export` writes the items of the experiment as files for another program.
    """
    limit: int | None = None
    """Number of items that are used, counted from the start of the manifest; None uses all items."""
    fresh: bool = False
    """True if latents and scores are computed again. The run first deletes the stored ones that it would reuse."""
    seed: int = 0
    device: str = "auto"
    batch_size: int | str = "${profile.batch_size}"
    """Number of items in each batch. With `auto`, the program chooses the number."""
    strip_rows: int | None = None
    """Number of pixel rows that decoders compute at once, to save memory.

    None computes all pixel rows at once, or fewer if one image does not fit into memory.
    """
    compile: str | None = None
    """Mode in which `torch.compile` compiles the UNet and the decoders, one of `COMPILE`; None compiles nothing."""
    controls: list[str] = "${profile.controls}"  # type: ignore[assignment]
    """Names of the controls that are measured in addition to the paper's rows. `CONTROLS` explains them."""
    out: str | None = None
    overwrite: bool = False
    """True if the run may write into a folder `out` that contains other files.

    The other files may belong to a finished run with another configuration, or to other programs.
    """
    verbose: bool = False
    """True if the terminal also shows differences, effects, verdicts and notes.

    The written tables and the report contain them in any case.
    """
    save_images: bool = False
    keep_features: bool = False
    """True if feature vectors are saved with the records, so that other statistics can be computed from them later.

    See `bench.results.features`.
    """
    features_dtype: str = "float32"
    """Data type in which features are saved, one of `DTYPES`."""
    tex: Tex = field(default_factory=Tex)
    costs: bool = False
    """True if claims about cost are judged. The rows and the sampler are timed for this purpose.

    Otherwise, a run that writes a report times the rows only if the store has no times of them from an earlier run.
    """
    experiments: list[str] = field(default_factory=list)
    """Names of the experiments that a collection runs, in this order. A collection runs several experiments."""
    each: dict[str, list[str]] = field(default_factory=dict)
    """Overrides for the experiments of a collection, by the experiment's name; `all` stands for every experiment."""
    gate: Gate | None = None
    rehearsal: RehearsalSpec | None = None
    seeds: list[int] = field(default_factory=list)
    """Training seeds that `experiment=seeds` measures in addition to the seed of the shipped weights."""
    seeds_from: str | None = None
    """Folder of the decoders of other training seeds, which `experiment=train_mini part=NAME@SEED` trained."""
    card: str | None = None
    """Folder into which `experiment=seeds` writes `seeds.json` and `CARD.md`."""
    turns: int | None = None
    """Number of turns of `experiment=turns`. In each turn, a row edits the image that it saved in the turn before."""
    masks: str | None = None
    """Masks of the turns, one of `MASKS`."""
    saved: str | None = None
    """Way in which a turn's image is saved for the next turn, a key of `bench.metrics.image_encoding.WAYS`."""
    part: str | None = None
    """Name of the only model that `train_mini` trains, or NAME@SEED; None trains all models."""
    profile: Profile = field(default_factory=Profile)
    paths: Paths = field(default_factory=Paths)
    dataset: Dataset | None = None
    generator: dict[str, Any] | None = None
    metrics: Metrics | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    table: TableSpec | None = None
    vaes: dict[str, VaeSpec] = field(default_factory=dict)
    """Autoencoders that a leaderboard compares, by name."""
    protocol: ProtocolSpec | None = None
    mini_models: MiniModels | None = None
    decoder: DecoderSpec | None = None
    baseline: Baseline | None = None
    training: dict[str, Any] | None = None
    """Recipe by which the decoder is trained: a `_target_` with its arguments."""
    start: str | None = None
    """Path of the weights from which the training starts; None starts from random weights."""
    first_stage: str | None = None
    """Path of the frozen autoencoder on whose latents the decoder is trained. `bench.models.load_autoencoder` reads it.
    """
    first_stage_space: str = ""
    """Name of the first stage's latent space, as for `bench.models.load_autoencoder`; only an `AutoencoderTiny` needs
    it.
    """
    training_data: dict[str, Any] | None = None
    validation_data: dict[str, Any] | None = None
    predict_branch: bool = False
    """True if a new branch is first fitted to predict the decoder's features linearly from the picture."""
    workers: int | None = None
    """Number of processes that read training data for each process that trains.

    None lets the program choose the number. On a GPU, it is the number of CPU cores divided by the number of processes
    that train, but at most 8. On a CPU, it is 0.
    """
    sampled_preview: bool = False
    """True if the preview pictures during a training also show decoded latents of the generator."""
    wandb: str | None = None
    """Name of the project at Weights & Biases (W&B) to which the training is logged; None logs nothing there."""
