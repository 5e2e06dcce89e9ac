from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.krum import Krum
from tests.mtl_keras.weightings.gramians import cases_with


@pytest.mark.parametrize(("n_byzantine", "n_selected", "compared"), [(0, 1, 7), (1, 1, 7), (1, 2, 7)])
def test_published_choices(n_byzantine: int, n_selected: int, compared: int) -> None:
    """TorchJD adds distances that are not squared; where it has ties, its choice is that of a sort."""
    found = cases_with(f"Krum_b{n_byzantine}_s{n_selected}")
    for case, expected in found:
        weights = np.array(Krum(n_byzantine, n_selected)(case.gramian))
        assert weights.sum() == pytest.approx(1)
        if expected.target == "torchjd":
            compared -= 1
            assert case.error(weights, expected.vector, expected.scale) <= 1e-12, case.name
            single = Krum(n_byzantine, n_selected)(case.gramian.astype("float32"))
            assert case.error(single, expected.vector, expected.scale) <= 1e-6, case.name
    assert compared == 0


def test_four_tasks_by_hand() -> None:
    # On a line at 0, 3, 5 and 9, each with its two nearest: 3 + 5, 3 + 2, 2 + 4, 4 + 6.
    place = np.array([0.0, 3, 5, 9])
    np.testing.assert_array_equal(Krum()(np.outer(place, place)), [0, 1, 0, 0])
    np.testing.assert_array_equal(Krum(n_selected=2)(np.outer(place, place)), [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(Krum(n_selected=4)(np.outer(place, place)), [0.25] * 4)
    # With b = 1 only the nearest counts: 3, 2, 2, 4. The tasks in the middle tie.
    np.testing.assert_array_equal(Krum(n_byzantine=1)(np.outer(place, place)), [0, 0.5, 0.5, 0])


def test_squares_can_choose_another() -> None:
    # Each with its two nearest. At 20: 4.5 and 4.5, which is 40.5 squared and 9 otherwise. At 1: 1 and 7, which is 50
    # and 8. At 0: 1 and 8; 65 and 9. The others are farther off.
    places = np.array([0.0, 1, 8, 15.5, 20, 24.5])
    gramian = np.outer(places, places)
    assert np.argmax(Krum(n_byzantine=2, squared=True)(gramian)) == 4
    assert np.argmax(Krum(n_byzantine=2)(gramian)) == 1


def test_an_outlier_is_not_chosen() -> None:
    jacobian = np.random.default_rng(0).normal(size=(5, 8)) + 3
    for scale in (-1e6, 0, 1e6):
        jacobian[2] = scale
        assert np.array(Krum(n_byzantine=1, n_selected=2)(jacobian @ jacobian.T))[2] == 0


def test_degenerate_gradients() -> None:
    np.testing.assert_allclose(Krum()(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(Krum()(np.ones((3, 3))), [1 / 3] * 3)
    for scale in (1e-36, 1e36):
        np.testing.assert_array_equal(Krum()(scale * np.outer([0.0, 3, 5, 9], [0.0, 3, 5, 9])), [0, 1, 0, 0])


def test_too_few_active_tasks_are_averaged() -> None:
    place = np.array([0.0, 3, 5, 9])
    gramian = np.outer(place, place)
    np.testing.assert_array_equal(Krum()(gramian, preference=[1, 0, 0, 1]), [0.5, 0, 0, 0.5])
    np.testing.assert_array_equal(Krum()(gramian, preference=[0, 0, 0, 1]), [0, 0, 0, 1])
    # 0, 3 and 9: the first two are nearest to each other.
    np.testing.assert_array_equal(Krum()(gramian, preference=[1, 1, 0, 1]), [0.5, 0.5, 0, 0])


@pytest.mark.parametrize("arguments", [{"n_byzantine": 1}, {"n_selected": 4}])
def test_takes_the_mean_of_too_few_tasks(arguments: dict[str, int]) -> None:
    with pytest.warns(UserWarning, match=r"needs at least 4 tasks; with 3 it averages all gradients"):
        weights = Krum(**arguments)(np.diag([1.0, 4.0, 9.0]))
    np.testing.assert_allclose(weights, [1 / 3] * 3)
