"""Draws garments similar to Fashion-MNIST: (28, 28, 1) images of ten silhouettes on black.

Each garment is randomly scaled, sheared, rotated and shifted, and has random brightness, stripes and grain.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from data.synthetic.canvas import SUPERSAMPLING, Canvas, Colour, Points, mirrored
from data.synthetic.seeding import example_rng

# Part of the cache folder's name: increment it with every change to the drawings.
GARMENT_VERSION = 2
GARMENT_SIZES = {"train": 6000, "test": 1000}

SIDE = 28

_CLOTH: Colour = (255,)
_TRIM: Colour = (120,)
_HOLE: Colour = (0,)


def garment(seed: int, split: str, index: int) -> dict[str, Any]:
    """Draws garment `index` of `split`.

    Args:
        seed: the data set's seed, >= 0.
        split: the split's name.
        index: the garment's index in the split.

    Returns:
        An example of TFDS' `fashion_mnist`: the encoded PNG (28, 28, 1) as `"image"`, and `"label"`, from 0 to 9.
    """
    rng = example_rng(seed, split, index)
    label = int(rng.integers(10))
    size = SIDE * SUPERSAMPLING
    shift_x, shift_y, scale, turn, shear = rng.uniform((-1.5, -1.5, 9.5, -0.1, -0.12), (1.5, 1.5, 12.0, 0.1, 0.12))
    canvas = Canvas(Image.new("L", (size, size)), complex(SIDE / 2 + shift_x, SIDE / 2 + shift_y), scale, turn)
    _DRAW[label](canvas, rng)
    slanted = canvas.finish().transform(
        (SIDE, SIDE), Image.Transform.AFFINE, (1, shear, -shear * SIDE / 2, 0, 1, 0), Image.Resampling.BILINEAR
    )
    buffer = io.BytesIO()
    Image.fromarray(_weave(rng, np.asarray(slanted, np.float32) / 255)).save(buffer, "PNG")
    return {"image": buffer.getvalue(), "label": label}


def _weave(rng: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """Returns a shape (28, 28), between 0 and 1, with random brightness, stripes and grain."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 9)
    stripes = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / period)
    brightness = rng.uniform(90, 235) * (1 + rng.uniform(0, 0.35) * stripes)
    grain = rng.normal(0, rng.uniform(4, 22), size=shape.shape)
    return np.clip(shape * (brightness + grain), 0, 255).astype(np.uint8)


def _outline(*corners: tuple[float, float]) -> Points:
    return np.array([complex(x, y) for x, y in corners])


def _symmetric(*right: tuple[float, float]) -> Points:
    """Returns a symmetric outline from its right half, top to bottom."""
    half = _outline(*right)
    return np.concatenate([half, mirrored(half, -1)[::-1]])


def _top(canvas: Canvas, rng: np.random.Generator, *, cuff: complex, neck: float, hem: float = 0.9) -> None:
    """Draws a garment with sleeves that end at `cuff`, a neckline of depth `neck` and a hem at height `hem`."""
    width = rng.uniform(0.42, 0.54)
    canvas.polygon(_symmetric((0.2, -0.95), (width, -0.85), (width * rng.uniform(0.9, 1.1), hem)), _CLOTH)
    shoulder, armpit = complex(width, -0.85), complex(width - 0.06, -0.4)
    arm = np.array([shoulder - 0.1, shoulder, cuff, cuff - 0.22 + 0.12j, armpit])
    for side in (-1, 1):
        canvas.polygon(mirrored(arm, side), _CLOTH)
    canvas.ellipse(-1j, 0.22, neck, _HOLE)


def _cuff(rng: np.random.Generator, shortest: float, longest: float) -> complex:
    """Returns the end of a sleeve with a random length between 0 (short) and 1 (long)."""
    return complex(0.95, -0.4 + 1.1 * rng.uniform(shortest, longest))


def _tshirt(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, cuff=_cuff(rng, 0.0, 0.1), neck=0.22)


def _trouser(canvas: Canvas, rng: np.random.Generator) -> None:
    hem = rng.uniform(0.24, 0.44)
    leg = _outline((0.0, -1.0), (0.42, -1.0), (0.5, 1.0), (0.5 - hem, 1.0), (0.06, -0.4), (0.0, -0.4))
    for side in (-1, 1):
        canvas.polygon(mirrored(leg, side), _CLOTH)


def _pullover(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, cuff=_cuff(rng, 0.85, 1.0), neck=0.14)
    canvas.line(_outline((-0.5, 0.84), (0.5, 0.84)), _TRIM, 0.12)


def _dress(canvas: Canvas, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.2, 0.3), rng.uniform(0.5, 0.75)
    canvas.polygon(_symmetric((0.14, -1.0), (0.34, -0.9), (waist, -0.2), (hem, 1.0)), _CLOTH)
    canvas.ellipse(-1.02j, 0.15, 0.16, _HOLE)


def _coat(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, cuff=_cuff(rng, 0.85, 1.0), neck=0.1, hem=rng.uniform(0.95, 1.1))
    canvas.polygon(_symmetric((0.05, -0.95), (0.3, -0.9), (0.05, -0.3)), _TRIM)
    canvas.line(_outline((0.0, -0.6), (0.0, 1.1)), _HOLE, 0.09)


def _sandal(canvas: Canvas, rng: np.random.Generator) -> None:
    heel = 0.2 - rng.uniform(0.0, 0.35)
    canvas.line(_outline((-1.0, 0.6), (-0.2, 0.55), (0.9, heel), (0.9, 0.65)), _CLOTH, 0.16)
    toe, ankle = rng.uniform(0.0, 0.2), rng.uniform(-0.5, -0.3)
    canvas.line(_outline((-0.85, 0.55), (-0.6, toe), (-0.3, 0.55)), _CLOTH, 0.12)
    canvas.line(_outline((0.1, 0.45), (0.3, ankle), (0.85, ankle + 0.05), (0.9, heel)), _CLOTH, 0.12)


def _shirt(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, cuff=_cuff(rng, 0.0, 1.0), neck=0.16)
    for height in np.linspace(-0.55, 0.8, 5):
        canvas.ellipse(1j * height, 0.08, 0.08, _HOLE)


def _sneaker(canvas: Canvas, rng: np.random.Generator) -> None:
    toe, collar = rng.uniform(0.05, 0.2), rng.uniform(-0.35, -0.2)
    upper = _outline((-1.0, 0.4), (-0.9, toe), (-0.2, -0.1), (0.35, collar), (0.95, collar + 0.05), (1.0, 0.4))
    canvas.polygon(upper, _CLOTH)
    canvas.line(_outline((-1.0, 0.45), (1.0, 0.45)), _TRIM, 0.16)


def _bag(canvas: Canvas, rng: np.random.Generator) -> None:
    width, top = rng.uniform(0.75, 1.0), rng.uniform(-0.3, -0.05)
    canvas.ellipse(1j * top, width * 0.55, rng.uniform(0.5, 0.7), _CLOTH)
    canvas.ellipse(1j * top, width * 0.4, 0.42, _HOLE)
    canvas.polygon(_symmetric((width, top), (width * rng.uniform(0.85, 1.0), 0.8)), _CLOTH)


def _boot(canvas: Canvas, rng: np.random.Generator) -> None:
    shaft, heel = rng.uniform(-0.95, -0.6), rng.uniform(0.0, 0.25)
    leg = _outline((0.1, 0.1), (0.15, shaft), (0.85, shaft), (0.95, 0.8))
    canvas.polygon(np.append(leg, _outline((0.6, 0.8 - heel), (-0.9, 0.8), (-1.0, 0.45))), _CLOTH)


# In the order of TFDS' labels.
_DRAW: tuple[Callable[[Canvas, np.random.Generator], None], ...] = (
    _tshirt,
    _trouser,
    _pullover,
    _dress,
    _coat,
    _sandal,
    _shirt,
    _sneaker,
    _bag,
    _boot,
)
