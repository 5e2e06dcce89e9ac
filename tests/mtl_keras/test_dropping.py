"""Nothing that only dropped tasks reach changes in a training step."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel
from mtl_keras.testing import toy_data, toy_model
from mtl_keras.training import graph
from mtl_keras.training.dropped import slots

OPTIMIZERS = {
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "adam_ema_clipped": lambda: keras.optimizers.Adam(0.01, use_ema=True, global_clipnorm=1.0),
}

# Active sets of the toy tasks: kind, bright, round, copy. The middle two share a layer.
SETS = [(1, 0, 0, 0), (0, 1, 0, 1), (1, 1, 1, 1)]


def private_state(model: MultiTaskModel, task: str) -> list[np.ndarray]:
    """Everything that only `task` reaches, as arrays; of a fused layer, only the task's columns."""
    column = list(model.outputs_by_task).index(task)
    by_variable = slots(model.optimizer)
    state = []
    for entry in graph.ownership(model.outputs_by_task):
        others = np.delete(entry.reached, column, axis=1).any(axis=1)
        for variable in (entry.variable, *by_variable.get(id(entry.variable), ())):
            value = keras.ops.convert_to_numpy(variable)
            if len(entry.reached) > 1:
                value = value[..., entry.reached[:, column]]
                state.append(value)
            elif entry.reached[0, column] and not others[0]:
                state.append(value)
    return state


@pytest.mark.parametrize(("optimizer", "max_specializations"), [("adam_ema_clipped", 8), ("adamw", 1)])
def test_private_state_is_bit_identical_after_dropped_steps(optimizer: str, max_specializations: int) -> None:
    x, y = toy_data(32)
    model = toy_model(OPTIMIZERS[optimizer](), max_specializations=max_specializations, run_eagerly=True)
    model.fit(x, y, batch_size=16, verbose=0)
    for task in ("kind", "bright", "copy") if max_specializations == 1 else ("bright", "copy"):
        model.set_task_weights({**dict.fromkeys(model.task_names, 1.0), task: 0.0})
        before = private_state(model, task)
        running = private_state(model, "round")
        model.fit(x, y, batch_size=16, verbose=0)
        assert len(before) >= 2
        for old, new in zip(before, private_state(model, task), strict=True):
            np.testing.assert_array_equal(old, new)
        assert any((old != new).any() for old, new in zip(running, private_state(model, "round"), strict=True))


def test_one_compiled_function_gives_what_many_give() -> None:
    x, y = toy_data(16)
    rng = np.random.default_rng(1)
    rows = rng.random((12, 4)) * np.array(SETS)[rng.integers(len(SETS), size=12)]
    results = []
    for limit in (1, 100):
        model = toy_model(OPTIMIZERS["adam_ema_clipped"](), max_specializations=limit)
        for row in rows:
            model.set_step_weights(row[None])
            logs = model.train_on_batch(x, y, return_dict=True)
        results.append((model.get_weights(), [v.numpy() for v in model.optimizer.variables], logs))
        assert len(model.specializations) == (1 if limit == 1 else len(SETS))
    for few, many in zip(results[0][0] + results[0][1], results[1][0] + results[1][1], strict=True):
        np.testing.assert_allclose(few, many, atol=1e-6, rtol=0)
    assert results[0][2] == pytest.approx(results[1][2], abs=1e-5, nan_ok=True)


def test_the_number_of_compiled_functions_is_bounded() -> None:
    inputs = keras.Input((2,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1, name=name)(inputs) for name in "abcd"})
    model.compile("sgd", loss="mse", max_specializations=2)
    x, y = np.ones((4, 2), "float32"), dict.fromkeys("abcd", np.ones((4, 1), "float32"))
    for chosen in itertools.product([0.0, 1.0], repeat=4):
        if any(chosen):
            model.set_step_weights([chosen])
            model.train_on_batch(x, y)
    assert len(model.specializations) == 2
    assert all(entry.traces == 1 for entry in model.specializations)


def test_a_dropped_task_is_not_computed_so_that_nan_in_it_reaches_nothing() -> None:
    x, y = toy_data(16)
    model = toy_model(run_eagerly=True)
    model.set_task_weights({"copy": 0.0})
    model.get_layer("copy_dense").kernel.assign(np.full((12, 64), np.nan, "float32"))
    logs = model.train_on_batch(x, y, return_dict=True)
    assert [entry.tasks for entry in model.specializations] == [("kind", "bright", "round")]
    assert [entry.masked for entry in model.specializations] == [False]
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(value).all() for value in model.get_layer("trunk_dense").get_weights())


def test_gradient_accumulation_refuses_dropping() -> None:
    x, y = toy_data(16)
    model = toy_model(keras.optimizers.Adam(gradient_accumulation_steps=2), run_eagerly=True)
    model.train_on_batch(x, y)
    model.set_task_weights({"copy": 0.0})
    with pytest.raises(ValueError, match="gradient_accumulation_steps=2"):
        model.train_on_batch(x, y)


def test_with_mixed_precision_only_the_column_of_a_fused_active_task_changes() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    x, y = toy_data(16)
    model = toy_model(keras.optimizers.SGD(0.1), run_eagerly=True)
    assert type(model.optimizer) is keras.optimizers.LossScaleOptimizer
    model.optimizer.initial_scale = 64.0  # with the default the gradients overflow
    model.set_task_weights({"kind": 0.0, "bright": 0.0})
    before = private_state(model, "kind") + private_state(model, "bright")
    running = private_state(model, "round")
    assert np.isfinite(model.train_on_batch(x, y)[0])
    for old, new in zip(before, private_state(model, "kind") + private_state(model, "bright"), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all((old != new).any() for old, new in zip(running, private_state(model, "round"), strict=True))
