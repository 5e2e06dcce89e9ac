"""delta_m and delta_p: the mean relative gain of a shared network over single-task networks.

With M_k a metric of the multi-task network, S_k that of the single-task network, and l_k = 1 where lower is better,
else 0, the relative gain in percent is

    g_k = 100 * (-1)^l_k * (M_k - S_k) / S_k

`delta_m` is the mean of g_k over all metrics, `delta_p` the mean over the tasks of the mean over the task's metrics.
They are equal if all tasks have the same number of metrics, and may differ in sign otherwise.

The literature uses both signs. Here a positive number means that the multi-task network is better, unless the other
convention is passed by name.

References:
    By metric, positive is worse: B. Liu et al., *Conflict-Averse Gradient Descent for Multi-task Learning* (CAGrad),
    NeurIPS 2021, https://arxiv.org/abs/2110.14048; A. Navon et al., *Multi-Task Learning as a Bargaining Game*
    (Nash-MTL), ICML 2022, https://arxiv.org/abs/2202.01017; B. Liu et al., *FAMO: Fast Adaptive Multitask
    Optimization*, NeurIPS 2023, https://arxiv.org/abs/2306.03792; H. Ban, K. Ji, *Fair Resource Allocation in
    Multi-Task Learning* (FairGrad), ICML 2024, https://arxiv.org/abs/2402.15638.
    By task, positive is better: B. Lin, Y. Zhang, *LibMTL: A Python Library for Deep Multi-Task Learning*, JMLR 24,
    2023, https://arxiv.org/abs/2203.14338; B. Lin et al., *Dual-Balancing for Multi-Task Learning* (DB-MTL), 2023,
    https://arxiv.org/abs/2308.12029; Z. Wang et al., *Rep-MTL*, ICCV 2025, https://arxiv.org/abs/2507.21049.
    One metric a task, positive is better: K.-K. Maninis, I. Radosavovic, I. Kokkinos, *Attentive Single-Tasking of
    Multiple Tasks* (ASTMT), CVPR 2019, https://arxiv.org/abs/1904.08918; S. Vandenhende et al., *Multi-Task Learning
    for Dense Prediction Tasks: A Survey*, TPAMI 2021, https://arxiv.org/abs/2004.13379.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar, overload

import numpy as np

from mtl_keras.checks import check_bool, unknown_value

POSITIVE_IS_BETTER = "positive is better"
POSITIVE_IS_WORSE = "positive is worse"
CONVENTIONS = (POSITIVE_IS_BETTER, POSITIVE_IS_WORSE)

_T = TypeVar("_T")
OfTasks = Mapping[str, _T] | Mapping[str, Mapping[str, _T]]
"""`{task: value}` with one metric a task, or `{task: {metric: value}}`."""


@overload
def relative_gains(
    multi: Mapping[str, float],
    single: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
    *,
    convention: str = ...,
) -> dict[str, float]: ...
@overload
def relative_gains(
    multi: Mapping[str, Mapping[str, float]],
    single: Mapping[str, Mapping[str, float]],
    higher_is_better: Mapping[str, Mapping[str, bool]],
    *,
    convention: str = ...,
) -> dict[str, dict[str, float]]: ...
def relative_gains(
    multi: OfTasks[float],
    single: OfTasks[float],
    higher_is_better: OfTasks[bool],
    *,
    convention: str = POSITIVE_IS_BETTER,
) -> dict[str, Any]:
    """Returns each gain in percent of the single-task result, as `{task: gain}` or `{task: {metric: gain}}`.

    Args:
        multi: `{task: number}` or `{task: {metric: number}}` of the multi-task network.
        single: the same of the single-task networks, each number > 0.
        higher_is_better: the same with whether a higher metric is a better one.
        convention: meaning of a positive number, one of `CONVENTIONS`.

    Raises:
        ValueError: if the three do not have the same tasks and metrics, a value is NaN or infinite, or a single-task
            result is not above 0, so that the relative gain is undefined.

    Example:

    ```python
    relative_gains({"item": 0.92, "price": 1.8}, {"item": 0.90, "price": 2.0}, {"item": True, "price": False})
    # {"item": 2.22, "price": 10.0}
    ```
    """
    gains: dict[str, Any] = {}
    for (task, metric), gain in _gains(multi, single, higher_is_better, convention).items():
        if metric is None:
            gains[task] = gain
        else:
            gains.setdefault(task, {})[metric] = gain
    return gains


def delta_m(
    multi: OfTasks[float],
    single: OfTasks[float],
    higher_is_better: OfTasks[bool],
    *,
    convention: str = POSITIVE_IS_BETTER,
) -> float:
    """Returns the mean of the relative gains over all metrics, in percent.

    This is the Delta_m of CAGrad, Nash-MTL, FAMO and FairGrad, which print it with `convention="positive is worse"`.
    A task with many metrics counts more than one with few; `delta_p` weighs tasks equally. Arguments and errors are
    those of `relative_gains`.
    """
    return float(np.mean(list(_gains(multi, single, higher_is_better, convention).values())))


def delta_p(
    multi: OfTasks[float],
    single: OfTasks[float],
    higher_is_better: OfTasks[bool],
    *,
    convention: str = POSITIVE_IS_BETTER,
) -> float:
    """Returns the mean over the tasks of the mean relative gain of the task's metrics, in percent.

    This is the Delta_p of LibMTL, DB-MTL and Rep-MTL, which print it with the default convention. With one metric a
    task it equals `delta_m`. Arguments and errors are those of `relative_gains`.

    Example:

    ```python
    single = {"depth": {"abs": 0.5, "rel": 0.2}, "item": {"accuracy": 0.8}}
    multi = {"depth": {"abs": 0.4, "rel": 0.16}, "item": {"accuracy": 0.72}}
    higher = {"depth": {"abs": False, "rel": False}, "item": {"accuracy": True}}
    delta_m(multi, single, higher), delta_p(multi, single, higher)  # 10.0, 5.0
    ```
    """
    by_task: dict[str, list[float]] = {}
    for (task, _), gain in _gains(multi, single, higher_is_better, convention).items():
        by_task.setdefault(task, []).append(gain)
    return float(np.mean([np.mean(gains) for gains in by_task.values()]))


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


def by_metric(values: OfTasks[_T]) -> dict[tuple[str, str | None], _T]:
    """Returns `{(task, metric): value}`; the metric is `None` where a task has a value and no metrics."""
    flat: dict[tuple[str, str | None], Any] = {}
    for task, value in values.items():
        if isinstance(value, Mapping):
            flat |= {(task, metric): each for metric, each in value.items()}
        else:
            flat[task, None] = value
    return flat


def checked_directions(higher_is_better: OfTasks[bool]) -> dict[tuple[str, str | None], bool]:
    """Returns `by_metric` of directions.

    Raises:
        ValueError: if one is not True or False.
    """
    found = by_metric(higher_is_better)
    for key, value in found.items():
        check_bool(f"higher_is_better of {' '.join(part for part in key if part)!r}", value)
    return found


def check_same_metrics(first: OfTasks[Any], other: OfTasks[Any], names: tuple[str, str]) -> None:
    """Checks that two arguments have the same tasks, and the same metrics of each.

    Args:
        first: the one argument.
        other: the other argument.
        names: their names, for the error.

    Raises:
        ValueError: naming what only one of them has.
    """
    both = f"{names[0]} and {names[1]} must have the same"
    diff = sorted(set(first) ^ set(other))
    if diff:
        raise ValueError(f"{both} tasks. Received in one only: {', '.join(diff)}")
    for task in other:
        (one, two) = ({metric for name, metric in by_metric({task: side[task]})} for side in (first, other))
        if one != two:
            found = ", ".join(sorted(metric or "a number without a metric" for metric in one ^ two))
            raise ValueError(f"{both} metrics of task {task!r}. Received in one only: {found or 'none'}")


def _gains(
    multi: OfTasks[float], single: OfTasks[float], higher_is_better: OfTasks[bool], convention: str
) -> dict[tuple[str, str | None], float]:
    """Returns the gains of all metrics, after checking the arguments."""
    baselines = by_metric(single)
    if not baselines:
        raise ValueError("`single` must have at least one task. Received: none")
    check_same_metrics(multi, single, ("`multi`", "`single`"))
    check_same_metrics(higher_is_better, single, ("`higher_is_better`", "`single`"))
    results, better = by_metric(multi), checked_directions(higher_is_better)
    for key, baseline in baselines.items():
        if not math.isfinite(results[key]):
            raise ValueError(f"`multi` of {_name(*key)} must be a finite number. Received: {results[key]!r}")
        if not math.isfinite(baseline) or baseline <= 0:
            raise ValueError(f"`single` of {_name(*key)} must be a finite number > 0. Received: {baseline!r}")
    return {
        key: relative_gain(results[key], baseline, better[key], convention=convention)
        for key, baseline in baselines.items()
    }


def _name(task: str, metric: str | None) -> str:
    return f"task {task!r}" + (f", metric {metric!r}" if metric is not None else "")
