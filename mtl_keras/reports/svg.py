"""Matplotlib figures as SVG inside a page: their text stays text and gets the page's colours."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_PIXELS_PER_POINT = 96 / 72
_MIN_SCALE = 0.75  # smallest share of its size at which a figure is drawn; with less room, it scrolls
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # not allowed in XML


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG; `{{ drawing }}` in a template writes it.

    Args:
        markup: the element `<svg>`.
        alt: its text alternative.
    """

    markup: Markup
    alt: str

    def __html__(self) -> str:
        return self.markup


def svg(figure: Figure, alt: str) -> Drawing:
    """Returns a figure as SVG.

    Black parts of the figure (text, axes, ticks) get the colour of the page's text, so that they are visible on a dark
    page too; backgrounds and the frames of legends are left out. A figure of up to 4.8 inches fits a phone; a wider
    one scrolls there. Names are shown unchanged: `$` does not start a formula. The same figure gives the same text,
    byte for byte.

    Args:
        figure: made with `matplotlib.figure.Figure`, without pyplot.
        alt: text alternative of the figure, different for each figure of a page.
    """
    alt = _CONTROL.sub("", alt)
    width = figure.get_figwidth() * 72 * _PIXELS_PER_POINT
    view_box, content = _render(figure, alt)
    return Drawing(
        Markup(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view_box}" role="img" aria-label="{escape(alt)}" '
            f'fill="currentColor" style="max-width:{width:.0f}px;min-width:{_MIN_SCALE * width:.0f}px">{content}</svg>'
        ),
        alt,
    )


def _render(figure: Figure, salt: str) -> tuple[str, str]:
    """Returns the view box and the elements in `<svg>`; ids that are referred to depend on `salt`."""
    for legend in figure.findobj(Legend):
        legend.set_frame_on(False)
    for item in figure.findobj(Text):
        item.set_parse_math(False)
    file = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": f"mtl-keras {salt}", "text.parse_math": False}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The browser draws the text, with its own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    source = _CONTROL.sub("", file.getvalue())
    view_box = re.search(r'viewBox="([^"]*)"', source)[1]  # type: ignore[index]
    content = source[source.index(">", source.index("<svg")) + 1 : source.rindex("</svg>")]
    content = re.sub(r"<metadata>.*?</metadata>|<style\b.*?</style>|<!--.*?-->", "", content, flags=re.DOTALL)
    content = content.replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', content))
    content = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", content)
    content = re.sub(r">\s+<", "><", re.sub(r"<[^>]+>", _simplify, content)).strip()
    return view_box, re.sub(r"\s*\n\s*", " ", content)


def _simplify(tag: re.Match[str]) -> str:
    """Replaces black and the fonts of a tag by those of the page, and rounds its numbers to two decimals."""
    source = re.sub(r"#000000\b|\bblack\b", "currentColor", tag[0])
    source = re.sub(r" ?font-family: [^;\"]*;?", "", source)
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), source)
