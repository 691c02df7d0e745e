"""Checks that autoencoders decode the same latents if a leaderboard declares that they share a latent space.

One encoder makes the latents of a space. A decoder that was trained on the latents of another encoder gives meaningless
pictures without any error, even if the shapes agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.checking.inspection import Problem
from bench.config.schema import VaeSpec
from bench.models.autoencoders import KNOWN, LatentSpace, alike, described_space, imitates, same_encoder

__all__ = ["SharedSpace"]


@dataclass(frozen=True)
class SharedSpace:
    """The autoencoders of a leaderboard that share a latent space. Their files must not be missing or broken."""

    vaes: Mapping[str, VaeSpec]
    """The autoencoders by name, as in the configuration key `vaes`."""
    source: str
    """Name of the autoencoder whose encoder, or whose key `encoder`, makes the latents."""

    @property
    def encoder(self) -> Path:
        """Folder of the encoder that makes the latents."""
        spec = self.vaes[self.source]
        return Path(spec.encoder or spec.path)

    @property
    def others(self) -> Sequence[str]:
        """Names of the autoencoders except the one that makes the latents."""
        return [name for name in self.vaes if name != self.source]

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each autoencoder whose latents are not the latents of the space.

        An autoencoder has a problem if its latents have another size or another scaling. If the space is neither in
        `KNOWN` nor has statistics by channel, the weights of the encoders are compared too. Then an autoencoder also
        has a problem if its encoder has other weights than the encoder of the space.
        """
        base = self._space(self.source)
        for name in self.others:
            spec, key, found = self.vaes[name], f"vaes.{name}.space", self._space(name)
            if not alike(found, base):
                yield Problem(
                    spec.path,
                    f"expected latents like those of vaes.{self.source}, which has the same space ({_sizes(base)}), "
                    f"found others ({_sizes(found)})",
                    (key,),
                )
            elif not self._is_evident(base) and self._has_another_encoder(name):
                yield Problem(
                    spec.encoder or spec.path,
                    f"expected an encoder with the weights of {self.encoder}, which makes the latents of vaes."
                    f"{self.source} in the same space, found other weights",
                    (key, *([] if spec.encoder is None else [f"vaes.{name}.encoder"])),
                )

    def notes(self) -> list[str]:
        """Return a sentence for each autoencoder whose encoder has other weights than the encoder of the space."""
        return [
            f"{self.vaes[name].label}: its own encoder has other weights than that of {self.vaes[self.source].label}, "
            "which makes the latents"
            for name in self.others
            if self._has_another_encoder(name)
        ]

    def _space(self, name: str) -> LatentSpace:
        spec = self.vaes[name]
        return described_space(spec.path, space=spec.space, encoder=spec.encoder)

    @staticmethod
    def _is_evident(space: LatentSpace) -> bool:
        return space.name in KNOWN or bool(space.mean or space.deviation)

    def _has_another_encoder(self, name: str) -> bool:
        """Return True if the encoder of an autoencoder has other weights than the encoder of the space.

        Return False for an autoencoder that was trained on the latents of another one, if its key `encoder` is None.
        """
        spec = self.vaes[name]
        if spec.encoder is None and imitates(spec.path):
            return False
        return not same_encoder(Path(spec.encoder or spec.path), self.encoder)


def _sizes(space: LatentSpace) -> str:
    scaling = f"scale {space.scale:g}, shift {space.shift:g}"
    if space.mean or space.deviation:
        scaling += ", with means or deviations by channel"
    return f"{space.channels} channels, factor {space.factor}, {scaling}"
