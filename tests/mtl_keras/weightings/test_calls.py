"""Methods asked by themselves, on arrays as people have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings


@pytest.mark.parametrize("name", ["mgda", "upgrad", "pcgrad"])
def test_integers_are_numbers_too(name: str) -> None:
    gramian = np.array([[2, -1], [-1, 1]])
    expected = np.array(weightings.get(name)(gramian.astype("float64")))
    np.testing.assert_allclose(weightings.get(name)(gramian), expected)
    np.testing.assert_allclose(weightings.get(name)(gramian.tolist()), expected, rtol=1e-6)


def test_integer_losses_and_gradients() -> None:
    np.testing.assert_allclose(weightings.get("gls")([4, 9]), [0.75, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(weightings.get("trimmed_mean")([[1, 2], [3, 4], [8, 0]]), [3, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("upgrad", [np.ones((2, 3))], r"gramian must be square.*jacobian @ jacobian\.T.*of shape \(2, 3\)"),
        ("upgrad", [np.ones(3)], r"gramian must have the shape two axes.*of shape \(3,\)"),
        ("gls", [np.ones((2, 2))], r"losses must have the shape \(tasks,\).*of shape \(2, 2\)"),
        ("mgda", [np.eye(3), None, [1.0, 1.0]], r"preference must have one number for each of the 3 tasks.*\(2,\)"),
        ("mgda", [np.eye(2), None, 1.0], r"preference must have one number for each of the 2 tasks.*\(\)"),
        ("gls", [[1.0, 2.0], [1.0, 2.0]], r"GLS takes the losses only: write weighting\(losses, preference=\.\.\.\)"),
        ("graddrop", [np.ones((2, 3)), np.ones(3)], r"losses must have one number for each of the 2 tasks"),
    ],
)
def test_other_shapes_are_refused(name: str, arguments: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weightings.get(name)(*arguments)


def test_a_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"write CAGrad\(\)"):
        weightings.get(weightings.CAGrad)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_representation_is_a_boolean(value: Any) -> None:
    with pytest.raises(ValueError, match=r"representation must be True or False\. Received: representation="):
        weightings.MGDA(representation=value)
