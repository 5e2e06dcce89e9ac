from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from mtl_keras.weightings.con_fig import ConFIG
from mtl_keras.weightings.gramian import spectrum
from tests.mtl_keras.weightings.gramians import CASES, cases_with


def test_published_vectors() -> None:
    found = cases_with("ConFIG")
    assert len(found) == len(CASES)
    for case, expected in found:
        weights = ConFIG()(case.gramian)
        assert case.error(weights, expected.vector, expected.scale) <= expected.rtol64, case.name
        single = np.array(ConFIG()(case.gramian.astype("float32")))
        assert np.isfinite(single).all()
        # The inner products of gradients that are opposite to 1e-3 do not tell in float32 what is left of them.
        if case.kind != "nearly_opposite":
            assert case.error(single, expected.vector, expected.scale) <= expected.rtol32, case.name


def test_two_tasks_by_hand() -> None:
    # (1, 0) and (0, 2): the direction is (1, 1) / sqrt(2), the components along it are 1 / sqrt(2) and sqrt(2). Their
    # sum makes (3/2, 3/2), which is 3/2 of the first and 3/4 of the second.
    np.testing.assert_allclose(ConFIG()([[1.0, 0.0], [0.0, 4.0]]), [1.5, 0.75], rtol=1e-6)


def test_degenerate_gradients() -> None:
    np.testing.assert_array_equal(ConFIG()(np.zeros((3, 3))), [0, 0, 0])
    np.testing.assert_allclose(ConFIG()(np.ones((3, 3))), [1, 1, 1], rtol=1e-6)
    np.testing.assert_array_equal(ConFIG()([[1.0, -1.0], [-1.0, 1.0]]), [0, 0])
    for scale in (1e-36, 1e36):
        np.testing.assert_allclose(ConFIG()(scale * np.diag([1.0, 4.0])), [1.5, 0.75])
    assert np.isfinite(np.array(ConFIG()(np.diag([1e-36, 1e36])))).all()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_spectrum_is_as_exact_compiled(jit_compile: bool) -> None:
    jacobian = np.random.default_rng(0).normal(size=(6, 20))
    jacobian[[1, 3]] = jacobian[0]
    matrix = jacobian @ jacobian.T
    values, vectors = (np.array(each) for each in tf.function(spectrum, jit_compile=jit_compile)(tf.constant(matrix)))
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), atol=1e-13 * values.max())
    np.testing.assert_allclose(vectors * values @ vectors.T, matrix, atol=1e-13 * values.max())
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(6), atol=1e-13)
