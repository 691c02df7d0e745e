"""Objects by `_target_`: their arguments are checked beforehand, and they are known by what lies under their paths."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import InstantiationException

from bench.errors import BadInputError
from bench.objects import check_targets, make, missing_files, require_target, weight_files
from bench.objects import identity as identity_of
from bench.store import file_sha256


@dataclass
class Thing:
    """Takes a number, a string and a thing."""

    number: int
    of: Any = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("number must not be negative")
        if self.number == 13:
            raise BadInputError("number: 13 is refused in its own words")
        if self.number == 14:
            raise RuntimeError("out of order")


@dataclass
class Switch:
    on: bool
    level: float = 0.0


def anything(**settings: int) -> dict[str, int]:
    return settings


THING = f"{__name__}.Thing"


def thing(**settings: Any) -> dict[str, Any]:
    return {"_target_": THING, **settings}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (thing(number=1, nmber=2), r"^row\.nmber: no such key; .*Thing takes number, of, device$"),
        (thing(of=None), r"^row\.number: missing; .*Thing needs it$"),
        (thing(number=1, of=thing()), r"^row\.of\.number: missing"),
        ({"open": {"list": [thing(number=1), thing(number=1, x=1)]}}, r"^row\.open\.list\[1\]\.x: no such key"),
        ({"_target_": "nowhere.Thing"}, r"^row\._target_: expected a class or function, found nowhere\.Thing \(.+\)$"),
        ({"_target_": f"{__name__}.Thong"}, r"^row\._target_: expected a class or function, found .*Thong"),
        (thing(number="one"), r"^row\.number: expected int, found 'one'$"),
        (thing(number=True), r"^row\.number: expected int, found True$"),
        (thing(number=1.5), r"^row\.number: expected int, found 1\.5$"),
        (thing(number=1, device=1), r"^row\.device: expected str, found 1$"),
        (
            thing(number=1, of={"_target_": f"{__name__}.Switch", "on": "no"}),
            r"^row\.of\.on: expected bool, found 'no'$",
        ),
        ({"_target_": f"{__name__}.THING"}, r"^row\._target_: expected a class or function, found .*THING"),
    ],
)
def test_a_wrong_node_is_refused_by_its_key(node: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        check_targets(node, "row")


def test_right_nodes_are_accepted() -> None:
    check_targets(thing(number=1, of=thing(number=2), _convert_="all"), "row")
    check_targets({"_target_": f"{__name__}.anything", "whatever": 1}, "row")
    check_targets({"no": "target", "number": [1, None]}, "row")
    check_targets({"_target_": f"{__name__}.Switch", "on": True, "level": 1}, "row")


@pytest.mark.parametrize("node", [{}, {"number": 1}, None, {"_target_": None}])
def test_where_a_target_must_stand_none_is_refused(node: Any) -> None:
    with pytest.raises(BadInputError, match=r"^row\._target_: expected the name of a class or function, found none$"):
        require_target(node, "row")


def test_what_the_program_gives_is_neither_missing_nor_the_users_to_set() -> None:
    check_targets({"_target_": THING}, "row", given=("number",))
    with pytest.raises(BadInputError, match=r"row\.number: no such key; .* takes of, device$"):
        check_targets(thing(number=1), "row", given=("number",))
    with pytest.raises(BadInputError, match=r"row\.of\.number: missing"):
        check_targets({"_target_": THING, "of": thing()}, "row", given=("number",))


def test_objects_are_made_with_what_is_given() -> None:
    made = make(thing(number=1, of=thing(number=2)), "row", device="cuda")
    assert made == Thing(1, Thing(2), "cuda")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (thing(number=-1), r"^row: .*must not be negative"),
        (thing(number="one"), r"^row: .*not supported between"),  # where nobody checked it before
        (thing(number=1, of=thing(number=-1)), r"^row: .*must not be negative"),
        (thing(number=13), r"^number: 13 is refused in its own words$"),
    ],
)
def test_what_a_target_refuses_is_bad_input(node: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        make(node, "row")


def test_what_fails_otherwise_is_no_bad_input() -> None:
    with pytest.raises(InstantiationException, match="out of order"):
        make(thing(number=14), "row")


def test_only_paths_that_are_not_there_are_listed(tmp_path: Path) -> None:
    node = {
        "decoder": {"folder": str(tmp_path), "name": "nowhere"},
        "of": {"pipeline": str(tmp_path / "gone"), "root": None},
        "root": str(tmp_path / "lost"),
    }
    lines = missing_files(node, "row")
    assert lines == [
        f"row.of.pipeline: nothing at {tmp_path / 'gone'}",
        f"row.root: nothing at {tmp_path / 'lost'}",
    ]


def identity(node: Any) -> Any:
    return identity_of(node, weight_files(node))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    (folder / "unet").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "unet" / "model.safetensors").write_bytes(b"\0\1\2\3")
    return folder


def node(folder: Path) -> dict[str, Any]:
    return thing(number=1, of=[{"folder": str(folder), "conditioned": True}])


def test_every_file_under_a_path_has_its_hash(weights: Path) -> None:
    names = ("config.json", "unet/model.safetensors")
    expected = {str(weights / name): file_sha256(weights / name) for name in names}
    assert weight_files({"decoder": {"folder": str(weights)}}) == expected
    (weights / ".cache").mkdir()
    (weights / ".cache" / "config.json.metadata").write_text("of a download")
    assert weight_files({"decoder": {"folder": str(weights)}}) == expected
    file = weights / "config.json"
    assert weight_files({"folder": str(file)}) == {str(file): file_sha256(file)}


def test_moved_weights_are_the_same_thing(weights: Path, tmp_path: Path) -> None:
    before = identity(node(weights))
    assert str(weights) not in str(before)
    moved = weights.rename(tmp_path / "elsewhere")
    assert identity(node(moved)) == before


def test_changed_weights_and_settings_are_another(weights: Path) -> None:
    before = identity(node(weights))
    file = weights / "unet" / "model.safetensors"
    file.write_bytes(b"\0\1\2\4")
    changed = identity(node(weights))
    renamed = file.rename(file.with_name("other.safetensors"))
    others = [changed, identity(node(weights))]
    renamed.write_bytes(b"\0\1\2\3")
    renamed.rename(file)
    assert identity(node(weights)) == before
    others.append(identity({**node(weights), "number": 2}))
    others.append(identity({"folder": str(file)}))
    assert all(other != before for other in others)
    assert others[0] != others[1]


def test_an_absolute_path_counts_under_any_key(weights: Path) -> None:
    node = thing(number=1, of={"somewhere": str(weights / "config.json"), "word": "config.json"})
    before = identity(node)
    assert list(weight_files(node)) == [str(weights / "config.json")]
    (weights / "config.json").write_text("[]")
    assert identity(node) != before


def test_a_changed_module_of_somebodys_own_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "somebody.py"
    module.write_text("def thing():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = identity({"_target_": "somebody.thing"})
    assert identity({"_target_": "somebody.thing"}) == before
    module.write_text("def thing():\n    return 2\n")
    assert identity({"_target_": "somebody.thing"}) != before
    assert "_source_" not in identity({"_target_": "bench.generation.decoding.Decoded"})


@pytest.mark.parametrize("name", ["README.md", "download.lock", ".gitattributes"])
def test_what_comes_along_with_a_download_does_not_count(weights: Path, name: str) -> None:
    before, hashes = identity(node(weights)), weight_files({"folder": str(weights)})
    (weights / name).write_text("of no account")
    assert weight_files({"folder": str(weights)}) == hashes
    assert identity(node(weights)) == before
