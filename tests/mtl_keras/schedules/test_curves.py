"""Values of curves at their ends, between them and after."""

from __future__ import annotations

import pytest

from mtl_keras.schedules import CURVES, Constant, Cosine, Curve, Join, Linear, Step


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (Constant(0.5), {0: 0.5, 100: 0.5}),
        (Linear(1, 0, 10), {0: 1, 5: 0.5, 9: 0.1, 10: 0, 11: 0}),
        (Cosine(1, 0.2, 4), {0: 1, 2: 0.6, 4: 0.2, 9: 0.2}),
        (Step([1, 0.5, 0], [3, 6]), {0: 1, 2: 1, 3: 0.5, 5: 0.5, 6: 0, 60: 0}),
        (Join([Linear(0, 1, 5), Linear(1, 0, 2)], [5]), {0: 0, 4: 0.8, 5: 1, 6: 0.5, 7: 0, 8: 0}),
    ],
)
def test_values(curve: Curve, expected: dict[int, float]) -> None:
    assert {epoch: curve(epoch) for epoch in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("lnear(1, 0, 5)", "Did you mean 'linear'"),
        ("linear(1, 0, 0)", "epochs must be a finite number from 1 on. Received: epochs=0"),
        ("linear('high', 0, 3)", "start must be a finite number"),
        ("step([1, 0], [3, 6])", "values must hold one element more than boundaries"),
        ("step([1, 0.5, 0], [6, 3])", "boundaries must be > 0 and increase"),
        ("join([linear(0, 1, 5)], [5])", "curves must hold one element more"),
        ("join([1, 2], [5])", "A curve is a name, a config or a Curve object"),
    ],
)
def test_wrong_arguments_are_refused(specification: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CURVES.get(specification)
