"""Opens, checks and decodes the picture files of users. No other module does this.

The first bytes of a file determine its format. If the header says that a picture is too large or too narrow, the
picture is refused before any pixel is decoded. Sample values are converted to 8 bits. The conversion uses the range of
values that the format defines or that the file states. A picture without such a range is refused. Sources of the ranges
of the formats: PNG, third edition; TIFF 6.0 and its technical notes; netpbm; ITU-T T.800.
"""

from __future__ import annotations

import logging
import re
import stat
import struct
import sys
import textwrap
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from numbers import Real
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from bench.data.names import escaped
from bench.errors import BadInputError

__all__ = ["FORMATS", "MOST_BYTES", "MOST_PIXELS", "MOST_UNLIKE", "is_picture", "open_picture", "read_rgb", "size_of"]

MOST_PIXELS = 178_956_970
"""Largest number of pixels of a picture. It is also Pillow's limit."""
MOST_UNLIKE = 20
"""Largest ratio of a picture's longer side to its shorter side."""
MOST_BYTES = 8 * MOST_PIXELS
"""Largest number of bytes of a picture file: the largest picture with four channels of 16 bits, not compressed."""

FORMATS = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "AVIF": re.compile(rb"....ftyp(avif|avis|mif1|msf1)", re.DOTALL),
    "TIFF": re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"),
    "BMP": re.compile(rb"BM.{12}[\x0c-\x7c]\0\0\0", re.DOTALL),
    "PPM": re.compile(rb"P[1-6f]\s+[#0-9]"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "JPEG2000": re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
}
"""Formats that can be read: Pillow's name of each format, and the pattern of the first bytes of its files.

If a file contains several pictures, the first one is read.
"""
FIRST_BYTES = 18
"""Number of bytes at the start of a file that are read to identify its format."""

PLAIN_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
"""Pillow's modes with samples of 8 bits or 1 bit. Pillow itself converts them correctly to RGB."""
PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}
"""Chunks of a PNG that determine its pixels. Other chunks, such as texts, colour profiles and times, are skipped."""
PALETTE = b"\x03"
"""Colour type of a PNG whose samples are indices of a palette."""
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (numbers of ITU-T H.273) that mean a high dynamic range. Such pictures are refused."""
NCLX = re.compile(rb"colrnclx..(..)", re.DOTALL)
"""Pattern of the colour description in an AVIF's header. Its group is the number of the transfer characteristics."""
HEADER = 65536
"""Number of bytes at the start of an AVIF in which the colour description is searched."""

ORIENTATION, PHOTOMETRIC, BITS, PLANES, SAMPLE_FORMAT, LOWEST, HIGHEST = 274, 262, 258, 284, 339, 340, 341
"""Numbers of tags in EXIF data and in TIFF files."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""For each EXIF orientation other than 1 (upright), the operation that turns the picture upright."""
NATIVE = b"II" if sys.byteorder == "little" else b"MM"
SAMPLES = {1: "unsigned", 2: "signed", 3: "float"}
"""Names of the sample formats in a TIFF file, by number."""
ROWS = 256
"""Number of rows of a TIFF that are converted to 8 bits at once. A small number saves memory for large pictures."""
LONGEST_QUOTE = 160
"""Largest number of characters that an error message shows of a decoder's message."""
PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

Levels = npt.NDArray[np.uint8]

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # Pillow's message about a bad file is in our error as well


class _RefusedError(Exception):
    """The error for an intact picture that this module refuses. The message of the error is `expected …, found …`."""


def is_picture(path: Path) -> bool:
    """Return True if a file begins with the first bytes of a picture format in `FORMATS`.

    The result is True also for a file that cannot be opened, so that a later attempt to decode the file reports the
    error.
    """
    try:
        with _opened(path) as file:
            return _format(file) is not None
    except BadInputError:
        return True


def size_of(path: Path) -> tuple[int, int]:
    """Return the width and the height in pixels of a picture after it is turned upright. Pixels are not decoded.

    Raises:
        BadInputError: `open_picture` would refuse the picture for a reason that its header shows.
    """
    with _picture(path) as opened:
        width, height = opened.size
        return (height, width) if _orientation(opened) >= 5 else (width, height)


def open_picture(path: Path) -> Image.Image:
    """Decode a picture and turn it upright by its EXIF orientation.

    Colours are not converted, so the result may be grey, have a palette or have transparent pixels. The result has one
    of the modes in `PLAIN_MODES`. Unsigned samples with more than 8 bits are reduced to their upper 8 bits. There is
    one exception: if a grey TIFF states another range of values, its samples are scaled linearly from this range to
    0–255. If the samples of a TIFF are signed, are floats, or have more than 16 bits, the TIFF must state the range.

    Raises:
        BadInputError: the file is missing, is not a regular file, has an unknown format, is too large
            (`MOST_PIXELS`, `MOST_BYTES`), is too narrow (`MOST_UNLIKE`) or is broken; or the values cannot be converted
            correctly, for example because their range is unknown or the picture has a high dynamic range.
    """
    with _picture(path) as opened:
        return _upright(opened)


def read_rgb(path: Path) -> Image.Image:
    """Read a picture, turn it upright and convert it to 8-bit RGB. Transparent pixels show a white background.

    Raises:
        BadInputError: `open_picture` refuses the picture, or every pixel is fully transparent.
    """
    with _picture(path) as opened:
        return _rgb(_upright(opened))


@contextmanager
def _picture(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open a picture and read its header.

    Raises:
        BadInputError: the picture cannot be opened, or the code in the `with` block, which decodes the pixels, fails.
    """
    with _opened(path) as file:
        kind = _format(file)
        if kind is None:
            raise BadInputError(
                f"{escaped(path)}: expected a picture ({', '.join(FORMATS)}), found a file of another type"
            )
        if PILLOW_WARNINGS not in warnings.filters:
            warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            with Image.open(_minimal_png(file) if kind == "PNG" else file, formats=(kind,)) as opened:
                _refuse_shape(*opened.size)
                _refuse_transfer(kind, file)
                yield opened
        except _RefusedError as error:
            raise BadInputError(f"{escaped(path)}: {error}") from None
        except Image.DecompressionBombError:
            raise BadInputError(
                f"{escaped(path)}: expected a picture of at most {MOST_PIXELS:,} pixels, found more"
            ) from None
        except UnidentifiedImageError:
            raise BadInputError(
                f"{escaped(path)}: expected a complete picture, found a broken one, or a variant of {kind} that "
                "cannot be read"
            ) from None
        except Exception as error:  # decoders raise nearly every type of error
            words = textwrap.shorten(escaped(error), LONGEST_QUOTE, placeholder=" …")
            raise BadInputError(
                f"{escaped(path)}: expected a complete picture, found a broken one ({words or type(error).__name__})"
            ) from error


def _opened(path: Path) -> IO[bytes]:
    """Open a file for reading, as bytes.

    Raises:
        BadInputError: the file is missing, is not a regular file, is larger than `MOST_BYTES`, or cannot be opened.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "something that is not a regular file"
            raise BadInputError(f"{escaped(path)}: expected a picture, found {what}")
        if status.st_size > MOST_BYTES:
            found = f"{status.st_size:,}"
            raise BadInputError(
                f"{escaped(path)}: expected a picture of at most {MOST_BYTES:,} bytes, found {found} bytes"
            )
        return path.open("rb")
    except FileNotFoundError:
        raise BadInputError(f"{escaped(path)}: expected a picture, found no file") from None
    except (OSError, ValueError) as error:  # a path with a null character raises ValueError
        words = getattr(error, "strerror", None) or error
        raise BadInputError(f"{escaped(path)}: expected a picture, found one that cannot be opened ({words})") from None


def _format(file: IO[bytes]) -> str | None:
    first = file.read(FIRST_BYTES)
    file.seek(0)
    return next((name for name, beginning in FORMATS.items() if beginning.match(first)), None)


def _refuse_shape(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise _RefusedError(f"expected a picture of at most {MOST_PIXELS:,} pixels, found {width}×{height}")
    if max(width, height) > MOST_UNLIKE * min(width, height):
        raise _RefusedError(
            f"expected a longer side of at most {MOST_UNLIKE} times the shorter side, found {width}×{height}"
        )


# --- before decoding -------------------------------------------------------------------------------------------------


def _minimal_png(file: IO[bytes]) -> IO[bytes]:
    """Return a copy of a PNG with only the chunks in `PNG_KEPT`, so that other chunks cannot disturb the decoding.

    The chunk with EXIF data is moved before the pixels, so that the orientation is known before pixels are decoded.

    Raises:
        ValueError: a chunk is damaged, a chunk is unknown but necessary, or the palette is missing.
        _RefusedError: the picture has a high dynamic range.
    """
    exif: list[bytes] = []
    chunks = [file.read(8)]
    while len(head := file.read(8)) == 8:
        (length,), name = struct.unpack(">I", head[:4]), head[4:]
        if name not in PNG_KEPT:
            if name == b"cICP":
                content = file.read(length + 4)
                _refuse_hdr(content[1] if length > 1 else 0)
            elif name[0] & 0x20:  # ancillary
                file.seek(length + 4, 1)
            else:
                raise ValueError(f"an unknown chunk {name!r}")
            continue
        content = file.read(length + 4)
        if len(content) < length + 4 or zlib.crc32(content[:-4], zlib.crc32(name)) != int.from_bytes(content[-4:]):
            raise ValueError(f"a chunk {name.decode()} that is cut off, or whose checksum does not fit its data")
        (exif if name == b"eXIf" else chunks).append(head + content)
        if name == b"IEND":
            break
    if chunks[1:] and chunks[1][17:18] == PALETTE and not any(chunk[4:8] == b"PLTE" for chunk in chunks[1:]):
        raise ValueError("palette indices without a palette")
    return BytesIO(b"".join([*chunks[:2], *exif[:1], *chunks[2:]]))


def _refuse_transfer(kind: str, file: IO[bytes]) -> None:
    """Raise `_RefusedError` for an AVIF with a high dynamic range."""
    if kind == "AVIF":
        file.seek(0)
        found = NCLX.search(file.read(HEADER))
        if found:
            _refuse_hdr(int.from_bytes(found[1]))


def _refuse_hdr(transfer: int) -> None:
    if transfer in HDR_TRANSFERS:
        raise _RefusedError(
            f"expected a picture of standard dynamic range, found high dynamic range ({HDR_TRANSFERS[transfer]})"
        )


def _orientation(opened: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation of a picture, 1 to 8.

    The result is 1 (upright) if no valid orientation is found. For a TIFF, the result is always 1, because Pillow turns
    a TIFF upright itself. Pillow's `getexif` is not used, because it would also take the orientation from XMP data.
    Editors do not update the XMP data when they turn a picture.
    """
    content = opened.info.get("exif")
    if opened.format == "TIFF" or not content:
        return 1
    try:
        exif = Image.Exif()
        exif.load(content)
        value = exif.get(ORIENTATION)
        return value if isinstance(value, int) and value in TURNS else 1
    except Exception:  # invalid EXIF data does not make a picture unusable
        return 1


# --- decoding --------------------------------------------------------------------------------------------------------


def _upright(opened: ImageFile.ImageFile) -> Image.Image:
    orientation = _orientation(opened)
    picture = _plain(opened)
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture.copy()


def _plain(opened: ImageFile.ImageFile) -> Image.Image:
    """Decode a picture into one of the modes in `PLAIN_MODES`. Only a TIFF is turned upright, by Pillow itself.

    Raises:
        _RefusedError: the pixel values cannot be converted correctly to 8 bits.
    """
    if opened.format == "TIFF":
        return _plain_tiff(opened)
    if opened.format == "PNG":
        return _plain_png(opened)
    if opened.format == "JPEG2000":
        _refuse_depths(opened)
    opened.load()
    if opened.mode == "F":
        raise _RefusedError("expected integer pixel values, found float values without a stated range")
    return _upper_bits(opened)


def _upper_bits(picture: Image.Image) -> Image.Image:
    """Reduce grey levels of 16 bits to their upper 8 bits. A picture with a mode in `PLAIN_MODES` stays unchanged.

    Raises:
        _RefusedError: a grey level does not fit into 16 bits; or the picture does not consist of integer grey levels,
            and its mode is not in `PLAIN_MODES`.
    """
    if picture.mode.startswith("I"):
        levels = np.asarray(picture)
        if levels.min() < 0 or levels.max() > 0xFFFF:
            raise _RefusedError(f"expected pixel values from 0 to {0xFFFF}, found {levels.min()} to {levels.max()}")
        return Image.fromarray((levels >> 8).astype(np.uint8))
    if picture.mode not in PLAIN_MODES:
        raise _RefusedError(f"expected a picture in grey, RGB, CMYK or YCbCr, found the colour mode {picture.mode}")
    return picture


def _plain_png(opened: ImageFile.ImageFile) -> Image.Image:
    """Decode a PNG. Pixels of the colour that the PNG declares as transparent are transparent in the result.

    The PNG states the transparent colour with as many bits as its samples have, but Pillow decodes the samples to 8
    bits. For grey levels of 2, 4 or 16 bits, this function therefore finds the transparent pixels itself.

    Raises:
        _RefusedError: the picture has RGB samples of 16 bits and a transparent colour.
    """
    layout, clear = str(opened.tile[0][3]), opened.info.get("transparency")
    opened.load()
    picture = _upper_bits(opened)
    if clear is None or opened.mode in ("P", "1"):
        return picture
    if layout.startswith("RGB;16"):
        raise _RefusedError("expected a transparent colour with 8 bits for each channel, found 16 bits")
    if layout.startswith("I;16"):
        return _with_alpha(picture, np.asarray(opened) != clear)
    if layout in ("L;2", "L;4"):
        return _with_alpha(picture, np.asarray(picture) != clear * (85 if layout == "L;2" else 17))
    return picture


def _with_alpha(grey: Image.Image, visible: npt.NDArray[np.bool_]) -> Image.Image:
    return Image.merge("LA", (grey, Image.fromarray(np.where(visible, 255, 0).astype(np.uint8))))


def _refuse_depths(opened: ImageFile.ImageFile) -> None:
    """Raise `_RefusedError` for a JPEG 2000 with a bit depth that Pillow decodes wrongly.

    Pillow makes pictures of fewer than 8 bits too dark. In colour pictures of more than 8 bits, it turns white into
    black. The segment SIZ of the codestream contains the bit depths (ITU-T T.800, A.5.1).
    """
    assert opened.fp is not None
    opened.fp.seek(0)
    header = opened.fp.read()
    start = header.find(b"\xff\x4f\xff\x51")
    if start < 0:
        raise ValueError("no codestream")
    (channels,) = struct.unpack_from(">H", header, start + 40)
    depths = [(depth & 0x7F) + 1 for depth in header[start + 42 : start + 42 + 3 * channels : 3]]
    if min(depths) < 8 or (channels > 1 and max(depths) > 8):
        raise _RefusedError(
            f"expected colours with 8 bits for each channel, or grey with 8 to 16 bits, found {channels} "
            f"channel(s) of up to {max(depths)} bits"
        )


def _plain_tiff(opened: ImageFile.ImageFile) -> Image.Image:
    tags = opened.tag_v2  # type: ignore[attr-defined]
    bits, kind = (int(_first(tags.get(tag, 1))) for tag in (BITS, SAMPLE_FORMAT))
    low, high = (_number(_first(tags.get(tag))) for tag in (LOWEST, HIGHEST))
    negative, planes, coder = tags.get(PHOTOMETRIC) == 0, tags.get(PLANES, 1), opened.tile[0][0]
    extents = [tile.extents for tile in opened.tile if tile.extents is not None]
    if sum((box[2] - box[0]) * (box[3] - box[1]) for box in extents) < opened.width * opened.height:
        raise ValueError("some strips or tiles of the TIFF are missing")
    opened.info.pop("xmp", None)  # otherwise, Pillow would turn the picture by these data
    opened.load()
    if bits <= 8 and kind == 1:
        return _upper_bits(opened)
    if opened.mode not in ("L", "I", "F") and not opened.mode.startswith("I;16"):
        if low not in (None, 0) or high not in (None, 65535):
            raise _RefusedError(
                "expected 16-bit colours with values from 0 to 65535, found another range in the file's tags"
            )
        if planes == 2 and coder == "raw":
            raise _RefusedError("expected 16-bit colours that are saved pixel by pixel, found a plane for each colour")
        return _upper_bits(opened)
    if coder == "libtiff" and opened.mode in ("I", "F") and tags.prefix != NATIVE:  # Pillow gets the byte order wrong
        raise _RefusedError(
            "expected compressed values in this machine's byte order, found the other byte order; save the TIFF "
            "uncompressed"
        )
    samples = _samples(np.asarray(opened), bits, kind)
    low, high = _range(low, high, bits, kind)
    if not (np.isfinite(samples).all() and low <= samples.min() and samples.max() <= high):
        raise _RefusedError(f"expected pixel values from {low:g} to {high:g}, found NaN or values outside this range")
    if kind == 1 and (low, high) == (0, 2**bits - 1):
        levels = (samples >> (bits - 8)).astype(np.uint8)
    else:
        levels = np.empty(samples.shape, np.uint8)
        for start in range(0, len(samples), ROWS):
            rows = samples[start : start + ROWS].astype(np.float64)
            levels[start : start + ROWS] = np.rint((rows - low) * (255 / (high - low)))
    return Image.fromarray(255 - levels if negative else levels)


def _samples(values: npt.NDArray[Any], bits: int, kind: int) -> npt.NDArray[Any]:
    """Return the samples of a TIFF with one channel as an array of the right signed or unsigned type.

    Some of Pillow's modes have the wrong type. The bytes are then interpreted again, with the type of the sample
    format.

    Args:
        values: the channel, as Pillow decodes it.
        bits: number of bits of a sample.
        kind: number of the sample format; see `SAMPLES`.
    """
    if bits == 8:
        return values.view(np.int8)
    return values.view(np.uint32) if (bits, kind) == (32, 1) else values


def _range(low: float | None, high: float | None, bits: int, kind: int) -> tuple[float, float]:
    """Return the smallest and the largest possible value of a sample in a TIFF with one channel.

    Args:
        low: smallest value that a tag of the TIFF states; None without this tag. Unsigned samples without this tag have
            the smallest value 0.
        high: largest value that a tag of the TIFF states; None without this tag. Unsigned samples of at most 16 bits
            without this tag have the largest value 2^`bits` - 1.
        bits: number of bits of a sample.
        kind: number of the sample format; see `SAMPLES`.

    Raises:
        _RefusedError: a bound is neither stated by a tag nor known from these rules, or the range is invalid.
    """
    if kind == 1:
        low = 0 if low is None else low
        high = 2**bits - 1 if high is None and bits <= 16 else high
    if low is None or high is None or not (np.isfinite([low, high]).all() and low < high):
        raise _RefusedError(
            "expected unsigned pixel values of at most 16 bits, or a valid range in the tags SMinSampleValue and "
            f"SMaxSampleValue, found {SAMPLES.get(kind, 'unknown')} values of {bits} bits without such a range"
        )
    return low, high


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def _number(value: Any) -> float | None:
    """Return the value of a tag as a float, or None if the value is not a number. A ratio is a number as well."""
    return float(value) if isinstance(value, Real) else None


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        if layer.getchannel("A").getbbox() is None:
            raise _RefusedError("expected a visible picture, found only transparent pixels")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return picture if picture.mode == "RGB" else picture.convert("RGB")
