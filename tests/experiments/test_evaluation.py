"""What an evaluation says, against formulas written out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest

from experiments.evaluation import Evaluation, Scores, evaluate, own_metrics, primary_metric
from mtl_keras import Task, TaskSet
from mtl_keras.metrics import BalancedAccuracy, PointError

Arrays = Mapping[str, Any]


def evaluated(tasks: TaskSet, true: Arrays, pred: Arrays, batch_size: int = 3) -> Evaluation:
    """Evaluates predictions that are known beforehand; they take the place of the images."""
    size = len(next(iter(true.values())))
    batches = [
        tuple({name: np.asarray(side[name])[i : i + batch_size] for name in tasks} for side in (pred, true))
        for i in range(0, size, batch_size)
    ]
    return evaluate(lambda outputs: outputs, batches, tasks)  # type: ignore[arg-type]


def column(*values: float) -> np.ndarray:
    return np.array(values, "float32")[:, None]


def values(scores: Scores) -> dict[str, float]:
    return {name: score.value for name, score in scores.items()}


NAN = float("nan")
TWO = TaskSet([Task.binary("hat"), Task.binary("coat")])
# hat: 3 of 4 labelled samples right (1 found, 1 missed, 2 rightly denied). coat: 1 of 2 right (1 found, 1 wrongly so).
TRUE = {"hat": [1.0, 1.0, 0.0, 0.0, NAN, NAN], "coat": [NAN, NAN, NAN, 1.0, 0.0, NAN]}
PRED = {"hat": column(0.9, 0.2, 0.1, 0.3, 0.9, 0.9), "coat": column(0.1, 0.1, 0.1, 0.8, 0.7, 0.1)}


def test_a_task_is_judged_by_its_own_labels() -> None:
    table = evaluated(TWO, TRUE, PRED).tasks
    hat = {"accuracy": 3 / 4, "balanced_accuracy": 3 / 4, "precision": 1.0, "recall": 0.5, "f1": 2 / 3}
    coat = {"accuracy": 1 / 2, "balanced_accuracy": 1 / 2, "precision": 0.5, "recall": 1.0, "f1": 2 / 3}
    for name, expected in (("hat", hat), ("coat", coat)):
        found = values(table[name])
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert table["coat"]["loss"].value == pytest.approx(-(np.log(0.8) + np.log(0.3)) / 2, rel=1e-5)


def test_integer_labels_may_be_missing_too() -> None:
    true = {name: np.where(np.isnan(labels), -1, labels).astype("int64") for name, labels in TRUE.items()}
    assert evaluated(TWO, true, PRED) == evaluated(TWO, TRUE, PRED)


def test_overall_scores() -> None:
    overall = evaluated(TWO, TRUE, PRED).overall
    macro = {"accuracy": (3 / 4 + 1 / 2) / 2, "precision": 3 / 4, "recall": 3 / 4, "f1": 2 / 3}
    micro = {"accuracy": 4 / 6, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
    expected = {f"{kind}_{name}": v for kind, part in (("macro", macro), ("micro", micro)) for name, v in part.items()}
    assert values(overall) == pytest.approx(expected)
    # The constants are 1/2 for both tasks: no decision for "yes".
    assert overall["micro_accuracy"].baseline == pytest.approx(3 / 6)
    assert overall["macro_f1"].baseline == 0.0


def test_overall_scores_are_of_several_binary_tasks() -> None:
    assert evaluated(TWO.subset(["hat"]), TRUE, PRED).overall == {}
    mixed = TaskSet([*TWO.values(), Task.regression("price")])
    true, pred = {**TRUE, "price": column(*range(6))}, {**PRED, "price": column(*range(6))}
    assert evaluated(mixed, true, pred).overall == evaluated(TWO, TRUE, PRED).overall


def test_a_task_without_labels_is_nan_and_leaves_the_others_alone() -> None:
    tasks = TaskSet([*TWO.values(), Task.binary("none"), Task.landmarks("points", ("left_eye", "right_eye"))])
    true = {**TRUE, "none": [NAN] * 6, "points": np.full((6, 4), NAN)}
    found = evaluated(tasks, true, {**PRED, "none": column(*[0.9] * 6), "points": np.zeros((6, 4))})
    assert all(np.isnan(score.value) for name in ("none", "points") for score in found.tasks[name].values())
    assert found.overall == evaluated(TWO, TRUE, PRED).overall


def test_landmarks() -> None:
    task = Task.landmarks("points", ("nose", "left_eye", "right_eye"), pixels=100.0)
    true = np.array([[0.5, 0.5, 0.2, 0.2, 0.6, 0.2], [0.5, 0.5, 0.1, 0.2, 0.9, 0.2]], "float32")
    offset = np.array([[0.03, 0.04, 0, 0, 0, 0], [0, 0, 0.06, 0.08, 0, 0]], "float32")
    table = evaluated(TaskSet([task]), {"points": true}, {"points": true + offset}).tasks
    expected = {
        "point_error": 100 * (0.05 / 3 + 0.10 / 3) / 2,
        "mae": (0.03 + 0.04 + 0.06 + 0.08) / 12,
        "loss": (0.05**2 + 0.10**2) / 12,
        "mse": (0.05**2 + 0.10**2) / 12,
        "rmse": np.sqrt((0.05**2 + 0.10**2) / 12),
        "nme": (0.05 / 3 / 0.4 + 0.10 / 3 / 0.8) / 2,
    }
    assert values(table["points"]) == pytest.approx(expected, rel=1e-4)
    assert list(table["points"]) == list(expected)
    # Of two faces, each point of the mean face is half their difference away.
    assert table["points"]["rmse"].baseline == pytest.approx(np.sqrt(true.var(axis=0).mean()), rel=1e-4)


def test_points_that_are_no_eyes_have_no_distance_between_them() -> None:
    table = evaluated(
        TaskSet([Task.landmarks("p", ("nose", "chin"))]), {"p": np.zeros((2, 4))}, {"p": np.ones((2, 4))}
    ).tasks
    assert list(table["p"]) == ["point_error", "mae", "loss", "mse", "rmse"]


def test_constants_of_a_regression() -> None:
    tasks = TaskSet([Task.regression("price", mean=4, deviation=5)])
    true, pred = column(1, 2, 3, 10), column(1, 2, 4, 10)
    scores = evaluated(tasks, {"price": true}, {"price": pred}).tasks["price"]
    assert scores["r2"].value == pytest.approx(1 - 1 / 50)
    # The mean is 4, the median 2.5: the mean has the least squared error, the median the least absolute one.
    baselines = {name: score.baseline for name, score in scores.items()}
    errors = {"scaled_mae": 2.5 / 5, "mae": 2.5, "loss": 12.5 / 25, "mse": 12.5, "rmse": 12.5**0.5}
    assert baselines == pytest.approx({**errors, "r2": 0}, abs=1e-6)
    assert np.isnan(evaluated(tasks, {"price": true[:1]}, {"price": pred[:1]}).tasks["price"]["r2"].value)


def test_classes() -> None:
    tasks = TaskSet([Task.classification("item", 3)])
    true = {"item": np.array([0, 0, 0, 1, 1, -1])}
    pred = {"item": np.eye(3, dtype="float32")[[0, 0, 1, 1, 1, 2]] * 0.9 + 0.03}
    entries = evaluated(tasks, true, pred).tasks["item"]
    assert entries["accuracy"].value == pytest.approx(4 / 5)
    assert entries["macro_f1"].value == pytest.approx((2 * 2 / 5 + 2 * 2 / 5) / 2)
    # "0" always: F1 is 6/8 for class 0, and 0 for class 1.
    assert entries["macro_f1"].baseline == pytest.approx(3 / 8)


def test_images() -> None:
    tasks = TaskSet([Task.reconstruction("picture", (2, 2, 1), loss="mae")])
    true = np.arange(12, dtype="float32").reshape(3, 2, 2, 1)
    entries = evaluated(tasks, {"picture": true}, {"picture": true + 0.5}).tasks["picture"]
    assert values(entries) == pytest.approx({"mae": 0.5, "loss": 0.5, "mse": 0.25, "rmse": 0.5})
    assert entries["mse"].baseline == pytest.approx(np.var(true, axis=0).mean())


def test_a_task_keeps_its_own_metric_of_a_further_ones_name() -> None:
    precision = keras.metrics.Precision(thresholds=0.8, name="precision")
    task = Task("hat", "binary", (1,), "binary_crossentropy", (precision,))
    entries = evaluated(TaskSet([task]), {"hat": [1.0, 0.0]}, {"hat": column(0.9, 0.7)}).tasks["hat"]
    assert entries["precision"].value == 1.0
    assert list(entries) == ["precision", "loss", "accuracy", "recall", "f1"]
    assert own_metrics(entries) == ["precision", "loss"]


def test_minus_one_is_a_label_of_a_hinge_loss() -> None:
    task = Task("side", "regression", (1,), "hinge", ("mae",))
    entries = evaluated(TaskSet([task]), {"side": np.array([-1, 1, -1])}, {"side": column(1.0, 1.0, 1.0)}).tasks["side"]
    assert entries["mae"].value == pytest.approx(4 / 3)


def test_an_evaluation_is_the_same_in_other_batches_and_after_json() -> None:
    found = evaluated(TWO, TRUE, PRED)
    assert evaluated(TWO, TRUE, PRED, batch_size=6) == found
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Task.binary("t"), ("accuracy", True)),
        (Task.classification("t", 3), ("accuracy", True)),
        (Task.regression("t"), ("mae", False)),
        (Task.landmarks("t", ("nose",)), ("point_error", False)),
        (Task("t", "binary", (1,), "mse", (BalancedAccuracy(name="b"), PointError())), ("b", True)),
        (Task("t", "binary", (1,), "mse", ("binary_crossentropy",)), ("binary_crossentropy", False)),
        (Task("t", "regression", (1,), "mse", ("mean_squared_error",)), ("mean_squared_error", False)),
        (Task("t", "regression", (1,), "mse"), ("loss", False)),
    ],
)
def test_primary_metrics_and_their_direction(task: Task, expected: tuple[str, bool]) -> None:
    assert primary_metric(task) == expected


def test_the_directions_of_own_metrics_are_recorded() -> None:
    tasks = TaskSet([Task.binary("hat"), Task.regression("price")])
    found = evaluated(tasks, {**TRUE, "price": column(*range(6))}, {**PRED, "price": column(*range(6))})
    assert found.higher_is_better == {"hat": {"accuracy": True, "balanced_accuracy": True}, "price": {"mae": False}}
    assert Evaluation.from_json(found.to_json()).higher_is_better == found.higher_is_better
    assert Evaluation.from_json({"tasks": {}, "overall": {}}).higher_is_better == {}


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"no output for task 'coat'. Its outputs: hat"):
        evaluate(lambda images: {"hat": images}, [(column(0.1), {"hat": [1.0]})], TWO)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the split is empty"):
        evaluate(lambda images: images, [], TWO)  # type: ignore[arg-type]
