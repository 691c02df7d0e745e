"""Tests of the description of the machine in run.json."""

from pathlib import Path

import pytest

from bench.results import environment

pytestmark = pytest.mark.blackbox


@pytest.mark.parametrize(
    ("cpuinfo", "hardware"),
    [
        ("processor: 0\nmodel\t: 207\nmodel name\t: A  fast(R) CPU\nmodel name\t: Another\n", {"cpu": "A fast(R) CPU"}),
        ("processor: 0\n", {"cpu": "told by Python"}),
        (None, {"cpu": "told by Python"}),
    ],
)
def test_the_processor_is_named(
    cpuinfo: str | None, hardware: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "told by Python")
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert environment.environment()["hardware"].items() >= hardware.items()


@pytest.mark.parametrize("name", ["", "x86_64"])
def test_an_unknown_processor_is_left_out(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: name)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert "cpu" not in environment.environment()["hardware"]
