"""delta_m, by hand and against published figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mtl_keras.analysis import POSITIVE_IS_WORSE, delta_m, relative_gains

PUBLISHED = json.loads((Path(__file__).parent / "published_celeba_f1.json").read_text("utf-8"))


def test_published_results_of_forty_attributes() -> None:
    single, multi = (dict(enumerate(PUBLISHED[key]["values"])) for key in ("single_task", "fairgrad"))
    single, multi = ({str(key): value for key, value in side.items()} for side in (single, multi))
    assert len(single) == 40
    assert np.mean(list(single.values())) == pytest.approx(0.6971, abs=5e-5)
    assert np.mean(list(multi.values())) == pytest.approx(0.6905, abs=5e-5)
    higher = dict.fromkeys(single, True)
    published = PUBLISHED["delta_m_percent_positive_is_worse"]
    assert published == pytest.approx(0.370, abs=5e-4)
    assert delta_m(multi, single, higher, convention=POSITIVE_IS_WORSE) == pytest.approx(published, rel=1e-9)
    assert delta_m(multi, single, higher) == pytest.approx(-published, rel=1e-9)


def test_a_lower_error_is_a_gain() -> None:
    multi, single = {"item": 0.92, "price": 1.8, "age": 5.5}, {"item": 0.8, "price": 2.0, "age": 5.0}
    higher = {"item": True, "price": False, "age": False}
    assert relative_gains(multi, single, higher) == pytest.approx({"item": 15.0, "price": 10.0, "age": -10.0})
    assert delta_m(multi, single, higher) == pytest.approx(5.0)
    assert delta_m(multi, single, higher, convention=POSITIVE_IS_WORSE) == pytest.approx(-5.0)


@pytest.mark.parametrize(
    ("multi", "single", "message"),
    [
        ({"a": 1.0}, {"a": 0.0}, "`single` of task 'a' must be a finite number > 0. Received: 0.0"),
        ({"a": 1.0}, {"a": -1.0}, "Received: -1.0"),
        ({"a": 1.0}, {"a": float("nan")}, "`single` of task 'a'.*Received: nan"),
        ({"a": float("inf")}, {"a": 1.0}, "`multi` of task 'a'.*Received: inf"),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0}, "`multi` and `single` must have the same tasks. Received in one only: b"),
        ({}, {"a": 1.0}, "Received in one only: a"),
        ({}, {}, "at least one task"),
    ],
)
def test_errors(multi: dict[str, float], single: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        delta_m(multi, single, {"a": True})


def test_every_task_needs_a_direction() -> None:
    with pytest.raises(ValueError, match="`higher_is_better` and `single` must have the same tasks"):
        delta_m({"a": 1.0}, {"a": 1.0}, {})


def test_an_unknown_convention_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"Unknown convention. Did you mean 'positive is worse'.*positive is better"):
        delta_m({"a": 1.0}, {"a": 1.0}, {"a": True}, convention="positive is worst")
