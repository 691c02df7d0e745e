"""Tests of the trial of a decoder: each fault gives one line, and a decoder without faults gives none."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import bench
from bench.errors import BadInputError
from bench.models import build_decoder

pytestmark = pytest.mark.blackbox


class Enlarged(nn.Module):
    """A decoder that enlarges the latents and changes the result."""

    def __init__(self, factor: int = 4, after: Callable[[Tensor], Any] = lambda image: image) -> None:
        super().__init__()
        self.colours = nn.Conv2d(4, 3, 1)
        self.factor, self.after = factor, after
        nn.init.zeros_(self.colours.bias)
        nn.init.normal_(self.colours.weight, std=0.4, generator=torch.Generator().manual_seed(0))

    def forward(self, z: Tensor) -> Any:
        return self.after(functional.interpolate(self.colours(z), scale_factor=self.factor))


def drop_some(image: Tensor) -> Tensor:
    return functional.dropout(image)


def less_the_mean_of_the_batch(image: Tensor) -> Tensor:
    return image - image.mean() * 10


def fail(image: Tensor) -> Tensor:
    raise ValueError("no image today")


FAULTS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "tuple": (lambda image: (image,), r"^call: expected a tensor .*, found tuple; return \[0\] .* 2×3×64×64"),
    "none": (lambda image: None, "^call: expected a tensor 2×3×64×64 from the decoder, found NoneType"),
    "gray": (lambda image: image[:, :1], "^call: expected an image 2×3×64×64 from the decoder, found 2×1×64×64"),
    "NaN": (lambda image: image * torch.nan, "^finite: expected finite values, found that 24,576 of 24,576 values"),
    "infinite": (lambda image: image / 0, "^finite: expected finite values, found that 24,576 of 24,576"),
    "uint8": (lambda image: (image.sigmoid() * 255).byte(), "^call: expected floating-point numbers .*, found uint8"),
    "unit": (torch.sigmoid, r"^range: expected values .* \[-1, 1\], found .* seem to be in \[0, 1\]; 2 \* image - 1"),
    "bytes": (lambda image: image.sigmoid() * 255, r"^range: expected .* seem to be in \[0, 255\]; image / 127\.5 - 1"),
    "wide": (lambda image: image * 100, r"^range: expected values .* \[-1, 1\], found values from -?[\d.]+ to [\d.]+"),
    "device": (lambda image: image.to("meta"), "^call: expected that .* its image on cpu, found an image on meta$"),
    "error": (fail, r"^call: .* 2×3×64×64 for z 2×4×16×16, found ValueError: no image today \(.*test_.*\.py:\d+\)$"),
    "exit": (lambda image: exit(3), "^call: expected an image .*, found SystemExit: 3"),
    "random": (drop_some, "^repeated: expected equal images from equal inputs, found a difference of"),
    "batch": (less_the_mean_of_the_batch, "^alone: expected the same image of an item alone and in a batch, found"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_that_says_what_was_found(name: str) -> None:
    after, said = FAULTS[name]
    trial = bench.try_decoder(Enlarged(after=after))
    assert not trial.ok
    assert re.search(said, trial.problems[0]), trial.problems
    assert len(trial.problems) == (2 if name == "random" else 1)
    assert all("\n" not in problem for problem in trial.problems)


def test_a_wrong_size_is_said_for_the_first_factor() -> None:
    trial = bench.try_decoder(Enlarged(factor=2))
    assert trial.problems == [
        "call: expected an image 2×3×64×64 from the decoder, found 2×3×32×32 (the factors 4 and 8 were tried)"
    ]
    assert trial.factor is None
    assert bench.try_decoder(Enlarged(factor=2), factor=2).ok


@pytest.mark.parametrize(("factor", "profile"), [(4, "mini"), (8, "paper")])
def test_a_decoder_without_faults_has_no_problem(factor: int, profile: str) -> None:
    module = Enlarged(factor).eval()
    trial = bench.try_decoder(module)
    assert trial.ok
    assert (trial.factor, trial.conditioned, trial.problems) == (factor, False, [])
    assert f"factor {factor}, as in the profile {profile}" in str(trial)
    assert trial.costs["parameters"] == 4 * 3 + 3
    assert trial.costs["tera_flop"] == 2 * 12 * (64 // factor) ** 2 / 1e12
    assert f"{12 * (64 // factor) ** 2:,} multiply–adds" in str(trial)
    assert trial.costs["seconds_per_image"] > 0


def test_the_trial_leaves_the_module_and_the_random_state_as_they_were() -> None:
    module = nn.Sequential(nn.Conv2d(4, 3, 1), nn.BatchNorm2d(3), nn.Dropout(), nn.Upsample(scale_factor=4)).train()
    state, random = {name: one.clone() for name, one in module.state_dict().items()}, torch.random.get_rng_state()
    trial = bench.try_decoder(module)
    assert trial.ok
    assert "training; a run uses a copy in evaluation mode" in str(trial)
    assert module.training
    assert all(torch.equal(state[name], one) for name, one in module.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())


def test_a_norm_that_uses_the_batch_even_in_evaluation_mode_is_found() -> None:
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    (problem,) = bench.try_decoder(nn.Sequential(nn.Conv2d(4, 3, 1), norm, nn.Upsample(scale_factor=4))).problems
    assert problem.startswith("alone: ")


def test_weights_in_half_precision_are_named() -> None:
    trial = bench.try_decoder(Enlarged().half())
    assert not trial.ok
    assert "float16, while the latents of a run are float32" in str(trial)
    assert "RuntimeError" in trial.problems[0]


def test_a_module_on_several_devices_or_without_values_is_refused() -> None:
    assert bench.try_decoder(Enlarged().to("meta")).problems == [
        "call: expected weights on one device that stores values, found weights on meta"
    ]
    mixed = nn.Sequential(nn.Conv2d(4, 3, 1), nn.Conv2d(3, 3, 1, device="meta"))
    assert "found weights on cpu and meta" in bench.try_decoder(mixed).problems[0]


def changing(z: Tensor) -> Tensor:
    return functional.interpolate(z.add_(1)[:, :3], scale_factor=4)


def test_a_changed_input_is_found() -> None:
    assert bench.try_decoder(changing).problems == [
        "call: expected that the decoder leaves its input z unchanged, found a change"
    ]


def test_the_use_of_the_mask_is_tested() -> None:
    def right(z: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        return image * (1 - mask)

    def turned(z: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        return image * mask

    def blind(z: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        return functional.interpolate(z[:, :3], image.shape[-2:])

    assert bench.try_decoder(right).ok
    assert bench.try_decoder(right).conditioned
    known, hidden = bench.try_decoder(turned).problems
    assert known.endswith("perhaps the decoder inverts the mask, which is 1 in the hole")
    assert hidden.startswith(
        "hidden: expected that pixels in the hole do not change the image, found a change of up to"
    )
    assert bench.try_decoder(blind).problems == ["known: expected that known pixels change the image, found no change"]


@pytest.mark.parametrize("conditioned", [True, False])
def test_a_decoder_of_this_project_has_no_problem(conditioned: bool) -> None:
    decoder = build_decoder("base", channels=(8, 8, 8), layers=1, groups=2, conditioned=conditioned)
    trial = bench.try_decoder(decoder)
    assert trial.ok, str(trial)
    assert (trial.conditioned, trial.factor) == (conditioned, 4)


def test_a_whole_autoencoder_is_refused_with_a_hint() -> None:
    class Autoencoder(nn.Module):
        post_quant_conv = None

        def decode(self, z: Tensor) -> Tensor:
            return z

    (problem,) = bench.try_decoder(Autoencoder()).problems
    assert problem.endswith("found Autoencoder, a whole autoencoder; its attribute decoder is such a decoder")


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        (3, {}, "module: expected a module or a function, found int"),
        (
            Enlarged,
            {},
            "module: expected a module or a function, found the class Enlarged; pass an object of this class",
        ),
        (changing, {"factor": 0}, "factor: expected a whole number of 1 or more, found 0"),
        (changing, {"latent_channels": 4.0}, "latent_channels: expected a whole number of 1 or more, found 4.0"),
        (changing, {"batch_size": 1}, "batch_size: expected a whole number of 2 or more, found 1"),
        (changing, {"resolution": 60}, "resolution: expected a multiple of the factor 8, found 60"),
        (
            changing,
            {"device": "gpu7"},
            "device: expected a device that exists and stores values, such as cpu, found gpu7 (",
        ),
    ],
)
def test_a_wrong_argument_is_refused(module: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError) as error:
        bench.try_decoder(module, **arguments)
    assert str(error.value).startswith(said)


def test_the_trial_is_shown_as_html_in_a_notebook() -> None:
    shown = bench.try_decoder(lambda z: z)._repr_html_()
    assert shown.startswith("<pre>&lt;lambda&gt;: 1 problem\n")
