"""Every schedule of the registry, and the values of the simple ones."""

from __future__ import annotations

import inspect
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_keras.schedules import (
    SCHEDULES,
    Constant,
    Linear,
    RandomDrop,
    Records,
    Schedule,
    Static,
    WeightCurves,
    get,
    serialize,
)

TASKS = ("item", "group", "sketch")
EXAMPLES = [
    "dst",
    "dst(floor=0.3)",
    "dst(count=1)",
    "random_drop",
    "random_drop(keep={'group': 0.25})",
    "static({'sketch': 0, 'group': 2})",
    "weight_curves(curves={'group': linear(1, 0, 10), 'sketch': join([constant(0), cosine(0, 1, 4)], [3])})",
]
RECORDS = Records(TASKS, {"item": 4, "group": 4, "sketch": 7}, {"item": 600, "group": 600, "sketch": 60})

numbers = st.floats(allow_nan=True, allow_infinity=True)
by_task = st.fixed_dictionaries(dict.fromkeys(TASKS, numbers))
any_records = st.builds(
    Records, tasks=st.just(TASKS), depths=by_task, counts=by_task, losses=st.lists(by_task, max_size=6).map(tuple)
)


def test_every_schedule_has_an_example() -> None:
    assert sorted({serialize(get(example))["name"] for example in EXAMPLES}) == SCHEDULES.names


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_every_argument_is_in_the_config(name: str) -> None:
    example = next(get(example) for example in EXAMPLES if example.startswith(name))
    assert set(inspect.signature(SCHEDULES[name]).parameters) <= set(example.get_config())


@pytest.mark.parametrize("example", EXAMPLES)
@settings(max_examples=30)
@given(epoch=st.integers(0, 8), records=any_records)
def test_values_are_valid_and_depend_on_the_arguments_only(example: str, epoch: int, records: Records) -> None:
    schedule = get(example)
    values = schedule(epoch, records)
    assert list(values) == list(TASKS)
    highest = 1 if schedule.kind == "probability" else math.inf
    assert all(0 <= value <= highest and math.isfinite(value) for value in values.values())
    assert schedule(epoch, records) == values
    assert get(example)(epoch, records) == values


@pytest.mark.parametrize("example", EXAMPLES)
@settings(max_examples=30)
@given(epoch=st.integers(0, 8), records=any_records, order=st.permutations(TASKS))
def test_the_order_of_the_tasks_does_not_matter(
    example: str, epoch: int, records: Records, order: tuple[str, ...]
) -> None:
    schedule = get(example)
    reordered = Records(tuple(order), records.depths, records.counts, records.losses)
    assert schedule(epoch, reordered) == pytest.approx(schedule(epoch, records))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (RandomDrop(), {"item": 0.5, "group": 0.5, "sketch": 0.5}),
        (RandomDrop(keep=0.8), {"item": 0.8, "group": 0.8, "sketch": 0.8}),
        (RandomDrop(keep={"group": 0.25}), {"item": 1, "group": 0.25, "sketch": 1}),
        (Static({"sketch": 0, "group": 2}), {"item": 1, "group": 2, "sketch": 0}),
        (WeightCurves({"group": Linear(1, 0, 10), "sketch": "constant(3)"}), {"item": 1, "group": 0.6, "sketch": 3}),
    ],
)
def test_values_at_epoch_four(schedule: Schedule, expected: dict[str, float]) -> None:
    assert schedule(4, RECORDS) == pytest.approx(expected)


def test_nested_specifications_are_curves() -> None:
    expected = WeightCurves({"group": Linear(1, 0, 10), "item": Constant(2)})
    assert get("weight_curves(curves={'group': linear(1, 0, 10), 'item': constant(2)})") == expected


@pytest.mark.parametrize(
    "example", ["random_drop(keep={'gruop': 0.5})", "static({'gruop': 0})", "weight_curves({'gruop': constant(1)})"]
)
def test_unknown_tasks_are_refused_with_the_closest(example: str) -> None:
    with pytest.raises(ValueError, match="Did you mean 'group'"):
        get(example)(0, RECORDS)


def test_dropping_every_task_is_refused() -> None:
    with pytest.raises(ValueError, match="At least one task must keep a weight above 0"):
        get("static({'item': 0, 'group': 0, 'sketch': 0})")(0, RECORDS)


def test_a_negative_curve_is_refused() -> None:
    with pytest.raises(ValueError, match=r"curves\['item'\] at epoch 2 must be a finite number from 0 on"):
        get("weight_curves({'item': linear(1, -1, 2)})")(2, RECORDS)


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("dts", "Unknown schedule. Did you mean 'dst'.*Choices: dst, random_drop, static, weight_curves"),
        ("linear(1, 0, 5)", "Unknown schedule"),
        ("weight_curves({'item': dst})", "Unknown curve"),
        ("weight_curves({'item': 3})", "A curve is a name"),
        ("weight_curves(3)", "curves must map task names to curves. Received: curves=3"),
        ("random_drop(1.5)", "keep must be a finite number from 0 to 1. Received: keep=1.5"),
        ("random_drop({'item': 2})", r"keep\['item'\] must be a finite number from 0 to 1"),
        ("static({'item': -1})", r"weights\['item'\] must be a finite number from 0 on"),
        ("static(0)", "weights must map task names to numbers. Received: weights=0"),
        (None, "A schedule is a name, a config or a Schedule object. Received: None"),
    ],
)
def test_invalid_specifications_are_refused(identifier: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get(identifier)
