from __future__ import annotations

from typing import Any

import keras
import pytest

from mtl_keras import MultiTaskModel, Task, TaskSet
from mtl_keras.metrics import BalancedAccuracy
from mtl_keras.task_checks import check_task_name


@pytest.mark.parametrize(
    ("task", "head", "shape", "labels"),
    [
        (Task.classification("t", 3), "classification", (3,), ()),
        (Task.classification("t", ("a", "b")), "classification", (2,), ("a", "b")),
        (Task.binary("t"), "binary", (1,), ("no", "yes")),
        (Task.regression("t", 2), "regression", (2,), ()),
        (Task.landmarks("t", ("nose", "chin")), "regression", (4,), ("nose", "chin")),
        (Task.reconstruction("t", [8, 8, 1]), "reconstruction", (8, 8, 1), ()),
    ],
)
def test_kinds(task: Task, head: str, shape: tuple[int, ...], labels: tuple[str, ...]) -> None:
    assert (task.name, task.head, task.shape, task.labels) == ("t", head, shape, labels)
    assert keras.losses.get(task.loss)
    assert task.metrics


@pytest.mark.parametrize("name", ["", "a b", "val_a", 3])
def test_names_that_logs_could_not_carry(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^A task name (starts with a letter or digit|does not start with 'val_')"):
        check_task_name(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task("t", "binry", (1,), "mse"), "head of task 't'. Did you mean 'binary'"),
        (lambda: Task.binary("t", weight=-1.0), "weight of task 't' must be a finite number >= 0. Received: -1.0"),
        (lambda: Task("t", "classification", (3,), "mse", labels=("a",)), "must name its 3 classes"),
        (lambda: TaskSet([]), "at least one task"),
        (lambda: TaskSet([Task.binary("t"), Task.regression("t")]), "Received twice: 't'"),
        (lambda: TaskSet([Task.binary("hat")]).subset(["hot"]), "Unknown task. Did you mean 'hat'.*Choices: hat"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_task_set() -> None:
    tasks = TaskSet([Task.binary("b"), Task.binary("a"), Task.regression("c")])
    assert tasks.names == tuple(tasks) == ("b", "a", "c")
    assert len(tasks) == 3
    assert tasks["a"].name == "a"
    assert tasks.subset(["c", "b"]).names == ("c", "b")
    assert "regression" in repr(tasks)


def test_compile_arguments() -> None:
    balanced = BalancedAccuracy()
    tasks = TaskSet([Task.binary("hat", weight=2, pos_weight=3.0), Task("t", "binary", (1,), "mse", (balanced,))])
    arguments = tasks.compile_args()
    assert arguments["loss"] == {"hat": "binary_crossentropy", "t": "mse"}
    assert arguments["loss_weights"] == {"hat": 2.0, "t": 1.0}
    assert arguments["class_weight"] == {"hat": {1: 3.0}}
    assert arguments["metrics"]["t"][0] is not balanced
    inputs = keras.Input((2,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1)(inputs) for name in tasks})
    model.compile(**arguments)
    assert model.task_weights == {"hat": 2.0, "t": 1.0}
    assert model.primary_metrics == {"hat": "accuracy", "t": "balanced_accuracy"}
    stock = TaskSet([Task.binary("hat")]).compile_args()
    assert "class_weight" not in stock
    keras.Model(inputs, {"hat": keras.layers.Dense(1)(inputs)}).compile(**stock)


def test_a_task_set_is_shown_as_a_table() -> None:
    tasks = TaskSet([Task.classification("item", 10), Task.binary("worn", weight=0.5)])
    assert repr(tasks).splitlines() == [
        "TaskSet of 2 tasks:",
        "  item  classification  (10,)  sparse_categorical_crossentropy  [accuracy]                     weight 1",
        "  worn  binary          (1,)   binary_crossentropy              [accuracy, balanced_accuracy]  weight 0.5",
    ]
