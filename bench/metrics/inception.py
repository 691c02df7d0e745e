"""A measure that computes the features and logits of the Inception network of 2015, for FID and Inception Score.

Packages that report FID resize images in different ways. Each of these ways is called a flavour, and
`bench.metrics.networks.inception_input` defines them. The weights come from local files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.measure import Arrays, Extra, Measure
from bench.metrics.networks.inception import FEATURES, InceptionNetwork
from bench.metrics.networks.inception_input import FLAVOURS
from bench.metrics.networks.local_weights import is_program, load_program, misfit, read_tensors

__all__ = ["LOGITS_OF", "InceptionMeasure", "load_inception"]

PORTED = "the Inception weights 6726825d of pytorch-fid or torch-fidelity"
"""Description of the weight file in messages. Both packages publish the same file, with the SHA-256
6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2."""
NVIDIA = "NVIDIA's inception-2015-12-05.pt"
NVIDIA_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
LOGITS_OF = "torchfidelity"
"""Name of the flavour whose features give the logits for the Inception Score."""


class Network(Protocol):
    """The interface of a network that computes features B×2048 of images B×3×299×299 in [-1, 1].

    A network may also have a method `logits`, which computes logits B×1008 from these features.
    """

    def to(self, device: torch.device | str) -> Any: ...

    def __call__(self, image: Tensor, /) -> Tensor: ...


def load_inception(path: str | Path) -> InceptionNetwork:
    """Load Inception from `pt_inception-2015-12-05-6726825d.pth`, or from torch-fidelity's copy of this file.

    Args:
        path: path of the weight file.

    Raises:
        BadInputError: the file is missing or broken, or its weights are not those of this network.
    """
    path = Path(path)
    tensors = read_tensors(path, PORTED)
    try:
        return InceptionNetwork(tensors)
    except RuntimeError as error:
        raise misfit(path, PORTED, error) from None


class Exported(nn.Module):
    """The Inception network of 2015, loaded from the TorchScript program that NVIDIA published and clean-fid uses."""

    def __init__(self, path: Path, sha256: str) -> None:
        """Load the file `inception-2015-12-05.pt`.

        Args:
            path: path of the file.
            sha256: SHA-256 that the file must have.

        Raises:
            BadInputError: the file is missing, its SHA-256 is not `sha256`, or the program has no submodule `layers`.
        """
        super().__init__()
        program = load_program(path, NVIDIA, sha256)
        if not hasattr(program, "layers"):
            raise BadInputError(f"{path}: expected {NVIDIA}, found a program without the submodule layers")
        self.layers = program.layers

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.layers(image).view(len(image), FEATURES)
        return features


class InceptionMeasure(Measure):
    """A measure of Inception's features of the true images and of the images of a row, with one array for each flavour.

    Each array of features has the name of its flavour. If `torchfidelity` is one of the flavours, the measure also
    returns the `logits` of the row's images. One network processes the images of all flavours in one batch.
    """

    def __init__(self, path: str | Path, flavours: Sequence[str] = ("lama",), sha256: str = NVIDIA_SHA256) -> None:
        """Load the network.

        Args:
            path: path of `pt_inception-2015-12-05-6726825d.pth`, or of torch-fidelity's copy of this file. If `clean`
                is the only flavour, it can also be the path of NVIDIA's TorchScript program `inception-2015-12-05.pt`.
            flavours: names of one or more flavours: `lama`, `torchfidelity` or `clean`.
            sha256: SHA-256 that NVIDIA's program must have. Any other program is refused.

        Raises:
            BadInputError: the file is missing or broken; it does not contain the expected network; a flavour is
                unknown; or there is no flavour.
        """
        path = Path(path)
        self.flavours = {name: FLAVOURS[name] for name in flavours if name in FLAVOURS}
        if not flavours or len(self.flavours) < len(flavours):
            raise BadInputError(
                f"flavours: expected some of {', '.join(FLAVOURS)}, found {', '.join(flavours) or 'an empty list'}"
            )
        exported = path.is_file() and is_program(path)
        if exported and list(flavours) != ["clean"]:
            raise BadInputError(f"{path}: expected {PORTED} for {', '.join(flavours)}, found a TorchScript program")
        self.network: Network = Exported(path, sha256) if exported else load_inception(path)
        self.protocol: Mapping[str, Any] = {
            "image": "uint8 RGB, truncated",
            "network": f"Inception 2015-12-05, {'exported by NVIDIA' if exported else 'ported by pytorch-fid'}",
            "flavours": {name: dict(flavour.protocol) for name, flavour in self.flavours.items()},
            "version": 2,
        }
        self._device = torch.device("cpu")

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        self._device = torch.device(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, None]:
        return self.features(truth), None

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: None, extra: Extra) -> Arrays:
        with torch.inference_mode():
            found = self.features(to_uint8(image, rounding="truncate"))
            if LOGITS_OF in found:
                assert isinstance(self.network, InceptionNetwork)
                found["logits"] = self.network.logits(found[LOGITS_OF])
            return found

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the features of images in each flavour.

        Args:
            image: images B×3×H×W uint8.

        Returns:
            A dictionary from the name of each flavour to features B×2048 float32.
        """
        with torch.inference_mode():
            image = image.to(self._device)
            prepared = torch.cat([flavour.prepare(image) for flavour in self.flavours.values()])
            return dict(zip(self.flavours, self.network(prepared).chunk(len(self.flavours)), strict=True))
