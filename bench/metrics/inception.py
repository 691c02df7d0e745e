"""The Inception network of 2015 as three packages use it, each with its own way to 299 pixels, from local weights.

LaMa, the paper's inpainting evaluation: advimman/lama at 786f593, saicinpainting/evaluation/losses/fid/inception.py.
torch-fidelity: toshas/torch-fidelity, feature_extractor_inceptionv3.py. clean-fid: GaParmar/clean-fid, resize.py and
inception_torchscript.py (Parmar et al., "On aliased resizing and surprising subtleties in GAN evaluation", 2022).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import BadInputError
from bench.metrics.known_region import to_uint8
from bench.metrics.local_weights import load_program, misfit, read_tensors
from bench.metrics.measure import Arrays, Extra

__all__ = ["CleanInception", "FidelityInception", "InceptionMeasure", "LamaInception"]

SIDE = 299
FEATURES = 2048
PORTED = "the Inception weights 6726825d of pytorch-fid or torch-fidelity"
"""The files of both packages' releases hold the same bytes, with SHA-256
6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2."""
NVIDIA = "NVIDIA's inception-2015-12-05.pt"
NVIDIA_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"


class InceptionNetwork(Protocol):
    """A network with features; where it also has `logits`, these are computed from features B×2048, as B×1008."""

    @property
    def protocol(self) -> Mapping[str, Any]: ...

    def to(self, device: torch.device | str) -> Self: ...

    def features(self, image: Tensor) -> Tensor: ...


def _fidelity_network(path: Path) -> nn.Module:
    """torch-fidelity's network, filled without its own loader, which would run what a pickle says.

    Raises:
        BadInputError: the file is missing or broken, or holds another network's weights.
    """
    tensors = read_tensors(path, PORTED)
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # takes seconds

    content = io.BytesIO()
    torch.save(tensors, content)
    content.seek(0)
    try:
        network: nn.Module = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=content)
    except RuntimeError as error:
        raise misfit(path, PORTED, error) from None
    return network.eval()


class LamaInception:
    """pytorch-fid's network behind LaMa's resizing, which does not smooth before it drops pixels."""

    protocol: Mapping[str, Any] = {
        "network": "Inception 2015-12-05, ported by pytorch-fid",
        "resize": "float in [0, 1], bilinear between pixels' centres, no antialiasing, 299",
        "range": "2x - 1",
    }

    def __init__(self, path: str | Path) -> None:
        """Load `pt_inception-2015-12-05-6726825d.pth`.

        Raises:
            BadInputError: the file is missing or broken, or holds another network's weights.
        """
        # Its parts stand in the order in which they are run, a linear head at the end.
        self._body = nn.Sequential(*list(_fidelity_network(Path(path)).children())[:-1])

    def to(self, device: torch.device | str) -> Self:
        self._body.to(device)
        return self

    def features(self, image: Tensor) -> Tensor:
        """Features B×2048 float32 of images B×3×H×W uint8."""
        x = image.to(_device(self._body)).float() / 255
        x = functional.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=False)
        features: Tensor = self._body(2 * x - 1).flatten(1)
        return features


class FidelityInception:
    """torch-fidelity's network with its resizing, which is TensorFlow 1's."""

    protocol: Mapping[str, Any] = {
        "network": "Inception 2015-12-05, ported by torch-fidelity",
        "resize": "bilinear of TensorFlow 1, from pixels' corners, no antialiasing, 299",
        "range": "(x - 128) / 128",
        "logits": "1008, without the bias",
    }

    def __init__(self, path: str | Path) -> None:
        """Load `weights-inception-2015-12-05-6726825d.pth`.

        Raises:
            BadInputError: the file is missing or broken, or holds another network's weights.
        """
        self._network: Any = _fidelity_network(Path(path))

    def to(self, device: torch.device | str) -> Self:
        self._network.to(device)
        return self

    def features(self, image: Tensor) -> Tensor:
        """Features B×2048 float32 of images B×3×H×W uint8."""
        (features,) = self._network(image.to(_device(self._network)))
        return features  # type: ignore[no-any-return]

    def logits(self, features: Tensor) -> Tensor:
        """Logits B×1008 of features B×2048, without the head's bias, as the Inception Score takes them."""
        logits: Tensor = features @ self._network.fc.weight.T
        return logits


class CleanInception:
    """NVIDIA's export of the network behind clean-fid's resizing (`mode="clean"`)."""

    protocol: Mapping[str, Any] = {
        "network": "Inception 2015-12-05, exported by NVIDIA",
        "resize": "Pillow's bicubic with antialiasing, each channel in float, not rounded, 299",
        "range": "(x - 128) / 128",
    }

    def __init__(self, path: str | Path, sha256: str = NVIDIA_SHA256) -> None:
        """Load `inception-2015-12-05.pt`.

        Args:
            path: of the file, a TorchScript program.
            sha256: of the only file that is run.

        Raises:
            BadInputError: the file is missing, or is not that one.
        """
        from cleanfid.resize import build_resizer

        path = Path(path)
        program = load_program(path, NVIDIA, sha256)
        if not hasattr(program, "layers"):
            raise BadInputError(f"{path}: expected {NVIDIA}, found a program without `layers`")
        self._body = program.layers
        self._resize = build_resizer("clean")

    def to(self, device: torch.device | str) -> Self:
        self._body.to(device)
        return self

    def features(self, image: Tensor) -> Tensor:
        """Features B×2048 float32 of images B×3×H×W uint8; each is resized on the CPU."""
        pixels = image.permute(0, 2, 3, 1).cpu().numpy()
        resized = np.stack([self._resize(one) for one in pixels]).transpose(0, 3, 1, 2)
        x = torch.from_numpy(np.ascontiguousarray(resized)).to(_device(self._body))
        features: Tensor = self._body((x - 128) / 128).view(len(image), FEATURES)
        return features


class InceptionMeasure:
    """Keeps `features` of truth and images, and `logits` of images where the network has them."""

    def __init__(self, network: InceptionNetwork) -> None:
        self.network = network
        self.protocol: Mapping[str, Any] = {"image": "uint8 RGB, truncated", **network.protocol, "version": 1}

    def to(self, device: torch.device | str) -> Self:
        self.network.to(device)
        return self

    def keep_truth(self, truth: Tensor) -> tuple[Arrays, None]:
        with torch.inference_mode():
            return {"features": self.network.features(truth).cpu().numpy()}, None

    def keep(self, image: Tensor, truth: Tensor, mask: Tensor, kept: None, extra: Extra) -> Arrays:
        with torch.inference_mode():
            features = self.network.features(to_uint8(image, rounding="truncate"))
            arrays = {"features": features.cpu().numpy()}
            logits = getattr(self.network, "logits", None)
            if logits is not None:
                arrays["logits"] = logits(features).cpu().numpy()
            return arrays


def _device(module: Any) -> torch.device:
    device: torch.device = next(module.parameters()).device
    return device
