"""Errors of points in shares of the distance between the eyes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtl_keras.analysis import inter_ocular_error

# left eye, right eye, nose
FACE = np.array([0.0, 0.0, 4.0, 0.0, 2.0, 3.0])
OFFSET = np.array([0.0, 0.0, 0.0, 0.0, 3.0, 4.0])


def test_it_does_not_depend_on_the_size_of_the_face() -> None:
    # One point of three is off by 5, the eyes are 4 apart.
    true = np.stack([FACE, 10 * FACE + 1])
    pred = np.stack([FACE + OFFSET, 10 * (FACE + OFFSET) + 1])
    assert inter_ocular_error(true[:1], pred[:1]) == pytest.approx(5 / 3 / 4)
    assert inter_ocular_error(true, pred) == pytest.approx(5 / 3 / 4)


def test_it_is_the_mean_over_faces() -> None:
    true = np.stack([FACE, FACE])
    assert inter_ocular_error(true, np.stack([FACE, FACE + OFFSET])) == pytest.approx(5 / 3 / 4 / 2)


def test_which_points_are_the_eyes() -> None:
    assert inter_ocular_error(FACE[None], (FACE + OFFSET)[None], 2, 0) == pytest.approx(5 / 3 / math.sqrt(13))


def test_faces_without_a_distance_do_not_count() -> None:
    true = np.stack([np.zeros(6), FACE])
    assert inter_ocular_error(true, true + OFFSET) == pytest.approx(5 / 3 / 4)
    assert math.isnan(inter_ocular_error(true[:1], true[:1]))
    assert math.isnan(inter_ocular_error(np.zeros((0, 6)), np.zeros((0, 6))))
