"""Detection of the kind of a UNet's weights: the trained ones (raw), or their moving average (EMA).

The released inpainting and text-to-image scripts use the raw weights for sampling. In the checkpoint file, the names of
the raw weights begin with `model.diffusion_model` (buxiangzhiren/Asymmetric_VQGAN at 406c5cd: inpaint_st.py never
enters `ema_scope`). The script of Paint-by-Example uses the moving average (Fantasy-Studio/Paint-by-Example at 0c34124:
inference_test_bench.py). This project can read Paint-by-Example only from a folder in diffusers' layout. Such a folder
does not always tell whether its weights are raw or averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["averaged_folder", "of_file", "of_folder"]

AVERAGE_PREFIX = "model_ema."
"""Text with which the names of a moving average's tensors begin, in a file in the original layout."""
RAW_SUFFIX = ".non_ema"
"""Part of the name of a file of raw weights in diffusers' layout. If there is such a file, the file without
this part in its name has the moving average."""

AVERAGE = "the moving average (EMA): the diffusers folder has the raw weights in separate non_ema files"
RAW = "raw, as in the released scripts: the moving average (EMA) in the same file is not used"
UNKNOWN = "raw or a moving average (EMA): the folder does not say which"
AS_RELEASED = "those that the released scripts use: the file contains no moving average (EMA)"


def of_file(names: Iterable[str]) -> str:
    """Return a text that describes the UNet's weights in a file in the original layout.

    If the file contains a moving average, the text says that the raw weights are used. Otherwise the text says that the
    file contains no moving average.

    Args:
        names: names of all tensors in the file.
    """
    return RAW if any(name.startswith(AVERAGE_PREFIX) for name in names) else AS_RELEASED


def averaged_folder(unet: Path) -> bool:
    """Return True if a UNet's folder has separate raw weights, so that its usual weights are the moving average."""
    return unet.is_dir() and any(RAW_SUFFIX in file.suffixes for file in unet.iterdir())


def of_folder(unet: Path) -> str:
    """Return a text that describes the weights in a UNet's folder in diffusers' layout.

    The text says that the weights are the moving average, or that this is unknown.
    """
    return AVERAGE if averaged_folder(unet) else UNKNOWN
