"""Tests of a whole run of the legibility of text on the mini profile."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

import bench

pytestmark = [pytest.mark.blackbox, pytest.mark.slow]

ITEMS = 6
SMALL = ["experiment=text", f"limit={ITEMS}", "generator.steps=2", "row=[stablediffusion,base_mask]", "controls=[]"]


def test_words_outside_the_hole_stay_legible_with_the_mask(tmp_path: Path) -> None:
    paths = [f"paths.store={tmp_path / 'store'}", f"paths.data={tmp_path / 'data'}", f"out={tmp_path / 'out'}"]
    out = bench.run([*SMALL, *paths, "device=cpu"]).path
    records = pandas.read_parquet(out / "records.parquet").pivot(index="item", columns="row")
    accuracy = records["text_accuracy_outside"]
    assert len(accuracy) == ITEMS
    assert accuracy["base_mask"].mean() > accuracy["stablediffusion"].mean()
    assert (records["text_words_outside"]["base_mask"] == records["text_words_outside"]["stablediffusion"]).all()
    by_height = [records[f"text_accuracy_outside_{height}px"]["base_mask"] for height in (10, 12, 16)]
    assert sum(np.isfinite(values) for values in by_height).max() == 1  # an item has words of one height
    assert f"0 of {ITEMS} pictures without such a word" in (out / "table.md").read_text()
    figures = json.loads((out / "figures" / "figures.json").read_text())["figures"]
    assert figures["words_outside"]["read"]["input"] == [word["text"] for word in figures["words_outside"]["words"]]
    assert (out / "figures" / "words_outside.png").exists()
    assert (out / "figures" / "words_crossing.png").exists()
