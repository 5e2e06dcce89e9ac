"""Specifications of schedules, weightings, optimizers and networks are understood or refused."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.building import make_optimizer, make_schedule
from models import network, trunks
from mtl_keras import Task, TaskSet, schedules, weightings
from mtl_keras.schedules import CURVES
from tests.fuzzing.values import json_values, odd_values, refused

KINDS: Mapping[str, Any] = {"schedule": schedules.get, "curve": CURVES.get, "weighting": weightings.get}
REGISTRIES = {"schedule": schedules.SCHEDULES, "curve": CURVES, "weighting": weightings.WEIGHTINGS}
VALID = {
    "dst": "schedule",
    "dst(depth=0.1, count=0.2, incompleteness=0.3, stagnancy=0.4, floor=0)": "schedule",
    "random_drop(keep={'a': 0.5, 'b': 1})": "schedule",
    "static({'a': 0})": "schedule",
    "weight_curves(curves={'a': join([constant(1), linear(1, 0, 10)], [5])})": "schedule",
    "step([1, 0.5, 0], [3, 6])": "curve",
    "cosine(start=1, end=0.0, epochs=30)": "curve",
    "dwa(temperature=2)": "weighting",
    "cagrad(c=0.4, update_every=10)": "weighting",
    "cr_mogm(weighting='mgda', alpha=0.9)": "weighting",
    "rlw(distribution='normal', seed=3)": "weighting",
}
OPTIMIZERS = ["adam", "SGD(momentum=0.9, nesterov=True)", "adamw(weight_decay=0.004, clipnorm=1.0)", "rmsprop(rho=0.9)"]
NETWORKS = ["hard_sharing", "two_paths(filters=8)", "cnn(filters=16)", "mlp(dense=4, depth=1)", "mobilenetv2"]
PUNCTUATION = "()[]{}=,.:'\"\\-+* \n\0_0123eXé中"
TASKS = TaskSet([Task.binary("a")])

# Required arguments with which each class can be made, so that the others can be tried one by one.
REQUIRED: dict[str, dict[str, Any]] = {
    "static": {"weights": {"a": 1.0}},
    "weight_curves": {"curves": {"a": "constant(1)"}},
    "constant": {"value": 1.0},
    "linear": {"start": 0.0, "end": 1.0, "epochs": 3},
    "cosine": {"start": 0.0, "end": 1.0, "epochs": 3},
    "step": {"values": [1.0, 2.0], "boundaries": [3]},
    "join": {"curves": ["constant(1)", "constant(2)"], "boundaries": [3]},
}
ARGUMENTS = [
    (kind, name, argument)
    for kind, registry in REGISTRIES.items()
    for name in registry.names
    for argument in inspect.signature(registry[name]).parameters
]


@st.composite
def near_miss(draw: Any, valid: list[str]) -> str:
    """A valid specification with a few characters taken out, put in, doubled or exchanged."""
    text = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 3))
        text = text[:place] + draw(st.text(PUNCTUATION, max_size=2)) + text[place + length :]
    return text


@pytest.mark.parametrize("text", VALID)
def test_the_specifications_that_are_altered_are_valid(text: str) -> None:
    assert KINDS[VALID[text]](text) is not None


@given(st.sampled_from(sorted(KINDS)), st.text() | st.text(PUNCTUATION + "dstmga", max_size=30))
def test_any_text(kind: str, text: str) -> None:
    refused(KINDS[kind], text)


@settings(max_examples=300)
@given(near_miss(list(VALID)), st.sampled_from(sorted(KINDS)))
def test_near_misses(text: str, kind: str) -> None:
    refused(KINDS[kind], text)


@settings(max_examples=300)
@given(st.sampled_from(ARGUMENTS), odd_values)
def test_every_argument_is_kept_or_refused(argument: tuple[str, str, str], value: Any) -> None:
    kind, name, parameter = argument
    needed = REQUIRED.get(name, {}) if kind != "weighting" else {}
    made = refused(KINDS[kind], {"name": name, "config": {**needed, parameter: value}})
    if made is not None:
        stored = json.dumps(schedules.serialize(made))
        again = KINDS[kind](json.loads(stored))
        assert again == made
        assert json.dumps(schedules.serialize(again)) == stored


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(["name", "config", "x"]), json_values | st.sampled_from(["dst", "join", "mgda"])),
)
def test_configs(kind: str, config: dict[str, Any]) -> None:
    refused(KINDS[kind], config)


@given(near_miss(OPTIMIZERS) | st.text(), st.sampled_from([1e-3, 0.0, -1.0, float("nan"), float("inf"), 1e300]))
def test_optimizers(text: str, learning_rate: float) -> None:
    with contextlib.suppress(ValueError):  # whose message may be Keras' own
        assert isinstance(make_optimizer(text, learning_rate), keras.optimizers.Optimizer)


@given(near_miss(NETWORKS) | st.text(), st.sampled_from(["trunk", "network"]))
def test_networks(text: str, kind: str) -> None:
    # What is understood would be built, layer by layer: that is for other tests.
    text = text.replace("(", "(no_such_argument=1, ", 1) if "(" in text else text + "(no_such_argument=1)"
    get = trunks.TRUNKS.get if kind == "trunk" else lambda spec: network(spec, TASKS, (8, 8, 3))
    assert refused(get, text) is None


nested = st.recursive(
    st.sampled_from(
        ["constant(1)", "linear(1, 0, 3)", "step([1, 0], [2])", "0", "None", "'x'", "{}", "nowhere", "-1e9"]
    ),
    lambda inner: st.one_of(
        st.builds("join([{}, {}], [{}])".format, inner, inner, st.integers(-1, 5)),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'a': {}, 'b': {}}}".format, inner, inner),
        st.builds("constant(value={})".format, inner),
    ),
    max_leaves=30,
)


@given(nested)
def test_nested_specifications(inner: str) -> None:
    for kind, text in (("curve", inner), ("schedule", f"weight_curves({{'a': {inner}}})"), ("weighting", inner)):
        refused(KINDS[kind], text)


@pytest.mark.parametrize("depth", [30, 90, 3000])
def test_towers(depth: int) -> None:
    refused(CURVES.get, "join([" * depth + "constant(1)" + "], [])" * depth)
    refused(schedules.get, "dst(" + "[" * depth + "]" * depth + ")")
    refused(weightings.get, "cr_mogm(" * depth + ")" * depth)


@pytest.mark.parametrize(
    "text", ["dst(floor={})", "random_drop(keep={})", "random_drop({{'a': {}}})", "static({{'a': {}}})"]
)
@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "9" * 5000, "0x" + "f" * 5000, "1e-999", "5j", "..."])
def test_huge_numbers(text: str, number: str) -> None:
    made = refused(make_schedule, text.format(number))
    assert made is None or number == "1e-999"


def test_a_number_larger_than_any_float_is_named() -> None:
    with pytest.raises(ValueError, match=r"floor must be a finite number.*Received: floor=1000"):
        schedules.DST(floor=10**400)


values = st.floats(0, 1)
curve_objects: st.SearchStrategy[schedules.Curve] = st.recursive(
    st.builds(schedules.Constant, values)
    | st.builds(schedules.Linear, values, values, st.integers(1, 50))
    | st.builds(schedules.Cosine, values, values, st.floats(1, 50))
    | st.builds(schedules.Step, st.tuples(values, values), st.tuples(st.integers(1, 9))),
    lambda inner: st.builds(schedules.Join, st.tuples(inner, inner), st.tuples(st.floats(0.5, 9))),
    max_leaves=4,
)
schedule_objects = st.one_of(
    st.builds(schedules.RandomDrop, values | st.dictionaries(st.text(), values, max_size=3)),
    st.builds(schedules.Static, st.dictionaries(st.text(), values, max_size=3)),
    st.builds(schedules.WeightCurves, st.dictionaries(st.text(), curve_objects, max_size=3)),
    st.builds(schedules.DST, depth=st.floats(0, 0.5), floor=st.none() | st.floats(0, 0.5)),
)


@given(schedule_objects, st.integers(0, 60))
def test_round_trips(schedule: schedules.Schedule, epoch: int) -> None:
    again = schedules.get(json.loads(json.dumps(schedules.serialize(schedule))))
    assert again == schedule
    assert type(schedule).from_config(schedule.get_config()) == schedule
    if isinstance(schedule, schedules.WeightCurves):
        for name, curve in schedule.curves.items():
            assert 0 <= CURVES.get(curve)(epoch) <= 1
            assert CURVES.get(again.curves[name])(epoch) == CURVES.get(curve)(epoch)
