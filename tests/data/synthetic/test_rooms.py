"""The labels of rendered scenes come from one geometry; the files on disk are what was rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.synthetic import (
    ROOM_CLASSES,
    STREET_CLASSES,
    Camera,
    materialise_npy,
    npy_writer,
    room,
    room_camera,
    street,
    street_camera,
)
from data.synthetic.raycast import Box, Ellipsoid, Material, Pose, Shape, view
from data.tfds_reader import DRAWN

Scene = dict[str, np.ndarray]
COUNT = 40


@pytest.fixture(scope="module")
def rooms() -> list[Scene]:
    return [room(0, "train", i) for i in range(COUNT)]


@pytest.fixture(scope="module")
def streets() -> list[Scene]:
    return [street(0, "train", i) for i in range(COUNT)]


def points(scene: Scene, camera: Camera) -> np.ndarray:
    """Returns the points that the pixels show, (height, width, 3) in camera coordinates."""
    return scene["depth"] * np.moveaxis(camera.rays(*scene["label"].shape), 0, -1)


@pytest.mark.parametrize("render", [room, street])
def test_a_scene_depends_on_its_arguments_only(render: Callable[..., Scene]) -> None:
    first, again = render(3, "val", 5), render(3, "val", 5)
    assert all(np.array_equal(first[kind], again[kind]) for kind in first)
    for other in (render(4, "val", 5), render(3, "train", 5), render(3, "val", 6)):
        assert all(not np.array_equal(first[kind], other[kind]) for kind in first)


def test_shapes_and_types(rooms: list[Scene], streets: list[Scene]) -> None:
    shapes = {"image": (96, 128, 3), "label": (96, 128), "depth": (96, 128, 1), "normal": (96, 128, 3)}
    assert {kind: array.shape for kind, array in rooms[0].items()} == shapes
    for scene in (rooms[0], streets[0]):
        assert all(array.dtype == ("int32" if kind == "label" else "float32") for kind, array in scene.items())
    assert {kind: array.shape for kind, array in streets[0].items()} == {
        "image": (64, 128, 3),
        "label": (64, 128),
        "depth": (64, 128, 1),
    }
    for scene in rooms + streets:
        levels = scene["image"] * 255
        assert levels.min() >= 0
        assert levels.max() <= 255
        np.testing.assert_allclose(levels, levels.round(), atol=1e-4)


def test_all_classes_occur(rooms: list[Scene], streets: list[Scene]) -> None:
    assert {int(label) for scene in rooms for label in np.unique(scene["label"])} == set(range(-1, len(ROOM_CLASSES)))
    found = {int(label) for scene in streets for label in np.unique(scene["label"])}
    assert found == set(range(-1, len(STREET_CLASSES)))


def test_colours_alone_do_not_tell_the_classes_apart(rooms: list[Scene]) -> None:
    pixels, labels = (
        np.concatenate([scene[kind].reshape(96 * 128, -1) for scene in rooms]) for kind in ("image", "label")
    )
    labels = labels[:, 0]
    means = np.stack([pixels[labels == label].mean(axis=0) for label in range(len(ROOM_CLASSES))])
    nearest = ((pixels[::50, None] - means) ** 2).sum(-1).argmin(1)
    recall = np.mean([(nearest == label)[labels[::50] == label].mean() for label in range(len(ROOM_CLASSES))])
    assert 1.5 / len(ROOM_CLASSES) < recall < 0.5


def test_normals_are_unit_vectors_that_face_the_camera(rooms: list[Scene]) -> None:
    for index, scene in enumerate(rooms):
        valid = (scene["normal"] != 0).any(-1)
        np.testing.assert_allclose(np.linalg.norm(scene["normal"][valid], axis=-1), 1, atol=1e-5)
        rays = np.moveaxis(room_camera(0, "train", index).rays(96, 128), 0, -1)
        assert ((scene["normal"] * rays).sum(-1)[valid] < 0).all()


@pytest.mark.parametrize("index", range(5))
def test_depths_agree_with_normals(index: int) -> None:
    scene = room(0, "train", index, clean=True)
    normal, place = scene["normal"], points(scene, room_camera(0, "train", index))
    for axis in (0, 1):
        step = np.diff(place, axis=axis)
        first = np.take(normal, range(normal.shape[axis] - 1), axis=axis)
        second = np.take(normal, range(1, normal.shape[axis]), axis=axis)
        plane = (first * second).sum(-1) > 0.99999
        slope = np.abs((first * step).sum(-1)) / np.linalg.norm(step, axis=-1)
        assert plane.mean() > 0.8
        # The others are parallel surfaces behind each other.
        assert (slope[plane] < 2e-3).mean() > 0.96


@pytest.mark.parametrize(
    "shape",
    [
        Box(0, Material((1.0, 1.0, 1.0)), (0.2, 0.1, 3.0), (0.7, 0.4, 0.5), 0.7),
        Ellipsoid(0, Material((1.0, 1.0, 1.0)), (0.2, 0.1, 3.0), (1.0, 0.5, 0.6)),
    ],
)
def test_normals_are_at_right_angles_to_surfaces(shape: Shape) -> None:
    camera = Camera(100.0, 90.0, 66.0, 45.0)
    seen = view([shape], camera, Pose((-0.5, -0.7, 0.1), 0.2, 0.25), 96, 128)
    assert 0.1 < np.isfinite(seen.depth).mean() < 0.9
    place = np.where(np.isfinite(seen.depth), seen.depth, np.nan)[..., None] * np.moveaxis(camera.rays(96, 128), 0, -1)
    inner = seen.normal[1:-1, 1:-1]
    for step in (place[2:, 1:-1] - place[:-2, 1:-1], place[1:-1, 2:] - place[1:-1, :-2]):
        slope = np.abs((inner * step).sum(-1)) / np.linalg.norm(step, axis=-1)
        assert np.nanmedian(slope) < 5e-3
        assert np.nanquantile(slope, 0.9) < 0.03


@pytest.mark.parametrize("index", range(5))
def test_floor_ceiling_and_walls_are_planes(index: int) -> None:
    scene = room(0, "train", index, clean=True)
    place = points(scene, room_camera(0, "train", index))
    floor, ceiling = (scene["label"] == ROOM_CLASSES.index(name) for name in ("floor", "ceiling"))
    up = scene["normal"][floor].mean(axis=0, dtype=float)
    assert up[1] < -0.9  # y points down
    eye = -(place[floor] @ up)
    np.testing.assert_allclose(eye, eye.mean(), atol=1e-3)
    assert 1 <= eye.mean() <= 1.8
    if ceiling.any():
        np.testing.assert_allclose(scene["normal"][ceiling] @ up, -1, atol=1e-5)
        assert 2.3 <= (place[ceiling] @ up).mean() + eye.mean() <= 3.0
    walls = scene["label"] == ROOM_CLASSES.index("wall")
    np.testing.assert_allclose(scene["normal"][walls] @ up, 0, atol=1e-5)


def test_a_flipped_camera_sees_the_flipped_scene() -> None:
    seen = room(1, "val", 2, clean=True)
    flipped = room(1, "val", 2, camera=room_camera(1, "val", 2).flipped(128), clean=True)
    assert np.array_equal(flipped["label"], seen["label"][:, ::-1])
    np.testing.assert_allclose(flipped["depth"], seen["depth"][:, ::-1], rtol=1e-4)
    np.testing.assert_allclose(flipped["normal"], seen["normal"][:, ::-1] * (-1, 1, 1), atol=1e-3)
    assert (np.abs(flipped["image"] - seen["image"][:, ::-1]) < 0.01).mean() > 0.99


@pytest.mark.parametrize(("render", "camera"), [(room, room_camera), (street, street_camera)])
def test_a_zoomed_camera_sees_a_window(render: Callable[..., Scene], camera: Callable[..., Camera]) -> None:
    seen = render(1, "val", 2, 96, 128, clean=True)
    zoomed = render(1, "val", 2, 99, 120, camera(1, "val", 2, 96, 128).zoomed(3, 3, 20, 30), clean=True)
    # Of three pixels the middle one is where the pixel of the original is.
    for kind in seen:
        np.testing.assert_allclose(zoomed[kind][1::3, 1::3], seen[kind][30:63, 20:60], rtol=1e-3, atol=5e-3)


def test_sensors_miss_some_pixels(rooms: list[Scene]) -> None:
    missing = np.stack(
        [(scene["label"] == -1, scene["depth"][..., 0] == 0, ~(scene["normal"] != 0).any(-1)) for scene in rooms]
    )
    shares = missing.mean(axis=(2, 3))
    assert (shares > 0).all()
    assert (shares.mean(axis=0) < 0.25).all()
    assert all((a != b).any() for label, depth, normal in missing for a, b in ((label, depth), (depth, normal)))
    window = ROOM_CLASSES.index("window")
    assert all((scene["depth"][scene["label"] == window] == 0).all() for scene in rooms)
    clean = room(0, "train", 0, clean=True)
    assert clean["label"].min() >= 0
    assert clean["depth"].min() > 0
    assert (clean["normal"] != 0).any(-1).all()
    assert not np.array_equal(clean["image"], rooms[0]["image"])


def test_inverse_depths_of_streets(streets: list[Scene]) -> None:
    sky = STREET_CLASSES.index("sky")
    for scene in streets:
        depth = scene["depth"][..., 0]
        assert 0 <= depth.min() < 0.01 < depth.max() < 0.5
        assert (depth[scene["label"] == sky] == 0).all()
        assert depth[depth > 0].min() >= 0.01  # up to 100 m
        assert 0 < (scene["label"] == -1).mean() < 0.25
    road = street(0, "train", 0, clean=True)["depth"][-1]
    assert 1 / 8 < road.mean() < 1 / 2


@pytest.mark.parametrize(("name", "render"), [("nyuv2", room), ("cityscapes", street)])
def test_files_hold_what_was_rendered(tmp_path: Path, name: str, render: Callable[..., Scene]) -> None:
    folder = materialise_npy(name, {"train": 3, "val": 2}, seed=1, size=(32, 48), cache_dir=tmp_path)
    assert folder == tmp_path / "synthetic" / f"{name}-v{npy_writer._SCENES[name].version}-3-2-32x48-seed1"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    sizes = {"train": 3, "val": 2}
    example = render(1, "val", 1, 32, 48)
    expected = {f"{split}/{kind}/{i}.npy" for split in sizes for kind in example for i in range(sizes[split])}
    assert files == {DRAWN} | expected
    for kind, array in example.items():
        stored = np.load(folder / "val" / kind / "1.npy")
        np.testing.assert_array_equal(stored, array)
        assert stored.dtype == (np.int8 if kind == "label" else np.float32)


def test_a_dataset_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"train": 1, "val": 1}
    folder = materialise_npy("nyuv2", sizes, size=(16, 16), cache_dir=tmp_path)
    monkeypatch.setattr(npy_writer, "_render", None)
    assert materialise_npy("nyuv2", sizes, size=(16, 16), cache_dir=tmp_path) == folder
    with pytest.raises(TypeError):
        materialise_npy("nyuv2", sizes, size=(16, 32), cache_dir=tmp_path)


def test_an_interrupted_rendering_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def example(seed: int, split: str, index: int, height: int, width: int) -> Scene:
        if index == 1:
            raise KeyboardInterrupt
        return room(seed, split, index, height, width)

    monkeypatch.setitem(npy_writer._SCENES, "nyuv2", npy_writer._Scenes(example, {"train": 2}, (16, 16), 1))
    with pytest.raises(KeyboardInterrupt):
        materialise_npy("nyuv2", cache_dir=tmp_path)
    assert list((tmp_path / "synthetic").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "nyu"}, "Did you mean 'nyuv2'"),
        ({"name": "nyuv2", "sizes": {"test": 3}}, "Choices: train, val"),
        ({"name": "nyuv2", "sizes": {"val": 0}}, "at least one"),
        ({"name": "nyuv2", "size": (8, 32)}, "height must be a finite number from 16 on. Received: height=8"),
        ({"name": "nyuv2", "size": (32,)}, r"size must be \(height, width\)"),
        ({"name": "cityscapes", "seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        materialise_npy(**arguments, cache_dir=tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="Cannot store the synthetic dataset"):
        materialise_npy("nyuv2", cache_dir=blocked)
