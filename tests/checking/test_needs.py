"""Which files a configuration names, and whose they are."""

from pathlib import Path

from bench.checking.needs import needs

PATHS = {
    "places": "data/places",
    "places_list": "names.lst",
    "sd_inpainting": "weights/sd",
    "decoder_base": "weights/base",
}


def found(nodes: dict[str, object]) -> dict[str, tuple[str, str | None, str | None]]:
    """By key: path, asset, and where that one lies."""
    return {
        need.key: (str(need.path), need.asset and need.asset.name, need.root and str(need.root))
        for need in needs(nodes, PATHS)
    }


def test_an_asset_is_known_by_its_path_whatever_the_key() -> None:
    assert found({"generator": {"_target_": "a.B", "anything": "weights/sd", "steps": 3}}) == {
        "generator.anything": ("weights/sd", "sd_inpainting", "weights/sd")
    }


def test_a_path_below_an_asset_is_that_assets() -> None:
    rows = {"a": {"method": {"decoder": {"path": "weights/sd/vae"}}}, "b": [{"path": "weights/base/"}]}
    assert found({"rows": rows}) == {
        "rows.a.method.decoder.path": ("weights/sd/vae", "sd_inpainting", "weights/sd"),
        "rows.b[0].path": ("weights/base", "decoder_base", "weights/base"),
    }


def test_a_neighbour_with_a_longer_name_is_not() -> None:
    assert found({"rows": {"path": "weights/sd2"}}) == {"rows.path": ("weights/sd2", None, None)}


def test_a_list_is_meant_from_the_root_beside_it_or_from_its_data_set() -> None:
    assert found({"dataset": {"pictures": {"root": "mine", "listing": "names.lst"}}}) == {
        "dataset.pictures.root": ("mine", None, None),
        "dataset.pictures.listing": ("mine/names.lst", "places_list", "mine/names.lst"),
    }
    assert found({"dataset": {"listing": "names.lst"}})["dataset.listing"][0] == "data/places/names.lst"
    (need,) = needs({"d": {"listing": "/lists/a.lst"}}, {**PATHS, "places_list": "/lists/a.lst"})
    assert need.path == need.root == Path("/lists/a.lst")


def test_any_other_value_is_a_path_by_its_key_alone() -> None:
    nodes = {"generator": {"prompt": "a/b", "checkpoint": "mine.ckpt", "root": None, "path": "", "pipeline": {"x": 1}}}
    assert found(nodes) == {"generator.checkpoint": ("mine.ckpt", None, None)}
    assert [need.key for need in needs({"start": "x", "steps": "y"}, PATHS, ("start",))] == ["start"]
