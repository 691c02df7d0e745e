"""Initial weights of decoders: those of a smaller decoder, linear last layers, and a branch that copies known pixels.

The decoder's last normalisation divides by statistics of the whole picture, including the hole. If a normalisation
group has few channels, as in the mini profile, these statistics differ from picture to picture, and known pixels cannot
be copied exactly. The function `start_readout` chooses weights of the last layers with which known pixels can be
copied, for two reasons. First, silu(u) - silu(-u) = u, so the difference between two channels with opposite signs is
linear. Second, two channels with large constant values determine the variance of their group almost alone, so that the
other channels of the group hardly change this variance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from bench.data.imagenet_train import TrainingItem
from bench.errors import BadInputError
from bench.models.decoder import Decoder, DecoderConfig
from bench.models.first_stage import FirstStage
from bench.models.layers import PartialConv2d, mask_guided_blend
from bench.models.widen import check_widening, widen
from bench.training.mini.fit import seeded
from bench.training.trainer import posterior_noise

__all__ = ["check_start", "examples_of", "start_branch", "start_readout", "started_decoder"]

COLOURS = 3
EXAMPLES, EXAMPLES_AT_ONCE = 512, 64
"""Number of pictures from which the initial weights of a branch are computed, and number of pictures in one batch."""
COPY_STEPS, COPY_RATE, COPY_AT_ONCE = 1000, 0.2, 16
"""Number of steps, learning rate and batch size with which the branch's finest convolution is fitted.

The fit takes only seconds, because only the last layers run.
"""

Example = tuple[Tensor, Tensor, Tensor]
"""A batch of examples: latents B×C×h×w, pictures B×3×H×W in [-1, 1] and masks B×1×H×W, 1 = hole."""


def check_start(start: DecoderConfig, sizes: DecoderConfig) -> None:
    """Require that a decoder can start with the weights of another decoder.

    Args:
        start: sizes of the decoder whose weights are used.
        sizes: sizes of the decoder that starts with these weights.

    Raises:
        BadInputError: the latents of the two decoders differ in the number of channels or in the spatial factor; the
            decoders have normalisation groups of different sizes; the decoder of `sizes` has fewer channels or layers
            than the decoder of `start`; or only the decoder of `start` has a branch.
    """
    if (start.latent_channels, start.factor) != (sizes.latent_channels, sizes.factor):
        raise BadInputError(
            f"start: expected a decoder of latents with {sizes.latent_channels} channels and the factor "
            f"{sizes.factor}, like those of the first stage, found one of latents with {start.latent_channels} "
            f"channels and the factor {start.factor}; start=null starts from random weights"
        )
    try:
        check_widening(start, sizes)
    except ValueError as error:
        raise BadInputError(f"start: {error}; start=null starts from random weights") from error


@dataclass(frozen=True)
class StartedDecoder:
    """A decoder with its initial weights, before its first update."""

    decoder: Decoder
    pretrained: frozenset[str] = frozenset()
    """Names of the parameters that have a counterpart in the decoder from which this one started."""


def started_decoder(
    sizes: DecoderConfig,
    start: Decoder | None,
    *,
    seed: int,
    device: torch.device,
    examples: Iterable[Example] = (),
) -> StartedDecoder:
    """Create a decoder with its initial weights.

    Args:
        sizes: sizes of the new decoder.
        start: decoder whose weights are used. It must not be larger than the new decoder. With these weights, the new
            decoder makes the same images as `start`, with the exceptions that `bench.models.widen.widen` states;
            `start_branch` may then change some of the weights. None for random weights.
        seed: seed of the random weights.
        device: device on which the new decoder is placed.
        examples: batches from which `start_branch` computes weights of a new branch. They are used only if `start` is
            a decoder without a branch, and the new decoder has a branch that blends by addition. If there is no batch,
            `start_branch` changes nothing.

    Raises:
        BadInputError: the sizes do not allow the new decoder to start from `start`.
    """
    with seeded(seed, "decoder", "weights"):
        decoder = Decoder(sizes)
    if start is None:
        return StartedDecoder(decoder.to(device))
    check_start(start.config, sizes)
    widen(start, decoder)
    decoder.training_note = start.training_note
    decoder.to(device)
    if decoder.condition_encoder is not None and start.condition_encoder is None and sizes.blending == "add":
        start_branch(decoder, examples)
    return StartedDecoder(decoder, frozenset(start.state_dict()))


def examples_of(
    data: Dataset[TrainingItem], first_stage: FirstStage, *, seed: int, device: torch.device
) -> Iterator[Example]:
    """Yield the first 512 items of a run in batches of 64. Their latents contain the noise that the run draws for them.

    Args:
        data: the training items, by position in the run.
        first_stage: the first stage, which makes the latents.
        seed: seed of the run.
        device: device on which the batches are placed.
    """
    for first in range(0, EXAMPLES, EXAMPLES_AT_ONCE):
        positions = range(first, first + EXAMPLES_AT_ONCE)
        items = [data[position] for position in positions]
        images = torch.stack([item["image"] for item in items]).to(device)
        masks = torch.stack([item["mask"] for item in items]).to(device)
        noise = posterior_noise(first_stage.noise_shape(images), seed, positions)
        yield first_stage.latents(images, noise), images, masks


@torch.no_grad()
def start_readout(decoder: Any, *, constant: float) -> None:
    """Set the last layers of a new decoder so that they compute the three colours linearly from their input channels.

    Each normalisation group then has a pair of channels for each colour, and two channels with large constant values.
    The module's docstring explains why.

    Args:
        decoder: decoder with diffusers' names. The bias of the last convolution in its last residual block, and the
            weights and the bias of `conv_out`, are changed in place.
        constant: absolute value of the two constants in each group. It must be far larger than the features, which are
            about 1.

    Raises:
        ValueError: a group has fewer than eight channels.
    """
    norm, readout, last = decoder.conv_norm_out, decoder.conv_out, decoder.up_blocks[-1].resnets[-1].conv2
    size = norm.num_channels // norm.num_groups
    if size < 2 * COLOURS + 2:
        raise ValueError(
            f"the last normalisation of the decoder: expected groups of {2 * COLOURS + 2} channels or more, found "
            f"{size}"
        )
    deviation = constant * (2 / size) ** 0.5
    nn.init.zeros_(readout.weight)
    nn.init.zeros_(readout.bias)
    for first in range(0, norm.num_channels, size):
        for colour in range(COLOURS):
            for channel, sign in ((first + 2 * colour, 1), (first + 2 * colour + 1, -1)):
                readout.weight[colour, channel, 1, 1] = sign * deviation / norm.num_groups
        last.bias[first + 2 * COLOURS], last.bias[first + 2 * COLOURS + 1] = constant, -constant


def start_branch(decoder: Decoder, examples: Iterable[Example]) -> None:
    """Initialise a new branch so that the decoder copies known pixels.

    First, each 3×3 kernel of the last convolution is changed: its centre weight becomes the sum of its nine weights,
    and the other eight weights become 0. The convolution then reads only one position for each pixel, so that values in
    the hole do not change the known pixels next to the hole. Areas of one colour are decoded as before, and the
    training can change the kernels again. Second, the branch's finest convolution gets the weights that predict the
    decoder's finest features from the picture with the least squared error. Starting from these weights, this
    convolution is fitted so that the decoder reproduces the known pixels.

    Args:
        decoder: decoder with a branch. `conv_out` and `condition_encoder.layers[0]` are changed in place.
        examples: batches of latents, pictures and masks. Without any batch, nothing is changed.
    """
    assert decoder.condition_encoder is not None
    layer = decoder.condition_encoder.layers[0]
    assert isinstance(layer, nn.Conv2d)
    seen = [(*example, _finest_features(decoder, *example)) for example in examples]
    if not seen:
        return
    with torch.no_grad():
        taps = decoder.conv_out.weight.sum((2, 3))
        nn.init.zeros_(decoder.conv_out.weight)
        decoder.conv_out.weight[:, :, 1, 1] = taps
        _predict(layer, [(picture, own) for _, picture, _, (own, _) in seen])
    _, pictures, masks, features = zip(*seen, strict=True)
    _fit_copy(
        decoder, layer, torch.cat(pictures), torch.cat(masks), torch.cat([with_mask for _, with_mask in features])
    )


@torch.no_grad()
def _finest_features(decoder: Decoder, z: Tensor, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return two outputs of the decoder's finest level, each B×C×H×W: first without the mask, then with the mask.

    These are the features before the last blending step.
    """
    found: list[Tensor] = []
    hook = decoder.up_blocks[-1].register_forward_hook(lambda _, inputs, output: found.append(output))
    decoder(z)
    decoder(z, picture, mask)
    hook.remove()
    return found[0], found[1]


def _predict(layer: nn.Conv2d, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Set a 3×3 convolution to predict features from pictures, with the least squared error over all pixels.

    Args:
        layer: the convolution, which is changed in place.
        pairs: batches, each of pictures B×3×H×W and of their features B×C×H×W.
    """
    inner = outer = torch.zeros((), dtype=torch.float64)
    for picture, features in pairs:
        patches = functional.unfold(picture, 3, padding=1)
        inputs = torch.cat([patches, torch.ones_like(patches[:, :1])], 1).transpose(1, 2).flatten(0, 1).double()
        target = features.flatten(2).transpose(1, 2).flatten(0, 1).double()
        inner, outer = inner + inputs.T @ inputs, outer + inputs.T @ target
    solution = torch.linalg.lstsq(inner, outer).solution.T.to(layer.weight.dtype)
    layer.weight.copy_(solution[:, :-1].reshape(layer.weight.shape))
    assert layer.bias is not None
    layer.bias.copy_(solution[:, -1])


def _fit_copy(decoder: Decoder, layer: nn.Conv2d, pictures: Tensor, masks: Tensor, features: Tensor) -> None:
    """Fit the branch's finest convolution so that the decoder reproduces the known pixels.

    Args:
        decoder: decoder whose last layers are used. Nothing in it is changed except `layer`.
        layer: the branch's finest convolution, which is changed in place.
        pictures: N×3×H×W in [-1, 1].
        masks: N×1×H×W, 1 = hole.
        features: N×C×H×W, the decoder's finest features, which stay fixed.
    """
    known = 1 - masks
    parameters = list(layer.parameters())
    optimizer = torch.optim.Adam(parameters, lr=COPY_RATE)
    for step in range(COPY_STEPS):
        optimizer.param_groups[0]["lr"] = COPY_RATE * (1 - step / COPY_STEPS)
        chosen = [(step * COPY_AT_ONCE + index) % len(pictures) for index in range(COPY_AT_ONCE)]
        picture, mask, seen = pictures[chosen], masks[chosen], known[chosen]
        copied = layer(picture * seen, seen) if isinstance(layer, PartialConv2d) else layer(picture * seen)
        blended = mask_guided_blend(features[chosen], copied, mask)
        output = decoder.conv_out(functional.silu(decoder.conv_norm_out(blended)))
        loss = ((output - picture) * seen).square().sum() / seen.sum().clamp(min=1)
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
    layer.zero_grad(set_to_none=True)
