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
    """Return the local file or folder that a path or a hub id stands for.

    Args:
        name: a path; or a hub id whose files are in the local cache, `OWNER/NAME` or `OWNER/NAME@REVISION` with a
            commit, tag or branch.
        key: key in the configuration whose value is `name`, for the message.

    Raises:
        BadInputError: there is no such path and no such id in the local cache. The message says how to download a hub
            id.
    """
    path, hub = Path(name), HUB_ID.fullmatch(name)
    if path.exists():
        return path
    if hub is None:
        raise BadInputError(f"{key}: expected a folder, a checkpoint file or a hub id, found nothing at {name}")
    from huggingface_hub import snapshot_download  # imported here, because most runs name local files
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub["id"], revision=hub["revision"], local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):  # ValueError: not a valid id
        revision = f" --revision {hub['revision']}" if hub["revision"] else ""
        raise BadInputError(
            f"{key}: expected a folder, a checkpoint file or a hub id in the local cache, found nothing for {name}; "
            f"if this is a hub id, `hf download {hub['id']}{revision}` fetches it"
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
