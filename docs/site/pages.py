"""Collects the pages of the site: the pages of the repository, and pages that are made when the site is built.

Every page has two addresses: its path in the repository, to which links in Markdown refer, and its path on the site.
Every link is rewritten so that it leads to the second one. A link to a file that is no page, such as a module, leads
to a page that shows this file, so that the site needs neither the repository nor a network.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.tables.build import style_of
from bench.tables.definitions import MeasurePage, measure_pages

__all__ = ["ROOT", "Entry", "entries", "measure_page", "rewritten"]

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "README.md": "project.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "baselines/README.md": "baselines.md",
    "benchmarks/README.md": "benchmarks.md",
    "bench/assets/mini/CARD.md": "card.md",
    "reports": "tables/README.md",
}
"""Pages outside the folder `docs`: the path in the repository, and the path on the site."""
PARTS = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)[ ]*$|`[^`\n]+`|(?P<open>\]\()(?P<link>[^)\s]+)\)", re.M | re.S
)
"""Pattern of the links of Markdown, and of its code, in which nothing is a link."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".md": "markdown"}
FIELDS = {
    "definition": "Definition",
    "range": "Range",
    "sees": "What it sees",
    "misses": "What it misses",
    "sure": "How sure it is",
}
"""Headings of the texts of a metric, by the name of the field."""
MADE = (
    "`nox -s reports` makes the tables of the paper on the mini profile, with small models and data of this project, "
    "and a copy of each is in the folder `reports` of the repository."
)
"""Sentence on the origin of the tables."""
HIDDEN = "---\nhide: [toc]\n---\n\n"
UNSEARCHED = "---\nhide: [toc]\nsearch: {exclude: true}\n---\n\n"
"""Beginnings of pages without a table of contents. The search does not find the second kind."""


@dataclass(frozen=True)
class Entry:
    """One file of the site."""

    address: str
    """Path on the site, such as `tables/table2_inpaint_imagenet.md`."""
    origin: str
    """Path in the repository, to which the links of the file are relative. It may be the path of no file."""
    text: str | None
    """Markdown of a page; None for a file that is copied as it is."""


def entries() -> Iterator[Entry]:
    """Yield all files of the site that are not in the folder `docs`: copies from elsewhere, and pages that are made."""
    made = [*_pages()]
    texts = [(one.origin, one.text) for one in made if one.text is not None]
    texts += [(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in (ROOT / "docs").glob("*.md")]
    yield from made
    wanted = sorted({target for origin, text in texts for target in _targets(text, origin)})
    shown: set[str] = set()
    while wanted:
        path = wanted.pop()
        if path in shown or not address_of(path).startswith("source/"):
            continue
        shown.add(path)
        if (ROOT / path).is_dir():
            inside = sorted(one.relative_to(ROOT).as_posix() for one in (ROOT / path).iterdir() if one.is_file())
            wanted += inside
            yield Entry(address_of(path), f"{path}/README.md", _folder_page(path, inside))
        else:
            yield Entry(address_of(path), path, _file_page(path))


def address_of(path: str) -> str:
    """Return the path on the site of a file or folder of the repository.

    Args:
        path: path from the root of the repository, such as `docs/score.md`.
    """
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    parts = PurePosixPath(path).parts
    if parts[0] == "docs":
        return "/".join(parts[1:])
    if parts[0] == "reports":
        if len(parts) == 2 and (ROOT / path).is_dir():
            return f"tables/{parts[1]}.md"
        if parts[2:] == ("table.md",):
            return f"tables/{parts[1]}.md"
        if parts[2:] == ("figures", "rows.png"):
            return f"tables/{parts[1]}.png"
    return f"source/{path}/README.md" if (ROOT / path).is_dir() else f"source/{path}.md"


def rewritten(text: str, origin: str, address: str) -> str:
    """Return Markdown in which links lead to files of the site.

    Links inside code, links to other sites and links within the page stay as they are.

    Args:
        text: Markdown with links to files of the repository.
        origin: path in the repository, to which the links are relative.
        address: path of the page on the site.
    """

    def changed(found: re.Match[str]) -> str:
        if not found["open"] or _is_foreign(found["link"]):
            return found[0]
        path, mark, anchor = found["link"].partition("#")
        target = address_of(_resolved(path, origin))
        return f"]({os.path.relpath(target, os.path.dirname(address) or '.')}{mark}{anchor})"

    return PARTS.sub(changed, text)


def measure_page(page: MeasurePage) -> str:
    """Return the Markdown of the page of one measure.

    The most common text of each kind stands once, before the metrics, if at least two metrics have it.
    """
    usual = {}
    for field in FIELDS:
        text, count = Counter(getattr(one, field) for one in page.metrics.values()).most_common(1)[0]
        if count > 1:
            usual[field] = text
    lines = [f"# {page.title}", page.about]
    if usual:
        lines += ["Unless a metric below says otherwise:", _fields(usual)]
    for metric, one in page.metrics.items():
        style = style_of(metric)
        title = f"{style.heading()}: `{metric}`" if style else f"`{metric}`"
        own = {field: getattr(one, field) for field in FIELDS if getattr(one, field) != usual.get(field)}
        lines += [f"## {title} {{: #{metric} }}", _fields(own)]
    more = [f"[{_title(name)}](../{name})" for name in page.pages]
    code = [f"[`{path}`](../../{path})" for path in page.code]
    lines += ["## Further reading", f"Pages: {', '.join(more)}.", f"Code: {', '.join(code)}."]
    return "\n\n".join(lines) + "\n"


def _fields(texts: Mapping[str, str]) -> str:
    return "\n\n".join(f"**{FIELDS[field]}.** {text.removesuffix('.')}." for field, text in texts.items())


def _measures_page() -> str:
    lines = [
        "# The measures",
        "Each measure has a page that says how its numbers are computed, which values they can have, what they see, "
        "what they miss, and how sure they are. [Reading a report](../reading.md) explains the marks and verdicts, and "
        "[What makes such numbers wrong](../footguns.md) the mistakes that these definitions avoid.",
        "A name can have endings: `fid_hole_only` is FID after the true pixels replaced the known pixels, `fid_40_50` "
        "is FID of the items whose hole covers 40 to 50 % of the image, `lpips_turn_3` belongs to turn 3 of [repeated "
        "edits](../turns.md), and `text_accuracy_outside_10px` to one class of [heights of letters](../legibility.md).",
    ]
    for page in measure_pages().values():
        rows = [f"| [`{metric}`]({page.name}.md#{metric}) | {one.definition} |" for metric, one in page.metrics.items()]
        lines.append(f"## [{page.title}]({page.name}.md)\n\n| metric | definition |\n| --- | --- |\n" + "\n".join(rows))
    return "\n\n".join(lines) + "\n"


def _pages() -> Iterator[Entry]:
    """Yield the pages outside the folder `docs`, the measures and the tables."""
    for path, address in ELSEWHERE.items():
        if path.endswith(".md"):
            yield Entry(address, path, (ROOT / path).read_text("utf-8"))
    yield Entry("measures/README.md", "docs/measures/README.md", _measures_page())
    for name, page in measure_pages().items():
        yield Entry(f"measures/{name}.md", f"docs/measures/{name}.md", measure_page(page))
    titles = {}
    for path in sorted((ROOT / "reports").glob("*/table.md"), key=_number):
        name = path.parent.name
        text = path.read_text("utf-8")
        first, _, rest = text.partition("\n")
        titles[name] = first.removeprefix("## ")
        picture = ""
        if (path.parent / "figures" / "rows.png").is_file():
            picture = (
                f"\n![One line for each of some items: the truth, the hole, and the image of every row]({name}.png)\n"
            )
            yield Entry(f"tables/{name}.png", f"reports/{name}/figures/rows.png", None)
        yield Entry(
            f"tables/{name}.md",
            f"docs/tables/{name}.md",
            f"{HIDDEN}# {titles[name]}\n\nThe pages of [the measures](../measures/README.md) define the metrics, and "
            f"[Reading a report](../reading.md) explains the marks and verdicts. {MADE}\n{rest}{picture}",
        )
    rows = "\n".join(f"- [{title}]({name}.md)" for name, title in titles.items())
    yield Entry("tables/README.md", "docs/tables/README.md", f"# The tables of the mini profile\n\n{MADE}\n\n{rows}\n")


def _number(path: Path) -> int:
    found = re.match(r"table(\d+)", path.parent.name)
    return int(found[1]) if found else 0


def _title(page: str) -> str:
    text = (ROOT / "docs" / page).read_text("utf-8")
    return text.partition("\n")[0].removeprefix("# ")


def _file_page(path: str) -> str:
    text = (ROOT / path).read_text("utf-8").rstrip("\n")
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    language = LANGUAGES.get(PurePosixPath(path).suffix, "text")
    return f"{UNSEARCHED}# {PurePosixPath(path).name}\n\n`{path}`\n\n{fence}{language}\n{text}\n{fence}\n"


def _folder_page(path: str, files: list[str]) -> str:
    rows = "\n".join(f"- [{PurePosixPath(file).name}]({PurePosixPath(file).name})" for file in files)
    return f"{UNSEARCHED}# {path}\n\n{rows}\n"


def _targets(text: str, origin: str) -> Iterator[str]:
    """Yield the paths in the repository to which a page links."""
    for found in PARTS.finditer(text):
        if found["open"] and not _is_foreign(found["link"]):
            yield _resolved(found["link"].partition("#")[0], origin)


def _is_foreign(link: str) -> bool:
    return link.startswith(("#", "http:", "https:", "mailto:"))


def _resolved(path: str, origin: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(origin), path))
