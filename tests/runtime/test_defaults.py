"""Tests of the defaults of base classes for classes that do not inherit from them."""

from collections.abc import Iterator

import pytest

from bench.data.items import Picture, Pictures
from bench.runtime.defaults import class_member, with_defaults

pytestmark = pytest.mark.property


class Given:
    """An adapter that does not inherit and has one member of its own."""

    masks = "given"

    def __iter__(self) -> Iterator[Picture]:
        yield from ()


def test_own_members_count_and_missing_ones_get_the_default() -> None:
    adapter = with_defaults(Given(), Pictures)
    assert (adapter.masks, adapter.fit, adapter.subset, adapter.left_out) == ("given", "lama", "custom", {})


def test_a_member_of_a_class_is_found_without_an_object() -> None:
    assert class_member(Given, Pictures, "masks") == "given"
    assert class_member(lambda: Given(), Pictures, "masks") == "drawn"
