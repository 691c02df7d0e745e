"""Tests of the check that every test carries exactly one marker for its kind."""

import pytest

from tests.helpers.kinds import without_one_kind

pytestmark = pytest.mark.blackbox


def test_a_test_with_one_kind_is_accepted() -> None:
    assert without_one_kind({"a.py::test_a": ["slow", "golden"], "a.py::test_b": ["property", "parametrize"]}) == ""


@pytest.mark.parametrize(
    ("markers", "found"),
    [
        (["slow"], "none"),
        (["golden", "blackbox"], "golden, blackbox"),
        (["property", "property"], "property, property"),
    ],
)
def test_a_test_without_exactly_one_kind_is_named(markers: list[str], found: str) -> None:
    message = without_one_kind({"a.py::test_a[1]": markers, "a.py::test_a[2]": markers, "a.py::test_b": ["golden"]})
    assert message.splitlines() == [
        "every test needs exactly one of the markers property, reference, golden, blackbox",
        f"a.py::test_a: found {found}",
    ]
