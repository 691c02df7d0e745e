"""A decoder among a file's tensors: under the authors' names or diffusers', alone, in a first stage or a whole model.

The authors' names are those of buxiangzhiren/Asymmetric_VQGAN at 406c5cd (ldm/modules/diffusionmodules/my_decoder*.py),
which are CompVis's with a second `encoder` inside the decoder; their meaning in diffusers' terms is that of
huggingface/diffusers at 58eb52c (scripts/convert_asymmetric_vqgan_to_diffusers.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.models.decoder import Decoder
from bench.models.tensor_files import SHOWN, mismatch

__all__ = ["StoredDecoder", "find_decoder"]

FULL_MODEL = "first_stage_model."
"""Under this a diffusion model keeps its first stage; whatever lies beside it is not the first stage's."""
DECODER = "decoder."
BESIDE = ("encoder.", "quant_conv.", "post_quant_conv.", "quantize.", "loss.", "model_ema.")
"""What a first stage holds beside its decoder, with what training it left behind."""
UNUSED = "up_layers."
"""The authors' decoders hold these transposed convolutions and never call them."""

_BLOCK = re.compile(r"up_blocks\.(\d+)\.resnets\.(\d+)\.conv1\.weight")
_OFFICIAL_BLOCK = re.compile(r"up\.(\d+)\.block\.(\d+)\.conv1\.weight")
_OFFICIAL = (
    (r"^mid_block\.resnets\.0\.", "mid.block_1."),
    (r"^mid_block\.resnets\.1\.", "mid.block_2."),
    (r"^mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"^mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
    (r"^mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."),
    (r"\.resnets\.", ".block."),
    (r"\.upsamplers\.0\.", ".upsample."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"^condition_encoder\.", "encoder."),
    (r"^conv_norm_out\.", "norm_out."),
)
_OLD_ATTENTION = (
    (r"\.to_q\.", ".query."),
    (r"\.to_k\.", ".key."),
    (r"\.to_v\.", ".value."),
    (r"\.to_out\.0\.", ".proj_attn."),
)


@dataclass(frozen=True)
class StoredDecoder:
    """A decoder as a file holds it."""

    file: Path
    prefix: str
    """What its names begin with in the file."""
    tensors: Mapping[str, Tensor]
    """The decoder's, without the prefix."""
    strangers: Mapping[str, Tensor]
    """Those beside it that no first stage has, by their names in the file."""
    official: bool
    """Whether the names are the authors'."""

    def sizes(self) -> dict[str, Any]:
        """Fields of `DecoderConfig` that the weights tell: all but the groups and the branch's kind of convolution.

        Raises:
            BadInputError: there is no residual block at some level.
        """
        block = _OFFICIAL_BLOCK if self.official else _BLOCK
        widths: dict[int, dict[int, int]] = {}
        for name, tensor in self.tensors.items():
            found = block.fullmatch(name)
            if found and tensor.ndim == 4:
                widths.setdefault(int(found[1]), {})[int(found[2])] = tensor.shape[0]
        if not widths or max(widths) >= len(widths):
            raise BadInputError(
                f"{self.file}: expected a decoder with residual blocks at every level from 0, "
                f"found them at {', '.join(map(str, sorted(widths))) or 'none'}"
            )
        finest_first = sorted(widths, reverse=not self.official)
        conv_in = self.tensors.get("conv_in.weight")
        sizes: dict[str, Any] = {
            "channels": tuple(widths[level][min(widths[level])] for level in finest_first),
            "layers": max(len(blocks) for blocks in widths.values()) - 1,
            "conditioned": self._has("encoder." if self.official else "condition_encoder."),
        }
        if conv_in is not None and conv_in.ndim == 4:  # else `fill` names it, with all else that is missing
            sizes["latent_channels"] = conv_in.shape[1]
        if sizes["conditioned"]:
            sizes["blending"] = "concat" if self._has("blends.") else "add"
        return sizes

    def fill(self, decoder: Decoder) -> None:
        """Give a decoder on the meta device these weights, in float32 and memory of their own.

        Raises:
            BadInputError: they are not this decoder's; the message names those that differ as the file does.
        """
        expected = decoder.state_dict()
        names = {name: self._stored_name(name, len(decoder.config.channels)) for name in expected}
        problems = mismatch(
            {self.prefix + names[name]: tensor for name, tensor in expected.items()},
            {**{self.prefix + name: tensor for name, tensor in self.tensors.items()}, **self.strangers},
        )
        if problems:
            raise BadInputError(f"{self.file}: weights of another network: {'; '.join(problems)}")
        decoder.load_state_dict(
            {
                name: self.tensors[stored].detach().to(torch.float32, copy=True).contiguous()
                for name, stored in names.items()
            },
            assign=True,
        )

    def _has(self, start: str) -> bool:
        return any(name.startswith(start) for name in self.tensors)

    def _stored_name(self, name: str, levels: int) -> str:
        """What the file calls one of our tensors."""
        rules: tuple[tuple[str, str], ...] = ()
        if self.official:
            # The authors count levels from the finest.
            name = re.sub(r"^up_blocks\.(\d+)\.", lambda found: f"up.{levels - 1 - int(found[1])}.", name)
            rules = _OFFICIAL
        elif any(".query." in stored or ".proj_attn." in stored for stored in self.tensors):
            rules = _OLD_ATTENTION
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name


def find_decoder(tensors: Mapping[str, Tensor], file: Path) -> StoredDecoder:
    """Find the decoder among all tensors of a file.

    Args:
        tensors: of the whole file.
        file: for messages.

    Raises:
        BadInputError: there is none.
    """
    scope = FULL_MODEL if any(name.startswith(FULL_MODEL) for name in tensors) else ""
    inside = {name.removeprefix(scope): tensor for name, tensor in tensors.items() if name.startswith(scope)}
    prefix = DECODER if any(name.startswith(DECODER) for name in inside) else ""
    found = {
        name.removeprefix(prefix): _linear(name, tensor) for name, tensor in inside.items() if name.startswith(prefix)
    }
    parts = {name.split(".")[0] for name in found}
    # A diffusion model's network has parts of the same names, and its way down beside them.
    if not prefix and (not parts & {"up", "up_blocks"} or parts & {"down", "down_blocks"}):
        others = Counter(name.split(".")[0] for name in tensors)
        shown = ", ".join(f"{count} of {part}" for part, count in others.most_common(SHOWN))
        raise BadInputError(f"{file}: expected a decoder, found none among {len(tensors)} tensors ({shown})")
    official = "up" in parts
    if official:
        found = {name: tensor for name, tensor in found.items() if not name.startswith(UNUSED)}
    strangers = {
        scope + name: tensor
        for name, tensor in inside.items()
        if not name.startswith(prefix) and not name.startswith(BESIDE)
    }
    return StoredDecoder(file, scope + prefix, found, strangers, official)


def _linear(name: str, tensor: Tensor) -> Tensor:
    """An attention's 1x1 convolution as the matrix that diffusers has for it; any other tensor as it is."""
    attention = "mid.attn_1." in name or "mid_block.attentions." in name
    return tensor[..., 0, 0] if attention and tensor.ndim == 4 and tensor.shape[2:] == (1, 1) else tensor
