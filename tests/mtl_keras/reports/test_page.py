"""A page is whole, needs nothing else, and shows what it is given as text."""

from __future__ import annotations

import pytest

from mtl_keras.reports.page import Html, Section, bullets, details, page, paragraph, side_by_side, table
from tests.reports.markup import Page

HOSTILE = "<script>alert(1)</script> & \"'><img src=x onerror=alert(2)>"


def test_a_page_has_its_parts() -> None:
    sections = [Section("First", "first", "<p>one</p>"), Section("Second", "second", "<p>two</p>")]
    source = page("Title", "<p>lead</p>", sections)
    assert source.startswith("<!DOCTYPE html>")
    parsed = Page(source)
    assert parsed.all("html") == [{"lang": "en"}]
    assert [section["id"] for section in parsed.all("section")] == ["first", "second"]
    links = [link["href"] for link in parsed.all("a")]
    assert links == ["#content", "#first", "#second"]
    assert {link.removeprefix("#") for link in links} <= set(parsed.ids)
    assert parsed.words.index("lead") < parsed.words.index("one") < parsed.words.index("two")
    assert parsed.all("script") == []


def test_all_text_is_escaped() -> None:
    body = "".join(
        [
            table([HOSTILE, "b"], [[HOSTILE, HOSTILE]], HOSTILE),
            paragraph(HOSTILE),
            bullets([HOSTILE]),
            details(HOSTILE, paragraph(HOSTILE)),
        ]
    )
    parsed = Page(page(HOSTILE, paragraph(HOSTILE), [Section(HOSTILE, "a", body)]))
    assert parsed.all("script") == parsed.all("img") == []
    assert parsed.words.count("alert(1)") == 13
    assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)


def test_html_is_not_escaped_again() -> None:
    assert paragraph(Html("<b>x</b>")) == "<p><b>x</b></p>"
    assert "<td><b>x</b></td>" in table(["a", "b"], [["r", Html("<b>x</b>")]], "c")
    assert side_by_side(["<p>1</p>", "<p>2</p>"]).count("<p>") == 2


def test_numbers_in_a_table_are_aligned() -> None:
    row = ["name", "-0.5", "+1.2 %", "1,000", "-", "word", "- no number"]
    parsed = Page(table(list("abcdefg"), [row], "c"))
    assert [cell.get("class") for cell in parsed.all("td")] == ["number"] * 4 + [None, None]
    assert [cell.get("class") for cell in Page(table(["a", "b"], [["r", "1"]], "c", numbers=False)).all("td")] == [None]


def test_long_text_in_a_table_is_wrapped() -> None:
    row = ["name", "x" * 40, "x" * 20, Html("<b>" + "x" * 40 + "</b>")]
    assert [cell.get("class") for cell in Page(table(list("abcd"), [row], "c")).all("td")] == ["prose", None, None]


def test_a_table_scrolls_in_a_box_that_the_keyboard_reaches() -> None:
    (box,) = [part for part in Page(table(["a"], [["r"]], "what it is")).all("div") if part.get("class") == "scroll"]
    assert box == {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": "what it is"}


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"2 cells. Received: 1"):
        table(["a", "b"], [["r"]], "c")
    with pytest.raises(ValueError, match="Received: anchor='a b'"):
        Section("T", "a b", "")
    with pytest.raises(ValueError, match="twice: 'a'"):
        page("T", "", [Section("T", "a", ""), Section("U", "a", "")])
