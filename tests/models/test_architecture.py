"""Tests of layers and costs on the meta device, against counts by hand and by a real run."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models import DECODERS, Decoder, build_decoder
from bench.models.architecture import Layer, cost, cost_of_call, operations, peak_activation_bytes, trace_layers
from bench.models.layers import SelfAttention

PARAMETERS = {"vanilla": 49_490_179, "base": 60_276_227, "large": 160_136_835, "large_x2": 371_966_467}
BLENDS = {"base": 1_740_544, "large": 3_913_344}
"""Weights and biases of the 1x1 convolutions behind the concatenations, from the sizes printed in Tables 7 and 8."""
TINY = {"channels": (16, 32, 64), "groups": 8, "layers": 1}
MIB = 2**20


def meta(name: str, **overrides: object) -> Decoder:
    with torch.device("meta"):
        return build_decoder(name, **overrides)


def tiny(name: str = "base", **overrides: object) -> Decoder:
    return build_decoder(name, **{**TINY, **overrides}).eval()


# --- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.reference
def test_layers_are_listed_in_the_order_in_which_they_run() -> None:
    layers = trace_layers(tiny(blending="concat", branch="partial"), 32)
    assert layers == [
        Layer("branch", 0, "PConv 3x3", (16, 32, 32)),
        Layer("branch", 1, "PConv 3x3", (32, 32, 32)),
        Layer("branch", 2, "PConv 4x4", (64, 16, 16)),
        Layer("branch", 3, "PConv 4x4", (64, 8, 8)),
        Layer("main", "stem", "Conv 3x3", (64, 8, 8)),
        Layer("main", "stem", "ResBlock", (64, 8, 8)),
        Layer("main", "stem", "AttnBlock", (64, 8, 8)),
        Layer("main", "stem", "ResBlock", (64, 8, 8)),
        Layer("main", 3, "Concat", (129, 8, 8)),
        Layer("main", 3, "Conv 1x1", (64, 8, 8)),
        Layer("main", 3, "ResBlock x2", (64, 8, 8)),
        Layer("main", 3, "Upsample", (64, 16, 16)),
        Layer("main", 2, "Concat", (129, 16, 16)),
        Layer("main", 2, "Conv 1x1", (64, 16, 16)),
        Layer("main", 2, "ResBlock x2", (32, 16, 16)),
        Layer("main", 2, "Upsample", (32, 32, 32)),
        Layer("main", 1, "Concat", (65, 32, 32)),
        Layer("main", 1, "Conv 1x1", (32, 32, 32)),
        Layer("main", 1, "ResBlock x2", (16, 32, 32)),
        Layer("main", "out", "Concat", (33, 32, 32)),
        Layer("main", "out", "Conv 1x1", (16, 32, 32)),
        Layer("main", "out", "GroupNorm", (16, 32, 32)),
        Layer("main", "out", "Conv 3x3", (3, 32, 32)),
    ]


@pytest.mark.blackbox
def test_addition_and_plain_convolutions_change_their_own_lines_only() -> None:
    joined = trace_layers(tiny(blending="concat", branch="partial"), 32)
    added = trace_layers(tiny(), 32)
    assert {layer.layer for layer in added if layer.part == "branch"} == {"Conv 3x3", "Conv 4x4"}
    assert [layer for layer in added if layer.part == "main"] == [
        layer for layer in joined if layer.part == "main" and layer.layer not in ("Concat", "Conv 1x1")
    ]
    assert trace_layers(tiny("vanilla"), 32) == [layer for layer in added if layer.part == "main"]


@pytest.mark.property
@pytest.mark.parametrize("branch", ["plain", "partial"])
@pytest.mark.parametrize("blending", ["add", "concat"])
@pytest.mark.parametrize(("width", "depth"), [(1, 1), (1.5, 1.5), (1.75, 3)])
def test_every_width_and_depth_is_traced(blending: str, branch: str, width: float, depth: float) -> None:
    decoder = meta("base", width=width, depth=depth, blending=blending, branch=branch)
    layers = trace_layers(decoder, 64)
    sizes = [layer.output for layer in layers if layer.part == "branch"]
    assert sizes == [
        (round(width * channels), side, side)
        for channels, side in [(128, 64), (256, 64), (512, 32), (512, 16), (512, 8)]
    ]
    blocks = f"ResBlock x{round(2 * depth) + 1}"
    assert [layer.level for layer in layers if layer.layer == blocks] == [4, 3, 2, 1]
    assert sum(layer.layer == "Concat" for layer in layers) == (5 if blending == "concat" else 0)


@pytest.mark.blackbox
def test_tracing_does_not_modify_the_module() -> None:
    decoder = tiny(blending="concat")
    before = {name: weight.clone() for name, weight in decoder.state_dict().items()}
    trace_layers(decoder, 32)
    cost(decoder, 32)
    after = decoder.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in decoder.modules())


@pytest.mark.blackbox
@pytest.mark.parametrize("resolution", [0, 2, 30, -4])
@pytest.mark.parametrize("look", [trace_layers, cost])
def test_a_resolution_that_no_latents_have_is_refused(look: Callable[..., object], resolution: int) -> None:
    with pytest.raises(ValueError, match=f"resolution {resolution} is not a positive multiple of 4"):
        look(tiny(), resolution)


# --- parameters and operations ---------------------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize("name", DECODERS)
def test_parameter_counts_equal_those_of_the_released_code(name: str) -> None:
    assert cost(meta(name), 64).parameters == PARAMETERS[name]


@pytest.mark.reference
@pytest.mark.parametrize("name", BLENDS)
@pytest.mark.parametrize("branch", ["plain", "partial"])
def test_concatenation_adds_the_parameters_of_its_1x1_convolutions(name: str, branch: str) -> None:
    decoder = meta(name, blending="concat", branch=branch)
    assert cost(decoder, 64).parameters == PARAMETERS[name] + BLENDS[name]


@pytest.mark.reference
def test_operations_of_a_convolution_and_a_linear_layer_equal_the_formula() -> None:
    convolution, linear = nn.Conv2d(3, 8, 3, stride=2, padding=1, device="meta"), nn.Linear(5, 7, device="meta")
    picture, tokens = torch.empty(2, 3, 16, 16, device="meta"), torch.empty(4, 5, device="meta")
    assert operations(lambda: convolution(picture)) == 2 * (2 * 8 * 8 * 8) * (3 * 3 * 3)
    assert operations(lambda: linear(tokens)) == 2 * (4 * 7) * 5
    assert operations(lambda: functional.silu(picture) + 1) == 0


@pytest.mark.reference
@pytest.mark.parametrize("name", ["vanilla", "base"])
def test_operations_equal_the_sum_over_the_layers_of_a_real_run(name: str) -> None:
    decoder, counted = tiny(name), 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted
        if isinstance(module, nn.Conv2d):
            counted += 2 * output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            counted += 2 * output.numel() * module.in_features
        elif isinstance(module, SelfAttention):
            positions = output[0, 0].numel()
            counted += 2 * 2 * positions * positions * output.shape[1]

    for module in decoder.modules():
        module.register_forward_hook(count)
    condition = () if name == "vanilla" else (torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32))
    with torch.no_grad():
        decoder(torch.zeros(1, 4, 8, 8), *condition)
    assert round(cost(tiny(name), 32).tera_flop * 1e12) == counted


@pytest.mark.blackbox
def test_a_partial_convolution_also_costs_the_count_of_known_positions() -> None:
    plain, partial = (cost(tiny(branch=branch), 32).tera_flop * 1e12 for branch in ("plain", "partial"))
    assert round(partial - plain) == 2 * (9 * 32 * 32 * 2 + 16 * 16 * 16 + 16 * 8 * 8)


# --- memory ----------------------------------------------------------------------------------------------------------


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, device="meta")


@pytest.mark.reference
def test_the_peak_of_a_chain_equals_its_largest_neighbouring_pair() -> None:
    x = zeros(1, 1, 4, 4)
    chain = nn.Sequential(
        nn.Conv2d(1, 2, 1),  # 2·4·4 floats of 4 bytes: 128
        nn.ReLU(),  # 128 more while the first is there: 256
        nn.Conv2d(2, 5, 1),  # the first is gone: 128 + 320
        nn.Conv2d(5, 1, 1),  # 320 + 64
    ).to("meta")
    with torch.no_grad():
        assert peak_activation_bytes(lambda: chain(x)) == 128 + 320


@pytest.mark.blackbox
def test_a_tensor_is_counted_until_its_last_reference_is_gone() -> None:
    def keeping() -> Tensor:
        first = zeros(10)
        second = first + 1
        third = second + 1
        return first + third

    def dropping() -> Tensor:
        x = zeros(10)
        for _ in range(3):
            x = x + 1
        return x

    assert peak_activation_bytes(keeping) == 4 * 40
    assert peak_activation_bytes(dropping) == 2 * 40


@pytest.mark.blackbox
def test_views_and_earlier_tensors_are_not_counted() -> None:
    x, weight = zeros(4, 8), zeros(2, 8)
    assert peak_activation_bytes(lambda: (x.view(32), x.t()[1:], weight.add_(1))) == 0
    assert peak_activation_bytes(lambda: functional.linear(x, weight).relu_().view(8)) == 4 * 2 * 4


@pytest.mark.blackbox
def test_the_result_is_counted_with_the_size_of_its_type() -> None:
    assert peak_activation_bytes(lambda: zeros(6).half()) == 6 * 4 + 6 * 2


@pytest.mark.reference
@pytest.mark.parametrize("overrides", [{}, {"blending": "concat", "branch": "partial"}])
def test_the_meta_device_gives_the_peak_of_a_real_run(overrides: dict[str, str]) -> None:
    decoder = tiny(**overrides)
    z, image, mask = torch.zeros(1, 4, 8, 8), torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    with torch.no_grad():
        real = peak_activation_bytes(lambda: decoder(z, image, mask))
    assert cost(decoder, 32).peak_activation_bytes == real


@pytest.mark.reference
def test_the_base_decoders_peak_is_at_its_finest_blending() -> None:
    """The image has 512×512 pixels, for which 128 channels take 128 MiB.

    Added are 256 channels of the decoder to as many of the branch: both, their products with the mask and the sum,
    beside the branch's 128 finest; and the mask itself, 1 MiB. Concatenated: both, the 513 channels of the two with
    the mask, and the convolution's 256, beside the same 128.
    """
    assert cost(meta("base"), 512).peak_activation_bytes == (5 * 256 + 128 + 1) * MIB
    concatenated = meta("base", blending="concat", branch="partial")
    assert cost(concatenated, 512).peak_activation_bytes == (2 * 256 + 513 + 256 + 128) * MIB


class Attending(nn.Module):
    """A network with attention in both of the ways that PyTorch has fused kernels for."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.attention(x, x, x, need_weights=False)[0]
        return functional.scaled_dot_product_attention(found, found, found)


@pytest.mark.reference
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("training", [True, False])
def test_attention_is_counted_whatever_kernel_computes_it(mode: type, training: bool) -> None:
    network, x, length, width = Attending().train(training), torch.randn(1, 16, 8), 16, 8

    def call() -> torch.Tensor:
        with mode():
            found: torch.Tensor = network(x)
        return found

    projections, products = 4 * length * width**2, 2 * 2 * length**2 * width
    found = cost_of_call(network, call)
    assert found.tera_flop == pytest.approx(2 * (projections + products) / 1e12, rel=1e-12)
    assert found.parameters == 4 * width**2 + 4 * width
    assert torch.backends.mha.get_fastpath_enabled()
