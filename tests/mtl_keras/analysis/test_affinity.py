"""Affinities from sums over steps, and which of them are clear."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mtl_keras.analysis import Affinity, Estimate, holm

STEPS = np.random.default_rng(0).normal([[9, 0.4, 0], [0, 9, -0.6], [0.2, 0, 9]], 1.0, (40, 3, 3))
AFFINITY = Affinity.from_sums("abc", STEPS.sum(0), (STEPS**2).sum(0), np.full((3, 3), 40))


def test_means_and_standard_errors_are_those_of_the_steps() -> None:
    np.testing.assert_allclose(AFFINITY.mean, STEPS.mean(0))
    np.testing.assert_allclose(AFFINITY.error, stats.sem(STEPS))
    assert AFFINITY.on("b", of="a") == Estimate(AFFINITY.mean[0, 1], AFFINITY.error[0, 1], 40)
    assert str(AFFINITY).splitlines()[1].split()[:4] == ["a", "+8.94", "±", "0.16"]
    with pytest.raises(ValueError, match=r"Unknown task in `of`.* Received: 'd'. Choices: a, b, c"):
        AFFINITY.on("b", of="d")
    copy = Affinity.from_json(AFFINITY.to_json())
    np.testing.assert_array_equal(copy.error, AFFINITY.error)


def test_clear_affinities_are_those_of_t_tests_after_holms_correction() -> None:
    pairs = ~np.eye(3, dtype=bool)
    p_values = np.array(holm(stats.ttest_1samp(STEPS, 0).pvalue[pairs]))
    assert 0 < (p_values < 0.05).sum() < 6
    np.testing.assert_array_equal(AFFINITY.clear()[pairs], p_values < 0.05)
    assert not AFFINITY.clear().diagonal().any()
    one = Affinity.from_sums("abc", STEPS[0], STEPS[0] ** 2, np.ones((3, 3)))
    assert not one.clear().any()
    with pytest.raises(ValueError, match="`confidence` must lie between 0 and 1"):
        AFFINITY.clear(95)
