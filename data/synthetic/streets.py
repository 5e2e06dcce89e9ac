"""Renders street scenes similar to Cityscapes: image, classes of pixels and inverse depth.

A straight road between pavements, houses and trees, with vehicles, people, lamp posts and signs, seen by a camera at
the height of a windscreen.

References:
    M. Cordts et al.: The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016,
    https://arxiv.org/abs/1604.01685
"""

from __future__ import annotations

import numpy as np

from data.synthetic.canvas import Colour, example_rng
from data.synthetic.raycast import Box, Camera, Ellipsoid, Material, Plane, Pose, Shape, view
from data.synthetic.sensors import blobs, borders, material, photograph, unmeasured

STREET_VERSION = 1
"""Part of the cache folder's name: increment it with every change to the drawings."""
STREET_SIZES = {"train": 400, "val": 100}
STREET_SHAPE = (64, 128)
STREET_CLASSES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
"""The 7 categories of Cityscapes, without `void`."""

_COLOURS: dict[str, tuple[Colour, ...]] = {
    "road": ((95, 95, 100), (120, 115, 110)),
    "pavement": ((150, 145, 140), (165, 150, 135)),
    "construction": ((165, 110, 85), (190, 175, 150), (140, 140, 150), (110, 85, 75)),
    "object": ((75, 75, 80), (120, 120, 120), (60, 70, 65)),
    "sign": ((205, 50, 45), (45, 90, 185), (235, 200, 60)),
    "trunk": ((85, 65, 45),),
    "nature": ((65, 110, 50), (95, 130, 60), (60, 90, 60)),
    "human": ((60, 60, 110), (150, 60, 55), (200, 195, 180), (50, 50, 50)),
    "skin": ((225, 180, 150), (140, 95, 70)),
    "vehicle": ((180, 35, 35), (40, 70, 150), (225, 225, 225), (45, 45, 50), (150, 155, 160)),
    "glass": ((60, 75, 90),),
}
# (wave number in radians per metre, contrast) of the texture; plain if absent.
_TEXTURES = {
    "road": (4.0, 0.06), "pavement": (9.0, 0.1), "construction": (2.6, 0.2), "nature": (14.0, 0.25),
    "human": (9.0, 0.1), "vehicle": (2.0, 0.05),
}  # fmt: skip
_SKIES: tuple[Colour, ...] = ((185, 205, 235), (215, 220, 225), (150, 185, 230))
_FARTHEST = 60.0
_RANGE = 100.0
"""Distance beyond which a stereo camera measures nothing, in metres."""


def street(
    seed: int,
    split: str,
    index: int,
    height: int = STREET_SHAPE[0],
    width: int = STREET_SHAPE[1],
    camera: Camera | None = None,
    *,
    clean: bool = False,
) -> dict[str, np.ndarray]:
    """Renders street `index` of `split`.

    For the first arguments see `data.synthetic.canvas.example_rng`.

    Args:
        seed: the dataset's seed.
        split: the split's name.
        index: the example's index in the split.
        height: height of the image.
        width: width of the image.
        camera: the intrinsics; by default `street_camera`. The same geometry is rendered.
        clean: whether to leave out the noise of the image and the pixels that a sensor gives no label for.

    Returns:
        `image`, float32 (height, width, 3) in [0, 1]; `label`, int32 (height, width), index in `STREET_CLASSES`, -1
        where unknown; `depth`, float32 (height, width, 1), *inverse* depth along the optical axis in 1 / metre, in
        [0, 0.5), 0 where unknown and in the sky.
    """
    rng = example_rng(seed, split, index)
    shapes, own, pose = _build(rng, height, width)
    seen = view(shapes, camera or own, pose, height, width)
    sky = _SKIES[rng.integers(len(_SKIES))]
    image = photograph(rng, shapes, seen, sky, noise=not clean)
    # Pixels without a shape, of index -1, are the sky.
    classes = np.array([*(shape.label for shape in shapes), STREET_CLASSES.index("sky")], np.int32)
    label, inverse = classes[seen.shape], 1 / seen.depth
    if not clean:
        label = np.where(borders(rng, height, width) | blobs(rng, height, width), -1, label).astype(np.int32)
        inverse = np.where((inverse < 1 / _RANGE) | unmeasured(rng, height, width), 0, inverse)
    return {"image": image, "label": label, "depth": inverse[..., None]}


def street_camera(
    seed: int, split: str, index: int, height: int = STREET_SHAPE[0], width: int = STREET_SHAPE[1]
) -> Camera:
    """Returns the camera that `street` uses by default; for the arguments see there."""
    return _build(example_rng(seed, split, index), height, width)[1]


def _look(rng: np.random.Generator, name: str) -> Material:
    waves, contrast = _TEXTURES.get(name, (0.0, 0.0))
    return material(rng, _COLOURS[name], waves=waves, contrast=contrast)


def _block(name: str, look: Material, size: tuple[float, float, float], x: float, z: float, bottom: float = 0.0) -> Box:
    """Returns a box: its class, material, width, height and depth, and the place of the centre of its bottom."""
    width, height, depth = size
    centre = (x, -bottom - height / 2, z)
    return Box(STREET_CLASSES.index(name), look, centre, (width / 2, height / 2, depth / 2))


def _ball(name: str, look: Material, radii: tuple[float, float, float], x: float, z: float, middle: float) -> Ellipsoid:
    """Returns an ellipsoid: its class, material, radii, and the place of its centre."""
    return Ellipsoid(STREET_CLASSES.index(name), look, (x, -middle, z), radii)


def _build(rng: np.random.Generator, height: int, width: int) -> tuple[list[Shape], Camera, Pose]:
    """Returns the shapes of a random street, whose road is at y = 0, the camera and its pose."""
    half, pavement = rng.uniform((3.2, 1.8), (5.5, 3.5)).tolist()
    eye = (float(rng.uniform(-half / 3, half / 2)), -float(rng.uniform(1.25, 1.8)), 0.0)
    pose = Pose(eye, float(rng.normal(0, 0.08)), float(rng.uniform(-0.02, 0.1)))
    focal = width * float(rng.uniform(0.7, 1.0))
    camera = Camera(focal, focal, width / 2, height / 2)
    shapes: list[Shape] = [Plane(STREET_CLASSES.index("flat"), _look(rng, "road"), 1, 0.0)]
    for side in (-1, 1):
        paving = _look(rng, "pavement")
        shapes.append(_block("flat", paving, (pavement, 0.15, 120.0), side * (half + pavement / 2), 62.0))
        shapes += _houses(rng, side, half + pavement)
        shapes += _roadside(rng, side, half, pavement)
    for z in np.arange(7.0, _FARTHEST, 9.0) + rng.uniform(0, 4, size=6):
        # Never in the camera's own lane and closer than a car's length.
        lane = rng.choice((-1, 1))
        if rng.random() < 0.45:
            shapes += _vehicle(rng, float(lane * half * rng.uniform(0.45, 0.75)), float(z))
    return shapes, camera, pose


def _houses(rng: np.random.Generator, side: int, edge: float) -> list[Shape]:
    """Returns the houses, gaps and hedges on one side of the road, beyond `edge` metres from its middle."""
    shapes: list[Shape] = []
    z = float(rng.uniform(-2, 4))
    while z < _FARTHEST:
        length, depth, tall, setback = rng.uniform((6, 6, 4, 0), (14, 10, 15, 1.5)).tolist()
        x = side * (edge + setback + depth / 2)
        if rng.random() < 0.7:
            shapes.append(_block("construction", _look(rng, "construction"), (depth, tall, length), x, z + length / 2))
        elif rng.random() < 0.6:
            hedge = float(rng.uniform(0.8, 2.5))
            shapes.append(_block("nature", _look(rng, "nature"), (depth, hedge, length), x, z + length / 2))
        z += length
    return shapes


def _roadside(rng: np.random.Generator, side: int, half: float, pavement: float) -> list[Shape]:
    """Returns trees, posts, signs and people on the pavement on one side of the road."""
    shapes: list[Shape] = []
    for z in (np.arange(4.5, 45.0, 4.5) + rng.uniform(0, 2, size=9)).tolist():
        x = side * (half + float(rng.uniform(0.4, pavement - 0.3)))
        kind = rng.random()
        if kind < 0.25:
            tall, wide = rng.uniform((1.6, 0.9), (3.0, 1.9)).tolist()
            shapes.append(_block("nature", _look(rng, "trunk"), (0.3, tall, 0.3), x, z))
            shapes.append(_ball("nature", _look(rng, "nature"), (wide, wide * 1.2, wide), x, z, tall + wide))
        elif kind < 0.5:
            tall = float(rng.uniform(2.2, 6.0))
            look = _look(rng, "object")
            shapes.append(_block("object", look, (0.16, tall, 0.16), x, z))
            sign, reach = (_look(rng, "sign"), 0.7) if tall < 3.5 else (look, 1.0)
            shapes.append(_block("object", sign, (reach, reach, 0.06), x, z - 0.1, tall - reach))
        elif kind < 0.75:
            tall = float(rng.uniform(1.45, 1.9))
            shapes.append(_ball("human", _look(rng, "human"), (0.27, tall * 0.43, 0.22), x, z, tall * 0.43))
            shapes.append(_ball("human", _look(rng, "skin"), (0.13, 0.15, 0.13), x, z, tall - 0.12))
    return shapes


def _vehicle(rng: np.random.Generator, x: float, z: float) -> list[Shape]:
    """Returns a car, a van or a lorry."""
    paint, glass = _look(rng, "vehicle"), _look(rng, "glass")
    if rng.random() < 0.25:
        tall, length = rng.uniform((2.0, 5.0), (3.0, 7.0)).tolist()
        return [_block("vehicle", paint, (2.1, tall, length), x, z + 1.5, 0.3)]
    return [
        _block("vehicle", paint, (1.8, 0.65, 4.2), x, z, 0.25),
        _block("vehicle", glass, (1.6, 0.5, 2.2), x, z + 0.2, 0.9),
        _block("vehicle", paint, (1.62, 0.06, 2.0), x, z + 0.2, 1.4),
    ]
