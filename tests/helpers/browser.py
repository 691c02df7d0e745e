"""Open pages in a real browser without a network, and collect every error and request on them.

Needs Chromium, as Debian's package installs it, or where the environment variable CHROMIUM says.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["DESKTOP", "LUMINANCE", "PHONE", "SCREENSHOTS", "View", "chromium"]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""Folder for a picture of each view, for inspection."""
LUMINANCE = """() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}"""
"""Script that returns the luminance of the page's ground, in [0, 255]."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser. Without one, the test fails."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no Chromium: install it (Debian: apt-get install chromium), or say where it is in CHROMIUM"
    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


class View:
    """Hold an open page and the errors on it."""

    def __init__(self, browser: Browser, path: Path, size: dict[str, int], scheme: str, *, touch: bool) -> None:
        self.context = browser.new_context(
            viewport=size,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            has_touch=touch,
            is_mobile=touch,
            offline=True,
        )
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "request",
            lambda request: (
                self.wrong.append(request.url) if "file:" not in request.url and "data:" not in request.url else None
            ),
        )
        self.page.goto(path.as_uri())
