"""Draws vehicles, plants, household things and places as simple shapes between (-1, -1) and (1, 1), y downwards.

Each function draws onto a canvas in a main colour, with random proportions.
"""

from __future__ import annotations

import numpy as np

from data.synthetic.canvas import Canvas, Colour, mirrored, shade
from data.synthetic.creatures import INK, outline

_GLASS: Colour = (185, 215, 235)
_WOOD: Colour = (110, 75, 45)


def airplane(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws an airplane with swept wings."""
    sweep = rng.uniform(0.35, 0.6)
    for wing in (
        outline((-0.15, 0.0), (sweep, 0.8), (sweep + 0.2, 0.8), (0.25, 0.0)),
        outline((-0.05, 0.0), (sweep, -0.6), (sweep + 0.15, -0.6), (0.25, 0.0)),
    ):
        canvas.polygon(wing, shade(colour, 0.75))
    canvas.polygon(outline((0.6, 0.0), (0.95, -0.5), (1.0, -0.45), (0.92, 0.05)), shade(colour, 0.75))
    canvas.ellipse(0j, 0.98, rng.uniform(0.13, 0.18), colour)
    canvas.line(outline((-0.6, -0.03), (0.5, -0.03)), INK, 0.06)


def _wheels(canvas: Canvas, places: tuple[float, ...], radius: float) -> None:
    for place in places:
        canvas.ellipse(complex(place, 0.55), radius, radius, INK)
        canvas.ellipse(complex(place, 0.55), radius * 0.4, radius * 0.4, (190, 190, 195))


def automobile(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a car: a low body, a round cabin with windows, two wheels."""
    roof = rng.uniform(-0.5, -0.35)
    canvas.polygon(outline((-0.6, 0.0), (-0.35, roof), (0.4, roof), (0.7, 0.0)), colour)
    canvas.polygon(outline((-0.42, -0.02), (-0.26, roof + 0.1), (0.0, roof + 0.1), (0.0, -0.02)), _GLASS)
    canvas.polygon(outline((0.08, -0.02), (0.08, roof + 0.1), (0.34, roof + 0.1), (0.52, -0.02)), _GLASS)
    canvas.polygon(outline((-1.0, 0.1), (-0.9, -0.05), (0.95, -0.05), (1.0, 0.5), (-1.0, 0.5)), colour)
    _wheels(canvas, (-0.58, 0.58), rng.uniform(0.22, 0.27))


def truck(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a lorry: a high box behind a cab, three wheels."""
    cab = rng.uniform(-0.5, -0.4)
    box = shade(colour, rng.uniform(0.6, 0.75))
    canvas.polygon(outline((cab + 0.05, rng.uniform(-0.9, -0.7)), (1.0, -0.8), (1.0, 0.5), (cab + 0.05, 0.5)), box)
    canvas.polygon(outline((-1.0, 0.5), (-1.0, 0.0), (-0.85, -0.35), (cab, -0.35), (cab, 0.5)), colour)
    canvas.polygon(outline((-0.93, 0.02), (-0.8, -0.25), (cab - 0.08, -0.25), (cab - 0.08, 0.02)), _GLASS)
    _wheels(canvas, (-0.7, 0.3, 0.72), 0.23)


def ship(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a ship: a hull, a white deckhouse and a funnel."""
    funnel = rng.uniform(0.0, 0.3)
    canvas.polygon(outline((funnel, -0.8), (funnel + 0.22, -0.8), (funnel + 0.22, -0.2), (funnel, -0.2)), (200, 60, 50))
    canvas.polygon(outline((-0.45, -0.35), (0.6, -0.35), (0.65, 0.1), (-0.5, 0.1)), (240, 240, 235))
    canvas.line(outline((-0.35, -0.12), (0.5, -0.12)), INK, 0.08)
    canvas.line(outline((-0.6, 0.1), (-0.6, rng.uniform(-1.0, -0.7))), INK, 0.07)
    canvas.polygon(outline((-1.0, 0.08), (0.95, 0.08), (0.75, 0.6), (-0.7, 0.6)), colour)


def flower(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a flower with petals around a yellow middle, on a stalk."""
    canvas.line(outline((0.0, 0.0), (0.08, 1.0)), (60, 130, 50), 0.1)
    canvas.ellipse(0.3 + 0.7j, 0.26, 0.1, (60, 130, 50))
    count = int(rng.integers(5, 8))
    for petal in np.exp(2j * np.pi * np.arange(count) / count):
        canvas.ellipse(-0.3j + 0.38 * petal, 0.24, 0.24, colour)
    canvas.ellipse(-0.3j, 0.2, 0.2, (250, 205, 60))


def cup(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a cup with a handle."""
    foot = rng.uniform(0.35, 0.55)
    canvas.line(outline((0.5, -0.3), (0.92, -0.25), (0.85, 0.3), (0.45, 0.4)), shade(colour, 0.8), 0.14)
    canvas.polygon(outline((-0.65, -0.6), (0.65, -0.6), (foot, 0.8), (-foot, 0.8)), colour)
    canvas.ellipse(-0.6j, 0.65, 0.18, shade(colour, 0.5))


def fruit(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a round fruit with a stalk and a leaf."""
    canvas.line(outline((0.0, -0.4), (0.1, -0.95)), _WOOD, 0.12)
    canvas.polygon(outline((0.08, -0.65), (0.55, -0.95), (0.65, -0.6)), (70, 150, 60))
    canvas.ellipse(0.15j, rng.uniform(0.6, 0.75), rng.uniform(0.62, 0.72), colour)
    canvas.ellipse(-0.25 - 0.1j, 0.14, 0.16, shade(colour, 1.5))


def screen(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a television on a foot."""
    canvas.polygon(outline((-0.12, 0.4), (0.12, 0.4), (0.4, 0.9), (-0.4, 0.9)), shade(colour, 0.6))
    height = rng.uniform(0.5, 0.62)
    canvas.polygon(outline((-0.95, -height), (0.95, -height), (0.95, height), (-0.95, height)), colour)
    height -= 0.18
    canvas.polygon(outline((-0.75, -height), (0.75, -height), (0.75, height), (-0.75, height)), (50, 60, 80))
    canvas.line(outline((-0.5, height - 0.1), (0.1, -height + 0.1)), (120, 140, 165), 0.1)


def chair(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a chair from the side."""
    seat = rng.uniform(0.05, 0.2)
    for leg in (-0.5, 0.5):
        canvas.line(outline((leg, seat), (leg * 1.15, 0.98)), shade(colour, 0.7), 0.16)
    canvas.polygon(outline((0.38, -0.95), (0.62, -0.95), (0.62, seat), (0.38, seat)), colour)
    canvas.polygon(outline((-0.65, seat - 0.1), (0.65, seat - 0.1), (0.65, seat + 0.14), (-0.65, seat + 0.14)), colour)


def house(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a house with a roof, a door and windows."""
    eaves = rng.uniform(-0.3, -0.1)
    canvas.polygon(outline((-0.75, eaves), (0.75, eaves), (0.75, 0.95), (-0.75, 0.95)), colour)
    canvas.polygon(outline((-0.95, eaves), (0.0, -0.98), (0.95, eaves)), shade(colour, 0.55))
    canvas.polygon(outline((-0.15, 0.4), (0.15, 0.4), (0.15, 0.95), (-0.15, 0.95)), INK)
    for side in (-1, 1):
        canvas.polygon(mirrored(outline((0.3, 0.1), (0.58, 0.1), (0.58, 0.4), (0.3, 0.4)), side), _GLASS)


def mountain(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws mountains with snow on top, wider than the image."""
    peak, second = rng.uniform(-0.5, -0.1), rng.uniform(0.45, 0.7)
    canvas.polygon(outline((-0.2, 0.9), (second, -0.35), (1.5, 0.9)), shade(colour, 0.7))
    canvas.polygon(outline((-1.5, 0.9), (peak, -0.95), (0.9, 0.9)), colour)
    canvas.polygon(outline((peak - 0.22, -0.55), (peak, -0.95), (peak + 0.22, -0.55), (peak, -0.4)), (245, 248, 250))


def tree(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a tree: a crown of three circles on a trunk."""
    canvas.polygon(outline((-0.12, 0.1), (0.12, 0.1), (0.18, 1.0), (-0.18, 1.0)), _WOOD)
    for centre in (-0.38 - 0.1j, 0.38 - 0.1j, -0.45j):
        canvas.ellipse(centre, rng.uniform(0.42, 0.52), rng.uniform(0.42, 0.52), colour)
