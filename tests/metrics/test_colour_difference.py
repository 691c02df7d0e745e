"""Tests of CIELAB and CIEDE2000 against the published pairs of colours and scikit-image."""

import numpy as np
import pytest
import torch
from skimage import color, data

from bench.metrics.colour_difference import ciede2000, lab

PAIRS = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514  0.9082
"""
"""L, a and b of two colours, and their CIEDE2000 with four decimals: Table 1 of Sharma, Wu and Dalal (2005)."""


def colours(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of colours in CIELAB: distant, close, grey against coloured, and two greys."""
    rng = np.random.default_rng(seed)
    first = rng.uniform([0, -100, -100], [100, 100, 100], (4000, 3))
    second = first + rng.normal(0, 1, first.shape) * rng.choice([0.1, 3, 60], (4000, 1))
    first[:300, 1:] = 0
    second[200:500, 1:] = 0
    return first, second


@pytest.mark.golden
def test_the_published_pairs_are_met() -> None:
    lines = [[float(word) for word in line.split()] for line in PAIRS.split("\n") if line]
    table = torch.tensor(lines, dtype=torch.float64)
    assert table.shape == (34, 7)
    first, second, published = table.split([3, 3, 1], dim=1)
    for one, other in ((first, second), (second, first)):
        assert ciede2000(one, other).tolist() == pytest.approx(published[:, 0].tolist(), abs=0.5e-4 + 1e-7)


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(3))
def test_differences_equal_those_of_scikit_image(seed: int) -> None:
    first, second = colours(seed)
    found = ciede2000(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(found, color.deltaE_ciede2000(first, second), rtol=0, atol=1e-9)


@pytest.mark.reference
def test_lab_equals_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    for pixels in (data.astronaut()[::4, ::4], rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)):
        found = lab(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        np.testing.assert_allclose(found.numpy(), color.rgb2lab(pixels), rtol=0, atol=1e-10)


@pytest.mark.property
@pytest.mark.parametrize("seed", range(3))
def test_equal_colours_differ_by_exactly_nothing_and_the_order_has_no_influence(seed: int) -> None:
    first, second = (torch.from_numpy(one) for one in colours(seed))
    assert torch.equal(ciede2000(first, first), torch.zeros(len(first), dtype=torch.float64))
    torch.testing.assert_close(ciede2000(first, second), ciede2000(second, first), rtol=0, atol=1e-9)
