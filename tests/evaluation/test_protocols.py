"""Tests of the protocol of a run: the declared files, the fields that the run really has, and their differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.checking.dataset_listing import adapter_of, traits_of
from bench.config.compose import checked, conf_dir
from bench.config.schema import PROTOCOL_FIELDS, ComposedConfig, ProtocolSpec
from bench.data.masks import preset
from bench.data.mini.coco2017 import write_coco2017
from bench.data.prepared import Items, prepare_items
from bench.evaluation.protocols import RunProtocol, measuring_of, protocol_of_run

pytestmark = pytest.mark.blackbox

COUNT, SIDE = 6, 48
MEASURING = {"features": "mini", "rounding": "uint8 RGB, truncated"}
NAMES = sorted(path.stem for path in (conf_dir() / "protocol").glob("*.yaml"))
DECLARED = ProtocolSpec(
    name="own",
    title="Own",
    dataset="COCO 2017",
    split="val",
    items=COUNT,
    resolution=SIDE,
    resize="shorter side, bicubic",
    crop="center",
    reference="the same crops",
    rounding="uint8 RGB, truncated",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco2017(tmp_path_factory.mktemp("data"), "val", images=COUNT)


def composed(*words: str) -> tuple[ComposedConfig, dict[str, Any]]:
    return checked(["experiment=table2_inpaint_imagenet", "generator=reconstruction", *words])


def dataset(root: object, **changes: object) -> dict[str, Any]:
    return {"pictures": {"_target_": "bench.data.coco2017.COCO2017Validation", "root": root}, **changes}


def prepared(folder: Path, node: Mapping[str, Any], limit: int | None = None) -> Items:
    masks = preset(f"thick_512@{SIDE}")
    return prepare_items(folder, adapter_of(node), resolution=SIDE, masks=masks, seed=0, limit=limit)


def protocol(folder: Path, node: Mapping[str, Any], limit: int | None = None, *words: str) -> RunProtocol:
    items = prepared(folder / "items", node, limit)
    return protocol_of_run(DECLARED, items, node, traits_of(node), MEASURING, words)


@pytest.mark.parametrize("profile", ["mini", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_each_protocol_sets_what_it_declares_on_both_profiles(name: str, profile: str) -> None:
    config, resolved = composed(f"protocol={name}", f"profile={profile}")
    declared = config.protocol
    assert declared is not None
    assert declared.name == name
    assert set(declared.assumed) <= set(PROTOCOL_FIELDS)
    # What is declared is also set; the number of items follows from the data themselves.
    assert declared.resolution == config.profile.resolution
    adapter = adapter_of({**resolved["dataset"], "root": "x"}, root="data/val")
    assert declared.dataset is not None
    assert declared.dataset.removesuffix(", in miniature") == adapter.dataset
    assert (", in miniature" in declared.dataset) == (profile == "mini")
    assert declared.split == adapter.split
    assert config.dataset is not None
    expected = {"crop": "center", "lama": "square that touches the hole"}[adapter.fit]
    assert (declared.resize, declared.crop) == (f"shorter side, {adapter.filter}", expected)
    assert adapter.crop_offset == 0
    for field in ("split", "items", "reference", "rounding"):
        assert getattr(declared, field) is not None


def test_there_are_the_papers_stabilitys_the_tokenizers_and_karpathys_protocol() -> None:
    assert NAMES == ["karpathy", "paper", "stability", "tokenizers"]
    numbers = {name: composed(f"protocol={name}", "profile=paper")[0].protocol for name in NAMES}
    found = {name: (one.items, one.resolution) for name, one in numbers.items() if one is not None}
    assert found == {
        "karpathy": (5000, 256),
        "paper": (2968, 512),
        "stability": (5000, 256),
        "tokenizers": (50_000, 256),
    }


def test_a_run_that_does_what_is_declared_carries_the_name(root: Path, tmp_path: Path) -> None:
    found = protocol(tmp_path, dataset(str(root)))
    assert (found.name, found.changed) == ("own", ())
    assert tuple(found.fields) == PROTOCOL_FIELDS
    assert found.fields == {
        "dataset": "COCO 2017",
        "split": "val",
        "items": COUNT,
        "resolution": SIDE,
        "resize": "shorter side, bicubic",
        "crop": "center",
        "reference": "the same crops",
        **MEASURING,
    }
    assert found.as_json == {"name": "own", "fields": found.fields, "declared": "own", "changed": []}
    assert found.notes() == [
        "Protocol own (Own): dataset COCO 2017; split val; items 6; resolution 48; resize shorter side, bicubic; "
        "crop center; reference the same crops; features mini; rounding uint8 RGB, truncated."
    ]


@pytest.mark.parametrize(
    ("changes", "limit", "said"),
    [
        ({"crop_offset": 1}, None, "crop: center, moved by 1 pixel instead of center"),
        ({"filter": "bilinear"}, None, "resize: shorter side, bilinear instead of shorter side, bicubic"),
        (
            {"fit": "squash"},
            None,
            "resize: both sides, bicubic instead of shorter side, bicubic; crop: none instead of",
        ),
        ({}, 4, "items: 4 instead of 6"),
    ],
)
def test_any_other_crop_filter_or_number_is_another_protocol(
    root: Path, tmp_path: Path, changes: dict[str, object], limit: int | None, said: str
) -> None:
    usual = protocol(tmp_path, dataset(str(root)))
    found = protocol(tmp_path, dataset(str(root), **changes), limit)
    assert found.name is not None
    assert found.name.startswith(f"own, changed ({said}")
    assert found.name != usual.name
    assert found.fields != usual.fields
    assert found.declared == "own"
    assert found.notes()[0].startswith(f"Protocol {found.name} (Own): ")


def test_a_miniature_and_another_split_are_other_data_sets(root: Path, tmp_path: Path) -> None:
    target = "bench.data.mini.coco2017.write_coco2017"
    written = {"_target_": target, "parent": str(root.parents[1]), "split": "val", "images": COUNT}
    found = protocol(tmp_path, dataset(written))
    assert found.changed == ("dataset: COCO 2017, in miniature instead of COCO 2017",)
    other = protocol(tmp_path, dataset({**written, "split": "train"}))
    assert other.fields["split"] == "train"


def test_an_override_of_the_declaration_itself_does_not_keep_the_name(root: Path, tmp_path: Path) -> None:
    found = protocol(tmp_path, dataset(str(root)), None, "protocol=own", "protocol.items=6", "limit=6")
    assert found.changed == ("declared with protocol.items=6",)


def test_a_run_without_a_declared_protocol_has_fields_but_no_name_and_no_note(root: Path, tmp_path: Path) -> None:
    node = dataset(str(root))
    items = prepared(tmp_path / "items", node)
    found = protocol_of_run(None, items, node, traits_of(node), MEASURING, ["limit=6"])
    assert (found.name, found.declared, found.changed, found.notes()) == (None, None, (), [])
    assert found.fields["items"] == COUNT


def test_the_feature_network_and_the_rounding_come_from_the_measure_of_fid() -> None:
    image = "uint8 RGB, truncated, at the items' own size"
    protocols = {
        "images": {"image": image, "flavours": {}},
        "inception": {"image": "uint8 RGB, rounded", "network": "Inception", "flavours": {"lama": {}}},
        "unknown": {},
    }
    assert measuring_of({"fid": "images.features"}, protocols, "mini") == MEASURING
    assert measuring_of({"fid": "inception.lama"}, protocols, "paper") == {
        "features": "Inception, lama",
        "rounding": "uint8 RGB, rounded",
    }
    assert measuring_of({"fid": "unknown.x"}, protocols, "own") == {"features": "own", "rounding": None}
    assert measuring_of({"kid": "images.features"}, protocols, "mini") == {"features": None, "rounding": None}
