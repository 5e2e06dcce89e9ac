"""What `make docs` adds to MkDocs: the pages of the repository that lie outside of docs/, and links that fit the site.

On the site README.md is the home page, and RESULTS.md, CHANGELOG.md, CONTRIBUTING.md and the results of the benchmarks
are pages under the paths that they have in the repository. The notebook is a page with its text and code. A link to a
file that is no page becomes its text.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
TOUR = "docs/tour.ipynb"
_RENAMED = {"README.md": "index.md", TOUR: "tour.md"}
_PATTERNS = (
    "README.md",
    "RESULTS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/RESULTS.md",
    "benchmarks/results/*.md",
    TOUR,
)
_LINK = re.compile(r"(?<!!)\[((?:[^][]|!\[[^]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"(!\[[^]]*\]\()([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def outside() -> dict[str, str]:
    """Returns path in the repository -> path on the site of the pages that are not Markdown files in docs/."""
    found = (path.relative_to(ROOT).as_posix() for pattern in _PATTERNS for path in sorted(ROOT.glob(pattern)))
    return {path: _RENAMED.get(path, path) for path in found}


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are not Markdown files in docs/."""
    for path, on_site in outside().items():
        if path == TOUR:
            files.append(File.generated(config, on_site, content=notebook_as_markdown(ROOT / path)))
        else:
            files.append(File.generated(config, on_site, abs_src_path=str(ROOT / path)))
    return files


def notebook_as_markdown(path: Path) -> str:
    """Returns the text and the code of a notebook, without its outputs, as Markdown."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(path.read_text("utf-8"))["cells"]]
    return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Makes links between files of the repository links between pages of the site."""
    source = next((path for path, site in outside().items() if site == page.file.src_uri), f"docs/{page.file.src_uri}")

    def link(match: re.Match[str]) -> str:
        target = where_on_site(match[2], source, page.file.src_uri, files)
        return match[1] if target is None else f"[{match[1]}]({target})"

    def image(match: re.Match[str]) -> str:
        return f"{match[1]}{where_on_site(match[2], source, page.file.src_uri, files) or match[2]})"

    kept: list[str] = []
    text = _CODE.sub(lambda match: kept.append(match[0]) or f"\0{len(kept) - 1}\0", markdown)
    text = _LINK.sub(link, _IMAGE.sub(image, text))
    return re.sub("\0(\\d+)\0", lambda match: kept[int(match[1])], text)


def where_on_site(target: str, source: str, page: str, files: Files) -> str | None:
    """Returns where a link leads on the site; `None` if nothing is there.

    Args:
        target: the link, as it stands in the repository.
        source: the page's file in the repository.
        page: its path on the site.
        files: those of the site.
    """
    path, hash_, anchor = target.partition("#")
    if "://" in target or target.startswith("mailto:") or not path:
        return target
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    on = outside().get(wanted, wanted.removeprefix("docs/"))
    if wanted not in outside() and (not wanted.startswith("docs/") or files.get_file_from_path(on) is None):
        return None
    return posixpath.relpath(on, posixpath.dirname(page) or ".") + hash_ + anchor
