"""Write files of random weights under the names that packages expect."""

from pathlib import Path

import torch

__all__ = ["saved_inception"]


def saved_inception(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    """Save weights of Inception in a folder under the name of pytorch-fid's file, and return its path."""
    path = folder / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(weights, path)
    return path
