"""The stage `fetch`, which downloads missing files.

It downloads repositories at known commits, and it verifies the SHA-256 of single files if it is known. It lists the
files that the user must get by hand. No other stage downloads anything. A file or folder appears at its path only after
its download is complete.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.checking.assets import Asset
from bench.checking.inspection import Problem, incomplete
from bench.checking.report import gigabytes, report
from bench.errors import BadInputError
from bench.results.run_folder import Results
from bench.store import file_sha256

__all__ = ["fetch"]

OFFLINE = "HF_HUB_OFFLINE"
YES = ("1", "on", "yes", "true")
"""Values of an environment variable that huggingface_hub reads as "yes", in small letters."""
TIMEOUT = 60
"""Time in seconds after which a download fails if the server sends nothing."""


def fetch(experiment: str, missing: Callable[[], list[Problem]]) -> Results:
    """Download the missing files of an experiment, as far as a program may download them.

    Args:
        experiment: name of the experiment.
        missing: function that inspects the experiment's files and returns the problems at the time of the call.

    Raises:
        BadInputError: a file is still missing or wrong. The message lists what the user must do.
    """
    problems, failed = missing(), dict[str, str]()
    offline = os.environ.get(OFFLINE, "").lower() in YES
    for problem in problems:
        asset = problem.asset
        if offline or asset is None or asset.download is None or not problem.missing:
            continue
        print(f"{asset.name}: {_size(asset)} from {asset.source}", flush=True)
        try:
            _download(asset, Path(problem.place))
        except Exception as error:  # every client has its own errors for network problems
            reason = (str(error) or type(error).__name__).splitlines()[0]
            failed[asset.name] = f"{problem.said}; the download failed: {reason}"
            continue
        print(f"{asset.name}: now at {problem.place}", flush=True)
    remaining = missing() if problems and not offline else problems
    if not remaining:
        print(f"{experiment}: ready to be checked: all that it needs is there")
        return Results(Path(), 0)
    tail = [f"{OFFLINE} is set: nothing was downloaded."] if offline else []
    raise BadInputError(report(experiment, [_with_reason(problem, failed) for problem in remaining], tail=tail))


def _with_reason(problem: Problem, failed: dict[str, str]) -> Problem:
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
    """Download a repository of the Hugging Face hub into the folder `target`.

    An interrupted download stays in a hidden folder next to `target`, and the next call continues it.
    """
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
    shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub's notes about its downloads
    os.replace(partial, target)
