"""Check a built site: every link has a target, every anchor exists, and no page loads anything from elsewhere.

python docs/site/check.py outputs/site    # print every problem, and end with status 1 if there is one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["problems"]

LOADING = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""Attribute of each element that loads a file when the page is opened."""
IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")
"""Pattern of addresses that a style sheet loads."""


@dataclass
class _Page(HTMLParser):
    """The anchors and links of one page."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    in_style: bool = False
    """Whether the parser is inside a `style` element."""

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, path: Path) -> _Page:
        page = cls()
        page.feed(path.read_text("utf-8"))
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values and (name == "id" or tag == "a")}
        self.in_style = tag == "style"
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if values.get(LOADING.get(tag, ""), ""):
            self.loaded.append(values[LOADING[tag]])
        self.loaded += IN_STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.loaded += IN_STYLE.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False


def problems(site: Path) -> Iterator[str]:
    """Yield one line for each link without a target, each missing anchor and each file that is loaded from elsewhere.

    Links to other sites are not followed, because a reader follows them by hand.

    Args:
        site: folder of the site, with a file `index.html`.
    """
    site = site.resolve()
    pages = {path: _Page.of(path) for path in sorted(site.rglob("*.html"))}
    if site / "index.html" not in pages:
        yield f"{site}: expected a site with index.html, found none"
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        for address in page.loaded:
            if urlsplit(address).netloc:
                yield f"{name}: loads {address}"
        for link in (*page.links, *page.loaded):
            if wrong := _wrong(link, path, site, pages):
                yield f"{name}: {wrong}"
    for path in sorted(site.rglob("*.css")):
        for address in IN_STYLE.findall(path.read_text("utf-8")):
            yield f"{path.relative_to(site).as_posix()}: loads {address}"


def _wrong(link: str, path: Path, site: Path, pages: dict[Path, _Page]) -> str | None:
    """Return a message if a link of the page `path` has no target; None if it has one, or leads to another site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    start = site if parts.path.startswith("/") else path.parent
    target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
    if not target.is_relative_to(site):
        return f"{link} leads out of the site"
    if not target.is_file():
        return f"{link} has no target"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return f"{link} has no anchor"
    return None


def main(words: Sequence[str]) -> int:
    if not words:
        print("usage: python docs/site/check.py SITE [SITE ...]", file=sys.stderr)
        return 2
    found = [line for folder in words for line in problems(Path(folder))]
    print("\n".join(found) or "Every link of the site has a target, and no page loads anything from elsewhere.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
