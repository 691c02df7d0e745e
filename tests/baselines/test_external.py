"""Tests of methods that run as external programs: their inputs, resumed runs and messages of failures."""

import signal
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from baselines.external import External
from bench.data.cocoee import COCOEE
from bench.data.items import Picture
from bench.data.masks import preset
from bench.data.mini.cocoee import write_cocoee
from bench.data.mini.places import write_places
from bench.data.names import file_stem, valid_id
from bench.data.places import Places
from bench.data.prepared import Items, prepare_items
from bench.errors import BadInputError, RunFailedError
from tests.helpers.prepared_items import Listed

pytestmark = pytest.mark.blackbox

SIDE, ITEMS = 64, 8
PROGRAM = """
    import shutil, sys
    from pathlib import Path
    from PIL import Image
    shutil.rmtree("seen", ignore_errors=True)
    shutil.copytree(sys.argv[1], "seen")  # the input is removed after a success
    given, made, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    for count, mask in enumerate(sorted(given.glob("*_mask.png")), 1):
        name = mask.stem.removesuffix("_mask") + ".png"
        if count == limit:
            (made / name).write_bytes(b"half a picture")
            sys.exit(f"out of memory at {name}")
        Image.open(given / name).rotate(180).save(made / name)
        print("done", name, flush=True)
"""


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    folder = tmp_path_factory.mktemp("external")
    root = write_places(folder, "val", pictures=12, seed=0)
    pictures = Places(root, "test_list.txt")
    return prepare_items(folder / "items", pictures, resolution=SIDE, masks=preset("thick_512@64"), seed=0, limit=ITEMS)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return path


def external(program: Path, limit: int = 0, **options: object) -> External:
    return External("theirs", ["{python}", str(program), "{indir}", "{outdir}", str(limit)], **options)  # type: ignore[arg-type]


def ids(items: Items) -> list[str]:
    return [line["id"] for line in items.lines()]


def folder_of(work: Path) -> Path:
    (folder,) = work.iterdir()
    return folder


def test_a_program_that_fails_is_shown_and_goes_on_where_it_was(items: Items, program: Path, tmp_path: Path) -> None:
    work, names = tmp_path / "work", sorted(ids(items))
    text = program.read_text()
    program.write_text(text.replace("int(sys.argv[3])", "5"))
    with pytest.raises(RunFailedError) as failure:
        external(program).prepare(items, work)
    message = str(failure.value)
    assert f"out of memory at {names[4]}.png" in message
    assert f"done {names[3]}.png" in message
    assert "ended with status 1" in message
    assert f"4 of {ITEMS} pictures are finished" in message
    before = {name: (folder_of(work) / "out" / f"{name}.png").stat().st_mtime_ns for name in names[:4]}
    program.write_text(text)
    external(program).prepare(items, work)
    given = sorted(path.stem for path in (folder_of(work) / "seen").glob("*_mask.png"))
    assert not (folder_of(work) / "in").exists()
    assert given == [f"{name}_mask" for name in names[4:]]
    after = {name: (folder_of(work) / "out" / f"{name}.png").stat().st_mtime_ns for name in names[:4]}
    assert after == before
    program.unlink()  # which is not wanted any more
    method = external(program)
    method.prepare(items, work)
    assert len(method.content) == 64


@pytest.mark.parametrize(("white", "grey"), [("hole", 255), ("known", 0)])
def test_masks_are_written_in_the_colours_and_size_that_the_program_expects(
    items: Items, program: Path, tmp_path: Path, white: str, grey: int
) -> None:
    external(program, white=white, size=32).prepare(items, tmp_path / "work")
    item = items.read(0, 1)[0]
    given = folder_of(tmp_path / "work") / "seen"
    mask = np.asarray(Image.open(given / f"{item.id}_mask.png"))
    assert mask.shape == (32, 32)
    assert set(np.unique(mask)) == {0, 255}
    whole = np.asarray(Image.fromarray(item.mask).resize((32, 32), Image.Resampling.NEAREST))
    assert np.array_equal(mask == grey, whole == 1)


def test_a_program_can_be_called_per_image_per_folder_or_with_a_list(items: Items, tmp_path: Path) -> None:
    copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    apart = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[3], dirs_exist_ok=True); assert sys.argv[2]"
    listed = "import shutil, sys; [shutil.copy(*line.split()[::2]) for line in open(sys.argv[1])]"
    for name, command in {
        "single": [copy, "{image}", "{output}"],
        "apart": [apart, "{images}", "{masks}", "{outdir}"],
        "listed": [listed, "{list}"],
        "where": [
            copy.replace("shutil,", "os, shutil,") + "; assert os.getcwd() == sys.argv[3]",
            "{image}",
            "{output}",
            "{folder}",
        ],
    }.items():
        method = External(name, ["{python}", "-c", *command])
        method.prepare(items, tmp_path / name)
        made = folder_of(tmp_path / name) / "out"
        for item in items.read(0, ITEMS):
            assert np.array_equal(np.asarray(Image.open(made / f"{item.id}.png")), item.image)


def test_exemplars_are_written_where_the_command_asks_for_them(items: Items, tmp_path: Path) -> None:
    scaled = "import sys; from PIL import Image; Image.open(sys.argv[2]).resize((64, 64)).save(sys.argv[3])"
    command = ["{python}", "-c", scaled, "{image}", "{exemplar}", "{output}"]
    with pytest.raises(
        BadInputError,
        match=f"theirs: expected an exemplar of {ids(items)[0]}, because .*, found no exemplar",
    ):
        External("theirs", command).prepare(items, tmp_path / "without")
    pictures = COCOEE(write_cocoee(tmp_path, "val", pairs=2))
    drawn = preset("thick_512@64")
    given = prepare_items(tmp_path / "items", pictures, resolution=SIDE, masks=drawn, seed=0, limit=None)
    External("theirs", command).prepare(given, tmp_path / "with")
    for item in given.read(0, 2):
        assert item.exemplar is not None
        made = Image.open(folder_of(tmp_path / "with") / "out" / f"{item.id}.png")
        assert np.array_equal(np.asarray(made), np.asarray(Image.fromarray(item.exemplar).resize((SIDE, SIDE))))


OFFICIAL = """
    # Takes and leaves what Paint-by-Example's scripts/inference.py at 52a7e37 does.
    import argparse, os
    from PIL import Image
    parser = argparse.ArgumentParser()
    parser.add_argument("--plms", action="store_true")
    for name in ("outdir", "config", "ckpt", "image_path", "mask_path", "reference_path", "seed", "scale"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    assert (given.config, given.ckpt) == ("configs/v1.yaml", "checkpoints/model.ckpt")
    picture, mask = Image.open(given.image_path).convert("RGB"), Image.open(given.mask_path).convert("L")
    picture.paste(Image.open(given.reference_path).convert("RGB").resize(picture.size), mask=mask)
    os.makedirs(os.path.join(given.outdir, "results"), exist_ok=True)
    name = os.path.basename(given.image_path)[:-4] + "_" + str(given.seed) + ".png"
    picture.save(os.path.join(given.outdir, "results", name))
"""


@pytest.mark.slow
def test_the_official_paint_by_example_makes_a_row_of_table_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PYTHON_PAINT_BY_EXAMPLE", sys.executable)
    scripts = tmp_path / "repositories" / "Paint-by-Example" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "inference.py").write_text(textwrap.dedent(OFFICIAL))
    done = bench.run(
        [
            "experiment=table4_edit_cocoee", "stage=tabulate", "limit=3", "generator.steps=1", "device=cpu",
            "controls=[]",
            "row=[paint_by_example,paint_by_example_cited]", "baseline=external",
            f"paths.repositories={tmp_path / 'repositories'}", f"paths.store={tmp_path / 'store'}",
            f"paths.data={tmp_path / 'data'}", f"out={tmp_path / 'out'}",
        ]
    )  # fmt: skip
    assert done.table is not None, done.message
    table = done.table.set_index("row")
    assert table["origin"].to_dict() == {"paint_by_example": "native", "paint_by_example_cited": "external"}
    assert np.isfinite(table.loc["paint_by_example_cited", "pre_error"])


def test_a_relative_work_folder_is_accepted(
    items: Items, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    external(program).prepare(items, Path("work"))
    assert len(list((folder_of(Path("work")) / "out").glob("*.png"))) == ITEMS


def test_a_program_that_takes_too_long_is_stopped_with_all_that_it_started(items: Items, tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    started = time.monotonic()
    with pytest.raises(RunFailedError, match=r"slow: .* was stopped after 0\.02 minutes; 0 of 8"):
        External("slow", [sys.executable, "-c", child, "{indir}"], minutes=0.0025).prepare(items, tmp_path / "work")
    assert time.monotonic() - started < 30


def test_a_program_that_leaves_pictures_out_or_makes_others_is_refused(items: Items, tmp_path: Path) -> None:
    nothing = External("idle", ["{python}", "-c", "pass", "{indir}"])
    with pytest.raises(
        RunFailedError,
        match=f"idle: expected one picture of 64×64 for each item, found no picture of {ids(items)[0]}, ",
    ):
        nothing.prepare(items, tmp_path / "idle")
    small = "import sys; from PIL import Image; Image.new('RGB', (8, 8)).save(sys.argv[1])"
    with pytest.raises(RunFailedError, match="is 8×8, not 64×64"):
        External("small", ["{python}", "-c", small, "{output}", "{image}"]).prepare(items, tmp_path / "small")


def test_a_program_called_for_each_item_has_the_files_of_this_item_alone(items: Items, tmp_path: Path) -> None:
    check = "import os, shutil, sys; assert len(os.listdir(sys.argv[3])) == 2; shutil.copy(sys.argv[1], sys.argv[2])"
    method = External("single", ["{python}", "-c", check, "{image}", "{output}", "{indir}"], minutes=1)
    method.prepare(items, tmp_path / "work")
    assert not (folder_of(tmp_path / "work") / "in").exists()


def test_commands_and_options_that_cannot_work_are_refused(items: Items, tmp_path: Path) -> None:
    for word in ("no-such-program", "no\0program", ""):
        with pytest.raises(BadInputError, match=f"none: expected a command that can be run, found {word}"):
            External("none", [word]).prepare(items, tmp_path / "work")
    for options in ({"white": "grey"}, {"minutes": 0}, {"size": 0}):
        with pytest.raises(ValueError, match="expected"):
            External("none", ["true"], **options)  # type: ignore[arg-type]


def test_placeholders_inside_a_substituted_path_are_not_substituted(items: Items, tmp_path: Path) -> None:
    work = tmp_path / "{mask} {output} $(touch gone) ; '"
    copy = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"
    External("copied", ["{python}", "-c", copy, "{image}", "{output}"]).prepare(items, work)
    assert len(list((folder_of(work) / "out").glob("*.png"))) == ITEMS


NASTY = ("a b", "'", '"', "{mask}", "{output} {list}", "-rf", "$(touch gone)", "a;b", "ü\n", "\t", "deep/er {image}")


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Items:
    """Return items whose ids a shell, a list or a careless substitution would misread."""
    folder = tmp_path_factory.mktemp("nasty")
    pictures = []
    for number, name in enumerate(NASTY):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        pictures.append(Picture(valid_id(name), folder / f"{number}.png", str(number)))
    drawn = preset("thick_512@64")
    return prepare_items(folder / "items", Listed(pictures), resolution=SIDE, masks=drawn, seed=0, limit=None)


COPY_TREE = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True, ignore={})"
COPIES = {
    "single": ["import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])", "{image}", "{output}", "{mask}"],
    "apart": [COPY_TREE.format(None), "{images}", "{outdir}", "{masks}"],
    "together": [COPY_TREE.format("shutil.ignore_patterns('*_mask.png')"), "{indir}", "{outdir}"],
}


@pytest.mark.parametrize("name", COPIES)
def test_ids_of_any_characters_reach_the_program_unchanged(nasty: Items, tmp_path: Path, name: str) -> None:
    method = External(name, ["{python}", "-c", *COPIES[name]])
    method.prepare(nasty, tmp_path / "work {mask}")
    made = folder_of(tmp_path / "work {mask}") / "out"
    for item in nasty.read(0, len(nasty)):
        assert np.array_equal(np.asarray(Image.open(made / f"{file_stem(item.id)}.png")), item.image)
    assert [path.name for path in tmp_path.iterdir()] == ["work {mask}"]


def test_a_path_with_white_space_is_refused_in_a_list(nasty: Items, items: Items, tmp_path: Path) -> None:
    listed = External("listed", ["{python}", "-c", "raise SystemExit(1)", "{list}"])
    with pytest.raises(
        BadInputError, match=r"^listed: expected paths without white space, .* found .*/a b\.png; rename"
    ):
        listed.prepare(nasty, tmp_path / "work")
    with pytest.raises(BadInputError, match=r"found .*/a store/.*paths\.store"):
        listed.prepare(items, tmp_path / "a store")


def test_command_words_and_variables_may_be_numbers(items: Items, tmp_path: Path) -> None:
    checking = "import os, shutil, sys; assert os.environ['STEPS'] == sys.argv[3] == '20'; shutil.copy(*sys.argv[1:3])"
    command = ["{python}", "-c", checking, "{image}", "{output}", 20]
    External("numbers", command, environment={"STEPS": 20}).prepare(items, tmp_path)  # type: ignore[list-item,dict-item]


def test_a_program_that_removes_its_folder_is_reported(items: Items, tmp_path: Path) -> None:
    removing = "import os, shutil, sys; shutil.rmtree(os.path.dirname(sys.argv[1]))"
    for name, ending in {"well": "", "badly": "; sys.exit(3)"}.items():
        with pytest.raises(RunFailedError, match=r"the program's log cannot be read"):
            External(name, ["{python}", "-c", removing + ending, "{outdir}"]).prepare(items, tmp_path / name)


def test_a_program_that_is_killed_halfway_keeps_what_it_made(items: Items, tmp_path: Path) -> None:
    """The program is run for each item and is killed at the third."""
    dying = """if True:
        import os, shutil, sys
        image, output, made, number = sys.argv[1:]
        if len(os.listdir(made)) == 2:
            os.kill(os.getpid(), int(number))
        shutil.copy(image, output)"""
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
        command = ["{python}", "-c", dying, "{image}", "{output}", "{outdir}", str(int(number))]
        with pytest.raises(
            RunFailedError, match=rf"dying: .* was killed by {number.name}; 2 of 8 pictures are finished"
        ):
            External("dying", command).prepare(items, tmp_path / number.name)


def test_a_program_that_was_killed_is_named_with_the_signal(items: Items, tmp_path: Path) -> None:
    dying = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(RunFailedError, match=r"dying: .* was killed by SIGKILL; 0 of 8"):
        External("dying", ["{python}", "-c", dying, "{indir}"]).prepare(items, tmp_path / "work")


@pytest.mark.parametrize("name", ["", "..", "../../x", "/tmp/x", "a/b", ".hidden", "a b", "-rf", "a\0", "a\n"])
def test_a_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name: expected only letters"):
        External(name, ["true"])


def test_telea_makes_a_row_of_the_table(tmp_path: Path) -> None:
    done = bench.run(
        [
            "experiment=table1_inpaint_places", "stage=tabulate", "limit=6", "generator.steps=2", "device=cpu",
            "controls=[blending]",
            "row=[stablediffusion,telea,poisson,paste_back]", f"paths.store={tmp_path / 'store'}",
            f"paths.data={tmp_path / 'data'}", f"out={tmp_path / 'out'}",
        ]
    )  # fmt: skip
    assert done.table is not None
    table = done.table.set_index("row")
    assert table["origin"].to_dict() == {
        "stablediffusion": "native", "telea": "external", "poisson": "native", "paste_back": "native"
    }  # fmt: skip
    assert (table.loc[["telea", "poisson", "paste_back"], "pre_error"] == 0).all()
    assert table.loc["poisson", "border_excess"] < table.loc["paste_back", "border_excess"]
