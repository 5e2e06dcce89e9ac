"""delta_m: the mean relative gain of tasks from a shared network.

With M_t the metric of task t in the multi-task network, S_t that of its single-task network, and l_t = 1 where lower is
better, else 0:

    delta_m = 100 / T * sum over t of (-1)^l_t * (M_t - S_t) / S_t

The literature uses both signs. Here a positive number means that the multi-task network is better, unless the other
convention is passed by name.

References:
    Positive is better: K.-K. Maninis, I. Radosavovic, I. Kokkinos, *Attentive Single-Tasking of Multiple Tasks*
    (ASTMT), CVPR 2019, https://arxiv.org/abs/1904.08918; S. Vandenhende et al., *Multi-Task Learning for Dense
    Prediction Tasks: A Survey*, TPAMI 2021, https://arxiv.org/abs/2004.13379.
    Positive is worse: B. Liu et al., *Conflict-Averse Gradient Descent for Multi-task Learning* (CAGrad), NeurIPS
    2021, https://arxiv.org/abs/2110.14048; B. Liu et al., *FAMO: Fast Adaptive Multitask Optimization*, NeurIPS 2023,
    https://arxiv.org/abs/2306.03792; H. Ban, K. Ji, *Fair Resource Allocation in Multi-Task Learning* (FairGrad), ICML
    2024, https://arxiv.org/abs/2402.15638.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from mtl_keras.checks import unknown_value

POSITIVE_IS_BETTER = "positive is better"
POSITIVE_IS_WORSE = "positive is worse"
CONVENTIONS = (POSITIVE_IS_BETTER, POSITIVE_IS_WORSE)


def relative_gains(
    multi: Mapping[str, float],
    single: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
    *,
    convention: str = POSITIVE_IS_BETTER,
) -> dict[str, float]:
    """Returns each task's gain in percent of its single-task result.

    Args:
        multi: task -> metric in the multi-task network.
        single: task -> metric in its single-task network, > 0.
        higher_is_better: task -> whether a higher metric is a better one.
        convention: meaning of a positive number, one of `CONVENTIONS`.

    Raises:
        ValueError: if the three do not have the same tasks, a value is NaN or infinite, or a single-task result is not
            above 0, so that the relative gain is undefined.

    Example:

    ```python
    relative_gains({"item": 0.92, "price": 1.8}, {"item": 0.90, "price": 2.0}, {"item": True, "price": False})
    # {"item": 2.22, "price": 10.0}
    ```
    """
    _check_tasks(multi, single, higher_is_better)
    for task, baseline in single.items():
        if not math.isfinite(multi[task]):
            raise ValueError(f"`multi` of task {task!r} must be a finite number. Received: {multi[task]!r}")
        if not math.isfinite(baseline) or baseline <= 0:
            raise ValueError(f"`single` of task {task!r} must be a finite number > 0. Received: {baseline!r}")
    return {
        task: relative_gain(multi[task], single[task], higher_is_better[task], convention=convention) for task in single
    }


def relative_gain(
    multi: float, single: float, higher_is_better: bool, *, convention: str = POSITIVE_IS_BETTER
) -> float:
    """Returns the gain in percent of the single-task result; NaN where it is undefined.

    It is undefined if a number is NaN or infinite, or `single` is not above 0.

    Raises:
        ValueError: for an unknown convention.
    """
    if convention not in CONVENTIONS:
        raise unknown_value("convention", convention, CONVENTIONS)
    if not (math.isfinite(multi) and math.isfinite(single) and single > 0):
        return math.nan
    positive = higher_is_better == (convention == POSITIVE_IS_BETTER)
    return (100 if positive else -100) * (multi - single) / single


def _check_tasks(multi: Mapping[str, float], single: Mapping[str, float], higher_is_better: Mapping[str, bool]) -> None:
    if not single:
        raise ValueError("`single` must have at least one task. Received: none")
    for name, given in (("multi", multi), ("higher_is_better", higher_is_better)):
        diff = sorted(set(given) ^ set(single))
        if diff:
            raise ValueError(f"`{name}` and `single` must have the same tasks. Received in one only: {', '.join(diff)}")


def delta_m(
    multi: Mapping[str, float],
    single: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
    *,
    convention: str = POSITIVE_IS_BETTER,
) -> float:
    """Returns the mean of the tasks' relative gains, in percent; arguments and errors are those of `relative_gains`."""
    gains = relative_gains(multi, single, higher_is_better, convention=convention)
    return sum(gains.values()) / len(gains)
