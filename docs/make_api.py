"""Write docs/api.md: the signature, the docstring and an example of each name that this project promises to keep.

    python docs/make_api.py            # write the page
    python docs/make_api.py --check    # end with status 1 if the page differs from what would be written

Signatures and docstrings are read from the source files; no module of the project is imported. The examples are written
here, and tests/test_docs.py runs each of them.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
SECTION = re.compile(r"(Args|Returns|Yields|Raises):")
ENTRY = re.compile(r" {4}([\w.*]+): (.*)")

HEAD = """\
# The Python interface

`python docs/make_api.py` (or `nox -s api`) makes this page from the docstrings; do not edit it by hand. The names on it
are promised: [the changelog](../CHANGELOG.md) announces every change to one of them. All other names may change without
notice. The examples are short and run on a CPU, and the tests run each of them.

In all of these functions a mask is 1 in the hole and 0 where the image is known. B×C×H×W is the shape of a batch of B
images with C channels, H rows and W columns. [The glossary](glossary.md) explains the project's own words.
"""


@dataclass(frozen=True)
class Section:
    """Promised names of one module."""

    title: str
    module: str
    text: str
    names: tuple[str, ...] = ()
    """The promised names; all names in the module's `__all__` if none are given."""


SECTIONS = (
    Section(
        "Run an experiment, score pictures, or try a decoder",
        "bench",
        "`bench.run` does what the command line does. `bench.score` scores finished pictures of any editor; "
        "[Score](score.md) explains it. `bench.try_decoder` tries a decoder on one batch.",
    ),
    Section(
        "The result of a scoring",
        "bench.edits.scores",
        "`bench.score` returns this object.",
        ("Scores",),
    ),
    Section("A finding about pictures", "bench.edits.checks", "`Scores.checks` holds these objects.", ("Check",)),
    Section(
        "The result of a trial",
        "bench.evaluation.decoder_trial",
        "`bench.try_decoder` returns a `Trial`.",
        ("Trial", "Finding"),
    ),
    Section("The result of a run", "bench.results.run_folder", "`bench.run` returns this object.", ("Results",)),
    Section(
        "Features of a finished run",
        "bench.results.features",
        "A run with `keep_features=true` saves the features of every row; this function reads them.",
        ("read_summary",),
    ),
    Section(
        "Values over training seeds",
        "bench.tables.seeds",
        "[Training](training.md#further-training-seeds) says how the file `seeds.json` is made.",
        ("SeedStudy",),
    ),
    Section(
        "Errors",
        "bench.errors",
        "Functions that read files or settings of a user raise this error.",
        ("BadInputError",),
    ),
    Section(
        "Decoders and autoencoders",
        "bench.models",
        "The networks of the paper, autoencoders, and their weights on disk.",
    ),
    Section(
        "The interface of an autoencoder",
        "bench.models.autoencoders",
        "[Autoencoders](autoencoders.md) lists the classes of diffusers that `bench.models.load_autoencoder` reads.",
        ("Autoencoder", "Latents", "LatentSpace", "padded"),
    ),
    Section("Distances between sets of features", "bench.metrics", "The statistics behind FID and KID."),
    Section(
        "Standard errors and paired differences",
        "bench.metrics.uncertainty",
        "[Uncertainty](uncertainty.md) derives the formulas.",
    ),
    Section("Masks", "bench.data.masks", "LaMa's free-form masks, drawn with a NumPy generator."),
    Section(
        "Your own decoder",
        "bench.generation.decoding",
        "[Extending](extending.md) shows a complete file for a decoder.",
        ("Decoded",),
    ),
    Section(
        "Your own method",
        "bench.generation.method",
        "[Extending](extending.md) shows a complete file for a method.",
        ("Method", "Batch"),
    ),
    Section(
        "Your own metric",
        "bench.metrics.measure",
        "[Extending](extending.md#a-metric) shows complete files for a metric.",
        ("Measure", "Extra"),
    ),
    Section(
        "Your own data set",
        "bench.data.items",
        "[Extending](extending.md#a-data-set) shows complete files for a data set.",
        ("Pictures", "Picture"),
    ),
    Section(
        "Masks that are given as files",
        "bench.data.given_masks",
        "An adapter says with these how its mask files are read.",
        ("MaskValues", "mask_values"),
    ),
)


EXAMPLES = {
    "bench.run": """
>>> import bench
>>> small = ["limit=8", "generator.steps=2", "row=[stablediffusion,large_mask]", "controls=[]", "stage=tabulate"]
>>> results = bench.run(["experiment=table2_inpaint_imagenet", *small, "out=first"])
>>> results.status
0
>>> results.table["row"].tolist()
['stablediffusion', 'large_mask']
>>> from torch import nn
>>> decoder = nn.Sequential(nn.Conv2d(4, 3, 1), nn.Upsample(scale_factor=4))
>>> words = ["experiment=table2_inpaint_imagenet", *small, "out=own"]
>>> bench.run(words, rows={"mine": decoder}, quiet=True).table["row"].tolist()
['stablediffusion', 'large_mask', 'mine']
""",
    "bench.try_decoder": """
>>> import bench
>>> from torch import nn
>>> decoder = nn.Sequential(nn.Conv2d(4, 3, 1), nn.Upsample(scale_factor=4), nn.Sigmoid())
>>> trial = bench.try_decoder(decoder)
>>> trial.ok, trial.conditioned, trial.factor
(False, False, 4)
>>> [problem.partition(";")[2] for problem in trial.problems]
[' 2 * image - 1 converts them']
""",
    "bench.evaluation.decoder_trial.Trial": """
>>> import bench
>>> trial = bench.try_decoder(lambda z, image, mask: image * (1 - mask))
>>> print(trial)  # doctest: +ELLIPSIS
<lambda>: no problem
ok       shape       2×3×64×64 of float32 on cpu, factor 4, as in the profile mini
...
>>> "seconds_per_image" in trial.costs
True
""",
    "bench.evaluation.decoder_trial.Finding": """
>>> from bench.evaluation.decoder_trial import Finding
>>> Finding("range", "-0.9 to 1.1").ok
True
""",
    "bench.score": """
>>> import numpy as np
>>> import bench
>>> rng = np.random.default_rng(0)
>>> truth = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
>>> mask = np.zeros((4, 32, 32), bool)
>>> mask[:, 8:16, 8:16] = True
>>> edited = {"pasted": np.where(mask[..., None], 0, truth), "darker": truth // 2}
>>> scores = bench.score(truth, edited, mask, reference="darker", quiet=True)
>>> scores.table.loc["PSNR [dB]"].index.tolist()
['pasted', 'darker']
>>> [check.kind for check in scores.checks if check.editor == "pasted"]
['pasted']
""",
    "bench.edits.scores.Scores": """
>>> import numpy as np
>>> import bench
>>> truth = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
>>> scores = bench.score(truth, truth // 2 * 2, quiet=True)
>>> len(scores.records)  # 4 pictures, 1 editor
4
>>> (scores.save("scored") / "report.html").exists()
True
""",
    "bench.edits.checks.Check": """
>>> import numpy as np
>>> import bench
>>> truth = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
>>> print(bench.score(truth, truth, quiet=True).checks[0])
edited: 2 of 2 pictures are identical to their truth in every pixel.
""",
    "bench.results.run_folder.Results": """
>>> import bench
>>> small = ["limit=8", "generator.steps=2", "row=[stablediffusion,large_mask]", "controls=[]", "stage=tabulate"]
>>> results = bench.run(["experiment=table2_inpaint_imagenet", *small, "out=second"])
>>> sorted(path.name for path in results.path.glob("table.*"))
['table.csv', 'table.html', 'table.md', 'table.tex']
>>> len(results.records)  # 8 items, 2 rows
16
""",
    "bench.results.features.read_summary": """
>>> import bench
>>> from bench.results.features import read_summary
>>> small = ["limit=8", "generator.steps=2", "row=[stablediffusion,large_mask]", "controls=[]", "stage=tabulate"]
>>> results = bench.run(["experiment=table2_inpaint_imagenet", *small, "keep_features=true", "out=third"])
>>> summary = read_summary(results.path)
>>> summary.measurement("large_mask", "lpips").n
8
>>> summary.difference("large_mask", "stablediffusion", "lpips").sources
8
""",
    "bench.tables.seeds.SeedStudy": """
>>> from pathlib import Path
>>> import bench
>>> from bench.tables.seeds import SeedStudy
>>> study = SeedStudy.read(Path(bench.__file__).parent / "assets" / "mini")
>>> 2 in study.tables  # Table 2 of the paper
True
""",
    "bench.errors.BadInputError": """
>>> import bench
>>> from bench.errors import BadInputError
>>> try:
...     bench.run(["experiment=table2_inpaint_imagenet", "limit=none"])
... except BadInputError as error:
...     print("limit" in str(error))
True
""",
    "bench.models.Decoder": """
>>> import torch
>>> from bench.models import Decoder, DecoderConfig
>>> decoder = Decoder(DecoderConfig(channels=(8, 16), layers=1, groups=4)).eval()
>>> z, image = torch.zeros(1, 4, 16, 16), torch.zeros(1, 3, 32, 32)
>>> mask = torch.ones(1, 1, 32, 32)
>>> with torch.inference_mode():
...     decoder(z, image, mask).shape
torch.Size([1, 3, 32, 32])
""",
    "bench.models.DecoderConfig": """
>>> from bench.models import DecoderConfig
>>> DecoderConfig(channels=(64, 128), layers=1).conditioned
True
""",
    "bench.models.build_decoder": """
>>> from bench.models import build_decoder
>>> decoder = build_decoder("base", width=0.25, blending="concat")
>>> decoder.config.channels
(32, 64, 128, 128)
""",
    "bench.models.load_decoder": """
>>> from bench.models import Decoder, DecoderConfig, load_decoder, save_decoder
>>> save_decoder(Decoder(DecoderConfig(channels=(8, 16), layers=1, groups=4)), "loaded")
>>> load_decoder("loaded").config.channels
(8, 16)
""",
    "bench.models.load_autoencoder": """
>>> import torch
>>> from diffusers import AutoencoderKL
>>> from bench.models import load_autoencoder
>>> AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, scaling_factor=0.5).save_pretrained("vae")
>>> vae = load_autoencoder("vae", space="mine")
>>> z = vae.encode(torch.zeros(1, 3, 16, 16))
>>> z.values.shape, vae.decode(z).shape
(torch.Size([1, 4, 16, 16]), torch.Size([1, 3, 16, 16]))
>>> torch.allclose(z.for_diffusion(), 0.5 * z.values)
True
""",
    "bench.models.autoencoders.Autoencoder": """
>>> import torch
>>> from bench.models.autoencoders import Autoencoder, LatentSpace
>>> class Pooled(Autoencoder):
...     @classmethod
...     def space_of(cls, network):
...         return LatentSpace("pooled", channels=3, factor=4)
...     def encoded(self, image):
...         return torch.nn.functional.avg_pool2d(image, 4)
...     def decoded(self, z, image, mask, seeds):
...         return torch.nn.functional.interpolate(z, scale_factor=4)
>>> pooled = Pooled(torch.nn.Identity(), Pooled.space_of(None))
>>> pooled.decode(pooled.encode(torch.zeros(1, 3, 8, 8))).shape, pooled.precision
(torch.Size([1, 3, 8, 8]), 'any')
""",
    "bench.models.autoencoders.LatentSpace": """
>>> import torch
>>> from bench.models.autoencoders import LatentSpace
>>> space = LatentSpace("mine", channels=4, factor=8, scale=0.5, shift=0.1, patch=2)
>>> space.to_diffusion(torch.zeros(1, 4, 6, 6)).shape, space.divisor
(torch.Size([1, 16, 3, 3]), 16)
""",
    "bench.models.autoencoders.Latents": """
>>> import torch
>>> from bench.models.autoencoders import LatentSpace, Latents
>>> Latents(torch.ones(1, 4, 2, 2), LatentSpace("mine", 4, 8, scale=0.5)).for_diffusion().unique()
tensor([0.5000])
""",
    "bench.models.autoencoders.padded": """
>>> import torch
>>> from bench.models.autoencoders import padded
>>> padded(torch.zeros(1, 3, 30, 17), 8).shape
torch.Size([1, 3, 32, 24])
""",
    "bench.models.save_decoder": """
>>> from pathlib import Path
>>> from bench.models import Decoder, DecoderConfig, save_decoder
>>> save_decoder(Decoder(DecoderConfig(channels=(8, 16), layers=1, groups=4)), "saved")
>>> sorted(path.name for path in Path("saved").iterdir())
['config.json', 'diffusion_pytorch_model.safetensors']
""",
    "bench.metrics.frechet_distance": """
>>> import numpy as np
>>> from bench.metrics import frechet_distance
>>> features = np.random.default_rng(0).normal(size=(100, 8))
>>> round(frechet_distance(features, features), 9)
0.0
>>> round(frechet_distance(features, features + 1), 6)  # the means differ by 1 in each of 8 dimensions
8.0
""",
    "bench.metrics.frechet_distance_from_statistics": """
>>> import numpy as np
>>> from bench.metrics import frechet_distance_from_statistics
>>> round(frechet_distance_from_statistics(np.zeros(2), np.eye(2), np.ones(2), 4 * np.eye(2)), 9)
4.0
""",
    "bench.metrics.frechet_estimate": """
>>> import numpy as np
>>> from bench.metrics import frechet_estimate
>>> generator = np.random.default_rng(0)
>>> estimate = frechet_estimate(generator.normal(size=(50, 4)), generator.normal(size=(60, 4)))
>>> estimate.influence_a.shape, estimate.influence_b.shape
((50,), (60,))
""",
    "bench.metrics.kernel_distance": """
>>> import numpy as np
>>> from bench.metrics import kernel_distance
>>> features = np.random.default_rng(0).normal(size=(100, 8))
>>> kernel_distance(features, features + 1) > kernel_distance(features[:50], features[50:])
True
""",
    "bench.metrics.uncertainty.Estimate": """
>>> import numpy as np
>>> from bench.metrics.uncertainty import Estimate
>>> Estimate(value=2.0, influence=np.array([-1.0, 0.0, 1.0])).change is None
True
""",
    "bench.metrics.uncertainty.Difference": """
>>> from bench.metrics.uncertainty import mean_estimate, paired_difference
>>> difference = paired_difference(mean_estimate([1.0, 2.0, 4.0]), mean_estimate([0.0, 2.0, 3.0]))
>>> round(difference.value, 3), difference.sources, difference.decided_by_few
(0.667, 3, True)
""",
    "bench.metrics.uncertainty.Known": """
>>> import numpy as np
>>> from bench.metrics.spread import Spread
>>> from bench.metrics.uncertainty import Known, mean_estimate
>>> estimate = mean_estimate([1.0, 2.0, 4.0])
>>> round(Known(estimate.value, Spread.of(estimate.influence)).value, 3)
2.333
""",
    "bench.metrics.uncertainty.combined": """
>>> from bench.metrics.uncertainty import combined, mean_estimate
>>> combined([(0.5, mean_estimate([1.0, 3.0])), (0.5, mean_estimate([5.0, 7.0]))]).value
4.0
""",
    "bench.metrics.uncertainty.contrast": """
>>> from bench.metrics.uncertainty import contrast, mean_estimate
>>> first, second = mean_estimate([1.0, 2.0, 4.0]), mean_estimate([1.0, 1.0, 1.0])
>>> round(contrast([(1.0, first), (-2.0, second)]).value, 3)
0.333
""",
    "bench.metrics.uncertainty.estimate_by_halves": """
>>> import numpy as np
>>> from bench.metrics.uncertainty import estimate_by_halves, mean_estimate
>>> values = np.array([1.0, 2.0, 4.0, 5.0])
>>> estimate = estimate_by_halves(lambda chosen: mean_estimate(values[chosen]), ["a", "b", "c", "d"])
>>> estimate.value, estimate.change.shape
(3.0, (4,))
""",
    "bench.metrics.uncertainty.holm": """
>>> from bench.metrics.uncertainty import holm
>>> holm([0.25, 0.125, 0.5])
[0.5, 0.375, 0.5]
""",
    "bench.metrics.uncertainty.independent_difference": """
>>> from bench.metrics.spread import Spread
>>> from bench.metrics.uncertainty import Known, independent_difference, mean_estimate
>>> first, second = mean_estimate([1.0, 2.0, 4.0]), mean_estimate([5.0, 5.5, 6.0, 7.5])
>>> known = [Known(one.value, Spread.of(one.influence)) for one in (first, second)]
>>> round(independent_difference(*known).value, 3)
-3.667
""",
    "bench.metrics.uncertainty.mean_estimate": """
>>> from bench.metrics.uncertainty import mean_estimate
>>> estimate = mean_estimate([1.0, 2.0, 3.0])
>>> estimate.value, estimate.influence.tolist()
(2.0, [-1.0, 0.0, 1.0])
""",
    "bench.metrics.uncertainty.paired_difference": """
>>> from bench.metrics.uncertainty import mean_estimate, paired_difference
>>> new, old = mean_estimate([1.0, 2.0, 4.0]), mean_estimate([0.0, 2.0, 3.0])
>>> round(paired_difference(new, old).stderr, 3)
0.333
>>> paired_difference(new, old, sources=["one", "one", "one"])
NotAvailable(reason='fewer than two independent sources')
""",
    "bench.metrics.uncertainty.parts": """
>>> from bench.metrics.uncertainty import parts
>>> halves = parts(["a", "a", "b", "c", "d"], 2)
>>> bool(halves[0][0] == halves[0][1])  # both items of source a are in the same half
True
""",
    "bench.metrics.uncertainty.rounding_of": """
>>> from bench.metrics.uncertainty import mean_estimate, rounding_of
>>> rounding_of([(1.0, mean_estimate([1.0, 2.0, 3.0]))]) < 1e-12
True
""",
    "bench.metrics.uncertainty.standard_error": """
>>> import numpy as np
>>> from bench.metrics.uncertainty import mean_estimate, standard_error
>>> values = np.array([1.0, 2.0, 4.0])
>>> round(standard_error(mean_estimate(values).influence), 6)
0.881917
>>> round(float(values.std(ddof=1) / np.sqrt(3)), 6)
0.881917
""",
    "bench.data.masks.MaskPreset": """
>>> from bench.data.masks import PRESETS
>>> PRESETS["thick_512"].strokes
(1, 6)
""",
    "bench.data.masks.accept_masks": """
>>> import numpy as np
>>> from bench.data.masks import accept_masks, preset
>>> mask, (left, top, side) = accept_masks(preset("thick_512@64"), 64, 96, np.random.default_rng(0))
>>> mask.shape, side, bool(mask.mean() <= 0.5)
((64, 64), 64, True)
""",
    "bench.data.masks.preset": """
>>> from bench.data.masks import preset
>>> preset("thick_512@64").size
64
""",
    "bench.data.masks.sample_mask": """
>>> import numpy as np
>>> from bench.data.masks import preset, sample_mask
>>> mask = sample_mask(preset("thick_512@64"), 64, 64, np.random.default_rng(0))
>>> mask.shape, np.unique(mask).tolist()
((64, 64), [0, 1])
""",
    "bench.data.masks.square_crop": """
>>> import numpy as np
>>> from bench.data.masks import square_crop
>>> mask = np.zeros((64, 96), np.uint8)
>>> mask[:, 80:] = 1
>>> left, top, side = square_crop(mask, np.random.default_rng(0))
>>> top, side, bool(mask[:, left : left + side].any())
(0, 64, True)
""",
    "bench.generation.decoding.Decoded": """
>>> import torch
>>> from bench.generation.decoding import Decoded
>>> from bench.generation.method import Batch
>>> from bench.models import Decoder, DecoderConfig
>>> decoder = Decoder(DecoderConfig(channels=(8, 16), layers=1, groups=4))
>>> method = Decoded(decoder, conditioned=True).to(torch.device("cpu"))
>>> z, image, mask = torch.zeros(1, 4, 16, 16), torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
>>> method(Batch(ids=("one",), z=z, image=image, mask=mask)).shape
torch.Size([1, 3, 32, 32])
""",
    "bench.generation.method.Method": """
>>> import torch
>>> from bench.generation.method import Batch, Method
>>> class GreyHole(Method):
...     def __call__(self, batch: Batch) -> torch.Tensor:
...         return batch.image * (1 - batch.mask)
>>> image, mask = torch.ones(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
>>> float(GreyHole()(Batch(ids=("one",), z=torch.zeros(1, 4, 8, 8), image=image, mask=mask)).sum())
0.0
""",
    "bench.generation.method.Batch": """
>>> import torch
>>> from bench.generation.method import Batch
>>> batch = Batch(
...     ids=("one",), z=torch.zeros(1, 4, 8, 8), image=torch.zeros(1, 3, 32, 32), mask=torch.ones(1, 1, 32, 32)
... )
>>> batch.latents("sampled").shape
torch.Size([1, 4, 8, 8])
""",
    "bench.metrics.measure.Measure": """
>>> import torch
>>> from bench.metrics.measure import Extra
>>> class MeanError:
...     protocol = {"mean_error": "mean absolute difference over all values", "version": 1}
...
...     def to(self, device):
...         return self
...
...     def keep_truth(self, truth):
...         return {}, truth.float() / 255
...
...     def keep(self, image, truth, mask, kept, extra):
...         return {"mean_error": (image - kept).abs().mean((1, 2, 3)).double()}
>>> truth, mask = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.ones(2, 1, 8, 8)
>>> _, kept = MeanError().keep_truth(truth)
>>> MeanError().keep(torch.ones(2, 3, 8, 8), truth, mask, kept, Extra([None, None]))["mean_error"].tolist()
[1.0, 1.0]
""",
    "bench.metrics.measure.Extra": """
>>> from bench.metrics.measure import Extra
>>> Extra(exemplars=[None, None]).decoded
False
""",
    "bench.data.items.Pictures": """
>>> from pathlib import Path
>>> from bench.data.items import Picture, Pictures
>>> class OnePicture(Pictures):
...     def __iter__(self):
...         yield Picture("first", Path("first.png"), source="first")
>>> [picture.id for picture in OnePicture()], OnePicture().masks
(['first'], 'drawn')
""",
    "bench.data.items.Picture": """
>>> from pathlib import Path
>>> from bench.data.items import Picture
>>> picture = Picture("cat_1", Path("cat_1.png"), source="cat", caption="a cat")
>>> picture.mask is None
True
""",
    "bench.data.given_masks.MaskValues": """
>>> from bench.data.given_masks import MaskValues
>>> str(MaskValues(known=255, hole=0))
'[255,0]'
""",
    "bench.data.given_masks.mask_values": """
>>> from bench.data.given_masks import mask_values
>>> mask_values([0, 1])
MaskValues(known=0, hole=1)
>>> mask_values(None) is None
True
""",
}


@cache
def source(module: str) -> ast.Module:
    """Return the syntax tree of a module of this repository."""
    path = ROOT.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def promised(section: Section) -> Sequence[str]:
    """Return the names of a section in the order in which they are shown."""
    if section.names:
        return section.names
    _, value, _ = definition(section.module, "__all__")
    assert isinstance(value, ast.Assign)  # every module of the project lists its names
    return tuple(ast.literal_eval(value.value))


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a module. The imports below `if TYPE_CHECKING:` count as statements of the module."""
    for statement in tree.body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            yield from statement.body
        else:
            yield statement


def definition(module: str, name: str) -> tuple[str, Definition, str]:
    """Return the module that defines a name, its statement and its docstring; imports are followed.

    Raises:
        LookupError: the module neither defines nor imports the name.
    """
    body = [*statements(source(module))]
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return module, statement, ast.get_docstring(statement) or ""
        if isinstance(statement, ast.Assign | ast.AnnAssign) and name in assigned(statement):
            return module, statement, text_of(following)
        if isinstance(statement, ast.ImportFrom) and statement.module and name in [one.name for one in statement.names]:
            return definition(statement.module, name)
    raise LookupError(f"{module} has no {name}")


def assigned(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    """Return the names that an assignment binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def text_of(statement: ast.stmt | None) -> str:
    """Return the text of a statement that is a string alone, such as the docstring of a constant; else nothing."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value))
    return ""


def signature(name: str, node: ast.FunctionDef, *, bound: bool = False) -> str:
    """Return how a function is called.

    Args:
        name: the name to show.
        node: its definition.
        bound: whether to leave out the first argument, which is `self` or `cls`.
    """
    arguments = list(parameters(node.args))[bound:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None and node.name != "__init__" else ""
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= 110:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in arguments) + f"){returns}"


def parameters(given: ast.arguments) -> Iterator[str]:
    """Yield the parameters of a function as its source has them."""
    positional = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    for one, default in zip(positional, defaults, strict=True):
        yield parameter(one, default)
    if given.vararg is not None:
        yield f"*{ast.unparse(given.vararg)}"
    elif given.kwonlyargs:
        yield "*"
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield parameter(one, default)
    if given.kwarg is not None:
        yield f"**{ast.unparse(given.kwarg)}"


def parameter(one: ast.arg, default: ast.expr | None) -> str:
    """Return one parameter with its annotation and its default."""
    if default is None:
        return ast.unparse(one)
    return f"{ast.unparse(one)} = {ast.unparse(default)}"


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown: its sections of arguments, results and errors become lists."""
    lines: list[str] = []
    inside = False
    for line in docstring.replace("``", "`").splitlines():
        entry = ENTRY.fullmatch(line)
        if SECTION.fullmatch(line):
            inside = True
            lines += [f"*{line}*", ""]
        elif inside and entry:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif inside and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            inside = inside and not line
            lines.append(line.strip() if line.startswith("    ") else line)
    return "\n".join(lines)


def fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield the public annotated attributes of a class, each as an entry of a list."""
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.target).startswith("_"):
            text = " ".join(text_of(following).split())
            yield f"- `{ast.unparse(statement)}`" + (f": {text}" if text else "")


def methods(node: ast.ClassDef) -> Iterator[str]:
    """Yield the public methods and properties of a class, each as a block of Markdown."""
    for statement in node.body:
        if not isinstance(statement, ast.FunctionDef):
            continue
        docstring = ast.get_docstring(statement) or ""
        if statement.name.startswith("_") and (statement.name != "__call__" or not docstring):
            continue
        decorators = [ast.unparse(one) for one in statement.decorator_list]
        if "property" in decorators or "cached_property" in decorators:
            annotation = f": {ast.unparse(statement.returns)}" if statement.returns else ""
            head = f"{node.name}.{statement.name}{annotation}  # property"
        else:
            head = signature(f"{node.name}.{statement.name}", statement, bound="staticmethod" not in decorators)
        yield f"```text\n{head}\n```\n" + (f"\n{markdown(docstring)}\n" if docstring else "")


def entry(section: Section, name: str) -> str:
    """Return the part of the page on one function or class."""
    path = f"{section.module}.{name}"
    _, node, docstring = definition(section.module, name)
    parts = [f"### `{path}`\n"]
    if isinstance(node, ast.FunctionDef):
        parts += [f"```text\n{signature(name, node)}\n```\n", f"{markdown(docstring)}\n"]
    elif isinstance(node, ast.ClassDef):
        constructor = next(
            (one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None
        )
        if constructor is not None:
            parts.append(f"```text\n{signature(name, constructor, bound=True)}\n```\n")
        parts.append(f"{markdown(docstring)}\n")
        if constructor is not None and (said := ast.get_docstring(constructor)):
            parts.append(f"{markdown(said)}\n")
        if listed := list(fields(node)):
            parts.append("*Fields:*\n\n" + "\n".join(listed) + "\n")
        parts += methods(node)
    parts.append(f"```python\n{EXAMPLES[path].strip()}\n```\n")
    return "\n".join(parts)


def constant(section: Section, name: str) -> str | None:
    """Return the line of the page on a constant or a type; None for a function or a class."""
    _, node, docstring = definition(section.module, name)
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return None
    value = " ".join(ast.unparse(node.value).split())
    shown = f" = `{value}`" if len(value) <= 80 else ""
    text = " ".join(docstring.split())
    return f"- `{section.module}.{name}`{shown}" + (f": {text}" if text else "")


def page() -> str:
    """Return the text of docs/api.md."""
    parts = [HEAD]
    for section in SECTIONS:
        parts.append(f"## {section.title}\n\n{section.text}\n")
        names = promised(section)
        constants = [line for name in names if (line := constant(section, name)) is not None]
        if constants:
            parts.append("\n".join(constants) + "\n")
        parts += [entry(section, name) for name in names if constant(section, name) is None]
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Write the page, or compare it with what would be written; return the exit status."""
    parser = argparse.ArgumentParser(description="Write docs/api.md from the docstrings of the promised names.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing; status 1 if they differ")
    if not parser.parse_args(arguments).check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print("docs/api.md is out of date: run `python docs/make_api.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
