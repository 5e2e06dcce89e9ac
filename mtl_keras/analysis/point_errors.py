"""Errors of points in a face, in a unit that does not depend on how large the face is."""

from __future__ import annotations

import numpy as np


def inter_ocular_error(true: np.ndarray, pred: np.ndarray, left_eye: int = 0, right_eye: int = 1) -> float:
    """Returns the normalised mean error (NME): mean distance of the points, divided by that between the true eyes.

    The quotient is taken face by face, and averaged over the faces. Faces whose true eyes are in one place are left
    out; it is NaN if there is no other.

    Args:
        true: `(faces, 2 * points)`: x0, y0, x1, y1, ...
        pred: likewise.
        left_eye: which of the points is the left eye.
        right_eye: which of the points is the right eye.

    References:
        Z. Zhang, P. Luo, C. C. Loy, X. Tang, "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014.
    """
    true_points, points = (
        np.asarray(array, "float64").reshape(len(array), array.shape[1] // 2, 2) for array in (true, pred)
    )
    error = np.linalg.norm(true_points - points, axis=-1).mean(axis=-1)
    between = np.linalg.norm(true_points[:, left_eye] - true_points[:, right_eye], axis=-1)
    apart = between > 0
    return float(np.mean(error[apart] / between[apart])) if apart.any() else float("nan")
