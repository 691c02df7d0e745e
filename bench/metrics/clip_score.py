"""The CLIP score: how similar the painted region is to the item's exemplar, according to CLIP.

The score is computed as in the benchmark of Paint-by-Example. The source is Fantasy-Studio/Paint-by-Example at 52a7e37:
eval_tool/clip_score/region_clip_score.py and test_bench_dataset.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.local_weights import is_program, load_program, misfit, read_tensors
from bench.runtime.copies import moved
from bench.runtime.defaults import with_defaults

__all__ = ["ClipScore", "ImageEncoder", "OpenCLIPEncoder", "clip_config", "clip_tensors", "hole_crop"]

OPENAI = "OpenAI's ViT-B-32.pt"
OPENAI_SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
INSIDE = ("input_resolution", "context_length", "vocab_size")
"""Names of the entries in OpenAI's file that are plain numbers and not weights."""


class ImageEncoder:
    """The interface of a network that computes embeddings of images.

    A class in external code does not have to inherit from this class. If such a class lacks `protocol` or `to`,
    `ClipScore` adds the member with its default from this class.
    """

    resolution: int
    """Height and width, in pixels, of the images that the network takes."""
    mean: Sequence[float]
    """Mean of each channel, which is subtracted from an image in [0, 1] before the division by `std`."""
    std: Sequence[float]

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Everything in the network that can change a score, as plain data, except weights and preprocessing.

        `resolution`, `mean` and `std` are left out, because `ClipScore` adds them to the protocol. The weights are left
        out, because a run adds their hashes.
        """
        return {}

    def to(self, device: torch.device | str) -> Any:
        """Move the network to a device, and return it."""
        return self

    def __call__(self, x: Tensor, /) -> Tensor:
        """Return embeddings B×d of normalised images B×3×r×r."""
        raise NotImplementedError


def hole_crop(hole: npt.NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the part of an image that is compared with the exemplar, as a slice of rows and a slice of columns.

    The crop is that of the released script. Pixels are ordered row by row. The crop begins at the hole's first pixel,
    and ends before the row and the column of the hole's last pixel. For a rectangular hole, the crop is therefore the
    hole without the last row and the last column. For any other shape, it is usually not the bounding box. If the last
    pixel lies to the left of the first pixel, the released script fails because its crop is empty. In this case, this
    function swaps the columns of the two pixels. The crop is always at least one pixel high and wide.

    Args:
        hole: H×W booleans, True in the hole.

    Returns:
        Slices of rows and columns; None if there is no hole.
    """
    places = np.flatnonzero(hole)
    if not len(places):
        return None
    (top, first), (bottom, last) = (divmod(int(place), hole.shape[1]) for place in (places[0], places[-1]))
    left, right = sorted((first, last))
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


class ClipScore(Measure):
    """A measure of `clip_score`: 100 times the cosine between the embeddings of the painted region and of the exemplar.

    The score is NaN for an item without an exemplar or without a hole. The released script computes the cosine in half
    precision, so that scores of the usual size are rounded to multiples of 1/16. This class computes the cosine in
    float64, from embeddings in the precision of the encoder.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        """Set the encoder. Its `protocol` becomes a part of the measure's protocol."""
        self.encoder: ImageEncoder = with_defaults(encoder, ImageEncoder)
        self.protocol = self._protocol()

    def _protocol(self) -> dict[str, Any]:
        encoder = self.encoder
        return {
            "image": "uint8 RGB, truncated; normalised, cropped, then bilinear without antialiasing",
            "crop": "from the hole's first to its last pixel in reading order, without the last row and column",
            "exemplar": "whole, Pillow's bicubic, then normalised",
            "resolution": encoder.resolution,
            "mean": list(encoder.mean),
            "std": list(encoder.std),
            **encoder.protocol,
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.encoder.to(device)
        self.protocol = self._protocol()  # the encoder's precision depends on the device
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, dict[str, Tensor]]:
        return {}, {}

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: dict[str, Tensor], extra: Extra) -> Arrays:
        holes = (mask[:, 0] > 0).cpu().numpy() if extra.holes is None else extra.holes
        crops = [hole_crop(hole) for hole in holes]
        pairs = [
            (index, crop, exemplar)
            for index, (crop, exemplar) in enumerate(zip(crops, extra.exemplars, strict=True))
            if crop is not None and exemplar is not None
        ]
        with torch.inference_mode():
            scores = torch.full((len(image),), torch.nan, dtype=torch.float64, device=image.device)
            if pairs:
                if "exemplars" not in kept:
                    exemplars = torch.stack([self._whole(exemplar) for _, _, exemplar in pairs])
                    kept["exemplars"] = self._embed(self._normalised(moved(exemplars, image.device)))
                    kept["places"] = moved(torch.tensor([index for index, _, _ in pairs]), image.device)
                normalised = self._normalised(to_uint8(image, rounding="truncate"))
                painted = self._embed(torch.stack([self._cropped(normalised[index], crop) for index, crop, _ in pairs]))
                cosines = functional.cosine_similarity(painted, kept["exemplars"])
                scores.index_copy_(0, kept["places"], 100 * cosines)
            return {"clip_score": scores}

    def _embed(self, images: Tensor) -> Tensor:
        return self.encoder(images).double()

    def _cropped(self, image: Tensor, crop: tuple[slice, slice]) -> Tensor:
        side = self.encoder.resolution
        region = image[:, crop[0], crop[1]].unsqueeze(0)
        return functional.interpolate(region, (side, side), mode="bilinear", align_corners=False, antialias=False)[0]

    def _whole(self, exemplar: npt.NDArray[np.uint8]) -> Tensor:
        """Resize an exemplar h×w×3 uint8 to the encoder's resolution r. The result is 3×r×r uint8, on the CPU."""
        side = self.encoder.resolution
        resized = np.array(Image.fromarray(exemplar).resize((side, side), Image.Resampling.BICUBIC))
        return torch.from_numpy(resized).permute(2, 0, 1)

    def _normalised(self, images: Tensor) -> Tensor:
        """Normalise images B×3×H×W uint8 with the encoder's mean and standard deviation of each channel."""
        statistics = torch.tensor([list(self.encoder.mean), list(self.encoder.std)])[:, :, None, None]
        mean, std = moved(statistics, images.device)
        normalised: Tensor = (images.float() / 255 - mean) / std
        return normalised


def clip_config(model: str) -> dict[str, Any]:
    """Return the settings of an architecture that open_clip defines.

    Args:
        model: name of the architecture in open_clip.

    Raises:
        BadInputError: open_clip does not define the architecture, or one of its two encoders is not part of open_clip.
    """
    import open_clip

    # For some other names, open_clip would read a file from a folder or download one from the Hugging Face Hub.
    config = open_clip.get_model_config(model) if model in open_clip.list_models() else None
    if config is None:
        raise BadInputError(f"model: expected a name that open_clip knows, such as ViT-B-32-quickgelu, found {model}")
    if elsewhere := config["text_cfg"].get("hf_model_name") or config["vision_cfg"].get("timm_model_name"):
        raise BadInputError(
            f"model: expected a CLIP model whose two encoders are part of open_clip, found {model}, which takes an "
            f"encoder from {elsewhere}"
        )
    found: dict[str, Any] = config
    return found


def clip_tensors(path: Path, model: str, sha256: str = OPENAI_SHA256) -> dict[str, Tensor]:
    """Return the weights of a CLIP model, with open_clip's names.

    Args:
        path: path of OpenAI's `ViT-B-32.pt`, or of a state dict with open_clip's names.
        model: name of the architecture in open_clip. It is used only in error messages.
        sha256: SHA-256 that the file must have if it is a TorchScript file, such as OpenAI's.

    Raises:
        BadInputError: the file is missing or broken, or it is a TorchScript file whose SHA-256 is not `sha256`.
    """
    if path.is_file() and is_program(path):
        return dict(load_program(path, OPENAI, sha256).state_dict())
    return read_tensors(path, f"weights of CLIP {model}")


class OpenCLIPEncoder(ImageEncoder):
    """The image encoder of a CLIP model that open_clip defines, with weights from a file on this machine."""

    def __init__(
        self,
        path: str | Path,
        model: str = "ViT-B-32-quickgelu",
        precision: str = "auto",
        sha256: str = OPENAI_SHA256,
    ) -> None:
        """Load the weights.

        Args:
            path: path of OpenAI's `ViT-B-32.pt`, or of a state dict with open_clip's names, saved as `.safetensors` or
                by `torch.save`.
            model: name of the architecture in open_clip. OpenAI's weights need an architecture with quick GELU.
            precision: `fp32`, `fp16` or `auto`. With `fp16`, everything except layer norms is computed in half
                precision, as in OpenAI's package on a GPU. `auto` is `fp16` on CUDA and `fp32` elsewhere.
            sha256: SHA-256 that the file must have if it is a TorchScript file, such as OpenAI's. Any other TorchScript
                file is refused, because loading it could run unknown code.

        Raises:
            BadInputError: the file is missing or broken; its weights do not fit `model`; or `model` or `precision` is
                unknown.
        """
        if precision not in ("auto", "fp16", "fp32"):
            raise BadInputError(f"precision: expected auto, fp16 or fp32, found {precision}")
        import open_clip  # imported here, because the import takes seconds
        from open_clip.model import _build_vision_tower

        path, config = Path(path), clip_config(model)
        tensors = clip_tensors(path, model, sha256)
        tower = {name.removeprefix("visual."): x for name, x in tensors.items() if name.startswith("visual.")}
        with torch.device("meta"):
            # With float16, open_clip uses layer norms that compute in float32; for float32 weights nothing changes.
            self._tower = _build_vision_tower(
                config["embed_dim"], config["vision_cfg"], config.get("quick_gelu", False), torch.float16
            )
        try:
            self._tower.load_state_dict(tower, assign=True)
        except RuntimeError as error:
            raise misfit(path, f"weights of CLIP {model}", error) from None
        self._tower.eval().requires_grad_(False)
        self.precision = precision
        self.resolution = int(self._tower.image_size[0])
        self.mean: Sequence[float] = open_clip.OPENAI_DATASET_MEAN
        self.std: Sequence[float] = open_clip.OPENAI_DATASET_STD
        self.network = f"image tower of CLIP {model}"
        self.to("cpu")

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The network's name and its precision on the current device, as plain data."""
        half = self._tower.conv1.weight.dtype == torch.float16
        return {"network": self.network, "precision": "fp16" if half else "fp32"}

    def to(self, device: torch.device | str) -> Self:
        """Move the encoder to a device, set the precision for this device, and return the encoder.

        Weights that were rounded to float16 before stay rounded, even if the new precision is float32.
        """
        from open_clip import convert_weights_to_lp

        self._tower.to(device).float()
        if self.precision == "fp16" or (self.precision == "auto" and torch.device(device).type == "cuda"):
            convert_weights_to_lp(self._tower, torch.float16)
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """Return the embeddings B×d of normalised images B×3×r×r.

        The embeddings have the encoder's precision and are on the encoder's device.
        """
        weight = self._tower.conv1.weight
        embeddings: Tensor = self._tower(x.to(weight.device, weight.dtype))
        return embeddings
