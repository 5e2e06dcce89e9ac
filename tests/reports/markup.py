"""What a page consists of, read with Python's own HTML and XML parsers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

_VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """A parsed page; a tag that is closed before those in it, or never, is an error.

    Attributes:
        elements: `(tag, attributes)` of all of them, in order.
        words: the text that a reader sees or hears, with single spaces.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(source)
        self.close()
        self.words = " ".join(self.words.split())
        if self._open:
            raise ValueError(f"never closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise ValueError(f"</{tag}> closes what is not open, at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Returns the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        """All ids, in order."""
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def drawings(source: str) -> list[ElementTree.Element]:
    """Returns the SVGs of a page, each parsed as XML."""
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", source, re.DOTALL)]
