"""`SharingMonitor` on networks whose gates, stitches, masks and branches are set by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from models import experts, parallel
from mtl_keras import MultiTaskModel, Task, TaskSet
from mtl_keras.callbacks import SharingMonitor
from mtl_keras.callbacks.sharing_layers import has_sharing_layers
from mtl_keras.callbacks.sharing_summary import SharingSummary
from mtl_keras.layers import (
    NDDR,
    BranchChoice,
    CrossStitch,
    DSelectKGate,
    ExpertMixture,
    Sluice,
    SoftmaxGate,
    TaskAttention,
)
from tests.mtl_keras.callbacks.tiny import tiny_data, tiny_model

# The first of two features for three examples, the second for one.
X = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], "float32")
Y = {"click": np.zeros((4, 1), "float32"), "click_long": np.ones((4, 1), "float32")}
NAMES = tuple(Y)
H = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))  # entropy of (3/4, 1/4)


def fit(model: keras.Model, *monitors: SharingMonitor, epochs: int = 1, rate: float = 0.0, **arguments: Any) -> Any:
    """Trains; by default with a rate of 0, so that the weights keep the values of the test."""
    model.compile(keras.optimizers.SGD(rate), loss="mse", **{"run_eagerly": True, **arguments})
    return model.fit(X, Y, epochs=epochs, verbose=0, shuffle=False, callbacks=list(monitors)).history


def measured(model: keras.Model, data: Any = X) -> SharingSummary:
    monitor = SharingMonitor(data)
    fit(model, monitor)
    assert monitor.summary is not None
    return monitor.summary


def outputs(features: dict[str, Any]) -> dict[str, Any]:
    return {task: layers.Dense(1, name=f"{task}_head")(x) for task, x in features.items()}


def two_gates(kernels: dict[str, Any], gate: Any = SoftmaxGate) -> MultiTaskModel:
    """Returns an MMoE of two experts; the gates' kernels are `(2, 2)`."""
    inputs = keras.Input((2,))
    both = [layers.Dense(3, name=name)(inputs) for name in ("one", "two")]
    gates = {task: gate(2, name=f"gate{number}")(inputs) for number, task in enumerate(NAMES)}
    model = MultiTaskModel(inputs, outputs({task: ExpertMixture()([gates[task], *both]) for task in NAMES}))
    for number, task in enumerate(NAMES):
        if task in kernels:
            model.get_layer(f"gate{number}").set_weights([np.asarray(kernels[task], "float32")])
    return model


L = math.log(3)
KERNELS = {"click": [[L, 0], [0, L]], "click_long": [[0, 0], [0, 0]]}


def test_gates_have_the_weights_entropies_and_top_experts_of_the_sample() -> None:
    monitor = SharingMonitor(X)
    history = fit(two_gates(KERNELS), monitor)
    assert monitor.summary is not None
    one, other = monitor.summary.gates
    assert (one.layer, one.owner, one.level, one.experts) == ("gate0", "click", 1, ("one", "two"))
    assert one.weights == pytest.approx((0.625, 0.375))
    assert one.top == (0.75, 0.25)
    assert one.entropy == pytest.approx(H)
    assert one.entropy_share == pytest.approx(H / math.log(2))
    assert other.weights == pytest.approx((0.5, 0.5))
    assert other.entropy_share == pytest.approx(1)
    assert history["gate_entropy"] == [pytest.approx((H / math.log(2) + 1) / 2)]
    assert history["unused_experts"] == [0]
    rows, columns, values = monitor.summary.gate_tables("weights")[1]
    assert (rows, columns) == (NAMES, ("one", "two"))
    np.testing.assert_allclose(values, [[0.625, 0.375], [0.5, 0.5]], rtol=1e-6)


def test_a_compiled_pass_measures_the_same() -> None:
    plain, compiled = SharingMonitor(X), SharingMonitor(X)
    fit(two_gates(KERNELS), plain)
    fit(two_gates(KERNELS), compiled, run_eagerly=False)
    assert plain.summary is not None
    assert compiled.summary is not None
    for one, other in zip(plain.summary.gates, compiled.summary.gates, strict=True):
        assert one.weights == pytest.approx(other.weights)


def test_gates_of_dselect_k() -> None:
    def gate(count: int, name: str) -> layers.Layer:
        return DSelectKGate(count, k=2, per_example=False, name=name)

    model = two_gates({}, gate)
    for number in range(2):
        # The bit of both selectors is 1: the second expert.
        model.get_layer(f"gate{number}").code_bias.assign([0.5, 0.5])
    with pytest.warns(UserWarning, match="'one' is hardly used"):
        summary = measured(model)
    assert [each.top for each in summary.gates] == [(0, 1), (0, 1)]
    assert summary.gate_entropy == pytest.approx(0, abs=1e-6)
    assert summary.unused_experts == ("one",)


def test_an_expert_that_no_gate_uses_is_named_once() -> None:
    unused = [[0, -9], [0, -9]]
    with pytest.warns(UserWarning, match="'two' is hardly used: its mean weight is below 1% in every gate") as caught:
        history = fit(two_gates({"click": unused, "click_long": unused}), SharingMonitor(X), epochs=2)
    assert len(caught) == 1
    assert history["unused_experts"] == [1, 1]
    assert measured(two_gates({"click": unused, "click_long": KERNELS["click_long"]})).unused_experts == ()


def task_set() -> TaskSet:
    return TaskSet([Task.regression(name) for name in NAMES])


def test_a_task_whose_name_begins_another_has_its_own_experts() -> None:
    summary = measured(MultiTaskModel(*experts.cgc("mlp(dense=4)")(task_set(), (2,))))
    assert [(gate.owner, gate.experts) for gate in summary.gates] == [
        ("click", ("click_expert1_1", "expert1_1")),
        ("click_long", ("click_long_expert1_1", "expert1_1")),
    ]
    rows, columns, values = summary.gate_tables("weights")[1]
    assert (rows, columns) == (NAMES, ("click_expert1_1", "click_long_expert1_1", "expert1_1"))
    assert np.isnan(values).tolist() == [[False, True, False], [True, False, False]]


def test_gates_of_several_levels_belong_to_the_task_that_reads_their_mixture() -> None:
    network = experts.ple("mlp(dense=[4, 4, 4])", levels=3)
    summary = measured(MultiTaskModel(*network(task_set(), (2,))))
    assert [(gate.level, gate.owner) for gate in summary.gates] == [
        (1, "click"), (1, "click_long"), (1, "shared"), (2, "click"), (2, "click_long"), (2, "shared"),
        (3, "click"), (3, "click_long"),
    ]  # fmt: skip
    assert summary.gates[5].experts == ("click_expert2_1", "click_long_expert2_1", "expert2_1")


def stitched(unit: Any) -> MultiTaskModel:
    inputs = keras.Input((2,))
    features = [layers.Dense(2, name=f"{task}_dense")(inputs) for task in NAMES]
    mixed = {task: unit(position, f"unit{position}")(features) for position, task in enumerate(NAMES)}
    return MultiTaskModel(inputs, outputs(mixed))


def test_the_matrix_of_a_cross_stitch_unit_is_the_mean_over_the_channels() -> None:
    model = stitched(lambda position, name: CrossStitch(position, own=0.8, speed=10.0, name=name))
    model.get_layer("unit1").change.assign([[0.01, 0.03], [0, -0.02]])
    (unit,) = measured(model, None).stitches
    assert (unit.kind, unit.level, unit.rows, unit.columns) == ("CrossStitch", 1, NAMES, NAMES)
    np.testing.assert_allclose(unit.mixing, [[0.8, 0.2], [0.4, 0.7]], rtol=1e-6)


def test_the_matrix_of_a_sluice_unit_has_the_subspaces() -> None:
    model = stitched(lambda position, name: Sluice(position, own=0.8, name=name))
    (unit,) = measured(model, None).stitches
    assert unit.rows == unit.columns == ("click 1", "click 2", "click_long 1", "click_long 2")
    np.testing.assert_allclose(unit.mixing, np.kron([[0.8, 0.2], [0.2, 0.8]], np.eye(2)), rtol=1e-6)


def test_the_matrix_of_nddr_has_the_shares_of_the_tasks() -> None:
    model = stitched(lambda position, name: NDDR(position, name=name))
    model.get_layer("unit0").kernel.assign([[1, -2], [0, 3], [-1, 1], [0, 0]])
    (unit,) = measured(model, None).stitches
    np.testing.assert_allclose(unit.mixing, [[0.75, 0.25], [0.1, 0.9]], rtol=1e-6)


def test_units_of_several_levels_have_the_names_of_the_tasks() -> None:
    network = parallel.sluice("mlp(dense=[4, 4])", subspaces=1, mix_layers=True)
    summary = measured(MultiTaskModel(*network(task_set(), (2,))), None)
    assert [(unit.level, unit.rows, unit.columns) for unit in summary.stitches] == [
        (1, NAMES, NAMES),
        (2, NAMES, NAMES),
    ]


def test_masks_of_attention_modules() -> None:
    inputs = keras.Input((2,))
    shared = layers.Dense(3)(inputs)
    first = {task: TaskAttention(name=f"a{number}")([shared, inputs]) for number, task in enumerate(NAMES)}
    model = MultiTaskModel(
        inputs, outputs(first | {"click": TaskAttention(name="b")([shared, inputs, first["click"]])})
    )
    for name, mask in (("a0", 0.25), ("a1", 0.5), ("b", 0.75)):
        layer = model.get_layer(name)
        layer.second.kernel.assign(np.zeros((3, 3)))
        layer.second_norm.beta.assign([math.log(mask / (1 - mask))] * 3)
    summary = measured(model)
    rows, columns, values = summary.attention_table()
    assert (rows, columns) == (NAMES, ("level 1", "level 2"))
    np.testing.assert_allclose(values, [[0.25, 0.75], [0.5, math.nan]], rtol=1e-6)
    assert measured(model, None).attention == ()


def branching() -> MultiTaskModel:
    """Returns a network in which `click` reads node 2_2 and `click_long` node 2_1, and both read node 1_2."""
    inputs = keras.Input((2,))
    nodes = [layers.Dense(2, name=f"node1_{number}")(inputs) for number in (1, 2)]
    read = [BranchChoice(name=f"branch{number}")(nodes) for number in (1, 2)]
    above = [layers.Dense(2, name=f"node2_{number}")(x) for number, x in zip((1, 2), read)]
    model = MultiTaskModel(inputs, outputs({task: BranchChoice(name=f"{task}_branch")(above) for task in NAMES}))
    chosen = {"branch1": 1, "branch2": 1, "click_branch": 1, "click_long_branch": 0}
    for name, parent in chosen.items():
        model.get_layer(name).logits.assign(np.eye(2)[parent] * L)
    return model


def test_branches_have_probabilities_and_a_tree() -> None:
    summary = measured(branching(), None)
    assert summary.paths == {"click": ("node1_2", "node2_2"), "click_long": ("node1_2", "node2_1")}
    assert [(branch.level, branch.owner, branch.chosen) for branch in summary.branches] == [
        (1, "node2_1", "node1_2"), (1, "node2_2", "node1_2"), (2, "click", "node2_2"), (2, "click_long", "node2_1"),
    ]  # fmt: skip
    for branch in summary.branches:
        assert branch.probability == pytest.approx(0.75)


def test_without_a_sample_gates_are_not_measured() -> None:
    monitor = SharingMonitor()
    history = fit(two_gates(KERNELS), monitor)
    assert not {"gate_entropy", "unused_experts"} & set(history)
    assert not monitor.summary


def test_hard_sharing_has_nothing_to_measure(tmp_path: Path) -> None:
    model, monitor = tiny_model(), SharingMonitor(tiny_data()[0], tmp_path)
    assert not has_sharing_layers(model)
    assert has_sharing_layers(branching())
    model.fit(*tiny_data(), verbose=0, callbacks=[monitor])
    assert not monitor.summary
    assert list(tmp_path.iterdir()) == []


def test_of_a_dataset_the_inputs_of_the_first_examples_are_used() -> None:
    batches = tf.data.Dataset.from_tensor_slices((X, Y["click"])).batch(2)
    monitor = SharingMonitor(batches, examples=3)
    fit(two_gates(KERNELS), monitor)
    assert monitor.summary is not None
    assert monitor.summary.examples == 3
    assert monitor.summary.gates[0].top == pytest.approx((2 / 3, 1 / 3))


def test_training_is_the_same_bit_for_bit() -> None:
    weights = []
    for monitors in ([], [SharingMonitor(X)]):
        keras.utils.set_random_seed(1)
        model = two_gates({}, lambda count, name: SoftmaxGate(count, dropout=0.3, name=name))
        fit(model, *monitors, epochs=2, rate=0.1)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_summary_is_read_from_its_json() -> None:
    for model in (two_gates(KERNELS), branching(), stitched(lambda place, name: Sluice(place, name=name))):
        summary = measured(model)
        assert SharingSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


@pytest.mark.parametrize("values", [{}, [], {"gates": [{}]}, {**SharingSummary().to_json(), "gates": [{"layer": "a"}]}])
def test_other_json_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="this is not a sharing summary"):
        SharingSummary.from_json(values)


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), {"tensors": 0}).Reload()


def test_tensorboard_has_the_entropies_and_heat_maps(tmp_path: Path) -> None:
    fit(two_gates(KERNELS), SharingMonitor(X, tmp_path), epochs=2)
    found = events(tmp_path / "sharing")
    assert set(found.PluginTagToContent("scalars")) == {
        "sharing/gate_entropy", "sharing/unused_experts", "gate_entropy_level1/click", "gate_entropy_level1/click_long",
    }  # fmt: skip
    written = [float(make_ndarray(event.tensor_proto)) for event in found.Tensors("gate_entropy_level1/click")]
    assert written == [pytest.approx(H / math.log(2))] * 2
    (tag,) = found.PluginTagToContent("images")
    assert tag == "gates/level1"
    _, _, png = make_ndarray(found.Tensors(tag)[0].tensor_proto)
    image = tf.io.decode_png(png).numpy()
    half = 255 + (np.array([178, 24, 43]) - 255) / 2
    assert np.abs(image[-1, -1] - half).max() <= 1


def test_tensorboard_has_branches_stitches_and_masks(tmp_path: Path) -> None:
    fit(branching(), SharingMonitor(None, tmp_path / "tree"))
    found = events(tmp_path / "tree" / "sharing")
    assert set(found.PluginTagToContent("images")) == {"branches/level1", "branches/level2"}
    assert "branch_level2/click_long" in found.PluginTagToContent("scalars")
    fit(stitched(lambda position, name: NDDR(position, name=name)), SharingMonitor(None, tmp_path / "stitch"))
    assert list(events(tmp_path / "stitch" / "sharing").PluginTagToContent("images")) == ["stitches/level1"]


@pytest.mark.parametrize("examples", [0, 1.5, "2"])
def test_bad_arguments_are_refused(examples: Any) -> None:
    with pytest.raises(ValueError, match="examples must be"):
        SharingMonitor(X, examples=examples)
    with pytest.raises(TypeError, match=r"log_dir must be a path or None. Received: log_dir=3"):
        SharingMonitor(X, log_dir=3)  # type: ignore[arg-type]


def test_data_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"an array for each of the model's inputs, 1. Received: 2"):
        fit(two_gates(KERNELS), SharingMonitor([X, X]))
    with pytest.raises(ValueError, match="`data` must have examples"):
        fit(two_gates(KERNELS), SharingMonitor(X[:0]))
    with pytest.raises(ValueError, match="Functional model"):
        SharingMonitor(X).set_model(keras.Sequential([layers.Dense(1)]))


def test_many_monitors_of_a_process_do_not_warn_of_retracing(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    monkeypatch.setattr(tf.get_logger(), "handle", lambda record: messages.append(record.getMessage()))
    model = two_gates(KERNELS)
    model.compile("sgd", loss="mse")
    for _ in range(6):
        monitor = SharingMonitor(X)
        monitor.set_model(model)
        monitor.on_epoch_end(0)
    assert messages == []
