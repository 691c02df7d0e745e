"""The layers of a decoder, and the cost of decoding one image, for Tables 7 and 8.

To list the layers and to count the cost of a `Decoder`, this module runs it on tensors of PyTorch's meta device. Such
tensors have shapes but no values. Even the largest decoder therefore needs only a second, and no memory for values. The
cost of any other network is counted in a call that the caller passes to `cost_of_call`. Levels have the same labels as
in Tables 7 and 8 of the paper.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.models.decoder import Decoder
from bench.models.layers import PartialConv2d, ResBlock, SelfAttention, Upsample

__all__ = [
    "Cost",
    "Layer",
    "cost",
    "cost_of_call",
    "count_parameters",
    "operations",
    "peak_activation_bytes",
    "trace_layers",
]

NAMES: dict[type[nn.Module], str] = {
    ResBlock: "ResBlock",
    SelfAttention: "AttnBlock",
    Upsample: "Upsample",
    nn.GroupNorm: "GroupNorm",
}
"""The name of each kind of module in the paper's tables. `_name` makes the names of convolutions from their kernels."""


@dataclass(frozen=True)
class Layer:
    """One line of Table 7 or 8: a layer, or several successive layers that `trace_layers` combines into one line."""

    part: str
    """Part of the decoder: `branch` or `main`."""
    level: int | str
    """Index of the blending step that the layer feeds (branch) or follows (main part). At the steps 0 and 1, feature
    maps have the full size of the image.

    `stem` stands for the main part's layers before the first blending step, and `out` for the last ones.
    """
    layer: str
    """Kind of the layer, such as `Conv 3x3`. `ResBlock x3` stands for three successive layers of this kind."""
    output: tuple[int, int, int]
    """Shape of the output, C×H×W."""


@dataclass(frozen=True)
class Cost:
    """A network's number of parameters, and the operations and memory that the network needs for one image."""

    parameters: int
    tera_flop: float
    """Number of operations, in units of 1e12, as `operations` counts them."""
    peak_activation_bytes: int
    """Number of bytes that the function `peak_activation_bytes` counts, without weights, latents, image and mask."""


def trace_layers(decoder: Decoder, resolution: int) -> list[Layer]:
    """Return the layers of a decoder in the order in which they run.

    Successive layers are combined into one `Layer` if they have the same part, level, type and output shape. Blending
    by addition does not appear in the result, because addition is not a layer.

    Args:
        decoder: the decoder. Its weights may be on any device, and they are neither used nor moved.
        resolution: side of the square image in pixels.

    Raises:
        ValueError: the resolution is not a positive multiple of the decoder's factor.
    """
    layers: list[Layer] = []

    def record(part: str, level: int | str, layer: str, tensor: Tensor) -> None:
        channels, height, width = tensor.shape[1:]
        layers.append(Layer(part, level, layer, (channels, height, width)))

    def after(part: str, level: int | str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        record(part, level, _name(module), output)

    def before(level: int | str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        record("main", level, "Concat", inputs[0])

    with ExitStack() as hooks:
        for level, module in _concatenations(decoder):
            hooks.enter_context(module.register_forward_pre_hook(partial(before, level)))
        for part, level, module in _traced_modules(decoder):
            hooks.enter_context(module.register_forward_hook(partial(after, part, level)))
        _meta_call(decoder, resolution)()
    counted = [(layer, len(list(equal))) for layer, equal in groupby(layers)]
    return [replace(layer, layer=f"{layer.layer} x{count}") if count > 1 else layer for layer, count in counted]


def cost(decoder: Decoder, resolution: int, *, conditioned: bool = True) -> Cost:
    """Return the number of a decoder's parameters, and the operations and memory that decoding one image needs.

    Args:
        decoder: see `trace_layers`.
        resolution: side of the square image in pixels.
        conditioned: True to decode with an image and a mask, and False to decode without them. A decoder without a
            branch always decodes without them. The number of parameters always includes the branch.

    Raises:
        ValueError: the resolution is not a positive multiple of the decoder's factor.
    """
    return cost_of_call(decoder, _meta_call(decoder, resolution, conditioned))


def cost_of_call(network: nn.Module, call: Callable[[], object]) -> Cost:
    """Return the number of a network's parameters, and the operations and memory that one call of the network needs.

    Args:
        network: the network, of any class.
        call: function without arguments that runs the network on one image. It is called twice.
    """
    return Cost(count_parameters(network), operations(call) / 1e12, peak_activation_bytes(call))


def count_parameters(network: nn.Module) -> int:
    """Return the number of values in the parameters of a network. A parameter that is used twice counts once."""
    return sum(parameter.numel() for parameter in network.parameters())


def operations(call: Callable[[], object]) -> int:
    """Count the operations of a call: two for each multiply-accumulate of a convolution or a matrix product.

    The count includes linear layers, both matrix products of attention, and the convolution with which a partial
    convolution counts known positions. It does not include biases, normalisations and activations. Operators that are
    not PyTorch's own, such as kernels in C++ or Triton, are not counted either.

    Args:
        call: function without arguments that runs the network, possibly on tensors of the meta device.
    """
    # Imported here, because it takes a second, and a run whose costs are stored does not need it.
    from torch.utils.flop_counter import FlopCounterMode

    with _countable_attention(), FlopCounterMode(display=False) as counter:
        call()
    total: int = counter.get_total_flops()
    return total


def peak_activation_bytes(call: Callable[[], object]) -> int:
    """Return the peak memory, in bytes, of the tensors that a call creates, including the result of the call.

    Every result of a PyTorch operator counts from its creation until Python deletes the last tensor that uses the
    memory of this result. Tensors from before the call, the working memory of kernels and the allocator's reserves do
    not count, so a real device needs more. The count includes all scores of an attention layer at once, although a
    fused kernel does not need this memory.

    Args:
        call: function without arguments that runs the network, possibly on tensors of the meta device.
    """
    live = _LiveBytes()
    with _countable_attention(), live:
        call()
    return live.peak


@contextmanager
def _countable_attention() -> Iterator[None]:
    """Let PyTorch compute attention as two matrix products inside a `with` block.

    PyTorch's counter of operations cannot count every fused kernel of attention.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch has no types for either of them
    """A mode of PyTorch that counts the bytes of storages that are created in this mode and not yet freed.

    `now` is the current number of bytes, and `peak` is the largest number so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A view returns the storage of its argument, so existing storages are registered first.
        self._register((args, kwargs), new=False)
        result = func(*args, **(kwargs or {}))
        self._register(result, new=True)
        self.peak = max(self.peak, self.now)
        return result

    def _register(self, tree: Any, *, new: bool) -> None:
        for leaf in tree_leaves(tree):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if id(storage) not in self._known:
                    size = storage.nbytes() if new else 0
                    self._known.add(id(storage))
                    self.now += size
                    weakref.finalize(storage, self._forget, id(storage), size)

    def _forget(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.now -= size


def _meta_call(decoder: Decoder, resolution: int, conditioned: bool = True) -> Callable[[], Tensor]:
    """Return a function that runs the decoder without gradients. All weights and inputs are float32 meta tensors.

    Raises:
        ValueError: the resolution is not a positive multiple of the decoder's factor.
    """
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


def _traced_modules(decoder: Decoder) -> Iterator[tuple[str, int | str, nn.Module]]:
    """Yield every module that can be a line of Table 7 or 8, as a tuple: part of the decoder, level, and module.

    All smaller modules of the decoder are inside one of the yielded modules.
    """
    if decoder.condition_encoder is not None:
        for place, layer in enumerate(decoder.condition_encoder.layers):
            yield "branch", place, layer
    for level, layer in _concatenations(decoder):
        yield "main", level, layer
    for layer in (decoder.conv_in, *decoder.mid_block.resnets, *decoder.mid_block.attentions):
        yield "main", "stem", layer
    for index, block in enumerate(decoder.up_blocks):
        for layer in chain.from_iterable(group.children() for group in block.children()):
            yield "main", len(decoder.up_blocks) - index, layer
    for layer in (decoder.conv_norm_out, decoder.conv_out):
        yield "main", "out", layer


def _concatenations(decoder: Decoder) -> Iterator[tuple[int | str, nn.Module]]:
    """Yield the level and the convolution of every blending step that concatenates."""
    if decoder.condition_encoder is not None and decoder.config.blending == "concat":
        for place, blend in enumerate(decoder.blends):
            yield place or "out", blend.get_submodule("conv")


def _name(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        return f"{'PConv' if isinstance(module, PartialConv2d) else 'Conv'} {height}x{width}"
    return NAMES[type(module)]
