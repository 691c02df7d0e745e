"""Programs that find and read text: an interface, and the one in this project, PP-OCRv6 small as RapidOCR packages it.

The weights are files of the package rapidocr (RapidAI/RapidOCR, Apache License 2.0), which runs them with ONNX Runtime.
Nothing is downloaded. PP-OCR is described by Du et al., "PP-OCR: A Practical Ultra Lightweight OCR System" (2020).
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.data.words import Word
from bench.store import file_sha256

__all__ = ["RapidReader", "Reading", "TextReader"]

Pixels = npt.NDArray[np.uint8]

RECOGNISER, DETECTOR = "PP-OCRv6_rec_small.onnx", "PP-OCRv6_det_small.onnx"
HEIGHT, WIDTH = 48, 160
"""Height and width in pixels of the recogniser's input. A crop is scaled to the height and padded to the width."""
TOGETHER = 16
"""Largest number of crops that are read at once. With more, the recogniser needs more memory and is not faster."""
LEAST_SIDE = 736
"""Length in pixels to which the shorter side of a smaller picture is scaled before text is searched in it."""
LONGEST = 1536
"""Largest length in pixels to which the longer side of a picture is scaled up before text is searched in it. The sides
of a long, narrow picture are scaled by a smaller factor than `LEAST_SIDE` alone would give, but never down."""
STEP = 32
"""Smallest length in pixels of a side that the detector accepts. A narrower picture is padded by its last pixels."""


@dataclass(frozen=True)
class Reading:
    """The text that a recogniser reads in a crop."""

    text: str
    """The text; empty if the recogniser sees none."""
    score: float
    """Mean probability of the letters, in [0, 1]; 0 without letters."""


class TextReader(ABC):
    """The interface of a program that finds and reads text."""

    protocol: Mapping[str, Any]
    """Everything that can change a reading, as plain data, with the SHA-256 of the weights."""

    @abstractmethod
    def read(self, crops: Sequence[Pixels]) -> list[Reading]:
        """Return the reading of each crop h×w×3, uint8 RGB. It does not depend on which other crops are given."""

    @abstractmethod
    def find(self, picture: Pixels) -> list[Word]:
        """Return the boxes of the words or lines in a picture H×W×3, uint8 RGB. Their texts are empty."""


class RapidReader(TextReader):
    """The detector and the recogniser of RapidOCR, on the CPU.

    The recogniser pads every crop to the same width. RapidOCR's own width is 320 pixels; with 160, a reading takes half
    of the time. A longer crop is read alone, at its own width, because the width would otherwise depend on which crops
    are read together.
    """

    def __init__(self) -> None:
        """Find the weights. The networks are loaded when they are first used.

        Raises:
            ModuleNotFoundError: rapidocr or onnxruntime is not installed.
        """
        import onnxruntime  # noqa: F401  imported here, so that a missing package is noticed before any work
        import rapidocr  # noqa: F401

        models = Path(str(files("rapidocr"))) / "models"
        self._recogniser, self._detector = models / RECOGNISER, models / DETECTOR
        self.protocol: Mapping[str, Any] = {
            "recogniser": RECOGNISER,
            "recogniser_sha256": file_sha256(self._recogniser),
            "detector": DETECTOR,
            "detector_sha256": file_sha256(self._detector),
            "rapidocr": version("rapidocr"),
            "recogniser_input": [HEIGHT, WIDTH],
            "detector_side": LEAST_SIDE,
            "detector_longest": LONGEST,
        }

    def read(self, crops: Sequence[Pixels]) -> list[Reading]:
        from rapidocr.ch_ppocr_rec import TextRecInput

        found: dict[int, Reading] = {}
        for places in _groups(crops):
            seen = TextRecInput(img=[np.ascontiguousarray(crops[place][..., ::-1]) for place in places])
            output = self._recognition(seen)
            found |= {
                place: Reading(text, float(score))
                for place, text, score in zip(places, output.txts, output.scores, strict=True)
            }
        return [found[place] for place in range(len(crops))]

    def find(self, picture: Pixels) -> list[Word]:
        longer = max(picture.shape[:2])
        least = math.ceil(STEP * min(1, longer / LONGEST))
        more = [(0, max(0, least - side)) for side in picture.shape[:2]]
        padded = np.pad(picture[..., ::-1], [*more, (0, 0)], mode="edge")
        self._detection.limit_side_len = min(LEAST_SIDE, LONGEST * min(padded.shape[:2]) // longer)
        boxes = self._detection(np.ascontiguousarray(padded)).boxes
        return [] if boxes is None else [_upright(box, picture.shape) for box in boxes]

    @cached_property
    def _recognition(self) -> Any:
        from rapidocr.ch_ppocr_rec import TextRecognizer

        own = {"lang_type": "ch", "rec_img_shape": [3, HEIGHT, WIDTH], "rec_batch_num": TOGETHER, "font_path": None}
        return TextRecognizer(self._settings(self._recogniser, "Rec", own))

    @cached_property
    def _detection(self) -> Any:
        from rapidocr.ch_ppocr_det import TextDetector

        return TextDetector(self._settings(self._detector, "Det", {"limit_side_len": LEAST_SIDE}))

    def _settings(self, path: Path, part: str, own: Mapping[str, Any]) -> Any:
        """Return RapidOCR's settings of a network, with a session that computes with as many threads as PyTorch.

        Args:
            path: file of the network.
            part: name of the network's section in RapidOCR's configuration.
            own: settings that replace those of the section.
        """
        import onnxruntime
        from omegaconf import OmegaConf
        from rapidocr.utils.typings import EngineType

        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave PyTorch the cores
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        section = OmegaConf.select(OmegaConf.load(str(files("rapidocr") / "config.yaml")), part)
        given = {**own, "engine_type": EngineType.ONNXRUNTIME, "session": session}
        return OmegaConf.create({**section, **given}, flags={"allow_objects": True})


def _groups(crops: Sequence[Pixels]) -> list[list[int]]:
    """Return the indices of crops that are read together: at most `TOGETHER` short ones, or a single long one."""
    long = [place for place, crop in enumerate(crops) if crop.shape[1] * HEIGHT > crop.shape[0] * WIDTH]
    short = [place for place in range(len(crops)) if place not in set(long)]
    groups = [short[start : start + TOGETHER] for start in range(0, len(short), TOGETHER)]
    return [*groups, *([place] for place in long)]


def _upright(box: npt.NDArray[np.float64], shape: Sequence[int]) -> Word:
    """Return the upright box around a box with four corners.

    Args:
        box: columns and rows of the corners, 4×2.
        shape: height and width of the picture.
    """
    left, top = (int(np.clip(np.floor(box[:, axis].min()), 0, shape[1 - axis] - 1)) for axis in (0, 1))
    right, bottom = (int(np.clip(np.ceil(box[:, axis].max()), 1, shape[1 - axis])) for axis in (0, 1))
    return Word("", left, top, max(right, left + 1), max(bottom, top + 1), max(bottom - top, 1))
