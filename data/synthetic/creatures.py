"""Draws animals and people as simple shapes between (-1, -1) and (1, 1), y downwards; heads look to the left.

Each function draws onto a canvas in a main colour, with random proportions.
"""

from __future__ import annotations

import numpy as np

from data.synthetic.canvas import Canvas, Colour, Points, mirrored, shade

INK: Colour = (30, 25, 30)
_EYE: Colour = (235, 235, 210)


def outline(*corners: tuple[float, float]) -> Points:
    """Returns points (corners,) given as pairs of x and y."""
    return np.array([complex(x, y) for x, y in corners])


def _legs(canvas: Canvas, colour: Colour, places: tuple[float, ...], top: float, width: float) -> None:
    for place in places:
        canvas.line(outline((place, top), (place, 0.95)), colour, width)


def whale(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a whale with its spout."""
    canvas.ellipse(-0.15 + 0.2j, 0.75, rng.uniform(0.38, 0.5), colour)
    canvas.polygon(outline((0.4, 0.1), (0.75, -0.1), (0.7, -0.5), (1.0, -0.3), (1.0, 0.0), (0.5, 0.5)), colour)
    canvas.ellipse(-0.3 + 0.45j, 0.45, 0.14, shade(colour, 1.5))
    canvas.ellipse(-0.6 + 0.1j, 0.07, 0.07, INK)
    for side in (-0.25, 0.25):
        canvas.line(outline((-0.2, -0.25), (-0.2 + side, -0.85)), (225, 240, 250), 0.1)


def fish(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a fish."""
    height = rng.uniform(0.34, 0.5)
    canvas.ellipse(-0.2, 0.7, height, colour)
    canvas.polygon(outline((0.35, 0.0), (1.0, -0.5), (0.85, 0.0), (1.0, 0.5)), shade(colour, 0.8))
    canvas.polygon(outline((-0.3, -height), (0.25, -height - 0.25), (0.2, -0.25)), shade(colour, 0.8))
    canvas.ellipse(-0.6 - 0.08j, 0.1, 0.1, _EYE)
    canvas.ellipse(-0.62 - 0.08j, 0.05, 0.05, INK)


def insect(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws an insect from above: six legs, two wings, two feelers."""
    for height in (-0.3, 0.1, 0.5):
        canvas.line(outline((-0.8, height + 0.2), (0.0, height), (0.8, height + 0.2)), INK, 0.09)
    wing = rng.uniform(0.2, 0.35)
    for side in (-1, 1):
        canvas.line(mirrored(outline((0.05, -0.6), (0.4, -1.0)), side), INK, 0.08)
        canvas.ellipse(complex(side * 0.3, 0.25), wing, 0.55, shade(colour, 1.35))
    canvas.ellipse(0.2j, 0.24, 0.7, colour)
    canvas.ellipse(-0.6j, 0.22, 0.2, shade(colour, 0.6))


def spider(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a spider: a round body and eight crooked legs."""
    reach = rng.uniform(0.8, 1.0)
    for height in (-0.75, -0.25, 0.25, 0.75):
        for side in (-1, 1):
            knee = outline((0.0, 0.0), (reach * 0.6, height - 0.25), (reach, height + 0.25))
            canvas.line(mirrored(knee, side), shade(colour, 0.6), 0.1)
    canvas.ellipse(0.12j, 0.42, 0.45, colour)
    canvas.ellipse(-0.38j, 0.22, 0.2, shade(colour, 0.7))


def snake(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a wavy snake."""
    along = np.linspace(-0.95, 0.95, 17)
    height = rng.uniform(0.3, 0.5) * np.sin(along * rng.uniform(5.0, 6.5))
    canvas.line(along + 1j * height, colour, 0.28)
    canvas.ellipse(complex(along[0], height[0]), 0.22, 0.17, shade(colour, 0.8))
    canvas.ellipse(complex(along[0] - 0.02, height[0] - 0.05), 0.05, 0.05, INK)


def mouse(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a small mammal: a low round body, a pointed face, a round ear and a long thin tail."""
    canvas.line(outline((0.5, 0.6), (0.85, 0.5), (0.95, rng.uniform(-0.4, 0.1))), (215, 150, 150), 0.08)
    canvas.ellipse(0.1 + 0.3j, 0.6, rng.uniform(0.38, 0.48), colour)
    canvas.polygon(outline((-0.95, 0.5), (-0.3, -0.05), (-0.1, 0.65)), colour)
    canvas.ellipse(-0.3 - 0.12j, 0.2, 0.22, shade(colour, 0.7))
    canvas.ellipse(-0.6 + 0.32j, 0.05, 0.05, INK)


def person(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a person in clothes of the main colour."""
    skin = shade((240, 200, 170), rng.uniform(0.4, 1.0))
    arm = rng.uniform(-0.5, 0.4)
    for side in (-1, 1):
        canvas.line(mirrored(outline((0.15, 0.3), (0.22, 0.98)), side), shade(colour, 0.5), 0.2)
        canvas.line(mirrored(outline((0.25, -0.35), (0.65, arm)), side), skin, 0.14)
        canvas.polygon(mirrored(outline((0.0, -0.45), (0.3, -0.45), (0.34, 0.35), (0.0, 0.35)), side), colour)
    canvas.ellipse(-0.72j, 0.25, 0.27, skin)
    canvas.polygon(outline((-0.25, -0.75), (-0.18, -1.0), (0.18, -1.0), (0.25, -0.75)), INK)


def bird(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a perching bird with a wing more or less raised."""
    _legs(canvas, (220, 140, 40), (-0.1, 0.12), 0.4, 0.07)
    canvas.polygon(outline((0.3, 0.0), (1.0, rng.uniform(0.2, 0.5)), (0.85, 0.6), (0.2, 0.4)), shade(colour, 0.7))
    canvas.ellipse(0.05 + 0.15j, 0.5, rng.uniform(0.32, 0.42), colour)
    canvas.ellipse(-0.4 - 0.3j, 0.25, 0.25, colour)
    canvas.polygon(outline((-0.6, -0.38), (-0.98, -0.22), (-0.6, -0.16)), (245, 170, 30))
    tip = rng.uniform(-0.9, 0.35)
    canvas.polygon(outline((-0.2, 0.05), (0.35, -0.05), (0.75, tip)), shade(colour, 0.55))
    canvas.ellipse(-0.45 - 0.36j, 0.06, 0.06, INK)


def cat(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a sitting cat, seen from the front."""
    canvas.line(outline((0.4, 0.8), (0.8, 0.6), (0.85, rng.uniform(-0.3, 0.3))), colour, 0.16)
    canvas.ellipse(0.5j, rng.uniform(0.4, 0.5), 0.5, colour)
    for side in (-1, 1):
        canvas.polygon(mirrored(outline((0.08, -0.65), (0.42, -1.0), (0.46, -0.3)), side), shade(colour, 0.8))
    canvas.ellipse(-0.32j, 0.46, 0.4, colour)
    for side in (-1, 1):
        canvas.ellipse(complex(side * 0.19, -0.38), 0.1, 0.09, (170, 220, 90))
        canvas.ellipse(complex(side * 0.19, -0.38), 0.04, 0.08, INK)
    canvas.polygon(outline((-0.08, -0.22), (0.08, -0.22), (0.0, -0.1)), (230, 130, 130))


def dog(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a standing dog: short legs, a snout, a hanging ear, a raised tail."""
    canvas.line(outline((0.6, 0.1), (0.8, -0.2), (0.75, rng.uniform(-0.7, -0.4))), colour, 0.13)
    _legs(canvas, shade(colour, 0.8), (-0.3, 0.5), 0.3, 0.16)
    _legs(canvas, colour, (-0.15, 0.62), 0.3, 0.16)
    canvas.ellipse(0.2 + 0.2j, 0.52, rng.uniform(0.26, 0.34), colour)
    canvas.ellipse(-0.45 - 0.3j, 0.32, 0.3, colour)
    canvas.ellipse(-0.75 - 0.15j, 0.24, 0.15, shade(colour, 1.2))
    canvas.ellipse(-0.92 - 0.2j, 0.07, 0.07, INK)
    canvas.ellipse(-0.22 - 0.2j, 0.12, 0.3, shade(colour, 0.55))
    canvas.ellipse(-0.55 - 0.4j, 0.05, 0.05, INK)


def _hoofed(canvas: Canvas, rng: np.random.Generator, colour: Colour, *, girth: float, neck: float) -> None:
    """Draws a body on four long legs, a neck and a head."""
    _legs(canvas, shade(colour, 0.7), (-0.15, 0.55), 0.1, girth * 0.4)
    _legs(canvas, colour, (-0.28, 0.68), 0.1, girth * 0.4)
    canvas.ellipse(0.2 + 0.05j, 0.56, girth * rng.uniform(0.9, 1.1), colour)
    canvas.line(outline((-0.2, 0.0), (-0.5, -0.6)), colour, neck)
    canvas.polygon(outline((-0.4, -0.8), (-0.95, -0.45), (-0.88, -0.3), (-0.4, -0.45)), colour)
    canvas.ellipse(-0.58 - 0.6j, 0.05, 0.05, INK)


def deer(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a deer: slim, with antlers and a white rump."""
    _hoofed(canvas, rng, colour, girth=0.24, neck=0.2)
    canvas.ellipse(0.74 + 0.02j, 0.12, 0.15, (240, 235, 225))
    spread = rng.uniform(0.3, 0.5)
    for side in (-1.0, 1.0):
        canvas.line(outline((-0.45, -0.75), (-0.45 + side * spread, -1.05)), (215, 190, 140), 0.09)
        canvas.line(outline((-0.45 + side * spread / 2, -0.88), (-0.45 + side * 0.1, -1.1)), (215, 190, 140), 0.08)


def horse(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a horse: strong, with mane and tail."""
    canvas.line(outline((0.7, -0.1), (0.92, 0.1), (0.9, rng.uniform(0.45, 0.75))), INK, 0.17)
    _hoofed(canvas, rng, colour, girth=0.36, neck=0.36)
    canvas.line(outline((-0.38, -0.85), (-0.2, -0.55), (0.05, -0.2)), INK, 0.17)


def frog(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draws a squatting frog: flat, eyes on top, thighs at the sides."""
    width = rng.uniform(0.62, 0.74)
    for side in (-1, 1):
        canvas.ellipse(complex(side * 0.68, 0.45), 0.3, 0.32, shade(colour, 0.75))
        canvas.line(mirrored(outline((0.35, 0.75), (0.95, 0.85)), side), shade(colour, 0.75), 0.16)
        canvas.ellipse(complex(side * 0.38, -0.3), 0.24, 0.26, colour)
    canvas.ellipse(0.25j, width, 0.55, colour)
    canvas.ellipse(0.45j, width * 0.65, 0.3, shade(colour, 1.4))
    canvas.line(outline((-0.4, 0.12), (0.0, 0.2), (0.4, 0.12)), INK, 0.07)
    for side in (-1, 1):
        canvas.ellipse(complex(side * 0.38, -0.34), 0.13, 0.14, _EYE)
        canvas.ellipse(complex(side * 0.38, -0.34), 0.06, 0.07, INK)
