"""Renders indoor scenes similar to NYUv2: image, classes of pixels, depth and surface normals.

A room with a window, pictures and furniture of boxes, with small things on it, seen by a camera of random height,
direction and focal length. All labels come from the same geometry, so they agree exactly.

References:
    N. Silberman, D. Hoiem, P. Kohli, R. Fergus: Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012,
    https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from data.synthetic.canvas import Colour, example_rng
from data.synthetic.raycast import Box, Camera, Ellipsoid, Material, Plane, Pose, Shape, view
from data.synthetic.sensors import blobs, borders, material, photograph, unmeasured

ROOM_VERSION = 1
"""Part of the cache folder's name: increment it with every change to the drawings."""
ROOM_SIZES = {"train": 400, "val": 100}
ROOM_SHAPE = (96, 128)
ROOM_CLASSES = tuple("bed books ceiling chair floor furniture objects picture sofa table tv wall window".split())
"""The 13 classes of NYUv2-13."""

_GLANCING = 0.12
"""Cosine of the angle to the surface below which a depth sensor measures nothing."""
_CLEARANCE = 1.1
"""Least distance of furniture from the camera, in metres."""
_ATTEMPTS = 12

_COLOURS: dict[str, tuple[Colour, ...]] = {
    "bed": ((170, 115, 120), (110, 130, 185), (205, 190, 170)),
    "books": ((180, 60, 50), (60, 90, 155), (70, 125, 75), (205, 170, 60)),
    "ceiling": ((225, 225, 220), (205, 200, 190)),
    "chair": ((140, 85, 45), (60, 65, 80), (165, 60, 50)),
    "floor": ((150, 110, 75), (120, 115, 110), (165, 150, 120)),
    "furniture": ((120, 80, 50), (195, 185, 170), (90, 70, 60)),
    "objects": ((210, 80, 60), (70, 160, 90), (70, 110, 200), (225, 190, 70), (190, 190, 195)),
    "picture": ((190, 120, 80), (90, 120, 150), (130, 150, 90)),
    "sofa": ((100, 70, 60), (90, 100, 125), (150, 140, 115)),
    "table": ((165, 120, 70), (75, 55, 45), (190, 180, 170)),
    "tv": ((28, 28, 34),),
    "wall": ((210, 200, 180), (180, 195, 205), (200, 175, 155)),
    "window": ((222, 235, 250), (180, 210, 245)),
}
# (wave number in radians per metre, contrast) of the texture; plain if absent.
_TEXTURES = {
    "bed": (25.0, 0.12), "books": (160.0, 0.3), "chair": (30.0, 0.1), "floor": (45.0, 0.15), "furniture": (14.0, 0.1),
    "picture": (40.0, 0.45), "sofa": (60.0, 0.1), "table": (20.0, 0.1), "wall": (9.0, 0.04), "window": (5.0, 0.08),
}  # fmt: skip


class _Room(NamedTuple):
    shapes: list[Shape]
    camera: Camera
    pose: Pose


@dataclass
class _Spot:
    """A place on the floor, and the shapes that stand there.

    Args:
        rng: the scene's generator.
        x: world coordinate in metres.
        z: the same.
        yaw: rotation of what stands there, in radians.
    """

    rng: np.random.Generator
    x: float
    z: float
    yaw: float
    shapes: list[Shape] = field(default_factory=list)

    def look(self, name: str) -> Material:
        """Returns a material of a class."""
        return _look(self.rng, name)

    def block(
        self,
        name: str,
        size: tuple[float, float, float],
        bottom: float = 0.0,
        at: tuple[float, float] = (0.0, 0.0),
        look: Material | None = None,
    ) -> None:
        """Adds a box.

        Args:
            name: its class.
            size: its width, height and depth.
            bottom: height of its bottom above the floor.
            at: its offset to the right and back, in the spot's own axes.
            look: its material; by default a random one of the class.
        """
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        centre = (self.x + cos * at[0] + sin * at[1], -bottom - size[1] / 2, self.z - sin * at[0] + cos * at[1])
        half = (size[0] / 2, size[1] / 2, size[2] / 2)
        self.shapes.append(Box(ROOM_CLASSES.index(name), look or self.look(name), centre, half, self.yaw))

    def things(self, bottom: float, reach: float) -> None:
        """Puts a pile of books, a ball, a vase or a carton somewhere within `reach` of the centre."""
        right, back = self.rng.uniform(-reach, reach, size=2).tolist()
        kind = self.rng.integers(4)
        if kind == 0:
            for number in range(self.rng.integers(2, 5)):
                self.block("books", (0.3, 0.06, 0.22), bottom + 0.06 * number, (right, back))
            return
        if kind == 1:
            wide, tall = self.rng.uniform((0.15, 0.15), (0.4, 0.4)).tolist()
            self.block("objects", (wide, tall, wide), bottom, (right, back))
            return
        wide = float(self.rng.uniform(0.09, 0.2))
        tall = wide if kind == 2 else wide * 1.8
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        centre = (self.x + cos * right + sin * back, -bottom - tall, self.z - sin * right + cos * back)
        index = ROOM_CLASSES.index("objects")
        self.shapes.append(Ellipsoid(index, self.look("objects"), centre, (wide, tall, wide)))


def _bed(spot: _Spot) -> None:
    height = float(spot.rng.uniform(0.4, 0.6))
    spot.block("bed", (1.5, height, 1.9))
    spot.block("bed", (1.0, 0.15, 0.4), height, (0, 0.7))
    spot.block("furniture", (1.6, height + 0.5, 0.1), at=(0, 1.0))


def _sofa(spot: _Spot) -> None:
    look = spot.look("sofa")
    spot.block("sofa", (1.8, 0.45, 0.85), look=look)
    spot.block("sofa", (1.8, 0.85, 0.2), at=(0, 0.45), look=look)
    for side in (-0.95, 0.95):
        spot.block("sofa", (0.2, 0.62, 0.95), at=(side, 0.05), look=look)


def _table(spot: _Spot) -> None:
    look, height = spot.look("table"), float(spot.rng.uniform(0.45, 0.8))
    spot.block("table", (1.3, 0.06, 0.8), height - 0.06, look=look)
    for side in (-0.55, 0.55):
        spot.block("table", (0.08, height - 0.06, 0.6), at=(side, 0), look=look)
    for _ in range(spot.rng.integers(1, 3)):
        spot.things(height, 0.3)


def _chair(spot: _Spot) -> None:
    look = spot.look("chair")
    spot.block("chair", (0.5, 0.08, 0.5), 0.42, look=look)
    spot.block("chair", (0.5, 0.55, 0.07), 0.5, (0, 0.22), look)
    spot.block("chair", (0.14, 0.42, 0.14), look=look)


def _furniture(spot: _Spot) -> None:
    width, height, depth = spot.rng.uniform((0.7, 0.7, 0.4), (1.3, 1.9, 0.6)).tolist()
    spot.block("furniture", (width, height, depth))
    if height < 1.3:
        spot.things(height, 0.15)


def _tv(spot: _Spot) -> None:
    height = float(spot.rng.uniform(0.4, 0.6))
    spot.block("furniture", (1.3, height, 0.45))
    spot.block("tv", (1.1, 0.65, 0.07), height)


def _shelf(spot: _Spot) -> None:
    look = spot.look("furniture")
    for bottom in (0.0, 0.5, 1.0, 1.5):
        spot.block("furniture", (0.9, 0.06, 0.35), bottom, look=look)
        if bottom < 1.5:
            spot.block("books", (0.75, 0.3, 0.25), bottom + 0.06)
    spot.block("furniture", (0.9, 1.5, 0.05), at=(0, 0.18), look=look)


def _clutter(spot: _Spot) -> None:
    spot.things(0.0, 0.1)


# What can stand on the floor, and how far it reaches from its centre in metres.
_PIECES: tuple[tuple[Callable[[_Spot], None], float], ...] = (
    (_bed, 1.2), (_sofa, 1.05), (_table, 0.7), (_chair, 0.35), (_chair, 0.35), (_furniture, 0.65), (_tv, 0.7),
    (_shelf, 0.5), (_clutter, 0.25), (_clutter, 0.25),
)  # fmt: skip


def room(
    seed: int,
    split: str,
    index: int,
    height: int = ROOM_SHAPE[0],
    width: int = ROOM_SHAPE[1],
    camera: Camera | None = None,
    *,
    clean: bool = False,
) -> dict[str, np.ndarray]:
    """Renders room `index` of `split`.

    For the first arguments see `data.synthetic.canvas.example_rng`.

    Args:
        seed: the dataset's seed.
        split: the split's name.
        index: the example's index in the split.
        height: height of the image.
        width: width of the image.
        camera: the intrinsics; by default `room_camera`. The same geometry is rendered.
        clean: whether to leave out the noise of the image and the pixels that a sensor gives no label for.

    Returns:
        `image`, float32 (height, width, 3) in [0, 1]; `label`, int32 (height, width), index in `ROOM_CLASSES`, -1 where
        unknown; `depth`, float32 (height, width, 1), metres along the optical axis, 0 where unknown; `normal`, float32
        (height, width, 3), unit vectors in camera coordinates (x to the right, y down, z away from the camera) that
        face the camera, zeros where unknown.
    """
    rng = example_rng(seed, split, index)
    shapes, own, pose = _furnish(rng, height, width)
    seen = view(shapes, camera or own, pose, height, width)
    image = photograph(rng, shapes, seen, noise=not clean)
    label = np.array([shape.label for shape in shapes], np.int32)[seen.shape]
    depth, normal = seen.depth, seen.normal
    if not clean:
        # Depth goes through a window pane, and normals are fitted to depths.
        unseen = (label == ROOM_CLASSES.index("window")) | (seen.facing < _GLANCING)
        unseen |= unmeasured(rng, height, width)
        unfitted = unseen | unmeasured(rng, height, width)
        label = np.where(borders(rng, height, width) | blobs(rng, height, width), -1, label).astype(np.int32)
        depth = np.where(unseen, 0, depth)
        normal = np.where(unfitted[..., None], 0, normal)
    return {"image": image, "label": label, "depth": depth[..., None], "normal": normal}


def room_camera(seed: int, split: str, index: int, height: int = ROOM_SHAPE[0], width: int = ROOM_SHAPE[1]) -> Camera:
    """Returns the camera that `room` uses by default; for the arguments see there."""
    return _furnish(example_rng(seed, split, index), height, width).camera


def _look(rng: np.random.Generator, name: str) -> Material:
    waves, contrast = _TEXTURES.get(name, (0.0, 0.0))
    return material(rng, _COLOURS[name], waves=waves, contrast=contrast, glows=name == "window")


def _furnish(rng: np.random.Generator, height: int, width: int) -> _Room:
    """Returns the shapes of a random room, whose floor is at y = 0, and the camera in it."""
    wide, high, deep = rng.uniform((3.6, 2.3, 4.2), (6.0, 3.0, 7.0)).tolist()
    right = wide / 2
    eye = (float(rng.uniform(-right / 2, right / 2)), -float(rng.uniform(1.0, 1.8)), 0.3)
    pose = Pose(eye, float(rng.uniform(-0.45, 0.45)), float(rng.uniform(-0.08, 0.4)))
    focal = width * float(rng.uniform(0.65, 0.95))
    camera = Camera(focal, focal, width / 2, height / 2)
    wall = ROOM_CLASSES.index("wall")
    shapes: list[Shape] = [
        Plane(ROOM_CLASSES.index("floor"), _look(rng, "floor"), 1, 0.0),
        Plane(ROOM_CLASSES.index("ceiling"), _look(rng, "ceiling"), 1, -high),
    ]
    # The same paint on all walls; the light tells them apart.
    paint = _look(rng, "wall")
    shapes += [Plane(wall, paint, axis, at) for axis, at in ((0, -right), (0, right), (2, 0.0), (2, deep))]
    shapes += _decorate(rng, right, high, deep)
    taken: list[tuple[float, float, float]] = [(eye[0], eye[2], _CLEARANCE)]
    for number in rng.permutation(len(_PIECES))[: rng.integers(5, len(_PIECES))]:
        furnish, radius = _PIECES[number]
        for x, z in rng.uniform(
            (radius - right, radius), (right - radius, deep - radius), size=(_ATTEMPTS, 2)
        ).tolist():
            if all(math.hypot(x - other[0], z - other[1]) > radius + other[2] for other in taken):
                spot = _Spot(rng, x, z, float(rng.integers(4)) * math.pi / 2 + float(rng.normal(0, 0.25)))
                furnish(spot)
                shapes += spot.shapes
                taken.append((x, z, radius))
                break
    return _Room(shapes, camera, pose)


def _decorate(rng: np.random.Generator, right: float, high: float, deep: float) -> list[Shape]:
    """Returns a window, one or two pictures and sometimes a television on the walls in view, 2 cm in front of them."""
    walls = [(0, -right + 0.02), (0, right - 0.02), (2, deep - 0.02)]
    # Two places on each wall, so that nothing overlaps: (lowest, highest) coordinate along the wall.
    places = [(wall, (low, middle)) for wall in walls[:2] for low, middle in ((1.2, deep / 2), (deep / 2, deep - 0.1))]
    places += [(walls[2], (-right + 0.1, 0.0)), (walls[2], (0.0, right - 0.1))]
    names = ["window", "picture", "picture", "window", "tv"][: rng.integers(3, 6)]
    shapes: list[Shape] = []
    for name, number in zip(names, rng.permutation(len(places))):
        (axis, at), (low, end) = places[number]
        size, tall = rng.uniform((0.6, 0.5), (0.9, 1.0)) * (end - low, 1.2 if name == "window" else 0.8)
        start, top = rng.uniform((low, 0.3), (end - size, high - 0.6 - tall))
        along, upright = (float(start), float(start + size)), (float(top - high), float(top - high + tall))
        first, second = (upright, along) if axis == 0 else (along, upright)
        shapes.append(Plane(ROOM_CLASSES.index(name), _look(rng, name), axis, at, first, second))
    return shapes
