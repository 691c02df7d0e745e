"""Compare the time of our decoders with that of diffusers' decoders, which have equal weights and run in turns.

python benchmarks/decoders.py [--latent 32] [--repeats 5] [--compile MODE | --strips ROWS | --alone]

With an option, our decoders are compared with themselves, compiled or in strips, or each of them is timed alone. For
strips and for decoders alone, the peak memory of one image is measured as well, each in its own process; on a machine
with a GPU, it is the GPU's memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.config.schema import COMPILE
from bench.models import DECODERS, Decoder, DecoderConfig, build_decoder
from bench.models.strips import decode_in_strips
from benchmarks import timing


def seconds(call: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


@torch.inference_mode()
def compare(name: str, latent: int, repeats: int) -> tuple[float, float]:
    """Return the median time in seconds for one image: of our decoder and of diffusers' decoder."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    peer = diffusers_decoder(DECODERS[name])
    ours = build_decoder(name)
    ours.load_state_dict(peer.state_dict())
    ours, peer = ours.eval().to(device), peer.eval().to(device)
    given = inputs(ours, latent)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(repeats + 1):
        times["ours"].append(seconds(lambda: ours(*given)))
        times["peer"].append(seconds(lambda: peer(*given)))
    return statistics.median(times["ours"][1:]), statistics.median(times["peer"][1:])


def diffusers_decoder(config: DecoderConfig) -> Any:
    """Return diffusers' decoder of the given sizes, with random weights, whose names are those of our decoder."""
    blocks = len(config.channels)
    down, up = ("DownEncoderBlock2D",) * blocks, ("UpDecoderBlock2D",) * blocks
    if not config.conditioned:
        return AutoencoderKL(
            down_block_types=down,
            up_block_types=up,
            block_out_channels=config.channels,
            layers_per_block=config.layers,
            norm_num_groups=config.groups,
        ).decoder
    return AsymmetricAutoencoderKL(
        down_block_types=down,
        down_block_out_channels=config.channels,
        up_block_types=up,
        up_block_out_channels=config.channels,
        layers_per_up_block=config.layers,
        norm_num_groups=config.groups,
    ).decoder


def inputs(decoder: Decoder, latent: int) -> tuple[torch.Tensor, ...]:
    """Return latents of one item, and its image and mask if the decoder takes them."""
    device, side = next(decoder.parameters()).device, latent * 8
    z, image = torch.randn(1, 4, latent, latent, device=device), torch.rand(1, 3, side, side, device=device)
    mask = (torch.rand(1, 1, side, side, device=device) > 0.5).float()
    return (z, image, mask) if decoder.config.conditioned else (z,)


def variant(decoder: Decoder, mode: str | None, rows: int | None) -> Callable[..., torch.Tensor]:
    """Return a function that runs the decoder unchanged, compiled, or in strips."""
    if rows is not None:
        return partial(decode_in_strips, decoder, rows=rows)
    return decoder if mode is None else torch.compile(decoder, mode=mode, isolate_recompiles=True)  # type: ignore[call-overload]


@torch.inference_mode()
def against_itself(name: str, latent: int, repeats: int, mode: str | None, rows: int | None) -> tuple[float, ...]:
    """Return the median seconds of the decoder and of a variant, of its first call, and the images' difference."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    decoder = build_decoder(name).eval().to(device).to(memory_format=torch.channels_last)
    given = inputs(decoder, latent)
    other = variant(decoder, mode, rows)
    first = seconds(lambda: other(*given))
    apart = float((other(*given) - decoder(*given)).abs().max())
    times: dict[str, list[float]] = {"plain": [], "other": []}
    for _ in range(repeats):
        times["plain"].append(seconds(lambda: decoder(*given)))
        times["other"].append(seconds(lambda: other(*given)))
    return statistics.median(times["plain"]), statistics.median(times["other"]), first, apart


@torch.inference_mode()
def peak_memory(name: str, latent: int, rows: int | None) -> float:
    """Return the memory in GB that one image needs in addition to the weights. Call this in a new process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    decoder = build_decoder(name).eval().to(device).to(memory_format=torch.channels_last)
    given = inputs(decoder, latent)
    return timing.peak_memory(lambda: variant(decoder, None, rows)(*given))


def in_fresh_process(*arguments: object) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(peak_memory, arguments))


def show_peers(options: argparse.Namespace) -> None:
    print("| decoder | ours, s | diffusers, s | ratio |\n| --- | ---: | ---: | ---: |")
    for name in ("base", "large"):
        ours, peer = compare(name, options.latent, options.repeats)
        print(f"| {name} | {ours:.3f} | {peer:.3f} | {ours / peer:.2f} |")


def show_compiled(options: argparse.Namespace) -> None:
    print("| decoder | as it is, s | compiled, s | ratio | first call, s | images differ by |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in ("base", "large"):
        plain, other, first, apart = against_itself(name, options.latent, options.repeats, options.compile, None)
        print(f"| {name} | {plain:.3f} | {other:.3f} | {other / plain:.2f} | {first:.1f} | {apart:.1e} |")


def show_strips(options: argparse.Namespace) -> None:
    print("| decoder | whole, s | strips, s | ratio | whole, GB | strips, GB | images differ by |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in ("base", "large"):
        memory = [in_fresh_process(name, options.latent, rows) for rows in (None, options.strips)]
        plain, other, _, apart = against_itself(name, options.latent, options.repeats, None, options.strips)
        figures = f"{plain:.2f} | {other:.2f} | {other / plain:.2f} | {memory[0]:.2f} | {memory[1]:.2f}"
        print(f"| {name} | {figures} | {apart:.1e} |")


@torch.inference_mode()
def show_alone(options: argparse.Namespace) -> None:
    print("| decoder | parameters, M | s an image | peak memory, GB |\n| --- | ---: | ---: | ---: |")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in DECODERS:
        decoder = build_decoder(name).eval().to(device).to(memory_format=torch.channels_last)
        given = inputs(decoder, options.latent)
        taken = [seconds(partial(decoder, *given)) for _ in range(options.repeats + 1)]
        size = sum(parameter.numel() for parameter in decoder.parameters()) / 1e6
        memory = in_fresh_process(name, options.latent, None)
        print(f"| {name} | {size:.1f} | {statistics.median(taken[1:]):.3f} | {memory:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latent", type=int, default=32, help="side of the latents")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--compile", choices=COMPILE, help="compare our decoders with themselves, compiled in this mode"
    )
    parser.add_argument(
        "--strips", type=int, metavar="ROWS", help="compare our decoders with themselves, in strips of ROWS rows"
    )
    parser.add_argument(
        "--alone", action="store_true", help="time each of our decoders alone, and measure its peak memory"
    )
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, latents {options.latent}×{options.latent}")
    if options.strips is not None:
        show_strips(options)
    elif options.compile is not None:
        show_compiled(options)
    elif options.alone:
        show_alone(options)
    else:
        show_peers(options)


if __name__ == "__main__":
    main()
