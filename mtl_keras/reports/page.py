"""Self-contained HTML pages: sections, tables, and escaping of all external text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

_NUMBER = re.compile(r"[-+±]?[\d.,]+|-$")
# The page may not load anything external, whatever its records contain.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LONG = 24  # characters; longer cells are wrapped


class Html(str):
    """Text that is HTML already, and is not escaped again."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        title: its heading, as plain text.
        anchor: its id in the page: letters, digits and hyphens.
        body_html: its content, as HTML.
    """

    title: str
    anchor: str
    body_html: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", self.anchor):
            raise ValueError(
                f"`anchor` must be a letter, then letters, digits and hyphens. Received: anchor={self.anchor!r}"
            )


def text(value: object) -> Html:
    """Returns plain text as HTML, and HTML unchanged."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def paragraph(value: object, kind: str = "") -> Html:
    """Returns a paragraph; the kind `"note"` makes it less prominent, `"warning"` more."""
    return Html(f'<p class="{escape(kind)}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>")


def bullets(items: Iterable[object]) -> Html:
    """Returns a list with one entry per item."""
    return Html(f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>")


def strong(value: object) -> Html:
    """Returns emphasised text."""
    return Html(f"<strong>{text(value)}</strong>")


def table(header: Sequence[object], rows: Iterable[Sequence[object]], caption: str, *, numbers: bool = True) -> Html:
    """Returns a table that scrolls within its own box if it is too wide.

    Args:
        header: one entry per column.
        rows: one sequence per row, as long as `header`; its first entry is the row's name. Entries that are not `Html`
            are escaped.
        caption: what the table shows, as plain text.
        numbers: whether cells that begin with a number are aligned to the right.

    Raises:
        ValueError: if a row is not as long as the header.
    """
    lines = [f'<th scope="col">{text(entry)}</th>' for entry in header]
    body = []
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"A row must have {len(header)} cells. Received: {len(row)}, {list(map(str, row))}")
        name, *cells = row
        body.append(f'<tr><th scope="row">{text(name)}</th>{"".join(_cell(cell, numbers) for cell in cells)}</tr>')
    label = escape(caption)
    return Html(
        f'<figure class="table"><figcaption aria-hidden="true">{label}</figcaption>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{label}"><table aria-label="{label}">'
        f"<thead><tr>{''.join(lines)}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table></div></figure>\n"
    )


def details(summary: object, body_html: str) -> Html:
    """Returns a collapsed block, which shows only the summary until it is opened."""
    return Html(f"<details><summary>{text(summary)}</summary>\n{body_html}</details>\n")


def code(value: object) -> Html:
    """Returns text in the font of code."""
    return Html(f"<code>{text(value)}</code>")


def side_by_side(parts: Iterable[str]) -> Html:
    """Returns figures or tables side by side as far as there is room, else below each other."""
    return Html(f'<div class="grid">\n{"".join(parts)}</div>\n')


def page(title: str, lead_html: str, sections: Sequence[Section]) -> str:
    """Returns one HTML document that needs no network, no script and no other file.

    Args:
        title: its heading, as plain text.
        lead_html: content above all sections, as HTML.
        sections: its parts, in order.

    Raises:
        ValueError: if two sections have the same anchor.
    """
    anchors = [section.anchor for section in sections]
    twice = [anchor for anchor in anchors if anchors.count(anchor) > 1]
    if twice:
        raise ValueError(f"Each section needs an anchor of its own. Received twice: {twice[0]!r}")
    entries = "".join(f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>' for section in sections)
    body = "\n".join(
        f'<section id="{section.anchor}" aria-labelledby="{section.anchor}-title">\n'
        f'<h2 id="{section.anchor}-title">{escape(section.title)}</h2>\n{section.body_html}\n</section>'
        for section in sections
    )
    style = (files("mtl_keras.reports") / "page.css").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><h1>{escape(title)}</h1></header>
<nav aria-label="Sections"><ul>{entries}</ul></nav>
<main id="content">
<div class="lead">{lead_html}</div>
{body}
</main>
</body>
</html>
"""


def _cell(value: object, numbers: bool) -> str:
    kind = ' class="number"' if numbers and _NUMBER.match(str(value)) else ""
    if not isinstance(value, Html) and len(str(value)) > _LONG:
        kind = ' class="prose"'
    return f"<td{kind}>{text(value)}</td>"
