"""Costs of one shared network, compared with the single-task networks that it replaces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from mtl_keras.analysis.intervals import json_numbers


@dataclass(frozen=True)
class Cost:
    """Cost of one run, or the mean of several.

    Args:
        parameters: number of the network's weights.
        seconds_per_step: time of a training step.
        seconds: total training time.
    """

    parameters: int
    seconds_per_step: float
    seconds: float


@dataclass(frozen=True)
class CostComparison:
    """Cost of one network, compared with the sum of others.

    Args:
        method: cost of the one network.
        baseline: sum of the costs of the others; a step is one step of each of them.
    """

    method: Cost
    baseline: Cost

    @property
    def ratio(self) -> dict[str, float]:
        """Each field of `method` divided by that of `baseline`; below 1 is cheaper. NaN where `baseline` is 0."""
        pairs = zip(asdict(self.method).items(), asdict(self.baseline).values())
        return {name: cost / reference if reference else math.nan for (name, cost), reference in pairs}

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        return {**asdict(self), "ratio": self.ratio}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CostComparison:
        """Returns the comparison from the result of `to_json`; null is NaN."""
        return cls(*(Cost(**json_numbers(values[side])) for side in ("method", "baseline")))


def compare_costs(method: Mapping[str, Sequence[Cost]], baseline: Mapping[str, Sequence[Cost]]) -> CostComparison:
    """Compares the costs of two methods: the sum over a method's networks of the mean cost of their runs.

    Args:
        method: network -> its runs, one per seed; usually one network for all tasks.
        baseline: the same for the baseline; usually one network per task.

    Raises:
        ValueError: if a method has no network, or a network has no run or runs of different sizes.

    Example:

    ```python
    single = {"item": [Cost(100, 0.2, 60.0)], "group": [Cost(100, 0.2, 60.0)]}
    compare_costs({"both": [Cost(110, 0.25, 75.0)]}, single).ratio["seconds"]  # 0.625
    ```
    """
    return CostComparison(_total("method", method), _total("baseline", baseline))


def _total(side: str, networks: Mapping[str, Sequence[Cost]]) -> Cost:
    if not networks:
        raise ValueError(f"`{side}` must have at least one network. Received: none")
    means = [_mean(f"{side} {network!r}", runs) for network, runs in networks.items()]
    return Cost(
        sum(cost.parameters for cost in means),
        sum(cost.seconds_per_step for cost in means),
        sum(cost.seconds for cost in means),
    )


def _mean(name: str, runs: Sequence[Cost]) -> Cost:
    """Returns the mean cost of the runs of one network."""
    sizes = {run.parameters for run in runs}
    if len(sizes) != 1:
        raise ValueError(
            f"The {name} must have at least one run, and be one network. Received: parameters={sorted(sizes)}"
        )
    return Cost(sizes.pop(), fmean(run.seconds_per_step for run in runs), fmean(run.seconds for run in runs))
