"""Networks with soft parameter sharing: published sizes, limiting cases, gradients, and stages of trunks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models import (
    branches,
    check_network,
    hard_sharing,
    network,
    stages,
    start_from_single_task,
    trunks,
)
from models.attention import mtan
from models.experts import cgc, dselect_k, mmoe, ple
from models.parallel import cross_stitch, nddr, sluice
from models.task_routing import task_routing
from mtl_keras import MultiTaskModel, Task, TaskSet
from mtl_keras.keras_private import symbolic_producer
from mtl_keras.layers import NDDR, CrossStitch, DSelectKGate, SoftmaxGate, TaskRouting
from mtl_keras.training import graph

TWO = TaskSet([Task.classification("item", 4), Task.binary("worn")])
THREE = TaskSet([*TWO.values(), Task.regression("price")])
X = np.random.default_rng(0).normal(size=(6, 16)).astype("float32")
STAGES_OF_RESNET50 = ["conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]


def mlp(*widths: int, seed: int | None = None) -> Any:
    """Returns a trunk of ReLU layers without dropout; an integer seed is the same for all kernels."""

    def trunk(x: Any) -> Any:
        for number, width in enumerate(widths, start=1):
            start = keras.initializers.GlorotUniform(seed)
            x = layers.Dense(width, activation="relu", kernel_initializer=start, name=f"trunk_dense{number}")(x)
        return x

    return trunk


def built(graph: tuple[Any, dict[str, Any]]) -> MultiTaskModel:
    return MultiTaskModel(*graph)


def size(model: keras.Model, tasks: TaskSet) -> int:
    """Returns the number of trainable parameters, without the output layers of the tasks."""
    total = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    heads = [layer for layer in model.layers if layer.name in tasks]
    return total - sum(layer.count_params() for layer in heads)


def gradients(model: MultiTaskModel, x: np.ndarray, task: str) -> dict[str, float]:
    """Returns the largest gradient of a task's squared outputs with respect to each variable, by its path."""
    with tf.GradientTape() as tape:
        output = tf.reduce_sum(model(x)[task] ** 2)
    found = tape.gradient(output, [variable.value for variable in model.trainable_variables])
    return {
        variable.path: 0.0 if gradient is None else float(tf.reduce_max(tf.abs(gradient)))
        for variable, gradient in zip(model.trainable_variables, found)
    }


def largest(found: dict[str, float], *parts: str) -> float:
    """Returns the largest gradient among the variables whose path begins with one of `parts`."""
    chosen = [value for path, value in found.items() if path.startswith(parts)]
    assert chosen
    return max(chosen)


# Sizes: computed by formula from the papers; MMoE, CGC and PLE of 16 inputs were built independently too.
@pytest.mark.parametrize(
    ("build", "inputs", "expected"),
    [
        (mmoe(mlp(8, 4), experts=3), 16, 612),
        (mmoe(mlp(8, 4), experts=3, gate={"use_bias": True}), 16, 618),
        (mmoe(mlp(4), experts=8, gate={"use_bias": True}), 499, 24_000),
        (mmoe(mlp(256, 128), experts=3), 128, 198_528),
        (cgc(mlp(8)), 16, 472),
        (ple(mlp(8, 8), levels=2), 16, 768),
        (ple(mlp(8, 8), levels=2, gate={"use_bias": True}), 16, 779),
        (ple(mlp(256, 256), levels=2), 128, 298_368),
        (dselect_k(mlp(8, 4), experts=8, k=2, per_example=False), 16, 8 * 172 + 2 * 8),
        (dselect_k(mlp(8, 4), experts=8, k=2), 16, 8 * 172 + 2 * 136),
    ],
)
def test_sizes_of_expert_networks(build: Any, inputs: int, expected: int) -> None:
    assert size(built(build(TWO, (inputs,))), TWO) == expected


# The channels are those of the ends of ResNet-50's stages, which `test_stages` shows.
@pytest.mark.parametrize(
    ("unit", "channels", "expected"),
    [
        (CrossStitch, (256, 512, 1024, 2048), {2: 15_360, 3: 34_560}),
        (NDDR, (64, 256, 512, 1024, 2048), {2: 22_314_240, 3: 50_195_328}),
    ],
)
def test_sizes_of_the_units_on_resnet50(unit: Any, channels: tuple[int, ...], expected: dict[int, int]) -> None:
    for tasks, total in expected.items():
        units = [unit(0) for _ in channels]
        for layer, width in zip(units, channels):
            layer.build([(None, 2, 2, width)] * tasks)
        assert tasks * sum(int(np.prod(v.shape)) for layer in units for v in layer.trainable_variables) == total


def test_networks_of_stitches_have_a_trunk_for_each_task() -> None:
    item = TWO.subset(["item"])
    trunk = size(keras.Model(*hard_sharing("cnn(filters=2, dense=4)", item, (32, 32, 1))), item)
    stitched = built(network("cross_stitch(cnn(filters=2, dense=4))", TWO, (32, 32, 1)))
    units = [layer for layer in stitched.layers if isinstance(layer, CrossStitch)]
    assert len(units) == 2 * 3
    assert size(stitched, TWO) == 2 * trunk + sum(unit.count_params() for unit in units)


def test_size_of_mtan_on_resnet50() -> None:
    model = keras.Model(*mtan("resnet50", after=STAGES_OF_RESNET50, refine="bottleneck")(TWO, (64, 64, 3)))

    def trained(part: str) -> int:
        variables = [v for layer in model.layers if part in layer.name for v in layer.trainable_variables]
        return sum(int(np.prod(variable.shape)) for variable in variables)

    assert trained("item_attention") == trained("worn_attention") == 4_175_936
    assert trained("refine") == 7_931_392


@pytest.mark.parametrize(
    ("trunk", "shape", "ends"),
    [
        ("mlp", (12,), ["trunk_dense1", "trunk_dense2"]),
        ("cnn", (28, 28, 1), ["trunk_relu1", "trunk_relu3", "trunk_features"]),
        ("resnet18", (32, 32, 3), ["trunk_stem_relu", *(f"trunk_stage{n}_block2_relu" for n in (1, 2, 3, 4))]),
        ("resnet50", (64, 64, 3), ["conv1_relu", *STAGES_OF_RESNET50]),
        ("vgg16", (32, 32, 3), [f"block{n}_conv{m}" for n, m in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))]),
    ],
)
def test_stages(trunk: str, shape: tuple[int, ...], ends: list[str]) -> None:
    model = trunks.get(trunk, shape)
    assert stages.stage_ends(model) == ends
    x = np.random.default_rng(0).random((2, *shape), "float32")
    result = x
    for part in stages.cut(model, ends).values():
        result = part(result)
    np.testing.assert_array_equal(result, model(x))


def test_errors_name_what_can_be_cut() -> None:
    with pytest.raises(ValueError, match=r"behind which the trunk can be cut. Did you mean 'trunk_relu1'.*relu_1"):
        network("cross_stitch(cnn, after=['trunk_relu_1'])", TWO, (28, 28, 1))
    with pytest.raises(
        ValueError, match=r"2 stages with weights.*'ple' needs one for each level.*levels=3, split=None"
    ):
        network("ple(mlp, levels=3)", TWO, (12,))
    with pytest.raises(ValueError, match=r"has no layer behind which it can be cut into stages"):
        cross_stitch(lambda x: layers.Dense(3)(x))(TWO, (12,))
    with pytest.raises(ValueError, match=r"Unknown argument of network 'mmoe'. Did you mean 'experts'.*'expert'"):
        network("mmoe(expert=4)", TWO, (12,))
    with pytest.raises(ValueError, match=r"Trunk 'cnn' takes images .*Received: image_shape=\(12,\)"):
        network("mmoe(cnn)", TWO, (12,))
    with pytest.raises(ValueError, match=r"Unknown trunk. Did you mean 'resnet50'\? Received: 'resnet51'"):
        check_network("mtan(resnet51)")
    with pytest.raises(ValueError, match=r"Trunk 'resnet50' takes no arguments. Received: .resnet50.weights='a'"):
        check_network("ltb(resnet50(weights='a'))")
    with pytest.raises(ValueError, match=r"Unknown argument of trunk 'cnn'. Did you mean 'filters'.*'filter'"):
        check_network("nddr(cnn(filter=3))")
    with pytest.raises(ValueError, match=r"Unknown layer in after. Did you mean 'trunk_relu.'.*'trunk_relu'"):
        network("mtan(cnn, after=trunk_relu)", TWO, (28, 28, 1))
    with pytest.raises(ValueError, match=r"after must be the names of layers of the trunk. Received: after=\[3\]"):
        check_network("task_routing(after=[3])")
    with pytest.raises(ValueError, match=r"Unknown argument in gate. Did you mean 'temperature'.*'temprature'"):
        check_network("mmoe(gate={'temprature': 2})")
    with pytest.raises(ValueError, match=r"A task needs an expert. Received: shared_experts=0, task_experts=0"):
        network("cgc(shared_experts=0, task_experts=0)", TWO, (12,))


@pytest.mark.parametrize(
    ("build", "units"),
    [
        (cross_stitch(mlp(8, 4), own=1.0, others=0.0), "stitch"),
        (nddr(mlp(8, 4), own=1.0, others=0.0, normalise=False), "stitch"),
        (sluice(mlp(8, 4), own=1.0, others=0.0), "stitch"),
    ],
)
def test_identity_equals_independent_networks(build: Any, units: str) -> None:
    keras.utils.set_random_seed(1)
    model = built(build(THREE, (16,)))
    assert sum(layer.name.startswith(units) for layer in model.layers) == 6
    found = model(X)
    for task in THREE:
        x = keras.ops.convert_to_tensor(X)
        for level in (1, 2):
            x = model.get_layer(f"stage{level}_{task}")(x)
        for layer in model.layers:
            if layer.name.startswith(task):
                x = layer(x)
        np.testing.assert_array_equal(found[task], x)


def test_one_expert_equals_the_shared_bottom() -> None:
    trunk = mlp(8, 4, seed=3)
    shared, expert = built(hard_sharing(trunk, TWO, (16,))), built(mmoe(trunk, experts=1)(TWO, (16,)))
    for task in TWO:
        expert.get_layer(task).set_weights(shared.get_layer(task).get_weights())
    for task in TWO:
        np.testing.assert_array_equal(expert(X)[task], shared(X)[task])


def test_permuting_the_experts_with_the_columns_of_the_gates_changes_nothing() -> None:
    model = built(mmoe(mlp(8, 4), experts=3)(TWO, (16,)))
    before = {task: output.numpy() for task, output in model(X).items()}
    order = [2, 0, 1]
    experts = [model.get_layer(f"expert1_{number}").get_weights() for number in (1, 2, 3)]
    for number, source in enumerate(order, start=1):
        model.get_layer(f"expert1_{number}").set_weights(experts[source])
    for task in TWO:
        gate = model.get_layer(f"{task}_gate1")
        gate.set_weights([gate.get_weights()[0][:, order]])
    for task in TWO:
        np.testing.assert_allclose(model(X)[task], before[task], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize(
    ("build", "copies"),
    [
        (mmoe, ["expert1_1", "expert1_2", "expert1_3"]),
        (ple, ["expert1_1", "item_expert1_1", "worn_expert1_1"]),
        (cross_stitch, ["stage1_item", "stage1_worn"]),
    ],
)
def test_copies_start_from_different_weights(build: Any, copies: list[str], seed: int | None) -> None:
    """Equal experts would get equal gradients, and stay equal."""
    model = built(build(mlp(8, 4, seed=seed))(TWO, (16,)))
    kernels = [model.get_layer(name).get_weights()[0] for name in copies]
    for number, kernel in enumerate(kernels):
        for other in kernels[:number]:
            assert np.abs(kernel - other).max() > 0.01
    again = built(build(mlp(8, 4, seed=seed))(TWO, (16,)))
    same = np.array_equal(again.get_layer(copies[-1]).get_weights()[0], kernels[-1])
    assert same == (seed is not None)


def test_copies_of_a_pretrained_trunk_start_from_its_weights(tmp_path: Any) -> None:
    source = trunks.get(mlp(8, 4), (16,))
    source.save_weights(tmp_path / "trunk.weights.h5")
    for model in (
        built(cross_stitch(mlp(8, 4))(TWO, (16,), str(tmp_path / "trunk.weights.h5"))),
        built(cross_stitch(source)(TWO, (16,))),
    ):
        for task in TWO:
            np.testing.assert_array_equal(model.get_layer(f"stage1_{task}").get_weights()[0], source.get_weights()[0])


def test_without_shared_experts_cgc_is_separate_networks() -> None:
    model = built(cgc(mlp(8), shared_experts=0, task_experts=2)(TWO, (16,)))
    of_item = gradients(model, X, "item")
    assert largest(of_item, "worn") == 0
    assert all(value > 0 for path, value in of_item.items() if path.startswith("item"))


def test_without_task_experts_cgc_is_mmoe() -> None:
    keras.utils.set_random_seed(2)
    one = built(cgc(mlp(8), shared_experts=3, task_experts=0)(TWO, (16,)))
    keras.utils.set_random_seed(2)
    other = built(mmoe(mlp(8), experts=3)(TWO, (16,)))
    assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]
    for task in TWO:
        np.testing.assert_array_equal(one(X)[task], other(X)[task])


def test_gradients_of_gates_and_experts() -> None:
    of_item = gradients(built(mmoe(mlp(8), experts=3)(TWO, (16,))), X, "item")
    assert largest(of_item, "worn") == 0
    assert largest(of_item, "item_gate1") > 0
    assert all(value > 0 for path, value in of_item.items() if path.startswith("expert"))


def test_ple_reaches_the_experts_of_other_tasks_below_the_last_level_only() -> None:
    of_item = gradients(built(ple(mlp(8, 8), levels=2)(TWO, (16,))), X, "item")
    assert largest(of_item, "worn_expert2", "worn_gate") == 0
    assert largest(of_item, "worn_expert1") > 0  # through the shared mixture
    for part in ("shared_gate1", "expert1", "expert2", "item_expert1", "item_expert2", "item_gate1", "item_gate2"):
        assert largest(of_item, part) > 0


def test_the_shared_gate_of_ple_weights_all_experts_and_is_absent_from_the_last_level() -> None:
    model = built(ple(mlp(8, 8, 8), levels=3, shared_experts=2, task_experts=1)(THREE, (16,)))
    gates = {layer.name: layer.experts for layer in model.layers if isinstance(layer, SoftmaxGate)}
    own = {f"{task}_gate{level}": 3 for task in THREE for level in (1, 2, 3)}
    assert gates == own | {"shared_gate1": 5, "shared_gate2": 5}


def test_towers_and_splits() -> None:
    model = built(network("mmoe(mlp(dense=[8, 6, 4]), experts=2, split='trunk_dense1', tower=[5, 3])", TWO, (16,)))
    assert model.get_layer("item_gate1").kernel.shape == (8, 2)
    assert [model.get_layer(f"item_tower{number}").units for number in (1, 2)] == [5, 3]
    gates = [layer for layer in built(network("dselect_k(experts=3)", TWO, (16,))).layers if "gate" in layer.name]
    assert all(isinstance(gate, DSelectKGate) and gate.experts == 3 for gate in gates)


def test_experts_of_images_are_the_last_stages() -> None:
    model = built(network("ple(cnn(filters=2, dense=4), levels=2)", TWO, (32, 32, 1)))
    experts = {name: model.get_layer(name).layers[-1].name for name in ("expert1_1", "item_expert2_1")}
    assert experts == {"expert1_1": "expert1_1_relu3", "item_expert2_1": "item_expert2_1_features"}
    assert {"trunk_conv1", "trunk_relu1"} <= {layer.name for layer in model.layers}  # the shared bottom


def test_routing_masks_depend_on_seed_layer_and_task() -> None:
    def masks(seed: int, tasks: TaskSet) -> dict[str, list[float]]:
        model = built(task_routing(mlp(16, 16), seed=seed)(tasks, (16,)))
        routes = [layer for layer in model.layers if isinstance(layer, TaskRouting)]
        return {layer.name: layer.mask.numpy().tolist() for layer in routes}

    found = masks(0, THREE)
    assert len({tuple(mask) for mask in found.values()}) == 6
    alone = masks(0, THREE.subset(["price"]))
    assert alone == {name: mask for name, mask in found.items() if name.startswith("price")}
    assert masks(1, THREE) != found


def test_routing_shares_all_weights_of_the_trunk() -> None:
    model = built(task_routing(mlp(16, 16))(TWO, (16,)))
    alone = built(hard_sharing(mlp(16, 16), TWO, (16,)))
    assert size(model, TWO) == size(alone, TWO)
    of_item = gradients(model, X, "item")
    assert largest(of_item, "trunk_dense1") > 0


def test_routing_has_a_normalisation_for_each_task_and_calls_the_first_layers_once() -> None:
    model = built(task_routing("cnn(filters=2, dense=4)")(TWO, (32, 32, 1)))
    normalisations = [each.name for each in model.layers if isinstance(each, layers.BatchNormalization)]
    behind = ("norm2", "norm3", "dense_norm")
    assert sorted(normalisations) == sorted(
        ["trunk_norm1", *(f"{task}_trunk_{name}" for task in TWO for name in behind)]
    )
    producers = [symbolic_producer(tensor)[0].name for tensor in graph.in_order(list(model.outputs_by_task.values()))]
    assert {name: producers.count(name) for name in ("trunk_conv1", "trunk_norm1", "trunk_conv2")} == {
        "trunk_conv1": 1, "trunk_norm1": 1, "trunk_conv2": 2
    }  # fmt: skip


def test_branches_returns_the_tree_and_its_network() -> None:
    model = built(network("ltb(mlp(dense=8, depth=3, dropout=0))", THREE, (16,)))
    chosen = {"branch2_1": 1, "branch2_2": 1, "branch2_3": 0, "branch3_1": 0, "branch3_2": 2, "branch3_3": 1}
    chosen |= {"item_branch": 0, "worn_branch": 0, "price_branch": 1}
    for name, parent in chosen.items():
        model.get_layer(name).logits.assign(np.eye(3)[parent])
    tree = branches(model)
    assert tree.paths == {
        "item": ("node1_2", "node2_1", "node3_1"),
        "worn": ("node1_2", "node2_1", "node3_1"),
        "price": ("node1_1", "node2_3", "node3_2"),
    }
    for task, output in model(X).items():
        np.testing.assert_array_equal(tree.model(X)[task], output)
    calls = [symbolic_producer(tensor)[0].name for tensor in graph.in_order(tree.model.outputs)]
    assert len(set(calls)) == len(calls)  # what two tasks share is computed once
    nodes = [layer.name for layer in tree.model.layers if layer.name.startswith("node")]
    assert sorted(nodes) == ["node1_1", "node1_2", "node2_1", "node2_3", "node3_1", "node3_2"]
    assert tree.model.get_layer("node1_1") is model.get_layer("node1_1")


def test_sluice_penalty_and_layer_mixture() -> None:
    model = built(network("sluice(mlp(dense=8, dropout=0), orthogonality=0.1, mix_layers=True)", TWO, (16,)))
    assert len(model.losses) == 4  # two tasks, two stages
    restored = keras.Model.from_config(keras.Model(model.inputs, model.outputs).get_config())
    assert len(restored.losses) == 4
    assert [model.get_layer(f"{task}_layers").beta.shape for task in TWO] == [(2,), (2,)]


@pytest.mark.parametrize("alone", ["cross_stitch", "hard_sharing"])
@pytest.mark.parametrize("build", [cross_stitch, nddr, sluice])
def test_starting_from_single_task_networks(build: Any, alone: str) -> None:
    def single(task: str) -> keras.Model:
        tasks = TWO.subset([task])
        graph = build(mlp(8, 4))(tasks, (16,)) if alone == "cross_stitch" else hard_sharing(mlp(8, 4), tasks, (16,))
        return keras.Model(*graph)

    sources = {task: single(task) for task in TWO}
    settings = {"normalise": False} if build is nddr else {}
    model = built(build(mlp(8, 4), own=1.0, others=0.0, **settings)(TWO, (16,)))
    start_from_single_task(model, sources)
    for task, source in sources.items():
        np.testing.assert_allclose(model(X)[task], source(X)[task], rtol=1e-6)


def test_errors_of_a_start_from_single_task_networks() -> None:
    source = keras.Model(*hard_sharing(mlp(8, 5), TWO.subset(["item"]), (16,)))
    with pytest.raises(ValueError, match=r"has no layer like 'stage2_item_dense2' with weights \[\(8, 4\), \(4,"):
        start_from_single_task(built(cross_stitch(mlp(8, 4))(TWO, (16,))), {"item": source})
    with pytest.raises(ValueError, match=r"Only networks of cross_stitch, .* no copy of the trunk for task 'item'"):
        start_from_single_task(built(mmoe(mlp(8, 5))(TWO, (16,))), {"item": source})
