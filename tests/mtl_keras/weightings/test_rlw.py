from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mtl_keras.weightings.rlw import RLW
from tests.mtl_keras.weightings.reference import one_step

DRAWS = 4000
# Of the softmax of three standard normal numbers, by quadrature; of Dirichlet numbers, (N - 1) / (N^2 (N + 1)).
VARIANCES = {"normal": 0.049410795814629704, "dirichlet": 2 / 36}


@functools.cache
def draws(distribution: Any, preference: tuple[float, ...] = (1.0, 1.0, 1.0), compiled: bool = True) -> np.ndarray:
    """The weights `(draws, tasks)` of many steps."""
    weighting = RLW(distribution)
    losses, task_weights = tf.ones(len(preference)), tf.constant(preference)

    def weights(count: Any) -> Any:
        return weighting(losses, preference=task_weights, state={"draws": tf.fill([len(preference)], count)})

    @tf.function(jit_compile=compiled)
    def rows() -> Any:
        return tf.map_fn(weights, tf.range(DRAWS, dtype="float32"))

    return np.array(rows())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("distribution", VARIANCES)
def test_moments(distribution: str, compiled: bool) -> None:
    found = draws(distribution, compiled=compiled)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    variance = VARIANCES[distribution]
    np.testing.assert_allclose(found.mean(axis=0), 1 / 3, atol=4 * np.sqrt(variance / DRAWS))
    covariances = np.cov(found.T)
    # Four standard errors of the variance of normal numbers, whose tails are longer than these.
    error = 4 * variance * np.sqrt(2 / DRAWS)
    np.testing.assert_allclose(np.diag(covariances), variance, atol=error)
    np.testing.assert_allclose(covariances[~np.eye(3, dtype=bool)], -variance / 2, atol=error)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("distribution", VARIANCES)
def test_steps_are_independent(distribution: str, compiled: bool) -> None:
    found = draws(distribution, compiled=compiled)
    for lag in (1, 2, 3):
        correlations = np.corrcoef(found[lag:].T, found[:-lag].T)[:3, 3:]
        np.testing.assert_allclose(correlations, 0, atol=4.5 / np.sqrt(DRAWS))


@pytest.mark.parametrize("distribution", VARIANCES)
def test_a_dropped_task_has_no_share(distribution: str) -> None:
    """Of two tasks, both distributions are known: a logistic of a normal number, and a uniform number."""
    found = draws(distribution, (1.0, 0.0, 4.0))
    np.testing.assert_array_equal(found[:, 1], 0)
    np.testing.assert_allclose(found[:, 0] + found[:, 2] / 4, 1, rtol=1e-5)
    uniform = np.random.default_rng(0).uniform(size=200_000)
    normal = np.random.default_rng(0).normal(0, np.sqrt(2), 200_000)
    expected = uniform if distribution == "dirichlet" else 1 / (1 + np.exp(-normal))
    deciles = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.quantile(found[:, 0], deciles), np.quantile(expected, deciles), atol=0.035)


@pytest.mark.parametrize("distribution", VARIANCES)
def test_draws_come_from_seed_and_step(distribution: str) -> None:
    weighting = RLW(distribution, seed=3)
    state = weighting.initial_state(3)
    losses = np.ones(3, "float32")
    first = np.array(weighting(losses, state=state))
    np.testing.assert_array_equal(weighting(losses), first)
    np.testing.assert_array_equal(weighting(5 * losses), first)
    assert np.abs(np.array(RLW(distribution, seed=4)(losses)) - first).max() > 1e-3
    state = one_step(weighting, losses, state=state).state
    assert np.abs(np.array(weighting(losses, state=state)) - first).max() > 1e-3


@pytest.mark.parametrize("distribution", VARIANCES)
def test_one_task_and_none(distribution: str) -> None:
    weighting = RLW(distribution)
    np.testing.assert_allclose(weighting([0.3]), 1)
    np.testing.assert_allclose(weighting([0.3, np.nan, np.nan], preference=[2.0, 0.0, 0.0]), [2, 0, 0])
    np.testing.assert_array_equal(weighting([0.3, 1.0], preference=[0.0, 0.0]), 0)
    assert np.array(weighting(np.array([0.3, 1.0]))).dtype == "float64"
