"""Tests of the autoencoders in `conf/vae`: each one composes, is complete, and stands in the table of the page."""

import re
from pathlib import Path
from typing import get_type_hints

import pytest
from omegaconf import DictConfig, OmegaConf

from bench.checking.autoencoders import vae_asset
from bench.config.compose import compose_config, conf_dir, typed
from bench.config.references import references, values_below
from bench.config.schema import PRECISIONS, VaeSpec
from bench.errors import BadInputError
from bench.models.autoencoders import KNOWN

OWN = "own"
"""The entry for an autoencoder of the user, which states nothing but a label."""
NAMES = sorted(path.stem for path in (conf_dir() / "vae").glob("*.yaml") if path.stem != OWN)
TABLE = "experiment=table2_inpaint_imagenet"
PAGE = Path(__file__).parents[2] / "docs" / "autoencoders.md"
OWN_SPACES = {"flux2", "mini-kl", "mini-kl16", "mini-vq"}
"""Spaces whose convention is in the weights or in the configuration of one autoencoder alone."""


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    """Return the composed configuration of a table with every autoencoder of `conf/vae`."""
    return compose_config([TABLE, f"vae=[{','.join(NAMES)}]"])


@pytest.fixture(scope="module")
def vaes(composed: DictConfig) -> dict[str, VaeSpec]:
    """Return every autoencoder of `conf/vae`, in the order of their names."""
    return typed(composed)[0].vaes


@pytest.mark.blackbox
@pytest.mark.parametrize("name", [NAMES[0], NAMES[-1]])
def test_an_autoencoder_composes_alone_under_its_name(name: str) -> None:
    assert list(typed(compose_config([TABLE, f"vae=[{name}]"]))[0].vaes) == [name]


@pytest.mark.blackbox
def test_no_key_refers_to_another_autoencoder_so_that_each_one_composes_alone(composed: DictConfig) -> None:
    tree = OmegaConf.to_container(composed, resolve=False)
    read = {(leaf, key) for leaf, value in values_below(tree, "") for key in references(leaf, value)}
    own = {(leaf, key) for leaf, key in read if key.partition(".")[0] == "vaes"}
    assert {(leaf, key) for leaf, key in own if leaf.split(".")[:2] != key.split(".")[:2]} == set()
    assert {leaf.split(".")[1] for leaf, _ in read if leaf.startswith("vaes.")} != set()


@pytest.mark.blackbox
def test_the_entry_for_an_autoencoder_of_the_user_needs_only_a_path() -> None:
    with pytest.raises(BadInputError, match=r"vaes\.own\.path: expected a value"):
        typed(compose_config([TABLE, f"vae=[{OWN}]"]))
    vae = typed(compose_config([TABLE, f"vae=[{OWN}]", "vaes.own.path=mine"]))[0].vaes[OWN]
    assert (vae.path, vae.encoder, vae.space) == ("mine", None, "")


@pytest.mark.blackbox
def test_each_autoencoder_has_the_fields_that_it_needs(vaes: dict[str, VaeSpec]) -> None:
    assert list(vaes) == NAMES
    for name, vae in vaes.items():
        assert vae.label, name
        assert vae.licence, name
        assert "config.json" in vae.files, name
        assert vae.space in {*KNOWN, *OWN_SPACES}, name
        assert vae.precisions[0] == PRECISIONS[0], name
        assert set(vae.unverified) <= set(get_type_hints(VaeSpec)), name
        assert (vae.hub is None) == name.startswith("mini_"), name
        assert vae.hub is None or "/" in vae.hub.id, name
    for labels in ([vae.label for vae in vaes.values()], [(vae.path) for vae in vaes.values()]):
        assert len(set(labels)) == len(labels)


@pytest.mark.blackbox
def test_each_known_space_has_an_autoencoder(vaes: dict[str, VaeSpec]) -> None:
    assert {vae.space for vae in vaes.values()} == {*KNOWN, *OWN_SPACES}


@pytest.mark.blackbox
def test_only_ungated_repositories_at_a_known_commit_are_downloaded(vaes: dict[str, VaeSpec]) -> None:
    not_downloaded = {name for name, vae in vaes.items() if vae_asset(name, vae).download is None}
    assert {name for name in not_downloaded if vaes[name].hub} == {"asymmetric_x1_5", "asymmetric_x2", "eq_sdxl", "sd3"}
    for name in not_downloaded:
        assert bool(vae_asset(name, vaes[name]).how) == (vaes[name].hub is not None)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("vaes.sdxl.precisions=[float64]", "vaes.sdxl.precisions: expected one of float32, bfloat16, float16, found"),
        ("vaes.sdxl.precisions=[]", "vaes.sdxl.precisions: expected one or more of .*, found none"),
        ("vaes.sdxl.precisions=[float32,float32]", "each of them once, found float32, float32"),
        ("vaes.sdxl.hub.revision=main", "vaes.sdxl.hub.revision: expected a commit, 40 hexadecimal digits, found main"),
        ("vaes.sdxl.path=' '", "vaes.sdxl.path: expected a folder, found an empty text"),
        ("+vaes.sdxl.files={a.bin: 0}", "vaes.sdxl.files: expected a size of 1 byte or more, found 0 for a.bin"),
    ],
)
def test_a_wrong_value_is_refused(word: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        typed(compose_config([TABLE, "vae=[sdxl]", word]))


def row(name: str, vae: VaeSpec) -> str:
    """Return the line of the page's table about an autoencoder."""
    source = f"{vae.hub.id}{', folder ' + vae.hub.folder if vae.hub.folder else ''}" if vae.hub else "this project"
    commit = "–" if vae.hub is None else "known" if vae.hub.revision else "not known"
    gated = ", gated" if vae.hub is not None and vae.hub.gated else ""
    licence = f"{vae.licence}{' (not verified)' if 'licence' in vae.unverified else ''}"
    return f"| `{name}` | {vae.space} | {source}{gated} | {licence} | {commit} |"


@pytest.mark.golden
def test_the_table_of_the_page_is_that_of_the_files(vaes: dict[str, VaeSpec]) -> None:
    found = re.findall(r"^\| `[a-z0-9_]+` \| .*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found == [row(name, vae) for name, vae in vaes.items()]
