"""`stage=fetch`: downloads what may be downloaded, at known commits and checked by SHA-256, and plans the rest.

No other stage downloads anything. A file or folder appears at its path whole or not at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.checking.assets import Asset
from bench.checking.inspection import Problem, incomplete
from bench.checking.report import gigabytes, report
from bench.checking.wanted import wanted
from bench.errors import BadInputError
from bench.results import Results
from bench.schema import Config
from bench.store import file_sha256

__all__ = ["fetch"]

OFFLINE = "HF_HUB_OFFLINE"
YES = ("1", "on", "yes", "true")
"""As huggingface_hub reads it."""
TIMEOUT = 60
"""Seconds without an answer."""


def fetch(config: Config, resolved: dict[str, Any], overrides: Sequence[str]) -> Results:
    """Download what an experiment lacks.

    Args:
        config: of the experiment, as `bench.config.typed` gives it.
        resolved: the same as plain data.
        overrides: as on the command line.

    Raises:
        BadInputError: something is still missing or wrong; the message is the plan to get it.
    """
    problems, failed = wanted(config, resolved, overrides), dict[str, str]()
    offline = os.environ.get(OFFLINE, "").lower() in YES
    for problem in problems:
        asset = problem.asset
        if offline or asset is None or asset.download is None or not problem.missing:
            continue
        print(f"{asset.name}: {_size(asset)} from {asset.source}", flush=True)
        try:
            _download(asset, Path(problem.place))
        except Exception as error:  # every client has kinds of its own for what the net does
            reason = (str(error) or type(error).__name__).splitlines()[0]
            failed[asset.name] = f"{problem.said}; the download failed: {reason}"
            continue
        print(f"{asset.name}: now at {problem.place}", flush=True)
    left = wanted(config, resolved, overrides) if problems and not offline else problems
    if not left:
        print(f"{config.name}: ready to be checked: all that it needs is there")
        return Results(Path(), 0)
    tail = [f"{OFFLINE} is set: nothing was downloaded."] if offline else []
    raise BadInputError(report(config.name, [_told(problem, failed) for problem in left], tail=tail))


def _told(problem: Problem, failed: dict[str, str]) -> Problem:
    reason = failed.get(problem.asset.name) if problem.asset is not None else None
    return problem if reason is None else replace(problem, said=reason)


def _size(asset: Asset) -> str:
    return "a download" if asset.gigabytes is None else gigabytes(asset.gigabytes * 1e9)


def _download(asset: Asset, target: Path) -> None:
    assert asset.download is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    if asset.download.url is not None:
        _download_file(asset.download.url, asset.expected_sha256, target)
    else:
        _download_folder(asset, target)


def _download_file(url: str, sha256: str | None, target: Path) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=".partial")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            shutil.copyfileobj(answer, file)
        found = file_sha256(partial)
        if sha256 is not None and found != sha256:
            raise ValueError(f"expected SHA-256 {sha256}, found {found} at {url}")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _download_folder(asset: Asset, target: Path) -> None:
    """What was downloaded before an interruption is kept beside the target, and not downloaded again."""
    from huggingface_hub import snapshot_download

    download = asset.download
    assert download is not None
    assert download.hub is not None
    if download.revision is None:
        raise ValueError(f"{asset.name}: no commit of {download.hub} is known")
    partial = target.with_name(f".{target.name}.partial")
    for patterns in (download.files, download.otherwise):
        if patterns and (not partial.is_dir() or any(incomplete(asset, partial))):
            snapshot_download(
                download.hub, revision=download.revision, local_dir=partial, allow_patterns=list(patterns)
            )
    absent = list(incomplete(asset, partial))
    if absent:
        raise ValueError(f"{download.hub} at {download.revision} has no {', '.join(absent)}")
    shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub's notes of what it downloaded
    os.replace(partial, target)
