"""Tests of the scores of a batch: every measure on every variant of an image, independent of the batch."""

import numpy as np
import pytest
import torch

from bench.metrics.batch_scorer import Scorer, Unit
from bench.metrics.feature_measure import FeatureMeasure
from bench.metrics.image_encoding import PREFIX, WAYS, saved
from bench.metrics.known_region import KnownRegionMeasure
from bench.metrics.names import HOLE_ONLY
from bench.models.feature_network import FeatureNetwork
from bench.runtime.device import tf32
from tests.helpers.boxes import boxes

UNITS = [("images", ""), ("known", ""), ("images", HOLE_ONLY)]


@pytest.fixture(scope="module")
def measures() -> dict[str, object]:
    torch.manual_seed(0)
    network = FeatureNetwork((8, 12), {"texture": 2, "shape": 3}).eval()
    return {"images": FeatureMeasure(network), "known": KnownRegionMeasure()}


@pytest.mark.blackbox
def test_the_hole_is_measured_with_the_truth_around_it(measures) -> None:  # type: ignore[no-untyped-def]
    truth, mask, image = boxes(3)
    scorer = Scorer(measures, truth, mask, [None] * 3)
    found = scorer.score(image, UNITS)
    pasted = torch.where(mask > 0, image, truth / 255)
    expected = scorer.score(pasted, [("images", "")])["images", ""]
    for name, values in found["images", HOLE_ONLY].items():
        assert np.array_equal(values, expected[name]), name
    assert (found["images", HOLE_ONLY]["lpips"] < found["images", ""]["lpips"]).all()


@pytest.mark.blackbox
def test_saved_images_are_measured_like_the_files_on_disk(measures) -> None:  # type: ignore[no-untyped-def]
    truth, mask, image = boxes(3)
    scorer = Scorer(measures, truth, mask, [None] * 3)
    for way in WAYS:
        units = [("images", f"{PREFIX}{way}"), ("known", f"{PREFIX}{way}")]
        found = scorer.score(image, units)
        again = scorer.score(saved(image, way).float() / 255, [("images", ""), ("known", "")])
        for name, _ in units:
            for array, values in again[name, ""].items():
                assert np.array_equal(found[name, f"{PREFIX}{way}"][array], values, equal_nan=True), (way, array)
    plain = scorer.score(image, UNITS)
    assert np.array_equal(
        scorer.score(image, [("images", "saved_truncate")])["images", "saved_truncate"]["lpips"],
        plain["images", ""]["lpips"],
    )
    rounded = scorer.score(image, [("known", "saved_round")])["known", "saved_round"]["pre_error"]
    assert np.array_equal(rounded, plain["known", ""]["pre_error_rounded"])


@pytest.mark.blackbox
def test_only_an_unmodified_decoder_image_counts_as_decoded(measures) -> None:  # type: ignore[no-untyped-def]
    truth, mask, image = boxes(2)
    scorer = Scorer(measures, truth, mask, [None] * 2)
    units = [("known", ""), ("known", "saved_round")]
    for decoded in (False, True):
        found = scorer.score(image, units, decoded=decoded)
        plain, rounded = found["known", ""], found["known", "saved_round"]
        assert (plain["pre_error_released"] == plain["pre_error"]).all() == (not decoded)
        assert np.array_equal(rounded["pre_error_released"], rounded["pre_error"])


@pytest.mark.blackbox
def test_the_truth_itself_has_no_distance(measures) -> None:  # type: ignore[no-untyped-def]
    truth, mask, _ = boxes(2)
    scorer = Scorer(measures, truth, mask, [None] * 2)
    found = scorer.score(truth / 255, UNITS)
    assert found["images", ""]["lpips"] == pytest.approx([0, 0], abs=1e-12)
    assert np.array_equal(found["images", ""]["features"], scorer.truth("images")["features"])


@pytest.mark.property
def test_scores_do_not_depend_on_the_batch(measures) -> None:  # type: ignore[no-untyped-def]
    truth, mask, image = boxes(5)
    whole = Scorer(measures, truth, mask, [None] * 5).score(image, UNITS)
    for start, stop in ((0, 1), (1, 3), (3, 5)):
        chosen = slice(start, stop)
        part = Scorer(measures, truth[chosen], mask[chosen], [None] * (stop - start)).score(image[chosen], UNITS)
        assert part.keys() == whole.keys() == set(UNITS)
        for unit, arrays in part.items():
            for name, values in arrays.items():
                assert values == pytest.approx(whole[unit][name][chosen], rel=1e-5, abs=1e-6, nan_ok=True), name


@pytest.mark.blackbox
def test_measures_compute_without_tf32() -> None:
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    seen = []

    class Noted(KnownRegionMeasure):
        def keep_truth(self, *given):  # type: ignore[no-untyped-def]
            seen.append([backend.allow_tf32 for backend in backends])
            return super().keep_truth(*given)

        def keep(self, *given):  # type: ignore[no-untyped-def]
            seen.append([backend.allow_tf32 for backend in backends])
            return super().keep(*given)

    truth, mask, image = boxes(1)
    with tf32(True):
        Scorer({"known": Noted()}, truth, mask, [None]).score(image, [Unit("known")])
        after = [backend.allow_tf32 for backend in backends]
    assert seen == [[False, False], [False, False]]
    assert after == [True, True]
