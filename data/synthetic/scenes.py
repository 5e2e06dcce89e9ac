"""Draws scenes similar to CIFAR-10 and CIFAR-100: (32, 32, 3) images of one thing in a place.

The ten classes of CIFAR-10 are ten shapes. In CIFAR-100 each of the twenty superclasses is a shape, and its five
classes are five colours of it, each with its own pattern. Each thing is randomly scaled, rotated, shifted and flipped,
in one of several places (some shared by several classes) and with random light.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from data.cifar100_classes import SUPERCLASS_OF_CLASS
from data.synthetic import shapes
from data.synthetic.canvas import SUPERSAMPLING, Canvas, Colour, encode, example_rng, vary

# Part of the cache folder's name: increment it with every change to the drawings.
SCENE_VERSION = 1
CIFAR10_SIZES = {"train": 6000, "test": 1000}
CIFAR100_SIZES = {"train": 10000, "test": 2000}

_SIDE = 32
_LARGE = _SIDE * SUPERSAMPLING
_DARKEST = 20  # never black, the colour of what is not drawn

# The colours above and below the horizon.
_PLACES: dict[str, tuple[Colour, Colour]] = {
    "sky": ((120, 170, 225), (185, 210, 235)),
    "sea": ((170, 200, 225), (45, 95, 145)),
    "road": ((175, 190, 200), (115, 115, 120)),
    "meadow": ((160, 195, 220), (100, 150, 70)),
    "wood": ((70, 95, 60), (120, 110, 70)),
    "sand": ((150, 195, 225), (215, 190, 140)),
    "room": ((215, 200, 180), (150, 115, 85)),
}

Shape = Callable[[Canvas, np.random.Generator, Colour], None]

_PAINTS: tuple[Colour, ...] = ((200, 50, 45), (45, 90, 185), (235, 235, 230), (235, 190, 50), (60, 65, 75))
_FURS: tuple[Colour, ...] = ((125, 85, 50), (190, 150, 100), (75, 60, 55), (150, 145, 140), (225, 215, 200))
_GREENS: tuple[Colour, ...] = ((75, 150, 60), (130, 165, 55), (95, 115, 50))

# In the order of TFDS' labels: shape, colours, places.
_CIFAR10: tuple[tuple[Shape, tuple[Colour, ...], tuple[str, ...]], ...] = (
    (shapes.airplane, _PAINTS, ("sky", "sky", "sea", "road")),
    (shapes.automobile, _PAINTS, ("road", "road", "meadow", "sand")),
    (shapes.bird, _PAINTS + _FURS, ("sky", "meadow", "wood", "sea")),
    (shapes.cat, _FURS, ("room", "room", "meadow", "road")),
    (shapes.deer, _FURS[:3], ("wood", "wood", "meadow", "sand")),
    (shapes.dog, _FURS, ("room", "meadow", "meadow", "sand")),
    (shapes.frog, _GREENS + _FURS[:1], ("wood", "meadow", "sand", "sea")),
    (shapes.horse, _FURS, ("meadow", "meadow", "sand", "wood")),
    (shapes.ship, _PAINTS, ("sea", "sea", "sea", "sky")),
    (shapes.truck, _PAINTS, ("road", "road", "sand", "meadow")),
)

# In the order of TFDS' labels of superclasses.
_CIFAR100: tuple[Shape, ...] = tuple(
    getattr(shapes, name)
    for name in (
        "whale fish flower cup fruit screen chair insect cat house "
        "mountain horse dog spider person snake mouse tree automobile truck"
    ).split()
)
_FIVE_COLOURS: tuple[Colour, ...] = ((205, 60, 50), (60, 100, 200), (225, 195, 60), (80, 160, 75), (165, 80, 170))
_RANK = tuple(SUPERCLASS_OF_CLASS[:label].count(group) for label, group in enumerate(SUPERCLASS_OF_CLASS))


def cifar10_scene(seed: int, split: str, index: int) -> dict[str, Any]:
    """Draws scene `index` of `split`.

    For the arguments see `data.synthetic.canvas.example_rng`.

    Returns:
        An example of TFDS' `cifar10`: `"id"`, the encoded PNG (32, 32, 3) as `"image"`, and `"label"`, from 0 to 9.
    """
    rng = example_rng(seed, split, index)
    label = int(rng.integers(10))
    shape, colours, places = _CIFAR10[label]
    scene = _backdrop(rng, places[rng.integers(len(places))])
    canvas = _place(rng, scene)
    shape(canvas, rng, vary(rng, colours[rng.integers(len(colours))], 18, _DARKEST))
    return {"id": _id(split, index), "image": _photograph(rng, canvas.finish()), "label": label}


def cifar100_scene(seed: int, split: str, index: int) -> dict[str, Any]:
    """Draws scene `index` of `split`.

    For the arguments see `data.synthetic.canvas.example_rng`.

    Returns:
        An example of TFDS' `cifar100`: `"id"`, the encoded PNG (32, 32, 3) as `"image"`, `"label"`, from 0 to 99, and
        `"coarse_label"`, from 0 to 19.
    """
    rng = example_rng(seed, split, index)
    label = int(rng.integers(100))
    superclass, rank = SUPERCLASS_OF_CLASS[label], _RANK[label]
    # On black, which is no colour of a shape, so that drawn pixels can be told from the background.
    thing = Image.new("RGB", (_LARGE, _LARGE))
    _CIFAR100[superclass](_place(rng, thing), rng, vary(rng, _FIVE_COLOURS[rank], 22, _DARKEST))
    pixels = np.asarray(thing)
    scene = _backdrop(rng, list(_PLACES)[rng.integers(len(_PLACES))])
    patterned = pixels * _pattern(rng, rank)[..., None]
    drawn = np.where(pixels.any(axis=-1, keepdims=True), patterned, np.asarray(scene)).astype(np.uint8)
    image = _photograph(rng, Image.fromarray(drawn).reduce(SUPERSAMPLING))
    return {"id": _id(split, index), "image": image, "label": label, "coarse_label": superclass}


def _id(split: str, index: int) -> str:
    return f"{split}_{index:05d}"


def _place(rng: np.random.Generator, image: Image.Image) -> Canvas:
    """Returns a canvas on an image, with random origin, scale and angle."""
    shift_x, shift_y, scale, turn = rng.uniform((-3, -2.5, 11, -0.15), (3, 2.5, 14.5, 0.15))
    return Canvas(image, complex(_SIDE / 2 + shift_x, _SIDE / 2 + shift_y), scale, turn)


def _pattern(rng: np.random.Generator, kind: int) -> np.ndarray:
    """Returns the brightness of a pattern, float (64, 64): plain, vertical or horizontal stripes, dots, diagonal."""
    pixels = np.arange(_LARGE) / SUPERSAMPLING
    start_down, start_across = rng.uniform(0, 6, size=2)
    down, across = pixels[:, None] + start_down, pixels + start_across
    wave_down, wave_across = np.sin(2 * np.pi * down / 5), np.sin(2 * np.pi * across / 5)
    patterns = (0.0, wave_across, wave_down, wave_down * wave_across, np.sin((down + across) * 0.9))
    return np.broadcast_to(0.78 + 0.22 * patterns[kind], (_LARGE, _LARGE))


def _backdrop(rng: np.random.Generator, place: str) -> Image.Image:
    """Returns one of `_PLACES`, (64, 64, 3), with random light, hues, horizon and patches of colour."""
    above, below = np.array(_PLACES[place]) + rng.integers(-28, 29, size=(2, 3))
    rows = np.arange(8) / 8 < rng.uniform(0.35, 0.65)
    # Eight by eight pixels, upsampled with soft edges.
    patches = np.where(rows[:, None, None], above, below) + rng.integers(-22, 23, size=(8, 8, 1))
    small = Image.fromarray(patches.clip(0, 255).astype(np.uint8))
    return small.resize((_LARGE, _LARGE), Image.Resampling.BILINEAR)


def _photograph(rng: np.random.Generator, image: Image.Image) -> bytes:
    """Returns the PNG of an image (32, 32, 3) with random light and grain, flipped left to right half of the time."""
    pixels = np.asarray(image, np.float32)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    contrast, light = rng.uniform((0.7, -25.0), (1.1, 25.0))
    grain = rng.normal(0, rng.uniform(3, 10), size=pixels.shape)
    exposed = (pixels - 128) * contrast + 128 + light + grain
    return encode(Image.fromarray(exposed.clip(0, 255).astype(np.uint8)), "PNG", compress_level=1)
