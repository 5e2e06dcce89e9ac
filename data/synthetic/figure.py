"""Draws everything around a face: hair, hat, ears, neck, clothes, jewellery. Coordinates as in `face`."""

from __future__ import annotations

import numpy as np

from data.synthetic.canvas import Canvas, Colour, mirrored, shade
from data.synthetic.face import SIDES, SKULL, Face

_GOLD: Colour = (240, 195, 40)
_INK: Colour = (25, 20, 25)


def draw_hair_behind(canvas: Canvas, face: Face) -> None:
    """Draws the hair behind the head: straight, wavy or short."""
    has = face.has
    if has["Bald"]:
        return
    width, top = face.half_width + 5, SKULL - 10
    if not (has["Straight_Hair"] or has["Wavy_Hair"]):
        canvas.ellipse(-14j, width + 3, -14 - top, face.hair)
        return
    down = np.linspace(-10, 95, 29)
    wave = 5.5 * np.sin(down * (2 * np.pi / 24)) if has["Wavy_Hair"] else np.zeros_like(down)
    canvas.ellipse(-12j, width + 10, -12 - top, face.hair)
    edge = width + 10 + wave + 1j * down
    canvas.polygon(np.concatenate([edge, mirrored(edge, -1)[::-1]]), face.hair)
    strand = shade(face.hair, 0.6) if sum(face.hair) > 150 else (75, 75, 85)
    for side in SIDES:
        for inset in (4, 9):
            canvas.line(mirrored(edge - inset, side), strand, 1.3)


def draw_hair_above(canvas: Canvas, face: Face) -> None:
    """Draws the hair above the hairline: usual, receding, or bangs. A bald head gets a highlight."""
    has = face.has
    if has["Bald"]:
        canvas.ellipse(-10 - 36j, 9, 5, tuple((3 * 255 + channel) // 4 for channel in face.skin))
        return
    across = np.linspace(-1, 1, 13)
    if has["Bangs"]:
        hairline = np.where(np.arange(13) % 2, -26.0, -17.0)
    elif has["Receding_Hairline"]:
        hairline = -37 - 9 * np.sin(np.abs(across) * np.pi)
    else:
        hairline = -31 + 4 * across**2
    reach = (face.half_width + 2) * np.sqrt(1 - (np.minimum(hairline, -8) / (SKULL - 8)) ** 2)
    lower = across * reach + 1j * hairline
    turn = np.linspace(0, np.pi, 15)
    start = np.arcsin(min(1.0, hairline[0] / (SKULL - 8)))
    arc = start + turn * (np.pi - 2 * start) / np.pi
    upper = (face.half_width + 4) * np.cos(arc) + 1j * (SKULL - 8) * np.sin(arc)
    canvas.polygon(np.concatenate([lower, upper]), face.hair)


def draw_hat(canvas: Canvas, face: Face, colour: Colour) -> None:
    """Draws a hat with a band and a brim."""
    width = face.half_width
    crown = np.array([-width - 3 - 24j, -width + 3 - 66j, width - 3 - 66j, width + 3 - 24j])
    band = np.array([-width - 3 - 34j, width + 3 - 34j, width + 3 - 26j, -width - 3 - 26j])
    canvas.polygon(crown, colour)
    canvas.polygon(band, shade(colour, 0.5))
    canvas.ellipse(-24j, width + 17, 5.5, shade(colour, 0.8))


def draw_body(canvas: Canvas, face: Face, clothes: Colour) -> None:
    """Draws neck, ears, clothes and, if present, a tie with a white collar."""
    has = face.has
    neck = shade(face.skin, 0.85)
    canvas.polygon(np.array([-20 + 35j, 20 + 35j, 23 + 90j, -23 + 90j]), neck)
    canvas.polygon(np.array([-22 + 68j, 0 + 78j, 22 + 68j, 75 + 82j, 85 + 130j, -85 + 130j, -75 + 82j]), clothes)
    for side in SIDES:
        canvas.ellipse(side * (face.half_width + 1) + 5j, 6, 10, shade(face.skin, 0.9))
    if has["Wearing_Necktie"]:
        collar = np.array([24 + 62j, 5 + 74j, 17 + 88j, 33 + 70j])
        for side in SIDES:
            canvas.polygon(mirrored(collar, side), (250, 250, 250))
        tie = (150, 20, 40) if clothes[0] < 130 else (20, 30, 110)
        canvas.polygon(np.array([-7 + 71j, 7 + 71j, 5 + 79j, 12 + 125j, -12 + 125j, -5 + 79j]), tie)


def draw_jewellery(canvas: Canvas, face: Face, colour: Colour = _GOLD) -> None:
    """Draws earrings and a necklace of beads, outlined so that they are visible on any skin."""
    if face.has["Wearing_Earrings"]:
        for side in SIDES:
            centre = side * (face.half_width + 4) + 20j
            canvas.ellipse(centre, 6, 7, _INK)
            canvas.ellipse(centre, 4.8, 5.8, colour)
    if face.has["Wearing_Necklace"]:
        for along in np.linspace(-1, 1, 9):
            centre = along * 21 + 1j * (71 - 9 * along**2)
            canvas.ellipse(centre, 3.6, 3.6, _INK)
            canvas.ellipse(centre, 2.6, 2.6, colour)
