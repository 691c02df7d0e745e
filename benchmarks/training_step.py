"""Compare the time of our training step with that of the released code's step; the two run in turns.

python benchmarks/training_step.py [--decoder base] [--resolution 256] [--batch 1] [--repeats 5] [--bf16]

Networks are the paper's, with random weights: the first stage, the decoder, LPIPS on VGG16, and the discriminator. Both
steps compute gradients of the same batch at the same weights; losses and gradients are compared before anything is
timed. Neither updates the weights, which is the same work for both. The released code trains in float32; with --bf16
ours runs in bfloat16 and channels_last against that, and against the plain step in bfloat16 as well. Peak memory is
each step's own, in a process of its own on a CPU.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.metrics.lpips import LPIPSNetwork
from bench.models import build_decoder
from bench.models.discriminator import PatchDiscriminator
from bench.models.first_stage import first_stage_of
from bench.training.objective import DecoderStep, Objective
from benchmarks.released_step import Networks, released_step

WIDTHS = (128, 256, 512, 512)
"""Channels of the paper's first stage."""


class Setting:
    """The networks of a training step, and one batch."""

    def __init__(self, options: argparse.Namespace, *, bf16: bool) -> None:
        torch.manual_seed(0)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = bf16
        layout = torch.channels_last if bf16 else torch.contiguous_format
        widths = tuple(options.widths)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
            block_out_channels=widths,
            layers_per_block=2,
        )
        own = {} if widths == WIDTHS else {"channels": widths}
        with tempfile.TemporaryDirectory() as folder:
            backbone = Path(folder) / "vgg16.pth"
            convolutions = make_layers(cfgs["D"]).state_dict()
            torch.save({f"features.{name}": weight for name, weight in convolutions.items()}, backbone)
            self.perceptual = LPIPSNetwork(backbone).to(self.device)
        self.first_stage = first_stage_of(vae).to(self.device)
        self.decoder = build_decoder(options.decoder, **own).to(self.device, memory_format=layout)
        self.discriminator = PatchDiscriminator().to(self.device, memory_format=layout)
        side = options.resolution
        self.image = (torch.rand(options.batch, 3, side, side) * 2 - 1).to(self.device, memory_format=layout)
        self.mask = torch.zeros(options.batch, 1, side, side, device=self.device)
        self.mask[..., side // 4 : side // 2, side // 8 : -side // 8] = 1
        self.noise = torch.randn(options.batch, *self.first_stage.noise_shape(self.image)).to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def plain(self, active: bool) -> dict[str, Tensor]:
        networks = Networks(self.encode, self.decoder, self.discriminator, self.perceptual)
        return released_step(networks, self.image, self.mask, active=active, autocast=self.autocast)

    def encode(self) -> Tensor:
        with self.autocast():
            return self.first_stage.latents(self.image, self.noise)

    def ours(self, active: bool) -> dict[str, Tensor]:
        step = DecoderStep(
            self.decoder,
            self.decoder.conv_out,
            self.discriminator if active else None,
            self.perceptual,
            Objective(adversary_from=0),
            self.autocast,
        )
        return step(self.encode(), self.image, self.mask, step=0)

    def gradients(self, call: Callable[[bool], dict[str, Tensor]], active: bool) -> tuple[dict[str, Tensor], Tensor]:
        for net in (self.decoder, self.discriminator):
            net.zero_grad(set_to_none=True)
        losses = call(active)
        networks: list[nn.Module] = [self.decoder, self.discriminator] if active else [self.decoder]
        return losses, torch.cat([p.grad.flatten() for net in networks for p in net.parameters() if p.grad is not None])

    def seconds(self, call: Callable[[bool], object], active: bool) -> float:
        for net in (self.decoder, self.discriminator):
            net.zero_grad(set_to_none=True)
        self._wait()
        started = time.perf_counter()
        call(active)
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def compare(setting: Setting, peer: Setting, active: bool, repeats: int) -> str:
    """Return one line of the table, which compares our step with the released code's step in one setting."""
    ours, gradient = setting.gradients(setting.ours, active)
    theirs, expected = peer.gradients(peer.plain, active)
    loss = float((ours["l1"] + ours["perceptual"]) / theirs["reconstruction"] - 1)
    apart = float((gradient - expected).norm() / expected.norm())
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(repeats):
        times["ours"].append(setting.seconds(setting.ours, active))
        times["peer"].append(peer.seconds(peer.plain, active))
    medians = {name: statistics.median(values) for name, values in times.items()}
    cells = [
        "bf16, channels_last" if peer.bf16 else "float32",
        "after" if active else "before",
        f"{medians['ours']:.2f}",
        f"{medians['peer']:.2f}",
        f"{medians['peer'] / medians['ours']:.2f}",
        f"{abs(loss):.1e}",
        f"{apart:.1e}",
    ]
    return f"| {' | '.join(cells)} |"


def peak(setting: Setting, step: str) -> float:
    """Return the peak memory in GB of one step in which the discriminator takes part."""
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    setting.gradients(setting.ours if step == "ours" else setting.plain, True)
    if setting.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    # Not `getrusage`, whose figure a process inherits from the one that started it.
    (line,) = (
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1e6


def peaks() -> dict[str, float]:
    """Return the peak memory in GB of each of the two steps; each is measured in a process of its own."""
    command = [sys.executable, *sys.argv]
    return {
        step: float(
            subprocess.run(
                [*command, "--peak", step], capture_output=True, text=True, check=True, encoding="utf-8"
            ).stdout
        )
        for step in ("ours", "released")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decoder", default="base")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS, help="channels of other networks, for a trial")
    parser.add_argument("--bf16", action="store_true", help="run our step in bfloat16 and channels_last")
    parser.add_argument("--peak", choices=["ours", "released"], help="print only the peak memory of this step in GB")
    options = parser.parse_args()
    setting = Setting(options, bf16=options.bf16 and options.peak != "released")
    if options.peak:
        print(peak(setting, options.peak))
        return
    device = (
        torch.cuda.get_device_name() if setting.device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    print(f"{options.decoder}, {options.batch}×3×{options.resolution}², {'bf16' if options.bf16 else 'float32'}")
    print(f"torch {torch.__version__}, {platform.machine()}, {device}; medians of {options.repeats}\n")
    print("| released step in | discriminator | ours, s | theirs, s | ratio | losses differ by | gradients differ by |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for peer in (Setting(options, bf16=False), setting) if options.bf16 else (setting,):
        for active in (False, True):
            print(compare(setting, peer, active, options.repeats), flush=True)
    found = peaks()
    print(f"\nPeak memory: ours {found['ours']:.2f} GB, released {found['released']:.2f} GB")


if __name__ == "__main__":
    main()
