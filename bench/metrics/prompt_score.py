"""The CLIP score of a text: how well a whole image fits the text from which it was made, according to CLIP.

The score is that of Hessel et al. ("CLIPScore: A reference-free evaluation metric for image captioning", 2021) with the
factor 100, as in torchmetrics: 100 times the cosine between the embeddings of image and text. Unlike Hessel et al.,
this module keeps a negative cosine and does not replace it by 0, because this would bias the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from bench.metrics.clip_score import OPENAI_SHA256, OpenCLIPEncoder, clip_config, clip_tensors
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.local_weights import misfit

__all__ = ["PromptScore", "TextEncoder"]


class TextEncoder:
    """The text encoder of a CLIP model that open_clip defines, with weights from a file on this machine."""

    def __init__(self, path: str | Path, model: str = "ViT-B-32-quickgelu", sha256: str = OPENAI_SHA256) -> None:
        """Load the weights.

        Args:
            path: path of OpenAI's `ViT-B-32.pt`, or of a state dict with open_clip's names.
            model: name of the architecture in open_clip.
            sha256: SHA-256 that the file must have if it is a TorchScript file, such as OpenAI's.

        Raises:
            BadInputError: the file is missing or broken, its weights do not fit `model`, or `model` is unknown.
        """
        import open_clip
        from open_clip.model import _build_text_tower

        path, config = Path(path), clip_config(model)
        tensors = clip_tensors(path, model, sha256)
        self._tower = _build_text_tower(config["embed_dim"], config["text_cfg"], config.get("quick_gelu", False))
        names = self._tower.state_dict().keys()
        try:
            self._tower.load_state_dict({name: tensors[name].float() for name in names if name in tensors})
        except RuntimeError as error:
            raise misfit(path, f"weights of CLIP {model}", error) from None
        self._tower.eval().requires_grad_(False)
        self._tokens = open_clip.SimpleTokenizer(context_length=self._tower.context_length)
        self._device = torch.device("cpu")

    def to(self, device: torch.device | str) -> Self:
        """Move the encoder to a device, and return the encoder."""
        self._tower.to(device)
        self._device = torch.device(device)
        return self

    def __call__(self, texts: list[str]) -> Tensor:
        """Return the embeddings B×d of B texts, float32. The tokenizer cuts off the end of a text that is too long."""
        embeddings: Tensor = self._tower(self._tokens(texts).to(self._device))
        return embeddings


class PromptScore(Measure):
    """A measure of `clip_prompt`: 100 times the cosine between the embeddings of an image and of its text.

    The value is NaN for an item without a text. The cosine is computed in float64.
    """

    without_truth = ("clip_prompt",)

    def __init__(self, path: str | Path, model: str = "ViT-B-32-quickgelu", sha256: str = OPENAI_SHA256) -> None:
        """Load both encoders in float32 from one file; see `TextEncoder` for the arguments and the errors."""
        self.images = OpenCLIPEncoder(path, model, "fp32", sha256)
        self.texts = TextEncoder(path, model, sha256)
        self.protocol: Mapping[str, Any] = {
            "image": "uint8 RGB, truncated; Pillow's bicubic to the shorter side, centre crop, then normalised",
            "resolution": self.images.resolution,
            "mean": list(self.images.mean),
            "std": list(self.images.std),
            "network": f"image and text tower of CLIP {model}, fp32",
            "version": 1,
        }

    def to(self, device: torch.device | str) -> Self:
        self.images.to(device)
        self.texts.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, dict[str, Tensor]]:
        return {}, {}

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: dict[str, Tensor], extra: Extra) -> Arrays:
        scores = np.full(len(image), np.nan)
        there = [place for place, text in enumerate(extra.captions) if text]
        if there:
            with torch.inference_mode():
                if "texts" not in kept:
                    kept["texts"] = self.texts([extra.captions[place] for place in there]).double()
                saved = to_uint8(image[there], rounding="truncate")
                shown = self.images(torch.stack([self._prepared(one) for one in saved])).double()
                scores[there] = 100 * functional.cosine_similarity(shown, kept["texts"]).cpu().numpy()
        return {"clip_prompt": scores}

    def _prepared(self, image: Tensor) -> Tensor:
        """Prepare an image for the image encoder with the steps of CLIP's preprocessing.

        Args:
            image: 3×H×W uint8.

        Returns:
            The resized, cropped and normalised image, 3×r×r float32, on the device of `image`.
        """
        side = self.images.resolution
        picture = Image.fromarray(image.permute(1, 2, 0).cpu().numpy())
        factor = side / min(picture.size)
        width, height = (side if size == min(picture.size) else int(factor * size) for size in picture.size)
        resized = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (round((size - side) / 2) for size in resized.size)
        pixels = np.asarray(resized.crop((left, top, left + side, top + side)))
        mean, std = (torch.tensor(list(values))[:, None, None] for values in (self.images.mean, self.images.std))
        normalised: Tensor = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - mean) / std
        return normalised.to(image.device)
