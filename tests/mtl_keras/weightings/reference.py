"""Losses of three tasks, in six epochs or steps, for which published implementations were run in float64.

The weights that LibMTL (commit 4336804) gave for them stand in the test of each method; TorchJD 0.18.0 gives the same.
"""

from __future__ import annotations

import numpy as np

LOSSES = np.array(
    [
        [2.3125, 0.90625, 14.0],
        [1.703125, 0.75, 11.5],
        [1.34375, 0.71875, 7.875],
        [1.203125, 0.515625, 6.625],
        [1.015625, 0.546875, 6.875],
        [0.875, 0.4375, 4.25],
    ]
)
RTOL = {"float64": 1e-6, "float32": 1e-4}
