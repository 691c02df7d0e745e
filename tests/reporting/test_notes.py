"""Notes below a table: what FID owes to few items."""

import numpy as np
import pytest

from bench.metrics.summary import Scored, Summary
from bench.reporting.notes import frechet_bias


@pytest.mark.parametrize("dimensions", [4, 30])
def test_frechet_distances_are_told_for_infinitely_many_items(dimensions: int) -> None:
    generator = np.random.default_rng(1)
    truth, noise = generator.normal(size=(2, 40, dimensions))
    rows = {"one": {"net.features": truth + noise, "lpips": np.ones(40)}, "other": {"lpips": np.ones(40)}}
    scored = Scored(
        rows, {"net.features": truth}, {"fid": "net.features"}, [str(i) for i in range(40)], range(40), np.zeros(40)
    )
    summary = Summary(scored, 2)
    found = summary.extrapolation("one", "fid")
    assert not isinstance(found, str)
    (text,) = frechet_bias(summary, {"one": "One", "other": "Other", "cited": "Cited"})
    assert text.endswith(f": One {found.limit:.2f} ± {found.stderr:.2f} of {found.values[0]:.2f}.")
    assert "through 40 and 20 items" in text
    assert ("at most, as 20 items are fewer than the 30 features" in text) == (dimensions == 30)
    assert list(frechet_bias(Summary(scored, 41), {"one": "One"})) == []
