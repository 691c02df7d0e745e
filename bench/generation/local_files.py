"""Local files of the models that a generator's settings name by a path or by an id of the Hugging Face hub."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BadInputError

__all__ = ["KEY", "TOKENIZER_KEY", "VAE_KEY", "locate", "located"]

KEY = "generator.pipeline"
TOKENIZER_KEY = "generator.tokenizer"
VAE_KEY = "generator.vae"
HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?")


def locate(name: str, key: str = KEY) -> Path:
    """Return the file or folder on this machine that a path or a hub id names.

    Args:
        name: a path or a hub id. A hub id is `OWNER/NAME` or `OWNER/NAME@REVISION`, and REVISION is a commit, tag or
            branch. The files of a hub id must be in the local cache, because nothing is downloaded.
        key: key in the configuration whose value is `name`, for the message.

    Raises:
        BadInputError: the path does not exist, and the local cache has no files of such a hub id. The message says how
            to download a hub id.
    """
    path, hub = Path(name), HUB_ID.fullmatch(name)
    if path.exists():
        return path
    if hub is None:
        raise BadInputError(
            f"{key}: expected a folder, a checkpoint file or a hub id, found {name}, which does not exist"
        )
    from huggingface_hub import snapshot_download  # imported here, because most runs name local files
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub["id"], revision=hub["revision"], local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):  # ValueError: not a valid id
        revision = f" --revision {hub['revision']}" if hub["revision"] else ""
        raise BadInputError(
            f"{key}: expected a folder, a checkpoint file, or a hub id whose files are in the local cache; found "
            f"{name}, which is none of these; if it is a hub id, `hf download {hub['id']}{revision}` fetches its files"
        ) from None


def located(generator: Mapping[str, Any]) -> dict[str, Any]:
    """Return a generator's configuration with local folders in place of hub ids.

    A hub id without a local copy stays unchanged.
    """
    found = dict(generator)
    for key in ("pipeline", "tokenizer", "vae"):
        if isinstance(found.get(key), str):
            with contextlib.suppress(BadInputError):  # the check reports it with all else that is missing
                found[key] = str(locate(found[key]))
    return found
