"""The documentation: the site builds without warnings, and the links in the repository work."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.sources import ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Builds the site; returns its folder and the warnings."""
    folder = tmp_path_factory.mktemp("site")
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger("mkdocs").addHandler(handler)
    try:
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=False)
        build(config)
    finally:
        logging.getLogger("mkdocs").removeHandler(handler)
    return folder, [record.getMessage() for record in records]


def test_the_site_builds_without_warnings(site: tuple[Path, list[str]]) -> None:
    folder, warnings = site
    assert warnings == []
    assert "<h1" in (folder / "index.html").read_text("utf-8")


def test_the_reference_has_signatures_and_arguments(site: tuple[Path, list[str]]) -> None:
    text = re.sub(r"<[^>]+>", "", (site[0] / "api" / "callbacks" / "index.html").read_text("utf-8"))
    assert "mtl_keras.callbacks.TaskScheduler" in text
    assert "seed of the draws" in text


def test_the_site_loads_nothing_from_other_hosts(site: tuple[Path, list[str]]) -> None:
    loads = re.compile(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)\"")
    found = {url for page in site[0].rglob("*.html") for url in loads.findall(page.read_text("utf-8"))}
    assert found == set()


def anchors(path: Path) -> set[str]:
    """Returns GitHub's anchors of the headings of a page."""
    text = _CODE.sub(lambda code: code[0].strip("`") if "\n" not in code[0] else "", path.read_text("utf-8"))
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> Iterator[str]:
    """Yields the broken links of a page to files and headings of the repository."""
    for target in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_work(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `name`, and more\n[a](#a-name-and-more) [b](#missing) [c](none.md) [d](page.md#a-name-and-more)\n"
    )
    assert list(broken(page)) == ["#missing", "none.md"]
