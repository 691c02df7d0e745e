"""Tests of summaries: means of existing values, clusters, comparisons, and the error of the Fréchet distance."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest

from bench.metrics import frechet_distance, frechet_estimate
from bench.metrics.discrepancy import discrepancy_estimate, gaussian_kernel
from bench.metrics.inception_score import inception_score
from bench.metrics.kernel import kernel_estimate
from bench.metrics.scores import Scored
from bench.metrics.spread import Spread
from bench.metrics.summary import EXACT, Measurement, Summary
from bench.metrics.uncertainty import mean_estimate, standard_error
from bench.runtime.not_available import NotAvailable

NAN = float("nan")


Arrays = Mapping[str, np.ndarray]


def row(**per_item: Sequence[float] | np.ndarray) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in per_item.items()}
    count = len(next(iter(arrays.values())))
    return arrays | {"images.features": np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)}


def scored(
    rows: Mapping[str, Arrays], truth: np.ndarray, sources: Sequence[str], references: Sequence[int] | None = None
) -> Scored:
    places = list(range(len(sources))) if references is None else list(references)
    areas = np.linspace(0, 0.5, len(sources), endpoint=False)
    sets = {"fid": "images.features", "kid": "images.features", "inception_score": "images.logits"}
    return Scored(rows, {"images.features": truth}, sets, sources, places, areas)


def summary(
    rows: Mapping[str, Arrays], sources: Sequence[str] | None = None, reference: str | None = None
) -> dict[str, dict[str, Measurement]]:
    count = len(next(iter(next(iter(rows.values())).values())))
    truth = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    names = sources or [f"photo {index}" for index in range(count)]
    return Summary(scored(rows, truth, names), 1000).table(reference)


@pytest.mark.blackbox
def test_a_mean_rests_on_the_items_that_have_a_value() -> None:
    found = summary({"a": row(lpips=[1, 2, 3, 6], ring=[1, NAN, 4, NAN], hole=[NAN] * 4)}, ["p", "p", "q", "r"])["a"]
    assert (found["lpips"].value, found["lpips"].n, found["lpips"].sources) == (3, 4, 3)
    assert (found["ring"].value, found["ring"].n, found["ring"].sources) == (2.5, 2, 2)
    assert (found["hole"].value, found["hole"].stderr, found["hole"].ci95, found["hole"].n) == (None, None, None, 0)
    assert found["hole"].reason == "no item can be measured"
    assert found["lpips"].reason is None


@pytest.mark.reference
def test_an_interval_equals_students_for_the_number_of_sources() -> None:
    """Every item is equally far from the mean; skewed items have an interval that is longer on one side."""
    values = np.array([0.5, 1.5] * 15)
    found = summary({"a": row(lpips=values)})["a"]["lpips"]
    assert found.stderr == pytest.approx(values.std(ddof=1) / np.sqrt(30))
    half = 2.04523 * found.stderr  # of 29 degrees of freedom
    assert found.ci95 == pytest.approx((values.mean() - half, values.mean() + half), 1e-5)
    assert (found.freedom, found.effective_sources) == (pytest.approx(29), pytest.approx(30))
    assert not found.interval_too_short
    skewed = summary({"a": row(lpips=[1.0] * 29 + [9.0])})["a"]["lpips"]
    assert skewed.interval_too_short
    assert skewed.ci95 is not None
    assert skewed.value is not None
    assert skewed.ci95[1] - skewed.value > 1.5 * (skewed.value - skewed.ci95[0])


@pytest.mark.blackbox
def test_without_any_spread_a_number_has_no_interval_unless_it_is_exact() -> None:
    rows = {"base": row(error=[1, 2]), "shifted": row(error=[1.3, 2.3]), "exact": row(error=[0, 0])}
    rows |= {"flat": row(error=[0.7, 0.7]), "twin": row(error=[1, 2])}
    found = summary(rows, reference="base")
    assert (found["flat"]["error"].stderr, found["flat"]["error"].ci95) == (None, None)
    assert (found["exact"]["error"].stderr, found["exact"]["error"].ci95) == (0, (0, 0))
    assert found["shifted"]["error"].difference is found["shifted"]["error"].p_holm is None
    twin = found["twin"]["error"].difference
    assert twin is not None
    assert (twin.value, twin.ci95, twin.p_value) == (0, (0, 0), 1)
    whole = Summary(scored(rows, np.zeros((2, 3)), ["p", "q"]), 1000)
    for reason in (
        whole.difference("shifted", "base", "error"),
        whole.contrast({"shifted": 1, "base": -1}, "error"),
        whole.contrast({"flat": 1}, "error"),
    ):
        assert reason == NotAvailable("every source shows the same value, so its spread is unknown")
    assert whole.ratio("twin", "base", "error").ci95 == (1, 1)
    assert whole.ratio("flat", "flat", "error").ci95 == (1, 1)
    assert NotAvailable(whole.measurement("flat", "error").stderr_reason) == whole.difference(
        "shifted", "base", "error"
    )


@pytest.mark.blackbox
@pytest.mark.parametrize("count", [7, 10, 400])
def test_rounding_errors_of_a_constant_are_no_spread(count: int) -> None:
    """Whether a mean of equal values is exact depends on their number."""
    values = np.random.default_rng(0).uniform(1, 2, count)
    rows = {"flat": row(error=np.full(count, 0.1)), "base": row(error=values * 0.3), "third": row(error=values * 0.1)}
    whole = Summary(scored(rows, np.zeros((count, 3)), [f"photo {index}" for index in range(count)]), 1000)
    for found in (whole.measurement("flat", "error"), whole.ratio("base", "third", "error")):
        assert (found.stderr, found.ci95) == (None, None)
        assert found.stderr_reason == "every source shows the same value, so its spread is unknown"


@pytest.mark.blackbox
def test_the_sources_that_decide_a_difference_are_named() -> None:
    rows = {"base": row(error=[4, 1, -2, -3]), "other": row(error=[13, 2, -1, -14])}  # apart by 9, 1, 1 and -11
    whole = Summary(scored(rows, np.zeros((4, 3)), ["p", "q", "r", "s"]), 1000)
    shares = whole.variance_shares("other", "base", "error")
    assert list(shares)[:2] == ["s", "p"]
    assert shares["s"] == pytest.approx(121 / 204)
    assert whole.variance_shares("base", "base", "error") == whole.variance_shares("base", "none", "error") == {}


@pytest.mark.blackbox
def test_a_kernel_distance_of_one_source_is_missing() -> None:
    rows = {"a": {"images.features": np.random.default_rng(0).normal(size=(4, 3))}}
    found = Summary(scored(rows, np.zeros((4, 3)), ["one"] * 4), 2).measurement("a", "kid")
    assert (found.value, found.reason) == (
        None,
        "all items are of one source, but this metric needs items of two sources",
    )


@pytest.mark.blackbox
def test_a_kernel_distance_of_two_sources_has_a_value() -> None:
    rows = {"a": {"images.features": np.random.default_rng(0).normal(size=(4, 3))}}
    sources = ["one", "one", "other", "other"]
    found = Summary(scored(rows, np.zeros((4, 3)), sources), 2).measurement("a", "kid")
    expected = kernel_estimate(rows["a"]["images.features"], np.zeros((4, 3)), sources).value
    assert (found.value, found.n, found.sources) == (pytest.approx(expected), 4, 2)


@pytest.mark.blackbox
def test_a_kernel_distance_uses_only_the_truths_of_its_items() -> None:
    rows = {"a": {"images.features": np.random.default_rng(0).normal(size=(4, 3))}}
    items = scored(rows, np.zeros((2, 3)), ["p", "p", "q", "q"], [0, 2])
    found = Summary(items, 2).measurement("a", "kid")
    assert (found.value, found.reason) == (None, "the reference set does not have one image for each item")


@pytest.mark.blackbox
def test_too_few_images_to_compare_with_are_named() -> None:
    rows = {"a": {"images.features": np.random.default_rng(0).normal(size=(6, 3))}}
    items = scored(rows, np.zeros((3, 3)), list("ppqqrr"), [0, 2, 4])
    for metric in ("fid", "kid"):
        found = Summary(items, 4).measurement("a", metric)
        assert found.reason == "3 images to compare with, fewer than the 4 that this protocol requires"


def classified(count: int) -> Scored:
    """Return logits of one row's images, each of which is its own source."""
    logits = np.random.default_rng(0).normal(size=(count, 5))
    features = {"images.features": np.zeros((count, 3)), "images.logits": logits}
    return scored({"a": features}, np.zeros((count, 3)), [f"photo {index}" for index in range(count)])


@pytest.mark.blackbox
def test_an_inception_score_uses_ten_splits_of_its_images() -> None:
    items = classified(200)
    whole = Summary(items, 2, ((40, 50),))
    logits = items.rows["a"]["images.logits"]
    for metric, chosen in (("inception_score", logits), ("inception_score_40_50", logits[160:])):
        found, expected = whole.measurement("a", metric), inception_score(chosen, splits=10)
        assert (found.value, found.n, found.sources) == (pytest.approx(expected.value), len(chosen), len(chosen))
        assert found.stderr == pytest.approx(standard_error(expected.influence))


@pytest.mark.blackbox
def test_an_inception_score_needs_as_many_images_as_splits() -> None:
    nine = Summary(classified(9), 2).measurement("a", "inception_score")
    assert (nine.value, nine.reason) == (None, "9 items, fewer than the 10 splits that an Inception Score requires")
    ten = Summary(classified(10), 2).measurement("a", "inception_score")
    assert ten.value == pytest.approx(1)  # an image alone in its split tells nothing
    few = Summary(classified(20), 21).measurement("a", "inception_score")
    assert (few.value, few.reason) == (None, "20 items, fewer than the 21 that this protocol requires")


def ratio_of(found: Measurement) -> float | None:
    """Return the reference row's value divided by this one."""
    assert isinstance(found.ratio, Measurement)
    return found.ratio.value


@pytest.mark.blackbox
def test_items_of_one_source_count_as_one() -> None:
    values = np.random.default_rng(3).normal(size=25)
    sources = [f"photo {index // 4}" for index in range(100)]
    alone = summary({"a": row(lpips=values)})["a"]["lpips"]
    copied = summary({"a": row(lpips=np.repeat(values, 4))}, sources)["a"]["lpips"]
    assert copied.stderr == pytest.approx(alone.stderr)
    assert (copied.n, copied.sources) == (100, 25)


@pytest.mark.blackbox
def test_a_difference_is_the_row_minus_the_reference() -> None:
    generator = np.random.default_rng(4)
    base = generator.normal(5, 1, size=50)
    better = base - 1 + generator.normal(0, 0.1, size=50)
    found = summary({"base": row(lpips=base), "better": row(lpips=better)}, reference="base")
    difference = found["better"]["lpips"].difference
    assert difference is not None
    assert difference.value == pytest.approx(better.mean() - base.mean())
    assert difference.ci95[0] < -1 < difference.ci95[1] < 0
    assert difference.stderr == pytest.approx((better - base).std(ddof=1) / np.sqrt(50))
    assert ratio_of(found["better"]["lpips"]) == pytest.approx(base.mean() / better.mean())
    reference = found["base"]["lpips"]
    assert (reference.difference, reference.ratio, reference.p_holm) == (None, None, None)


@pytest.mark.blackbox
def test_nothing_is_compared_without_a_reference() -> None:
    found = summary({"base": row(lpips=[1, 2, 3]), "other": row(lpips=[2, 3, 5])})
    assert found["other"]["lpips"].difference is found["other"]["lpips"].p_holm is None
    assert summary({"base": row(lpips=[1, 2, 3])}, reference="none of them")["base"]["lpips"].difference is None


@pytest.mark.blackbox
def test_a_row_without_any_error_is_exact() -> None:
    rows = {"base": row(error=[1, 2, 3]), "pasted": row(error=[0, 0, 0]), "half": row(error=[0.5, 1, 1.5])}
    found = summary(rows, reference="base")
    assert (found["pasted"]["error"].value, found["pasted"]["error"].ratio) == (0, EXACT)
    assert ratio_of(found["half"]["error"]) == pytest.approx(2)
    nothing = summary({"base": row(error=[0, 0]), "other": row(error=[1, 3])}, reference="base")
    assert ratio_of(nothing["other"]["error"]) == 0


@pytest.mark.blackbox
def test_rows_measured_on_unlike_items_are_not_compared() -> None:
    rows = {"base": row(ring=[1, NAN, 4]), "same": row(ring=[2, NAN, 4]), "other": row(ring=[NAN, 2, 4])}
    found = summary({**rows, "none": row(ring=[NAN] * 3)}, reference="base")
    same = found["same"]["ring"].difference
    assert same is not None
    assert same.value == pytest.approx(0.5)
    assert found["other"]["ring"].difference is found["none"]["ring"].difference is None
    assert (found["other"]["ring"].value, found["other"]["ring"].ratio) == (3, None)


@pytest.mark.blackbox
@pytest.mark.parametrize("sources", [["photo"], ["photo", "photo", "photo"]])
def test_a_single_source_gives_values_and_no_number_that_is_not_finite(sources: list[str]) -> None:
    count = len(sources)
    rows = {"base": row(lpips=[2.0] * count), "other": row(lpips=[1.0, 3.0, 2.0][:count])}
    found = summary(rows, sources, reference="base")["other"]["lpips"]
    assert (found.n, found.sources, found.stderr, found.ci95) == (count, 1, None, None)
    assert found.value == pytest.approx(np.mean([1.0, 3.0, 2.0][:count]))
    json.dumps(asdict(found), allow_nan=False)


@pytest.mark.blackbox
def test_too_few_items_have_no_frechet_distance_and_say_why() -> None:
    rows = {"base": row(lpips=range(20)), "other": row(lpips=range(20))}
    truth = np.random.default_rng(6).normal(size=(20, 3)).astype(np.float32)
    names = [f"photo {index}" for index in range(20)]
    few = Summary(scored(rows, truth, names), 21).table("base")
    for measurement in (few["base"]["fid"], few["other"]["fid"]):
        assert (measurement.value, measurement.stderr, measurement.difference) == (None, None, None)
        assert measurement.reason is not None
        assert "20" in measurement.reason
        assert "21" in measurement.reason
    enough = Summary(scored(rows, truth, names), 20).table("base")["other"]["fid"]
    assert enough.value == pytest.approx(frechet_distance(rows["other"]["images.features"], truth))
    assert (enough.n, enough.reason) == (20, None)


@pytest.mark.blackbox
def test_the_frechet_distances_error_sums_both_influences_of_an_item() -> None:
    count = 300
    generator = np.random.default_rng(7)
    truth = generator.normal(size=(count, 4))
    image = 1.3 * truth + 0.3 * generator.normal(size=(count, 4)) + 0.4
    names = [f"photo {index}" for index in range(count)]
    rows = {"a": {"images.features": image}}
    found = Summary(scored(rows, truth, names), 2).table(None)["a"]["fid"]
    left_out = np.array([frechet_distance(np.delete(image, i, 0), np.delete(truth, i, 0)) for i in range(count)])
    jackknife = np.sqrt((count - 1) / count * np.square(left_out - left_out.mean()).sum())
    assert found.stderr == pytest.approx(jackknife, rel=0.05)  # the jackknife is good to about 1 / sqrt(count)
    apart = frechet_estimate(image, truth)
    as_if_apart = np.hypot(standard_error(apart.influence_a), standard_error(apart.influence_b))
    assert abs(as_if_apart / jackknife - 1) > 0.2


def few_items() -> Summary:
    """Return a summary with as many items as dimensions; each truth is a reference once."""
    generator = np.random.default_rng(11)
    truth = generator.normal(size=(24, 24))
    rows = {
        name: {"images.features": np.repeat(truth, 2, 0) + noise * generator.normal(size=(48, 24))}
        for name, noise in (("a", 1.0), ("b", 0.7))
    }
    return Summary(scored(rows, truth, [f"photo {index // 2}" for index in range(48)], range(0, 48, 2)), 2)


@pytest.mark.blackbox
def test_the_frechet_distances_error_is_corrected_for_few_items() -> None:
    summary = few_items()
    found = summary.found("a", "fid")
    assert not isinstance(found, NotAvailable)
    estimate, _ = found
    assert estimate.change is not None
    plain = standard_error(estimate.influence, summary.scored.sources)
    measured = summary.measurement("a", "fid").stderr
    assert measured == standard_error(estimate.influence, summary.scored.sources, change=estimate.change)
    assert 0.71 * plain < measured < 0.99 * plain


@pytest.mark.blackbox
def test_differences_contrasts_and_ratios_keep_the_change_on_halves() -> None:
    summary = few_items()
    found = [summary.found(row, "fid") for row in ("a", "b")]
    (first, _), (second, _) = (one for one in found if not isinstance(one, NotAvailable))
    assert first.change is not None
    assert second.change is not None
    influence, change = first.influence - second.influence, first.change - second.change
    expected = standard_error(influence, summary.scored.sources, change=change)
    assert expected < standard_error(influence, summary.scored.sources)
    difference, contrast = summary.difference("a", "b", "fid"), summary.contrast({"a": 1, "b": -1}, "fid")
    assert not isinstance(difference, NotAvailable)
    assert not isinstance(contrast, NotAvailable)
    assert difference.stderr == pytest.approx(expected)
    assert contrast.stderr == pytest.approx(expected)
    ratio = summary.ratio("a", "b", "fid")
    assert ratio.value == pytest.approx(first.value / second.value)
    linear = (first.influence - ratio.value * second.influence) / second.value
    changed = (first.change - ratio.value * second.change) / second.value
    assert ratio.stderr == pytest.approx(standard_error(linear, summary.scored.sources, change=changed))


@pytest.mark.property
def test_the_order_of_items_changes_no_error() -> None:
    summary = few_items()
    order = np.random.default_rng(12).permutation(48)
    old = summary.scored
    back = {int(place): position for position, place in enumerate(order)}
    shuffled = Scored(
        {row: {name: values[order] for name, values in arrays.items()} for row, arrays in old.rows.items()},
        old.truth,
        old.sets,
        [old.sources[place] for place in order],
        [back[place] for place in old.references],
        old.mask_area[order],
    )
    first, second = summary.measurement("a", "fid"), Summary(shuffled, 2).measurement("a", "fid")
    assert second.value == pytest.approx(first.value, rel=1e-9)
    assert second.stderr == pytest.approx(first.stderr, rel=1e-6)


@pytest.mark.blackbox
def test_the_frechet_distance_of_more_items_is_extrapolated() -> None:
    summary = few_items()
    found = summary.extrapolation("a", "fid")
    assert not isinstance(found, NotAvailable)
    assert found.sizes == (48, 24, 12)
    assert found.values[0] == pytest.approx(summary.measurement("a", "fid").value)
    assert found.limit < found.values[0] < found.values[1] < found.values[2]
    few = Summary(summary.scored, 49).extrapolation("a", "fid")
    assert few == NotAvailable("48 items, fewer than the 49 that this protocol requires")
    some = scored(summary.scored.rows, summary.scored.truth["images.features"], ["one"] * 48, range(0, 48, 2))
    assert Summary(some, 2).extrapolation("a", "fid") == NotAvailable("too few sources to divide them into 4 parts")


@pytest.mark.blackbox
def test_two_images_in_each_of_four_parts_suffice_for_extrapolation() -> None:
    generator = np.random.default_rng(13)
    truth, image = generator.normal(size=(2, 8, 3))
    names = [f"photo {index}" for index in range(8)]
    found = Summary(scored({"a": {"images.features": image}}, truth, names), 2).extrapolation("a", "fid")
    assert not isinstance(found, NotAvailable)
    assert found.sizes == (8, 4, 2)
    seven = Summary(scored({"a": {"images.features": image[:7]}}, truth[:7], names[:7]), 2)
    assert seven.extrapolation("a", "fid") == NotAvailable("too few sources to divide them into 4 parts")


@pytest.mark.blackbox
def test_the_frechet_distances_error_counts_the_captions_of_an_image_together() -> None:
    images, captions = 120, 3
    generator = np.random.default_rng(8)
    truth = generator.normal(size=(images, 3))
    made = np.repeat(truth, captions, 0) + 0.5 * generator.normal(size=(images * captions, 3)) + 0.3
    names = [f"photo {index // captions}" for index in range(len(made))]
    references = [captions * index for index in range(images)]
    found = Summary(scored({"a": {"images.features": made}}, truth, names, references), 2).measurement("a", "fid")
    assert found.value == pytest.approx(frechet_distance(made, truth))
    assert (found.n, found.sources) == (images * captions, images)
    blocks = made.reshape(images, captions, 3)
    left_out = [
        frechet_distance(np.delete(blocks, index, 0).reshape(-1, 3), np.delete(truth, index, 0))
        for index in range(images)
    ]
    jackknife = np.sqrt((images - 1) / images * np.square(left_out - np.mean(left_out)).sum())
    assert found.stderr == pytest.approx(jackknife, rel=0.08)


@pytest.mark.blackbox
def test_a_bin_of_mask_area_rests_on_its_items_alone() -> None:
    generator = np.random.default_rng(9)
    truth, image = generator.normal(size=(2, 100, 3))
    rows = {"a": {"images.features": image, "lpips": np.arange(100.0)}}
    found = Summary(scored(rows, truth, [str(index) for index in range(100)]), 20, ((40, 50),)).table(None)["a"]
    inside = slice(80, 100)  # areas are 0, .005, … .495
    assert found["fid_40_50"].value == pytest.approx(frechet_distance(image[inside], truth[inside]))
    assert (found["lpips_40_50"].value, found["lpips_40_50"].n) == (np.arange(80, 100).mean(), 20)
    assert "lpips_hole_only_40_50" not in found
    few = Summary(scored(rows, truth, [str(index) for index in range(100)]), 21, ((40, 50),)).table(None)["a"]
    assert few["fid_40_50"].value is None
    assert few["fid"].value is not None


@pytest.mark.blackbox
def test_the_error_of_a_ratio_follows_from_both_values() -> None:
    generator = np.random.default_rng(10)
    below = generator.uniform(1, 2, size=200)
    above = below * 5 + generator.normal(size=200)
    truth = generator.normal(size=(200, 3))
    names = [str(index) for index in range(200)]
    found = Summary(scored({"a": row(error=above), "b": row(error=below)}, truth, names), 2).ratio("a", "b", "error")
    assert found.value == pytest.approx(above.mean() / below.mean())
    left_out = np.array([np.delete(above, i).mean() / np.delete(below, i).mean() for i in range(200)])
    assert found.stderr == pytest.approx(np.sqrt(199 / 200 * np.square(left_out - left_out.mean()).sum()), rel=0.02)
    missing = Summary(scored({"a": row(error=above)}, truth, names), 2).ratio("a", "b", "error")
    assert (missing.value, missing.reason) == (None, "error was not measured on b")


def of_two(above: Sequence[float], below: Sequence[float]) -> Summary:
    """Return two rows on items, each of which is its own source."""
    names = [f"photo {index}" for index in range(len(above))]
    return Summary(scored({"a": row(error=above), "b": row(error=below)}, np.zeros((len(names), 3)), names), 1000)


@pytest.mark.blackbox
def test_the_interval_of_a_ratio_of_errors_never_reaches_zero() -> None:
    above, below = np.array([1, 2, 1, 3, 2, 1, 2, 300.0]), np.linspace(0.9, 1.1, 8)
    names = [f"photo {index}" for index in range(8)]
    scores = {name: row(pre_error=values, border_excess=values) for name, values in (("a", above), ("b", below))}
    whole = Summary(scored(scores, np.zeros((8, 3)), names), 1000)
    plain, found = (whole.ratio("a", "b", metric) for metric in ("border_excess", "pre_error"))
    assert plain.ci95 is not None
    assert plain.ci95[0] < 0 < plain.ci95[1]  # the excess is a difference, which may be negative
    assert found.value is not None
    assert (found.value, found.stderr) == (plain.value, plain.stderr)
    logarithm = mean_estimate(above).influence / above.mean() - mean_estimate(below).influence / below.mean()
    spread = Spread.of(logarithm)
    assert spread is not None
    assert found.ci95 == pytest.approx(np.exp(spread.interval(math.log(found.value))))
    less = Summary(scored({"a": row(pre_error=below + 1), "b": row(pre_error=below)}, np.zeros((8, 3)), names), 1000)
    kept = less.ratio("a", "b", "pre_error")
    assert kept.spread is not None
    assert kept.value is not None
    assert kept.ci95 == kept.spread.interval(kept.value)  # no interval that stays above 0 changes


@pytest.mark.blackbox
def test_nothing_is_divided_by_exactly_zero() -> None:
    found = of_two([1, 2, 3], [-1, 0, 1]).ratio("a", "b", "error")
    assert (found.value, found.reason) == (None, "error of b is exactly 0")


@pytest.mark.blackbox
def test_no_interval_bounds_a_ratio_whose_divisor_cannot_be_told_from_zero() -> None:
    found = of_two([4, 5] * 4, [-1, 2] * 4).ratio("a", "b", "error")
    assert (found.value, found.stderr, found.ci95) == (9.0, None, None)
    assert (found.n, found.sources) == (8, 8)
    assert found.reason is None
    assert found.stderr_reason == "the interval of the divisor contains 0, so the ratio has no bounded interval"
    one = of_two([4, 5] * 4, [0.9, 1.1] * 4).ratio("a", "b", "error")  # whose interval is about 1
    assert (one.value, one.reason, one.stderr_reason, one.ci95 is None) == (4.5, None, None, False)


@pytest.mark.blackbox
@pytest.mark.parametrize("interval", [(0.0, 1.0), (-1.0, 0.0)])
def test_a_divisor_whose_interval_ends_at_zero_cannot_be_told_from_it(
    interval: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spread, "interval", lambda self, value: interval)
    found = of_two([4, 5] * 4, [0.9, 1.1] * 4).ratio("a", "b", "error")
    assert found.stderr_reason == "the interval of the divisor contains 0, so the ratio has no bounded interval"


@pytest.mark.blackbox
@pytest.mark.parametrize(("count", "halved"), [(4, True), (3, False)])
def test_a_frechet_distance_is_halved_where_either_half_has_two_images(count: int, halved: bool) -> None:
    image, truth = np.random.default_rng(14).normal(size=(2, count, 3))
    names = [f"photo {index}" for index in range(count)]
    found = Summary(scored({"a": {"images.features": image}}, truth, names), 2).found("a", "fid")
    assert not isinstance(found, NotAvailable)
    assert (found[0].change is not None) == halved


@pytest.mark.blackbox
@pytest.mark.parametrize(("rule", "expected"), [("offline", 2.5), ("online", 3.5)])
def test_a_bin_contains_the_items_between_its_edges_and_on_one_edge(rule: str, expected: float) -> None:
    items = scored({"a": row(lpips=[1, 2, 3, 4, 5])}, np.zeros((5, 3)), list("pqrst"))
    areas = np.array([0.398, 0.4, 0.498, 0.5, 0.502])
    found = Summary(replace(items, mask_area=areas), 1000, ((40, 50),), rule).measurement("a", "lpips_40_50")
    assert (found.value, found.n) == (expected, 2)


@pytest.mark.blackbox
def test_every_number_records_its_kind_and_its_measure() -> None:
    items = scored({"a": row(lpips=[1, 2])}, np.zeros((2, 3)), ["p", "q"])
    found = Summary(replace(items, measures={"lpips": "distance"}), 2, ((40, 50),))
    assert (found.measure("lpips_40_50"), found.measure("fid_hole_only")) == ("distance", "images")
    assert found.statistic("lpips") == {"statistic": "mean over items"}
    made = {name: found.statistic(name) for name in ("fid", "fid_40_50", "fid_hole_only", "kid", "inception_score")}
    assert len({str(one) for one in made.values()}) == 5
    assert all(one["fewest"] == 2 for one in made.values())
    assert made["fid_40_50"] == {**made["fid"], "items": "share of hole in [40 %, 50 %)"}
    assert made["fid_hole_only"] == {**made["fid"], "image": "the truth in place of its known pixels"}
    online = replace(found, rule="online").statistic("fid_40_50")
    assert online == {**made["fid"], "items": "share of hole in (40 %, 50 %]"}


@pytest.mark.blackbox
def test_the_measure_of_a_set_is_named_before_the_first_dot() -> None:
    items = scored({"a": row(lpips=[1, 2])}, np.zeros((2, 3)), ["p", "q"])
    assert Summary(replace(items, sets={"fid": "images.clean.features"}), 2).measure("fid") == "images"


@pytest.mark.reference
def test_distances_of_other_features_equal_their_definitions() -> None:
    generator = np.random.default_rng(6)
    truth, image = generator.normal(size=(30, 3)).astype(np.float32), generator.normal(size=(30, 3)).astype(np.float32)
    sets = dict.fromkeys(("fid", "fd_mine", "cmmd", "cmmd_unbiased"), "images.features")
    items = scored({"a": {"images.features": image}}, truth, [f"photo {index // 2}" for index in range(30)])
    found = Summary(replace(items, sets=sets), 2)
    assert found.measurement("a", "fd_mine") == found.measurement("a", "fid")
    estimate = discrepancy_estimate(image, truth)
    cmmd = found.measurement("a", "cmmd")
    assert cmmd.value == pytest.approx(estimate.value, rel=1e-12)
    influence = estimate.influence_a + estimate.influence_b
    assert cmmd.stderr == pytest.approx(standard_error(influence, items.sources), rel=1e-9)
    unbiased = kernel_estimate(image, truth, items.sources, gaussian_kernel)
    assert found.measurement("a", "cmmd_unbiased").value == pytest.approx(1000 * unbiased.value, rel=1e-12)
    statistics = {name: found.statistic(name)["statistic"] for name in sets}
    assert statistics["fd_mine"] == statistics["fid"]
    assert len(set(statistics.values())) == 3
