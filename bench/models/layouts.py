"""Functions that find a decoder among the tensors of a file. The tensors have the authors' or diffusers' names.

The file may contain the decoder alone, a first stage or a whole diffusion model. The authors' names come from
buxiangzhiren/Asymmetric_VQGAN at 406c5cd (ldm/modules/diffusionmodules/my_decoder*.py). They are CompVis's names, with
one addition: inside the authors' decoder, `encoder` is the name of the branch. The equivalent names in diffusers come
from huggingface/diffusers at 58eb52c (scripts/convert_asymmetric_vqgan_to_diffusers.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import BadInputError
from bench.models.decoder import Decoder
from bench.models.tensor_files import SHOWN, mismatch

__all__ = ["StoredDecoder", "find_decoder", "official_name"]

FULL_MODEL = "first_stage_model."
"""Prefix of the first stage's tensors in the file of a whole diffusion model. Other tensors in the file are ignored."""
DECODER = "decoder."
OTHER_PARTS = ("encoder.", "quant_conv.", "post_quant_conv.", "quantize.", "bn.", "loss.", "model_ema.")
"""Prefixes of a first stage's tensors that do not belong to its decoder. Some are left over from training."""
UNUSED = "up_layers."
"""Prefix of the transposed convolutions that the authors' decoders contain but never call."""

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
    """The tensors of a decoder that were found in a file, and a description of the names in this file."""

    file: Path
    prefix: str
    """Prefix of the decoder's tensors in the file."""
    tensors: Mapping[str, Tensor]
    """The decoder's tensors, without the prefix."""
    strangers: Mapping[str, Tensor]
    """Tensors of the file that belong to no known part of a first stage, by their names in the file."""
    official: bool
    """True if the file uses the authors' names, False if it uses diffusers' names."""

    def sizes(self) -> dict[str, Any]:
        """Return the fields of `DecoderConfig` that follow from the weights: all except `groups` and `branch`.

        The result has `blending` only for a decoder with a branch.

        Raises:
            BadInputError: no level has a residual block, or the numbers of the levels that have one are not 0, 1, 2 and
                so on.
        """
        block = _OFFICIAL_BLOCK if self.official else _BLOCK
        widths: dict[int, dict[int, int]] = {}
        for name, tensor in self.tensors.items():
            found = block.fullmatch(name)
            if found and tensor.ndim == 4:
                widths.setdefault(int(found[1]), {})[int(found[2])] = tensor.shape[0]
        if not widths:
            raise BadInputError(f"{self.file}: expected a decoder with residual blocks, found no such block")
        if max(widths) >= len(widths):
            raise BadInputError(
                f"{self.file}: expected a decoder with residual blocks at every level from 0, found such blocks only "
                f"at the levels {', '.join(map(str, sorted(widths)))}"
            )
        finest_first = sorted(widths, reverse=not self.official)
        conv_in = self.tensors.get("conv_in.weight")
        sizes: dict[str, Any] = {
            "channels": tuple(widths[level][min(widths[level])] for level in finest_first),
            "layers": max(len(blocks) for blocks in widths.values()) - 1,
            "conditioned": self._has("encoder." if self.official else "condition_encoder."),
        }
        if conv_in is not None and conv_in.ndim == 4:  # otherwise `fill` reports it with all else that is missing
            sizes["latent_channels"] = conv_in.shape[1]
        if sizes["conditioned"]:
            sizes["blending"] = "concat" if self._has("blends.") else "add"
        return sizes

    def fill(self, decoder: Decoder) -> None:
        """Load float32 copies of the tensors into a decoder that was created on the meta device.

        Raises:
            BadInputError: the tensors do not fit the decoder. The message lists the tensors that differ, with their
                names in the file.
        """
        names = self.fitted(decoder)
        decoder.load_state_dict(
            {
                name: self.tensors[stored].detach().to(torch.float32, copy=True).contiguous()
                for name, stored in names.items()
            },
            assign=True,
        )

    def fitted(self, decoder: Decoder) -> dict[str, str]:
        """Find the name in the file, without the prefix, for each tensor of a decoder. No tensor's values are read.

        The keys of the result are the tensors' names in `decoder`. The values are their names in the file.

        Raises:
            BadInputError: the tensors do not fit the decoder. The message lists the tensors that differ, with their
                names in the file.
        """
        expected = decoder.state_dict()
        names = {name: self._stored_name(name, len(decoder.config.channels)) for name in expected}
        problems = mismatch(
            {self.prefix + names[name]: tensor for name, tensor in expected.items()},
            {**{self.prefix + name: tensor for name, tensor in self.tensors.items()}, **self.strangers},
        )
        if problems:
            raise BadInputError(
                f"{self.file}: expected weights that fit the network, found differences: {'; '.join(problems)}"
            )
        return names

    def _has(self, start: str) -> bool:
        return any(name.startswith(start) for name in self.tensors)

    def _stored_name(self, name: str, levels: int) -> str:
        """Return the name that a decoder's tensor has in the file, without the prefix.

        Args:
            name: name of the tensor in `Decoder`.
            levels: number of the decoder's levels.
        """
        if self.official:
            return official_name(name, levels)
        is_old = any(".query." in stored or ".proj_attn." in stored for stored in self.tensors)
        return _renamed(name, _OLD_ATTENTION if is_old else ())


def official_name(name: str, levels: int) -> str:
    """Return the name that the authors' files give to a tensor of a decoder.

    Args:
        name: name of the tensor in `Decoder`.
        levels: number of the decoder's levels. `Decoder` counts levels from the coarsest, and the authors count them
            from the finest.
    """
    name = re.sub(r"^up_blocks\.(\d+)\.", lambda found: f"up.{levels - 1 - int(found[1])}.", name)
    return _renamed(name, _OFFICIAL)


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def find_decoder(tensors: Mapping[str, Tensor], file: Path) -> StoredDecoder:
    """Find the decoder among all tensors of a file.

    Args:
        tensors: all tensors of the file.
        file: path of the file, for messages.

    Raises:
        BadInputError: the file contains no decoder.
    """
    scope = FULL_MODEL if any(name.startswith(FULL_MODEL) for name in tensors) else ""
    inside = {name.removeprefix(scope): tensor for name, tensor in tensors.items() if name.startswith(scope)}
    prefix = DECODER if any(name.startswith(DECODER) for name in inside) else ""
    found = {
        name.removeprefix(prefix): _linear(name, tensor) for name, tensor in inside.items() if name.startswith(prefix)
    }
    parts = {name.split(".")[0] for name in found}
    # A diffusion model's UNet has parts of the same names, but a downward path as well.
    if not prefix and (not parts & {"up", "up_blocks"} or parts & {"down", "down_blocks"}):
        counts = Counter(name.split(".")[0] for name in tensors)
        shown = ", ".join(f"{count} begin with {part}" for part, count in counts.most_common(SHOWN))
        raise BadInputError(f"{file}: expected the tensors of a decoder, found {len(tensors)} other tensors ({shown})")
    official = "up" in parts
    if official:
        found = {name: tensor for name, tensor in found.items() if not name.startswith(UNUSED)}
    strangers = {
        scope + name: tensor
        for name, tensor in inside.items()
        if not name.startswith(prefix) and not name.startswith(OTHER_PARTS)
    }
    return StoredDecoder(file, scope + prefix, found, strangers, official)


def _linear(name: str, tensor: Tensor) -> Tensor:
    """Convert an attention's 1x1 convolution weight to a matrix as in diffusers; return other tensors unchanged."""
    attention = "mid.attn_1." in name or "mid_block.attentions." in name
    return tensor[..., 0, 0] if attention and tensor.ndim == 4 and tensor.shape[2:] == (1, 1) else tensor
