"""Settings of a run: through JSON and back, and any value checked."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config import RunConfig
from tests.fuzzing.values import json_values, refused, task_names

words = st.text(max_size=8)
names = st.lists(task_names, max_size=3).map(tuple)
fields: dict[str, st.SearchStrategy[Any]] = {
    "experiment": st.none() | words,
    "dataset": words | st.just("cifar10"),
    "synthetic": st.booleans(),
    "examples": st.none() | st.integers(),
    "train_examples": st.none() | st.integers() | st.floats(),
    "data_dir": st.none() | words,
    "image_column": st.none() | words,
    "image_extension": words,
    "tasks": st.none() | names,
    "task_weights": st.dictionaries(task_names, st.floats(), max_size=3),
    "weighting": words | st.sampled_from(["static", "mgda", "dwa(temperature=-1)"]),
    "schedule": words | st.sampled_from(["none", "dst", "dst(floor=2)"]),
    "epochs": st.integers(),
    "batch_size": st.integers(),
    "learning_rate": st.floats(),
    "optimizer": words | st.sampled_from(["adam", "sgd(momentum=0.9)"]),
    "augment": st.booleans(),
    "seed": st.integers(),
    "jit_compile": words | st.just("auto"),
    "steps_per_execution": st.integers(-1, 9),
    "early_stopping": st.integers(-1, 9),
    "export": st.just(()) | names,
}
configs = st.builds(RunConfig, **fields)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, NaN being itself."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return bool(one == other)


@given(configs)
def test_settings_survive_json(config: RunConfig) -> None:
    again = RunConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert same(dataclasses.asdict(again), dataclasses.asdict(config))


@given(st.sampled_from(sorted(fields)).flatmap(lambda name: st.tuples(st.just(name), fields[name])))
def test_settings_are_accepted_or_refused(setting: tuple[str, Any]) -> None:
    # One at a time: otherwise the first that is wrong would hide the others.
    refused(dataclasses.replace(RunConfig(synthetic=True), **dict([setting])).check)


@given(st.dictionaries(words | st.just("epochs"), json_values, max_size=3))
def test_unknown_settings_are_refused(values: dict[str, Any]) -> None:
    known = {entry.name for entry in dataclasses.fields(RunConfig)}
    assert refused(RunConfig.from_json, values) is None or known.issuperset(values)


@pytest.mark.parametrize("value", ["3", None, [], 1.5, True])
def test_settings_of_another_type_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"'epochs' has a value of another type\. Received: epochs="):
        RunConfig.from_json({"epochs": value})
