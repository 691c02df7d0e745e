"""A small convolutional classifier whose features are used for metrics of the mini profile or for the training loss.

It replaces Inception (pooled features for the Fréchet distance) and VGG (feature maps for the perceptual distance)
where these networks are not available. Metrics from this network are comparable only with one another, and reports say
this.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FeatureNetwork"]


class FeatureNetwork(nn.Module):
    """A convolutional network with one linear classifier, called a head, for each attribute of a picture.

    Each level has two convolutions. Between two levels, height and width are halved.
    """

    def __init__(self, widths: Sequence[int], heads: dict[str, int]) -> None:
        """Initialise with random weights.

        Args:
            widths: number of channels of each level, finest level first. The last number is also the length d of the
                pooled features.
            heads: a dictionary from the name of each attribute to the number of its classes.
        """
        super().__init__()
        self.widths = list(widths)
        self.head_sizes = dict(heads)
        self.levels = nn.ModuleList()
        in_width = 3
        for width in widths:
            self.levels.append(
                nn.Sequential(
                    nn.Conv2d(in_width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.Conv2d(width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                )
            )
            in_width = width
        self.heads = nn.ModuleDict({name: nn.Linear(in_width, outputs) for name, outputs in heads.items()})

    def maps(self, image: Tensor) -> list[Tensor]:
        """Return the feature maps of every level for images B×3×H×W in [-1, 1]. The finest map is first."""
        maps = []
        x = image
        for index, level in enumerate(self.levels):
            x = level(functional.avg_pool2d(x, 2) if index else x)
            maps.append(x)
        return maps

    def pooled(self, image: Tensor) -> Tensor:
        """Return features B×d of images B×3×H×W in [-1, 1]: the last feature map, averaged over all positions."""
        return self.maps(image)[-1].mean((2, 3))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Classify images B×3×H×W in [-1, 1].

        Returns:
            A dictionary from the name of each attribute to logits B×K, where K is the number of the attribute's
            classes.
        """
        features = self.pooled(image)
        return {name: head(features) for name, head in self.heads.items()}
