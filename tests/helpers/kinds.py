"""Check that every test carries exactly one of the four markers for kinds of tests."""

from collections.abc import Iterable, Mapping

KINDS = ("property", "reference", "golden", "blackbox")


def without_one_kind(markers: Mapping[str, Iterable[str]]) -> str:
    """Return a message that names the tests with none or several kinds, or an empty text if there is no such test.

    Args:
        markers: the names of the markers of each test, by the id of the test.
    """
    kinds = {test.partition("[")[0]: [name for name in names if name in KINDS] for test, names in markers.items()}
    wrong = [f"{test}: found {', '.join(found) or 'none'}" for test, found in kinds.items() if len(found) != 1]
    if not wrong:
        return ""
    return "\n".join([f"every test needs exactly one of the markers {', '.join(KINDS)}", *wrong])
