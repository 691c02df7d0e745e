"""Damage files by a seeded generator: flip, cut off, leave out, repeat or overwrite bytes."""

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["damaged", "patience"]

KINDS = ("flips", "cut", "gap", "random", "header", "repeated")
LENGTHS = (b"\xff" * 8, b"\xff" * 7 + b"\x7f", bytes(8), b"\0\0\0\0\1\0\0\0")
"""Values that replace a possible length; some exceed all limits."""


def damaged(whole: bytes, chosen: random.Random) -> tuple[bytes, str]:
    """Return the bytes of a file with one random damage, and its description."""
    data = bytearray(whole)
    kind = chosen.choice(KINDS)
    place = chosen.randrange(max(1, len(data)))
    if kind == "flips":
        for _ in range(chosen.choice((1, 1, 8))):
            data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    elif kind == "cut":
        del data[place:]
    elif kind == "gap":
        del data[place : place + chosen.choice((1, 8, 100))]
    elif kind == "random":
        data[place : place + 40] = chosen.randbytes(chosen.choice((1, 40, 400)))
    elif kind == "header":
        start = chosen.choice((0, place))
        data[start : start + 8] = chosen.choice(LENGTHS)
    else:
        data[place:place] = data[: chosen.choice((1, 1000))]
    return bytes(data), f"{kind} at {place}"


class LateError(BaseException):
    """Signal that an operation took too long; handlers of `Exception` do not catch it."""


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Raise `LateError` inside the block after the given seconds of processor time, or after ten times as long."""

    def late(number: int, frame: FrameType | None) -> None:
        raise LateError(f"it took over {seconds} s of processor time, or over {10 * seconds} s in all")

    timers = {signal.ITIMER_PROF: (signal.SIGPROF, seconds), signal.ITIMER_REAL: (signal.SIGALRM, 10 * seconds)}
    before = {number: signal.signal(number, late) for number, _ in timers.values()}
    for timer, (_, limit) in timers.items():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
