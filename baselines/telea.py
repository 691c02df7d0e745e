"""Inpainting by fast marching, as a separate program: `python telea.py INDIR OUTDIR [--radius 3]`.

It uses OpenCV's version of the method of Telea, "An image inpainting technique based on the fast marching method"
(2004). INDIR and its subfolders contain pairs of files: a picture `NAME.png`, and a mask `NAME_mask.png` that is white
in the hole. For each pair, the program writes the painted picture to OUTDIR under the name of the picture.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cv2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("indir", type=Path)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--radius", type=float, default=3.0, help="radius of the neighbourhood in pixels")
    options = parser.parse_args()
    for mask_path in sorted(options.indir.rglob("*_mask.png")):
        name = mask_path.relative_to(options.indir).with_name(f"{mask_path.stem.removesuffix('_mask')}.png")
        image = cv2.imread(str(options.indir / name), cv2.IMREAD_COLOR)
        mask = cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE)
        if image is None or mask is None:
            print(
                f"{options.indir / name}: expected a readable picture and a readable mask {mask_path.name}, found that "
                "one of the two files is missing or cannot be read",
                file=sys.stderr,
            )
            return 1
        target = options.outdir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}")
        partial.write_bytes(
            cv2.imencode(".png", cv2.inpaint(image, mask, options.radius, cv2.INPAINT_TELEA))[1].tobytes()
        )
        os.replace(partial, target)
        print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
