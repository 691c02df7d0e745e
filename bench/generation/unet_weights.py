"""Which weights of a UNet are loaded: the ones that were trained (raw), or their moving average (EMA).

The released inpainting script samples with the raw weights, which it finds under `model.diffusion_model` in its
checkpoint file (buxiangzhiren/Asymmetric_VQGAN at 406c5cd: inpaint_st.py never enters `ema_scope`); its text-to-image
script does the same. Paint-by-Example's script samples with the moving average (Fantasy-Studio/Paint-by-Example at
0c34124: inference_test_bench.py). That model is read from a folder of diffusers alone, which does not say which it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["averaged_folder", "of_file", "of_folder"]

AVERAGE_PREFIX = "model_ema."
"""Beginning of the names of a moving average's tensors in a file in the original layout."""
RAW_SUFFIX = ".non_ema"
"""Suffix before the ending of a folder's raw weights, where its plain weights are the moving average."""

AVERAGE = "the moving average (EMA): a folder of diffusers that has raw weights (non_ema) beside it"
RAW = "raw, as the released scripts use them: the file holds a moving average (EMA) as well, which is left"
UNKNOWN = "raw or a moving average (EMA): the folder does not say which"
AS_RELEASED = "those that the released scripts use: the file holds no moving average (EMA) beside them"


def of_file(names: Iterable[str]) -> str:
    """What is known of the weights that are loaded from a file in the original layout, in words.

    Args:
        names: of the file's tensors.
    """
    return RAW if any(name.startswith(AVERAGE_PREFIX) for name in names) else AS_RELEASED


def averaged_folder(unet: Path) -> bool:
    """Whether a UNet's folder tells that its plain weights are the moving average."""
    return unet.is_dir() and any(RAW_SUFFIX in file.suffixes for file in unet.iterdir())


def of_folder(unet: Path) -> str:
    """What is known of the weights that are loaded from a UNet's folder in diffusers' layout, in words."""
    return AVERAGE if averaged_folder(unet) else UNKNOWN
