"""The functions that MkDocs calls while it builds the site; `docs/site/mkdocs.yml` names this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pages import ROOT, entries, rewritten  # a neighbour of this file

from bench.tables.definitions import measure_pages

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ENTRIES = {entry.address: entry for entry in entries()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the measures and of the tables into the navigation, in place of the names of their folders."""
    config.nav = [_filled(item) for item in config.nav or []]
    return config


def _filled(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    ((title, value),) = item.items()
    if value == "measures":
        pages = [{page.title: f"measures/{name}.md"} for name, page in measure_pages().items()]
        return {title: ["measures/README.md", *pages]}
    if value == "tables":
        tables = [one for one in ENTRIES if one.startswith("tables/table") and one.endswith(".md")]
        return {title: ["tables/README.md", *({_name(ENTRIES[one].text or ""): one} for one in tables)]}
    return {title: [_filled(one) for one in value]} if isinstance(value, list) else item


def _name(text: str) -> str:
    """Return the number and the title of a table without the words on its profile or sizes."""
    title = next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# ")
    return title.replace(", profile mini: ", ": ").replace(", at the paper's sizes: ", ": ")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in the folder `docs`."""
    from mkdocs.structure.files import File

    for entry in ENTRIES.values():
        if entry.text is None:
            files.append(File.generated(config, entry.address, abs_src_path=str(ROOT / entry.origin)))
        else:
            files.append(File.generated(config, entry.address, content=entry.text))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Let the links of a page lead to the pages of the site."""
    address = page.file.src_uri
    origin = ENTRIES[address].origin if address in ENTRIES else f"docs/{address}"
    return rewritten(markdown, origin, address)
