"""When a run is too short to be judged."""

from __future__ import annotations

_FEW = 200


def are_few(steps: int) -> bool:
    """Whether a run of so many steps may be judged before the averages of its batch normalisation have settled."""
    return steps < _FEW
