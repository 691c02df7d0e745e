"""CLIP's tokenizer, for checkpoint files without a tokenizer. The vocabulary comes from the package open_clip."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

__all__ = ["clip_tokenizer"]

SIZE = 49408
"""Number of tokens of CLIP's vocabulary."""
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
"""Text at the end of each token that ends a word."""
LENGTH = 77
"""Largest number of tokens of a text. This number includes the two tokens for the start and the end."""


def clip_tokenizer() -> Any:
    """Return the tokenizer that all CLIP models of OpenAI use, such as the text encoder of Stable Diffusion 1.

    The vocabulary has four groups of tokens in this order: the 256 bytes, the 256 bytes as the end of a word, the
    merged pairs in the order of open_clip's vocabulary file, and two special tokens. The tokens are numbered as in
    openai/CLIP at d05afc4, clip/simple_tokenizer.py. The vocabulary file is under the MIT licence.
    """
    from open_clip.tokenizer import bytes_to_unicode, default_bpe  # imported here, because it takes seconds
    from transformers import CLIPTokenizer

    characters = list(bytes_to_unicode().values())
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : SIZE - 2 * len(characters) - 1]]
    tokens = [*characters, *(f"{one}{WORD_END}" for one in characters), *map("".join, merges), START, END]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)
