"""Draws animals, vehicles, plants, things and places: simple shapes between (-1, -1) and (1, 1), y downwards.

Each function draws what its name says, in a main colour and with random proportions. Heads look to the left.
"""

from __future__ import annotations

import numpy as np

from data.synthetic.canvas import INK, SIDES, Canvas, Colour, shade

_EYE: Colour = (235, 235, 210)
_GLASS: Colour = (185, 215, 235)
_WOOD: Colour = (110, 75, 45)


def whale(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.ellipse(-0.15 + 0.2j, 0.75, rng.uniform(0.38, 0.5), colour)
    canvas.polygon([0.4 + 0.1j, 0.75 - 0.1j, 0.7 - 0.5j, 1 - 0.3j, 1, 0.5 + 0.5j], colour)
    canvas.ellipse(-0.3 + 0.45j, 0.45, 0.14, shade(colour, 1.5))
    canvas.ellipse(-0.6 + 0.1j, 0.07, 0.07, INK)
    for side in (-0.25, 0.25):
        canvas.line([-0.2 - 0.25j, -0.2 + side - 0.85j], (225, 240, 250), 0.1)


def fish(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    height = rng.uniform(0.34, 0.5)
    canvas.ellipse(-0.2, 0.7, height, colour)
    canvas.polygon([0.35, 1 - 0.5j, 0.85, 1 + 0.5j], shade(colour, 0.8))
    canvas.polygon([-0.3 - 1j * height, 0.25 - 1j * (height + 0.25), 0.2 - 0.25j], shade(colour, 0.8))
    canvas.ellipse(-0.6 - 0.08j, 0.1, 0.1, _EYE)
    canvas.ellipse(-0.62 - 0.08j, 0.05, 0.05, INK)


def insect(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    for leg in (-0.3j, 0.1j, 0.5j):
        canvas.line([leg - 0.8 + 0.2j, leg, leg + 0.8 + 0.2j], INK, 0.09)
    canvas.line([0.05 - 0.6j, 0.4 - 1j], INK, 0.08, both=True)
    canvas.ellipses(0.3 + 0.25j, rng.uniform(0.2, 0.35), 0.55, shade(colour, 1.35))
    canvas.ellipse(0.2j, 0.24, 0.7, colour)
    canvas.ellipse(-0.6j, 0.22, 0.2, shade(colour, 0.6))


def spider(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    reach = rng.uniform(0.8, 1.0)
    for leg in (-0.75j, -0.25j, 0.25j, 0.75j):
        canvas.line([0, reach * 0.6 + leg - 0.25j, reach + leg + 0.25j], shade(colour, 0.6), 0.1, both=True)
    canvas.ellipse(0.12j, 0.42, 0.45, colour)
    canvas.ellipse(-0.38j, 0.22, 0.2, shade(colour, 0.7))


def snake(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    along = np.linspace(-0.95, 0.95, 17)
    body = along + 1j * (rng.uniform(0.3, 0.5) * np.sin(along * rng.uniform(5.0, 6.5)))
    canvas.line(body, colour, 0.28)
    canvas.ellipse(body[0], 0.22, 0.17, shade(colour, 0.8))
    canvas.ellipse(body[0] - 0.02 - 0.05j, 0.05, 0.05, INK)


def mouse(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.line([0.5 + 0.6j, 0.85 + 0.5j, 0.95 + 1j * rng.uniform(-0.4, 0.1)], (215, 150, 150), 0.08)
    canvas.ellipse(0.1 + 0.3j, 0.6, rng.uniform(0.38, 0.48), colour)
    canvas.polygon([-0.95 + 0.5j, -0.3 - 0.05j, -0.1 + 0.65j], colour)
    canvas.ellipse(-0.3 - 0.12j, 0.2, 0.22, shade(colour, 0.7))
    canvas.ellipse(-0.6 + 0.32j, 0.05, 0.05, INK)


def person(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    skin = shade((240, 200, 170), rng.uniform(0.4, 1.0))
    canvas.line([0.15 + 0.3j, 0.22 + 0.98j], shade(colour, 0.5), 0.2, both=True)
    canvas.line([0.25 - 0.35j, 0.65 + 1j * rng.uniform(-0.5, 0.4)], skin, 0.14, both=True)
    canvas.polygon([-0.45j, 0.3 - 0.45j, 0.34 + 0.35j, 0.35j], colour, both=True)
    canvas.ellipse(-0.72j, 0.25, 0.27, skin)
    canvas.polygon([-0.25 - 0.75j, -0.18 - 1j, 0.18 - 1j, 0.25 - 0.75j], INK)


def bird(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    _legs(canvas, (220, 140, 40), (-0.1, 0.12), 0.4, 0.07)
    canvas.polygon([0.3, 1 + 1j * rng.uniform(0.2, 0.5), 0.85 + 0.6j, 0.2 + 0.4j], shade(colour, 0.7))
    canvas.ellipse(0.05 + 0.15j, 0.5, rng.uniform(0.32, 0.42), colour)
    canvas.ellipse(-0.4 - 0.3j, 0.25, 0.25, colour)
    canvas.polygon([-0.6 - 0.38j, -0.98 - 0.22j, -0.6 - 0.16j], (245, 170, 30))
    canvas.polygon([-0.2 + 0.05j, 0.35 - 0.05j, 0.75 + 1j * rng.uniform(-0.9, 0.35)], shade(colour, 0.55))
    canvas.ellipse(-0.45 - 0.36j, 0.06, 0.06, INK)


def cat(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.line([0.4 + 0.8j, 0.8 + 0.6j, 0.85 + 1j * rng.uniform(-0.3, 0.3)], colour, 0.16)
    canvas.ellipse(0.5j, rng.uniform(0.4, 0.5), 0.5, colour)
    canvas.polygon([0.08 - 0.65j, 0.42 - 1j, 0.46 - 0.3j], shade(colour, 0.8), both=True)
    canvas.ellipse(-0.32j, 0.46, 0.4, colour)
    canvas.ellipses(0.19 - 0.38j, 0.1, 0.09, (170, 220, 90))
    canvas.ellipses(0.19 - 0.38j, 0.04, 0.08, INK)
    canvas.polygon([-0.08 - 0.22j, 0.08 - 0.22j, -0.1j], (230, 130, 130))


def dog(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.line([0.6 + 0.1j, 0.8 - 0.2j, 0.75 + 1j * rng.uniform(-0.7, -0.4)], colour, 0.13)
    _legs(canvas, shade(colour, 0.8), (-0.3, 0.5), 0.3, 0.16)
    _legs(canvas, colour, (-0.15, 0.62), 0.3, 0.16)
    canvas.ellipse(0.2 + 0.2j, 0.52, rng.uniform(0.26, 0.34), colour)
    canvas.ellipse(-0.45 - 0.3j, 0.32, 0.3, colour)
    canvas.ellipse(-0.75 - 0.15j, 0.24, 0.15, shade(colour, 1.2))
    canvas.ellipse(-0.92 - 0.2j, 0.07, 0.07, INK)
    canvas.ellipse(-0.22 - 0.2j, 0.12, 0.3, shade(colour, 0.55))
    canvas.ellipse(-0.55 - 0.4j, 0.05, 0.05, INK)


def deer(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    _hoofed(canvas, rng, colour, girth=0.24, neck=0.2)
    canvas.ellipse(0.74 + 0.02j, 0.12, 0.15, (240, 235, 225))
    spread = rng.uniform(0.3, 0.5)
    for side in SIDES:
        canvas.line([-0.45 - 0.75j, -0.45 + side * spread - 1.05j], (215, 190, 140), 0.09)
        canvas.line([-0.45 + side * spread / 2 - 0.88j, -0.45 + side * 0.1 - 1.1j], (215, 190, 140), 0.08)


def horse(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.line([0.7 - 0.1j, 0.92 + 0.1j, 0.9 + 1j * rng.uniform(0.45, 0.75)], INK, 0.17)
    _hoofed(canvas, rng, colour, girth=0.36, neck=0.36)
    canvas.line([-0.38 - 0.85j, -0.2 - 0.55j, 0.05 - 0.2j], INK, 0.17)


def frog(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    width = rng.uniform(0.62, 0.74)
    canvas.ellipses(0.68 + 0.45j, 0.3, 0.32, shade(colour, 0.75))
    canvas.line([0.35 + 0.75j, 0.95 + 0.85j], shade(colour, 0.75), 0.16, both=True)
    canvas.ellipses(0.38 - 0.3j, 0.24, 0.26, colour)
    canvas.ellipse(0.25j, width, 0.55, colour)
    canvas.ellipse(0.45j, width * 0.65, 0.3, shade(colour, 1.4))
    canvas.line([-0.4 + 0.12j, 0.2j, 0.4 + 0.12j], INK, 0.07)
    canvas.ellipses(0.38 - 0.34j, 0.13, 0.14, _EYE)
    canvas.ellipses(0.38 - 0.34j, 0.06, 0.07, INK)


def airplane(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    sweep = rng.uniform(0.35, 0.6)
    canvas.polygon([-0.15, sweep + 0.8j, sweep + 0.2 + 0.8j, 0.25], shade(colour, 0.75))
    canvas.polygon([-0.05, sweep - 0.6j, sweep + 0.15 - 0.6j, 0.25], shade(colour, 0.75))
    canvas.polygon([0.6, 0.95 - 0.5j, 1 - 0.45j, 0.92 + 0.05j], shade(colour, 0.75))
    canvas.ellipse(0j, 0.98, rng.uniform(0.13, 0.18), colour)
    canvas.line([-0.6 - 0.03j, 0.5 - 0.03j], INK, 0.06)


def automobile(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    roof = 1j * rng.uniform(-0.5, -0.35)
    canvas.polygon([-0.6, -0.35 + roof, 0.4 + roof, 0.7], colour)
    canvas.polygon([-0.42 - 0.02j, -0.26 + roof + 0.1j, roof + 0.1j, -0.02j], _GLASS)
    canvas.polygon([0.08 - 0.02j, 0.08 + roof + 0.1j, 0.34 + roof + 0.1j, 0.52 - 0.02j], _GLASS)
    canvas.polygon([-1 + 0.1j, -0.9 - 0.05j, 0.95 - 0.05j, 1 + 0.5j, -1 + 0.5j], colour)
    _wheels(canvas, (-0.58, 0.58), rng.uniform(0.22, 0.27))


def truck(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    cab = rng.uniform(-0.5, -0.4)
    box = shade(colour, rng.uniform(0.6, 0.75))
    canvas.polygon([cab + 0.05 + 1j * rng.uniform(-0.9, -0.7), 1 - 0.8j, 1 + 0.5j, cab + 0.05 + 0.5j], box)
    canvas.polygon([-1 + 0.5j, -1, -0.85 - 0.35j, cab - 0.35j, cab + 0.5j], colour)
    canvas.polygon([-0.93 + 0.02j, -0.8 - 0.25j, cab - 0.08 - 0.25j, cab - 0.08 + 0.02j], _GLASS)
    _wheels(canvas, (-0.7, 0.3, 0.72), 0.23)


def ship(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    funnel = rng.uniform(0.0, 0.3)
    canvas.polygon([funnel - 0.8j, funnel + 0.22 - 0.8j, funnel + 0.22 - 0.2j, funnel - 0.2j], (200, 60, 50))
    canvas.polygon([-0.45 - 0.35j, 0.6 - 0.35j, 0.65 + 0.1j, -0.5 + 0.1j], (240, 240, 235))
    canvas.line([-0.35 - 0.12j, 0.5 - 0.12j], INK, 0.08)
    canvas.line([-0.6 + 0.1j, -0.6 + 1j * rng.uniform(-1.0, -0.7)], INK, 0.07)
    canvas.polygon([-1 + 0.08j, 0.95 + 0.08j, 0.75 + 0.6j, -0.7 + 0.6j], colour)


def flower(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.line([0, 0.08 + 1j], (60, 130, 50), 0.1)
    canvas.ellipse(0.3 + 0.7j, 0.26, 0.1, (60, 130, 50))
    count = int(rng.integers(5, 8))
    for petal in np.exp(2j * np.pi * np.arange(count) / count):
        canvas.ellipse(-0.3j + 0.38 * petal, 0.24, 0.24, colour)
    canvas.ellipse(-0.3j, 0.2, 0.2, (250, 205, 60))


def cup(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    foot = rng.uniform(0.35, 0.55)
    canvas.line([0.5 - 0.3j, 0.92 - 0.25j, 0.85 + 0.3j, 0.45 + 0.4j], shade(colour, 0.8), 0.14)
    canvas.polygon([-0.65 - 0.6j, 0.65 - 0.6j, foot + 0.8j, -foot + 0.8j], colour)
    canvas.ellipse(-0.6j, 0.65, 0.18, shade(colour, 0.5))


def fruit(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.line([-0.4j, 0.1 - 0.95j], _WOOD, 0.12)
    canvas.polygon([0.08 - 0.65j, 0.55 - 0.95j, 0.65 - 0.6j], (70, 150, 60))
    canvas.ellipse(0.15j, rng.uniform(0.6, 0.75), rng.uniform(0.62, 0.72), colour)
    canvas.ellipse(-0.25 - 0.1j, 0.14, 0.16, shade(colour, 1.5))


def screen(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.polygon([-0.12 + 0.4j, 0.12 + 0.4j, 0.4 + 0.9j, -0.4 + 0.9j], shade(colour, 0.6))
    height = rng.uniform(0.5, 0.62)
    _box(canvas, -0.95, -height, 0.95, height, colour)
    height -= 0.18
    _box(canvas, -0.75, -height, 0.75, height, (50, 60, 80))
    canvas.line([complex(-0.5, height - 0.1), complex(0.1, -height + 0.1)], (120, 140, 165), 0.1)


def chair(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    seat = rng.uniform(0.05, 0.2)
    for leg in (-0.5, 0.5):
        canvas.line([complex(leg, seat), leg * 1.15 + 0.98j], shade(colour, 0.7), 0.16)
    _box(canvas, 0.38, -0.95, 0.62, seat, colour)
    _box(canvas, -0.65, seat - 0.1, 0.65, seat + 0.14, colour)


def house(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    eaves = rng.uniform(-0.3, -0.1)
    _box(canvas, -0.75, eaves, 0.75, 0.95, colour)
    canvas.polygon([complex(-0.95, eaves), -0.98j, complex(0.95, eaves)], shade(colour, 0.55))
    _box(canvas, -0.15, 0.4, 0.15, 0.95, INK)
    canvas.polygon([0.3 + 0.1j, 0.58 + 0.1j, 0.58 + 0.4j, 0.3 + 0.4j], _GLASS, both=True)


def mountain(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    peak, second = rng.uniform(-0.5, -0.1), rng.uniform(0.45, 0.7)
    canvas.polygon([-0.2 + 0.9j, second - 0.35j, 1.5 + 0.9j], shade(colour, 0.7))
    canvas.polygon([-1.5 + 0.9j, peak - 0.95j, 0.9 + 0.9j], colour)
    canvas.polygon([peak - 0.22 - 0.55j, peak - 0.95j, peak + 0.22 - 0.55j, peak - 0.4j], (245, 248, 250))


def tree(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    canvas.polygon([-0.12 + 0.1j, 0.12 + 0.1j, 0.18 + 1j, -0.18 + 1j], _WOOD)
    for centre in (-0.38 - 0.1j, 0.38 - 0.1j, -0.45j):
        canvas.ellipse(centre, rng.uniform(0.42, 0.52), rng.uniform(0.42, 0.52), colour)


def _box(canvas: Canvas, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    corners = [complex(left, top), complex(right, top), complex(right, bottom), complex(left, bottom)]
    canvas.polygon(corners, colour)


def _hoofed(canvas: Canvas, rng: np.random.Generator, colour: Colour, *, girth: float, neck: float) -> None:
    """Draws a body on four long legs, a neck and a head."""
    _legs(canvas, shade(colour, 0.7), (-0.15, 0.55), 0.1, girth * 0.4)
    _legs(canvas, colour, (-0.28, 0.68), 0.1, girth * 0.4)
    canvas.ellipse(0.2 + 0.05j, 0.56, girth * rng.uniform(0.9, 1.1), colour)
    canvas.line([-0.2, -0.5 - 0.6j], colour, neck)
    canvas.polygon([-0.4 - 0.8j, -0.95 - 0.45j, -0.88 - 0.3j, -0.4 - 0.45j], colour)
    canvas.ellipse(-0.58 - 0.6j, 0.05, 0.05, INK)


def _legs(canvas: Canvas, colour: Colour, places: tuple[float, ...], top: float, width: float) -> None:
    for place in places:
        canvas.line([complex(place, top), place + 0.95j], colour, width)


def _wheels(canvas: Canvas, places: tuple[float, ...], radius: float) -> None:
    for place in places:
        canvas.ellipse(place + 0.55j, radius, radius, INK)
        canvas.ellipse(place + 0.55j, radius * 0.4, radius * 0.4, (190, 190, 195))
