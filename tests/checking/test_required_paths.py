"""Tests of the paths that a configuration names, and of the assets to which they belong."""

from pathlib import Path

import pytest

from bench.checking.required_paths import needs

pytestmark = pytest.mark.blackbox

PATHS = {
    "places": "data/places",
    "places_list": "names.lst",
    "sd_inpainting": "weights/sd",
    "decoder_base": "weights/base",
}


def found(nodes: dict[str, object]) -> dict[str, tuple[str, str | None, str | None]]:
    """Return path, asset and place of the asset by key."""
    return {
        need.key: (str(need.path), need.asset and need.asset.name, need.root and str(need.root))
        for need in needs(nodes, PATHS)
    }


def test_an_asset_is_recognised_by_its_path_under_any_key() -> None:
    assert found({"generator": {"_target_": "a.B", "anything": "weights/sd", "steps": 3}}) == {
        "generator.anything": ("weights/sd", "sd_inpainting", "weights/sd")
    }


def test_a_path_below_an_asset_belongs_to_that_asset() -> None:
    rows = {"a": {"method": {"decoder": {"path": "weights/sd/vae"}}}, "b": [{"path": "weights/base/"}]}
    assert found({"rows": rows}) == {
        "rows.a.method.decoder.path": ("weights/sd/vae", "sd_inpainting", "weights/sd"),
        "rows.b[0].path": ("weights/base", "decoder_base", "weights/base"),
    }


def test_a_path_that_only_shares_a_prefix_does_not_belong_to_the_asset() -> None:
    assert found({"rows": {"path": "weights/sd2"}}) == {"rows.path": ("weights/sd2", None, None)}


def test_a_listing_is_resolved_from_its_root_or_its_data_set() -> None:
    assert found({"dataset": {"pictures": {"root": "mine", "listing": "names.lst"}}}) == {
        "dataset.pictures.root": ("mine", None, None),
        "dataset.pictures.listing": ("mine/names.lst", "places_list", "mine/names.lst"),
    }
    assert found({"dataset": {"listing": "names.lst"}})["dataset.listing"][0] == "data/places/names.lst"
    (need,) = needs({"d": {"listing": "/lists/a.lst"}}, {**PATHS, "places_list": "/lists/a.lst"})
    assert need.path == need.root == Path("/lists/a.lst")


def test_other_values_are_recognised_as_paths_by_their_key() -> None:
    nodes = {"generator": {"prompt": "a/b", "checkpoint": "mine.ckpt", "root": None, "path": "", "pipeline": {"x": 1}}}
    assert found(nodes) == {"generator.checkpoint": ("mine.ckpt", None, None)}
    assert [need.key for need in needs({"start": "x", "steps": "y"}, PATHS, ("start",))] == ["start"]
