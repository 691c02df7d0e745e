"""Pretraining of a text encoder. The encoder learns to recognise facts in captions, such as the colour of a shape.

The diffusion model is trained after this pretraining. Stable Diffusion's text encoder comes from CLIP, which was
trained on captions of pictures. If an encoder with random weights were trained together with a random UNet, the encoder
would hardly learn, because such a UNet cannot use the captions yet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel

from bench.data.mini.scenes import COLOURS, SHAPES, TEXTURES, Scene

__all__ = ["FACTS", "Naming", "named_facts"]

FACTS: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "texture": TEXTURES,
    "ground": tuple(COLOURS),
    "second_ground": tuple(COLOURS),
    "beside_shape": SHAPES,
    "beside_colour": tuple(COLOURS),
}
"""Facts that a caption may contain, with their possible values."""
UNSAID = -100
"""Label of a fact that a caption does not mention. Facts with this label have no effect on the loss."""


def named_facts(scene: Scene, text: str) -> list[int]:
    """Return one label for each fact in `FACTS`, such as the colour of the main shape.

    The label is the index of the fact's value among the possible values in `FACTS`. It is `UNSAID` if the caption does
    not mention the fact.

    Args:
        scene: the scene that the caption describes.
        text: the caption.
    """
    words = text.replace(",", "").split()
    main, others = scene.shapes[0], scene.shapes[1:]
    said = {
        "shape": main.kind,
        "colour": main.colour,
        "texture": scene.texture,
        "ground": scene.ground[0],
        "second_ground": scene.ground[1],
    }
    if others and f" and a {others[0].colour} {others[0].kind}" in text.replace(" an ", " a "):
        said |= {"beside_shape": others[0].kind, "beside_colour": others[0].colour}
    return [names.index(said[fact]) if said.get(fact) in words else UNSAID for fact, names in FACTS.items()]


class Naming(nn.Module):
    """A text encoder with one linear classifier for each fact in `FACTS`.

    The input of each classifier is the encoder's output for the end token of the caption.
    """

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        width = text_encoder.config.hidden_size
        self.readers = nn.ModuleDict({fact: nn.Linear(width, len(names)) for fact, names in FACTS.items()})

    def losses(self, ids: Tensor, facts: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy of each fact's classifier, a scalar. The keys are the names of the facts.

        Args:
            ids: captions as token indices B×L.
            facts: labels B×F of the captions, from `named_facts`.
        """
        summary = self.text_encoder(ids).pooler_output
        terms = {}
        for (fact, reader), target in zip(self.readers.items(), facts.unbind(1), strict=True):
            # The sum is divided by a count of at least one, so that the loss is 0 if no caption of the batch mentions
            # the fact.
            total = functional.cross_entropy(reader(summary).float(), target, ignore_index=UNSAID, reduction="sum")
            terms[fact] = total / (target != UNSAID).sum().clamp(min=1)
        return terms

    @torch.no_grad()
    def accuracy(self, ids: Tensor, facts: Tensor) -> float:
        """Return the fraction of facts that the classifiers recognise, in [0, 1].

        Only facts that a caption mentions are counted.

        Args:
            ids: captions as token indices B×L.
            facts: labels B×F of the captions, from `named_facts`.
        """
        summary = self.text_encoder(ids).pooler_output
        found = torch.stack([reader(summary).argmax(1) for reader in self.readers.values()], 1)
        return float((found == facts)[facts != UNSAID].float().mean())
