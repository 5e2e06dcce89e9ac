"""Light, texture and noise of a rendered image, and the pixels that a sensor gives no label for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.synthetic.canvas import Colour, vary
from data.synthetic.raycast import Material, Shape, View

_LEVELS = 255


def material(
    rng: np.random.Generator,
    colours: Sequence[Colour],
    *,
    waves: float = 0.0,
    contrast: float = 0.0,
    glows: bool = False,
) -> Material:
    """Returns a material of a random colour and texture.

    Args:
        rng: the scene's generator.
        colours: base colours from 0 to 255, of which one is varied.
        waves: wave number of the texture, in radians per metre.
        contrast: contrast of the texture, in [0, 1).
        glows: whether its brightness does not depend on the light.
    """
    colour = vary(rng, colours[int(rng.integers(len(colours)))], 22)
    direction = rng.normal(size=3)
    direction *= waves / np.linalg.norm(direction)
    return Material(tuple(channel / _LEVELS for channel in colour), tuple(direction.tolist()), contrast, glows)


def photograph(
    rng: np.random.Generator, shapes: Sequence[Shape], seen: View, sky: Colour = (0, 0, 0), *, noise: bool = True
) -> np.ndarray:
    """Returns the image of a view: Lambert shading under one distant light, texture and noise.

    Args:
        rng: the scene's generator, for the light and the noise.
        shapes: what is in the world.
        seen: the view.
        sky: colour from 0 to 255 of pixels without a shape.
        noise: whether to add the noise of a sensor.

    Returns:
        float32 (height, width, 3) in [0, 1], multiples of 1 / 255.
    """
    materials = [shape.material for shape in shapes]
    # The last row is that of pixels without a shape, whose index is -1.
    colours = np.array([*(m.colour for m in materials), np.array(sky) / _LEVELS], np.float32)
    waves = np.array([*(m.waves for m in materials), (0, 0, 0)], np.float32)
    contrasts = np.array([*(m.contrast for m in materials), 0], np.float32)
    glows = np.array([*(m.glows for m in materials), True])
    light = rng.normal(size=3) * (1, 0.3, 1) - (0, 1.2, 0)
    ambient, exposure, grain = rng.uniform((0.35, 0.85, 0.01), (0.55, 1.1, 0.035))
    light = (light / np.linalg.norm(light)).astype(np.float32)
    diffuse = np.maximum(np.tensordot(light, seen.world_normal, 1), 0)
    brightness = np.where(glows[seen.shape], 1, ambient + (1 - ambient) * diffuse)
    phase = np.einsum("hwc,chw->hw", waves[seen.shape], seen.point)
    brightness *= exposure * (1 + contrasts[seen.shape] * np.sin(phase))
    pixels = colours[seen.shape] * brightness[..., None].astype(np.float32)
    if noise:
        pixels += rng.standard_normal(pixels.shape, np.float32) * np.float32(grain)
    return (np.rint(pixels.clip(0, 1) * _LEVELS) / _LEVELS).astype(np.float32)


def borders(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns where a sensor sees nothing because it covers less than the image: strips at the edges.

    Returns:
        bool (height, width), `True` without a value.
    """
    missing = np.zeros((height, width), bool)
    top, bottom, left, right = rng.integers(0, 1 + np.repeat([height, width], 2) // 24).tolist()
    missing[:top] = missing[height - bottom :] = True
    missing[:, :left] = missing[:, width - right :] = True
    return missing


def blobs(rng: np.random.Generator, height: int, width: int, most: int = 4) -> np.ndarray:
    """Returns random ellipses without a value, bool (height, width); 1 to `most` of them."""
    size = np.array([height, width])
    missing = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, most + 1)):
        (down, across), (tall, wide) = rng.uniform(0, size), rng.uniform(size / 40, size / 10)
        rows, columns = (np.arange(height) - down) / tall, (np.arange(width) - across) / wide
        missing |= (rows * rows)[:, None] + columns * columns < 1
    return missing


def unmeasured(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns where a sensor gives no value at random, `borders` and `blobs`: bool (height, width)."""
    return borders(rng, height, width) | blobs(rng, height, width)
