"""Tests of the inspection of files: wrong or incomplete weights, masks of another size, lists without files."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

import bench
from bench.checking.assets import Asset, Companion, read_assets
from bench.checking.dataset_listing import list_pictures
from bench.checking.inspection import Problem, inspect_needs, inspect_table, merged
from bench.checking.report import gigabytes, report
from bench.checking.required_paths import Need
from bench.data.mini.places import write_places
from bench.errors import BadInputError
from bench.store import file_sha256

pytestmark = pytest.mark.blackbox

MINI = Path(bench.__file__).parent / "assets" / "mini"
FIRST_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"


def said(asset: Asset, place: Path, *below: str) -> list[str]:
    found = inspect_needs([Need("key", place / name, asset, place) for name in below or ("",)])
    return [problem.said for problem in found]


TENSORS = {
    "unet": {"conv_in.weight": (8, 9, 3, 3)},
    "vae": {"encoder.conv_in.weight": (8, 3, 3, 3), "decoder.conv_in.weight": (8, 4, 3, 3)},
    "text_encoder": {"text_model.embeddings.token_embedding.weight": (5, 8)},
}
WEIGHTS = {part: f"{part}/diffusion_pytorch_model.safetensors" for part in TENSORS} | {
    "text_encoder": "text_encoder/model.safetensors"
}


def write_tensors(file: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, file)
    return file


def write_pipeline(folder: Path, channels: int) -> Path:
    """Write the files of a pipeline that the check reads; their weights have a few tensors of zeros."""
    for part in ("unet", "vae", "text_encoder"):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps({"in_channels": channels} if part == "unet" else {}))
        write_tensors(folder / WEIGHTS[part], TENSORS[part])
    (folder / "scheduler").mkdir()
    for name in ("model_index.json", "scheduler/scheduler_config.json"):
        (folder / name).write_text("{}")
    return folder


def test_a_whole_pipeline_of_its_kind_is_right_and_another_kind_is_named(tmp_path: Path) -> None:
    assets = read_assets()
    inpainting, text = write_pipeline(tmp_path / "nine", 9), write_pipeline(tmp_path / "four", 4)
    assert said(assets["sd_inpainting"], inpainting, "", "vae") == []
    assert said(assets["sd_text2image"], text) == []
    assert said(assets["sd_inpainting"], text) == [
        "expected an inpainting checkpoint, whose UNet has 9 input channels, found a text-to-image checkpoint with 4"
    ]
    assert said(assets["sd_text2image"], inpainting) == [
        "expected a text-to-image checkpoint, whose UNet has 4 input channels, found an inpainting checkpoint with 9"
    ]


def test_the_kind_of_a_single_file_is_seen_in_its_header(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({FIRST_CONVOLUTION: np.zeros((8, 4, 3, 3), np.float32)}, file)
    kind, rest = said(read_assets()["sd_inpainting"], file)
    assert kind.endswith("found a text-to-image checkpoint with 4")
    assert rest == "a file without the first stage and the text encoder of Stable Diffusion 1"
    assert said(read_assets()["sd_text2image"], file) == [rest]
    write_tensors(file, WHOLE_FILE)
    assert said(read_assets()["sd_inpainting"], file) == []
    assert said(read_assets()["sd_inpainting"], file, "vae") == ["a file without vae"]


WHOLE_FILE = {
    FIRST_CONVOLUTION: (8, 9, 3, 3),
    "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (5, 8),
}
NO_FILE_OF_TORCH = "a file that torch.save did not write"


def zipped(file: Path, name: str) -> bytes:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x" * 100)
    return file.read_bytes()


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        (".ckpt", lambda _: b"", "an empty file, where weights are expected"),
        (".ckpt", lambda _: b"<html>Too many requests</html>", NO_FILE_OF_TORCH),
        (".ckpt", lambda file: zipped(file, "a/data.pkl")[:-20], "a file of torch.save whose end is missing"),
        (".ckpt", lambda file: zipped(file, "pictures.txt"), "a zip archive that torch.save did not write"),
        (".safetensors", lambda _: b"", "an empty file, where weights are expected"),
        (".safetensors", lambda _: b"<html>Too many requests</html>", "a damaged safetensors file"),
        (".safetensors", lambda file: write_tensors(file, WHOLE_FILE).read_bytes()[:-1], "a damaged safetensors file"),
        (".safetensors", lambda file: write_tensors(file, {}).read_bytes(), "a safetensors file without any tensor"),
        (".txt", lambda _: b"notes", "expected a name with one of the endings"),
    ],
)
def test_a_single_file_that_is_empty_cut_or_foreign_is_named(
    ending: str, content: Callable[[Path], bytes], message: str, tmp_path: Path
) -> None:
    file = tmp_path / f"model{ending}"
    file.write_bytes(content(file))
    (found,) = said(read_assets()["sd_inpainting"], file)
    assert found.startswith(message)
    if ending != ".txt":
        (own,) = inspect_needs([Need("decoder.checkpoint", file)])
        assert own.said == found


def test_a_checkpoint_of_another_model_is_named_without_loading_it(tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"conv1.weight": torch.zeros(4, 3, 7, 7)}}, file)
    assert said(read_assets()["sd_inpainting"], file) == [
        f"expected Stable Diffusion 1 in the original layout, found no tensor {FIRST_CONVOLUTION} with 4 axes "
        "(number of tensors: 1)"
    ]
    torch.save({"state_dict": {name: torch.zeros(shape) for name, shape in WHOLE_FILE.items()}}, file)
    assert said(read_assets()["sd_inpainting"], file) == []
    torch.save({"a": torch.zeros(2)}, file, _use_new_zipfile_serialization=False)
    assert said(read_assets()["lama"], file) == []


def test_broken_and_foreign_weights_in_the_folder_of_a_pipeline_are_named_and_fetched_again(tmp_path: Path) -> None:
    folder, asset = write_pipeline(tmp_path / "nine", 9), read_assets()["sd_inpainting"]
    unet = folder / WEIGHTS["unet"]
    unet.write_bytes(unet.read_bytes()[:-1])
    write_tensors(folder / WEIGHTS["vae"], {"conv_in.weight": (8, 9, 3, 3)})
    (folder / "text_encoder" / "pytorch_model.bin").touch()  # no loader opens it beside safetensors
    broken, *foreign = inspect_needs([Need("key", folder, asset, folder)])
    assert broken.said.startswith(f"{WEIGHTS['unet']} is a damaged safetensors file, or another kind of file (")
    assert (broken.broken, broken.download) == (True, asset)
    assert [problem.said for problem in foreign] == [
        "vae has the weights of another network: none of its 1 tensors has a name that ends in encoder.conv_in.weight",
        "vae has the weights of another network: none of its 1 tensors has a name that ends in decoder.conv_in.weight",
    ]


def test_a_checkpoint_among_other_names_and_an_absent_shard_do_not_count_as_weights(tmp_path: Path) -> None:
    folder, asset = write_pipeline(tmp_path / "nine", 9), read_assets()["sd_inpainting"]
    (folder / WEIGHTS["vae"]).rename(folder / "vae" / "epoch3.ckpt")
    assert said(asset, folder) == ["a folder without weights in vae"]
    (folder / "vae" / "epoch3.ckpt").rename(folder / WEIGHTS["vae"])
    (folder / WEIGHTS["unet"]).unlink()
    shards = {"conv_in.weight": "diffusion_pytorch_model-00001-of-00002.safetensors"}
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    (message,) = said(asset, folder)
    assert message == f"unet/{index.name} needs {shards['conv_in.weight']}, which is missing"
    write_tensors(folder / "unet" / shards["conv_in.weight"], TENSORS["unet"])
    assert said(asset, folder) == []


def test_the_weights_of_a_decoder_are_compared_with_its_sizes(tmp_path: Path) -> None:
    asset, folder = read_assets()["decoder_large"], tmp_path / "large"
    shutil.copytree(MINI / "large", folder)
    assert said(asset, folder) == []
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"layers": 3', '"layers": 2'))
    (message,) = said(asset, folder)
    assert "layers=3 instead of 2" in message
    weights = folder / "diffusion_pytorch_model.safetensors"
    shutil.copy(MINI / "metric_features" / weights.name, weights)
    (message,) = said(asset, folder)
    assert "expected the tensors of a decoder, found" in message
    (message,) = said(asset, weights)
    assert message.startswith("expected the tensors of a decoder, found")
    (tmp_path / "empty").mkdir()
    assert said(asset, tmp_path / "empty") == ["a folder without config.json"]
    (message,) = said(read_assets()["decoder_base"], tmp_path / "empty")
    assert message.endswith("config.json: expected a file with the settings of a network, found no such file")


def test_a_moving_average_is_named_where_the_released_script_uses_raw_weights(tmp_path: Path) -> None:
    assets, folder = read_assets(), write_pipeline(tmp_path / "nine", 9)
    (folder / "unet" / "diffusion_pytorch_model.non_ema.safetensors").touch()
    (message,) = said(assets["sd_inpainting"], folder)
    assert message.startswith(
        "expected only the raw weights of the UNet, which the released script uses, found their moving average (EMA)"
    )
    text = write_pipeline(tmp_path / "four", 4)
    (text / "unet" / "diffusion_pytorch_model.non_ema.safetensors").touch()
    assert said(assets["sd_text2image"], text) == []


def test_missing_files_of_a_folder_are_named_once(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "pipeline", 9)
    (folder / "model_index.json").unlink()
    (folder / WEIGHTS["vae"]).unlink()
    (folder / "text_encoder" / "config.json").unlink()
    lacks = "a folder without model_index.json, weights in vae, text_encoder/config.json, tokenizer"
    assert said(read_assets()["sd_inpainting"], folder, "tokenizer", "tokenizer", "vae") == [lacks]
    (tmp_path / "empty").mkdir()
    assert "unet, vae, text_encoder" in said(read_assets()["sd_inpainting"], tmp_path / "empty")[0]


@pytest.mark.parametrize("level", ["above", "below"])
def test_a_folder_at_the_wrong_level_is_named_with_the_right_one(level: str, tmp_path: Path) -> None:
    right = tmp_path / "places"
    (right / "test_256" / "a").mkdir(parents=True)
    given = tmp_path if level == "above" else right / "test_256"
    (message,) = said(read_assets()["places"], given)
    assert message == f"a folder without test_256; {right} contains what is missing, and may be the right folder"


def test_a_file_with_another_checksum_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"half of it")
    clip = read_assets()["clip"]
    need = [Need("key", file, clip, file)]
    (problem,) = inspect_needs(need)
    assert problem.said == (
        f"expected SHA-256 {clip.sha256}, found {file_sha256(file)}: another file, or a broken download; "
        "profile.unpinned=[clip] accepts another file"
    )
    (problem,) = inspect_needs(need, ["clip"])
    assert problem.said == NO_FILE_OF_TORCH  # its header is still read
    torch.save({"weight": torch.zeros(1)}, file)
    assert inspect_needs(need, ["clip"]) == []
    with pytest.raises(BadInputError, match=r"profile\.unpinned: expected some of .*, found klip; did you mean clip\?"):
        inspect_needs(need, ["klip"])
    assert said(replace(clip, sha256=file_sha256(file)), file) == []
    assert said(clip, tmp_path) == ["expected a file, found a folder"]


def test_a_changed_file_of_a_package_is_reported(tmp_path: Path) -> None:
    asset = replace(read_assets()["vgg16"], sha256=None)
    assert said(asset, tmp_path) == []
    (message,) = said(replace(asset, companion=Companion("lpips", "weights/v0.1/vgg.pth", "0" * 64)), tmp_path)
    assert "of weights/v0.1/vgg.pth in the package lpips, found a78928a0" in message
    (message,) = said(replace(asset, companion=Companion("no_such_package", "x", "")), tmp_path)
    assert "in the installed package no_such_package, found no such file" in message


def test_a_missing_path_is_reported_once_with_every_key(tmp_path: Path) -> None:
    asset, place = read_assets()["sd_inpainting"], tmp_path / "gone"
    own = [Need("a.path", tmp_path / "mine"), Need("b.path", tmp_path / "mine")]
    problems = inspect_needs([Need("x", place, asset, place), *own, Need("y", place / "vae", asset, place)])
    assert [(problem.keys, problem.missing) for problem in problems] == [
        (("x", "y"), True),
        (("a.path", "b.path"), True),
    ]
    assert {problem.said for problem in problems} == {"nothing there"}


def test_a_hub_id_is_reported_with_the_way_to_download_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = inspect_needs([Need("generator.pipeline", Path("some/model@abc"))])
    assert problem.said == (
        "nothing there; to download this id from the Hugging Face hub: hf download some/model --revision abc"
    )
    asked = []

    def snapshot(name: str, **settings: object) -> str:
        asked.append((name, settings))
        return "cache/snapshots/abc"

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    (problem,) = inspect_needs([Need("generator.pipeline", Path("some/model@abc"))])
    assert problem.said.endswith("set its folder instead: cache/snapshots/abc")
    assert asked == [("some/model", {"revision": "abc", "local_files_only": True})]


def test_equal_problems_of_two_experiments_are_merged() -> None:
    asset = read_assets()["clip"]
    first = Problem("p", "nothing there", ("a",), asset, missing=True, experiments=("t1",))
    other = Problem("q", "nothing there", ("b",), None, missing=True, experiments=("t1",))
    both = merged([first, other, replace(first, keys=("a", "c"), experiments=("t2",))])
    assert both == [replace(first, keys=("a", "c"), experiments=("t1", "t2")), other]


# --- data sets --------------------------------------------------------------------------------------------------------


def test_a_list_with_absent_files_is_reported_with_their_number_and_five_names(tmp_path: Path) -> None:
    root = write_places(tmp_path, "val", pictures=12)
    paths = {"places": str(root), "places_list": "test_list.txt"}
    pictures = {"_target_": "bench.data.places.Places", "root": str(root), "listing": "test_list.txt"}
    nodes = {"dataset": {"root": str(root), "pictures": pictures}}
    inspection = inspect_table(nodes, paths)
    assert inspection.problems == ()
    assert inspection.expected == 30_000
    assert inspection.listing is not None
    assert (inspection.listing.count, inspection.listing.subset) == (12, "custom")
    for name in (root / "test_list.txt").read_text().splitlines()[:7]:
        (root / "test_256" / name).unlink()
    (problem,) = inspect_table(nodes, paths).problems
    assert problem.asset is not None
    assert problem.asset.name == "places"
    assert "found 7 of 12 missing" in problem.said
    assert problem.said.count(".jpg") == 5
    assert problem.said.endswith("and 2 more")


def write_bench(root: Path, count: int, *, mask_side: int) -> dict[str, str]:
    for number in range(count):
        for part, ending, side in (("GT", "GT", 32), ("Mask_bbox", "mask", mask_side), ("Ref", "ref", 20)):
            folder = root / f"{part}_3500"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (side, side)).save(folder / f"{number:012d}_{ending}.png")
    return {"_target_": "bench.data.cocoee.COCOEE", "root": str(root)}


def test_masks_of_another_size_than_their_pictures_are_reported(tmp_path: Path) -> None:
    node = write_bench(tmp_path / "wrong", 7, mask_side=16)
    listing = list_pictures(node, "dataset.pictures")
    assert listing is not None
    (message,) = listing.problems
    assert message.startswith("expected masks with the sizes of their pictures, found 7 of 7 with other sizes: ")
    assert "000000000000 (16×16 for a picture of 32×32), 000000000001 " in message
    assert message.endswith("and 2 more")
    listing = list_pictures(write_bench(tmp_path / "right", 2, mask_side=32), "dataset.pictures")
    assert listing is not None
    assert (listing.count, listing.problems) == (2, ())


def test_an_unreadable_picture_is_not_reported_by_the_check(tmp_path: Path) -> None:
    node = write_bench(tmp_path, 2, mask_side=32)
    (tmp_path / "GT_3500" / f"{0:012d}_GT.png").write_bytes(b"broken")
    listing = list_pictures(node, "dataset.pictures")
    assert listing is not None
    assert listing.problems == ()


def test_the_check_does_not_make_the_miniature_data_set(tmp_path: Path) -> None:
    made = {"_target_": "bench.data.mini.places.write_places", "parent": str(tmp_path), "split": "val"}
    assert list_pictures({"_target_": "bench.data.places.Places", "root": made, "listing": "x"}, "d") is None
    assert list(tmp_path.iterdir()) == []


# --- the list as text -------------------------------------------------------------------------------------------------


def test_the_list_tells_known_assets_from_unchecked_ones() -> None:
    asset = replace(read_assets()["vgg16"], licence="Some-1.0", unverified=("licence",))
    own = Problem("mine.ckpt", "nothing there", ("rows.mine.method.path",), missing=True)
    text = report("table", [Problem("w/vgg.pth", "nothing there", ("a", "b"), asset, True), own], tail=["the end"])
    lines = text.splitlines()
    assert lines[0] == "table: 2 things are missing or wrong"
    assert "1. vgg16: VGG16 of torchvision" in text
    assert "w/vgg.pth: nothing there" in text
    assert "paths.vgg16=PATH or BENCH_VGG16=PATH" in text
    assert "Some-1.0 (this value was not verified)" in text
    assert f"553 MB\n   SHA-256   {asset.sha256}" in text
    assert "2. rows.mine.method.path: nothing at mine.ckpt" in lines
    assert "stage=fetch downloads 1 of them, 553 MB: vgg16" in text
    assert lines[-1] == "the end"
    assert max(map(len, lines)) <= 120


def test_the_download_instruction_names_the_configured_path() -> None:
    asset = read_assets()["decoder_large"]
    text = report("table", [Problem("w/large", "nothing there", ("a",), asset, True)])
    assert "--revision COMMIT --local-dir w/large" in " ".join(text.split())
    assert "stage=fetch downloads" not in text


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 bytes"), (840e3, "840 kB"), (95.6e6, "95.6 MB"), (31.5e9, "31.5 GB")]
)
def test_sizes_are_printed_with_units(size: float, text: str) -> None:
    assert gigabytes(size) == text
