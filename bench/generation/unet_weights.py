"""Detection of the kind of a UNet's weights: the trained ones (raw), or their moving average (EMA).

The released inpainting script samples with the raw weights, which it finds under `model.diffusion_model` in its
checkpoint file (buxiangzhiren/Asymmetric_VQGAN at 406c5cd: inpaint_st.py never enters `ema_scope`); its text-to-image
script does the same. Paint-by-Example's script samples with the moving average (Fantasy-Studio/Paint-by-Example at
0c34124: inference_test_bench.py). That model can be read only from a folder of diffusers, which may not state the kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["averaged_folder", "of_file", "of_folder"]

AVERAGE_PREFIX = "model_ema."
"""Prefix of a moving average's tensors in a file in the original layout."""
RAW_SUFFIX = ".non_ema"
"""Suffix before the ending of raw weights in a folder whose plain weights are the moving average."""

AVERAGE = "the moving average (EMA): the diffusers folder has the raw weights in separate non_ema files"
RAW = "raw, as in the released scripts: the moving average (EMA) in the same file is not used"
UNKNOWN = "raw or a moving average (EMA): the folder does not say which"
AS_RELEASED = "those that the released scripts use: the file contains no moving average (EMA)"


def of_file(names: Iterable[str]) -> str:
    """Describe the weights that are loaded from a file in the original layout.

    Args:
        names: names of the file's tensors.
    """
    return RAW if any(name.startswith(AVERAGE_PREFIX) for name in names) else AS_RELEASED


def averaged_folder(unet: Path) -> bool:
    """Return whether the files in a UNet's folder show that its plain weights are the moving average."""
    return unet.is_dir() and any(RAW_SUFFIX in file.suffixes for file in unet.iterdir())


def of_folder(unet: Path) -> str:
    """Describe the weights that are loaded from a UNet's folder in diffusers' layout."""
    return AVERAGE if averaged_folder(unet) else UNKNOWN
