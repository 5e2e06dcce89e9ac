"""`Canvas`: Pillow shapes in custom coordinates, drawn at twice the size and reduced at the end."""

from __future__ import annotations

import cmath
import math

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, ...]
Points = np.ndarray

# Pillow's shapes have hard edges; drawing at twice the size and averaging makes them soft.
SUPERSAMPLING = 2

_CIRCLE = np.exp(2j * np.pi * np.arange(24) / 24)


class Canvas:
    """An image to draw on. Points are complex numbers x + iy, with y downwards.

    Args:
        background: the image to draw on, `SUPERSAMPLING` times as large as the result.
        origin: position of the point 0, in pixels of the result.
        scale: pixels of the result per unit.
        angle: rotation about the origin in radians, clockwise on screen.
    """

    def __init__(self, background: Image.Image, origin: complex, scale: float = 1.0, angle: float = 0.0) -> None:
        self.origin = origin
        self.unit = cmath.rect(scale, angle)
        self._image = background
        self._draw = ImageDraw.Draw(background)

    def locate(self, point: complex) -> complex:
        """Returns the position of a point, in pixels of the result."""
        return self.origin + point * self.unit

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fills a polygon given by its corners, complex (corners,)."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def ellipse(self, centre: complex, half_width: float, half_height: float, colour: Colour) -> None:
        """Fills an ellipse."""
        self.polygon(ellipse(centre, half_width, half_height), colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draws a line through points, complex (points,)."""
        pixels = max(1, round(width * abs(self.unit) * SUPERSAMPLING))
        self._draw.line(self._pixels(points), fill=colour, width=pixels, joint="curve")

    def finish(self) -> Image.Image:
        """Returns the image at its final size."""
        return self._image.reduce(SUPERSAMPLING)

    def _pixels(self, points: Points) -> list[float]:
        pixels = (self.origin + np.asarray(points) * self.unit) * SUPERSAMPLING
        return pixels.astype(np.complex128).view(np.float64).tolist()


def ellipse(centre: complex, half_width: float, half_height: float) -> Points:
    """Returns the outline of an ellipse, complex (24,)."""
    return centre + half_width * _CIRCLE.real + 1j * half_height * _CIRCLE.imag


def mirrored(points: Points, side: int) -> Points:
    """Returns points unchanged for the right half (`side` 1), mirrored for the left half (`side` -1)."""
    points = np.asarray(points)
    return points if side > 0 else -points.conj()


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Returns a colour that is `share` of the way from the first to the second."""
    return tuple(int(a + (b - a) * share) for a, b in zip(first, second))


def shade(colour: Colour, factor: float) -> Colour:
    """Returns a darker (factor < 1) or brighter (factor > 1) colour."""
    return tuple(min(255, math.floor(channel * factor)) for channel in colour)
