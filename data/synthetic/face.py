"""Draws a face, and around it hair, hat, ears, neck, clothes and jewellery.

Coordinates are complex numbers x + iy in CelebA's pixels, with the point 0 between the eyes and y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.synthetic.canvas import SIDES, Canvas, Colour, blend, ellipse, shade, symmetric

EYE = 19.5 + 0j
CHIN, SKULL = 56.0, -48.0

_WAY = np.linspace(-1, 1, 13)
_DOME = 1 - _WAY**2
_TURN = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_INK: Colour = (25, 20, 25)
_GOLD: Colour = (240, 195, 40)


@dataclass(frozen=True)
class Face:
    """The attributes and proportions of a face to draw.

    Attributes:
        has: which of the 40 attributes are present.
        skin: colour of the skin.
        hair: colour of the hair on the head.
        beard: colour of brows and beard, dark enough to show on any skin.
        paint: colour of lipstick and eye shadow.
        half_width: half the width of the head.
        turn: how far the features are turned to the side, between -1 and 1.
        mouth_width: half the distance between the corners of the mouth.
        nose_length: from the eye line to the tip of the nose.
    """

    has: dict[str, bool]
    skin: Colour
    hair: Colour
    beard: Colour
    paint: Colour
    half_width: float
    turn: float
    mouth_width: float
    nose_length: float

    @property
    def outline(self) -> np.ndarray:
        """The outline of the head, complex (40,): an oval with a narrow chin, round cheeks, or a square jaw."""
        cos, sin = np.cos(_TURN), np.sin(_TURN)
        below = sin > 0
        power = np.where(below, 1.1 if self.has["Oval_Face"] else 0.7 if self.has["Chubby"] else 0.45, 0.9)
        x = self.half_width * np.sign(cos) * np.abs(cos) ** power
        return x + 1j * np.where(below, CHIN * sin, -SKULL * sin)

    @property
    def eyes(self) -> tuple[complex, complex]:
        """Centres of the eyes, left of the image first."""
        return -EYE + 2 * self.turn, EYE + 2 * self.turn

    @property
    def nose(self) -> complex:
        """Tip of the nose."""
        return 6 * self.turn + 1j * self.nose_length

    @property
    def mouth(self) -> complex:
        """Centre of the mouth."""
        return 4 * self.turn + 39j

    @property
    def mouth_corners(self) -> tuple[complex, complex]:
        """Corners of the mouth, left of the image first; a smile lifts them."""
        lift = -6j if self.has["Smiling"] else 3j
        return self.mouth - self.mouth_width + lift, self.mouth + self.mouth_width + lift


def draw(canvas: Canvas, face: Face, clothes: Colour, hat: Colour) -> None:
    """Draws all parts from back to front."""
    _draw_hair_behind(canvas, face)
    _draw_body(canvas, face, clothes)
    _draw_skin(canvas, face)
    _draw_hair_above(canvas, face)
    _draw_mouth(canvas, face)
    _draw_beard(canvas, face)
    _draw_nose(canvas, face)
    _draw_eyes(canvas, face)
    _draw_glasses(canvas, face)
    _draw_hat(canvas, face, hat)
    _draw_jewellery(canvas, face)


def _draw_skin(canvas: Canvas, face: Face) -> None:
    """Draws the head with its flat features: double chin, stubble, cheeks."""
    has, skin = face.has, face.skin
    outline = face.outline
    if has["Double_Chin"]:
        canvas.ellipse(58j, 29, 15, shade(skin, 0.55))
        canvas.ellipse(56j, 29, 14, skin)
        canvas.polygon(outline * 1.035, shade(skin, 0.55))
    canvas.polygon(outline, skin)
    if has["5_o_Clock_Shadow"]:
        jaw = outline[outline.imag > 18]
        canvas.polygon(jaw * 0.985, blend(skin, (60, 75, 85), 0.55))
    if has["Rosy_Cheeks"]:
        canvas.ellipses(23 + 17j, 9, 8, blend(skin, (240, 50, 80), 0.65))
    if has["High_Cheekbones"]:
        edge = face.half_width - 3
        canvas.polygon([edge + 14j, 16 + 29j, 15 + 34j, edge - 1 + 22j], shade(skin, 0.62), both=True)
        canvas.line([edge + 11j, 14 + 25j], blend(skin, (255, 255, 250), 0.6), 2.5, both=True)


def _draw_eyes(canvas: Canvas, face: Face) -> None:
    """Draws eyes with bags, eye shadow and brows."""
    has, skin = face.has, face.skin
    half_height = 1.8 if has["Narrow_Eyes"] else 5.5
    for eye in face.eyes:
        if has["Bags_Under_Eyes"]:
            canvas.ellipse(eye + 8j, 10.5, 6.5, blend(shade(skin, 0.5), (70, 20, 110), 0.6))
            canvas.ellipse(eye + 3.5j, 10.5, 5.5, skin)
        if has["Heavy_Makeup"]:
            canvas.ellipse(eye - 4j, 11.5, 7.5, face.paint)
        canvas.ellipse(eye - 0.8j, 9.5, half_height + 1, _INK)
        canvas.ellipse(eye, 8.5, half_height, (245, 245, 245))
        canvas.ellipse(eye, 3.8, min(4.2, half_height), _INK)
        thickness = 3.6 if has["Bushy_Eyebrows"] else 1.2
        arch = 8.0 if has["Arched_Eyebrows"] else 0.0
        spine = eye - 14j + 11 * _WAY - 1j * (arch * _DOME - arch / 3)
        brow = np.concatenate([spine - 1j * thickness, (spine + 1j * thickness)[::-1]])
        canvas.polygon(brow, face.beard)


def _draw_nose(canvas: Canvas, face: Face) -> None:
    """Draws the nose: a wedge or a bulb, small or big."""
    wide, high = (1.8, 1.25) if face.has["Big_Nose"] else (0.75, 0.85)
    tip, dark = face.nose, shade(face.skin, 0.6)
    if face.has["Pointy_Nose"]:
        bridge = tip.real / 2 + 3j
        canvas.polygon([bridge, tip - 8 * wide - 1j, tip + 5j * high, tip + 8 * wide - 1j], dark)
        canvas.polygon([bridge, tip - 1.5 * wide, tip + 2j * high], blend(face.skin, (255, 255, 255), 0.5))
        return
    canvas.ellipse(tip, 8.5 * wide, 5.5 * high, dark)
    canvas.ellipse(tip - 1.5j * high, 7 * wide, 4.5 * high, blend(face.skin, (245, 120, 105), 0.5))
    for side in SIDES:
        canvas.ellipse(tip + side * 4 * wide + 2.5j * high, 1.6 * wide, 1.3 * high, _INK)


def _draw_mouth(canvas: Canvas, face: Face) -> None:
    """Draws lips and, if the mouth is open, teeth."""
    has = face.has
    corner = face.mouth_corners[1] - face.mouth - face.mouth_width
    spine = face.mouth + face.mouth_width * _WAY + corner * (1 - _DOME)
    lip = 7.5 if has["Big_Lips"] else 1.8
    gap = 4.0 if has["Mouth_Slightly_Open"] else 0.5
    colour = face.paint if has["Wearing_Lipstick"] else blend(shade(face.skin, 0.6), (130, 50, 50), 0.4)
    canvas.polygon(_around(spine, lip + gap), colour)
    canvas.polygon(_around(spine, gap), (60, 10, 20))
    if has["Mouth_Slightly_Open"]:
        canvas.polygon(np.concatenate([spine - 1j * gap * _DOME, (spine - 0.5j)[::-1]])[2:-2], (250, 250, 245))


def _draw_beard(canvas: Canvas, face: Face) -> None:
    """Draws moustache, goatee and sideburns."""
    has = face.has
    if has["Mustache"]:
        spine = face.mouth - 9j + 19 * _WAY + 5j * (1 - _DOME)
        canvas.polygon(_around(spine, 4.2), face.beard)
    if has["Goatee"]:
        canvas.polygon(symmetric(11 + 51j, 13 + 58j, 68j) + 2 * face.turn, face.beard)
    if has["Sideburns"]:
        edge = face.half_width
        patch = [edge + 1 - 14j, edge - 9 - 14j, edge - 12 + 30j, edge - 3 + 32j, edge + 1 + 12j]
        canvas.polygon(patch, face.beard, both=True)


def _draw_glasses(canvas: Canvas, face: Face) -> None:
    """Draws a dark frame around both eyes, if there are glasses."""
    if not face.has["Eyeglasses"]:
        return
    left, right = face.eyes
    for side, eye in zip(SIDES, (left, right)):
        ring = ellipse(eye, 15, 11)
        canvas.line(np.append(ring, ring[:2]), _INK, 2.6)
        canvas.line([eye + 15 * side, side * (face.half_width + 2) - 4j], _INK, 2.6)
    canvas.line([left + 15 - 2j, right - 15 - 2j], _INK, 2.6)


def _around(spine: np.ndarray, half_height: float) -> np.ndarray:
    """Returns a lens shape around a line, thickest in the middle."""
    rise = 1j * half_height * _DOME
    return np.concatenate([spine - rise, (spine + rise)[::-1]])


def _draw_hair_behind(canvas: Canvas, face: Face) -> None:
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
    canvas.polygon(symmetric(*edge), face.hair)
    strand = shade(face.hair, 0.6) if sum(face.hair) > 150 else (75, 75, 85)
    for inset in (4, 9):
        canvas.line(edge - inset, strand, 1.3, both=True)


def _draw_hair_above(canvas: Canvas, face: Face) -> None:
    """Draws the hair above the hairline: usual, receding, or bangs. A bald head gets a highlight."""
    has = face.has
    if has["Bald"]:
        canvas.ellipse(-10 - 36j, 9, 5, tuple((3 * 255 + channel) // 4 for channel in face.skin))
        return
    if has["Bangs"]:
        hairline = np.where(np.arange(13) % 2, -26.0, -17.0)
    elif has["Receding_Hairline"]:
        hairline = -37 - 9 * np.sin(np.abs(_WAY) * np.pi)
    else:
        hairline = -31 + 4 * _WAY**2
    reach = (face.half_width + 2) * np.sqrt(1 - (np.minimum(hairline, -8) / (SKULL - 8)) ** 2)
    lower = _WAY * reach + 1j * hairline
    turn = np.linspace(0, np.pi, 15)
    start = np.arcsin(min(1.0, hairline[0] / (SKULL - 8)))
    arc = start + turn * (np.pi - 2 * start) / np.pi
    upper = (face.half_width + 4) * np.cos(arc) + 1j * (SKULL - 8) * np.sin(arc)
    canvas.polygon(np.concatenate([lower, upper]), face.hair)


def _draw_hat(canvas: Canvas, face: Face, colour: Colour) -> None:
    """Draws a hat with a band and a brim, if there is one."""
    if not face.has["Wearing_Hat"]:
        return
    width = face.half_width
    canvas.polygon(symmetric(width - 3 - 66j, width + 3 - 24j), colour)
    canvas.polygon(symmetric(width + 3 - 34j, width + 3 - 26j), shade(colour, 0.5))
    canvas.ellipse(-24j, width + 17, 5.5, shade(colour, 0.8))


def _draw_body(canvas: Canvas, face: Face, clothes: Colour) -> None:
    """Draws neck, ears, clothes and, if present, a tie with a white collar."""
    has = face.has
    canvas.polygon(symmetric(20 + 35j, 23 + 90j), shade(face.skin, 0.85))
    canvas.polygon(symmetric(78j, 22 + 68j, 75 + 82j, 85 + 130j), clothes)
    canvas.ellipses(face.half_width + 1 + 5j, 6, 10, shade(face.skin, 0.9))
    if has["Wearing_Necktie"]:
        canvas.polygon([24 + 62j, 5 + 74j, 17 + 88j, 33 + 70j], (250, 250, 250), both=True)
        tie = (150, 20, 40) if clothes[0] < 130 else (20, 30, 110)
        canvas.polygon(symmetric(7 + 71j, 5 + 79j, 12 + 125j), tie)


def _draw_jewellery(canvas: Canvas, face: Face) -> None:
    """Draws earrings and a necklace of beads, outlined so that they are visible on any skin."""
    if face.has["Wearing_Earrings"]:
        canvas.ellipses(face.half_width + 4 + 20j, 6, 7, _INK)
        canvas.ellipses(face.half_width + 4 + 20j, 4.8, 5.8, _GOLD)
    if face.has["Wearing_Necklace"]:
        for along in np.linspace(-1, 1, 9):
            centre = along * 21 + 1j * (71 - 9 * along**2)
            canvas.ellipse(centre, 3.6, 3.6, _INK)
            canvas.ellipse(centre, 2.6, 2.6, _GOLD)
