"""Tests of objects made from `_target_`: their arguments are checked, and their identity follows from their files."""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_object

from bench.config.instantiate import check_targets, make, missing_files, named, own_code, require_target, weight_files
from bench.config.instantiate import identity as identity_of
from bench.config.opened_files import opened_files
from bench.errors import BadInputError
from bench.store import file_sha256

pytestmark = pytest.mark.blackbox


@dataclass
class Thing:
    """Take a number, a string and a thing."""

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
        (thing(number=1, nmber=2), r"^row\.nmber: no such key; .*Thing accepts number, of, device$"),
        (thing(of=None), r"^row\.number: expected a value, because .*Thing needs it; found none$"),
        (thing(number=1, of=thing()), r"^row\.of\.number: expected a value, because .* needs it; found none"),
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
def test_a_missing_target_is_refused(node: Any) -> None:
    with pytest.raises(
        BadInputError, match=r"^row\._target_: expected the full name of a class or function, found no such name$"
    ):
        require_target(node, "row")


def test_arguments_that_the_program_supplies_cannot_be_set_by_the_user() -> None:
    check_targets({"_target_": THING}, "row", given=("number",))
    with pytest.raises(BadInputError, match=r"row\.number: no such key; .* accepts of, device$"):
        check_targets(thing(number=1), "row", given=("number",))
    with pytest.raises(BadInputError, match=r"row\.of\.number: expected a value, because .* needs it; found none"):
        check_targets({"_target_": THING, "of": thing()}, "row", given=("number",))


def test_objects_are_made_with_the_supplied_arguments() -> None:
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
def test_a_value_that_a_target_refuses_is_bad_input(node: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        make(node, "row")


def test_any_other_failure_of_a_target_is_named_with_its_key() -> None:
    with pytest.raises(BadInputError, match=r"^row: expected an object of .*Thing, found RuntimeError: .*py:\d+\)$"):
        make(thing(number=14), "row")


def test_a_missing_target_module_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BadInputError, match=r"^row\._target_: expected a class or function, found nowhere.A"):
        check_targets({"_target_": "nowhere.A"}, "row")
    assert caplog.messages == []


def test_a_module_that_ends_the_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script_of_mine.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInputError, match=r"^row\._target_: expected a class .*script_of_mine.A \(SystemExit: 3"):
        check_targets({"_target_": "script_of_mine.A"}, "row")
    with pytest.raises(BadInputError, match=r"^row: expected an image, found SystemExit: 4"), named("row", "an image"):
        sys.exit(4)


def test_only_missing_paths_are_listed(tmp_path: Path) -> None:
    node = {
        "decoder": {"folder": str(tmp_path), "name": "nowhere"},
        "of": {"pipeline": str(tmp_path / "gone"), "root": None},
        "root": str(tmp_path / "lost"),
    }
    lines = missing_files(node, "row")
    assert lines == [
        f"row.of.pipeline: expected a file or folder at {tmp_path / 'gone'}, found nothing",
        f"row.root: expected a file or folder at {tmp_path / 'lost'}, found nothing",
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


def test_moved_weights_keep_their_identity(weights: Path, tmp_path: Path) -> None:
    before = identity(node(weights))
    assert str(weights) not in str(before)
    moved = weights.rename(tmp_path / "elsewhere")
    assert identity(node(moved)) == before


def test_changed_weights_and_settings_change_the_identity(weights: Path) -> None:
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


def test_an_absolute_path_is_hashed_under_any_key(weights: Path) -> None:
    node = thing(number=1, of={"somewhere": str(weights / "config.json"), "word": "config.json"})
    before = identity(node)
    assert list(weight_files(node)) == [str(weights / "config.json")]
    (weights / "config.json").write_text("[]")
    assert identity(node) != before


def test_a_changed_user_module_changes_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "somebody.py"
    module.write_text("def thing():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = identity({"_target_": "somebody.thing"})
    assert identity({"_target_": "somebody.thing"}) == before
    module.write_text("def thing():\n    return 2\n")
    assert identity({"_target_": "somebody.thing"}) != before


def test_a_class_of_this_project_is_identified_without_its_module() -> None:
    assert identity({"_target_": "bench.generation.decoding.Decoded"}) == {"_target_": "Decoded"}
    assert identity({"_target_": "bench.models.load_decoder"}) == identity(
        {"_target_": "bench.models.checkpoints.load_decoder"}
    )


def test_classes_and_functions_named_by_options_have_unique_names() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path("conf").rglob("*.yaml"))
    targets = {get_object(target) for target in re.findall(r"_target_: *((?:bench|baselines)\.[\w.]+)", text)}
    assert len(targets) > 30
    assert len({target.__qualname__ for target in targets}) == len(targets)


FILES = {
    "main.py": "from own_package import parts\nimport numpy\ndef thing():\n    from own_lazy import late\n",
    "own_lazy.py": "import importlib\nlate = importlib.import_module('own_named')\n",
    "own_named.py": "import main  # a circle\nvalue = 1\n",
    "own_package/__init__.py": "from . import beside\n",
    "own_package/beside.py": "from .below.deep import value\n",
    "own_package/below/__init__.py": "",
    "own_package/below/deep.py": "value = 1\n",
    "own_package/parts.py": "from . import beside\n",
    "unrelated.py": "value = 1\n",
}


@pytest.mark.parametrize("name", FILES)
def test_every_module_that_a_target_imports_changes_its_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for file, text in FILES.items():
        path = tmp_path / file.replace("main", "own_main")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("main", "own_main"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [one for one in sys.modules if one.startswith("own_")]:
        del sys.modules[module]  # of another of these tests
    node = {"_target_": "own_main.thing"}
    before, listed = identity(node), own_code({"pictures": [node]})
    assert listed == before["_source_"]
    assert listed["numpy"].startswith("numpy ")
    path = tmp_path / name.replace("main", "own_main")
    path.write_text(path.read_text() + "# changed\n")
    assert (identity(node) != before) == (name != "unrelated.py")
    assert (own_code({"pictures": [node]}) != listed) == (name != "unrelated.py")


@pytest.mark.parametrize("name", ["README.md", "download.lock", ".gitattributes"])
def test_side_files_of_a_download_do_not_change_the_identity(weights: Path, name: str) -> None:
    before, hashes = identity(node(weights)), weight_files({"folder": str(weights)})
    (weights / name).write_text("of no account")
    assert weight_files({"folder": str(weights)}) == hashes
    assert identity(node(weights)) == before


def test_a_path_is_known_by_the_annotation_of_somebodys_own_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "annotated_row.py").write_text(
        "from pathlib import Path\n\n\n"
        "class Row:\n"
        "    def __init__(self, weights_file: Path, name: str) -> None:\n"
        "        self.size = len(weights_file.read_bytes())\n"
    )
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"one")
    node = {"_target_": "annotated_row.Row", "weights_file": str(weights), "name": "weights.bin"}
    before = identity(node)
    assert weight_files(node) == {str(weights): hashlib.sha256(b"one").hexdigest()}
    assert make(node, "rows.own.method").size == 3
    weights.write_bytes(b"other")
    assert identity(node) != before
    node["weights_file"] = "nowhere.bin"
    assert missing_files(node, "rows.own.method") == [
        "rows.own.method.weights_file: expected a file or folder at nowhere.bin, found nothing"
    ]


def test_given_arguments_are_passed_themselves_and_not_copied() -> None:
    given = object()
    made = make({"_target_": f"{__name__}.Thing", "number": 1}, "thing", of=given)
    assert made.of is given


UNREAD = (
    "safety_checker/model.safetensors", "safety_checker/config.json", "v1-5-pruned.ckpt", "preview.png",
    "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.bin", "vae/preview.jpg", "unet/diffusion_flax_model.msgpack",
)  # fmt: skip
"""Files in a downloaded pipeline that no generator opens."""


def pipeline(folder: Path) -> dict[str, str]:
    """Write the files of a pipeline, and return a part of a configuration that reads it."""
    parts = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
    names = [f"{part}/{file}" for part, name in parts.items() for file in ("config.json", f"{name}.safetensors")]
    for name in ("model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json", *names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return {"_target_": "bench.generation.text_to_image.TextToImageGenerator", "pipeline": str(folder)}


@pytest.mark.parametrize("name", UNREAD)
def test_a_file_that_no_loader_opens_changes_no_key_and_is_not_hashed(name: str, tmp_path: Path) -> None:
    node = pipeline(tmp_path)
    before, key = weight_files(node), identity(node)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("something else")
    assert weight_files(node) == before
    assert identity(node) == key


def test_each_file_that_a_loader_opens_changes_the_key(tmp_path: Path) -> None:
    node = pipeline(tmp_path)
    before = identity(node)
    for file in [path for path in tmp_path.rglob("*") if path.is_file()]:
        kept = file.read_text()
        file.write_text("changed")
        assert identity(node) != before, file
        file.write_text(kept)
    assert identity(node) == before


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["model.fp16.safetensors"], ["model.fp16.safetensors"]),
        (["model.fp16.safetensors", "pytorch_model.bin"], ["pytorch_model.bin"]),
        (["pytorch_model.bin", "pytorch_model.fp16.bin"], ["pytorch_model.bin"]),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
             "model.fp16-00001-of-00001.safetensors", "model.safetensors.index.fp16.json"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
        ),
        (["EdgeModel_gen.pth", "InpaintingModel_gen.pth"], ["EdgeModel_gen.pth", "InpaintingModel_gen.pth"]),
    ],
)  # fmt: skip
def test_one_set_of_weights_of_a_network_is_read(names: list[str], read: list[str], tmp_path: Path) -> None:
    for name in ("config.json", *names):
        (tmp_path / name).write_text(name)
    assert sorted(file.name for file in opened_files(tmp_path)) == sorted(["config.json", *read])


def test_every_file_counts_for_external_code(tmp_path: Path) -> None:
    node = {**pipeline(tmp_path), "_target_": "theirs.Decoder"}
    (tmp_path / "preview.png").write_text("a picture")
    assert str(tmp_path / "preview.png") in weight_files(node)
