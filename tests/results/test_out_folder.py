"""Tests of a run's folder: its default name, its reuse by an equal configuration, and refusals."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from bench.config.compose import compose_config, typed
from bench.config.experiment_configs import RunConfig
from bench.errors import BadInputError
from bench.results import out_folder as out_folders
from bench.results.out_folder import check_folder, check_out, claim_of, open_out
from bench.runtime.files import write_json
from bench.sweeps.expand import run_sweep
from tests.sweeps.test_expand import run

pytestmark = pytest.mark.blackbox


class Stopped:
    """Stop the clock, so that all default names are equal."""

    @staticmethod
    def now() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return RunConfig.of(*typed(compose_config(["experiment=table7_architecture_base"])))


def finish(folder: Path) -> None:
    write_json(folder / "run.json", {"experiment": "table7_architecture_base", "status": "complete"})


def test_runs_that_start_in_the_same_second_share_no_folder(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(out_folders, "datetime", Stopped)
    folders = [open_out(config) for _ in range(4)]
    assert len(set(folders)) == 4
    for folder in folders:
        assert folder.parent == Path("outputs/table7_architecture_base")
        assert folder.name.startswith("2026-01-02_03-04-05")


def test_an_equal_configuration_reuses_its_folder(config: RunConfig, tmp_path: Path) -> None:
    chosen = replace(config, out=str(tmp_path / "deep" / "run"))
    folder = open_out(chosen)
    finish(folder)
    (folder / "report.html").write_text("of the earlier run")
    assert open_out(replace(chosen, resolved=chosen.resolved | {"stage": "tabulate", "save_images": True})) == folder
    assert [path.name for path in folder.iterdir()] == [".started.json"], "what is being written anew is not complete"


def test_a_finished_run_of_another_configuration_is_kept(config: RunConfig, tmp_path: Path) -> None:
    first = replace(config, out=str(tmp_path / "run"))
    folder = open_out(first)
    other = replace(first, resolved=first.resolved | {"seed": 3})
    check_out(other)  # nothing has finished
    finish(folder)
    with pytest.raises(
        BadInputError, match=r"^out: .*found a finished run with another value of seed in .*run; overwrite=true"
    ):
        open_out(other)
    assert (folder / "run.json").is_file()
    assert open_out(replace(other, overwrite=True)) == folder


@pytest.mark.parametrize(
    ("left", "found"),
    [(b'{"experiment": "table3"}', "table3"), (b"{", "unreadable"), (b"[]", "unreadable"), (b"\xff\xfe", "unreadable")],
)
def test_a_folder_of_another_experiment_is_refused(config: RunConfig, tmp_path: Path, left: bytes, found: str) -> None:
    (tmp_path / "run.json").write_bytes(left)
    with pytest.raises(BadInputError, match=rf"^out: .*table7.*{found}.*{tmp_path.name}"):
        open_out(replace(config, out=str(tmp_path)))
    assert (tmp_path / "run.json").read_bytes() == left


def test_a_folder_of_somebody_elses_files_is_refused_by_one_of_them(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    chosen = replace(config, out=str(tmp_path))
    with pytest.raises(BadInputError, match=r"^out: .*, found other files in .*, such as notes.txt; overwrite=true"):
        open_out(chosen)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert open_out(replace(chosen, overwrite=True)) == tmp_path
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_path_that_cannot_be_a_folder_is_refused(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_text("a file")
    for out in ("outputs", "outputs/run", None):
        with pytest.raises(BadInputError, match=r"^out: expected a folder.*, found .*outputs"):
            open_out(replace(config, out=out))
    with pytest.raises(BadInputError, match=r"^out: expected a folder, found an empty text"):
        open_out(replace(config, out=""))


def test_files_of_the_package_have_equal_names_on_every_machine(config: RunConfig) -> None:
    noted = json.dumps(claim_of(config))
    assert config.paths.assets not in noted
    assert "${paths.assets}/mini" in noted


def test_a_sweep_uses_only_its_own_folder(tmp_path: Path) -> None:
    out = tmp_path / "o"
    run_sweep(["a=1,4", f"out={out}"], run)
    with pytest.raises(BadInputError, match=r"^out: .*finished run with another value of 1 in"):
        run_sweep(["a=1,3", f"out={out}"], run)
    check_folder(str(out), {"experiment": "a sweep", "config": {"0": ["a=1"], "1": ["a=4"]}}, overwrite=False)
