"""Teaches a text encoder to name what captions say, before a diffusion model listens to it.

Stable Diffusion's encoder comes from CLIP, which learned from pictures what captions say. A fresh one beside a fresh
UNet is hardly listened to: nothing pulls it towards what the UNet cannot read yet.
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
"""What a caption may say, with its possible values."""
UNSAID = -100
"""The label of a fact that a caption does not mention: it takes no part in the loss."""


def named_facts(scene: Scene, text: str) -> list[int]:
    """The value of each of the `FACTS` as its index, or `UNSAID`."""
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
    """A text encoder with a linear reader of its last token for each of the `FACTS`."""

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        width = text_encoder.config.hidden_size
        self.readers = nn.ModuleDict({fact: nn.Linear(width, len(names)) for fact, names in FACTS.items()})

    def losses(self, ids: Tensor, facts: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of each fact.

        Args:
            ids: captions as indices B×L.
            facts: B×F, as `named_facts` gives them.
        """
        summary = self.text_encoder(ids).pooler_output
        terms = {}
        for (fact, reader), target in zip(self.readers.items(), facts.unbind(1), strict=True):
            # A sum over a count of at least one: a batch whose captions do not mention it costs nothing.
            total = functional.cross_entropy(reader(summary).float(), target, ignore_index=UNSAID, reduction="sum")
            terms[fact] = total / (target != UNSAID).sum().clamp(min=1)
        return terms

    @torch.no_grad()
    def accuracy(self, ids: Tensor, facts: Tensor) -> float:
        """Share of all mentioned facts that are read correctly."""
        summary = self.text_encoder(ids).pooler_output
        found = torch.stack([reader(summary).argmax(1) for reader in self.readers.values()], 1)
        return float((found == facts)[facts != UNSAID].float().mean())
