"""Choice of groups of tasks within a budget: exact for few tasks, beam search with an upper bound for many.

Each candidate group has a cost, and a value for each of its tasks. A task is served by the chosen group in which its
value is highest. Maximise the sum of the tasks' values, such that every task is served and the total cost is at most
the budget. The largest number of groups is the budget if each costs 1.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain, combinations
from typing import NamedTuple, TypeAlias

import numpy as np

Group: TypeAlias = frozenset[int]  # indices of tasks
State: TypeAlias = frozenset[Group]

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


def beam_search(
    tasks: int, values: Callable[[Group], np.ndarray], cost: Callable[[Group], float], budget: float, width: int
) -> list[Group]:
    """Returns good groups, which need not be the best.

    Starts with a group for each task, merges groups until the budget holds, and then adds, removes and moves single
    tasks, and adds groups of one or two, as long as this improves one of the `width` best states.

    Args:
        tasks: number of tasks.
        values: a group -> `(tasks,)` values; -inf for a task that the group does not serve.
        cost: a group -> its cost.
        budget: largest total cost.
        width: number of states that are kept.

    Raises:
        ValueError: if the search finds no groups within the budget.
    """
    values, cost = cache(values), cache(cost)
    limit = with_rounding(budget)
    singles = [frozenset([task]) for task in range(tasks)]
    small = [*singles, *map(frozenset, combinations(range(tasks), 2))]

    def total(state: State) -> float:
        return sum(map(cost, state))

    def quality(state: State) -> tuple[int, float, float]:
        best = np.max([values(group) for group in state], axis=0)
        served = np.isfinite(best)
        # Rounded, so that a sum in another order is no improvement.
        return int(served.sum()), float(f"{best[served].sum():.12g}"), -total(state)

    def best(states: Iterable[State]) -> list[State]:
        return heapq.nlargest(width, dict.fromkeys(states), key=quality)

    def moves(state: State) -> Iterator[State]:
        spare = limit - total(state)
        yield from (state | {group} for group in small if cost(group) <= spare)
        yield from (new for new in _changes(state, tasks) if total(new) <= limit)

    too_dear, within = [frozenset(singles)], []
    lowest = total(too_dear[0])
    while too_dear:
        lowest = min([lowest, *map(total, too_dear)])
        within += [state for state in too_dear if total(state) <= limit]
        too_dear = best(new for state in too_dear if total(state) > limit for new in _merges(state))
    if not within:
        raise ValueError(
            f"`budget` is too small: the beam search found no groups that cost less than {lowest:g}. "
            f"Received: budget={budget:g}"
        )
    kept, expanded = best(within), set[State]()
    while not expanded.issuperset(kept):
        new = [state for state in kept if state not in expanded]
        expanded.update(new)
        # `nlargest` is stable: of equally good states the earlier one stays, so that the search ends.
        kept = best(chain(kept, *map(moves, new)))
    return list(kept[0])


def _merges(state: State) -> Iterator[State]:
    """Yields the states in which two groups are one."""
    for one, other in combinations(state, 2):
        yield state - {one, other} | {one | other}


def _changes(state: State, tasks: int) -> Iterator[State]:
    """Yields the states in which one task is added to a group, removed from it, or moved to another group."""
    for group in state:
        for task in range(tasks):
            changed = state - {group} | _non_empty(group ^ {task})
            yield changed
            if task in group:
                yield from (changed - {other} | {other | {task}} for other in changed if task not in other)


def _non_empty(group: Group) -> State:
    return frozenset([group] if group else [])


def upper_bound(values: np.ndarray, shares: np.ndarray, budget: float) -> float:
    """Returns a number that no sum of the tasks' values exceeds, within a budget.

    Each task chooses an option and pays for a share of its group. If the options include what any group can offer, for
    at most its share of the group's cost, then `sum over tasks of max(value - price * share) + price * budget` is an
    upper bound for any price >= 0 (Lagrangian relaxation of the budget). It is convex in the price; the lowest is
    found by bisection.

    Args:
        values: `(options, tasks)` values; -inf where a task does not have the option.
        shares: `(options, tasks)` costs. The sum of each task's lowest share must be at most the budget.
        budget: largest total cost.
    """

    def bound(price: float) -> tuple[float, bool]:
        """Returns the bound, and whether a higher price gives a lower one."""
        offers = values - price * shares
        chosen = shares[offers.argmax(axis=0), np.arange(values.shape[1])].sum()
        return float(offers.max(axis=0).sum() + price * budget), bool(chosen > with_rounding(budget))

    low, high = 0.0, float(np.ptp(values[np.isfinite(values)])) / budget + _ROUNDING
    while bound(high)[1]:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if bound(middle)[1] else (low, middle)
    return min(bound(low)[0], bound(high)[0])


def with_rounding(budget: float) -> float:
    """Returns the budget, with a tolerance for costs that are added up in floating point."""
    return budget * (1 + _ROUNDING)
