"""Dense tasks in `compile` and `fit`: losses with class and pixel weights, against NumPy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel, Task, TaskSet

SIZE, CLASSES = (5, 6), 3
RNG = np.random.default_rng(0)
SHAPE = (8, *SIZE)
TASKS = TaskSet(
    [
        Task.segmentation("segments", ["a", "b", "c"], 255, class_weight={"b": 3.0}),
        Task.mask("mask", pos_weight=2.0),
        Task.depth("depth"),
        Task.normals("normals"),
        Task.dense_regression("heat", 2),
        Task.classification("room", 3),
    ]
).at_size(*SIZE)


def hidden(values: np.ndarray, missing: float, share: float = 0.2) -> np.ndarray:
    """Returns values of which some pixels have no label."""
    holes = RNG.random(SHAPE) < share
    return np.where(holes if values.ndim == 3 else holes[..., None], missing, values).astype(values.dtype)


LABELS = {
    "segments": hidden(RNG.integers(0, CLASSES, SHAPE), 255),
    "mask": hidden(RNG.integers(0, 2, (*SHAPE, 1)).astype("float32"), np.nan),
    "depth": hidden(RNG.uniform(1, 5, (*SHAPE, 1)).astype("float32"), 0),
    "normals": hidden(keras.utils.normalize(RNG.normal(size=(*SHAPE, 3))).astype("float32"), 0),
    "heat": hidden(RNG.random((*SHAPE, 2)).astype("float32"), np.nan),
    "room": RNG.integers(0, 3, 8),
}
IMAGES = RNG.random((*SHAPE, 3)).astype("float32")


def dense_model() -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*SIZE, 3))
    features = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    endings = {"segments": "softmax", "mask": "sigmoid"}
    outputs = {
        name: keras.layers.Conv2D(task.shape[-1], 1, activation=endings.get(name))(features)
        for name, task in TASKS.items()
        if task.is_dense
    }
    outputs["room"] = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(features))
    model = MultiTaskModel(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), **TASKS.compile_args())
    return model


def numpy_losses(predicted: dict[str, np.ndarray], pixel_weight: np.ndarray) -> dict[str, float]:
    """The loss of each dense task: the weighted sum over the labelled pixels, divided by their number."""
    true = LABELS
    segments = np.where(true["segments"] == 255, 0, true["segments"])
    chance = np.take_along_axis(predicted["segments"], segments[..., None], axis=-1)[..., 0]
    masked, p = np.nan_to_num(true["mask"])[..., 0], predicted["mask"][..., 0]
    unit = keras.utils.normalize(predicted["normals"])
    values = {
        "segments": -np.log(chance) * np.where(segments == 1, 3, 1),
        "mask": -np.where(masked == 1, 2 * np.log(p), np.log(1 - p)),
        "depth": np.abs(predicted["depth"] - true["depth"])[..., 0],
        "normals": 1 - (unit * true["normals"]).sum(-1),
        "heat": np.square(predicted["heat"] - np.nan_to_num(true["heat"])).mean(-1),
    }
    known = {
        "segments": true["segments"] != 255,
        "mask": ~np.isnan(true["mask"][..., 0]),
        "depth": true["depth"][..., 0] != 0,
        "normals": true["normals"].any(-1),
        "heat": ~np.isnan(true["heat"]).any(-1),
    }
    return {name: (values[name] * pixel_weight)[known[name]].sum() / known[name].sum() for name in values}


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_means_over_the_labelled_pixels(weighted: bool) -> None:
    model = dense_model()
    weight = RNG.random(SHAPE).astype("float32") if weighted else np.ones(SHAPE, "float32")
    weights = {name: weight if task.is_dense else np.ones(8, "float32") for name, task in TASKS.items()}
    logs = model.fit(IMAGES, LABELS, batch_size=8, sample_weight=weights if weighted else None, verbose=0).history
    for name, expected in numpy_losses(model.predict(IMAGES, verbose=0), weight).items():
        assert logs[f"{name}_loss"][0] == pytest.approx(expected, rel=1e-4), name
        assert np.isfinite([logs[key] for key in logs if key.startswith(f"{name}_")]).all()


@pytest.mark.parametrize(
    ("task", "shape", "invalid"),
    [
        (Task.segmentation("t", ["wall", "floor"]), (2,), -1),
        (Task.mask("t"), (1,), -1),
        (Task.depth("t", None), (1,), None),
        (Task.normals("t"), (3,), 0),
        (Task.dense_regression("t", 4), (4,), None),
    ],
)
def test_dense_tasks_get_the_size_of_the_images(task: Task, shape: tuple[int, ...], invalid: float | None) -> None:
    assert task.is_dense
    assert (task.shape, task.invalid) == (shape, invalid)
    tasks = TaskSet([task, Task.binary("b")]).at_size(8, 12)
    assert (tasks["t"].shape, tasks["b"].shape) == ((8, 12, *shape), (1,))
    assert tasks.at_size(1, 1)["t"].shape == (8, 12, *shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task.segmentation("t", 1), "classes must be"),
        (lambda: Task.segmentation("t", "wall"), "labels of task 't' must be class names, or their number"),
        (lambda: Task.depth("t", loss="l1"), "Unknown kind of DepthLoss. Received: 'l1'"),  # type: ignore[arg-type]
        (lambda: Task("t", "depth", (4, 4), "mse"), "must be (channels,) or (height, width, channels)"),
        (lambda: Task("t", "segmentation", (3,), "mse", labels=("a",)), "must name its 3 classes"),
    ],
)
def test_wrong_dense_tasks(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(("invalid", "received"), [(3, "3"), (-1, "-1")])
def test_a_class_out_of_range_is_an_error_before_the_first_step(invalid: int, received: str) -> None:
    segments = LABELS["segments"].copy()
    segments[2, 1, 1] = invalid
    message = f"The label of task 'segments' is not one of its 3 classes, 0 to 2. Received: {received} at example 2"
    with pytest.raises(ValueError, match=re.escape(message)):
        dense_model().fit(IMAGES, {**LABELS, "segments": segments}, batch_size=8, verbose=0)
