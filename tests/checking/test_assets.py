"""Tests that the list of assets agrees with the paths, the profiles and the checksums of the code."""

import re
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.checking.assets import Asset, read_assets
from bench.checking.required_paths import Need, needs
from bench.config.compose import compose_config, typed
from bench.config.schema import Paths
from bench.data import cocoee, places
from bench.metrics import clip_score, inception
from bench.store import file_sha256

TABLE = "experiment=table2_inpaint_imagenet"
OWN = {"store", "data", "weights", "assets", "repositories"}
BASELINES = {name for name, asset in read_assets().items() if asset.used_for == "baselines"}
"""Paths that only this machine has."""


@pytest.mark.blackbox
def test_every_path_except_our_own_belongs_to_an_asset() -> None:
    assert {field.name for field in fields(Paths)} - OWN == set(read_assets())


@pytest.mark.blackbox
def test_every_path_is_set_by_its_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, asset in read_assets().items():
        monkeypatch.setenv(asset.variable, f"elsewhere/{name}")
    paths = typed(compose_config([TABLE]))[1]["paths"]
    assert {name: paths[name] for name in read_assets()} == {name: f"elsewhere/{name}" for name in read_assets()}


@pytest.mark.blackbox
@pytest.mark.parametrize("variable", ["BENCH_DATA", "BENCH_WEIGHTS"])
def test_other_paths_default_to_folders_below_data_and_weights(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BENCH_DATA", "BENCH_WEIGHTS"):
        monkeypatch.setenv(name, "here")
    monkeypatch.setenv(variable, "moved")
    paths = typed(compose_config([TABLE]))[1]["paths"]
    of_data = {name for name, asset in read_assets().items() if asset.used_for == "data set" and asset.within is None}
    moved = {name for name in read_assets() if paths[name].startswith("moved/")}
    assert moved == (of_data if variable == "BENCH_DATA" else set(read_assets()) - of_data - {"places_list"})


def of_profile(profile: str) -> list[Need]:
    resolved = typed(compose_config([TABLE, f"profile={profile}"]))[1]
    keys = ("pipeline", "text_pipeline", "exemplar_pipeline", "first_stage", "features", "decoders", "datasets")
    return needs({key: resolved["profile"][key] for key in keys}, resolved["paths"])


@pytest.mark.blackbox
def test_the_paper_profile_names_every_asset_and_no_other_file() -> None:
    found = of_profile("paper")
    # These are chosen by `dataset=imagenet_archive`, by the generator's name, and by `baseline=native`.
    chosen = {"imagenet_archive", "sdxl_inpainting", "flux_fill", *BASELINES}
    assert {need.asset.name for need in found if need.asset is not None} == set(read_assets()) - chosen
    assert all(need.asset is not None for need in found)


@pytest.mark.blackbox
def test_the_mini_profile_needs_no_asset() -> None:
    assert [need for need in of_profile("mini") if need.asset is not None] == []


@pytest.mark.blackbox
@pytest.mark.parametrize("asset", read_assets().values(), ids=lambda asset: asset.name)
def test_every_download_is_pinned(asset: Asset) -> None:
    known = {field.name for field in fields(Asset)}
    assert set(asset.unverified) <= known
    if asset.download is None:
        assert asset.how
    elif asset.download.url is not None:
        assert re.fullmatch("[0-9a-f]{64}", asset.expected_sha256 or "")
        assert asset.download.hub is None
    else:
        assert re.fullmatch("[0-9a-f]{40}", asset.download.revision or "")
        assert asset.parts
    if asset.used_for == "data set":
        assert asset.count


@pytest.mark.golden
def test_assets_list_the_checksums_that_the_code_demands() -> None:
    assets = read_assets()
    assert assets["clip"].sha256 == clip_score.OPENAI_SHA256
    assert assets["inception_clean"].sha256 == inception.NVIDIA_SHA256
    for name in ("inception_lama", "inception_fidelity"):
        assert str(assets[name].sha256) in str(inception.PORTED.__doc__ or "") + Path(inception.__file__).read_text()
    assert assets["places_list"].items == places.PUBLISHED[0]
    assert assets["cocoee"].items == cocoee.PUBLISHED[0]


@pytest.mark.golden
def test_the_installed_lpips_heads_have_the_known_checksums() -> None:
    companion = read_assets()["vgg16"].companion
    assert companion is not None
    spec = find_spec(companion.package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    assert file_sha256(Path(spec.submodule_search_locations[0]) / companion.file) == companion.sha256


PAGE = Path(__file__).parents[2] / "docs" / "paper.md"


def listed_places() -> dict[str, str]:
    """Return the variable of each path in the page's tree of files, by the path."""
    (tree,) = re.findall(r"<!-- places -->\n```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    found, above = dict[str, str](), list[str]()
    for line in tree.splitlines():
        name, _, variable = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        above[depth:] = [name.rstrip("/")]
        if variable:
            found["/".join(above)] = variable.strip()
    return found


@pytest.mark.golden
def test_the_tree_of_files_on_the_page_is_that_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data", "store", "weights", "repositories", *read_assets()):
        monkeypatch.delenv(f"BENCH_{name.upper()}", raising=False)
    paths = typed(compose_config([TABLE]))[1]["paths"]
    expected = {name: path for name, path in paths.items() if name != "assets"}
    for name, asset in read_assets().items():
        if asset.within is not None:
            expected[name] = f"{paths[asset.within]}/{paths[name]}"
    assert listed_places() == {path: f"BENCH_{name.upper()}" for name, path in expected.items()}


@pytest.mark.golden
def test_the_page_lists_what_no_program_downloads_and_how_to_train_it() -> None:
    """The page repeats the commands of the list of assets."""
    page = PAGE.read_text(encoding="utf-8")
    lines = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    trained = {name for name, asset in read_assets().items() if asset.source == "no weights were published"}
    for name in trained:
        (command,) = [line[2].strip().strip("`") for line in lines if f"`{name}`" in line[1]]
        assert f"{command}, then set the path to DIR/decoder" in " ".join(read_assets()[name].how.split())
    named = {name for line in lines for name in re.findall(r"`(\w+)`", line[1])}
    assert {name for name, asset in read_assets().items() if asset.download is None} <= named
    assert not {name for name, asset in read_assets().items() if asset.download is not None} & named
