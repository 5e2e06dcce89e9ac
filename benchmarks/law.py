"""A line, or a parabola, through what was measured, and how far off it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Law:
    """y = constant + slope * x + bend * x ** 2.

    Args:
        constant: y at 0.
        slope: what one more of x adds, at 0.
        deviation: the largest distance of a measured y from the law, as a share of the y.
        bend: how much more each adds the more there are; 0 for a line.
    """

    constant: float
    slope: float
    deviation: float
    bend: float = 0.0

    def __call__(self, x: float) -> float:
        """Returns y."""
        return self.constant + self.slope * x + self.bend * x**2

    def text(self, unit: str, each: str) -> str:
        """Returns the law in words: `"12.1 ms + 0.031 ms per task, at most 4% off"`.

        Args:
            unit: of y.
            each: what x counts.
        """
        terms = [f"{self.constant:.3g} {unit}"]
        for factor, name in ((self.slope, each), (self.bend, f"{each} squared")):
            if factor:
                terms.append(f"{'-' if factor < 0 else '+'} {abs(factor):.2g} {unit} per {name}")
        return f"{' '.join(terms)}, at most {100 * self.deviation:.2g}% off"


def fit(x: Sequence[float], y: Sequence[float], degree: int = 1) -> Law:
    """Returns the law with the least squares of relative errors: a point at 1 counts as much as one at 400.

    Args:
        x: more different ones than `degree`.
        y: what was measured at each, > 0.
        degree: 1 for a line, 2 for a parabola.

    Raises:
        ValueError: for too few different x, another number of y or a y that is not > 0.
    """
    if len(x) != len(y) or len(set(x)) <= degree or min(y) <= 0:
        raise ValueError(
            f"A law needs {degree + 1} different x, and a y > 0 for each. Received: x={list(x)}, y={list(y)}"
        )
    measured = np.asarray(y, float)
    powers = np.vander(np.asarray(x, float), degree + 1, increasing=True)
    found, *_ = np.linalg.lstsq(powers / measured[:, None], np.ones(len(x)))
    off = np.abs(powers @ found - measured) / measured
    constant, slope, *bend = map(float, found)
    return Law(constant, slope, float(off.max()), *bend)
