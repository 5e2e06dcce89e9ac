"""Ranks of several methods over many metrics, and Pareto dominance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtl_keras.analysis.delta_m import OfTasks, by_metric, check_same_metrics, checked_directions
from mtl_keras.checks import unknown_value
from mtl_keras.extras import import_extra

TIES = ("average", "min", "max")
"""Rank of equal methods: the mean, the best or the worst of the ranks that they take up."""


def mean_ranks(
    results: Mapping[str, OfTasks[float]], higher_is_better: OfTasks[bool], *, ties: str = "average"
) -> dict[str, float]:
    """Returns the mean rank of each method over all metrics; rank 1 is the best.

    Published mean ranks follow different tie rules, mostly without saying so: state yours with the ranks. NTKMTL's
    table of QM9 follows `"min"` (https://arxiv.org/abs/2510.18258). Ranks depend on which methods are listed.

    Args:
        results: method -> `{task: number}` or `{task: {metric: number}}`. All methods have the same tasks and metrics.
        higher_is_better: the same tasks and metrics, with whether a higher metric is a better one.
        ties: rank of equal methods, one of `TIES`: of two equal ones behind the first, the mean rank 2.5, the best
            rank 2 or the worst rank 3.

    Raises:
        ValueError: if there are no methods, tasks or metrics differ, a number is NaN, or for an unknown `ties`.

    Example:

    ```python
    results = {"equal": {"item": 0.9, "price": 2.0}, "pcgrad": {"item": 0.9, "price": 1.8}}
    mean_ranks(results, {"item": True, "price": False})  # {"equal": 1.75, "pcgrad": 1.25}
    ```
    """
    if ties not in TIES:
        raise unknown_value("value of ties", ties, TIES)
    errors = np.array(_errors(results, higher_is_better))
    ranks = import_extra("scipy.stats", "analysis").rankdata(errors, method=ties, axis=0)
    return dict(zip(results, ranks.mean(axis=1).tolist()))


def dominates(method: OfTasks[float], other: OfTasks[float], higher_is_better: OfTasks[bool]) -> bool:
    """Returns whether a method is at least as good as another one in all metrics, and better in at least one.

    Args:
        method: `{task: number}` or `{task: {metric: number}}` of the method.
        other: the same of the other method.
        higher_is_better: the same with whether a higher metric is a better one.

    Raises:
        ValueError: if tasks or metrics differ, or a number is NaN.
    """
    return _dominates(*_errors({"method": method, "other": other}, higher_is_better))


def pareto_front(results: Mapping[str, OfTasks[float]], higher_is_better: OfTasks[bool]) -> list[str]:
    """Returns the methods that no other method dominates, in the given order; arguments as for `mean_ranks`.

    Only numbers are compared, whatever their uncertainty. With many metrics, few methods are dominated.

    Raises:
        ValueError: if there are no methods, tasks or metrics differ, or a number is NaN.
    """
    errors = _errors(results, higher_is_better)
    return [
        name for name, candidate in zip(results, errors) if not any(_dominates(other, candidate) for other in errors)
    ]


def _dominates(errors: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(errors, other))
    return all(one <= two for one, two in pairs) and any(one < two for one, two in pairs)


def _errors(results: Mapping[str, OfTasks[float]], higher_is_better: OfTasks[bool]) -> list[list[float]]:
    """Returns the metrics of each method, `(methods, metrics)`, with the sign by which lower is better."""
    if not results:
        raise ValueError("`results` must have at least one method. Received: none")
    better: Mapping[Any, bool] = checked_directions(higher_is_better)
    if not better:
        raise ValueError("`higher_is_better` must have at least one task. Received: none")
    rows = []
    for name, values in results.items():
        check_same_metrics(values, higher_is_better, (f"The results of {name!r}", "`higher_is_better`"))
        flat: Mapping[Any, float] = by_metric(values)
        for key in better:
            if math.isnan(flat[key]):
                metric = " ".join(part for part in key if part is not None)
                raise ValueError(f"The results of {name!r} must not be NaN. Received: nan of {metric}")
        rows.append([-flat[key] if better[key] else flat[key] for key in better])
    return rows
