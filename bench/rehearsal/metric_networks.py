"""Functions that write weight files of the networks that metrics use.

The weights are random. The tensor names, the shapes and the file formats are those of the real files.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import alexnet, inception_v3, vgg16

from bench.metrics.networks.dinov2 import HEAD, PATCH
from bench.metrics.networks.inception import FEATURES, SIDE, InceptionNetwork

__all__ = [
    "CLIP",
    "backbone_weights",
    "dinov2_weights",
    "inception_weights",
    "write_backbone",
    "write_clip",
    "write_dinov2",
    "write_inception",
]

BACKBONES = {"vgg": vgg16, "alex": alexnet}
CLIP = "ViT-B-32-quickgelu"
"""Name of OpenAI's ViT-B/32 in open_clip."""
SEED = 5
TRAINED = 37
"""Number of patches along a side of the images on which DINOv2's published position embeddings were trained."""


def inception_weights(seed: int = 0) -> dict[str, Tensor]:
    """Return random weights of Inception, with the tensor names of pytorch-fid's file.

    The weights are scaled so that activations neither explode nor vanish.
    """
    with torch.device("meta"):
        network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    # The published file has no counts of batches.
    shapes = {name: x.shape for name, x in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            tensors[name] = torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            tensors[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            tensors[name] = 0.1 * torch.randn(shape, generator=generator)
    return tensors


def backbone_weights(net: str, seed: int = 0, *, classifier: bool = False) -> dict[str, Tensor]:
    """Return random weights of VGG16 or AlexNet, with the tensor names of torchvision's files.

    Args:
        net: name of the network: `vgg` for VGG16, or `alex` for AlexNet.
        seed: seed of the weights.
        classifier: True for all weights; False for the convolutions alone, because metrics use no other weights.
    """
    with torch.device("meta"):
        network = BACKBONES[net](weights=None)
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(x.shape, generator=generator) * ((2 / x[0].numel()) ** 0.5 if x.ndim > 1 else 0.1)
        for name, x in network.state_dict().items()
        if classifier or name.startswith("features.")
    }


def dinov2_weights(width: int = 1024, blocks: int = 24, seed: int = 0) -> dict[str, Tensor]:
    """Return random weights of DINOv2, with the tensor names of the original file.

    Args:
        width: number of channels, a multiple of 64.
        blocks: number of transformer blocks.
        seed: seed of the weights.

    Raises:
        ValueError: `width` is not a multiple of 64.
    """
    if width % HEAD:
        raise ValueError(f"width: expected a multiple of {HEAD}, found {width}")
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, scale: float) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    def linear(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
        scale = inputs**-0.5
        return {f"{name}.weight": drawn(outputs, inputs, scale=scale), f"{name}.bias": drawn(outputs, scale=0.1)}

    def norm(name: str) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + drawn(width, scale=0.1), f"{name}.bias": drawn(width, scale=0.1)}

    tensors = {
        "cls_token": drawn(1, 1, width, scale=1.0),
        "pos_embed": drawn(1, 1 + TRAINED * TRAINED, width, scale=1.0),
        "mask_token": drawn(1, width, scale=1.0),
        "patch_embed.proj.weight": drawn(width, 3, PATCH, PATCH, scale=(3 * PATCH * PATCH) ** -0.5),
        "patch_embed.proj.bias": drawn(width, scale=0.1),
    }
    for name in (f"blocks.{index}" for index in range(blocks)):
        tensors |= norm(f"{name}.norm1") | linear(f"{name}.attn.qkv", width, 3 * width)
        tensors |= linear(f"{name}.attn.proj", width, width) | {f"{name}.ls1.gamma": drawn(width, scale=1.0)}
        tensors |= norm(f"{name}.norm2") | linear(f"{name}.mlp.fc1", width, 4 * width)
        tensors |= linear(f"{name}.mlp.fc2", 4 * width, width) | {f"{name}.ls2.gamma": drawn(width, scale=1.0)}
    return tensors | norm("norm")


def write_dinov2(path: Path, *, width: int, blocks: int) -> None:
    """Write DINOv2 in the format of the original file; see `dinov2_weights` for the arguments."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dinov2_weights(width, blocks), path)


def write_inception(path: Path) -> None:
    """Write Inception in the format of pytorch-fid's file, or as NVIDIA's program if the path ends in `.pt`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = inception_weights()
    if path.suffix == ".pt":
        _program(_Layers(InceptionNetwork(tensors)), SIDE).save(str(path))
    else:
        torch.save(tensors, path)


class _Layers(nn.Module):
    """A network whose submodule `layers` computes the features, as in NVIDIA's program."""

    def __init__(self, network: InceptionNetwork) -> None:
        super().__init__()
        self.layers = network

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(image)
        return features.view(-1, FEATURES)


def write_backbone(path: Path, net: str, *, classifier: bool) -> None:
    """Write VGG16 (`vgg`) or AlexNet (`alex`) in the format of torchvision's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(backbone_weights(net, classifier=classifier), path)


def write_clip(path: Path, model: str = CLIP) -> None:
    """Write the image tower of a CLIP model as a TorchScript program in half precision, like OpenAI's files.

    OpenAI's file also contains the text tower. It is left out here, because a rehearsal does not compute `clip_prompt`.

    Args:
        path: file to write.
        model: name of the architecture in open_clip. The default is that of OpenAI's ViT-B/32.
    """
    import open_clip
    from open_clip.model import _build_vision_tower

    settings = open_clip.get_model_config(model)
    torch.manual_seed(SEED)
    tower = _build_vision_tower(settings["embed_dim"], settings["vision_cfg"], settings.get("quick_gelu", False))
    program = _program(_Clip(tower), tower.image_size[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    program.half().save(str(path))


def _program(network: nn.Module, side: int) -> Any:
    """Return a TorchScript program of a network that takes images with the given side in pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but the published files use it
        return torch.jit.trace(  # type: ignore[no-untyped-call]
            network.eval(), torch.zeros(1, 3, side, side), check_trace=False
        )


class _Clip(nn.Module):
    """A network whose submodule `visual` is the image tower, as in OpenAI's file."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, image: Tensor) -> Tensor:
        embeddings: Tensor = self.visual(image)
        return embeddings
