"""Building blocks of `bench.models.decoder.Decoder`, and layers that bring known pixels into this decoder.

The residual, attention, middle and upsampling blocks are those of CompVis/taming-transformers
(taming/modules/diffusionmodules/model.py), on which Stable Diffusion's first stage is built. Their parameters have the
names that diffusers gives them. `mask_guided_blend`, `Concatenation`, `PartialConv2d` and `resize_mask` are not from
there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Concatenation",
    "MidBlock",
    "PartialConv2d",
    "ResBlock",
    "SelfAttention",
    "UpBlock",
    "Upsample",
    "mask_guided_blend",
    "resize_mask",
]


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """Create a group normalisation with the epsilon that the first stages use."""
    return nn.GroupNorm(groups, channels, eps=1e-6)


class ResBlock(nn.Module):
    """A residual block of two normalised 3x3 convolutions with a shortcut. It maps B×in×h×w to B×out×h×w."""

    def __init__(self, in_channels: int, out_channels: int, *, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels, groups)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels, groups)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(functional.silu(self.norm1(x)))
        h = self.conv2(functional.silu(self.norm2(h)))
        return torch.add(h, x if self.conv_shortcut is None else self.conv_shortcut(x))


class SelfAttention(nn.Module):
    """Self-attention with one head over all positions of a feature map. The result is added to the input."""

    def __init__(self, channels: int, *, groups: int) -> None:
        super().__init__()
        self.group_norm = group_norm(channels, groups)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.group_norm(x).flatten(2).transpose(1, 2).unsqueeze(1)
        attended = functional.scaled_dot_product_attention(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        return torch.add(x, self.to_out[0](attended).squeeze(1).transpose(1, 2).reshape(x.shape))


class MidBlock(nn.Module):
    """The first blocks of a decoder, at the lowest resolution: residual block, self-attention, residual block."""

    def __init__(self, channels: int, *, groups: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResBlock(channels, channels, groups=groups) for _ in range(2))
        self.attentions = nn.ModuleList([SelfAttention(channels, groups=groups)])

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """A layer that doubles height and width by nearest neighbour, and then applies a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))  # type: ignore[no-any-return]


class UpBlock(nn.Module):
    """One level of a decoder. It has residual blocks, and an upsampling after them unless this level is the finest."""

    def __init__(self, in_channels: int, out_channels: int, *, blocks: int, groups: int, upsample: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            ResBlock(in_channels if index == 0 else out_channels, out_channels, groups=groups)
            for index in range(blocks)
        )
        if upsample:
            self.upsamplers = nn.ModuleList([Upsample(out_channels)])
        else:
            self.upsamplers = nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Resize a mask by nearest neighbour to the size and type of the feature map `like`. No new values appear."""
    return functional.interpolate(mask.to(like.dtype), size=like.shape[-2:], mode="nearest")


def mask_guided_blend(decoded: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
    """Combine the decoder's features in the hole (mask 1) with the branch's features in the known region (mask 0).

    The result is `decoded` × mask + `condition` × (1 - mask). Mask values between 0 and 1 therefore mix both features,
    and a mask of ones leaves `decoded` unchanged bit for bit.
    """
    hole = resize_mask(mask, decoded)
    return torch.add(decoded * hole, condition * (1 - hole))


class Concatenation(nn.Module):
    """A blending step that concatenates the decoder's features, the branch's features and the mask (Tables 7 and 8).

    A 1x1 convolution then reduces the 2C + 1 channels to the decoder's C channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels + 1, channels, 1)

    def forward(self, decoded: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        return self.conv(torch.cat([decoded, condition, resize_mask(mask, decoded)], 1))  # type: ignore[no-any-return]


class PartialConv2d(nn.Conv2d):
    """A convolution that uses known positions only.

    In each window, the result is rescaled as if all positions were known. The result is 0 if a window has no known
    position. See Liu et al., "Image inpainting for irregular holes using partial convolutions" (2018), eq. 1, with one
    mask for all channels. The mask is not updated from layer to layer: each layer gets the image's mask, resized to the
    layer's input.
    """

    def forward(self, x: Tensor, known: Tensor) -> Tensor:  # type: ignore[override]
        """Return the layer's output for features `x`, B×C×H×W, and `known`, B×1×H×W, which is 1 at known positions."""
        window = torch.ones(1, 1, *self.kernel_size, dtype=x.dtype, device=x.device)
        count = functional.conv2d(known, window, stride=self.stride, padding=self.padding)
        any_known = (count > 0).to(x.dtype)
        scale = any_known * (window.numel() / count.clamp(min=1e-8))
        raw = functional.conv2d(x * known, self.weight, None, self.stride, self.padding)
        bias = 0 if self.bias is None else self.bias.view(1, -1, 1, 1) * any_known
        return raw * scale + bias
