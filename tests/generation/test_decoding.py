"""Tests of decoders as methods: strips on a simulated device with little memory, and compilation."""

import itertools
import logging
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

from bench.errors import BadInputError
from bench.generation import compiling, decoding
from bench.generation.compiling import check_compiler, check_mode, compile_forward, compile_network
from bench.generation.decoding import Decoded
from bench.generation.method import Batch
from bench.models import build_decoder

CPU = torch.device("cpu")
TINY = {"channels": (8, 16, 16, 16), "groups": 4}


def method(*, conditioned: bool = True) -> Decoded:
    torch.manual_seed(0)
    return Decoded(build_decoder("base", **TINY), conditioned=conditioned).to(CPU)


def batch(count: int, side: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(count)
    z = torch.randn(count, 4, side // 8, side // 8, generator=generator)
    image = torch.rand(count, 3, side, side, generator=generator) * 2 - 1
    return Batch(("item",) * count, z, image, (torch.rand(count, 1, side, side, generator=generator) > 0.5).float())


def with_encoded(known: Batch) -> Batch:
    """Return the batch with latents of the first stage that differ from the sampled ones."""
    return replace(known, encoded=known.z + 100, encoded_known=known.z - 100)


@pytest.mark.blackbox
def test_each_kind_of_latents_is_selected_by_its_name() -> None:
    given = with_encoded(batch(2))
    assert given.encoded is not None
    assert given.encoded_known is not None
    assert torch.equal(given.latents("sampled"), given.z)
    assert torch.equal(given.latents("encoded"), given.encoded)
    assert torch.equal(given.latents("encoded_known"), given.encoded_known)
    for missing, kinds in (("encoded", ("encoded", "spliced")), ("encoded_known", ("encoded_known",))):
        for kind in kinds:
            with pytest.raises(
                ValueError, match=f"latents={kind}: expected latents of this kind in the batch, found no such latents"
            ):
                replace(given, **{missing: None}).latents(kind)


@pytest.mark.reference
def test_spliced_latents_are_sampled_in_every_cell_that_the_hole_touches() -> None:
    """The expected cells are found by a loop over pictures of 24 × 40; one pixel at a corner makes a cell sampled."""
    z = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(2, 1, 24, 40)
    for row, column in ((0, 0), (7, 15), (8, 31), (23, 39)):
        mask[0, 0, row, column] = 1
    mask[1, 0, 8:16, 16:32] = 1  # exactly two cells
    given = with_encoded(Batch(("a", "b"), z, torch.zeros(2, 3, 24, 40), mask))
    assert given.encoded is not None
    found = given.latents("spliced")
    sampled = set()
    for item, row, column in itertools.product(range(2), range(3), range(5)):
        touched = any(
            mask[item, 0, y, x] for y in range(8 * row, 8 * row + 8) for x in range(8 * column, 8 * column + 8)
        )
        expected = (z if touched else given.encoded)[item, :, row, column]
        assert torch.equal(found[item, :, row, column], expected)
        sampled |= {(item, row, column)} if touched else set()
    assert sampled == {(0, 0, 0), (0, 0, 1), (0, 1, 3), (0, 2, 4), (1, 1, 2), (1, 1, 3)}


def short_of_memory(monkeypatch: pytest.MonkeyPatch, decoded: Decoded, largest: int) -> list[int | None]:
    """Let decoding fail with more than the given rows at once, and return a list of the rows that are tried."""
    tried: list[int | None] = []
    in_strips, forward = decoding.decode_in_strips, decoded.decoder.forward

    def whole(*given: torch.Tensor) -> torch.Tensor:
        tried.append(None)
        if largest < 64:
            raise torch.OutOfMemoryError("pretended")
        return forward(*given)

    def strips(*given: torch.Tensor, rows: int) -> torch.Tensor:
        tried.append(rows)
        if rows > largest:
            raise torch.OutOfMemoryError("pretended")
        return in_strips(*given, rows=rows)

    monkeypatch.setattr(decoded.decoder, "forward", whole)
    monkeypatch.setattr(decoding, "decode_in_strips", strips)
    return tried


@pytest.mark.blackbox
@pytest.mark.parametrize("conditioned", [True, False])
def test_an_image_that_does_not_fit_causes_decoding_in_strips(
    conditioned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decoded, one, more = method(conditioned=conditioned), batch(1), batch(3)
    expected = [decoded(one), decoded(more)]
    tried = short_of_memory(monkeypatch, decoded, 16)
    with caplog.at_level(logging.WARNING):
        found = [decoded(one), decoded(more)]
    assert tried == [None, 32, 16, 16]
    assert [record.getMessage() for record in caplog.records] == [
        "the device has too little memory to decode a whole image; images are now decoded in strips"
    ]
    assert max((a - b).abs().max() for a, b in zip(expected, found, strict=True)) <= 2e-5


@pytest.mark.blackbox
def test_several_images_that_do_not_fit_are_not_decoded_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = method()
    tried = short_of_memory(monkeypatch, decoded, 16)
    with pytest.raises(torch.OutOfMemoryError, match="pretended"):
        decoded(batch(2))
    assert (tried, decoded.strip_rows) == ([None], None)


@pytest.mark.blackbox
def test_an_image_too_large_for_the_thinnest_strips_raises_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = method()
    tried = short_of_memory(monkeypatch, decoded, 1)
    with pytest.raises(torch.OutOfMemoryError, match="pretended"):
        decoded(batch(1))
    assert tried == [None, 32, 16]


@pytest.mark.blackbox
def test_configured_strips_are_used_and_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = method()
    decoded.strip_rows = 1000
    tried = short_of_memory(monkeypatch, decoded, 32)
    decoded(batch(1))
    assert tried == [1000, 32]


@pytest.mark.blackbox
def test_other_decoders_have_no_strips() -> None:
    class Theirs(torch.nn.Module):
        def forward(self, *_: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("pretended")

    with pytest.raises(torch.OutOfMemoryError, match="pretended"):
        Decoded(Theirs(), conditioned=False)(batch(1))


@pytest.mark.blackbox
def test_memory_of_the_failed_attempt_is_freed_before_strips_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = {"count": 0}

    class Large:
        """Stand for a feature map that fills the memory."""

        def __init__(self) -> None:
            alive["count"] += 1

        def __del__(self) -> None:
            alive["count"] -= 1

    def whole(*_: torch.Tensor) -> torch.Tensor:
        held = Large()
        raise torch.OutOfMemoryError(f"pretended {held is None}")

    def strips(*_: torch.Tensor, rows: int) -> torch.Tensor:
        assert alive["count"] == 0
        return torch.zeros(1, 3, 64, 64)

    decoded = method()
    monkeypatch.setattr(decoded.decoder, "forward", whole)
    monkeypatch.setattr(decoding, "decode_in_strips", strips)
    decoded(batch(1))


@pytest.mark.blackbox
def test_cuda_graphs_without_a_gpu_are_refused() -> None:
    for mode in (None, "default", "max-autotune"):
        check_mode(mode, CPU)
    with pytest.raises(
        BadInputError, match=r"compile=reduce-overhead: expected a GPU, which CUDA graphs need, found .* cpu"
    ):
        check_mode("reduce-overhead", CPU)


@pytest.mark.blackbox
def test_a_missing_compiler_gives_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise RuntimeError("backend='inductor' raised:\nInvalidCxxCompiler: No working C++ compiler\n\nfurther")

    monkeypatch.setattr(compiling.torch, "compile", refuse)
    with pytest.raises(BadInputError) as found:
        check_compiler("default", CPU)
    expected = (
        "compile=default: expected that PyTorch can compile for the device cpu, found the error InvalidCxxCompiler: "
        "No working C++ compiler"
    )
    assert str(found.value) == expected


@pytest.mark.blackbox
@pytest.mark.slow
def test_any_number_of_decoders_can_be_compiled() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> object:
        compiled.append(graph)
        return graph.forward

    z = torch.zeros(2, 4, 8, 8)
    for _ in range(5):  # three forms each, of which PyTorch keeps eight for a class
        decoder = build_decoder("vanilla", channels=(8,), layers=1, groups=4).eval()
        compile_network(decoder, "default", backend=backend)
        before = len(compiled)
        for given in (z, z[:1], z[..., :4]):
            with torch.inference_mode():
                decoder(given)
        assert len(compiled) > before


@pytest.mark.blackbox
@pytest.mark.parametrize("as_tuple", [True, False])
def test_outputs_stay_valid_after_later_calls_with_graphs(as_tuple: bool) -> None:
    """Like CUDA graphs, the back end writes every output into the same memory."""

    class Doubling(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return (2 * x,) if as_tuple else UNet2DConditionOutput(2 * x)

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor], **__: object) -> object:
        memory = torch.empty(3)

        def replayed(*given: torch.Tensor) -> tuple[torch.Tensor]:
            return (memory.copy_(graph.forward(*given)[0]),)

        return replayed

    for mode, lasting in (("default", False), ("reduce-overhead", True)):
        network = Doubling()
        compile_forward(network, mode, backend=backend)
        with torch.inference_mode():
            first, second = (network(torch.full((3,), value)) for value in (1.0, 0.0))
        first, second = (first[0], second[0]) if as_tuple else (first.sample, second.sample)
        assert (first.tolist() == [2, 2, 2]) == lasting
        assert second.tolist() == [0, 0, 0]


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_real_missing_compiler_gives_one_message() -> None:
    program = (
        "import torch; from bench.generation.compiling import check_compiler as c; c('default', torch.device('cpu'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "CXX": "no-such-compiler"}, capture_output=True, text=True
    )
    *_, last = ran.stderr.strip().splitlines()
    assert ran.returncode == 1
    assert "BadInputError: compile=default: expected that PyTorch can compile for the device cpu, found " in last
    assert "compiler" in last


@pytest.mark.blackbox
@pytest.mark.slow
def test_a_compiled_decoder_gives_the_same_image_and_is_not_modified() -> None:
    check_compiler("default", CPU)
    decoded = method()
    batches = [batch(3), batch(2), batch(1)]
    expected, names = [decoded(one) for one in batches], list(decoded.decoder.state_dict())
    decoded.compile("default")
    assert max((decoded(one) - image).abs().max() for one, image in zip(batches, expected, strict=True)) <= 1e-4
    assert list(decoded.decoder.state_dict()) == names
    assert isinstance(decoded.decoder, type(build_decoder("base", **TINY)))
    assert decoded.decoder.condition_encoder is not None
