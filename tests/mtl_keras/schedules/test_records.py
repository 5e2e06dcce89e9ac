"""Records: carried-forward losses and unknown values."""

from __future__ import annotations

import math

import pytest

from mtl_keras.schedules import Records

NAN = math.nan
EMPTY = Records(("a", "b"), {"a": 1, "b": 1}, {"a": 1, "b": 1})


def rows(records: Records) -> list[list[float]]:
    return [[entry["a"], entry["b"]] for entry in records.losses]


def test_losses_of_tasks_that_did_not_run_are_carried_forward() -> None:
    records = EMPTY.after(0, {"a": 2.0, "b": NAN}).after(1, {"a": NAN, "b": 3.0}).after(2, {"a": NAN, "b": NAN})
    assert rows(records) == [[2.0, pytest.approx(NAN, nan_ok=True)], [2.0, 3.0], [2.0, 3.0]]
    assert rows(EMPTY) == []


def test_before_an_epoch_as_many_epochs_are_known() -> None:
    records = EMPTY.after(0, {"a": 2.0, "b": 1.0}).after(1, {"a": 1.5, "b": 0.5})
    assert rows(records.before(1)) == [[2.0, 1.0]]
    assert rows(records.before(3)) == [[2.0, 1.0], [1.5, 0.5], [1.5, 0.5]]
    assert rows(EMPTY.before(1)) == [[pytest.approx(NAN, nan_ok=True)] * 2]


def test_a_repeated_epoch_replaces_the_later_ones() -> None:
    records = EMPTY.after(0, {"a": 2.0, "b": 1.0}).after(1, {"a": 1.5, "b": 0.5})
    assert rows(records.after(0, {"a": 9.0, "b": NAN})) == [[9.0, pytest.approx(NAN, nan_ok=True)]]


def test_incomplete_records_are_refused() -> None:
    with pytest.raises(ValueError, match=r"counts must name every task. Missing: \['b'\]"):
        Records(("a", "b"), {"a": 1, "b": 1}, {"a": 1})
    with pytest.raises(ValueError, match="at least one task"):
        Records((), {}, {})
