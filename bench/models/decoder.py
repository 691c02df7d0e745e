"""The paper's decoders: Stable Diffusion's own decoder, and decoders that also have a branch for the known pixels.

Decoders with a branch are the paper's asymmetric decoders (section 3.2), and can also be wider and deeper. Where the
released code is more specific than the paper, the defaults follow the code (buxiangzhiren/Asymmetric_VQGAN at 406c5cd:
ldm/modules/diffusionmodules/my_decoder*.py): the branch has plain convolutions, and the features are blended by
addition. Options select partial convolutions and concatenation instead. In each case, the features of the branch are
taken before their ReLU, and they are blended at every level and once more before the last normalisation. The code's
`up_layers` are left out, because the code never uses them. Parameters have the same names as in diffusers'
`AsymmetricAutoencoderKL.decoder`. Only the parameters `blends`, which concatenation needs, do not exist there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.layers import (
    Concatenation,
    MidBlock,
    PartialConv2d,
    UpBlock,
    group_norm,
    mask_guided_blend,
    resize_mask,
)

__all__ = ["BLENDINGS", "BRANCHES", "DECODERS", "ConditionBranch", "Decoder", "DecoderConfig", "build_decoder", "sized"]

BLENDINGS = ("add", "concat")
"""Ways to combine the features of the branch with the features of the decoder.

`add` is the addition of eq. 4, and `concat` is the concatenation of Tables 7 and 8.
"""
BRANCHES = ("plain", "partial")
"""Kinds of convolutions in the branch. The paper uses plain ones with addition and partial ones with concatenation."""


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of a decoder, and its way of using known pixels."""

    channels: tuple[int, ...] = (128, 256, 512, 512)
    """Number of channels of each level, finest level first."""
    layers: int = 2
    """Depth as the released configurations count it. Each level has `layers` + 1 residual blocks."""
    conditioned: bool = True
    """True if there is a branch for the known pixels."""
    groups: int = 32
    """Number of groups of every normalisation. The width of each level must be a multiple of this number."""
    latent_channels: int = 4
    blending: str = "add"
    """Way to combine the branch's features with the decoder's features, one of `BLENDINGS`."""
    branch: str = "plain"
    """Kind of convolutions in the branch, one of `BRANCHES`."""

    def __post_init__(self) -> None:
        for name, value, allowed in (("blending", self.blending, BLENDINGS), ("branch", self.branch, BRANCHES)):
            if value not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, found {value!r}")
        if self.layers < 1 or self.groups < 1 or not self.channels or min(self.channels) < 1:
            raise ValueError(
                "layers, groups, channels: expected numbers of 1 or more, and at least one number in channels, found "
                f"{self.layers}, {self.groups}, {self.channels}"
            )
        for width in self.channels:
            if width % self.groups:
                raise ValueError(
                    f"channels: expected a multiple of {self.groups}, the number of normalisation groups, at every "
                    f"level, found {width}"
                )

    @property
    def factor(self) -> int:
        """Side of an image divided by the side of its latents; 8 for Stable Diffusion."""
        return int(2 ** (len(self.channels) - 1))


DECODERS: dict[str, DecoderConfig] = {
    "vanilla": DecoderConfig(conditioned=False),
    "base": DecoderConfig(),
    "large": DecoderConfig(channels=(192, 384, 768, 768), layers=3),
    "large_x2": DecoderConfig(channels=(256, 512, 1024, 1024), layers=5),
}
"""The decoders of the paper, by name.

`vanilla` is Stable Diffusion's own decoder. The others have a branch, and 1, 1.5 or 2 times its width and 1, 1.5 or 2.5
times its depth.
"""


def sized(
    vanilla: Mapping[str, Any],
    *,
    width: float,
    depth: float,
    conditioned: bool = True,
    blending: str = "add",
    branch: str = "plain",
    latent_channels: int = 4,
) -> DecoderConfig:
    """Compute the sizes of a decoder from the sizes of the vanilla decoder.

    Args:
        vanilla: sizes of the vanilla decoder: `channels`, `layers`, `groups` and `widen_groups`. If `widen_groups` is
            True, a wider decoder has more normalisation groups. If it is False, the groups are larger.
        width: factor by which the channels of every level are multiplied, and the number of groups if `widen_groups` is
            True. The results are rounded to whole numbers.
        depth: factor by which `layers` is multiplied; the result is rounded to a whole number.
        conditioned: True if the decoder has a branch for the known pixels.
        blending: one of `BLENDINGS`.
        branch: one of `BRANCHES`.
        latent_channels: number of channels of the latents that the decoder reads.

    Raises:
        ValueError: the sizes do not fit together.
    """
    return DecoderConfig(
        channels=tuple(round(channels * width) for channels in vanilla["channels"]),
        layers=round(vanilla["layers"] * depth),
        conditioned=conditioned,
        groups=round(vanilla["groups"] * width) if vanilla["widen_groups"] else vanilla["groups"],
        latent_channels=latent_channels,
        blending=blending,
        branch=branch,
    )


class ConditionBranch(nn.Module):
    """The branch: a chain of convolutions over the masked image (paper, figure 3).

    The output of each convolution is the feature map for one blending step.
    """

    def __init__(self, channels: Sequence[int], *, partial: bool = False) -> None:
        super().__init__()
        # The first two maps have full size; the coarsest width is used for the last level and for the middle block.
        self.widths = [*channels, channels[-1]]
        self.partial = partial
        kind = PartialConv2d if partial else nn.Conv2d
        layers = []
        for index, (before, after) in enumerate(zip([3, *self.widths], self.widths, strict=False)):
            full_size = index < 2
            layers.append(kind(before, after, 3 if full_size else 4, stride=1 if full_size else 2, padding=1))
        self.layers = nn.ModuleList(layers)

    def forward(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        """Return the feature maps before their ReLU, finest map first.

        Args:
            image: images B×3×H×W in [-1, 1]; the values in the hole are not used.
            mask: masks B×1×H×W, 1 = hole.
        """
        features = []
        x = (1 - mask) * image
        for layer in self.layers:
            x = layer(x, 1 - resize_mask(mask, x)) if self.partial else layer(x)
            features.append(x)
            x = functional.relu(x)
        return features


class Decoder(nn.Module):
    """A decoder of latents. If it has a branch, it can also use the known pixels of an image."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.training_note = ""
        """Text that says how long the decoder was trained. `save_decoder` saves this text with the weights."""
        self.lineage: dict[str, Any] = {}
        """Origin of the weights as JSON data. `save_decoder` saves it with the weights."""
        self.space_name = ""
        """Name of the latent space that the decoder's files state; empty if they do not state a known one."""
        groups, coarsest_first = config.groups, config.channels[::-1]
        width = coarsest_first[0]
        self.conv_in = nn.Conv2d(config.latent_channels, width, 3, padding=1)
        self.mid_block = MidBlock(width, groups=groups)
        self.up_blocks = nn.ModuleList()
        for level, out_width in enumerate(coarsest_first):
            finest = level == len(coarsest_first) - 1
            self.up_blocks.append(
                UpBlock(width, out_width, blocks=config.layers + 1, groups=groups, upsample=not finest)
            )
            width = out_width
        self.condition_encoder: ConditionBranch | None = None
        if config.conditioned:
            self.condition_encoder = ConditionBranch(config.channels, partial=config.branch == "partial")
            if config.blending == "concat":
                self.blends = nn.ModuleList(Concatenation(width) for width in self.condition_encoder.widths)
        self.conv_norm_out = group_norm(width, groups)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, z: Tensor, image: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Decode latents.

        Args:
            z: latents B×C×h×w, with C = 4 for Stable Diffusion. The diffusion model's scaling must already be undone,
                and the first stage's `post_quant_conv` must already be applied.
            image: images B×3×H×W in [-1, 1], unmasked; None if no pixel is known.
            mask: masks B×1×H×W, 1 = hole; None if `image` is None. Without image and mask, a decoder that blends by
                addition does not run its branch at all.

        Returns:
            Images B×3×H×W, roughly in [-1, 1], not clamped.

        Raises:
            ValueError: only one of `image` and `mask` is given; both are given but the decoder has no branch; or the
                size of one of them is not the size of the decoded latents.
        """
        known = self.known(z, image, mask)
        features: list[Tensor] = []
        if known is not None and self.condition_encoder is not None:
            features = self.condition_encoder(*known)

        def blend(x: Tensor) -> Tensor:
            return x if known is None else self.join(len(features) - 1)(x, features.pop(), known[1])

        x = self.mid_block(self.conv_in(z))
        for up_block in self.up_blocks:
            x = up_block(blend(x))
        x = self.conv_norm_out(blend(x))
        return self.conv_out(functional.silu(x))  # type: ignore[no-any-return]

    def known(self, z: Tensor, image: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """Return the image and the mask that the branch reads, or None if the branch does not run.

        The arguments are those of `forward`. Without image and mask, a decoder that concatenates gets a zero image and
        a mask of ones, because its blending steps always need the branch.

        Raises:
            ValueError: see `forward`.
        """
        if (image is None) != (mask is None):
            raise ValueError("the arguments image and mask: expected both or neither of them, found only one")
        height, width = z.shape[-2] * self.factor, z.shape[-1] * self.factor
        if image is None or mask is None:
            if not self.concatenates:
                return None
            mask = torch.ones(len(z), 1, height, width, dtype=z.dtype, device=z.device)
            return torch.zeros_like(mask).expand(-1, 3, -1, -1), mask
        if self.condition_encoder is None:
            raise ValueError(
                "the arguments image and mask: expected None, because this decoder has no branch, found tensors"
            )
        for name, given in (("image", image), ("mask", mask)):
            if given.shape[-2:] != (height, width):
                raise ValueError(
                    f"the argument {name}: expected {height}×{width} pixels (height×width) for these latents, "
                    f"found {_size(given)}"
                )
        return image, mask

    @property
    def factor(self) -> int:
        """Side of an image divided by the side of its latents; 8 for Stable Diffusion."""
        return self.config.factor

    @property
    def concatenates(self) -> bool:
        """True if features are combined by concatenation. The branch must then run even if no pixel is known."""
        return self.condition_encoder is not None and self.config.blending == "concat"

    def join(self, place: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return the function of the blending step with index `place`; 0 is the step before the last normalisation.

        The function combines the decoder's features, the branch's features and the mask, in this order.
        """
        return self.blends[place] if self.concatenates else mask_guided_blend


def _size(image: Tensor) -> str:
    return f"{image.shape[-2]}×{image.shape[-1]}"


def build_decoder(name: str, *, width: float = 1.0, depth: float = 1.0, **overrides: object) -> Decoder:
    """Build a decoder of the paper with random weights, in the paper's size or in a changed size.

    Args:
        name: a key of `DECODERS`: `vanilla`, `base`, `large` or `large_x2`.
        width: factor by which every level's channels are multiplied. Each product is rounded to a whole number, which
            must be a multiple of the number of normalisation groups.
        depth: factor by which `layers` is multiplied; the result is rounded to a whole number.
        overrides: fields of `DecoderConfig` to replace, as in ``build_decoder("base", blending="concat")``.

    Raises:
        ValueError: the name or a field is unknown, or the sizes do not fit together.
    """
    if name not in DECODERS:
        raise ValueError(f"the argument name: expected one of {', '.join(DECODERS)}, found {name!r}")
    unknown = overrides.keys() - DecoderConfig.__dataclass_fields__.keys()
    if unknown:
        fields = ", ".join(DecoderConfig.__dataclass_fields__)
        raise ValueError(
            f"the arguments of build_decoder(): expected only name, width, depth, {fields}, found also "
            f"{', '.join(sorted(unknown))}"
        )
    config = replace(DECODERS[name], **overrides)  # type: ignore[arg-type]
    channels = tuple(round(channels * width) for channels in config.channels)
    return Decoder(replace(config, channels=channels, layers=round(config.layers * depth)))
