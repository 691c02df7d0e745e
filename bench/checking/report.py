"""The text that lists every missing or wrong file of a run, with instructions for each one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from bench.checking.assets import Asset
from bench.checking.inspection import Problem
from bench.runtime.text import few

__all__ = ["gigabytes", "report"]

WIDTH = 118
INDENT = 13
SHOWN = 4
"""Largest number of configuration keys that are named for one entry of the list."""


def report(name: str, problems: Sequence[Problem], *, tail: Sequence[str] = ()) -> str:
    """Return a text that lists all missing or wrong files. The first line is a summary that can be shown alone.

    Args:
        name: name of the experiment.
        problems: missing or wrong files. The text numbers them in this order.
        tail: further lines at the end of the text.
    """
    count = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
    lines = [f"{name}: {count} missing or wrong"]
    for number, problem in enumerate(problems, 1):
        lines += ["", *_entry(number, problem)]
    footer = [*_fetch_lines(problems), *tail]
    return "\n".join([*lines, *([""] if footer else []), *footer])


def _entry(number: int, problem: Problem) -> Iterator[str]:
    asset = problem.asset
    if asset is None:
        # One line with the key first, because the user chose this path.
        yield f"{number}. {problem.keys[0]}: {_at(problem)}" if problem.keys else f"{number}. {problem.said}"
        if problem.keys[1:]:
            yield from _field("same path", few(problem.keys[1:], SHOWN))
    else:
        yield from textwrap.wrap(f"{number}. {asset.name}: {asset.what}", WIDTH, subsequent_indent="   ")
        place = f"{problem.place}: {problem.said}"
        yield from _field("looked at", place)
        yield from _field("set by", asset.set_by)
        if problem.keys != (asset.key,):
            yield from _field("named by", few(problem.keys, SHOWN))
    if problem.experiments:
        yield from _field("needed by", ", ".join(problem.experiments))
    if asset is not None:
        for title, value in _facts(asset, problem.place):
            yield from _field(title, value)


def _at(problem: Problem) -> str:
    if problem.missing:
        return problem.said.replace("nothing there", f"nothing at {problem.place}", 1)
    return f"{problem.place}: {problem.said}"


def _facts(asset: Asset, place: str) -> Iterator[tuple[str, str]]:
    def checked(field: str, text: str) -> str:
        return f"{text} (this value was not verified)" if field in asset.unverified else text

    yield "from", asset.source
    if asset.download is not None and asset.download.hub is not None:
        yield "revision", f"{asset.download.revision} of {asset.download.hub}"
    yield "licence", checked("licence", asset.licence)
    if asset.gigabytes is not None:
        yield "size", checked("gigabytes", gigabytes(asset.gigabytes * 1e9))
    if asset.count is not None:
        yield "count", checked("count", asset.count)
    if asset.expected_sha256 is not None or asset.count is None:
        yield "SHA-256", asset.expected_sha256 or "none is known"
    how = asset.how.replace("PATH", place)
    if asset.download is not None:
        fetched = f"stage=fetch downloads it{'' if asset.expected_sha256 else ', at that revision'}"
        how = f"{fetched}; {how}" if how else fetched
    if how:
        yield "how", how


def _field(title: str, text: str) -> Iterator[str]:
    start = f"   {title:<{INDENT - 3}}"
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _fetch_lines(problems: Sequence[Problem]) -> Iterator[str]:
    known = [problem.asset for problem in problems if problem.asset is not None]
    fetched = [asset for problem in problems if (asset := problem.download) is not None]
    if fetched:
        size = gigabytes(sum(asset.gigabytes or 0 for asset in fetched) * 1e9)
        names = ", ".join(asset.name for asset in fetched)
        said = f"The same command with stage=fetch downloads {len(fetched)} of them, {size}: {names}"
        yield from textwrap.wrap(said, WIDTH)
    yield from _size_lines(problems)
    if any(not asset.key for asset in known):
        yield (
            "conf/paths/default.yaml lists all paths, and bench/checking/assets.yaml says what profile=paper expects "
            "there"
        )


def _size_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield lines that say how much disk space the missing files need. Files of unknown size are only named.

    If no size is known, yield nothing.
    """
    wanted = {problem.asset.name: problem.asset for problem in problems if problem.asset and problem.missing}
    sizes = [asset.gigabytes for asset in wanted.values() if asset.gigabytes is not None]
    unknown = [name for name, asset in wanted.items() if asset.gigabytes is None]
    if sizes:
        said = f"Disk for what is missing: {gigabytes(sum(sizes) * 1e9)}"
        said += f", and more for {', '.join(unknown)}, whose size is not known" if unknown else ""
        yield from textwrap.wrap(said, WIDTH)


def gigabytes(size: float) -> str:
    """Return a size in bytes as text, in the largest suitable decimal unit, such as `1.5 GB`."""
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_of:
            return f"{size / bytes_of:.3g} {unit}"
    return f"{size:.0f} bytes"
