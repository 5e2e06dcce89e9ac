"""A page is complete, needs no other file, and escapes the values it is given."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from mtl_keras.reports.page import environment
from tests.reports.markup import Page

HOSTILE = "<script>alert(1)</script> & \"'><img src=x onerror=alert(2)>"
TEMPLATE = """{% extends "page.html" %}
{% import "macros.html" as html %}
{% block lead %}{{ html.warning(text, text) }}{% endblock %}
{% block content %}
{% call html.section("first", sections) %}
{{ html.table([text, "b"], [[text, text]], text) }}
{% call html.details(text) %}<p>{{ text }}</p>{% endcall %}
{% endcall %}
{% call html.section("second", sections) %}{% call html.grid() %}<p>two</p>{% endcall %}{% endcall %}
{% endblock %}"""


def rendered(text: str = "words") -> str:
    return environment().from_string(TEMPLATE).render(title=text, sections={"first": text, "second": "B"}, text=text)


def table(row: list[object], **options: Any) -> Page:
    macros: Any = environment().get_template("macros.html").module
    return Page(str(macros.table(list("abcdefgh")[: len(row)], [row], "what it\n is", **options)))


def test_a_page_has_its_parts() -> None:
    source = rendered()
    assert source.startswith("<!DOCTYPE html>")
    parsed = Page(source)
    assert parsed.all("html") == [{"lang": "en"}]
    assert [section["id"] for section in parsed.all("section")] == ["first", "second"]
    links = [link["href"] for link in parsed.all("a")]
    assert links == ["#content", "#first", "#second"]
    assert {link.removeprefix("#") for link in links} <= set(parsed.ids)
    assert parsed.all("script") == []


def test_all_text_is_escaped() -> None:
    parsed = Page(rendered(HOSTILE))
    assert parsed.all("script") == parsed.all("img") == []
    assert parsed.words.count("alert(1)") == 12
    assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'sections' is undefined"):
        environment().get_template("page.html").render(title="T")


def test_cells_are_aligned_by_their_content() -> None:
    row = ["name", "-0.5", "+1.2 %", "1,000", "-", "word", "- no number", "x" * 40]
    assert [cell.get("class") for cell in table(row).all("td")] == ["number"] * 4 + [None, None, "prose"]
    assert [cell.get("class") for cell in table(["r", "1"], numbers=False).all("td")] == [None]
    assert table(["r", Markup("<b>{}</b>").format("x" * 40)]).all("td") == [{}]


def test_a_table_scrolls_in_a_box_that_the_keyboard_reaches() -> None:
    (box,) = [part for part in table(["r"]).all("div") if part.get("class") == "scroll"]
    assert box == {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": "what it is"}
