"""What holds for every network: subsets of tasks, dropping, saving, export; and networks by name."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models import NETWORKS, hard_sharing, network
from mtl_keras import MultiTaskModel
from mtl_keras.export import export, parity
from mtl_keras.tasks import Task, TaskSet
from tests.models import test_soft_sharing_in_fit

CLASSES = [Task.classification("item", 4), Task.binary("worn")]
DENSE = TaskSet([*CLASSES, Task.segmentation("seg", 3), Task.normals("normals")])
# A small variant of each network, with the tasks and the images that it is made for.
VARIANTS: dict[str, tuple[str, TaskSet, tuple[int, int, int]]] = {
    "two_paths": ("two_paths(filters=2, shared=8, dense=4)", TaskSet(CLASSES), (20, 18, 1)),
    "strided": (
        "strided(shared=2, width=0.5, dropout='each', dense=8)",
        TaskSet([*CLASSES, Task.reconstruction("copy", (16, 8, 3))]),
        (16, 8, 3),
    ),
    "vgg16_dense": ("vgg16_dense(dense=4)", TaskSet([Task.binary("hat"), Task.binary("smile")]), (32, 32, 3)),
    "face_groups": (
        "face_groups(trunk='cnn(filters=2, dense=4)', hidden=4, frozen=False)",
        TaskSet([Task.binary("hat"), Task.binary("smile"), Task.landmarks("eyes", ["left", "right"])]),
        (16, 16, 3),
    ),
    "deeplab": ("deeplab(unet(filters=2, depth=2), filters=4, rates=[1, 2])", DENSE, (12, 8, 3)),
    "segnet_mtan": ("segnet_mtan(width=0.05)", DENSE.subset(["item", "seg"]), (32, 32, 3)),
    "decoders": ("decoders(unet(filters=2, depth=1))", DENSE, (12, 8, 3)),
}
EVERY_HEAD = {"decoders", "deeplab", "segnet_mtan"}  # the networks that have a head for every task


def labels(tasks: TaskSet, count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    made: dict[str, np.ndarray] = {}
    for task in tasks.values():
        if task.head == "classification":
            made[task.name] = generator.integers(0, task.shape[-1], count)
        elif task.head == "segmentation":
            made[task.name] = generator.integers(-1, task.shape[-1], (count, *task.shape[:-1]))
        elif task.head == "binary":
            made[task.name] = generator.integers(0, 2, (count, 1)).astype("float32")
        else:
            made[task.name] = generator.random((count, *task.shape), "float32")
    return made


def images(shape: tuple[int, int, int], count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), "float32")


def _values(layer: keras.Layer) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in layer.variables]


def test_every_network_is_tested() -> None:
    assert NETWORKS.names == sorted([*VARIANTS, *test_soft_sharing_in_fit.NAMES])


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_outputs_follow_the_tasks(name: str) -> None:
    identifier, tasks, shape = VARIANTS[name]
    chosen = tasks.subset(reversed(tasks.names))
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs, outputs = network(identifier, chosen, shape)
    assert tuple(inputs.shape[1:]) == shape
    assert list(outputs) == list(chosen)
    assert {task: tuple(output.shape[1:]) for task, output in outputs.items()} == {
        task: chosen.at_size(*shape[:2])[task].shape for task in chosen
    }
    assert {output.dtype for output in outputs.values()} == {"float32"}


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_one_task_alone_has_the_same_trunk_and_its_own_path(name: str) -> None:
    identifier, tasks, shape = VARIANTS[name]
    together = keras.Model(*network(identifier, tasks, shape))
    sizes = {layer.name: layer.count_params() for layer in together.layers}
    trunk = {layer for layer in sizes if layer.startswith(("trunk_", "block"))}
    for task in tasks:
        alone = keras.Model(*network(identifier, tasks.subset([task]), shape))
        assert trunk <= {layer.name for layer in alone.layers}
        for layer in alone.layers:
            if layer.name in trunk:
                assert layer.count_params() == sizes[layer.name]
            elif layer.weights:
                assert layer.name.split("_")[0] == task


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_a_dropped_task_keeps_its_path(name: str) -> None:
    identifier, tasks, shape = VARIANTS[name]
    model = MultiTaskModel(*network(identifier, tasks, shape))
    model.compile("adam", **tasks.compile_args(), run_eagerly=True)
    dropped = tasks.names[-1]
    model.set_task_weights({dropped: 0.0})
    private = [layer for layer in model.layers if layer.name.split("_")[0] == dropped and layer.variables]
    fused = [layer for layer in model.layers if layer.name == "binary_tasks"] if not private else []
    assert private or fused
    before = [_values(layer) for layer in private]
    column = [value[..., -1] for layer in fused for value in _values(layer)]
    model.fit(images(shape), labels(tasks.at_size(*shape[:2]), 4), batch_size=4, verbose=0)
    for layer, old in zip(private, before):
        for new, value in zip(_values(layer), old):
            np.testing.assert_array_equal(new, value)
    for new, value in zip((v for layer in fused for v in _values(layer)), column):
        np.testing.assert_array_equal(new[..., -1], value)
        assert not np.array_equal(new[..., 0], value)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_saved_and_exported(name: str, tmp_path: Path) -> None:
    identifier, tasks, shape = VARIANTS[name]
    model = MultiTaskModel(*network(identifier, tasks, shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before, after = model(images(shape)), loaded(images(shape))
    for task in tasks:
        np.testing.assert_allclose(after[task], before[task], rtol=1e-5, atol=1e-6)
    if name != "vgg16_dense":  # large, and of layers that the others have too
        export(loaded, tmp_path / "saved_model")
        loaded.run_eagerly = True
        parity(loaded, tmp_path / "saved_model", images(shape))


def test_a_trunk_is_shared_by_all_tasks() -> None:
    tasks = TaskSet(CLASSES)
    for identifier in ("mlp(dense=4)", lambda x: layers.Flatten()(x)):
        mine = keras.Model(*network(identifier, tasks, (8, 8, 1)))
        reference = keras.Model(*hard_sharing(identifier, tasks, (8, 8, 1)))
        assert mine.count_params() == reference.count_params()
    assert "predictions" not in network("MobileNetV3Small", tasks, (32, 32, 3))[1]


def test_an_unknown_name_lists_networks_trunks_and_applications() -> None:
    with pytest.raises(
        ValueError, match=r"Unknown network or trunk. Did you mean 'strided'.*Received: 'stridet'."
    ) as e:
        network("stridet(width=2)", TaskSet(CLASSES), (32, 32, 3))
    for choice in ("two_paths", "resnet18", "cnn", "mobilenetv2"):
        assert choice in str(e.value)


def test_unknown_argument() -> None:
    with pytest.raises(ValueError, match=r"Unknown argument of network 'strided'.*Received: 'widht'.*width"):
        network("strided(widht=2)", TaskSet(CLASSES), (32, 32, 3))


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - EVERY_HEAD))
def test_a_task_without_a_path(name: str) -> None:
    identifier, tasks, shape = VARIANTS[name]
    heads = {task.head for task in tasks.values()}
    others = [Task.classification("x", 3), Task.regression("x"), Task.reconstruction("x", shape)]
    other = next(task for task in others if task.head not in heads)
    with pytest.raises(ValueError, match=rf"Network '{name}' has no head .* task 'x' needs. Received: '{other.head}'"):
        network(identifier, TaskSet([*tasks.values(), other]), shape)
