"""Provide the tiny pipelines, which are written once, and a machine without a network."""

import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.generation import tiny


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the pipelines `text`, `inpainting` and `exemplar`, and `configs`, the settings of a checkpoint's parts."""
    root = tmp_path_factory.mktemp("tiny")
    return {
        "text": tiny.write_text(root / "text", 4),
        "inpainting": tiny.write_text(root / "inpainting", 9),
        "exemplar": tiny.write_exemplar(root / "exemplar"),
        "configs": tiny.write_configs(root / "configs"),
    }


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every network connection fail."""

    def refuse(*_: Any) -> NoReturn:
        raise AssertionError("nothing is ever fetched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
