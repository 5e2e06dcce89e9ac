"""Draws garments similar to Fashion-MNIST: (28, 28, 1) images of ten silhouettes on black.

Each garment is randomly scaled, sheared, rotated and shifted, and has random brightness, stripes and grain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from data.synthetic.canvas import SUPERSAMPLING, Canvas, Colour, encode, example_rng, symmetric

# Part of the cache folder's name: increment it with every change to the drawings.
GARMENT_VERSION = 2
GARMENT_SIZES = {"train": 6000, "test": 1000}

_SIDE = 28

_CLOTH: Colour = (255,)
_TRIM: Colour = (120,)
_HOLE: Colour = (0,)


def garment(seed: int, split: str, index: int) -> dict[str, Any]:
    """Draws garment `index` of `split`.

    For the arguments see `data.synthetic.canvas.example_rng`.

    Returns:
        An example of TFDS' `fashion_mnist`: the encoded PNG (28, 28, 1) as `"image"`, and `"label"`, from 0 to 9.
    """
    rng = example_rng(seed, split, index)
    label = int(rng.integers(10))
    size = _SIDE * SUPERSAMPLING
    shift_x, shift_y, scale, turn, shear = rng.uniform((-1.5, -1.5, 9.5, -0.1, -0.12), (1.5, 1.5, 12.0, 0.1, 0.12))
    canvas = Canvas(Image.new("L", (size, size)), complex(_SIDE / 2 + shift_x, _SIDE / 2 + shift_y), scale, turn)
    _DRAW[label](canvas, rng)
    slanted = canvas.finish().transform(
        (_SIDE, _SIDE), Image.Transform.AFFINE, (1, shear, -shear * _SIDE / 2, 0, 1, 0), Image.Resampling.BILINEAR
    )
    woven = Image.fromarray(_weave(rng, np.asarray(slanted, np.float32) / 255))
    return {"image": encode(woven, "PNG"), "label": label}


def _weave(rng: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """Returns a shape (28, 28), between 0 and 1, with random brightness, stripes and grain."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 9)
    stripes = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / period)
    brightness = rng.uniform(90, 235) * (1 + rng.uniform(0, 0.35) * stripes)
    grain = rng.normal(0, rng.uniform(4, 22), size=shape.shape)
    return np.clip(shape * (brightness + grain), 0, 255).astype(np.uint8)


def _top(canvas: Canvas, rng: np.random.Generator, cuff: complex, neck: float, hem: float = 0.9) -> None:
    """Draws a garment with sleeves that end at `cuff`, a neckline of depth `neck` and a hem at height `hem`."""
    width = rng.uniform(0.42, 0.54)
    canvas.polygon(symmetric(0.2 - 0.95j, width - 0.85j, complex(width * rng.uniform(0.9, 1.1), hem)), _CLOTH)
    shoulder = [width - 0.1 - 0.85j, width - 0.85j]
    canvas.polygon([*shoulder, cuff, cuff - 0.22 + 0.12j, width - 0.06 - 0.4j], _CLOTH, both=True)
    canvas.ellipse(-1j, 0.22, neck, _HOLE)


def _cuff(rng: np.random.Generator, shortest: float, longest: float) -> complex:
    """Returns the end of a sleeve with a random length between 0 (short) and 1 (long)."""
    return complex(0.95, -0.4 + 1.1 * rng.uniform(shortest, longest))


def _tshirt(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, _cuff(rng, 0.0, 0.1), neck=0.22)


def _trouser(canvas: Canvas, rng: np.random.Generator) -> None:
    hem = rng.uniform(0.24, 0.44)
    canvas.polygon([-1j, 0.42 - 1j, 0.5 + 1j, 0.5 - hem + 1j, 0.06 - 0.4j, -0.4j], _CLOTH, both=True)


def _pullover(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, _cuff(rng, 0.85, 1.0), neck=0.14)
    canvas.line([-0.5 + 0.84j, 0.5 + 0.84j], _TRIM, 0.12)


def _dress(canvas: Canvas, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.2, 0.3), rng.uniform(0.5, 0.75)
    canvas.polygon(symmetric(0.14 - 1j, 0.34 - 0.9j, waist - 0.2j, hem + 1j), _CLOTH)
    canvas.ellipse(-1.02j, 0.15, 0.16, _HOLE)


def _coat(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, _cuff(rng, 0.85, 1.0), neck=0.1, hem=rng.uniform(0.95, 1.1))
    canvas.polygon(symmetric(0.05 - 0.95j, 0.3 - 0.9j, 0.05 - 0.3j), _TRIM)
    canvas.line([-0.6j, 1.1j], _HOLE, 0.09)


def _sandal(canvas: Canvas, rng: np.random.Generator) -> None:
    heel = 0.9 + 1j * (0.2 - rng.uniform(0.0, 0.35))
    canvas.line([-1 + 0.6j, -0.2 + 0.55j, heel, 0.9 + 0.65j], _CLOTH, 0.16)
    toe, ankle = rng.uniform(0.0, 0.2), rng.uniform(-0.5, -0.3)
    canvas.line([-0.85 + 0.55j, complex(-0.6, toe), -0.3 + 0.55j], _CLOTH, 0.12)
    canvas.line([0.1 + 0.45j, complex(0.3, ankle), complex(0.85, ankle + 0.05), heel], _CLOTH, 0.12)


def _shirt(canvas: Canvas, rng: np.random.Generator) -> None:
    _top(canvas, rng, _cuff(rng, 0.0, 1.0), neck=0.16)
    for height in np.linspace(-0.55, 0.8, 5):
        canvas.ellipse(1j * height, 0.08, 0.08, _HOLE)


def _sneaker(canvas: Canvas, rng: np.random.Generator) -> None:
    toe, collar = rng.uniform(0.05, 0.2), rng.uniform(-0.35, -0.2)
    back = [complex(0.35, collar), complex(0.95, collar + 0.05), 1 + 0.4j]
    canvas.polygon([-1 + 0.4j, complex(-0.9, toe), -0.2 - 0.1j, *back], _CLOTH)
    canvas.line([-1 + 0.45j, 1 + 0.45j], _TRIM, 0.16)


def _bag(canvas: Canvas, rng: np.random.Generator) -> None:
    width, top = rng.uniform(0.75, 1.0), rng.uniform(-0.3, -0.05)
    canvas.ellipse(1j * top, width * 0.55, rng.uniform(0.5, 0.7), _CLOTH)
    canvas.ellipse(1j * top, width * 0.4, 0.42, _HOLE)
    canvas.polygon(symmetric(complex(width, top), width * rng.uniform(0.85, 1.0) + 0.8j), _CLOTH)


def _boot(canvas: Canvas, rng: np.random.Generator) -> None:
    shaft, heel = rng.uniform(-0.95, -0.6), rng.uniform(0.0, 0.25)
    leg = [0.1 + 0.1j, complex(0.15, shaft), complex(0.85, shaft), 0.95 + 0.8j]
    canvas.polygon([*leg, complex(0.6, 0.8 - heel), -0.9 + 0.8j, -1 + 0.45j], _CLOTH)


# In the order of TFDS' labels.
_DRAW: tuple[Callable[[Canvas, np.random.Generator], None], ...] = (
    *(_tshirt, _trouser, _pullover, _dress, _coat),
    *(_sandal, _shirt, _sneaker, _bag, _boot),
)
