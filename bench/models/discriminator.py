"""The patch discriminator that decoders are trained against (Isola et al., 2017; D in the paper's appendix A).

The sizes are those of CompVis/taming-transformers (taming/modules/discriminator/model.py): a first level of 64
channels, and three further levels with batch normalisation. The network computes one logit for each patch of 70×70
pixels and has 2,765,633 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce

__all__ = ["GlobalBatchNorm2d", "PatchDiscriminator"]


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the items of all processes, so that the number of processes does not change the result.

    This layer works on any device. In evaluation mode or in a single process, it equals `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and distributed.is_available() and distributed.is_initialized()):
            return super().forward(input)
        x = input.float()
        count = x.new_full((1,), x.numel() / x.shape[1])
        sums: Tensor = all_reduce(  # type: ignore[no-untyped-call]
            torch.cat([x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), count])
        )
        total, squares = sums[:-1].chunk(2)
        mean = total / sums[-1]
        variance = squares / sums[-1] - mean.square()
        self._update_running(mean.detach(), variance.detach() * sums[-1].detach() / (sums[-1].detach() - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(input.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(variance, self.momentum or 0.0)


class PatchDiscriminator(nn.Module):
    """A network that tells, for each patch of an image, whether the patch is from a true picture or from a
    reconstruction.
    """

    def __init__(self, channels: int = 64, levels: int = 3) -> None:
        """Draw the weights of convolutions and the scales of normalisations from normal distributions.

        The mean is 0 for the weights and 1 for the scales. The standard deviation is 0.02 for both.

        Args:
            channels: number of channels of the first level. Each further level has twice as many channels as the level
                before it, but at most 8 × `channels`.
            levels: number of levels after the first level.
        """
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        width = channels
        for level in range(1, levels + 1):
            before, width = width, channels * min(2**level, 8)
            layers += [
                nn.Conv2d(before, width, 4, stride=2 if level < levels else 1, padding=1, bias=False),
                GlobalBatchNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, padding=1))
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)

    def forward(self, image: Tensor) -> Tensor:
        """Return one logit for each patch, B×1×h×w, of images B×3×H×W in [-1, 1].

        A positive logit means that the patch looks like a true picture. A negative logit means that it looks like a
        reconstruction.
        """
        return self.layers(image)  # type: ignore[no-any-return]
