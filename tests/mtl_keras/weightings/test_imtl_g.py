from __future__ import annotations

import numpy as np

from mtl_keras.weightings.imtl_g import IMTLG
from tests.mtl_keras.weightings.gramians import CASES, cases_with


def test_published_weights() -> None:
    found = cases_with("IMTLG")
    assert len(found) == len(CASES)
    for case, expected in found:
        weights = IMTLG()(case.gramian)
        assert case.error(weights, expected.vector, expected.scale) <= expected.rtol64, case.name
        np.testing.assert_allclose(weights, expected.weights, rtol=1e-6, atol=1e-12)
        single = np.array(IMTLG()(case.gramian.astype("float32")))
        assert np.isfinite(single).all()
        if expected.rtol32 is not None:
            assert case.error(single, expected.vector, expected.scale) <= expected.rtol32, case.name


def test_two_tasks_by_hand() -> None:
    # Norms 1 and 2 at a right angle: v = (1 / 1, 2 / 4), and v / 1.5 is (2/3, 1/3). Components: 2/3 and 2/3.
    np.testing.assert_allclose(IMTLG()([[1.0, 0.0], [0.0, 4.0]]), [2 / 3, 1 / 3], rtol=1e-6)


def test_degenerate_gradients() -> None:
    np.testing.assert_array_equal(IMTLG()(np.zeros((3, 3))), [0, 0, 0])
    np.testing.assert_allclose(IMTLG()(np.ones((3, 3))), [1 / 3] * 3, rtol=1e-6)
    # Opposite and equally long: v = 0.
    np.testing.assert_array_equal(IMTLG()([[1.0, -1.0], [-1.0, 1.0]]), [0, 0])
    for scale in (1e-36, 1e36):
        np.testing.assert_allclose(IMTLG()(scale * np.diag([1.0, 4.0])), [2 / 3, 1 / 3])
    np.testing.assert_allclose(IMTLG()(np.diag([1e-36, 1e36])), [0, 1], atol=1e-12)
