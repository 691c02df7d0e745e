"""Tests that users' own objects are checked against their contracts on one item before sampling."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.cli import main
from bench.errors import BadInputError
from bench.evaluation.contracts import check_generator, check_measure, check_method
from bench.evaluation.setup import Setup
from bench.generation.decoding import Decoded
from bench.generation.method import Batch, Method, as_method, made_beforehand
from bench.metrics.measure import Extra

pytestmark = pytest.mark.blackbox

SIDE = 16


def batch() -> Batch:
    z = torch.rand(1, 4, SIDE // 4, SIDE // 4)
    return Batch(("a",), z, torch.rand(1, 3, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE), z.clone(), z.clone())


class Made(nn.Module):
    """Decode by applying a function to the picture."""

    def __init__(self, make: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, z: Tensor, image: Tensor, mask: Tensor) -> Any:
        return self.make(z, image)


EXPECTED_IMAGE = "expected an image 1×3×16×16 from the decoder"
EXPECTED_FLOATS = "expected floating-point numbers roughly in [-1, 1] from the decoder"
NOT_FINITE = "expected finite values roughly in [-1, 1] from the decoder, found NaN or infinite values"
ELSEWHERE = "expected that the decoder makes its image on cpu, found an image on meta"
UNCHANGED = "expected that the decoder leaves its input {} unchanged, found a change"

BROKEN: dict[str, tuple[Callable[[Tensor, Tensor], Any], str]] = {
    "another size": (lambda z, x: x.repeat(1, 1, 2, 2), f"{EXPECTED_IMAGE}, found 1×3×32×32"),
    "another batch": (lambda z, x: x.repeat(2, 1, 1, 1), f"{EXPECTED_IMAGE}, found 2×3×16×16"),
    "no batch": (lambda z, x: x[0], f"{EXPECTED_IMAGE}, found 3×16×16"),
    "one channel": (lambda z, x: x[:, :1], f"{EXPECTED_IMAGE}, found 1×1×16×16"),
    "a number": (lambda z, x: x.mean(), f"{EXPECTED_IMAGE}, found a single number"),
    "nothing": (lambda z, x: None, "expected a tensor 1×3×16×16 from the decoder, found NoneType"),
    "a tuple": (lambda z, x: (x,), "expected a tensor 1×3×16×16 from the decoder, found tuple"),
    "an array": (lambda z, x: x.numpy(), "expected a tensor 1×3×16×16 from the decoder, found ndarray"),
    "bytes": (lambda z, x: (255 * x).byte(), f"{EXPECTED_FLOATS}, found uint8"),
    "integers": (lambda z, x: x.long(), f"{EXPECTED_FLOATS}, found int64"),
    "complex": (lambda z, x: x.to(torch.complex64), f"{EXPECTED_FLOATS}, found complex64"),
    "another device": (lambda z, x: x.to("meta"), ELSEWHERE),
    "NaN": (lambda z, x: x * float("nan"), NOT_FINITE),
    "infinity": (lambda z, x: x + float("inf"), NOT_FINITE),
    "its picture changed": (lambda z, x: x.mul_(0.5), UNCHANGED.format("image")),
    "its latents changed": (lambda z, x: x + 0 * z.add_(1).mean(), UNCHANGED.format("z")),
    "an error": (lambda z, x: x[7], "expected an image from the decoder, found IndexError: "),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_decoder_that_breaks_its_promise_is_named(name: str) -> None:
    make, said = BROKEN[name]
    with pytest.raises(BadInputError) as error:
        check_method("mine", Decoded(Made(make), conditioned=True), batch())
    assert str(error.value).startswith(f"rows.mine: {said}")
    assert "\n" not in str(error.value)


def test_a_decoder_with_other_arguments_is_named() -> None:
    with pytest.raises(
        BadInputError, match=r"^rows\.mine: expected an image from the decoder, found TypeError: .*forw"
    ):
        check_method("mine", Decoded(Made(lambda z, x: x), conditioned=False), batch())


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floating_point_numbers_become_float32(kind: torch.dtype) -> None:
    image = check_method("mine", Decoded(Made(lambda z, x: x.to(kind)), conditioned=True), batch())
    assert image.dtype == torch.float32


def test_a_method_whose_images_require_gradients_is_accepted() -> None:
    class Learned:
        training = ""

        def __call__(self, given: Batch) -> Tensor:
            return given.image * torch.ones((), requires_grad=True)

        def to(self, device: torch.device) -> "Learned":
            return self

    assert not check_method("mine", as_method(Learned()), batch()).requires_grad


def test_a_decoder_that_draws_random_numbers_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_method("mine", Decoded(Made(lambda z, x: torch.rand_like(x)), conditioned=True), batch())
    assert (
        "rows.mine: the decoder made two different images of the same item; their values differ by up to" in caplog.text
    )


EXPECTED_LATENTS = (
    "the method generator.sample(): expected latents of the shape 1×C×h×w, where h and w are equal and "
    f"{SIDE} is a multiple of them"
)


@dataclass
class Sized:
    """A generator of latents of two shapes."""

    sampled: Any
    encoded: Any = None

    def sample(self, items: Any, seed: int) -> Any:
        return self.sampled

    def encode(self, image: Tensor) -> Any:
        return torch.zeros(1, 4, 4, 4) if self.encoded is None else self.encoded

    def decodable(self, latents: Tensor) -> Tensor:
        return latents


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        (Sized(torch.zeros(1, 4, 5, 5)), f"{EXPECTED_LATENTS}, found 1×4×5×5"),
        (Sized(torch.zeros(2, 4, 4, 4)), f"{EXPECTED_LATENTS}, found 2×4×4×4"),
        (Sized(torch.zeros(4, 4)), f"{EXPECTED_LATENTS}, found 4×4"),
        (Sized(None), "the method generator.sample(): expected a tensor of the shape 1×C×h×w"),
        (Sized(torch.zeros(1, 4, 4, 4).long()), "the method generator.sample(): expected finite floating-point"),
        (Sized(torch.full((1, 4, 4, 4), torch.nan)),
         "the method generator.sample(): expected finite floating-point numbers, found values that are not finite"),
        (Sized(torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 2, 2)),
         "the method generator.encode(): expected latents of the shape 1×4×4×4, found 1×4×2×2"),
        (Sized(torch.zeros(1, 4, 4, 4), torch.zeros(1, 3, 4, 4)),
         "the method generator.encode(): expected latents of the shape 1×4×4×4, found 1×3×4×4"),
    ],
)  # fmt: skip
def test_latents_of_another_shape_are_named(generator: Sized, said: str) -> None:
    with pytest.raises(BadInputError) as error:
        check_generator(generator, SIDE, seed=0)
    assert str(error.value).startswith(said)


class Kept:
    """Keep given values as a measure."""

    def __init__(self, found: Any, truth: Any = None) -> None:
        self.protocol = {"kept": 1}
        self.found, self.of_truth = found, truth or {}

    def to(self, device: Any) -> "Kept":
        return self

    def keep_truth(self, truth: Tensor) -> Any:
        return self.of_truth, None

    def keep(self, image: Any, truth: Any, mask: Any, kept: Any, extra: Any) -> Any:
        return self.found


def checked(measure: Any, **spec: Any) -> None:
    image = torch.rand(2, 3, SIDE, SIDE)
    check_measure("mine", measure, spec, image, (255 * image).byte(), torch.ones(2, 1, SIDE, SIDE), Extra([None, None]))


EXPECTED_ARRAY = (
    "the array x from the method keep(): expected an array of 2 real values or 2 rows of features for 2 items"
)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"x": np.zeros(1)}, f"{EXPECTED_ARRAY}, found 1 of the type float64"),
        ({"x": np.float64(0)}, f"{EXPECTED_ARRAY}, found float64"),
        ({"x": torch.zeros(1)}, f"{EXPECTED_ARRAY}, found 1 of the type float32"),
        ({"x": torch.zeros(2, 3, 4)}, f"{EXPECTED_ARRAY}, found 2×3×4 of the type float32"),
        ({"x": torch.zeros(2, dtype=torch.bfloat16)}, "a dictionary of numpy arrays or tensors, found TypeError"),
        ({"x": [0.0, 0.0]}, f"{EXPECTED_ARRAY}, found list"),
        ({"x": np.zeros((2, 3, 4))}, f"{EXPECTED_ARRAY}, found 2×3×4 of the type float64"),
        ({"x": np.zeros(2, complex)}, f"{EXPECTED_ARRAY}, found 2 of the type complex128"),
        ({"x": np.array(["a", "b"])}, f"{EXPECTED_ARRAY}, found 2 of the type <U1"),
        ({"x": np.full((2, 3), np.nan)}, "the array x from the method keep(): expected finite features"),
        ({"x": np.full(2, np.inf)}, "the array x from the method keep(): expected finite values, or NaN for an item"),
        (np.zeros(2), "expected that the method keep() returns a dictionary of numpy arrays or tensors, found ndarray"),
        ({"y": np.zeros(2)}, "keep() returns the array x with one value for each item, found y (values)"),
        ({}, "expected that the method keep() returns the array x with one value for each item, found no array"),
    ],
)  # fmt: skip
def test_a_measure_that_breaks_its_promise_is_named(found: Any, said: str) -> None:
    with pytest.raises(BadInputError) as error:
        checked(Kept(found), metrics={"x": {}})
    assert said in str(error.value)
    assert str(error.value).startswith("metrics.measures.mine.measure: ")


def test_a_set_metric_without_its_features_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"returns the array f with one row of features for each item, found x \("):
        checked(Kept({"x": np.zeros(2)}), set_metrics={"fid": "f"})


def test_a_measure_without_values_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        checked(Kept({"x": np.full(2, np.nan)}), metrics={"x": {}})
    assert "metrics.measures.mine.measure: the array x from the method keep(): the value is NaN" in caplog.text


DECODER = """
from torch import nn
class Doubled(nn.Module):
    def forward(self, z, image, mask):
        return image.repeat(1, 1, 2, 2)
"""
ROW = """
# @package rows.mine
label: Mine
method:
  _target_: bench.generation.decoding.Decoded
  conditioned: true
  decoder: {_target_: doubled_decoder.Doubled}
"""


def test_a_run_names_a_wrong_decoder_before_anything_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "doubled_decoder.py").write_text(DECODER)
    (tmp_path / "row").mkdir()
    (tmp_path / "row" / "mine.yaml").write_text(ROW.lstrip())
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["--config-dir", str(tmp_path), "experiment=table2_inpaint_imagenet", "row=[stablediffusion,mine]"]
    small = ["limit=2", "generator.steps=1", "device=cpu"]
    places = [f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}", f"out={tmp_path / 'out'}"]
    assert main([*words, *small, *places]) == 2
    assert (
        "bench: rows.mine: expected an image 1×3×64×64 from the decoder, found 1×3×128×128" in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "store" / "latents").exists()


def test_a_method_that_cannot_be_moved_to_a_device_is_named() -> None:
    with pytest.raises(
        BadInputError, match=r"^rows\.mine\.method: expected an object with the method to\(device\), found"
    ):
        Setup._moved(SimpleNamespace(device="cpu"), "a text", "rows.mine.method", Method)  # type: ignore[arg-type]


def test_a_method_of_its_own_prepares_whether_it_inherits_or_not() -> None:
    class Inherits(Method):
        def prepare(self, items: object, work: object) -> None: ...

    @dataclass(frozen=True)
    class Stands:
        name: str = "alone"

        def prepare(self, items: object, work: object) -> None: ...

    @dataclass(frozen=True)
    class Plain:
        name: str = "plain"

    inherits, stands, plain = Inherits(), as_method(Stands()), as_method(Plain())
    assert made_beforehand(inherits) == [inherits]
    assert made_beforehand(stands) == [stands]
    assert made_beforehand(plain) == made_beforehand(Method()) == []
    assert (plain.origin, plain.training, plain.decodes) == ("", "", False)
