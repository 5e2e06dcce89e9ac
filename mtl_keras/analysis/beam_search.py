"""Groups of many tasks within a budget: beam search, and an upper bound. See `group_search` for the problem."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, reduce
from itertools import combinations
from operator import itemgetter
from typing import TypeAlias

import numpy as np

from mtl_keras.analysis.group_search import with_rounding

Group: TypeAlias = frozenset[int]  # indices of tasks
_State: TypeAlias = frozenset[Group]
_Quality: TypeAlias = tuple[float, float]  # the sum of the tasks' values, and minus the total cost


def beam_search(
    tasks: int, values: Callable[[Group], np.ndarray], cost: Callable[[Group], float], budget: float, width: int
) -> list[Group]:
    """Returns good groups, which need not be the best.

    Starts with a group for each task, merges groups until the budget holds, and then adds, removes and moves single
    tasks, and adds groups of one or two, as long as this improves one of the `width` best states.

    Args:
        tasks: number of tasks.
        values: a group -> `(tasks,)` values; for a task that the group does not serve, a number so low that serving
            one more task always increases the sum.
        cost: a group -> its cost.
        budget: largest total cost.
        width: number of states that are kept.

    Raises:
        ValueError: if the search finds no groups within the budget.
    """
    search = _Search(tasks, values, cost)
    limit = with_rounding(budget)
    states: Iterable[_State] = [frozenset(search.singles)]
    lowest, within = np.inf, list[_State]()
    while states:
        lowest = min([lowest, *map(search.total_cost, states)])
        within += [state for state in states if search.total_cost(state) <= limit]
        too_dear = [state for state in states if search.total_cost(state) > limit]
        states = list(_highest(width, dict(merged for state in too_dear for merged in search.merges(state))))
    if not within:
        raise ValueError(
            f"`budget` is too small: the beam search found no groups that cost less than {lowest:g}. "
            f"Received: budget={budget:g}"
        )
    kept = _highest(width, {state: search.quality(state, search.best(state)) for state in within})
    expanded: set[_State] = set()
    while new := [state for state in kept if state not in expanded]:
        expanded.update(new)
        found = dict(kept)
        for state in new:
            found |= ((changed, quality) for changed, quality in search.changes(state, limit) if -quality[1] <= limit)
        kept = _highest(width, found)
    return list(next(iter(kept)))


def _highest(width: int, states: Mapping[_State, _Quality]) -> dict[_State, _Quality]:
    """Returns the best states, the best one first; of equally good ones those that come first."""
    return dict(heapq.nlargest(width, states.items(), key=itemgetter(1)))


class _Search:
    """The states that follow others, with their quality. See `beam_search` for the arguments."""

    def __init__(self, tasks: int, values: Callable[[Group], np.ndarray], cost: Callable[[Group], float]) -> None:
        self.singles: list[Group] = [frozenset([task]) for task in range(tasks)]
        self.pairs: list[Group] = [frozenset(pair) for pair in combinations(range(tasks), 2)]
        self.values, self.cost, self.own_value = cache(values), cache(cost), cache(self._own_value)
        self.lowest = np.full(tasks, -np.inf)

    def total_cost(self, state: _State) -> float:
        return sum(map(self.cost, state))

    def best(self, groups: Iterable[Group]) -> np.ndarray:
        """Returns the `(tasks,)` highest values."""
        return reduce(np.maximum, map(self.values, groups), self.lowest)

    def quality(self, state: _State, best: np.ndarray) -> _Quality:
        # Rounded, so that a sum in another order is no improvement.
        return float(f"{best.sum():.12g}"), -self.total_cost(state)

    def merges(self, state: _State) -> Iterator[tuple[_State, _Quality]]:
        """Yields the states in which two groups are one. No task may be in two groups of the given state."""
        value = sum(map(self.own_value, state))
        for one, other in combinations(state, 2):
            merged = one | other
            new = state - {one, other} | {merged}
            gain = self.own_value(merged) - self.own_value(one) - self.own_value(other)
            yield new, (value + gain, -self.total_cost(new))

    def _own_value(self, group: Group) -> float:
        return float(self.values(group)[list(group)].sum())

    def changes(self, state: _State, limit: float) -> Iterator[tuple[_State, _Quality]]:
        """Yields the states in which a group is added, or a task is added, removed or moved."""
        best, spare = self.best(state), limit - self.total_cost(state)
        for group in (*self.singles, *self.pairs):
            if self.cost(group) <= spare:
                new = state | {group}
                yield new, self.quality(new, np.maximum(best, self.values(group)))
        for group in state:
            rest = state - {group}
            best = self.best(rest)
            if rest and len(group) == 1:
                yield rest, self.quality(rest, best)
            for changed in (group ^ single for single in self.singles if group != single):
                new = rest | {changed}
                yield new, self.quality(new, np.maximum(best, self.values(changed)))
            for other in rest:
                best = self.best(rest - {other})
                for task in group - other:
                    two = {other | {task}, group - {task}} - {frozenset()}
                    new = rest - {other} | two
                    yield new, self.quality(new, np.maximum(best, self.best(two)))


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

    low, high = 0.0, float(np.ptp(values[np.isfinite(values)])) / budget + 1e-9
    while bound(high)[1]:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if bound(middle)[1] else (low, middle)
    return min(bound(low)[0], bound(high)[0])
