"""Compare the time of two resizes to 299 pixels as in TensorFlow 1, ours and torch-fidelity's, which run in turns.

python benchmarks/resize.py [--batch 8] [--threads 1] [--repeats 9]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.metrics.networks.inception_input import tensorflow_resize
from benchmarks.random_weights import random_images
from benchmarks.timing import alternate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8, help="images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, {options.batch} images, uint8 in, float32 out")
    print("| side | ours, ms an image | torch-fidelity, ms | ratio | grey levels apart |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for side in (256, 512, 1024):
        images = random_images(options.batch, side, side)
        calls = {
            "ours": lambda images=images: tensorflow_resize(images),
            "peer": lambda images=images: interpolate_bilinear_2d_like_tensorflow1x(
                images.float(), size=(299, 299), align_corners=False
            ),
        }
        with torch.inference_mode():
            found = alternate(calls, options.repeats)
        ours, peer = (1e3 * found[name].seconds / options.batch for name in ("ours", "peer"))
        apart = (found["ours"].result - found["peer"].result).abs().max()
        print(f"| {side} | {ours:.2f} | {peer:.2f} | {peer / ours:.1f} | {apart:.1e} |")


if __name__ == "__main__":
    main()
