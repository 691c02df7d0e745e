"""Writing of picture files. A full disk causes a clear error.

A picture is first encoded in memory and then written by this project. If Pillow writes a file itself and the disk is
full, Pillow's error lacks the error number of the operating system. The full disk could then not be recognised.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.runtime.files import write_atomically

__all__ = ["write_picture"]


def write_picture(path: Path, pixels: npt.NDArray[np.uint8], **options: Any) -> None:
    """Write a picture file. The file appears completely or not at all.

    Args:
        path: path of the file. Its suffix determines the format.
        pixels: uint8 of shape (H, W, 3) for RGB, or of shape (H, W) for grey levels.
        options: options of Pillow's writer for the format, such as `quality`.

    Raises:
        OSError: the disk is full or read-only, or the process may not write a file of this size. The error names the
            path.
    """
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, Image.registered_extensions()[path.suffix.lower()], **options)
    write_atomically(path, encoded.getvalue())
