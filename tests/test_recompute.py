"""Tests of a script without code of the harness that recomputes a run's numbers from its saved pictures."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import recompute
from tests.recompute import TOLERANCE, main

SCRIPT = Path(recompute.__file__)


def rows_and_metrics(run: Path) -> set[tuple[str, str]]:
    """Return every row and metric of the run's results that the script recomputes."""
    known = {"pre_error", "ssim", "lpips", "lpips_hole_only", "fid", "fid_hole_only"}
    rows = json.loads((run / "results.json").read_text())["rows"]
    return {
        (row["method"], metric)
        for row in rows
        for metric, entry in row["metrics"].items()
        if metric in known and entry["value"] is not None
    }


@pytest.fixture
def copy(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("figures", "*.html")))


@pytest.mark.blackbox
def test_the_script_imports_nothing_of_the_harness() -> None:
    imported = re.findall(r"^\s*(?:import|from) (\w+)", SCRIPT.read_text(), re.M)
    assert "torch" in imported
    assert not {"bench", "baselines", "tests"} & set(imported)


@pytest.mark.reference
def test_numbers_without_fid_follow_from_the_saved_pictures(small_run: Path) -> None:
    found = recompute.recompute(small_run)
    assert {(one.row, one.metric) for one in found} == rows_and_metrics(small_run)
    assert {one.metric for one in found} == {"pre_error", "ssim", "lpips", "lpips_hole_only"}
    assert [one for one in found if one.difference > TOLERANCE] == []


@pytest.mark.reference
@pytest.mark.slow
def test_all_numbers_follow_from_the_saved_pictures(tmp_path: Path) -> None:
    rows = ["row=[stablediffusion,base_mask,large_mask,paste_back]", "controls=[hole_only]"]
    words = ["experiment=table2_inpaint_imagenet", "limit=128", *rows, "device=cpu", "save_images=true"]
    places = [f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}", f"out={tmp_path / 'run'}"]
    subprocess.run([sys.executable, "-m", "bench", *words, *places], check=True, capture_output=True)
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {tuple(line.split()[:2]) for line in done.stdout.splitlines()}
    assert {metric for _, metric in rows_and_metrics(tmp_path / "run")} >= {"pre_error", "ssim", "lpips", "fid"}
    assert rows_and_metrics(tmp_path / "run") <= found


@pytest.mark.blackbox
@pytest.mark.parametrize("metric", ["pre_error", "ssim", "lpips", "lpips_hole_only"])
def test_a_changed_number_in_the_results_is_detected(
    copy: Path, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads((copy / "results.json").read_text())
    entry = next(row for row in results["rows"] if row["method"] == "large_mask")["metrics"][metric]
    entry["value"] *= 1 + 2 * TOLERANCE
    (copy / "results.json").write_text(json.dumps(results))
    assert main([str(copy)]) == 1
    wrong = [one for one in recompute.recompute(copy) if one.difference > TOLERANCE]
    assert [(one.row, one.metric) for one in wrong] == [("large_mask", metric)]
    assert "large_mask" in capsys.readouterr().out


@pytest.mark.blackbox
def test_a_changed_pixel_in_a_picture_is_detected(copy: Path) -> None:
    path = next((copy / "images" / "base_mask").iterdir())
    pixels = np.array(Image.open(path))
    pixels[32, 32, 0] ^= 128
    Image.fromarray(pixels).save(path)
    wrong = {(one.row, one.metric) for one in recompute.recompute(copy) if one.difference > TOLERANCE}
    assert {("base_mask", "ssim"), ("base_mask", "lpips")} <= wrong
    assert {row for row, _ in wrong} == {"base_mask"}


@pytest.mark.reference
def test_the_frechet_distance_of_known_gaussians_equals_the_closed_form() -> None:
    """The two sets have diagonal covariances, for which the distance is the sum of (m1 - m2)² + (s1 - s2)²."""
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * math.sqrt(3 / 4)  # variance 1, divided by N - 1
    first, second = signs * [1.0, 2.0], signs * [3.0, 5.0] + [1.0, -2.0]
    assert recompute.frechet_distance(first, second) == pytest.approx(1 + 4 + 4 + 9, rel=1e-12)


@pytest.mark.blackbox
@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("results.json", "results.json: expected a file of a finished run, found none"),
        ("images/base_mask", "expected a picture that `save_images=true` leaves, found none"),
        ("items/mask", "expected a picture that `save_images=true` leaves, found none"),
    ],
)
def test_a_missing_part_of_a_run_is_named(
    copy: Path, missing: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert main([str(copy)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.blackbox
def test_a_run_with_another_feature_network_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = json.loads((copy / "run.json").read_text())
    run["weights"] = {path: "0" * 64 for path in run["weights"]}
    (copy / "run.json").write_text(json.dumps(run))
    assert main([str(copy)]) == 2
    assert "expected weights with SHA-256" in capsys.readouterr().err
