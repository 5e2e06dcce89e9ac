"""Backgrounds and camera effects for small colour images."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from data.synthetic.canvas import SUPERSAMPLING, Colour

SIDE = 32

# The colours above and below the horizon.
PLACES: dict[str, tuple[Colour, Colour]] = {
    "sky": ((120, 170, 225), (185, 210, 235)),
    "sea": ((170, 200, 225), (45, 95, 145)),
    "road": ((175, 190, 200), (115, 115, 120)),
    "meadow": ((160, 195, 220), (100, 150, 70)),
    "wood": ((70, 95, 60), (120, 110, 70)),
    "sand": ((150, 195, 225), (215, 190, 140)),
    "room": ((215, 200, 180), (150, 115, 85)),
}


def backdrop(rng: np.random.Generator, place: str) -> Image.Image:
    """Returns an empty background, `SUPERSAMPLING` times `SIDE` pixels wide and high.

    Args:
        rng: random generator for light, hues, the horizon and patches of colour.
        place: one of `PLACES`.
    """
    above, below = np.array(PLACES[place]) + rng.integers(-28, 29, size=(2, 3))
    rows = np.arange(8) / 8 < rng.uniform(0.35, 0.65)
    # Eight by eight pixels, upsampled with soft edges.
    patches = np.where(rows[:, None, None], above, below) + rng.integers(-22, 23, size=(8, 8, 1))
    size = (SIDE * SUPERSAMPLING, SIDE * SUPERSAMPLING)
    return Image.fromarray(patches.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def vary(rng: np.random.Generator, colour: Colour, amount: int) -> Colour:
    """Returns a similar colour: each channel changes by at most `amount`, and the result is never black."""
    change = rng.integers(-amount, amount + 1, size=3).tolist()
    return tuple(min(255, max(20, channel + by)) for channel, by in zip(colour, change))


def photograph(rng: np.random.Generator, image: Image.Image) -> bytes:
    """Returns the PNG of an image (32, 32, 3) with random light and grain, flipped left to right half of the time."""
    pixels = np.asarray(image, np.float32)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    contrast, light = rng.uniform((0.7, -25.0), (1.1, 25.0))
    grain = rng.normal(0, rng.uniform(3, 10), size=pixels.shape)
    exposed = (pixels - 128) * contrast + 128 + light + grain
    buffer = io.BytesIO()
    Image.fromarray(exposed.clip(0, 255).astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
