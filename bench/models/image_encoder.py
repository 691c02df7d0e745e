"""A small encoder for pictures of single objects. The mini profile uses it in place of CLIP to compare pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from bench.errors import BadInputError
from bench.models.checkpoints import CONFIG, WEIGHTS, load_weights, network_settings, save_network
from bench.models.feature_network import FeatureNetwork

__all__ = ["ImageEncoder", "load_image_encoder", "save_image_encoder"]

EMBEDDING = "embedding"


class ImageEncoder(nn.Module):
    """A convolutional network that maps a picture to an embedding. Only the embedding's direction is meaningful."""

    def __init__(
        self,
        widths: Sequence[int],
        *,
        dimension: int = 64,
        resolution: int = 32,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        """Initialise with random weights.

        Args:
            widths: number of channels of each level, finest level first.
            dimension: length d of the embedding.
            resolution: side of the pictures in pixels.
            mean: for each colour channel, the value that the caller subtracts from a picture in [0, 1].
            std: for each colour channel, the value by which the caller divides after the subtraction.
        """
        super().__init__()
        self.dimension, self.resolution = dimension, resolution
        self.mean, self.std = tuple(mean), tuple(std)
        self.network = FeatureNetwork(widths, {EMBEDDING: dimension})

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings B×d of pictures B×3×r×r that the caller has normalised with `mean` and `std`.

        The embeddings do not have unit length.
        """
        embedding: Tensor = self.network(x)[EMBEDDING]
        return embedding


def save_image_encoder(net: ImageEncoder, folder: Path) -> None:
    """Write an image encoder's sizes and weights to a folder."""
    sizes = {
        "widths": net.network.widths,
        "dimension": net.dimension,
        "resolution": net.resolution,
        "mean": list(net.mean),
        "std": list(net.std),
    }
    save_network(net, folder, {"_class_name": "ImageEncoder", **sizes})


def load_image_encoder(folder: str | Path) -> ImageEncoder:
    """Read an image encoder that `save_image_encoder` wrote, in float32.

    Raises:
        BadInputError: the folder, its sizes or its weights are missing, broken or inconsistent.
    """
    folder = Path(folder)
    settings = network_settings(folder)
    sizes = {name: value for name, value in settings.items() if not name.startswith("_")}
    try:
        net = ImageEncoder(**sizes)
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInputError(
            f"{folder / CONFIG}: expected the sizes of an image encoder, found missing or wrong values ({error})"
        ) from None
    load_weights(net, folder / WEIGHTS)
    return net.eval()
