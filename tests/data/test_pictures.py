"""Tests of reading pictures: right values, or one message that names the file."""

import io
import os
import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from bench.data.pictures import MOST_BYTES, is_picture, open_picture, read_rgb, size_of
from bench.errors import BadInputError

pytestmark = pytest.mark.blackbox

RAMP = np.tile(np.linspace(0, 65535, 64).round().astype(np.uint16), (16, 1))
DEEP = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], -1)
"""A colour picture of 16 bits."""
Values = npt.NDArray[np.float64]


def colours() -> Image.Image:
    return Image.fromarray((DEEP >> 8).astype(np.uint8))


def grey(values: npt.NDArray[np.generic]) -> Values:
    return np.repeat(np.asarray(values, np.float64)[..., None], 3, -1)


def furthest(path: Path, expected: Values) -> float:
    found = np.asarray(read_rgb(path), np.float64)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max())


def png(depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes], size: tuple[int, int] = (2, 2)) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    framed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_unsigned_tiffs_keep_their_upper_eight_bits(tmp_path: Path, order: str, compression: str | None) -> None:
    path = tmp_path / "deep.tif"
    kind = {"byteorder": order, "compression": compression}
    tifffile.imwrite(path, RAMP, photometric="minisblack", **kind)
    assert furthest(path, grey(RAMP >> 8)) == 0
    tifffile.imwrite(path, DEEP, photometric="rgb", **kind)
    assert furthest(path, DEEP >> 8) == 0
    if order == "<":
        tifffile.imwrite(path, RAMP, photometric="miniswhite", **kind)
        assert furthest(path, 255 - grey(RAMP >> 8)) == 0


KINDS = {
    "float": ("f4", "f", 1.0),
    "signed": ("i2", "h", 32767),
    "long": ("i4", "i", 2**31 - 1),
    "byte": ("i1", "b", 127),
}


@pytest.mark.parametrize("kind", [*KINDS, "unsigned"])
def test_other_tiffs_need_a_stated_range(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "other.tif"
    sort, code, top = {**KINDS, "unsigned": ("u4", "I", 2**32 - 1)}[kind]
    values = (RAMP / 65535 * top).astype(sort)
    tifffile.imwrite(path, values, photometric="minisblack")
    with pytest.raises(BadInputError, match=r"other\.tif: expected unsigned .*SMinSampleValue.*values of \d+ bits"):
        read_rgb(path)
    tags = [(340, code, 1, 0, True), (341, code, 1, top, True)]
    tifffile.imwrite(path, values, photometric="minisblack", extratags=tags)
    assert furthest(path, grey(RAMP / 257)) < {"byte": 2, "unsigned": 1}.get(kind, 0.51)
    tifffile.imwrite(
        path,
        values,
        photometric="minisblack",
        extratags=[tags[0], (341, code, 1, top / 2 if code == "f" else top // 2, True)],
    )
    with pytest.raises(BadInputError, match=r"expected pixel values from 0 to .*, found NaN or values outside"):
        read_rgb(path)


def test_a_range_may_hold_ratios_but_not_words(tmp_path: Path) -> None:
    values = (RAMP / 65535).astype("f4")
    ratios = [(340, "2I", 1, (0, 1), True), (341, "2I", 1, (2, 2), True)]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", extratags=ratios)
    assert furthest(tmp_path / "a.tif", grey(RAMP / 257)) < 0.51
    words = [(340, "s", 0, "low", True), (341, "s", 0, "high", True)]
    tifffile.imwrite(tmp_path / "b.tif", values, photometric="minisblack", extratags=words)
    refused(tmp_path / "b.tif", "or a valid range in the tags .*, found float values of 32 bits without such a range$")


def test_a_tiff_with_too_few_strips_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    colours().save(path, tiffinfo={278: 4})
    data = path.read_bytes()
    for tag in (273, 279):  # where the strips lie, and how long each is
        start = data.index(struct.pack("<HHI", tag, 4, 4))
        data = data[:start] + struct.pack("<HHI", tag, 4, 1) + data[start + 8 :]
    path.write_bytes(data)
    refused(path, "some strips or tiles of the TIFF are missing")


def test_a_large_picture_of_floats_is_scaled_in_parts(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 1000 * 100, dtype="f4").reshape(1000, 100)
    ranged = [(340, "f", 1, 0.0, True), (341, "f", 1, 1.0, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", extratags=ranged)
    tracemalloc.start()
    try:
        picture = open_picture(tmp_path / "a.tif")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.abs(np.asarray(picture) - values * 255.0).max() < 0.51
    assert most < 16 * values.size


def test_a_range_inside_sixteen_bits_is_used(tmp_path: Path) -> None:
    path = tmp_path / "ten.tif"
    tifffile.imwrite(path, RAMP >> 6, photometric="minisblack", extratags=[(341, "H", 1, 1023, True)])
    assert furthest(path, grey((RAMP >> 6) / 1023 * 255)) <= 0.5
    tifffile.imwrite(path, DEEP >> 6, photometric="rgb", extratags=[(341, "H", 3, (1023,) * 3, True)])
    with pytest.raises(BadInputError, match=r"ten\.tif: expected 16-bit colours with values from 0 to 65535"):
        read_rgb(path)


def test_the_highest_twelve_bit_value_becomes_white(tmp_path: Path) -> None:
    bits = np.unpackbits((RAMP >> 4).astype(">u2").view(np.uint8).reshape(16, 64, 2), axis=-1)[..., 4:]
    data = np.packbits(bits.reshape(16, -1), axis=-1).tobytes()
    tags = [
        (256, 64),
        (257, 16),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8 + 2 + 108 + 4),
        (277, 1),
        (278, 16),
        (279, len(data)),
    ]
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    path = tmp_path / "twelve.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data)
    assert furthest(path, grey(RAMP >> 8)) == 0


def refused(path: Path, words: str) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        read_rgb(path)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert "\n" not in str(caught.value)


def test_pictures_that_pillow_misreads_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, DEEP.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    refused(path, "found a plane for each colour")
    ranged = [(340, "f", 1, 0.0, True), (341, "f", 1, 1.0, True)]
    values = (RAMP / 65535).astype("f4")
    tifffile.imwrite(path, values, photometric="minisblack", byteorder=">", compression="zlib", extratags=ranged)
    refused(path, "byte order")
    tifffile.imwrite(path, DEEP / 65535, photometric="rgb")
    refused(path, "or a variant of TIFF that cannot be read")
    image = Image.new("LAB", (4, 4))
    image.save(path)
    refused(path, "mode LAB")
    values[0, 0] = np.nan
    tifffile.imwrite(path, values, photometric="minisblack", extratags=ranged)
    refused(path, "found NaN or values outside")
    path = tmp_path / "deep.jp2"
    cv2.imwrite(str(path), np.full((64, 64, 3), 65535, np.uint16))
    refused(path, r"found 3 channel\(s\) of up to 16 bits")
    Image.fromarray((RAMP / 65535).astype("f4")).save(tmp_path / "float.pfm")
    refused(tmp_path / "float.pfm", "float values without a stated range")
    path = tmp_path / "hdr.png"
    path.write_bytes(png(8, 0, bytes(6), (b"cICP", bytes([9, 16, 0, 1]))))
    refused(path, r"high dynamic range \(PQ\)")
    path = tmp_path / "clear.png"
    path.write_bytes(png(16, 2, bytes(26), (b"tRNS", bytes(6))))
    refused(path, "transparent colour with 8 bits")


def test_an_avif_of_a_high_dynamic_range_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    colours().save(path)
    data = path.read_bytes()
    place = data.index(b"colrnclx") + 10
    path.write_bytes(data[:place] + struct.pack(">H", 18) + data[place + 2 :])
    refused(path, r"high dynamic range \(HLG\)")


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_deep_avifs_keep_their_range(tmp_path: Path, depth: int) -> None:
    values = (DEEP[..., ::-1] >> (16 - depth)).astype(np.uint8 if depth == 8 else np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, 100]
    if not cv2.imwrite(str(tmp_path / "a.avif"), values, options):
        pytest.skip("this OpenCV writes no AVIF")
    assert furthest(tmp_path / "a.avif", DEEP / 257) <= 3


def test_jpeg_2000_of_sixteen_grey_bits_keeps_its_range(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.jp2")
    assert furthest(tmp_path / "a.jp2", grey(RAMP >> 8)) == 0


@pytest.mark.parametrize("most", [1, 7, 100, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_netpbm_values_are_scaled_by_the_maximum_in_the_header(tmp_path: Path, most: int, plain: bool) -> None:
    for name, source, magic in (("a.pgm", RAMP, 5), ("a.ppm", DEEP, 6)):
        values = np.rint(source / 65535 * most).astype(int)
        raw = values.astype(">u2" if most > 255 else "u1").tobytes()
        words = " ".join(map(str, values.ravel())).encode() + b"\n"
        (tmp_path / name).write_bytes(b"P%d 64 16 %d\n" % (magic - 3 * plain, most) + (words if plain else raw))
        expected = values / most * 255
        assert furthest(tmp_path / name, grey(expected) if magic == 5 else expected) < 1


@pytest.mark.parametrize(
    ("depth", "colour", "row", "clear", "expected"),
    [
        (1, 0, b"\x55", b"\0\0", [255] * 8),
        (2, 0, b"\x1b", b"\0\1", [0, 255, 170, 255]),
        (4, 0, b"\x0f\x78", b"\0\7", [0, 255, 255, 136]),
        (8, 0, b"\0\x09", b"\0\0", [255, 9]),
        (16, 0, struct.pack(">4H", 0, 1799, 1800, 65535), struct.pack(">H", 1799), [0, 255, 7, 255]),
        (8, 2, b"\0\0\0\x09\x09\x09", bytes(6), [255, 9]),
    ],
)
def test_a_transparent_colour_has_the_depth_of_its_png(
    tmp_path: Path, depth: int, colour: int, row: bytes, clear: bytes, expected: list[int]
) -> None:
    path = tmp_path / "clear.png"
    path.write_bytes(png(depth, colour, b"\0" + row, (b"tRNS", clear), size=(len(expected), 1)))
    assert np.asarray(read_rgb(path))[0, :, 0].tolist() == expected


def test_palettes_alpha_and_colour_spaces_are_converted_to_rgb(tmp_path: Path) -> None:
    expected = np.asarray(colours(), np.float64)
    few = colours().quantize(16)
    few.save(tmp_path / "p.png", transparency=3)
    white = np.asarray(few.convert("RGB"), np.float64)
    white[np.asarray(few) == 3] = 255
    assert furthest(tmp_path / "p.png", white) == 0
    half = colours().convert("RGBA")
    half.putalpha(128)
    for name in ("a.png", "a.tif", "a.webp"):
        half.save(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))
        assert furthest(tmp_path / name, expected * 128 / 255 + 127) <= 2
    tifffile.imwrite(
        tmp_path / "x.tif",
        np.dstack([np.asarray(colours()), RAMP >> 8]).astype(np.uint8),
        photometric="rgb",
        extrasamples=["unspecified"],
    )
    assert furthest(tmp_path / "x.tif", expected) == 0
    premultiplied = np.dstack([np.asarray(colours()) // 2, np.full(RAMP.shape, 128)]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    assert furthest(tmp_path / "a.tif", expected * 128 / 255 + 127) <= 2
    tifffile.imwrite(
        tmp_path / "la.tif",
        premultiplied[..., [0, 3]],
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["assocalpha"],
    )
    assert furthest(tmp_path / "la.tif", grey(expected[..., 0]) * 128 / 255 + 127) <= 2
    colours().convert("YCbCr").save(tmp_path / "y.tif")
    assert furthest(tmp_path / "y.tif", expected) <= 3
    colours().convert("CMYK").save(tmp_path / "c.jpg", quality=100, subsampling=0)
    assert furthest(tmp_path / "c.jpg", expected) <= 6


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_a_fully_transparent_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    unseen = colours().convert("RGBA")
    unseen.putalpha(0)
    unseen.save(tmp_path / f"unseen.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    refused(tmp_path / f"unseen.{suffix}", "found only transparent pixels$")
    unseen.putpixel((3, 3), (0, 0, 0, 1))
    unseen.save(tmp_path / f"seen.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    assert furthest(tmp_path / f"seen.{suffix}", np.full((16, 64, 3), 255.0)) <= 1


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif", "mpo"])
def test_the_first_of_several_pictures_in_a_file_is_read(tmp_path: Path, suffix: str) -> None:
    first, path = colours(), tmp_path / f"several.{suffix}"
    others = [Image.new("RGB", first.size, colour) for colour in ("red", "white")]
    first.save(path, save_all=True, append_images=others, **({"lossless": True} if suffix == "webp" else {}))
    assert furthest(path, np.asarray(first, np.float64)) <= {"gif": 12, "mpo": 40}.get(suffix, 0)


# --- what stands beside the pixels ------------------------------------------------------------------------------------

ROWS = b"\0\0\x09" * 2
BOMB = zlib.compress(bytes(5_000_000))


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"zTXt", b"k\0\0" + BOMB)], [(b"iTXt", b"k\0\1\0\0\0" + BOMB)], [(b"tEXt", b"k\0" + bytes(3_000_000))],
        [(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000)))] * 80, [(b"iCCP", b"k\0\0" + BOMB)],
        [(b"iCCP", b"k\0\7zzz")], [(b"iCCP", b"")], [(b"gAMA", b"")], [(b"pHYs", b"1")], [(b"cHRM", b"1")],
        [(b"sRGB", b"")], [(b"acTL", b"")], [(b"acTL", struct.pack(">II", 5, 0)), (b"fcTL", b"z")], [(b"cICP", b"")],
        [(b"eXIf", b"II*\0\xff\xff\xff\xff")],
    ],
)  # fmt: skip
def test_unusual_chunks_do_not_prevent_reading(tmp_path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(png(8, 0, ROWS, *chunks))
    assert np.asarray(read_rgb(path))[..., 0].tolist() == [[0, 9], [0, 9]]


def test_a_png_without_its_palette_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(8, 3, b"\0\0\1\0\2\3"))
    refused(tmp_path / "a.png", "broken one .*palette indices without a palette")


def test_a_png_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = bytearray(png(8, 0, ROWS))
    data[-14] ^= 1
    (tmp_path / "flipped.png").write_bytes(data)
    refused(tmp_path / "flipped.png", "broken one .*IDAT.* checksum")


def entry(kind: int, count: int, value: bytes, more: bytes = b"") -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHI", 274, kind, count) + value + bytes(4) + more


TORN = b"Exif\0\0II*\0\x08\0\0\0\2\0" + struct.pack("<HHIIHHII", 274, 3, 1, 6, 34665, 4, 1, 2**31)
"""EXIF of an orientation, and of a folder of tags beyond its end."""


@pytest.mark.parametrize(
    ("exif", "turned"),
    [
        (entry(3, 1, b"\6\0\0\0"), True), (entry(3, 1, b"\x09\0\0\0"), False), (entry(2, 4, b"abc\0"), False),
        (entry(5, 1, b"\x1a\0\0\0", b"\6\0\0\0\0\0\0\0"), False), (b"Exif\0\0", False), (b"Exif\0\0II", False),
        (b"Exif\0\0II*\0\x08\0\0\0\xff\xff", False), (b"Exif\0\0" + bytes(20), False), (TORN, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_only_the_orientation_of_exif_is_read(tmp_path: Path, exif: bytes, turned: bool, suffix: str) -> None:
    path = tmp_path / f"turned.{suffix}"
    if suffix == "png":
        path.write_bytes(png(8, 0, b"\0" + bytes(64) + (b"\0" + bytes(64)) * 15, (b"eXIf", exif[6:]), size=(64, 16)))
    else:
        colours().save(path, exif=exif)
    assert read_rgb(path).size == size_of(path) == ((16, 64) if turned else (64, 16))


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif", "tif", "png"])
@pytest.mark.parametrize("exif", [None, entry(3, 1, b"\1\0\0\0")])
def test_an_orientation_in_xmp_is_ignored(tmp_path: Path, suffix: str, exif: bytes | None) -> None:
    path, words = tmp_path / f"a.{suffix}", b'<rdf:Description tiff:Orientation="6"/>'
    options: dict[str, Any] = {"exif": exif} if exif else {}
    if suffix == "tif":
        options["tiffinfo"] = {700: words}
    if suffix == "png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", words.decode())
    colours().save(path, xmp=words, **options)
    assert read_rgb(path).size == size_of(path) == (64, 16)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif", "tif", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    quarters = Image.fromarray(np.kron([[0, 60], [120, 180], [230, 250]], np.ones((16, 16))).astype(np.uint8))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's ways to turn, each the other way round
    stored = quarters if orientation == 1 else quarters.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[274] = orientation
    stored.convert("RGB").save(tmp_path / f"a.{suffix}", exif=exif)
    assert furthest(tmp_path / f"a.{suffix}", grey(np.asarray(quarters))) <= 25
    assert size_of(tmp_path / f"a.{suffix}") == (32, 48)


def test_warnings_of_pillow_do_not_become_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.png"
    few = Image.new("P", (8, 8))
    few.info["transparency"] = bytes(range(1, 9))
    few.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_rgb(path)
        large = tmp_path / "large.png"
        large.write_bytes(png(1, 0, zlib.compress(b""), size=(10_000, 10_000)))  # Pillow warns of such a size
        refused(large, "broken")
    assert caplog.messages == []


# --- size and kind ---------------------------------------------------------------------------------------------------


def test_wrong_shapes_are_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "shape.png"
    tracemalloc.start()
    for size, words in (
        ((1, 30_000), r"expected a longer side of at most 20 times the shorter side, found 1×30000"),
        ((21, 1), r"found 21×1"),
        ((13_378, 13_378), r"expected a picture of at most 178,956,970 pixels, found "),
        ((60_000, 60_000), r"expected a picture of at most 178,956,970 pixels, found more"),
    ):
        path.write_bytes(png(8, 2, b"", size=size))
        refused(path, words)
        with pytest.raises(BadInputError, match=words):
            size_of(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    Image.new("RGB", (20, 1)).save(path)
    assert read_rgb(path).size == (20, 1)


def test_paths_that_are_not_readable_files_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "found something that is not a regular file")
    refused(Path("/dev/zero"), "found something that is not a regular file")
    refused(tmp_path, "found a folder")
    refused(tmp_path / "gone.png", "found no file")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "found one that cannot be opened")
    refused(tmp_path / ("x" * 300), "found one that cannot be opened")
    with pytest.raises(BadInputError, match=r"a\\x00b\.png: expected a picture"):
        read_rgb(tmp_path / "a\0b.png")


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "vast.avif"
    Image.new("RGB", (8, 8)).save(path)
    os.truncate(path, MOST_BYTES + 1)
    refused(path, r"at most 1,431,655,760 bytes, found 1,431,655,761")


def eps() -> bytes:
    stream = io.BytesIO()
    colours().save(stream, "EPS")
    return stream.getvalue()


def saved_as(kind: str) -> Callable[[], bytes]:
    def save() -> bytes:
        stream = io.BytesIO()
        colours().save(stream, kind)
        return stream.getvalue()

    return save


@pytest.mark.parametrize(
    "make",
    [eps, *(saved_as(kind) for kind in ("ICO", "PCX", "TGA", "SGI", "DDS", "PDF", "QOI")), lambda: b"",
     lambda: b"<svg/>", lambda: b"<html>", lambda: b"PK\3\4", lambda: b"BM of the text", lambda: b"P6 is a text",
     lambda: b"\xff\xd8", lambda: b"\x89PNG", lambda: b"\0\0\0\x18ftypheic"],
)  # fmt: skip
def test_unsupported_formats_are_refused(tmp_path: Path, make: Callable[[], bytes]) -> None:
    path = tmp_path / "named.png"
    path.write_bytes(make())
    refused(path, r"expected a picture \(JPEG, PNG, .*\), found a file of another type")
    assert not is_picture(path)


def test_an_opened_picture_keeps_its_colour_mode(tmp_path: Path) -> None:
    colours().quantize(16).save(tmp_path / "p.png")
    assert open_picture(tmp_path / "p.png").mode == "P"
    Image.fromarray(RAMP).save(tmp_path / "deep.png")
    assert open_picture(tmp_path / "deep.png").mode == "L"


def test_any_error_of_an_image_decoder_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a\nb\udcff.png"
    colours().save(path)
    for error in (struct.error, TypeError, ValueError, RuntimeError, NotImplementedError, AttributeError, OSError,
                  SyntaxError, EOFError, KeyError, IndexError, OverflowError, MemoryError, zlib.error, AssertionError,
                  RecursionError):  # fmt: skip

        def fail(self: object, error: type[Exception] = error) -> None:
            raise error("of\nthis")

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
        with pytest.raises(
            BadInputError, match=r"a\\nb\\xff\.png: expected a complete picture, found a broken one \(.*of\S*this"
        ):
            read_rgb(path)
