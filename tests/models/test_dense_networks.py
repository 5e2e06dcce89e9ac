"""Networks for dense and image-level tasks: training, dropping, saving, types and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from models import heads, network
from models.networks import hard_sharing
from mtl_keras import MultiTaskModel, Task, TaskSet
from mtl_keras.training import graph

SHAPE = (32, 32, 3)
TASKS = TaskSet(
    [
        Task.segmentation("seg", 3),
        Task.mask("mask"),
        Task.depth("depth"),
        Task.normals("normals"),
        Task.dense_regression("flow", 2),
        Task.classification("item", 4),
        Task.binary("worn"),
        Task.binary("old"),
        Task.regression("price"),
        Task.reconstruction("copy", SHAPE),
    ]
)
FEW = TASKS.subset(["seg", "depth", "item", "worn", "old"])
MIXED = TASKS.subset(["seg", "item"])
RNG = np.random.default_rng(0)
X = RNG.random((4, *SHAPE), "float32")
LABELS: dict[str, np.ndarray] = {
    "seg": RNG.integers(-1, 3, (4, 32, 32)),
    "mask": RNG.integers(0, 2, (4, 32, 32, 1)).astype("float32"),
    "depth": RNG.random((4, 32, 32, 1), "float32"),
    "normals": np.broadcast_to(np.array([0, 0.6, 0.8], "float32"), (4, 32, 32, 3)),
    "flow": RNG.random((4, 32, 32, 2), "float32"),
    "item": np.array([0, 3, 1, -1]),
    "worn": np.array([0, 1, np.nan, 1], "float32"),
    "old": np.array([1, 1, 0, 0], "float32"),
    "price": RNG.random((4, 1), "float32"),
    "copy": X,
}
TRUNKS = ["unet(filters=2, depth=2)", "segnet(width=0.05)", "dilated(mobilenetv3small)"]
NETWORKS = ["cross_stitch(unet(filters=2, depth=1))", "nddr(unet(filters=2, depth=1))"]
BUILT = [
    "mtan(unet(filters=2, depth=1))",
    "sluice(segnet(width=0.0625))",
    "mmoe(segnet(width=0.05), split=trunk_up1_1_relu)",
    "ltb(unet(filters=2, depth=1))",
    "task_routing(unet(filters=4, depth=1))",
]


def labels(tasks: TaskSet) -> dict[str, np.ndarray]:
    return {task: LABELS[task] for task in tasks}


def small_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the heads on coarse maps small: by default they have 9 million weights each."""
    default = heads.dense_heads.deeplab
    monkeypatch.setattr(heads.dense_heads, "deeplab", lambda task, maps: default(task, maps, 4, (1, 2)))


def trained(identifier: Any, tasks: TaskSet, **options: Any) -> MultiTaskModel:
    model = MultiTaskModel(*network(identifier, tasks, SHAPE))
    model.compile("adam", **tasks.compile_args(), **{"run_eagerly": True, **options})
    return model


def coarse(images: Any) -> Any:
    """A trunk whose maps are smaller than the images, as those of dilated architectures are."""
    return layers.Conv2D(4, 3, strides=4, padding="same", activation="relu", name="trunk_conv")(images)


@pytest.mark.parametrize("trunk", [TRUNKS[0], coarse], ids=["fine", "coarse"])
def test_every_task_trains_on_every_trunk(trunk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_heads(monkeypatch)
    model = trained(trunk, TASKS)
    assert {task: output.shape[1:] for task, output in model.output.items()} == {
        name: task.shape for name, task in TASKS.at_size(32, 32).items()
    }
    before = [variable.numpy() for variable in model.trainable_variables]
    logs = model.fit(X, labels(TASKS), batch_size=4, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    moved = [(new.numpy() != old).any() for new, old in zip(model.trainable_variables, before)]
    assert np.mean(moved) > 0.8
    predicted = {task: np.asarray(values) for task, values in model(X).items()}
    np.testing.assert_allclose(np.linalg.norm(predicted["normals"], axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(predicted["seg"].sum(-1), 1, atol=1e-5)
    for task in ("mask", "copy"):
        assert ((predicted[task] >= 0) & (predicted[task] <= 1)).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for task, values in loaded(X).items():
        np.testing.assert_allclose(values, predicted[task], atol=1e-5)


@pytest.mark.parametrize("identifier", NETWORKS)
def test_ways_to_share_train_and_are_saved(identifier: str, tmp_path: Path) -> None:
    model = trained(identifier, MIXED)
    logs = model.fit(X, labels(MIXED), batch_size=4, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    model.save(tmp_path / "model.keras")
    predicted, loaded = model(X), keras.models.load_model(tmp_path / "model.keras")(X)
    for task in MIXED:
        np.testing.assert_allclose(loaded[task], predicted[task], atol=1e-5)


def test_a_dropped_dense_task_keeps_its_weights() -> None:
    model = trained(TRUNKS[0], FEW)
    model.set_task_weights({"depth": 0.0})
    column = list(model.output).index("depth")
    found = graph.ownership(model.output)
    private = [entry.variable for entry in found if entry.reached[:, column].all() and entry.reached.sum() == 1]
    assert private
    before = [variable.numpy() for variable in private]
    model.fit(X, labels(FEW), batch_size=4, verbose=0)
    for variable, old in zip(private, before):
        np.testing.assert_array_equal(variable.numpy(), old)


@pytest.mark.parametrize("identifier", TRUNKS)
def test_outputs_are_float32_in_half_precision(identifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small_heads(monkeypatch)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = trained(identifier, FEW)
    assert {str(output.dtype) for output in model.output.values()} == {"float32"}
    assert {str(values.dtype) for values in keras.tree.flatten(model(X))} == {"<dtype: 'float32'>"}


@pytest.mark.parametrize("identifier", BUILT)
def test_other_ways_to_share_give_maps(identifier: str) -> None:
    outputs = keras.Model(*network(identifier, MIXED, SHAPE))(X[:1])
    assert {name: tuple(output.shape[1:]) for name, output in outputs.items()} == {
        name: task.shape for name, task in MIXED.at_size(32, 32).items()
    }


def test_normals_train_where_all_features_are_zero() -> None:
    """The gradient of a normalised zero would be infinite."""
    tasks = TASKS.subset(["normals"])
    images = keras.Input(SHAPE)
    dead = keras.Model(images, layers.Conv2D(2, 1, kernel_initializer="zeros", name="trunk_conv")(images))
    model = trained(dead, tasks)
    model.fit(X, labels(tasks), batch_size=4, verbose=0)
    assert all(np.isfinite(variable.numpy()).all() for variable in model.variables)
    assert np.abs(model.get_layer("normals_vectors").bias.numpy()).max() < 1


def test_names_of_the_layers_begin_with_the_task() -> None:
    model = keras.Model(*network("unet(filters=2, depth=1)", TASKS, SHAPE))
    owners = ("trunk_", "images", heads.SHARED, *TASKS)
    assert [layer.name for layer in model.layers if not layer.name.startswith(owners)] == []
    assert model.get_layer("binary_tasks_pool").output.shape == (None, 2)
    assert model.get_layer("item_pool").output.shape == (None, 2)
    assert isinstance(model.get_layer("normals"), layers.UnitNormalization)


def test_image_level_tasks_read_averages() -> None:
    tasks = TASKS.subset(["item"])
    model = keras.Model(*network("unet(filters=2, depth=1)", tasks, SHAPE))
    maps = keras.Model(model.input, model.get_layer("item_pool").input)(X)
    expected = model.get_layer("item")(np.asarray(maps).mean((1, 2)))
    np.testing.assert_allclose(model(X)["item"], expected, atol=1e-5)


@pytest.mark.parametrize("trunk", ["cnn", "mlp", "lenet", "resnet18", "mmoe(cnn)", "mtan(cnn)", "cross_stitch(cnn)"])
def test_trunks_of_vectors_have_no_dense_tasks(trunk: str) -> None:
    with pytest.raises(ValueError, match=r"'depth' \(depth\) .* must give feature maps .*Choices .*: unet.*segnet"):
        network(trunk, TASKS.subset(["item", "depth"]), SHAPE)


@pytest.mark.parametrize("trunk", ["resnet50", "cnn", "dilated(mobilenetv2)"])
def test_trunks_without_a_decoder_have_no_decoders(trunk: str) -> None:
    with pytest.raises(
        ValueError, match=r"trunk must have an encoder and a decoder\. Received: .* Choices: unet, segnet"
    ):
        network(f"decoders({trunk})", TASKS.subset(["depth"]), SHAPE)


def test_decoders_belong_to_their_tasks() -> None:
    model = keras.Model(*network("decoders(unet(filters=2, depth=1))", FEW, SHAPE))
    reached = {entry.variable.path.split("/")[0]: entry.reached[0] for entry in graph.ownership(model.output)}
    assert reached["trunk_middle_1_conv"].all()
    assert reached["depth_decoder_up1_1_conv"].tolist() == [task == "depth" for task in FEW]


def test_the_size_of_dense_tasks_is_that_of_the_images() -> None:
    with pytest.raises(ValueError, match=r"'depth' .*those of the images. Received: shape \(16, 16, 1\)"):
        network("unet", TASKS.subset(["depth"]).at_size(16, 16), SHAPE)
    with pytest.raises(ValueError, match=r"'depth' .* must give feature maps"):
        network("mlp", TASKS.subset(["depth"]), (12,))
    with pytest.raises(ValueError, match=r"use tasks.at_size\(height, width\)"):
        heads.head(TASKS["depth"], keras.Input((8, 8, 3)))


def test_hard_sharing_takes_tasks_without_a_size() -> None:
    _, outputs = hard_sharing("unet(filters=2, depth=1)", TASKS.subset(["depth"]), (9, 7, 1))
    assert outputs["depth"].shape == (None, 9, 7, 1)


def test_a_network_of_dense_tasks_from_a_file(tmp_path: Path) -> None:
    tasks = TASKS.subset(["seg", "depth"])
    model = MultiTaskModel(*network("unet(filters=2, depth=1)", tasks, SHAPE))
    file = str(tmp_path / "model.keras")
    model.save(file)
    loaded = keras.Model(*network(file, tasks, SHAPE))
    np.testing.assert_allclose(loaded(X)["seg"], model(X)["seg"], atol=1e-6)
    images = keras.Input(SHAPE)
    keras.Model(images, {"seg": layers.Conv2D(3, 1, name="seg")(images)}).save(file)
    with pytest.raises(ValueError, match=r"'seg' .* must be probabilities.*activation='softmax'"):
        network(file, tasks.subset(["seg"]), SHAPE)
