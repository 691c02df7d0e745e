"""The stage `fetch`, which downloads missing files.

It downloads repositories of the Hugging Face hub at known commits, and single files from their addresses. A single file
is verified if its SHA-256 is known. The stage also lists the files that the user must get by hand. No other stage
downloads anything. A file or folder appears at its path only after its download is complete. An interrupted download
stays in a hidden file or folder next to this path, and the next call continues it.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
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
UNREACHABLE = (errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH)
TIMEOUT = 60
"""Time in seconds after which a download fails if the server sends nothing."""


def fetch(experiment: str, missing: Callable[[], list[Problem]]) -> Results:
    """Download those missing and broken files of an experiment that a program may download.

    When the new copy of a broken file or folder is complete, the broken one is renamed with the ending `.broken`. If
    the environment variable HF_HUB_OFFLINE is set, or if there is no network, nothing more is downloaded.

    Args:
        experiment: name of the experiment.
        missing: function that inspects the experiment's files and returns the problems at the time of the call.

    Returns:
        A result with the status 0 and without a folder.

    Raises:
        BadInputError: a file is still missing or wrong after the downloads. The message lists what the user must do.
    """
    problems, failed = missing(), dict[str, str]()
    wanted = {asset.name: (problem, asset) for problem in problems if (asset := problem.download) is not None}
    offline = bool(problems) and os.environ.get(OFFLINE, "").lower() in YES
    if offline:
        print(f"{OFFLINE} is set: nothing is downloaded", flush=True)
    for name, (problem, asset) in wanted.items():
        if offline:
            break
        print(f"{name}: downloading {_size(asset)} from {asset.source}", flush=True)
        try:
            _download(asset, Path(problem.place))
        except Exception as error:  # every client has its own errors for network problems
            reason = (str(error) or type(error).__name__).splitlines()[0]
            failed[name] = f"{problem.said}; the download failed: {reason}"
            offline = _no_network(error)
            if offline:
                print(f"no network ({reason}); nothing more is downloaded", flush=True)
            continue
        print(f"{name}: downloaded to {problem.place}", flush=True)
    remaining = missing() if problems else problems
    if not remaining:
        print(f"{experiment}: all files that this experiment needs exist; next, run it with stage=check")
        return Results(Path(), 0)
    tail = list(_advice(remaining)) if offline else []
    raise BadInputError(report(experiment, [_with_reason(problem, failed) for problem in remaining], tail=tail))


def _no_network(error: BaseException | None) -> bool:
    """Return True if an error, or an error that caused it, says that this machine cannot reach any other machine."""
    while error is not None:
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) in UNREACHABLE:
            return True
        reason = getattr(error, "reason", None)
        error = error.__cause__ or error.__context__ or (reason if isinstance(reason, BaseException) else None)
    return False


def _advice(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield lines that say what to do on a machine without a network."""
    names = ", ".join(dict.fromkeys(asset.name for problem in problems if (asset := problem.download) is not None))
    if os.environ.get(OFFLINE, "").lower() in YES:
        yield f"{OFFLINE} is set: nothing was downloaded. If this machine has a network, unset {OFFLINE}."
    if names:
        yield (
            "If this machine has no network, run this command on a machine that has one, "
            f"and copy {names} to the paths above."
        )


def _with_reason(problem: Problem, failed: dict[str, str]) -> Problem:
    reason = failed.get(problem.asset.name) if problem.asset is not None else None
    return problem if reason is None else replace(problem, said=reason)


def _size(asset: Asset) -> str:
    return "data of unknown size" if asset.gigabytes is None else gigabytes(asset.gigabytes * 1e9)


def _download(asset: Asset, target: Path) -> None:
    assert asset.download is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    if asset.download.url is not None:
        _download_file(asset.download.url, asset.expected_sha256, target)
    else:
        _download_folder(asset, target)


def _download_file(url: str, sha256: str | None, target: Path) -> None:
    """Download a file to the path `target`.

    If an interrupted download has left bytes, they are kept, and only the remaining bytes are downloaded. If no such
    bytes exist, the bytes of a file at `target` are used in this way. A server that cannot send the remaining bytes
    alone sends the whole file. A file that was completed from kept bytes is downloaded once more from its beginning if
    it does not have the expected SHA-256, or if `sha256` is None.

    Args:
        url: address of the file.
        sha256: expected SHA-256 of the file; None if it is not known.
        target: path of the file.

    Raises:
        ValueError: the downloaded file does not have the expected SHA-256.
        OSError: the connection failed or ended early.
    """
    partial = target.with_name(f".{target.name}.partial")
    if not partial.exists() and target.is_file():
        shutil.copyfile(target, partial)
    continued = partial.exists() and partial.stat().st_size > 0
    _append(url, partial)
    found = file_sha256(partial)
    if continued and found != sha256:
        partial.unlink()
        _append(url, partial)
        found = file_sha256(partial)
    if sha256 is not None and found != sha256:
        partial.unlink()
        raise ValueError(f"expected SHA-256 {sha256}, found {found} at {url}")
    _put(partial, target)


def _append(url: str, partial: Path) -> None:
    """Download a file to the path `partial`.

    If `partial` exists already, only the bytes after its end are requested. If the server cannot send these bytes
    alone, it sends the whole file, which replaces `partial`. If there are no such bytes, `partial` stays unchanged.

    Raises:
        OSError: the connection failed or ended early.
    """
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the file has all bytes already, or too many
        raise
    is_rest = answer.status == HTTPStatus.PARTIAL_CONTENT
    with answer, partial.open("ab") if is_rest else partial.open("wb") as file:
        shutil.copyfileobj(answer, file)
    length = answer.headers.get("Content-Length")
    if length is not None and partial.stat().st_size < int(length) + (start if is_rest else 0):
        raise OSError(f"the connection ended early; the next run with stage=fetch continues the partial file {partial}")


def _put(whole: Path, target: Path) -> None:
    """Move the complete file or folder `whole` to `target`.

    If `target` exists, it is first renamed with the ending `.broken`. An earlier copy with this ending is deleted.
    """
    if target.exists():
        kept = target.with_name(f"{target.name}.broken")
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink(missing_ok=True)
        os.replace(target, kept)
    os.replace(whole, target)


def _download_folder(asset: Asset, target: Path) -> None:
    """Download a repository of the Hugging Face hub, or one folder of it, into the folder `target`.

    An interrupted download stays in a hidden folder next to `target`, and the next call continues it. If the folder
    `target` exists, a new download begins with a copy of this folder. The hub's client compares the hashes of the
    copied files, and downloads only files that differ.

    Raises:
        ValueError: no commit of the repository is known, or the downloaded repository lacks a file of the asset.
    """
    from huggingface_hub import snapshot_download

    download = asset.download
    assert download is not None
    assert download.hub is not None
    if download.revision is None:
        raise ValueError(
            f"{asset.name}: expected a revision (a commit) of the repository {download.hub}, found no revision"
        )
    partial = target.with_name(f".{target.name}.partial")
    content = partial / download.folder
    if target.is_dir() and not partial.exists():
        shutil.copytree(target, content)
    for patterns in (download.files, download.otherwise):
        if patterns and (patterns is download.files or any(incomplete(asset, content))):
            snapshot_download(
                download.hub,
                revision=download.revision,
                local_dir=partial,
                allow_patterns=[f"{download.folder}/{pattern}".lstrip("/") for pattern in patterns],
            )
            content.mkdir(parents=True, exist_ok=True)  # the repository may lack this folder
    absent = list(incomplete(asset, content))
    if absent:
        raise ValueError(f"{download.hub} at {download.revision}: expected {', '.join(absent)}, found no such files")
    shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub's notes about its downloads
    _put(content, target)
    if download.folder:
        shutil.rmtree(partial)
