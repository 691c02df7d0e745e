"""Our decoders against diffusers' on the same weights, alternating in one process: time as a ratio.

python benchmarks/decoders.py [--latent 32] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import AsymmetricAutoencoderKL

from bench.models import DECODERS, build_decoder


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
    """Median seconds of ours and of diffusers' for one image."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = DECODERS[name]
    peer = AsymmetricAutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        down_block_out_channels=(128, 256, 512, 512),
        up_block_types=("UpDecoderBlock2D",) * 4,
        up_block_out_channels=config.channels,
        layers_per_up_block=config.layers,
        norm_num_groups=32,
    ).decoder
    ours = build_decoder(name)
    ours.load_state_dict(peer.state_dict())
    ours, peer = ours.eval().to(device), peer.eval().to(device)
    side = latent * 8
    z, image = torch.randn(1, 4, latent, latent, device=device), torch.rand(1, 3, side, side, device=device)
    mask = (torch.rand(1, 1, side, side, device=device) > 0.5).float()
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(repeats + 1):
        times["ours"].append(seconds(lambda: ours(z, image, mask)))
        times["peer"].append(seconds(lambda: peer(z, image, mask)))
    return statistics.median(times["ours"][1:]), statistics.median(times["peer"][1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latent", type=int, default=32, help="side of the latents")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, latents {options.latent}×{options.latent}")
    print("| decoder | ours, s | diffusers, s | ratio |\n| --- | ---: | ---: | ---: |")
    for name in ("base", "large"):
        ours, peer = compare(name, options.latent, options.repeats)
        print(f"| {name} | {ours:.3f} | {peer:.3f} | {ours / peer:.2f} |")


if __name__ == "__main__":
    main()
