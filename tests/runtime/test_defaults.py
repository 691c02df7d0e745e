"""Tests of the defaults of base classes for classes that do not inherit from them."""

from collections.abc import Iterator

import pytest

from bench.data.items import Picture, Pictures
from bench.runtime.defaults import with_defaults

pytestmark = pytest.mark.property


class Given:
    """An adapter that does not inherit and has one member of its own."""

    masks = "given"

    def __iter__(self) -> Iterator[Picture]:
        yield from ()


def test_own_members_count_and_missing_ones_get_the_default() -> None:
    adapter = with_defaults(Given(), Pictures)
    assert (adapter.masks, adapter.fit, adapter.subset, adapter.left_out) == ("given", "lama", "custom", {})
