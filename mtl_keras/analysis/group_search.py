"""The best choice of groups of tasks within a budget: exact, for few tasks.

Each candidate group has a cost, and a value for each of its tasks. A task is served by the chosen group in which its
value is highest. Maximise the sum of the tasks' values, such that every task is served and the total cost is at most
the budget. The largest number of groups is the budget if each costs 1. For many tasks, see `beam_search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

MOST_EXACT = 12
"""Number of tasks up to which the exact search takes seconds."""

_ROUNDING = 1e-9


def choose(values: np.ndarray, costs: np.ndarray, budget: float) -> list[int]:
    """Returns the rows of the best groups; of equally good ones the cheapest. The result is exact.

    Dynamic programming over the sets of tasks that are served: the best way to serve a set is a group for the part of
    it that includes its first task, and the best way to serve the rest. For each set, the Pareto front of cost and
    value is kept. Time and memory grow with 3^tasks and with the number of different costs.

    Args:
        values: `(groups, tasks)` values; -inf for a task outside the group.
        costs: `(groups,)` costs >= 0.
        budget: largest total cost.

    Raises:
        ValueError: if no groups serve all tasks within the budget.
    """
    tasks = values.shape[1]
    everything = (1 << tasks) - 1
    limit = with_rounding(budget)
    members = np.isfinite(values)
    bits = np.arange(1 << tasks)[:, None] >> np.arange(tasks) & 1 > 0  # (sets, tasks)
    masks = members @ (1 << np.arange(tasks))
    inside = np.where(members, values, 0.0)
    tolerance = 1e-12 * float(np.abs(inside).max())

    # For each set: the groups for it, whatever else they contain, and the ways to serve it by one or more groups.
    groups: list[_Front] = [_Front.of(np.zeros(0), np.zeros(0), tolerance)]
    ways: list[_Front] = [_Front.of(np.zeros(1), np.zeros(1), tolerance)]
    for served in range(1, everything + 1):
        rows = np.flatnonzero((masks & served == served) & (costs <= limit))
        groups.append(_Front.of(costs[rows], inside[rows][:, bits[served]].sum(axis=1), tolerance, rows))
        sums = [groups[part].plus(ways[served ^ part]) for part in _parts(served)]
        cost, value = (np.concatenate([each[axis].ravel() for each in sums]) for axis in (0, 1))
        within = cost <= limit
        ways.append(_Front.of(cost[within], value[within], tolerance))
    if not len(ways[everything].cost):
        cheapest = choose(np.where(members, 0.0, -np.inf), costs, float(costs.sum()))
        raise ValueError(
            f"`budget` must be at least {costs[cheapest].sum():g}, the lowest cost of serving all tasks. "
            f"Received: budget={budget:g}"
        )

    chosen, served, place = set[int](), everything, -1
    while served:
        target = ways[served].cost[place], ways[served].value[place]
        for part in _parts(served):
            cost, value = groups[part].plus(ways[served ^ part])
            equal = np.argwhere((cost == target[0]) & (value == target[1]))
            if len(equal):
                row, place = equal[0]
                chosen.add(int(groups[part].rows[row]))
                served ^= part
                break
    return sorted(chosen)


class _Front(NamedTuple):
    """Ways to serve a set of tasks that no other way equals at the same or a lower cost.

    Args:
        cost: `(ways,)` total costs, increasing.
        value: `(ways,)` sums of the values of the tasks, increasing.
        rows: `(ways,)` what each way is.
    """

    cost: np.ndarray
    value: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, cost: np.ndarray, value: np.ndarray, tolerance: float, rows: np.ndarray | None = None) -> _Front:
        """Returns the front of some ways; a value is higher if the difference exceeds the tolerance."""
        order = np.lexsort((-value, cost))
        best = np.maximum.accumulate(np.concatenate([[-np.inf], value[order]]))[:-1]
        order = order[value[order] > best + tolerance]
        return cls(cost[order], value[order], order if rows is None else rows[order])

    def plus(self, other: _Front) -> tuple[np.ndarray, np.ndarray]:
        """Returns costs and values `(ways, other ways)` of both together."""
        return self.cost[:, None] + other.cost, self.value[:, None] + other.value


def _parts(served: int) -> Iterator[int]:
    """Yields the subsets (bits) of a set that include its first element."""
    first = served & -served
    others = served ^ first
    part = others
    while part:
        yield part | first
        part = (part - 1) & others
    yield first


def with_rounding(budget: float) -> float:
    """Returns the budget, with a tolerance for costs that are added up in floating point."""
    return budget * (1 + _ROUNDING)
