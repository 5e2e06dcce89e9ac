"""Ray casting in NumPy: a camera, planes, boxes and ellipsoids, and what the camera sees of them.

World coordinates are in metres: x to the right, y down, z forward. Camera coordinates are x to the right, y down, and z
along the optical axis. A ray is `(x, y, 1)` in camera coordinates, so its parameter is the depth.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

_NEAREST = 1e-3
_UNBOUNDED = (-np.inf, np.inf)


@dataclass(frozen=True)
class Camera:
    """The intrinsics of a pinhole camera, in pixels.

    Positions follow the convention of `data.images`: pixel `i` covers `[i, i + 1)`, so its centre is at `i + 0.5`.

    Args:
        focal_x: focal length in columns.
        focal_y: focal length in rows.
        centre_x: principal point, distance from the left.
        centre_y: principal point, distance from the top.
        mirrored: whether the camera sees the mirror image of the scene: its x axis points to the left of the world's.
    """

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    mirrored: bool = False

    def flipped(self, width: int) -> Camera:
        """Returns the camera whose image is this one's flipped from left to right.

        Args:
            width: width of the image.
        """
        return replace(self, centre_x=width - self.centre_x, mirrored=not self.mirrored)

    def zoomed(self, scale_x: float, scale_y: float, left: float, top: float) -> Camera:
        """Returns the camera whose image is an enlarged window of this one's.

        Args:
            scale_x: columns of the result per column of this image.
            scale_y: rows of the result per row of this image.
            left: left edge of the window, in columns.
            top: top edge of the window, in rows.
        """
        return replace(
            self,
            focal_x=self.focal_x * scale_x,
            focal_y=self.focal_y * scale_y,
            centre_x=(self.centre_x - left) * scale_x,
            centre_y=(self.centre_y - top) * scale_y,
        )

    def rays(self, height: int, width: int) -> np.ndarray:
        """Returns the rays of all pixels in camera coordinates, float32 (3, height, width); z is 1."""
        rays = np.ones((3, height, width), np.float32)
        rays[0] = (np.arange(width) + 0.5 - self.centre_x) / self.focal_x
        rays[1] = ((np.arange(height) + 0.5 - self.centre_y) / self.focal_y)[:, None]
        return rays


@dataclass(frozen=True)
class Pose:
    """Where a camera is and where it looks.

    Args:
        position: world coordinates (x, y, z) in metres.
        yaw: rotation to the right about the vertical, in radians.
        pitch: rotation down, in radians.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float

    def axes(self, mirrored: bool) -> np.ndarray:
        """Returns the axes of the camera in world coordinates, the columns of a float32 (3, 3)."""
        yaw_cos, yaw_sin, cos, sin = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        turn = np.array([[yaw_cos, 0, yaw_sin], [0, 1, 0], [-yaw_sin, 0, yaw_cos]])
        tilt = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
        return (turn @ tilt @ np.diag([-1 if mirrored else 1, 1, 1])).astype(np.float32)


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Args:
        colour: (red, green, blue) in [0, 1].
        waves: the texture's wave vector in world coordinates, in radians per metre.
        contrast: how much brighter and darker the texture is, in [0, 1).
        glows: whether its brightness does not depend on the light.
    """

    colour: tuple[float, ...]
    waves: tuple[float, ...] = (0.0, 0.0, 0.0)
    contrast: float = 0.0
    glows: bool = False


@dataclass(frozen=True)
class Shape(ABC):
    """A surface in the world, of one class.

    Args:
        label: index of the class.
        material: how it looks.
    """

    label: int
    material: Material

    @abstractmethod
    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Returns the depth at which rays first meet the shape, inf for those that do not.

        Args:
            origin: the position of the camera, (3,).
            rays: rays in world coordinates, (3, pixels).
        """

    @abstractmethod
    def normal(self, points: np.ndarray) -> np.ndarray:
        """Returns vectors at a right angle to the surface at points on it, (3, points), of any length and side."""


@dataclass(frozen=True)
class Plane(Shape):
    """A plane or a rectangle that is parallel to two of the world's axes.

    Args:
        axis: the axis that it is at a right angle to: 0 for x, 1 for y, 2 for z.
        at: its coordinate on that axis.
        first: (lowest, highest) coordinate on the first of the other axes.
        second: the same on the second of them.
    """

    axis: int
    at: float
    first: tuple[float, float] = _UNBOUNDED
    second: tuple[float, float] = _UNBOUNDED

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        depth = (self.at - origin[self.axis]) / rays[self.axis]
        inside = depth > _NEAREST
        for axis, (low, high) in zip(sorted({0, 1, 2} - {self.axis}), (self.first, self.second)):
            if (low, high) != _UNBOUNDED:
                place = origin[axis] + depth * rays[axis]
                inside &= (place > low) & (place < high)
        return np.where(inside, depth, np.inf)

    def normal(self, points: np.ndarray) -> np.ndarray:
        return np.repeat(np.eye(3, dtype=np.float32)[:, self.axis, None], points.shape[1], axis=1)


@dataclass(frozen=True)
class Box(Shape):
    """A box that is rotated about the vertical.

    Args:
        centre: world coordinates of its centre.
        half: half of its extent along each of its own axes.
        yaw: its rotation in radians.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float = 0.0

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        half = np.array(self.half, np.float32)[:, None]
        start = self._turned((origin - np.array(self.centre, np.float32))[:, None], self.yaw)
        inverse = 1 / self._turned(rays, self.yaw)
        middle, reach = -start * inverse, half * np.abs(inverse)
        near = (middle - reach).max(axis=0)
        far = (middle + reach).min(axis=0)
        return np.where((near <= far) & (near > _NEAREST), near, np.inf)

    def normal(self, points: np.ndarray) -> np.ndarray:
        own = self._turned(points - np.array(self.centre, np.float32)[:, None], self.yaw)
        side = np.abs(own / np.array(self.half, np.float32)[:, None]).argmax(axis=0)
        return self._turned(np.eye(3, dtype=np.float32)[:, side], -self.yaw)

    @staticmethod
    def _turned(vectors: np.ndarray, yaw: float) -> np.ndarray:
        cos, sin = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
        x, y, z = vectors
        return np.stack([cos * x - sin * z, y, sin * x + cos * z])


@dataclass(frozen=True)
class Ellipsoid(Shape):
    """An ellipsoid whose axes are those of the world.

    Args:
        centre: world coordinates of its centre.
        radii: its radius along each axis.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        radii = np.array(self.radii, np.float32)
        start = (origin - np.array(self.centre, np.float32)) / radii
        scaled = rays / radii[:, None]
        square, product = (scaled * scaled).sum(axis=0), start @ scaled
        root = product * product - square * (start @ start - 1)
        depth = (-product - np.sqrt(np.maximum(root, 0))) / square
        return np.where((root > 0) & (depth > _NEAREST), depth, np.inf)

    def normal(self, points: np.ndarray) -> np.ndarray:
        radii = np.array(self.radii, np.float32)[:, None]
        return (points - np.array(self.centre, np.float32)[:, None]) / radii**2


class View(NamedTuple):
    """What a camera sees, for each pixel."""

    depth: np.ndarray
    """float32 (height, width), metres along the optical axis; inf where there is no shape."""
    shape: np.ndarray
    """int64 (height, width), index of the shape; -1 where there is none."""
    normal: np.ndarray
    """float32 (height, width, 3), unit vectors in camera coordinates that face the camera; zeros where there is no
    shape."""
    world_normal: np.ndarray
    """float32 (3, height, width), the same in world coordinates."""
    point: np.ndarray
    """float32 (3, height, width), world coordinates; the camera's position where there is no shape."""
    facing: np.ndarray
    """float32 (height, width), cosine of the angle between the normal and the direction to the camera."""


def view(shapes: Sequence[Shape], camera: Camera, pose: Pose, height: int, width: int) -> View:
    """Casts one ray per pixel.

    Args:
        shapes: what is in the world. The camera must be outside all boxes and ellipsoids.
        camera: the camera's intrinsics.
        pose: the camera's position and direction.
        height: height of the image.
        width: width of the image.
    """
    axes = pose.axes(camera.mirrored)
    rays = axes @ camera.rays(height, width).reshape(3, -1)
    origin = np.array(pose.position, np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    index = np.full(height * width, -1)
    # A ray parallel to a plane has an infinite depth.
    with np.errstate(divide="ignore", invalid="ignore"):
        for number, shape in enumerate(shapes):
            found = shape.hit(origin, rays)
            closer = found < depth
            np.copyto(depth, found, where=closer)
            index[closer] = number
    points = origin[:, None] + np.where(index >= 0, depth, 0) * rays
    normals = np.zeros_like(points)
    for number in np.unique(index[index >= 0]):
        pixels = np.flatnonzero(index == number)
        normals[:, pixels] = shapes[number].normal(points[:, pixels])
    length = np.sqrt((normals * normals).sum(axis=0))
    away = (normals * rays).sum(axis=0)
    normals *= -np.sign(away) / np.maximum(length, 1e-12)
    facing = np.abs(away) / np.maximum(length * np.sqrt((rays * rays).sum(axis=0)), 1e-12)
    return View(
        depth.reshape(height, width),
        index.reshape(height, width),
        np.ascontiguousarray((axes.T @ normals).T).reshape(height, width, 3),
        normals.reshape(3, height, width),
        points.reshape(3, height, width),
        facing.reshape(height, width),
    )
