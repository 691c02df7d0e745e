"""What a decoder consists of and what one image costs it, seen while it runs: the live side of Tables 7 and 8.

The module itself runs, once, on tensors of the meta device: they have shapes and storages but no values, so that the
largest decoder takes a second and no memory. Levels are labelled as in Tables 7 and 8 of the paper.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.models.decoder import Decoder
from bench.models.layers import PartialConv2d, ResBlock, SelfAttention, Upsample

__all__ = ["Cost", "Layer", "cost", "operations", "peak_activation_bytes", "trace_layers"]

NAMES: dict[type[nn.Module], str] = {
    ResBlock: "ResBlock",
    SelfAttention: "AttnBlock",
    Upsample: "Upsample",
    nn.GroupNorm: "GroupNorm",
}
"""Of the modules that are one line of the paper's tables; a convolution is named by its kernel as well."""


@dataclass(frozen=True)
class Layer:
    """One line of Table 7 or 8."""

    part: str
    """`branch` or `main`."""
    level: int | str
    """The place of blending that it feeds or follows, 0 or 1 the finest; `stem` before the first, `out` at the last."""
    layer: str
    """What it is, such as `Conv 3x3`, and how many in a row, as in `ResBlock x3`."""
    output: tuple[int, int, int]
    """C×H×W."""


@dataclass(frozen=True)
class Cost:
    """What one image costs in float32."""

    parameters: int
    tera_flop: float
    """As `operations` counts them, in 1e12."""
    peak_activation_bytes: int
    """As `peak_activation_bytes` counts them, without weights, latents, image and mask."""


def trace_layers(decoder: Decoder, resolution: int) -> list[Layer]:
    """The layers in the order in which they run; equal ones in a row are one line.

    Addition is no layer, so where features are added no line stands for it.

    Args:
        decoder: with weights on any device; they are neither read nor moved.
        resolution: of the square image, in pixels.

    Raises:
        ValueError: the resolution is not a positive multiple of the decoder's factor.
    """
    seen: list[Layer] = []

    def note(part: str, level: int | str, layer: str, tensor: Tensor) -> None:
        channels, height, width = tensor.shape[1:]
        seen.append(Layer(part, level, layer, (channels, height, width)))

    def after(part: str, level: int | str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        note(part, level, _name(module), output)

    def before(level: int | str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        note("main", level, "Concat", inputs[0])

    with ExitStack() as hooks:
        for level, module in _joining(decoder):
            hooks.enter_context(module.register_forward_pre_hook(partial(before, level)))
        for part, level, module in _listed(decoder):
            hooks.enter_context(module.register_forward_hook(partial(after, part, level)))
        _meta_call(decoder, resolution)()
    counted = [(layer, len(list(equal))) for layer, equal in groupby(seen)]
    return [replace(layer, layer=f"{layer.layer} x{count}") if count > 1 else layer for layer, count in counted]


def cost(decoder: Decoder, resolution: int, *, conditioned: bool = True) -> Cost:
    """Parameters, operations and memory of decoding one image.

    Args:
        decoder: as for `trace_layers`.
        resolution: of the square image, in pixels.
        conditioned: whether image and mask are given, where there is a branch for them. Parameters are all that the
            decoder has.

    Raises:
        ValueError: the resolution is not a positive multiple of the decoder's factor.
    """
    call = _meta_call(decoder, resolution, conditioned)
    parameters = sum(parameter.numel() for parameter in decoder.parameters())
    return Cost(parameters, operations(call) / 1e12, peak_activation_bytes(call))


def operations(call: Callable[[], object]) -> int:
    """Twice the multiply-accumulates of a call's convolutions and matrix products; nothing else is counted.

    So linear layers and attention's two products are in it, and the convolution with which a partial one counts known
    positions; biases, normalisations and activations are not.

    Args:
        call: anything that runs on tensors, those of the meta device included.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    total: int = counter.get_total_flops()
    return total


def peak_activation_bytes(call: Callable[[], object]) -> int:
    """The most bytes that tensors made by a call hold at one time, its result included.

    Counted are the storages of what PyTorch's operators return, each from the operator that makes it until Python
    drops its last tensor. Tensors from before the call are not counted, nor what a kernel needs while it runs, nor
    what an allocator keeps back: a device needs more. Attention on the meta device holds every score, which a fused
    kernel does not.

    Args:
        call: anything that runs on tensors, those of the meta device included.
    """
    live = _LiveBytes()
    with live:
        call()
    return live.peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch types neither of the two
    """Adds up the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._met: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A view returns its argument's storage: what was there before must be known as such.
        self._meet((args, kwargs), made_here=False)
        result = func(*args, **(kwargs or {}))
        self._meet(result, made_here=True)
        self.peak = max(self.peak, self.now)
        return result

    def _meet(self, tree: Any, *, made_here: bool) -> None:
        for leaf in tree_leaves(tree):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if id(storage) not in self._met:
                    size = storage.nbytes() if made_here else 0
                    self._met.add(id(storage))
                    self.now += size
                    weakref.finalize(storage, self._forget, id(storage), size)

    def _forget(self, key: int, size: int) -> None:
        self._met.remove(key)
        self.now -= size


def _meta_call(decoder: Decoder, resolution: int, conditioned: bool = True) -> Callable[[], Tensor]:
    """What runs the module itself on meta tensors in the places of its weights, in float32 and without gradients."""
    config = decoder.config
    factor = 2 ** (len(config.channels) - 1)
    if resolution < factor or resolution % factor:
        raise ValueError(f"resolution {resolution} is not a positive multiple of {factor}, the decoder's factor")

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device="meta")

    weights = {name: empty(*weight.shape) for name, weight in decoder.named_parameters()}
    inputs = [empty(1, config.latent_channels, resolution // factor, resolution // factor)]
    if config.conditioned and conditioned:
        inputs += [empty(1, 3, resolution, resolution), empty(1, 1, resolution, resolution)]

    def call() -> Tensor:
        with torch.no_grad():
            result: Tensor = functional_call(decoder, weights, tuple(inputs))
        return result

    return call


def _listed(decoder: Decoder) -> Iterator[tuple[str, int | str, nn.Module]]:
    """Part, level and module of every line; smaller modules belong to one of these, larger ones consist of them."""
    if decoder.condition_encoder is not None:
        for place, layer in enumerate(decoder.condition_encoder.layers):
            yield "branch", place, layer
    for level, layer in _joining(decoder):
        yield "main", level, layer
    for layer in (decoder.conv_in, *decoder.mid_block.resnets, *decoder.mid_block.attentions):
        yield "main", "stem", layer
    for index, block in enumerate(decoder.up_blocks):
        for layer in chain.from_iterable(group.children() for group in block.children()):
            yield "main", len(decoder.up_blocks) - index, layer
    for layer in (decoder.conv_norm_out, decoder.conv_out):
        yield "main", "out", layer


def _joining(decoder: Decoder) -> Iterator[tuple[int | str, nn.Module]]:
    """Level and convolution of every concatenation; what goes into that convolution is the concatenation itself."""
    if decoder.condition_encoder is not None and decoder.config.blending == "concat":
        for place, blend in enumerate(decoder.blends):
            yield place or "out", blend.get_submodule("conv")


def _name(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        return f"{'PConv' if isinstance(module, PartialConv2d) else 'Conv'} {height}x{width}"
    return NAMES[type(module)]
