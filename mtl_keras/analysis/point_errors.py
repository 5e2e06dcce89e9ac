"""Errors of facial landmarks, in a unit that does not depend on the size of the face."""

from __future__ import annotations

import numpy as np


def inter_ocular_error(true: np.ndarray, pred: np.ndarray, left_eye: int = 0, right_eye: int = 1) -> float:
    """Returns the normalised mean error (NME): mean point error divided by the distance of the true eyes.

    The quotient is computed for each face and averaged over the faces. Faces whose true eyes coincide are left out; the
    result is NaN if there are no other faces.

    Args:
        true: `(faces, 2 * points)`: x0, y0, x1, y1, ...
        pred: predictions of the same shape.
        left_eye: index of the left eye among the points.
        right_eye: index of the right eye among the points.

    References:
        Z. Zhang, P. Luo, C. C. Loy, X. Tang, "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014.
    """
    true_points, points = (
        np.asarray(array, "float64").reshape(len(array), array.shape[1] // 2, 2) for array in (true, pred)
    )
    error = np.linalg.norm(true_points - points, axis=-1).mean(axis=-1)
    eye_distance = np.linalg.norm(true_points[:, left_eye] - true_points[:, right_eye], axis=-1)
    valid = eye_distance > 0
    return float(np.mean(error[valid] / eye_distance[valid])) if valid.any() else float("nan")
