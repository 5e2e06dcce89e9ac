"""Matplotlib figures as SVG inside a page: their text stays text and gets the page's colours."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from mtl_keras.reports.page import Html, text

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "mtl-keras", "text.parse_math": False}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_BLACK = re.compile(r"#000000\b|\bblack\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONT = re.compile(r" ?font-family: [^;]*;?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # not allowed in XML
_PIXELS_PER_POINT = 96 / 72
_MIN_SCALE = 0.75  # smallest share of its size at which a figure is drawn; with less room, it scrolls


def svg(figure: Figure, alt: str, caption: object | None = None) -> Html:
    """Returns `<figure>` with the drawing as SVG and a caption.

    Args:
        figure: made with `matplotlib.figure.Figure`, without pyplot; see `drawing`.
        alt: text alternative of the drawing.
        caption: text below, plain or `Html`; by default `alt`.
    """
    below = text(alt if caption is None else caption)
    hidden = ' aria-hidden="true"' if caption is None else ""  # a screen reader has read it already
    return Html(f"<figure><div>{drawing(figure, alt)}</div><figcaption{hidden}>{below}</figcaption></figure>\n")


def drawing(figure: Figure, alt: str) -> Html:
    """Returns `<svg>` without a caption, for a table cell.

    Black parts of the figure (text, axes, ticks) get the colour of the page's text, so that they are visible on a dark
    page too; backgrounds and the frames of legends are left out. A figure of up to 4.8 inches fits a phone; a wider
    one scrolls there. Names are shown unchanged: `$` does not start a formula. The same figure gives the same text,
    byte for byte.

    Args:
        figure: made with `matplotlib.figure.Figure`, without pyplot.
        alt: text alternative of the drawing.
    """
    content = _render(figure)
    root = ElementTree.fromstring(content)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        element.text, element.tail = (part if part and part.strip() else None for part in (element.text, element.tail))
        element.attrib.update(_take_attributes(element))
    _rename(root, f"f{hashlib.sha256((alt + content).encode()).hexdigest()[:10]}-")
    _flatten(root)
    width = float(root.attrib.pop("width").removesuffix("pt")) * _PIXELS_PER_POINT
    del root.attrib["height"], root.attrib["version"]
    root.attrib.update(
        {
            "xmlns": _SVG,
            "role": "img",
            "aria-label": alt,
            "fill": "currentColor",
            "style": f"max-width:{width:.0f}px;min-width:{_MIN_SCALE * width:.0f}px",
        }
    )
    return Html(ElementTree.tostring(root, encoding="unicode", short_empty_elements=True))


def _render(figure: Figure) -> str:
    for legend in figure.findobj(Legend):
        legend.set_frame_on(False)
    for item in figure.findobj(Text):
        item.set_parse_math(False)
    content = io.StringIO()
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The browser draws the text, with its own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(content, format="svg", transparent=True, metadata=_NO_METADATA)
    return _CONTROL.sub("", content.getvalue())


def _take_attributes(element: ElementTree.Element) -> dict[str, str]:
    """Removes the attributes of an element and returns them as the page needs them."""
    result = {}
    for name, value in element.attrib.items():
        if name in ("style", "fill", "stroke"):
            value = _FONT.sub("", _BLACK.sub("currentColor", value))
        if name in ("d", "transform", "x", "y", "width", "height", "style", "points"):
            value = " ".join(_LONG_NUMBER.sub(_two_decimals, value).split())
        if not value.startswith("rotate(-0 "):
            result[name.replace(f"{{{_XLINK}}}", "")] = value
    element.attrib.clear()
    return result


def _flatten(element: ElementTree.Element) -> None:
    """Removes elements that draw nothing: style sheets, metadata, and groups without attributes."""
    for child in list(element):
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            position = list(element).index(child)
            element[position : position + 1] = list(child)
        elif child.tag in ("style", "metadata") or (child.tag == "defs" and not len(child)):
            element.remove(child)


def _two_decimals(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _rename(root: ElementTree.Element, prefix: str) -> None:
    """Makes the ids that are referred to unique in the page, by a prefix, and removes the others."""
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(_REFERENCE.findall(value))
            if name == "href" and value.startswith("#"):
                used.add(value[1:])
    for element in root.iter():
        if element.attrib.get("id") in used:
            element.attrib["id"] = prefix + element.attrib["id"]
        else:
            element.attrib.pop("id", None)
        for name, value in element.attrib.items():
            if name == "href" and value.startswith("#"):
                element.attrib[name] = f"#{prefix}{value[1:]}"
            elif "url(#" in value:
                element.attrib[name] = _REFERENCE.sub(rf"url(#{prefix}\1)", value)
