from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.mgda import MGDA
from tests.mtl_keras.weightings.gramians import cases_with


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-4)])
def test_exact_solutions(dtype: str, rtol: float) -> None:
    for case, result in cases_with("MGDA"):
        weights = np.array(MGDA()(case.gramian.astype(dtype)))
        assert case.error(weights, result.exact_vector, result.scale) < rtol, case.name
        assert weights.sum() == pytest.approx(1)
        if dtype == "float64":
            norm = np.linalg.norm(weights @ case.jacobian)
            assert norm <= result.more["min_norm"] * (1 + 1e-9) + 1e-12, case.name


@pytest.mark.parametrize("normalization", ["l2", "loss", "loss+"])
def test_normalizations(normalization: str) -> None:
    for case, result in cases_with(f"LibMTL_MGDA_{normalization}"):
        weights = np.array(MGDA(normalization=normalization)(case.gramian, case.losses))
        # LibMTL's loop stops early, so that its combination is never the shorter one.
        found, reference = (float(np.linalg.norm(w @ case.jacobian)) for w in (weights, result.weights))
        assert found <= reference * (1 + 1e-9), case.name
        if case.kind in ("generic", "duplicated", "special") and found > 0.999 * reference > 0:
            assert case.error(weights, result.weights @ case.jacobian, reference) < 3e-3, case.name


def test_two_tasks_by_hand() -> None:
    # g_1 = (1, 0), g_2 = (0, 2): |(w, 2 - 2 w)|^2 is least at w = 4/5.
    gramian, losses = np.diag([1.0, 4.0]), [3.0, 5.0]
    np.testing.assert_allclose(MGDA()(gramian), [0.8, 0.2])
    # Of unit gradients, halves: divided by the norms 1 and 2.
    np.testing.assert_allclose(MGDA(normalization="l2")(gramian), [0.5, 0.25])
    # Gradients 1/3 and 2/5 long: weights in proportion to 9 and 25/4, divided by 3 and 5.
    np.testing.assert_allclose(MGDA(normalization="loss")(gramian, losses), [36 / 61 / 3, 25 / 61 / 5])
    # Gradients 1/3 and 1/5 long: weights 9/34 and 25/34, divided by 3 and 10.
    np.testing.assert_allclose(MGDA(normalization="loss+")(gramian, losses), [3 / 34, 2.5 / 34])


def test_degenerate_gramians() -> None:
    np.testing.assert_allclose(MGDA()(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(MGDA()(np.diag([0.0, 1.0, 0.0])), [0.5, 0, 0.5])
    np.testing.assert_allclose(MGDA()(np.diag([0.0, 1.0, 0.0]), None, [1, 1, 0]), [1, 0, 0])
    np.testing.assert_allclose(MGDA()(np.ones((4, 4))), [0.25] * 4)
    for scale in (1e-36, 1e36):
        np.testing.assert_allclose(MGDA()(scale * np.diag([1.0, 4.0])), [0.8, 0.2])
    for normalization in ("l2", "loss", "loss+"):
        assert np.isfinite(MGDA(normalization=normalization)(np.diag([0.0, 1.0]), [0.0, np.inf])).all()
