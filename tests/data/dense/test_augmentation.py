"""Augmented labels are those of the scene that the augmented image shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.dense.augmentation import SCALES, Draws, apply, augment, draw
from data.synthetic import Camera, room, room_camera, street, street_camera
from mtl_keras.tasks import Task, TaskSet

HEIGHT, WIDTH = 96, 128
NAN = float("nan")
ROOM = TaskSet([Task.segmentation("label", 13), Task.depth("depth"), Task.normals("normal")])
Arrays = dict[str, np.ndarray]


def draws(scale: float = 1.0, top: float = 0.0, left: float = 0.0, flip: bool = False, count: int = 1) -> Draws:
    def repeat(value: Any) -> tf.Tensor:
        return tf.constant([value] * count)

    return Draws(repeat(scale), repeat(top), repeat(left), repeat(flip), tf.zeros((count, 3)))


def applied(scene: Arrays, given: Draws, tasks: TaskSet = ROOM, **options: Any) -> Arrays:
    """Returns one augmented example."""
    labels = {name: tf.constant(scene[name][None]) for name in tasks}
    image, labels = apply(tf.constant(scene["image"][None]), labels, tasks, given, **options)
    return {"image": image[0].numpy(), **{name: values[0].numpy() for name, values in labels.items()}}


def camera_of(camera: Camera, given: Draws, height: int, width: int) -> Camera:
    """Returns the camera that sees the window of some draws."""
    (scale,), (top,), (left,), (flip,), _ = (values.numpy().tolist() for values in given)
    # The centre of the first pixel of the window becomes that of the image.
    down, across = (place * (size - 1) * (1 - 1 / scale) for place, size in ((top, height), (left, width)))
    camera = camera.zoomed(scale, scale, across + 0.5 - 0.5 / scale, down + 0.5 - 0.5 / scale)
    return camera.flipped(width) if flip else camera


def inner(scene: Arrays) -> np.ndarray:
    """Returns the pixels at least two away from the edge of another surface, bool (height, width)."""
    same = np.ones(scene["label"].shape, bool)
    for down in range(-2, 3):
        for across in range(-2, 3):
            other = {kind: np.roll(array, (down, across), axis=(0, 1)) for kind, array in scene.items()}
            same &= other["label"] == scene["label"]
            same &= np.abs(other["depth"] / scene["depth"] - 1)[..., 0] < 0.25
            if "normal" in scene:
                same &= (other["normal"] * scene["normal"]).sum(-1) > 0.99
    same[:2] = same[-2:] = same[:, :2] = same[:, -2:] = False
    return same


def check_geometry(found: Arrays, camera: Camera, seen: Arrays, seen_by: Camera) -> None:
    """Raises an AssertionError unless an augmented example shows what another camera sees.

    Augmented images are understood as those of the original camera. So depths agree if the points that they give with
    the original focal length are beside each other as those that the other camera sees: the principal point is that of
    the other camera, since a crop that is not centred shifts it.

    Args:
        found: the augmented example.
        camera: the original camera.
        seen: what the other camera sees.
        seen_by: the other camera, which sees what the augmented image shows.
    """
    size = seen["label"].shape
    pixels = inner(seen)
    assert pixels.mean() > 0.2
    assert (found["label"] == seen["label"])[pixels].all()
    original = replace(seen_by, focal_x=camera.focal_x, focal_y=camera.focal_y)
    place = found["depth"] * np.moveaxis(original.rays(*size), 0, -1)
    expected = seen["depth"] * np.moveaxis(seen_by.rays(*size), 0, -1)
    away = (place - expected)[pixels][:, :2]
    reach = np.linalg.norm(expected[pixels][:, :2], axis=-1)
    error = np.linalg.norm(away, axis=-1) / np.maximum(reach, 0.05)
    # Depths are those of the nearest pixel.
    assert np.median(error) < 0.005, "depths"
    assert np.quantile(error, 0.99) < 0.03, "depths"
    if "normal" in seen:
        cosine = (found["normal"] * seen["normal"]).sum(-1)[pixels]
        angle = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
        assert angle.mean() < 0.2, "normals"
        assert angle.max() < 5, "normals"
    assert np.abs(found["image"] - seen["image"])[pixels].mean() < 0.01


CASES = [
    draws(flip=True),
    draws(1.2, 0.5, 0.5),
    draws(1.5, 0.5, 0.5),
    draws(1.5, 0.0, 0.999),
    draws(1.2, 0.999, 0.0, flip=True),
    draws(1.5, 0.3, 0.2, flip=True),
]


@pytest.mark.parametrize("given", CASES)
@pytest.mark.parametrize("index", range(3))
def test_rooms_are_what_the_transformed_camera_sees(given: Draws, index: int) -> None:
    camera = room_camera(0, "train", index)
    other = camera_of(camera, given, HEIGHT, WIDTH)
    found = applied(room(0, "train", index, clean=True), given)
    check_geometry(found, camera, room(0, "train", index, camera=other, clean=True), other)


def check_street(given: Draws, **options: Any) -> None:
    """Checks the geometry of a street up to 20 m; farther, the depths of neighbouring pixels differ too much."""
    size = (128, 256)
    camera = street_camera(0, "train", 1, *size)
    other = camera_of(camera, given, *size)
    tasks = TaskSet([ROOM["label"], ROOM["depth"]])
    found = applied(street(0, "train", 1, *size, clean=True), given, tasks, **options)
    seen = street(0, "train", 1, *size, other, clean=True)
    near = seen["depth"] > 1 / 20
    for scene in (found, seen):
        scene["depth"] = np.where(near, 1 / np.maximum(scene["depth"], 1e-3), NAN)
    check_geometry(found, camera, seen, other)


@pytest.mark.parametrize("given", CASES)
def test_streets_are_what_the_transformed_camera_sees(given: Draws) -> None:
    check_street(given, inverse_depth=["depth"])


@pytest.mark.parametrize("given", CASES[1:3])
def test_inverse_depth_that_is_divided_is_found(given: Draws) -> None:
    with pytest.raises(AssertionError, match="depths"):
        check_street(given)


@pytest.mark.parametrize(
    ("fault", "given"), [("depth", CASES[1]), ("depth", CASES[5]), ("normal", CASES[0]), ("normal", CASES[5])]
)
def test_the_usual_faults_are_found(fault: str, given: Draws) -> None:
    camera = room_camera(0, "train", 0)
    other = camera_of(camera, given, HEIGHT, WIDTH)
    found = applied(room(0, "train", 0, clean=True), given)
    seen = room(0, "train", 0, camera=other, clean=True)
    check_geometry(found, camera, seen, other)
    # Depth not divided by the scale; x of normals not negated.
    found[fault] = found[fault] * (given.scale.numpy()[0] if fault == "depth" else np.array([-1, 1, 1], np.float32))
    with pytest.raises(AssertionError, match=f"{fault}s"):
        check_geometry(found, camera, seen, other)


def test_without_scale_and_flip_nothing_changes() -> None:
    scene = room(0, "train", 0)
    found = applied(scene, draws())
    for kind in ("image", "label", "depth"):
        np.testing.assert_array_equal(found[kind], scene[kind])
        assert found[kind].dtype == scene[kind].dtype
    np.testing.assert_allclose(found["normal"], scene["normal"], atol=1e-6)


def test_a_flip_is_exact() -> None:
    scene = room(0, "train", 0)
    found = applied(scene, draws(flip=True))
    for kind in ("image", "label", "depth"):
        np.testing.assert_array_equal(found[kind], scene[kind][:, ::-1])
    np.testing.assert_allclose(found["normal"], scene["normal"][:, ::-1] * (-1, 1, 1), atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("height", "width"), [(96, 128), (64, 65), (33, 47)])
def test_windows_stay_inside_the_image(height: int, width: int, flip: bool) -> None:
    # `crop_and_resize` returns zeros beyond the border.
    places = tf.constant([*np.linspace(0, 1, 20, endpoint=False), 0.99999994], tf.float32)
    scales = tf.repeat(tf.constant(SCALES), 21)
    repeated = tf.tile(places, [len(SCALES)])
    many = Draws(scales, repeated, repeated, tf.fill([63], flip), tf.zeros((63, 3)))
    ones = tf.ones((63, height, width, 1))
    image, labels = apply(ones, {"mask": ones}, TaskSet([Task.mask("mask")]), many)
    np.testing.assert_array_equal(image, 1)
    np.testing.assert_array_equal(labels["mask"], 1)


def test_a_window_is_resized_with_aligned_corners() -> None:
    ramp = np.arange(13 * 16, dtype=np.float32).reshape(13, 16, 1)
    found = applied({"image": ramp, "mask": ramp}, draws(1.5, 0.5, 0.9), TaskSet([Task.mask("mask")]))
    rows, columns = np.linspace(2, 10, 13), np.linspace(4.5, 14.5, 16)
    np.testing.assert_allclose(found["image"][..., 0], 16 * rows[:, None] + columns, atol=2e-3)
    down, across = found["mask"][..., 0] // 16 - rows[:, None], found["mask"][..., 0] % 16 - columns
    assert np.abs(down).max() <= 0.5 + 1e-4
    assert np.abs(across).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("missing", [0.0, NAN])
def test_missing_pixels_stay_missing(scale: float, missing: float) -> None:
    scene = room(0, "train", 3)
    known = (scene["normal"] != 0).any(-1)
    scene["normal"] = np.where(known[..., None], scene["normal"], missing).astype(np.float32)
    scene["depth"] = np.where(scene["depth"] == 0, missing, scene["depth"]).astype(np.float32)
    given = draws(scale, 0.2, 0.9, flip=True)
    found = applied(scene, given)
    masks = {"known": known[..., None].astype(np.float32), "measured": (scene["depth"] > 0).astype(np.float32)}
    tasks = TaskSet([Task.dense_regression("known"), Task.mask("measured")])
    expected = applied({"image": scene["image"], **masks}, given, tasks)
    all_known = expected["known"][..., 0] == 1
    assert 0.5 < all_known.mean() < 0.99
    np.testing.assert_array_equal(found["normal"][~all_known], 0)
    np.testing.assert_allclose(np.linalg.norm(found["normal"][all_known], axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(found["depth"] > 0, expected["measured"] == 1)
    np.testing.assert_array_equal(np.isnan(found["depth"]).any(), np.isnan(missing))
    # No class between two others.
    assert set(np.unique(found["label"])) <= set(np.unique(scene["label"]))


def test_depth_with_another_invalid_value() -> None:
    depth = np.full((8, 8, 1), 3.0, np.float32)
    depth[2:4] = -1
    found = applied({"image": depth, "depth": depth}, draws(1.5), TaskSet([Task.depth("depth", invalid=-1)]))
    assert set(np.unique(found["depth"])) == {-1.0, 2.0}


def test_opposite_normals_are_missing() -> None:
    normal = np.zeros((4, 4, 3), np.float32)
    normal[:, ::2, 2], normal[:, 1::2, 2] = -1, 1
    # Every other sample of the window is in the middle of two pixels.
    found = applied({"image": normal, "normal": normal}, draws(2.0), TaskSet([ROOM["normal"]]))
    length = np.linalg.norm(found["normal"], axis=-1)
    np.testing.assert_allclose(length, np.array([[1, 0, 1, 0]] * 4), atol=1e-5)


def test_numbers_are_interpolated_where_all_are_known() -> None:
    ramp = np.repeat(np.arange(10, dtype=np.float32)[None, :, None], 10, axis=0)
    holed = np.concatenate([ramp, ramp], axis=-1)
    holed[5, 5, 0] = NAN
    found = applied(
        {"image": ramp, "numbers": holed}, draws(1.2, 0.0, 0.0), TaskSet([Task.dense_regression("numbers", 2)])
    )
    expected = np.linspace(0, 7.5, 10)[None] * np.ones((10, 1))
    np.testing.assert_allclose(found["numbers"][..., 1], expected, atol=2e-3)
    missing = np.isnan(found["numbers"][..., 0])
    np.testing.assert_allclose(found["numbers"][..., 0][~missing], expected[~missing], atol=2e-3)
    assert 1 <= missing.sum() <= 9


def test_masks_and_labels_of_images() -> None:
    tasks = TaskSet([Task.mask("mask"), Task.classification("place", 3), Task.binary("lit"), Task.regression("age", 2)])
    mask = np.array([[0, 1], [1, NAN]], np.float32).repeat(4, axis=0).repeat(4, axis=1)[..., None]
    labels = {"mask": tf.constant(mask[None]), "place": tf.constant([2]), "lit": tf.constant([NAN])}
    labels["age"] = tf.constant([[3, NAN]])
    _, found = apply(tf.constant(np.nan_to_num(mask)[None]), labels, tasks, draws(1.5, 0.5, 0.5, flip=True))
    values = found["mask"].numpy()
    assert set(np.unique(values[~np.isnan(values)])) == {0.0, 1.0}
    assert np.isnan(values).any()
    for name in ("place", "lit", "age"):
        np.testing.assert_array_equal(found[name], labels[name])


@pytest.mark.parametrize("given", CASES)
def test_landmarks_move_with_the_image(given: Draws) -> None:
    points = ("left_eye", "right_eye", "nose", "chin")
    # (column, row) of dots on the image; the last label is missing.
    places = np.array([[90, 40], [60, 45], [70, 60], [NAN, NAN]], np.float32)
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for dot, (column, row) in enumerate(places[:3].astype(int)):
        image[row - 1 : row + 2, column - 1 : column + 2, dot] = 1
    labels = ((places + 0.5) / (WIDTH, HEIGHT)).astype(np.float32).ravel()
    found = applied({"image": image, "points": labels}, given, TaskSet([Task.landmarks("points", points)]))
    moved = found["points"].reshape(4, 2) * (WIDTH, HEIGHT)
    # In a flipped image, the eye that was the left one is the right one.
    order = [1, 0, 2] if given.flip.numpy()[0] else [0, 1, 2]
    assert np.isnan(moved[3]).all()
    for dot in range(3):
        weights = found["image"][..., order[dot]]
        if np.isnan(moved[dot]).any():
            assert np.isnan(moved[dot]).all()
            assert weights.sum() < 5  # at most a part of the dot is in the window
            continue
        centre = np.array(
            [(weights.sum(0) * (np.arange(WIDTH) + 0.5)).sum(), (weights.sum(1) * (np.arange(HEIGHT) + 0.5)).sum()]
        )
        np.testing.assert_allclose(moved[dot], centre / weights.sum(), atol=0.3)


def test_landmarks_outside_are_missing_in_scaled_images_only() -> None:
    tasks = TaskSet([Task.landmarks("points", ("nose", "hat"))])
    scene = {"image": np.zeros((8, 8, 1), np.float32), "points": np.array([0.9, 0.9, 0.5, -0.1], np.float32)}
    np.testing.assert_array_equal(applied(scene, draws(), tasks)["points"], scene["points"])
    np.testing.assert_array_equal(applied(scene, draws(1.5), tasks)["points"], [NAN] * 4)


def test_colours_change_in_the_image_only() -> None:
    scene = room(0, "train", 0)
    given = draws()._replace(colour=tf.constant([[0.5, -0.5, 1.0]]))
    found = applied(scene, given, color_jitter=0.4)
    for kind in ROOM:
        np.testing.assert_allclose(found[kind], scene[kind], atol=1e-6)
    weights = np.array([0.2989, 0.587, 0.114])
    image = scene["image"] * 1.2
    grey = image @ weights
    image = image * 0.8 + 0.2 * grey.mean()
    image = image * 1.4 - 0.4 * (image @ weights)[..., None]
    np.testing.assert_allclose(found["image"], image.clip(0, 1), atol=2e-3)


@pytest.mark.parametrize("channels", [1, 4])
def test_colours_of_other_images(channels: int) -> None:
    image = np.random.default_rng(0).uniform(0.3, 0.6, (8, 8, channels)).astype(np.float32)
    given = draws()._replace(colour=tf.constant([[0.5, 0.0, 0.0]]))
    labels = {"mask": tf.zeros((1, 8, 8, 1))}
    found = apply(tf.constant(image[None]), labels, TaskSet([Task.mask("mask")]), given, color_jitter=0.2)[0][0].numpy()
    np.testing.assert_allclose(found[..., :3], image[..., :3] * 1.1, rtol=1e-5)
    np.testing.assert_array_equal(found[..., 3:], image[..., 3:])


def test_bytes_become_floats() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    labels = {"mask": tf.zeros((1, 8, 8, 1))}
    found, _ = apply(tf.constant(image), labels, TaskSet([Task.mask("mask")]), draws())
    np.testing.assert_array_equal(found, image / np.float32(255))


def batch(count: int) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    scenes = [room(0, "train", i, 32, 48) for i in range(count)]
    stacked = {kind: tf.constant(np.stack([scene[kind] for scene in scenes])) for kind in scenes[0]}
    return stacked.pop("image"), stacked


def test_the_seeds_determine_the_batch() -> None:
    images, labels = batch(8)

    def augmented(*seeds: int) -> list[np.ndarray]:
        pixels, found = augment(images, labels, ROOM, tf.constant(seeds), color_jitter=0.2)
        return [pixels.numpy(), *(found[name].numpy() for name in ROOM)]

    first = augmented(1, 2)
    assert all(np.array_equal(a, b) for a, b in zip(first, augmented(1, 2)))
    assert not any(np.array_equal(a, b) for a, b in zip(first, augmented(1, 3)))


def test_workers_get_their_part_of_the_whole_batch() -> None:
    images, labels = batch(5)
    seeds = tf.constant([3, 4], tf.int64)
    whole, found = augment(images, labels, ROOM, seeds, color_jitter=0.2)

    @tf.function(autograph=False)
    def augmented(images: tf.Tensor, labels: dict[str, tf.Tensor], begin: tf.Tensor) -> Any:
        return augment(images, labels, ROOM, seeds, color_jitter=0.2, whole=tf.constant(5, tf.int64), begin=begin)

    for begin, end in ((0, 0), (0, 2), (2, 5)):
        part = {name: values[begin:end] for name, values in labels.items()}
        cut_images, cut_labels = augmented(images[begin:end], part, begin=tf.constant(begin, tf.int64))
        np.testing.assert_allclose(cut_images, whole[begin:end], atol=1e-6)
        for name in ROOM:
            np.testing.assert_allclose(cut_labels[name], found[name][begin:end], atol=1e-6)


def test_draws_are_spread() -> None:
    many = draw(6000, tf.constant([0, 1]))
    scales, counts = np.unique(many.scale, return_counts=True)
    np.testing.assert_array_equal(scales, np.array(SCALES, np.float32))
    np.testing.assert_allclose(counts / 6000, 1 / 3, atol=0.03)
    assert abs(many.flip.numpy().mean() - 0.5) < 0.03
    for values, low, high in ((many.top, 0, 1), (many.left, 0, 1), (many.colour, -1, 1)):
        assert low <= values.numpy().min() < low + 0.01
        assert high - 0.01 < values.numpy().max() < high
    numbers = np.stack([many.scale, many.top, many.left, many.flip, *many.colour.numpy().T])
    assert np.abs(np.corrcoef(numbers) - np.eye(7)).max() < 0.06


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color_jitter": 1.5}, "color_jitter must be a finite number from 0 to 1. Received: color_jitter=1.5"),
        ({"inverse_depth": ["normal"]}, "Received: 'normal', whose head is normals. Choices: depth"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        applied(room(0, "train", 0), draws(), **options)
