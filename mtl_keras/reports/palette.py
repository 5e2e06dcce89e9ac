"""Colours that are distinct for people with any colour vision, each with its own dash and marker.

References:
    M. Okabe, K. Ito, "Color Universal Design", 2008: the colours, without black (text) and yellow (invisible on white).
"""

from __future__ import annotations

from dataclasses import dataclass

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
GREY = "#808890"
"""Visible on white and on black: grids and secondary elements."""
SEQUENTIAL, DIVERGING = "cividis", "PuOr"
"""Matplotlib colour maps for magnitudes and for signed values."""
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1.2, 2)), (0, (9, 3)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "X", "P")


@dataclass(frozen=True)
class Style:
    """Style of a series, as matplotlib's arguments of the same names."""

    color: str
    linestyle: str | tuple[float, tuple[float, ...]]
    marker: str


def style(index: int) -> Style:
    """Returns the style of the series with this index; the first 42 differ in more than their colour."""
    return Style(COLOURS[index % len(COLOURS)], _DASHES[index % len(_DASHES)], _MARKERS[index % len(_MARKERS)])


def ink_on(red: float, green: float, blue: float) -> str:
    """Returns near black or near white, whichever is more readable on a colour with components in [0, 1].

    Not pure black, which a page replaces with the colour of its text.
    """
    return "#101010" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#fdfdfd"
