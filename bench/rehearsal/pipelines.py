"""Functions that write diffusion models with random weights, in the file layouts of the published models."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPVisionConfig

from bench.generation.clip_vocabulary import clip_tokenizer
from bench.rehearsal.original_layout import original_autoencoder, original_text_encoder, original_unet
from bench.rehearsal.sizes import RELEASED, Sizes
from bench.runtime.libraries import quiet

__all__ = ["autoencoder", "write_checkpoint", "write_exemplar", "write_text"]

OLD_ATTENTION = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))
"""Names of an autoencoder's attention layers today, and in files that were written before diffusers 0.18."""
UNET, AUTOENCODER, TEXT, IMAGE = 0, 1, 2, 3
"""Seeds of the random weights."""


def autoencoder(sizes: Sizes) -> AutoencoderKL:
    """Return a first stage with random weights. Every call with equal `sizes` returns equal weights."""
    torch.manual_seed(AUTOENCODER)
    return AutoencoderKL.from_config(dict(sizes.autoencoder))


def write_text(folder: Path, sizes: Sizes, *, channels: int, pickled: bool) -> None:
    """Write Stable Diffusion with random weights, in the folder layout of diffusers.

    Args:
        folder: folder to write.
        sizes: sizes of the networks.
        channels: number of input channels of the UNet: 4 for text to image, and 9 for inpainting.
        pickled: True for `.bin` files in which the autoencoder's attention layers have their old names, as in the
            first releases; False for safetensors files with the new names.
    """
    name = {4: "StableDiffusionPipeline", 9: "StableDiffusionInpaintPipeline"}[channels]
    parts = {
        "text_encoder": ("transformers", "CLIPTextModel"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
    }
    _write_index(folder, name, parts)
    with quiet():
        clip_tokenizer().save_pretrained(folder / "tokenizer")
    encoder = _text_encoder(sizes)
    encoder.config.save_pretrained(folder / "text_encoder")
    # The published files have the names of transformers before version 5.6.
    tensors = {f"text_model.{key.removeprefix('text_model.')}": x for key, x in encoder.state_dict().items()}
    _save(tensors, folder / "text_encoder", "model", pickled=pickled)
    unet = _unet(sizes, channels)
    unet.save_config(folder / "unet")
    _save(unet.state_dict(), folder / "unet", "diffusion_pytorch_model", pickled=pickled)
    del unet
    _write_autoencoder(folder / "vae", sizes, pickled=pickled)


def write_exemplar(folder: Path, sizes: Sizes) -> None:
    """Write Paint-by-Example with random weights as safetensors files, in the folder layout of diffusers."""
    parts = {
        "feature_extractor": ("transformers", "CLIPImageProcessor"),
        "image_encoder": ("paint_by_example", "PaintByExampleImageEncoder"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
    }
    _write_index(folder, "PaintByExamplePipeline", parts)
    side = sizes.exemplar["image_size"]
    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    with quiet():
        processor.save_pretrained(folder / "feature_extractor")
        torch.manual_seed(IMAGE)
        PaintByExampleImageEncoder(CLIPVisionConfig(**sizes.exemplar)).save_pretrained(folder / "image_encoder")
    unet = _unet(sizes, 9, width=sizes.exemplar["projection_dim"])
    unet.save_config(folder / "unet")
    _save(unet.state_dict(), folder / "unet", "diffusion_pytorch_model", pickled=False)
    _write_autoencoder(folder / "vae", sizes, pickled=False)


def write_checkpoint(file: Path, sizes: Sizes, *, channels: int) -> None:
    """Write Stable Diffusion with random weights as one `.ckpt` file in the original layout.

    The file contains no moving average of the weights.

    Args:
        file: file to write.
        sizes: sizes of the networks. A run can read the file only if these are the true sizes of Stable Diffusion,
            because the file does not state the sizes.
        channels: number of input channels of the UNet.
    """
    tensors = original_unet(_unet(sizes, channels).state_dict(), sizes.unet["layers_per_block"])
    tensors |= original_autoencoder(autoencoder(sizes).state_dict(), len(sizes.autoencoder["block_out_channels"]))
    tensors |= original_text_encoder(_text_encoder(sizes).state_dict())
    # Real files contain these tensors as well; the run ignores them.
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    tensors["alphas_cumprod"] = torch.ones(1000)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"global_step": 0, "state_dict": {key: x.contiguous() for key, x in tensors.items()}}, file)


def _text_encoder(sizes: Sizes) -> CLIPTextModel:
    torch.manual_seed(TEXT)
    return CLIPTextModel(CLIPTextConfig.from_dict(dict(sizes.text)))


def _unet(sizes: Sizes, channels: int, *, width: int | None = None) -> UNet2DConditionModel:
    """Create a UNet with random weights.

    Args:
        sizes: sizes of the networks.
        channels: number of input channels.
        width: dimension of the vectors of the condition (the caption or the exemplar); None for the dimension of the
            text encoder's output.
    """
    torch.manual_seed(UNET)
    settings = {**sizes.unet, "in_channels": channels}
    if width is not None:
        settings["cross_attention_dim"] = width
    return UNet2DConditionModel.from_config(settings)


def _write_index(folder: Path, name: str, parts: Mapping[str, tuple[str, str]]) -> None:
    """Write `model_index.json`, the scheduler's settings, and a dummy safety checker, which no run reads."""
    (folder / "scheduler").mkdir(parents=True)
    shutil.copyfile(RELEASED / "scheduler" / "scheduler_config.json", folder / "scheduler" / "scheduler_config.json")
    index: dict[str, Any] = {"_class_name": name, "_diffusers_version": "0.6.0"}
    index |= {part: list(names) for part, names in parts.items()}
    index["scheduler"] = ["diffusers", "DDIMScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"not read")


def _write_autoencoder(folder: Path, sizes: Sizes, *, pickled: bool) -> None:
    network = autoencoder(sizes)
    network.save_config(folder)
    tensors = network.state_dict()
    if pickled:
        tensors = {_old_name(name): tensor for name, tensor in tensors.items()}
    _save(tensors, folder, "diffusion_pytorch_model", pickled=pickled)


def _old_name(name: str) -> str:
    if ".attentions." not in name:
        return name
    for new, old in OLD_ATTENTION:
        name = re.sub(rf"\.{re.escape(new)}\.", f".{old}.", name)
    return name


def _save(tensors: Mapping[str, Tensor], folder: Path, stem: str, *, pickled: bool) -> None:
    """Write weights into one file of a folder. The file gets the name that diffusers or transformers expects.

    Args:
        tensors: state dict of the network.
        folder: folder of the file; it is created if it does not exist.
        stem: name of the safetensors file without its ending: `model` for transformers, or
            `diffusion_pytorch_model` for diffusers.
        pickled: True for a `.bin` file of `torch.save`; False for a safetensors file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    if pickled:
        torch.save(found, folder / f"{stem if stem != 'model' else 'pytorch_model'}.bin")
    else:
        save_file(found, folder / f"{stem}.safetensors", metadata={"format": "pt"})
