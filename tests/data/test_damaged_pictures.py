"""Tests of damaged pictures, each of which is read or refused in one sentence with its name."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.data.pictures import read_rgb, size_of
from bench.errors import BadInputError
from tests.helpers.damages import damaged, patience

pytestmark = pytest.mark.property

FEW, MANY = 2_000, 120_000
"""Numbers of damages in the fast and in the slow test."""
PATIENCE = 30
"""Limit of the seconds for one picture."""
COLOURS = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
DEEP = COLOURS[..., 0].astype(np.uint16) * 257


def saved(kind: str, mode: str = "RGB", *, turned: bool = False, several: bool = False, **options: Any) -> bytes:
    """Return a file that Pillow writes in a mode, with an EXIF orientation or of several pictures."""
    picture, stream = Image.fromarray(COLOURS).convert(mode), io.BytesIO()
    if turned:
        options["exif"] = Image.Exif()
        options["exif"][274] = 6
    if several:
        options |= {"save_all": True, "append_images": [Image.new(mode, picture.size)] * 2}
    picture.save(stream, kind, **options)
    return stream.getvalue()


def deep_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(DEEP).save(stream, "PNG")
    return stream.getvalue()


def tiff(values: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


RANGED = [(340, "f", 1, 0.0, True), (341, "f", 1, 1.0, True)]
KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved("JPEG", turned=True),
    "jpeg_progressive": lambda: saved("JPEG", progressive=True),
    "jpeg_cmyk": lambda: saved("JPEG", "CMYK"),
    "jpeg_several": lambda: saved("MPO", several=True),
    "png": lambda: saved("PNG", turned=True),
    "png_palette": lambda: saved("PNG", "P", transparency=3),
    "png_alpha": lambda: saved("PNG", "LA"),
    "png_deep": deep_png,
    "png_several": lambda: saved("PNG", several=True),
    "webp": lambda: saved("WEBP", turned=True),
    "webp_lossless": lambda: saved("WEBP", "RGBA", lossless=True),
    "webp_several": lambda: saved("WEBP", several=True),
    "avif": lambda: saved("AVIF", turned=True),
    "avif_several": lambda: saved("AVIF", several=True),
    "tiff": lambda: saved("TIFF", turned=True),
    "tiff_lzw": lambda: saved("TIFF", compression="tiff_lzw"),
    "tiff_jpeg": lambda: saved("TIFF", compression="jpeg"),
    "tiff_deep": lambda: tiff(DEEP, byteorder=">", photometric="minisblack"),
    "tiff_float": lambda: tiff((DEEP / 65535).astype("f4"), photometric="minisblack", extratags=RANGED),
    "tiff_bits": lambda: saved("TIFF", "1", compression="group4"),
    "bmp": lambda: saved("BMP"),
    "ppm": lambda: saved("PPM"),
    "pgm_plain": lambda: b"P2 24 20 1000\n" + " ".join(str(value // 66) for value in DEEP.ravel()).encode() + b"\n",
    "gif_several": lambda: saved("GIF", several=True),
    "jp2": lambda: saved("JPEG2000", irreversible=False),
    "jp2_stream": lambda: saved("JPEG2000", no_jp2=True),
}
FOREIGN: dict[str, Callable[[], bytes]] = {
    **{kind.lower(): (lambda kind=kind: saved(kind)) for kind in ("EPS", "ICO", "PCX", "TGA", "SGI", "DDS", "PDF")},
    "psd": lambda: b"8BPS\0\1" + bytes(7) + b"\3" + struct.pack(">IIHH", 20, 24, 8, 3) + bytes(12) + COLOURS.tobytes(),
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="20"/>',
    "html": lambda: b"<!DOCTYPE html><title>404</title>",
    "zip": lambda: b"PK\3\4" + COLOURS.tobytes(),
    "nothing": lambda: b"",
}
"""Files in formats that are not read."""
CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"cICP", b"gAMA", b"PLTE", b"tRNS", b"IDAT")
MOST_MEMORY = 2 * 2**30
"""Bytes that one kind may take beyond the earlier memory of the process."""


def hurt(kind: str, whole: bytes, chosen: random.Random) -> tuple[bytes, str]:
    """Return a file that is damaged, spliced with one of another kind or extended by a chunk."""
    what = chosen.random()
    if what < 0.1:
        other = chosen.choice(list(KINDS))
        rest, place = KINDS[other](), chosen.randrange(len(whole) + 1)
        return whole[:place] + rest[chosen.randrange(len(rest)) :], f"spliced with {other} at {place}"
    data = chosen.randbytes(chosen.choice((0, 1, 13, 400)))
    if what < 0.25 and kind.startswith("png"):
        name = chosen.choice(CHUNKS)
        chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        return whole[:33] + chunk + whole[33:], f"a chunk {name!r} of {len(data)}"
    if what < 0.25 and kind.startswith("jpeg"):
        segment = struct.pack(">BBH", 0xFF, chosen.randrange(0xC0, 0xFF), len(data) + 2) + data
        return whole[:2] + segment + whole[2:], f"a segment {segment[:2]!r} of {len(data)}"
    return damaged(whole, chosen) if whole else (data, "something")


def memory() -> int:
    """Return the peak memory of this process since `forget_memory` in bytes, or 0 if it is unknown."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def forget_memory() -> None:
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def outcomes(path: Path, kind: str, count: int) -> dict[str, int]:
    """Return the numbers of damaged files of a kind that were read and refused."""
    whole, counts = {**KINDS, **FOREIGN}[kind](), {"read": 0, "refused": 0}
    forget_memory()
    before = memory()
    for number in range(-1, count):
        data, done = hurt(kind, whole, random.Random(f"{kind} {number}")) if number >= 0 else (whole, "whole")
        path.unlink(missing_ok=True)  # a file that is written over costs a disk's flush
        path.write_bytes(data)
        said = f"{path}: expected "
        try:
            with patience(PATIENCE):
                picture = read_rgb(path)
            assert (picture.mode, picture.size) == ("RGB", size_of(path)), f"{kind} {number}: {done}"
            counts["read"] += 1
        except BadInputError as error:
            said = str(error)
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{kind} {number}: {done}: {type(error).__name__}: {error}") from error
        assert said.startswith(f"{path}: expected "), f"{kind} {number}: {done}: {said}"
        assert said.isprintable(), f"{kind} {number}: {done}: {said!r}"
        assert number >= 0 or counts["read"] == (kind in KINDS), f"{kind}: {said}"
    assert memory() - before < MOST_MEMORY
    return counts


@pytest.mark.parametrize("kind", [*KINDS, *FOREIGN])
def test_a_damaged_picture_is_read_or_named(tmp_path: Path, kind: str) -> None:
    count = FEW // len(KINDS | FOREIGN)
    assert sum(outcomes(tmp_path / "picture", kind, count).values()) == count + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *FOREIGN])
def test_a_damaged_picture_raises_no_other_error(tmp_path: Path, kind: str) -> None:
    counts = outcomes(tmp_path / "picture", kind, -(-MANY // len(KINDS | FOREIGN)))
    assert counts["refused"] > 0
