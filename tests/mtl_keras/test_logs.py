from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from mtl_keras.logs import LogKey, group_by_task, parse_key, primary_metrics, task_names, without_nan

NAMES = ("a", "a_b", "5_o_Clock_Shadow", "learning", "steps")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("loss", LogKey(False, None, "loss")),
        ("val_loss", LogKey(True, None, "loss")),
        ("val_mtl_score", LogKey(True, None, "mtl_score")),
        ("a_loss", LogKey(False, "a", "loss")),
        ("a_b_loss", LogKey(False, "a_b", "loss")),
        ("val_a_balanced_accuracy", LogKey(True, "a", "balanced_accuracy")),
        ("val_a_b_accuracy", LogKey(True, "a_b", "accuracy")),
        ("5_o_Clock_Shadow_active", LogKey(False, "5_o_Clock_Shadow", "active")),
        ("a_b_probability", LogKey(False, "a_b", "probability")),
        ("a_bc_loss", LogKey(False, "a", "bc_loss")),
        ("ab_loss", LogKey(False, None, "ab_loss")),
        ("a", LogKey(False, None, "a")),
        ("a_b_", LogKey(False, "a", "b_")),
        ("learning_rate", LogKey(False, None, "learning_rate")),
        ("learning_loss", LogKey(False, "learning", "loss")),
        ("steps_per_second", LogKey(False, None, "steps_per_second")),
    ],
)
def test_parse_key(key: str, expected: LogKey) -> None:
    assert parse_key(key, NAMES) == expected
    assert parse_key(key, reversed(NAMES)) == expected


def test_present_drops_nan_alone() -> None:
    assert without_nan({"a": math.nan, "b": 0.0, "c": math.inf}) == {"b": 0.0, "c": math.inf}


def test_group_by_task_has_every_group() -> None:
    groups = group_by_task({"loss": 1.0, "val_a_loss": 2.0, "a_b_weight": 3.0}, ["a", "a_b"])
    assert groups == {
        (None, False): {"loss": 1.0},
        (None, True): {},
        ("a", False): {},
        ("a", True): {"loss": 2.0},
        ("a_b", False): {"weight": 3.0},
        ("a_b", True): {},
    }


def test_primary_metrics_are_those_of_the_model_or_the_first_by_name() -> None:
    logs = {"a_loss": 1.0, "a_weight": 1.0, "val_a_mae": 1.0, "a_accuracy": 1.0, "a_b_mae": 1.0, "a_b_point_error": 1.0}
    model = SimpleNamespace(task_names=("a", "a_b", "none"), primary_metrics={"a_b": "point_error"})
    assert primary_metrics(model, logs) == {"a": "accuracy", "a_b": "point_error"}
    del model.primary_metrics
    assert primary_metrics(model, logs) == {"a": "accuracy", "a_b": "mae"}


def test_task_names_of_another_model_is_an_error() -> None:
    with pytest.raises(TypeError, match="Received: model=int"):
        task_names(3)
