"""Tests that the version and its date agree in the package, the changelog and the citation."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.blackbox

ROOT = Path(__file__).parents[1]
SECTIONS = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
"""Kinds of changes of Keep a Changelog 1.1.0."""


def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    return found


def package() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def test_the_changelog_has_the_unreleased_changes_and_then_the_versions_from_new_to_old() -> None:
    assert SECTIONS[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", section) for section in SECTIONS[1:]]
    assert released
    assert all(released)
    days = [date.fromisoformat(found[2]) for found in released if found is not None]
    assert days == sorted(days, reverse=True)


def test_the_changelog_groups_changes_by_their_kind() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= set(KINDS)
    for section in text.split("\n## ")[1:]:
        kinds = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert len(kinds) == len(set(kinds)), section.splitlines()[0]


def test_the_citation_and_the_changelog_have_the_version_of_the_package() -> None:
    assert SECTIONS[1] == f"[{package()['version']}] - {citation()['date-released']}"
    assert citation()["version"] == package()["version"]


def test_the_citation_describes_the_package() -> None:
    cited = citation()
    assert cited["cff-version"] == "1.2.0"
    assert cited["title"] == package()["name"]
    assert cited["abstract"] == package()["description"]
    assert cited["license"] == package()["license"]
    assert "arXiv:2306.04632" in [one["value"] for one in cited["references"][0]["identifiers"]]
