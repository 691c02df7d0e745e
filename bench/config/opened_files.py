"""Finds the files that a loader opens in a folder of weights. Other files of the folder change no key of the store.

Downloaded folders often contain more than the weights that are used: a safety checker, previews, the same weights in
half precision or in another format. The rules are those of diffusers and transformers. A loader reads a variant such as
fp16 only if the folder has no weights without a variant. Among the remaining files, it prefers safetensors to pickled
weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["only_pickled", "opened_files", "opened_weights", "plain_files"]

IGNORED = (".lock", ".md", ".gitattributes")
"""Endings of the names of files that lie next to weights but are not part of the weights."""
PIPELINE = "model_index.json"
"""Name of a file by which the folder of a diffusion pipeline is recognised."""
PARTS = (
    "feature_extractor", "image_encoder", "scheduler", "text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer",
    "tokenizer_2", "tokenizer_3", "transformer", "unet", "vae",
)  # fmt: skip
"""Folders of a pipeline that a generator reads."""
CONFIG = "config.json"
"""Name of a file by which the folder of a network is recognised."""
WEIGHTS = re.compile(
    r"(?P<name>diffusion_pytorch_model|pytorch_model|model)(?P<variant>(\.\w+)*?)(-\d+-of-\d+)?"
    r"\.(?P<kind>safetensors|bin)(\.index(?P<index_variant>(\.\w+)*?)\.json)?"
)
"""Pattern of the names of a network's weights in the layout of diffusers and transformers, with shards and indices."""


def opened_files(folder: Path) -> list[Path]:
    """Return the files that a loader may open in a folder of weights and its subfolders.

    In a pipeline's folder, the files are `model_index.json` and the opened files of each subfolder in `PARTS`. In a
    network's folder, the files are `config.json` and one set of weights, or all files if no weights have a name that
    loaders know. In any other folder, the result is all files. Hidden files and files with an ending in `IGNORED` are
    always left out.
    """
    if (folder / PIPELINE).is_file():
        return [folder / PIPELINE, *(file for part in PARTS for file in opened_files(folder / part))]
    found = list(plain_files(folder))
    if not (folder / CONFIG).is_file():
        return found
    weights = {file: match for file in found if (match := WEIGHTS.fullmatch(file.name)) and file.parent == folder}
    if not weights:
        return found
    best = min(_rank(match) for match in weights.values())
    return [folder / CONFIG, *(file for file, match in weights.items() if _rank(match) == best)]


def opened_weights(folder: Path) -> list[Path]:
    """Return the weight files that a loader opens in a network's folder.

    If the weights are split into shards, the result includes the index of the shards. If no file in the folder has a
    name that loaders know, the result is empty.
    """
    return sorted(file for file in opened_files(folder) if file.parent == folder and WEIGHTS.fullmatch(file.name))


def only_pickled(folder: Path) -> bool:
    """Return True if a loader opens weights in a network's folder, and all of these weights are pickled.

    Diffusers must know in advance that it has to read pickled weights. Otherwise it first reports an error about absent
    safetensors, and then continues.
    """
    names = [file.name.removesuffix(".index.json") for file in opened_weights(folder)]
    return bool(names) and all(name.endswith(".bin") for name in names)


def plain_files(folder: Path) -> Iterator[Path]:
    """Yield all files at or below a folder, without hidden files and files with an ending in `IGNORED`."""
    for file in folder.rglob("*"):
        # Hidden files and folders next to weights, such as `.cache`, belong to download tools.
        hidden = any(name.startswith(".") for name in file.relative_to(folder).parts)
        if file.is_file() and not hidden and not file.name.endswith(IGNORED):
            yield file


def _rank(match: re.Match[str]) -> tuple[bool, bool, str]:
    """Return the rank of a file of weights. A loader reads the file with the smallest rank in its folder."""
    variant = match["variant"] or match["index_variant"] or ""
    return variant != "", match["kind"] != "safetensors", variant
