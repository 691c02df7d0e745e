"""Writing of pictures, which are first encoded in memory so that disk errors are recognised.

Pillow's own writers raise an error without the system's error number if a file cannot be written completely.
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
    """Write a picture in the format of the file's suffix; the file appears completely or not at all.

    Args:
        path: path of the file.
        pixels: H×W×3 for RGB or H×W for grey levels.
        options: options of Pillow's writer for the format, such as `quality`.

    Raises:
        OSError: the disk is full or read-only, or the file may not be so large; the error contains the path.
    """
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, Image.registered_extensions()[path.suffix.lower()], **options)
    write_atomically(path, encoded.getvalue())
