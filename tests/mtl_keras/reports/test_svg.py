"""Figures are embedded as text, in the colours of the page, and reproducibly."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure

from mtl_keras.reports.page import environment
from mtl_keras.reports.svg import svg
from tests.reports.markup import Page, drawings


def lines(title: str = "accuracy & <loss>") -> Figure:
    figure = Figure((3, 2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0.25, 0.75], marker="o", label="first")
    axes.set_title(title)
    axes.legend()
    return figure


def test_text_stays_text_in_the_colour_of_the_page() -> None:
    (root,) = drawings(svg(lines(), "alt").markup)
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "accuracy & <loss>" in texts
    assert "first" in texts
    source = svg(lines(), "alt").markup
    assert "currentColor" in source
    assert "#000000" not in source
    assert "#ffffff" not in source  # no background


def test_text_alternative_and_size() -> None:
    macros: Any = environment().get_template("macros.html").module
    drawing = svg(lines(), 'rises from "a" to <b>')
    source = str(macros.figure(drawing))
    (root,) = drawings(source)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'rises from "a" to <b>'
    assert "width" not in root.attrib
    assert "max-width:288px" in root.attrib["style"]
    assert Page(source).words.endswith('rises from "a" to <b>')
    assert Page(str(macros.figure(drawing, "what it means"))).words.endswith("what it means")


def test_the_same_figure_gives_the_same_text() -> None:
    assert svg(lines(), "alt") == svg(lines(), "alt")
    source = svg(lines(), "alt").markup
    assert not any(word in source for word in ("DOCTYPE", "metadata", "matplotlib", "<style", "dc:date"))


def test_ids_are_unique_on_a_page() -> None:
    ids = Page(str(svg(lines(), "one").markup + svg(lines(), "two").markup)).ids
    assert ids
    assert len(set(ids)) == len(ids)
    (root,) = drawings(svg(lines(), "one").markup)
    uses = {element.attrib["href"][1:] for element in root.iter() if "href" in element.attrib}
    assert uses
    assert uses <= set(Page(str(svg(lines(), "one").markup)).ids)


@pytest.mark.parametrize("name", ["$\\frac{", "a\x00\x1bb", "名前", "$x$"])
def test_names_are_shown_as_they_are(name: str) -> None:
    (root,) = drawings(svg(lines(name), "alt").markup)
    shown = "".join(character for character in name if character not in "\x00\x1b")
    assert shown in [element.text for element in root.iter() if element.tag.endswith("text")]
