"""Tests of how pictures, edited pictures and masks find each other."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.edits.pairing import pair
from bench.errors import BadInputError
from tests.helpers.photographs import write

pytestmark = pytest.mark.blackbox

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 16, 20, 3), dtype=np.uint8)
NAMES = ("a", "b", "c")


def folder(path: Path, order: str = "abc", names: str = "abc") -> Path:
    return write(path, {name: PIXELS["abc".index(which)] for name, which in zip(names, order, strict=True)})


def test_files_are_paired_by_name(tmp_path: Path) -> None:
    truth = [folder(tmp_path / "truth") / f"{name}.png" for name in "cab"]
    pairs = pair(truth, {"mine": folder(tmp_path / "mine")}, None)
    assert pairs.names == ("c", "a", "b")
    for place in range(3):
        np.testing.assert_array_equal(pairs.truth.pixels(place), pairs.edited["mine"].pixels(place))


def test_arrays_are_paired_by_order_with_each_other_and_with_paths(tmp_path: Path) -> None:
    paths = [folder(tmp_path / "truth") / f"{name}.png" for name in "cab"]
    pairs = pair(paths, {"mine": PIXELS[[2, 0, 1]]}, None)
    assert pairs.names == ("c", "a", "b")
    np.testing.assert_array_equal(pairs.truth.pixels(0), pairs.edited["mine"].pixels(0))
    assert pair(PIXELS, {"mine": PIXELS}, None).names == ("0", "1", "2")


def test_missing_and_left_over_files_are_named(tmp_path: Path) -> None:
    truth, mine = folder(tmp_path / "truth"), folder(tmp_path / "mine", names="abd")
    with pytest.raises(BadInputError, match=r"edited mine: .*no file for c and files that truth does not have \(d\)"):
        pair(truth, {"mine": mine}, None)
    with pytest.raises(BadInputError, match=r"mask: .*found no file for c"):
        pair(truth, {"mine": truth}, write(tmp_path / "masks", {"a": PIXELS[0], "b": PIXELS[1]}))


def test_a_folder_and_an_array_are_not_paired_by_guessing(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="files of a folder have no order, so give a list of paths"):
        pair(folder(tmp_path / "truth"), {"mine": PIXELS}, None)


def test_a_folder_that_is_neither_a_text_nor_a_path_is_not_paired_with_arrays(tmp_path: Path) -> None:
    folder(tmp_path / "truth")
    with pytest.raises(BadInputError, match="files of a folder have no order"), os.scandir(tmp_path) as found:
        pair(next(found), {"mine": PIXELS}, None)


def test_paths_that_share_a_name_are_refused(tmp_path: Path) -> None:
    paths = [folder(tmp_path / name) / "a.png" for name in ("one", "other")]
    with pytest.raises(BadInputError, match=r"truth: .*found 2 pictures in the list of paths that share a name"):
        pair(paths, {"mine": PIXELS[:2]}, None)


def test_another_number_of_arrays_is_refused() -> None:
    with pytest.raises(BadInputError, match="edited mine: expected 3 entries, one for each picture in truth, found 2"):
        pair(PIXELS, {"mine": PIXELS[:2]}, None)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"mask: .*found 3 of 3 with another size: 0 \(mask 20×12, picture 20×16\)"):
        pair(PIXELS, {"mine": PIXELS}, np.zeros((3, 12, 20), np.bool_))


def test_a_tiny_picture_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"truth: expected pictures of at least 11 pixels a side, found 0 \(20×8\)"):
        pair(PIXELS[:1, :8], {"mine": PIXELS[:1, :8]}, None)


def test_an_editor_with_another_size_is_not_measurable() -> None:
    pairs = pair(PIXELS, {"good": PIXELS, "bad": [PIXELS[0], PIXELS[1], PIXELS[2, :12]]}, None)
    assert pairs.measurable == ["good"]
    assert pairs.misfits("bad") == [2]
