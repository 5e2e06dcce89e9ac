"""Exact solvers: optimality is checked from the conditions that define it."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
import tensorflow as tf

from mtl_keras.weightings import simplex, solvers

RNG = np.random.default_rng(0)


def matrices(tasks: int) -> list[np.ndarray]:
    """Gradients that are random, badly scaled, duplicated, nearly opposite, opposite, of low rank, and zero."""
    found = []
    for _ in range(4):
        plain = RNG.normal(size=(tasks, 6))
        found += [plain, plain * 10.0 ** RNG.uniform(-4, 4, size=(tasks, 1)), RNG.normal(size=(tasks, 2))]
        found += [np.vstack([plain[:-1], row]) for row in (plain[0], 1e-3 * plain[-1] - plain[0], 0 * plain[0])]
    return found


def best_of_all_supports(gradients: np.ndarray, target: np.ndarray) -> float:
    """The least |x @ J - target|^2 over x >= 0, by trying every set of variables that may be above 0."""
    tasks, found = len(gradients), [float(target @ target)]
    for support in chain.from_iterable(combinations(range(tasks), size) for size in range(1, tasks + 1)):
        rows = gradients[list(support)]
        x = np.linalg.lstsq(rows.T, target, rcond=None)[0]
        if (x >= 0).all():
            found.append(float(np.sum((x @ rows - target) ** 2)))
    return min(found)


@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
def test_nonnegative_qp_against_all_supports(tasks: int) -> None:
    solve = tf.function(solvers.nonnegative_qp)
    for gradients in matrices(tasks):
        gradients = gradients / np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), 1e-9)
        target = RNG.normal(size=gradients.shape[1])
        x = solve(gradients @ gradients.T, -gradients @ target, np.ones(tasks, bool)).numpy()
        assert (x >= 0).all()
        # |x @ J - target|^2 is twice what is minimised, but for a constant.
        assert np.sum((x @ gradients - target) ** 2) <= best_of_all_supports(gradients, target) + 1e-7


@pytest.mark.parametrize("tasks", [3, 8, 40])
def test_nonnegative_qp_fulfils_the_optimality_conditions(tasks: int) -> None:
    solve = tf.function(solvers.nonnegative_qp)
    for gradients in matrices(tasks):
        gramian, norms = gradients @ gradients.T, np.linalg.norm(gradients, axis=1)
        q = gradients @ RNG.normal(size=gradients.shape[1])
        x = solve(gramian, q, np.ones(tasks, bool)).numpy()
        slack = (gramian @ x + q) / np.where(norms > 0, norms, 1)
        size = np.max(np.abs(q) / np.where(norms > 0, norms, 1))
        assert (x >= 0).all()
        assert (slack >= -1e-6 * size).all()
        assert np.abs(x * norms * slack).max() <= 1e-6 * size * max(size, (x * norms).max())


def test_nonnegative_qp_of_a_batch_and_compiled() -> None:
    gradients = RNG.normal(size=(6, 6))
    gramian, q = gradients @ gradients.T, RNG.normal(size=(5, 6))
    active = np.array([True, True, False, True, True, True])
    batch = tf.function(solvers.nonnegative_qp, jit_compile=True)(gramian, q, active).numpy()
    for row, solution in zip(q, batch):
        np.testing.assert_allclose(solution, solvers.nonnegative_qp(gramian, row, active), atol=1e-10)
        # A variable that is not active is as if it were not there.
        without = solvers.nonnegative_qp(gramian[np.ix_(active, active)], row[active], active[active])
        np.testing.assert_allclose(solution[active], without, atol=1e-10)
        assert solution[2] == 0


def test_nonnegative_qp_by_hand() -> None:
    # x1^2/2 + x2^2/2 + x1 x2/2 - x1 + x2: x2 = 0 and x1 = 1; the slope in x2 there is 1/2 + 1.
    matrix, q = np.array([[1, 0.5], [0.5, 1]]), np.array([-1.0, 1.0])
    np.testing.assert_allclose(solvers.nonnegative_qp(matrix, q, [True, True]), [1, 0], atol=1e-12)
    np.testing.assert_allclose(solvers.nonnegative_qp(matrix, -q, [True, True]), [0, 1], atol=1e-12)
    np.testing.assert_array_equal(solvers.nonnegative_qp(0 * matrix, q, [True, True]), [0, 0])


def test_murtys_rule_ends_when_the_block_moves_do_not() -> None:
    free, x = np.array([True, False, True]), np.array([-1.0, 0.0, -1.0])
    present, spent = np.ones(3, bool), np.array([1.0, 0.0])
    moved, pivots, wrong = solvers.exchange(free, x, np.array([0.0, 1.0, 0.0]), present, spent)
    np.testing.assert_array_equal(moved, [True, False, False])
    np.testing.assert_array_equal(pivots, [1, -1])
    assert wrong


def test_project_simplex() -> None:
    # By hand: subtracting 1/4 of each of the two largest leaves 1/2 + 1/2.
    np.testing.assert_allclose(
        simplex.project_simplex(np.array([0.75, 0.75, 0.1]), [True] * 3), [0.5, 0.5, 0], atol=1e-15
    )
    values, active = 3 * RNG.normal(size=(50, 7)), RNG.random((50, 7)) < 0.7
    active[:, 0] = True
    point = np.array(simplex.project_simplex(values, active))
    np.testing.assert_allclose(point.sum(axis=1), 1)
    assert (point >= 0).all()
    assert (point[~active] == 0).all()
    # Optimal: v - point is one number where point > 0, and no more than it elsewhere.
    rest = np.where(active, values - point, -np.inf)
    level = np.where(point > 0, rest, np.inf).min(axis=1, keepdims=True)
    assert (rest <= level + 1e-12).all()
    np.testing.assert_array_equal(simplex.project_simplex(values[:2], np.zeros((2, 7), bool)), 0)


@pytest.mark.parametrize("tasks", [1, 2, 3, 8])
def test_min_norm_point(tasks: int) -> None:
    solve = tf.function(solvers.min_norm_point)
    for gradients in matrices(tasks):
        weights = solve(gradients @ gradients.T, np.ones(tasks, bool)).numpy()
        vector = weights @ gradients
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1)
        # Optimal: no gradient's inner product with the point is below its squared norm.
        norms = np.linalg.norm(gradients, axis=1)
        assert (gradients @ vector >= vector @ vector - 1e-9 * norms * norms.min()).all()


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_fair_point(alpha: float) -> None:
    solve = tf.function(lambda gramian: solvers.fair_point(gramian, np.ones(len(gramian), bool), alpha))
    for tasks in (2, 3, 5):
        for scale in (0, 3):
            gradients = RNG.normal(size=(tasks, 16)) * 10.0 ** RNG.uniform(-scale, scale, size=(tasks, 1))
            weights = solve(gradients @ gradients.T).numpy()
            np.testing.assert_allclose((gradients @ (weights @ gradients)) * weights ** (1 / alpha), 1, rtol=1e-7)
