"""Measure sampling, decoding, training and scoring on a GPU beside other code, in one command of less than 20 minutes.

python benchmarks/gpu.py [--write]     on a machine with a GPU; --write puts the tables into benchmarks/README.md
python benchmarks/gpu.py --small       tiny networks and pictures on any machine, to try this script out

All networks have random weights, and those of the true sizes are made on the GPU, so that no file is needed. A section
that fails, or that does not finish within its time, says so in its table; the others still run, and the exit status is
then 1.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gc
import re
import signal
import statistics
import sys
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import torch
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline
from diffusers.models.attention_processor import Attention, AttnProcessor
from PIL import Image
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.checking.estimate import trial_items
from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import TableConfig
from bench.data.items import Item
from bench.evaluation.batch_size import Batches, probe_batch_size
from bench.evaluation.measure import prepare
from bench.evaluation.sampling import NeededLatents, Sampling
from bench.evaluation.scoring import Scoring
from bench.evaluation.setup import Setup
from bench.generation import pipelines
from bench.generation.compiling import compile_forward
from bench.generation.decoding import Decoded
from bench.generation.generator import image_batch, mask_batch
from bench.generation.inpainting import InpaintingGenerator
from bench.generation.method import Batch, Method
from bench.generation.pipelines import INPAINTING, placed
from bench.generation.schedulers import AUTOCAST, precision_of
from bench.metrics.batch_scorer import Unit
from bench.metrics.inception import InceptionMeasure
from bench.metrics.known_region import KnownRegionMeasure
from bench.metrics.lpips import LPIPSMeasure
from bench.metrics.measure import Measure
from bench.metrics.similarity import SimilarityMeasure
from bench.models import DECODERS, Decoder, DecoderConfig
from bench.runtime.copies import moved
from bench.runtime.device import choose_device, describe, tf32
from bench.runtime.distributed import World
from bench.runtime.libraries import quiet
from bench.runtime.text import one_line
from bench.store import Store
from benchmarks import decoders, overhead, scoring, training_step
from benchmarks.random_weights import backbone_weights, inception_weights, random_images, stable_diffusion
from benchmarks.timing import alternate, peak_memory

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- gpu.py writes from here -->", "<!-- to here -->"
"""Lines of the README between which the tables of all cards stand."""
MINUTES = 19.0
"""Limit of the time of all sections together."""
EASE = 0.75
"""Share of a section's time after which it repeats nothing any more."""
Row = Sequence[object]


@dataclass(frozen=True)
class Sizes:
    """Sizes of networks, pictures and repetitions."""

    small: bool
    side: int
    """Side of the pictures in pixels."""
    steps: int
    """Number of sampling steps."""
    few_steps: int
    """Number of sampling steps while the best batch is looked for."""
    largest: int
    """Largest batch that is tried."""
    batches: tuple[int, ...]
    """Numbers of images that are decoded at once."""
    training: Mapping[str, Any]
    """Options of `benchmarks.training_step.Setting`."""
    scoring: Mapping[str, Any]
    """Options of `benchmarks.scoring.Table`."""
    items: int
    """Number of items of the rehearsal."""
    rows: int
    """Number of rows of the rehearsal."""
    repeats: int


FULL = Sizes(
    small=False,
    side=512,
    steps=50,
    few_steps=10,
    largest=64,
    batches=(1, 8),
    training={"decoder": "base", "resolution": 256, "batch": 4, "widths": training_step.WIDTHS},
    scoring={"rows": 5, "images": 128, "side": 512, "batch": 16},
    items=64,
    rows=5,
    repeats=10,
)
SMALL = Sizes(
    small=True,
    side=64,
    steps=3,
    few_steps=1,
    largest=2,
    batches=(1, 2),
    training={"decoder": "base", "resolution": 32, "batch": 1, "widths": (32, 32)},
    scoring={"rows": 2, "images": 10, "side": 64, "batch": 5},
    items=4,
    rows=2,
    repeats=2,
)


@dataclass
class Place:
    """The machine and the sizes of one run of this script, and the time that the current section has."""

    device: torch.device
    sizes: Sizes
    folder: Path
    """Empty folder for the files of a section."""
    until: float = float("inf")
    """Value of `time.monotonic()` after which a section repeats nothing any more."""

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    def alternate(self, calls: Mapping[str, Callable[[], Any]], repeats: int | None = None) -> dict[str, Any]:
        """Time calls in turns, after a round that does not count; see `benchmarks.timing.alternate`."""
        return dict(alternate(calls, repeats or self.sizes.repeats, until=self.until))


@dataclass(frozen=True)
class Section:
    """A table of this script."""

    title: str
    about: str
    """Description of the compared programs, and the goal on an H100 or H200, in whole sentences."""
    columns: tuple[str, ...]
    rows: Callable[[Place], Iterator[Row]]
    """Function that measures, and yields each line of the table as soon as it is known."""
    seconds: float
    """Limit of the time."""


@dataclass
class Outcome:
    """The lines of a section."""

    lines: list[str] = field(default_factory=list)
    failed: bool = False


class OutOfTimeError(Exception):
    """The error that a section has used up its time."""


def _gigabytes(call: Callable[[], object], place: Place) -> str:
    """Return the peak memory of a call as text; a dash without a GPU, because earlier calls would hide it there."""
    return f"{peak_memory(call):.3g}" if place.gpu else "–"


# --- sampling --------------------------------------------------------------------------------------------------------


def our_generator(place: Place) -> InpaintingGenerator:
    """Return the generator of `profile=paper` with random weights, in the precision of the released scripts."""

    def parts(*_: Any, precision: str, device: torch.device, **__: Any) -> dict[str, Any]:
        found = stable_diffusion(device, channels=INPAINTING, small=place.sizes.small)
        return placed(found, precision_of(precision, device), device, autocast=precision == AUTOCAST)

    with mock.patch.object(pipelines, "text_parts", parts):
        return InpaintingGenerator(
            "random",
            prompt="photograph of a beautiful empty scene",
            steps=place.sizes.steps,
            guidance_scale=7.5,
            eta=1.0,
            device=place.device,
            precision=AUTOCAST,
        )


def plain_loop(place: Place) -> Callable[[Sequence[Item], int], Tensor]:
    """Return diffusers' own pipeline as a function of items and steps: in float16 on a GPU, otherwise unchanged."""
    parts = stable_diffusion(place.device, channels=INPAINTING, small=place.sizes.small)
    parts.pop("unet_weights")
    with quiet():
        pipeline = StableDiffusionInpaintPipeline(
            **{**parts, "scheduler": DDIMScheduler.from_config(parts["scheduler"])},
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.to(place.device, torch.float16 if place.gpu else torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def call(items: Sequence[Item], steps: int) -> Tensor:
        image, mask = image_batch(items), mask_batch(items)
        with quiet(), torch.inference_mode():
            latents: Tensor = pipeline(
                prompt=["photograph of a beautiful empty scene"] * len(items),
                image=image.float() / 255,
                mask_image=mask,
                height=image.shape[-2],
                width=image.shape[-1],
                num_inference_steps=steps,
                guidance_scale=7.5,
                eta=1.0,
                generator=[torch.Generator().manual_seed(number) for number in range(len(items))],
                output_type="latent",
            ).images
        return latents

    return call


def sampling_rows(place: Place) -> Iterator[Row]:
    """Yield the speed of our generator and of the plain loop, each in the batch in which it is fastest."""
    sizes, generator, loop = place.sizes, our_generator(place), plain_loop(place)

    def ours(items: Sequence[Item], steps: int) -> Tensor:
        generator.steps = steps
        return generator.sample(items, 0)

    calls: dict[str, Callable[[Sequence[Item], int], Tensor]] = {"ours": ours, "plain diffusers loop": loop}
    items = trial_items(sizes.side, sizes.largest)
    best = {}
    for name, call in calls.items():
        few = partial(call, steps=sizes.few_steps)
        best[name] = probe_batch_size(few, items, sizes.largest, device=place.device)
    found = place.alternate(
        {name: partial(call, items[: best[name]], sizes.steps) for name, call in calls.items()}, repeats=3
    )
    speeds = {name: best[name] / one.seconds for name, one in found.items()}
    peer = speeds["plain diffusers loop"]
    for name, speed in speeds.items():
        yield name, best[name], f"{speed:.2f}", f"{speed / peer:.1%}"


# --- decoders --------------------------------------------------------------------------------------------------------


def config_of(name: str, sizes: Sizes) -> DecoderConfig:
    """Return the sizes of a decoder of the paper, or tiny ones in their proportions."""
    config = DECODERS[name]
    if not sizes.small:
        return config
    return replace(config, channels=tuple(channels // 8 for channels in config.channels), layers=1, groups=8)


def decoder_of(config: DecoderConfig, device: torch.device) -> Decoder:
    """Return a decoder with random weights, which are made on the device."""
    torch.manual_seed(0)
    with torch.device(device):
        return Decoder(config)


def batch_of(place: Place, count: int) -> Batch:
    """Return latents, images and masks of some items on the device."""
    side, items = place.sizes.side, trial_items(place.sizes.side, count)
    latents = torch.randn(count, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    image, mask = image_batch(items).float() / 127.5 - 1, mask_batch(items)
    z, image, mask = (moved(tensor, place.device) for tensor in (latents, image, mask))
    return Batch(tuple(item.id for item in items), z, image, mask)


def released_decoder(ours: Decoder, device: torch.device) -> Callable[[Batch], Tensor]:
    """Return the released decoder as a function of a batch, with the weights of ours.

    It is diffusers' version of that code, with the attention that the code has, in the usual layout of the weights, and
    under autocast on a GPU like in the released scripts.
    """
    with torch.device(device):
        network = decoders.diffusers_decoder(ours.config).eval()
    network.load_state_dict(ours.state_dict())
    for module in network.modules():
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor())

    def call(batch: Batch) -> Tensor:
        given = (batch.z, batch.image, batch.mask) if ours.config.conditioned else (batch.z,)
        half = torch.autocast("cuda", torch.float16) if device.type == "cuda" else contextlib.nullcontext()
        with torch.inference_mode(), half:
            image: Tensor = network(*given)
        return image.float()

    return call


def decoder_rows(place: Place) -> Iterator[Row]:
    """Yield latency and peak memory of each decoder beside the released code."""
    for name in DECODERS:
        ours = decoder_of(config_of(name, place.sizes), place.device)
        released = released_decoder(ours, place.device)
        method = Decoded(ours, conditioned=ours.config.conditioned, precision=AUTOCAST).to(place.device)
        for count in place.sizes.batches:
            batch = batch_of(place, count)
            calls: dict[str, Callable[[], Any]] = {
                "ours": partial(method, batch), "released": partial(released, batch)
            }  # fmt: skip
            found = place.alternate(calls)
            mine, theirs = found["ours"], found["released"]
            memory = [_gigabytes(call, place) for call in calls.values()]
            apart = (mine.result - theirs.result).abs().max() / theirs.result.abs().max()
            yield (
                name, count, *(f"{1000 * one.seconds / count:.1f}" for one in (mine, theirs)),
                f"{theirs.seconds / mine.seconds:.2f}", *memory, f"{float(apart):.0e}",
            )  # fmt: skip


# --- training --------------------------------------------------------------------------------------------------------


def training_rows(place: Place) -> Iterator[Row]:
    """Yield our training step in both types beside the released step, after the start of the discriminator."""
    options = Namespace(**place.sizes.training)
    peer = training_step.Setting(options, bf16=False)

    def step(setting: training_step.Setting, call: Callable[[bool], Any], *, fast: bool) -> None:
        with tf32(fast):
            call(True)
        for network in (setting.decoder, setting.discriminator):
            network.zero_grad(set_to_none=True)

    released = partial(step, peer, peer.plain, fast=True)
    for bf16 in (False, True):
        setting = training_step.Setting(options, bf16=True) if bf16 else peer
        ours = partial(step, setting, setting.ours, fast=False)
        found = place.alternate({"ours": ours, "released": released})
        mine, theirs = found["ours"].seconds, found["released"].seconds
        yield (
            "bf16, channels_last" if bf16 else "float32", f"{mine:.3f}", f"{theirs:.3f}", f"{theirs / mine:.2f}",
            *(_gigabytes(call, place) for call in (ours, released)),
        )  # fmt: skip


# --- scoring ---------------------------------------------------------------------------------------------------------


def scoring_rows(place: Place) -> Iterator[Row]:
    """Yield the time of scoring all rows beside one package after the other, and how far the numbers differ."""
    options = Namespace(**place.sizes.scoring)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision in a way of the past
        table = scoring.Table(options, place.folder, place.device)
        calls: dict[str, Callable[[], Any]] = {"ours": table.ours, "peers": table.peers}
        found = place.alternate(calls, repeats=2) if place.gpu else alternate(calls, 1, warm_up=False)
    ours, peers = found["ours"], found["peers"]
    apart = []
    for name in scoring.METRICS:
        pairs = zip(ours.result[name], peers.result[name], strict=True)
        apart.append(f"{name} {max(abs(one / other - 1) for one, other in pairs):.0e}")
    yield (
        f"{options.rows}×{options.images}", f"{ours.seconds:.2f}", f"{peers.seconds:.2f}",
        f"{peers.seconds / ours.seconds:.2f}", ", ".join(apart),
    )  # fmt: skip


# --- idle share ------------------------------------------------------------------------------------------------------


def rehearsal(place: Place) -> tuple[Any, Any]:
    """Return the stages and the items of Table 2 with random networks, in the form that `overhead.run` takes.

    The items are pictures in a folder, which are read, masked and written to the store like those of a real run.
    """
    pictures = place.folder / "pictures"
    pictures.mkdir()
    sizes, device = place.sizes, place.device
    for number, image in enumerate(random_images(sizes.items, sizes.side, sizes.side)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(pictures / f"{number}.png")
    words = [
        "experiment=table2_inpaint_imagenet", "dataset=folder", f"dataset.root={pictures}", f"limit={sizes.items}",
        f"profile.resolution={sizes.side}", f"profile.masks={'thick_512@64' if sizes.small else 'thick_512'}",
        f"paths.store={place.folder / 'prepared'}", f"out={place.folder / 'out'}", f"device={device}",
    ]  # fmt: skip
    setup = Setup(TableConfig.of(*typed(compose_config(words))), words)
    items = prepare(setup)
    world = World.join(device)
    store = Store(place.folder / "store")
    generator = our_generator(place)
    sampling = Sampling(
        lambda: generator, NeededLatents("random", 0, ()), store=store, device=device,
        batches=_batches(place), world=world,
    )  # fmt: skip
    methods, measures = _methods(place), _measures(place)
    stages = Namespace(
        device=device,
        sampling=sampling,
        scoring=Scoring(
            sampling, methods, measures, identities={row: row for row in methods},
            protocols={name: measure.protocol for name, measure in measures.items()},
            units=[Unit(name) for name in measures], batches=_batches(place),
        ),
        sets={},
    )  # fmt: skip
    return stages, items


def _batches(place: Place) -> Batches:
    return Batches(None if place.gpu else place.sizes.largest, device=place.device)


def _methods(place: Place) -> dict[str, Method]:
    """Return the first rows of the paper's Table 2."""
    rows = {"vanilla": False, "base": True, "base without mask": False, "large": True, "large without mask": False}
    methods: dict[str, Method] = {}
    for row, conditioned in list(rows.items())[: place.sizes.rows]:
        decoder = decoder_of(config_of(row.split()[0], place.sizes), place.device)
        methods[row] = Decoded(decoder, conditioned=conditioned, precision=AUTOCAST).to(place.device)
    return methods


def _measures(place: Place) -> dict[str, Measure]:
    """Return the measures that the paper profile takes for inpainting."""
    torch.save(inception_weights(), place.folder / "inception.pth")
    torch.save(backbone_weights("vgg"), place.folder / "vgg16.pth")
    found: dict[str, Measure] = {
        "lama": InceptionMeasure(place.folder / "inception.pth", ["lama"]),
        "lpips": LPIPSMeasure(place.folder / "vgg16.pth"),
        "known_region": KnownRegionMeasure(),
        "similarity": SimilarityMeasure(),
    }
    return {name: measure.to(place.device) for name, measure in found.items()}


def idle_rows(place: Place) -> Iterator[Row]:
    """Yield the share of a run's time in which the GPU does nothing; on a CPU, the time outside the networks."""
    stages, items = rehearsal(place)
    overhead.run(stages, items, place.folder / "first")  # which also finds the batch sizes and chooses kernels
    measure = overhead.at_work if place.gpu else overhead.outside
    found = []
    for number in range(1 if place.sizes.small else 3):
        if found and time.monotonic() > place.until:
            break
        found.append(measure(stages, items, place.folder / f"run {number}"))
    seconds, busy = (statistics.median(values) for values in zip(*found, strict=True))
    sampled, scored = (1 / (stage.pace.each or float("inf")) for stage in (stages.sampling, stages.scoring))
    yield (
        len(items), len(stages.scoring.methods), f"{stages.sampling.batch_size}, {stages.scoring.batch_size}",
        f"{seconds:.2f}", f"{busy:.2f}", f"{statistics.median(1 - inside / whole for whole, inside in found):.1%}",
        f"{sampled:.3g}", f"{scored:.3g}",
    )  # fmt: skip


# --- compile and CUDA graphs -----------------------------------------------------------------------------------------


def compiled_rows(place: Place) -> Iterator[Row]:
    """Yield the times of the base decoder and of a few sampling steps without and with each mode of `compile`."""
    modes = ("default", "reduce-overhead") if place.gpu else ("default",)
    config, batch = config_of("base", place.sizes), batch_of(place, 1)
    if place.sizes.small:  # one level is enough to try the compiler, which needs seconds for every layer
        config = replace(config, channels=config.channels[:1])
        batch = replace(batch, z=functional.interpolate(batch.z, batch.image.shape[-2:]))
    decoder = decoder_of(config, place.device)
    plain = Decoded(decoder, conditioned=True, precision=AUTOCAST).to(place.device)
    for mode in modes:
        other = Decoded(copy.deepcopy(decoder), conditioned=True, precision=AUTOCAST).to(place.device)
        other.compile(mode)
        yield _compared("base", mode, place, partial(plain, batch), partial(other, batch))
    items = trial_items(place.sizes.side, place.sizes.batches[-1])
    for mode in modes:
        generators = [our_generator(place) for _ in range(2)]
        if place.sizes.small:  # PyTorch's own operations, because the compiler needs minutes for a UNet
            compile_forward(generators[1]._pipeline.unet, mode, backend="eager")
        else:
            generators[1].compile(mode)
        for generator in generators:
            generator.steps = place.sizes.few_steps
        yield _compared("UNet", mode, place, *(partial(generator.sample, items, 0) for generator in generators))


def _compared(network: str, mode: str, place: Place, plain: Callable[[], Tensor], other: Callable[[], Tensor]) -> Row:
    started = time.perf_counter()
    first = other().cpu()
    spent = time.perf_counter() - started
    found = place.alternate({"plain": plain, "other": other})
    off, on = found["plain"].seconds, found["other"].seconds
    expected = found["plain"].result.cpu()
    apart = float((first - expected).abs().max() / expected.abs().max())
    return network, mode, f"{1000 * off:.1f}", f"{1000 * on:.1f}", f"{off / on:.2f}", f"{spent:.1f}", f"{apart:.0e}"


# --- all sections ----------------------------------------------------------------------------------------------------

SECTIONS = {
    "sampling": Section(
        "Sampling",
        "Stable Diffusion 1.5 inpainting under autocast, with TF32 for the first stage and the text encoder, beside "
        "diffusers' pipeline with all weights in float16. Each runs in the batch in which it is fastest. The goal on "
        "an H100 or H200 is 95 % or more of the plain loop.",
        ("program", "batch", "images/s", "share of the plain loop"),
        sampling_rows,
        300,
    ),
    "decoders": Section(
        "Decoders",
        "Decoders under autocast beside the released code, in diffusers' version with the attention of the released "
        "code. The goal on an H100 or H200 is a ratio of 2 or more.",
        ("decoder", "batch", "ours, ms an image", "released, ms an image", "ratio", "ours, GB", "released, GB",
         "images differ by"),
        decoder_rows,
        130,
    ),
    "training": Section(
        "Training step",
        "The base decoder after the start of the discriminator, beside the released step in float32. On a GPU, the "
        "released step may use TF32 in its convolutions and products, and ours may not.",
        ("type of our step", "ours, s", "released, s", "ratio", "ours, GB", "released, GB"),
        training_rows,
        110,
    ),
    "scoring": Section(
        "Scoring",
        "FID, Inception Score, LPIPS and the error over the known region of several rows, beside torch-fidelity and "
        "lpips, one row after the other. Neither side uses TF32.",
        ("rows × images", "ours, s", "peers, s", "ratio", "largest relative difference"),
        scoring_rows,
        220,
    ),
    "idle": Section(
        "Idle share of a rehearsal of Table 2",
        "Sampling and scoring from an empty store with random networks. On a GPU, the profiler says how long it works; "
        "on a CPU, the time inside networks and measures counts as work. The goal on an H100 or H200 is 5 % or less.",
        ("items", "rows", "batches", "the run, s", "at work, s", "idle", "images/s sampled", "items/s scored"),
        idle_rows,
        230,
    ),
    "compile": Section(
        "Compilation and CUDA graphs",
        "The base decoder for one image, and a few sampling steps of a batch, without and with `compile`. The mode "
        "`reduce-overhead` has CUDA graphs. Sampling enlarges differences in rounding.",
        ("network", "mode", "off, ms", "on, ms", "ratio", "first call, s", "results differ by"),
        compiled_rows,
        200,
    ),
}  # fmt: skip


def measured(section: Section, place: Place, left: float) -> Outcome:
    """Run a section, and return its table. An error becomes a line of the table.

    Args:
        section: the section.
        place: machine and sizes.
        left: seconds that all sections together have left.
    """
    columns = section.columns
    found = Outcome([f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"])
    limit = min(section.seconds, left)

    def stop(_: int, __: FrameType | None) -> None:
        raise OutOfTimeError(f"the time of {limit:.0f} s was used up")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with tempfile.TemporaryDirectory() as name:
            if limit <= 0:
                raise OutOfTimeError("no time was left")
            signal.setitimer(signal.ITIMER_REAL, limit)
            current = replace(place, folder=Path(name), until=time.monotonic() + EASE * limit)
            for row in section.rows(current):
                found.lines.append(f"| {' | '.join(map(str, row))} |")
                print(found.lines[-1], file=sys.stderr, flush=True)
    except Exception as error:  # any error of a section must leave the others their time
        said = one_line(f"failed: {type(error).__name__}: {error}").replace("|", "/")[:200]
        found.lines.append(f"| {said} |{' – |' * (len(columns) - 1)}")
        found.failed = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()
    if place.gpu:
        torch.cuda.empty_cache()
    return found


def written(text: str, card: str, part: str) -> str:
    """Return the README with the part of one card replaced, or added after those of the other cards.

    Args:
        text: the README, in which `BEGIN` and `END` stand alone on a line each.
        card: name of the card, which is the heading of its part.
        part: the part, with its heading.

    Raises:
        ValueError: the two lines are missing.
    """
    if BEGIN not in text or text.find(END) < text.find(BEGIN):
        raise ValueError(f"expected a line {BEGIN} and a line {END} below it, found another text")
    before, rest = text.split(BEGIN, 1)
    inside, after = rest.split(END, 1)
    parts = {
        one.split("\n", 1)[0]: one.strip() for one in re.split(r"^(?=### )", inside, flags=re.MULTILINE) if one.strip()
    }
    others = [one for heading, one in parts.items() if heading.startswith("### ") and heading != f"### {card}"]
    return f"{before}{BEGIN}\n\n" + "\n\n".join([*others, part.strip()]) + f"\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="tiny networks and pictures, to try the script out")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS), help="some of the sections")
    options = parser.parse_args()
    device = choose_device("auto")
    if device.type != "cuda" and not options.small:
        parser.error("expected a GPU or --small, found neither")
    if options.write and (options.small or len(options.only) < len(SECTIONS)):
        parser.error("--write: expected all sections in their true sizes, found --small or --only")
    place, card = Place(device, SMALL if options.small else FULL, Path()), describe(device)
    started, failed = time.monotonic(), False
    command = f"python benchmarks/gpu.py {' '.join(sys.argv[1:])}".strip()
    lines = [
        f"### {card}",
        f"`{command}` was run on {time.strftime('%Y-%m-%d')} with torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads and pictures of {place.sizes.side}×{place.sizes.side}.",
    ]
    for name in options.only:
        section, began = SECTIONS[name], time.monotonic()
        print(f"{section.title} …", file=sys.stderr, flush=True)
        found = measured(section, place, 60 * MINUTES - (began - started))
        failed = failed or found.failed
        spent = f"This section took {time.monotonic() - began:.0f} s."
        lines += [f"#### {section.title}", f"{section.about} {spent}", "\n".join(found.lines)]
    part = "\n\n".join(lines)
    print(part)
    print(f"\nAll sections took {(time.monotonic() - started) / 60:.1f} minutes.")
    if options.write:
        README.write_text(written(README.read_text(encoding="utf-8"), card, part), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
