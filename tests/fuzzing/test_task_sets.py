"""Names, tasks, task sets, their compile arguments and the keys of the logs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_keras import Task, TaskSet
from mtl_keras.logs import SUMMARY, LogKey, group_by_task, parse_key
from mtl_keras.task_checks import check_task_name
from mtl_keras.training.spec import CompileSpec
from tests.fuzzing.values import odd_values, refused, task_names

LETTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
FACTORIES = {
    "classification": lambda name, value: Task.classification(name, value),
    "binary": lambda name, value: Task.binary(name, weight=value),
    "pos_weight": lambda name, value: Task.binary(name, pos_weight=value),
    "regression": lambda name, value: Task.regression(name, value),
    "shape": lambda name, value: Task(name, "regression", (2, value), "mse"),
    "weight": lambda name, value: Task.regression(name, weight=value),
}
tasks = st.one_of(
    st.builds(
        Task.classification,
        task_names,
        st.integers(1, 9) | st.lists(st.text(), min_size=1, max_size=4),
        weight=st.floats(0, 1e6),
        class_weight=st.none() | st.dictionaries(st.just(0), st.floats(0, 1e6)),
    ),
    st.builds(Task.binary, task_names, weight=st.floats(0, 9), pos_weight=st.none() | st.floats(0, 9)),
    st.builds(Task.regression, task_names, st.integers(1, 5), weight=st.floats(0, 9)),
    st.builds(Task.landmarks, task_names, st.lists(st.text(), min_size=1, max_size=3)),
    st.builds(Task.reconstruction, task_names, st.tuples(*[st.integers(1, 9)] * 3)),
)


@given(odd_values | st.text("ab_-. \n/lossv", max_size=8) | task_names)
def test_a_name_is_legal_or_refused(name: Any) -> None:
    legal = (
        isinstance(name, str)
        and name[:1] in LETTERS
        and set(name) <= LETTERS | set("_.-")
        and name not in ("", "loss", "mtl", "val")
        and not name.startswith("val_")
    )
    assert refused(check_task_name, name) == (name if legal else None)


@given(st.sampled_from(sorted(FACTORIES)), odd_values)
def test_a_task_keeps_an_argument_or_refuses_it(factory: str, value: Any) -> None:
    task = refused(FACTORIES[factory], "t", value)
    if task is not None:
        assert all(type(size) is int and size > 0 for size in task.shape)
        compiled = refused(lambda: compile_settings(TaskSet([task])))
        assert compiled is None or all(math.isfinite(weight) for weight in compiled.task_weights.values())


@given(st.lists(odd_values | tasks, max_size=3))
def test_only_tasks_make_a_set(members: list[Any]) -> None:
    found = refused(TaskSet, members)
    names = [task.name for task in members if isinstance(task, Task)]
    assert (found is not None) == (0 < len(members) == len(set(names)))


def compile_settings(chosen: TaskSet) -> CompileSpec:
    arguments = chosen.compile_args()
    return CompileSpec.checked(
        {name: SimpleNamespace(shape=(None, *task.shape)) for name, task in chosen.items()},
        CompileSpec(),
        **{"class_weight": None, **arguments},
        missing_labels=None,
        weighted_metrics=None,
        max_specializations=8,
        weighting="static",
    )


@given(st.lists(tasks, max_size=5), st.data())
def test_sets_and_their_subsets(members: list[Task], data: st.DataObject) -> None:
    names = [task.name for task in members]
    chosen = refused(TaskSet, members)
    assert (chosen is None) == (not names or len(set(names)) < len(names))
    if chosen is None:
        return
    assert list(chosen.names) == names
    assert TaskSet(chosen.values()) == chosen
    wanted = data.draw(st.lists(st.sampled_from(names) | task_names | odd_values, max_size=4))
    part = refused(chosen.subset, wanted)
    if part is None:
        known = [name for name in wanted if isinstance(name, str) and name in names]
        assert not wanted or len(known) < len(wanted) or len(set(known)) < len(known)
    else:
        assert list(part) == wanted
        assert all(part[name] is chosen[name] for name in wanted)
    if any(task.weight >= 1e-30 for task in members):
        settings = compile_settings(chosen)
        assert list(settings.task_weights) == names
        assert settings.task_weights == pytest.approx({task.name: task.weight for task in members}, abs=1e-45)
        weighted = {task.name: dict(task.class_weight) for task in members if task.class_weight}
        assert settings.class_weight == {name: pytest.approx(table, abs=1e-45) for name, table in weighted.items()}


quantities = st.sampled_from(["loss", "weight", "active", "probability", "accuracy", "val_loss", "mae_2", "x"])


@given(
    st.lists(
        task_names | st.sampled_from(["a", "a_b", "a_loss", "hat", "hat_band"]), min_size=1, max_size=5, unique=True
    ),
    quantities,
    st.booleans(),
    st.lists(st.text(max_size=12) | st.sampled_from(SUMMARY), max_size=5),
)
def test_keys_of_the_logs(names: list[str], quantity: str, validation: bool, others: list[str]) -> None:
    prefix = "val_" if validation else ""
    keys = {f"{prefix}{name}_{quantity}": name for name in names}
    for key, name in keys.items():
        found = parse_key(key, names)
        assert found.validation == validation
        # A longer name that fits as well is the better reading: `a_b_loss` with the tasks a and a_b.
        assert found.task is not None
        assert len(found.task) >= len(name)
        assert f"{prefix}{found.task}_{found.quantity}" == key
        if not any(other != name and key.startswith(f"{prefix}{other}_") for other in names):
            assert found == LogKey(validation, name, quantity)
    logs = {**dict.fromkeys(others, 0.5), **dict.fromkeys(keys, 1.0)}
    groups = group_by_task(logs, names)
    assert {task for task, _ in groups} == {None, *names}
    assert sum(map(len, groups.values())) == len(logs)
    rebuilt = {
        ("val_" if val else "") + (f"{task}_" if task else "") + quantity: value
        for (task, val), group in groups.items()
        for quantity, value in group.items()
    }
    assert rebuilt == logs
