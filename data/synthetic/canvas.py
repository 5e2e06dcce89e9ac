"""`Canvas`: Pillow shapes in custom coordinates, drawn at twice the size and reduced at the end."""

from __future__ import annotations

import cmath
import io
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, ...]
Points = np.ndarray | Sequence[complex]

# Pillow's shapes have hard edges; drawing at twice the size and averaging makes them soft.
SUPERSAMPLING = 2
INK: Colour = (30, 25, 30)
SIDES = (-1, 1)

_CIRCLE = np.exp(2j * np.pi * np.arange(24) / 24)


class Canvas:
    """An image to draw on. Points are complex numbers x + iy, with y downwards.

    Shapes with `both=True` are drawn twice: mirrored into the left half, and as given.

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

    def polygon(self, points: Points, colour: Colour, *, both: bool = False) -> None:
        """Fills a polygon given by its corners, complex (corners,)."""
        for corners in (mirrored(points), points) if both else (points,):
            self._draw.polygon(self._pixels(corners), fill=colour)

    def ellipse(self, centre: complex, half_width: float, half_height: float, colour: Colour) -> None:
        """Fills an ellipse."""
        self.polygon(ellipse(centre, half_width, half_height), colour)

    def ellipses(self, right: complex, half_width: float, half_height: float, colour: Colour) -> None:
        """Fills an ellipse around `right`, and its mirror image."""
        for side in SIDES:
            self.ellipse(complex(side * right.real, right.imag), half_width, half_height, colour)

    def line(self, points: Points, colour: Colour, width: float, *, both: bool = False) -> None:
        """Draws a line through points, complex (points,)."""
        pixels = max(1, round(width * abs(self.unit) * SUPERSAMPLING))
        for path in (mirrored(points), points) if both else (points,):
            self._draw.line(self._pixels(path), fill=colour, width=pixels, joint="curve")

    def finish(self) -> Image.Image:
        """Returns the image at its final size."""
        return self._image.reduce(SUPERSAMPLING)

    def _pixels(self, points: Points) -> list[float]:
        pixels = (self.origin + np.asarray(points) * self.unit) * SUPERSAMPLING
        return pixels.astype(np.complex128).view(np.float64).tolist()


def ellipse(centre: complex, half_width: float, half_height: float) -> np.ndarray:
    """Returns the outline of an ellipse, complex (24,)."""
    return centre + half_width * _CIRCLE.real + 1j * half_height * _CIRCLE.imag


def mirrored(points: Points) -> np.ndarray:
    """Returns points flipped from left to right."""
    return -np.conj(points)


def symmetric(*right: complex) -> np.ndarray:
    """Returns a symmetric outline from its right half, top to bottom."""
    return np.concatenate([right, mirrored(right)[::-1]])


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Returns a colour that is `share` of the way from the first to the second."""
    return tuple(int(a + (b - a) * share) for a, b in zip(first, second))


def shade(colour: Colour, factor: float) -> Colour:
    """Returns a darker (factor < 1) or brighter (factor > 1) colour."""
    return tuple(min(255, math.floor(channel * factor)) for channel in colour)


def vary(rng: np.random.Generator, colour: Colour, amount: int, least: int = 0) -> Colour:
    """Returns a similar colour: each channel changes by at most `amount`, and is at least `least`."""
    change = rng.integers(-amount, amount + 1, size=3).tolist()
    return tuple(min(255, max(least, channel + by)) for channel, by in zip(colour, change))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Returns the bytes of a file with an image; `options` are those of Pillow for this kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def example_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Returns the random generator of one example, which does not depend on the number of examples.

    Args:
        seed: the data set's seed, >= 0.
        split: the split's name. Splits of the same seed share no stream.
        index: the example's index in the split, >= 0.
    """
    return np.random.default_rng((seed, zlib.crc32(split.encode()), index))
