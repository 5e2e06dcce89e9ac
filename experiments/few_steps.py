"""Detects runs that are too short to evaluate."""

from __future__ import annotations

_FEW = 200


def are_few(steps: int) -> bool:
    """Returns whether a run has too few steps for the moving averages of batch normalisation to settle."""
    return steps < _FEW
