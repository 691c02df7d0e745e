"""How much the painted region looks like its exemplar to CLIP, as Paint-by-Example's benchmark measures it.

Fantasy-Studio/Paint-by-Example at 52a7e37: eval_tool/clip_score/region_clip_score.py and test_bench_dataset.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.local_weights import is_program, load_program, misfit, read_tensors
from bench.metrics.measure import Arrays, Extra

__all__ = ["ClipScore", "ImageEncoder", "OpenCLIPEncoder", "hole_crop"]

OPENAI = "OpenAI's ViT-B-32.pt"
OPENAI_SHA256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
INSIDE = ("input_resolution", "context_length", "vocab_size")
"""Numbers among the tensors of OpenAI's files."""


class ImageEncoder(Protocol):
    """Called with normalised images B×3×r×r; returns embeddings B×d."""

    @property
    def resolution(self) -> int: ...

    @property
    def mean(self) -> Sequence[float]:
        """What is subtracted from each channel of an image in [0, 1] before it is divided by `std`."""

    @property
    def std(self) -> Sequence[float]: ...

    def to(self, device: torch.device | str) -> Any: ...

    def __call__(self, x: Tensor, /) -> Tensor: ...


def hole_crop(hole: npt.NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Rows and columns that are compared with the exemplar; None where there is no hole.

    They lie between the first and the last pixel of the hole in reading order, without the last's row and column. Of a
    rectangle that is all but its last row and column. Of any other shape it is not the bounding box: it spans the
    columns of those two pixels only. Where the last lies left of the first, the released script fails on an empty crop;
    here their columns are swapped. Each side is one pixel at least.

    Args:
        hole: H×W.
    """
    places = np.flatnonzero(hole)
    if not len(places):
        return None
    (top, first), (bottom, last) = (divmod(int(place), hole.shape[1]) for place in (places[0], places[-1]))
    left, right = sorted((first, last))
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


class ClipScore:
    """Keeps `clip_score`: 100 · cosine of the two embeddings; NaN for an item without exemplar or without hole.

    The released script computes the cosine in half precision, in steps of 1/16 at the values in question; here it is
    computed in float64 from embeddings of the encoder's precision.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        """Take the encoder; where it has a `protocol`, that becomes part of the measure's."""
        self.encoder = encoder

    @property
    def protocol(self) -> Mapping[str, Any]:
        encoder = self.encoder
        return {
            "image": "uint8 RGB, truncated; normalised, cropped, then bilinear without antialiasing",
            "crop": "from the hole's first to its last pixel in reading order, without the last row and column",
            "exemplar": "whole, Pillow's bicubic, then normalised",
            "resolution": encoder.resolution,
            "mean": list(encoder.mean),
            "std": list(encoder.std),
            **getattr(encoder, "protocol", {}),
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.encoder.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, dict[str, Tensor]]:
        return {}, {}

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: dict[str, Tensor], extra: Extra) -> Arrays:
        crops = [hole_crop(hole) for hole in (mask[:, 0] > 0).cpu().numpy()]
        pairs = [
            (index, crop, exemplar)
            for index, (crop, exemplar) in enumerate(zip(crops, extra.exemplars, strict=True))
            if crop is not None and exemplar is not None
        ]
        scores = np.full(len(image), np.nan)
        if pairs:
            with torch.inference_mode():
                if "exemplars" not in kept:
                    kept["exemplars"] = self._embed([self._whole(exemplar, image) for _, _, exemplar in pairs])
                saved = to_uint8(image, rounding="truncate")
                painted = self._embed([self._cropped(saved[index], crop) for index, crop, _ in pairs])
                cosines = functional.cosine_similarity(painted, kept["exemplars"])
                scores[[index for index, _, _ in pairs]] = 100 * cosines.cpu().numpy()
        return {"clip_score": scores}

    def _embed(self, images: list[Tensor]) -> Tensor:
        return self.encoder(torch.stack(images)).double()

    def _cropped(self, image: Tensor, crop: tuple[slice, slice]) -> Tensor:
        side = self.encoder.resolution
        region = self._normalised(image)[:, crop[0], crop[1]].unsqueeze(0)
        return functional.interpolate(region, (side, side), mode="bilinear", align_corners=False, antialias=False)[0]

    def _whole(self, exemplar: npt.NDArray[np.uint8], like: Tensor) -> Tensor:
        side = self.encoder.resolution
        resized = np.array(Image.fromarray(exemplar).resize((side, side), Image.Resampling.BICUBIC))
        return self._normalised(torch.from_numpy(resized).permute(2, 0, 1).to(like.device))

    def _normalised(self, image: Tensor) -> Tensor:
        statistics = (self.encoder.mean, self.encoder.std)
        mean, std = (torch.tensor(list(values), device=image.device)[:, None, None] for values in statistics)
        return (image.float() / 255 - mean) / std


class OpenCLIPEncoder:
    """The image tower of one of open_clip's CLIP models, from a weight file on this machine."""

    def __init__(
        self,
        path: str | Path,
        model: str = "ViT-B-32-quickgelu",
        precision: str = "auto",
        sha256: str = OPENAI_SHA256,
    ) -> None:
        """Load the weights.

        Args:
            path: OpenAI's `ViT-B-32.pt`, or a state dict (`.safetensors`, or of `torch.save`) with open_clip's names.
            model: open_clip's name of the architecture. OpenAI's weights want one with quick GELU.
            precision: `fp32`; `fp16`, as OpenAI's package computes on a GPU: everything but layer norms in half
                precision; or `auto`, which is `fp16` on CUDA and `fp32` elsewhere.
            sha256: of the only TorchScript file, as OpenAI's are, that is opened.

        Raises:
            BadInputError: the file is missing or broken, or holds other weights; or model or precision are unknown.
        """
        if precision not in ("auto", "fp16", "fp32"):
            raise BadInputError(f"precision: expected auto, fp16 or fp32, found {precision}")
        import open_clip  # takes seconds

        config = open_clip.get_model_config(model)
        if config is None:
            raise BadInputError(
                f"model: expected a name that open_clip knows, such as ViT-B-32-quickgelu, found {model}"
            )
        path = Path(path)
        what = f"weights of CLIP {model}"
        if path.is_file() and is_program(path):
            tensors = dict(load_program(path, OPENAI, sha256).state_dict())
        else:
            tensors = read_tensors(path, what)
        tower = {name.removeprefix("visual."): x for name, x in tensors.items() if name.startswith("visual.")}
        with torch.device("meta"):
            # Told of half precision, open_clip keeps its layer norms in float32; without, they change nothing.
            self._tower = open_clip.CLIP(**config, cast_dtype=torch.float16).visual
        try:
            self._tower.load_state_dict(tower, assign=True)
        except RuntimeError as error:
            raise misfit(path, what, error) from None
        self._tower.eval().requires_grad_(False)
        self.precision = precision
        self.resolution = int(self._tower.image_size[0])
        self.mean: Sequence[float] = open_clip.OPENAI_DATASET_MEAN
        self.std: Sequence[float] = open_clip.OPENAI_DATASET_STD
        self.network = f"image tower of CLIP {model}"
        self.to("cpu")

    @property
    def protocol(self) -> Mapping[str, Any]:
        """With the precision that it computes in where it is now."""
        half = self._tower.conv1.weight.dtype == torch.float16
        return {"network": self.network, "precision": "fp16" if half else "fp32"}

    def to(self, device: torch.device | str) -> Self:
        """Move it, and set its precision for that device; weights once rounded to half precision stay so."""
        from open_clip import convert_weights_to_lp

        self._tower.to(device).float()
        if self.precision == "fp16" or (self.precision == "auto" and torch.device(device).type == "cuda"):
            convert_weights_to_lp(self._tower, torch.float16)
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """Embeddings B×d, in the encoder's precision, of normalised images B×3×r×r on its device."""
        weight = self._tower.conv1.weight
        embeddings: Tensor = self._tower(x.to(weight.device, weight.dtype))
        return embeddings
