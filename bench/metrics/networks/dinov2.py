"""The network DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023).

The architecture, the tensor names and the interpolation of the position embeddings are those of facebookresearch/dinov2
at 16ac75c (dinov2/models/vision_transformer.py and dinov2/hub/backbones.py), which torch.hub loads as `dinov2_vitl14`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DINOv2Network", "interpolated_positions"]

PATCH = 14
"""Side of a patch in pixels. Each patch becomes one token."""
HEAD = 64
"""Number of channels of an attention head."""
EPSILON = 1e-6
"""Constant that layer normalisation adds to the variance."""
OFFSET = 0.1
"""Number of patches that is added to the side of the grid before its ratio to the side of the trained grid is formed.

The original code adds it against rounding errors. It moves the places between which the embeddings are interpolated.
"""


class DINOv2Network(nn.Module):
    """A DINOv2 network of any width and depth, for square images of one size."""

    def __init__(self, tensors: Mapping[str, Tensor], *, width: int = 1024, blocks: int = 24, side: int = 224) -> None:
        """Set the weights.

        Args:
            tensors: state dict with the original tensor names. `mask_token` is not needed and may be missing.
            width: number of channels of a token, a multiple of 64. The default is that of ViT-L/14.
            blocks: number of transformer blocks. The default is that of ViT-L/14.
            side: height and width of the images in pixels, a multiple of 14.

        Raises:
            RuntimeError: the tensors are not those of such a network.
            ValueError: `side` or `width` is not such a multiple.
        """
        super().__init__()
        if side < PATCH or side % PATCH or width < HEAD or width % HEAD:
            raise ValueError(
                f"expected a side that is a multiple of {PATCH} and a width that is a multiple of {HEAD}, "
                f"found {side} and {width}"
            )
        grid = side // PATCH
        with torch.device("meta"):
            self.cls_token = nn.Parameter(torch.empty(1, 1, width))
            self.pos_embed = nn.Parameter(torch.empty(1, 1 + grid * grid, width))
            self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, stride=PATCH)})
            self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
            self.norm = nn.LayerNorm(width, EPSILON)
        used = {name: x for name, x in tensors.items() if name != "mask_token"}
        if "pos_embed" in used:
            used["pos_embed"] = interpolated_positions(used["pos_embed"], grid)
        self.load_state_dict(used, assign=True)
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the features B×width of normalised images B×3×side×side: the normalised class token."""
        tokens = self.patch_embed["proj"](image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(image), -1, -1), tokens], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.norm(x[:, 0])
        return features


def interpolated_positions(embeddings: Tensor, grid: int) -> Tensor:
    """Interpolate position embeddings to another number of patches, bicubically and without antialiasing.

    Args:
        embeddings: embeddings 1×(1 + n·n)×width of the class token and of n×n patches.
        grid: number of patches along a side of the image.

    Returns:
        Embeddings 1×(1 + grid·grid)×width. They are the given ones if `grid` is n.

    Raises:
        RuntimeError: the embeddings have another shape.
    """
    if embeddings.ndim != 3 or round((embeddings.shape[1] - 1) ** 0.5) ** 2 != embeddings.shape[1] - 1:
        raise RuntimeError(
            f"positions:\nexpected embeddings of a square of patches, found a tensor of shape {tuple(embeddings.shape)}"
        )
    trained = round((embeddings.shape[1] - 1) ** 0.5)
    if trained == grid:
        return embeddings
    patches = embeddings[:, 1:].reshape(1, trained, trained, -1).permute(0, 3, 1, 2).float()
    ratio = (grid + OFFSET) / trained
    resized = functional.interpolate(patches, scale_factor=(ratio, ratio), mode="bicubic", align_corners=False)
    return torch.cat([embeddings[:, :1].float(), resized.flatten(2).transpose(1, 2)], 1)


class _Block(nn.Module):
    """A transformer block, whose two branches are scaled for each channel before they are added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": nn.Parameter(torch.empty(width))}) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1["gamma"] * self._attended(self.norm1(x))
        widened = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        scaled: Tensor = self.ls2["gamma"] * self.mlp["fc2"](widened)
        return x + scaled

    def _attended(self, x: Tensor) -> Tensor:
        count, tokens, width = x.shape
        query, key, value = self.attn["qkv"](x).view(count, tokens, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.attn["proj"](mixed.transpose(1, 2).reshape(count, tokens, width))
        return attended
