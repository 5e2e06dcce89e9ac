"""`best_groups`: which tasks to train together, from the affinities between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from mtl_keras.analysis.affinity import Affinity
from mtl_keras.analysis.beam_search import Group, beam_search, upper_bound
from mtl_keras.analysis.group_search import MOST_EXACT, choose, with_rounding
from mtl_keras.analysis.text_table import text_table
from mtl_keras.checks import check_integer, check_number, check_positive, unknown_value

GroupCost: TypeAlias = Callable[[tuple[str, ...]], float] | Mapping[tuple[str, ...], float]
_Scores: TypeAlias = Callable[[np.ndarray], np.ndarray]  # `(groups, tasks)` members -> scores

_BEAM_WIDTH = 10


@dataclass(frozen=True, repr=False)
class Grouping:
    """Groups of tasks, one network for each. `print` shows a table.

    All tasks of a group are trained in its network. A task that occurs in several groups is served by (evaluated and
    deployed from) one of them only.

    Args:
        groups: the tasks of each group.
        serves: for each group, the tasks that it serves: each task occurs once.
        scores: task -> its score in the group that serves it.
        score: mean of `scores`.
        bound: no groups within the budget have a higher score.
        exact: whether the score is known to be the highest. Otherwise it is the best that the beam search found.
        cost: total cost of the groups; their number by default.
    """

    groups: tuple[tuple[str, ...], ...]
    serves: tuple[tuple[str, ...], ...]
    scores: dict[str, float]
    score: float
    bound: float
    exact: bool
    cost: float

    @property
    def spec(self) -> str:
        """The groups as text: `"groups(a+b, c)"`."""
        return f"groups({', '.join('+'.join(group) for group in self.groups)})"

    @property
    def served_by(self) -> dict[str, tuple[str, ...]]:
        """Task -> the group that serves it."""
        return {task: group for group, tasks in zip(self.groups, self.serves) for task in tasks}

    def __repr__(self) -> str:
        rows = [("group", "serves (score)", "also trains")]
        for group, serves in zip(self.groups, self.serves):
            scores = ", ".join(f"{task} ({self.scores[task]:+.4f})" for task in serves)
            rows.append(("+".join(group), scores, ", ".join(task for task in group if task not in serves)))
        found = "the highest possible" if self.exact else f"found by beam search; at most {self.bound:+.4f} is possible"
        return f"{text_table(rows)}\nScore: {self.score:+.4f}, {found}. Cost: {self.cost:g}."


def best_groups(
    affinity: Affinity | Mapping[str, Mapping[str, float]],
    *,
    networks: int | None = None,
    budget: float | None = None,
    cost: GroupCost | None = None,
    alone: float | None = 0.0,
    beam_width: int | None = None,
) -> Grouping:
    """Returns the groups of tasks with the highest mean affinity, at most `networks` groups or within a `budget`.

    The score of a task in a group is the mean affinity of the group's other tasks on it. Groups may overlap. Each task
    is served by the group in which its score is highest, and the mean of these scores over the tasks is maximised.

    Up to 12 tasks, the result is exact (a second for 10 tasks, 5 to 20 for 12). Beyond, it is found by beam search, and
    `bound` is an upper bound of the highest score: the difference is the most that is missed. The bound is close if
    tasks form about as many clusters as there are networks, and loose if affinities are mostly noise.

    Affinities are measured early and step by step: they are no proof that groups help. Train the groups, and compare.

    Args:
        affinity: affinities between all tasks, `Affinity` or `{source: {affected task: affinity}}`. Those of a task on
            itself are not used.
        networks: largest number of groups, >= 1. Pass either `networks` or `budget`.
        budget: largest total cost of the groups, > 0.
        cost: cost of a group, for example its number of parameters or the measured time of a step: a function of its
            tasks (in the order of `affinity`), or a mapping of groups to costs, which also limits the choice to these
            groups. 1 by default. The exact search calls the function once for each of the `2^T - 1` groups.
        alone: score of a task in a group of its own. 0 means that it is neither helped nor harmed; with None, no
            group has a single task.
        beam_width: number of states that the beam search keeps; higher is slower and may find better groups. If given,
            fewer than 13 tasks are searched in this way, too. 10 by default.

    Raises:
        ValueError: if an affinity is missing, NaN or infinite; not exactly one of `networks` and `budget` is given;
            no groups serve all tasks within the budget; `cost` has an unknown task or a negative cost; or the beam
            search is used with a mapping of costs, or with a group that costs less than one of its tasks alone.

    References:
        C. Fifty et al., *Efficiently Identifying Task Groupings for Multi-Task Learning* (TAG), NeurIPS 2021,
        https://arxiv.org/abs/2109.04617, section 3.2; its code excludes groups of one (`alone=None`).

    Example:

    ```python
    affinity = {"a": {"b": 0.3, "c": -0.2}, "b": {"a": 0.2, "c": -0.1}, "c": {"a": -0.1, "b": 0.0}}
    best_groups(affinity, networks=2).spec  # "groups(a+b, c)"
    ```
    """
    tasks, table = _checked_affinity(affinity)
    limit = _checked_budget(networks, budget, cost)
    if alone is None and len(tasks) == 1:
        raise ValueError(f"`alone` must be a number for a single task. Received: alone=None, tasks={', '.join(tasks)}")
    if alone is not None:
        alone = check_number("alone", alone)
    if beam_width is not None:
        beam_width = check_integer("beam_width", beam_width, 1)
    scores = partial(_scores, table, -math.inf if alone is None else alone)
    if beam_width is None and len(tasks) <= MOST_EXACT:
        return _exact_groups(tasks, scores, cost, limit)
    return _beam_groups(tasks, table, scores, alone, cost, limit, _BEAM_WIDTH if beam_width is None else beam_width)


def _exact_groups(tasks: tuple[str, ...], scores: _Scores, cost: GroupCost | None, budget: float) -> Grouping:
    members, costs = _candidates(tasks, cost)
    values = scores(members)
    served = np.isfinite(values).any(axis=0)
    if not served.all():
        raise ValueError(f"`cost` must have a group for each task. Received: none for {tasks[served.argmin()]!r}")
    rows = choose(values, costs, budget)
    return _grouping(tasks, members[rows], values[rows], costs[rows])


def _beam_groups(
    tasks: tuple[str, ...],
    table: np.ndarray,
    scores: _Scores,
    alone: float | None,
    cost: GroupCost | None,
    budget: float,
    width: int,
) -> Grouping:
    count = len(tasks)
    group_cost = _beam_cost(tasks, cost, budget)
    # Not -inf, so that the search can compare groups that do not serve all tasks yet.
    unserved = -2 * count * (1 + max(abs(alone or 0), float(np.abs(table).max())))
    groups = beam_search(
        count, lambda group: np.maximum(scores(_rows([group], count))[0], unserved), group_cost, budget, width
    )
    members = _rows(groups, count)
    costs = np.array([group_cost(group) for group in groups])
    singles = np.array([group_cost(frozenset([task])) for task in range(count)])
    return _grouping(tasks, members, scores(members), costs, _bound(table, alone, singles, budget))


def _checked_affinity(affinity: Affinity | Mapping[str, Mapping[str, float]]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the tasks and the `(source, affected task)` affinities, with 0 on the diagonal."""
    if isinstance(affinity, Affinity):
        tasks, table = affinity.tasks, np.array(affinity.mean, "float64")
    elif not isinstance(affinity, Mapping):
        raise ValueError(
            "`affinity` must be an Affinity, such as `TaskAffinity.affinity` after `fit`, or {source: {task: number}}. "
            f"Received: {type(affinity).__name__}"
        )
    else:
        tasks = tuple(affinity)
        for source in tasks:
            for task in affinity[source]:
                if task not in tasks:
                    raise unknown_value(f"task in `affinity[{source!r}]`", task, tasks)
        table = np.array([[affinity[source].get(task, math.nan) for task in tasks] for source in tasks], "float64")
    if not tasks:
        raise ValueError("`affinity` must have at least one task. Received: none")
    np.fill_diagonal(table, 0)
    missing = np.argwhere(~np.isfinite(table))
    if len(missing):
        source, task = missing[0]
        others = f", and {len(missing) - 1} other pairs without a finite number" if len(missing) > 1 else ""
        raise ValueError(
            f"`affinity` must be a finite number for all pairs of tasks; measure more steps, or fill in 0 for "
            f"no effect. Received: {table[source, task]} for {tasks[source]!r} on {tasks[task]!r}{others}"
        )
    return tasks, table


def _checked_budget(networks: int | None, budget: float | None, cost: GroupCost | None) -> float:
    if (networks is None) == (budget is None):
        raise ValueError(f"Pass either `networks` or `budget`. Received: networks={networks!r}, budget={budget!r}")
    if budget is not None:
        return check_positive("budget", budget)
    if cost is not None:
        raise ValueError("`cost` needs `budget`, the largest total cost. Received: `networks` and `cost`")
    return check_integer("networks", networks, 1)


def _scores(table: np.ndarray, alone: float, members: np.ndarray) -> np.ndarray:
    """Returns the `(groups, tasks)` scores of tasks in groups, given by their `(groups, tasks)` members."""
    others = members.sum(axis=1, keepdims=True) - 1
    scores = np.where(others > 0, members @ table / np.maximum(others, 1), alone)
    return np.where(members, scores, -math.inf)


def _rows(groups: Sequence[Group], tasks: int) -> np.ndarray:
    """Returns the `(groups, tasks)` members of groups."""
    return np.array([[task in group for task in range(tasks)] for group in groups], bool)


def _names(tasks: Sequence[str], members: np.ndarray) -> tuple[str, ...]:
    return tuple(task for task, member in zip(tasks, members) if member)


def _candidates(tasks: tuple[str, ...], cost: GroupCost | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the `(groups, tasks)` members and the costs of all groups, or of those in a mapping; small ones first."""
    if isinstance(cost, Mapping):
        members = np.array([_mapped(tasks, group) for group in cost], bool).reshape(-1, len(tasks))
        costs = [check_number(f"cost[{group!r}]", value, 0) for group, value in cost.items()]
    else:
        members = (np.arange(1, 1 << len(tasks))[:, None] >> np.arange(len(tasks)) & 1).astype(bool)
        costs = [_cost_of(_names(tasks, row), cost) for row in members]
    order = np.argsort(members.sum(axis=1), kind="stable")
    return members[order], np.array(costs, "float64")[order]


def _mapped(tasks: tuple[str, ...], group: tuple[str, ...]) -> list[bool]:
    """Returns the members of a group in a mapping of costs."""
    if isinstance(group, str) or not group:
        raise ValueError(f"`cost` must map groups, tuples of tasks, to costs. Received: the group {group!r}")
    for task in group:
        if task not in tasks:
            raise unknown_value("task in `cost`", task, tasks)
    return [task in group for task in tasks]


def _cost_of(group: tuple[str, ...], cost: Callable[[tuple[str, ...]], float] | None) -> float:
    return 1.0 if cost is None else check_number(f"cost({group!r})", cost(group), 0)


def _beam_cost(tasks: tuple[str, ...], cost: GroupCost | None, budget: float) -> Callable[[Group], float]:
    """Returns the cost of groups for the beam search, after checking that each task's network is within the budget."""
    if isinstance(cost, Mapping):
        raise ValueError(
            f"`cost` must be a function for the beam search (more than {MOST_EXACT} tasks, or `beam_width`)"
        )
    singles = [_cost_of((task,), cost) for task in tasks]
    dearest = int(np.argmax(singles))
    if singles[dearest] > budget:
        raise ValueError(
            f"`budget` must be at least the cost of {tasks[dearest]!r} alone, {singles[dearest]:g}. "
            f"Received: budget={budget:g}"
        )

    def group_cost(group: Group) -> float:
        names = tuple(tasks[task] for task in sorted(group))
        found = _cost_of(names, cost)
        least = max(singles[task] for task in group)
        if found < least:
            raise ValueError(
                "The beam search needs groups that cost no less than each of their tasks alone. "
                f"Received: cost({names!r})={found:g}, but {least:g} for one of its tasks alone"
            )
        return found

    return group_cost


def _bound(table: np.ndarray, alone: float | None, singles: np.ndarray, budget: float) -> float:
    """Returns an upper bound of the mean score.

    In a group of m tasks, a task's score is at most the mean of the m - 1 highest affinities on it, and its share of
    the cost at least its cost alone divided by m. No group costs less than the cheapest task alone, which limits the
    number of groups.
    """
    tasks = len(table)
    others = np.where(np.eye(tasks, dtype=bool), -math.inf, table)
    highest = -np.sort(-others, axis=0)[: tasks - 1]
    sizes = np.arange(1, tasks + 1)[:, None]
    first = np.full((1, tasks), -math.inf if alone is None else alone)
    values = np.concatenate([first, np.cumsum(highest, axis=0) / sizes[:-1]])
    bound = upper_bound(values, singles / sizes, budget)
    if cheapest := singles.min():
        most = math.floor(with_rounding(budget) / cheapest)  # groups
        bound = min(bound, upper_bound(values, np.broadcast_to(1 / sizes, values.shape), most))
    return bound / tasks


def _grouping(
    tasks: tuple[str, ...], members: np.ndarray, values: np.ndarray, costs: np.ndarray, bound: float | None = None
) -> Grouping:
    """Returns the result, without groups that serve no task; `bound` is None if the groups are the best."""
    serving = values.argmax(axis=0)
    rows = list(dict.fromkeys(serving.tolist()))
    best = values.max(axis=0)
    score = float(np.mean(best))
    highest = score if bound is None else max(bound, score)
    exact = highest - score <= 1e-9 * max(abs(score), abs(highest))
    return Grouping(
        groups=tuple(_names(tasks, members[row]) for row in rows),
        serves=tuple(_names(tasks, serving == row) for row in rows),
        scores=dict(zip(tasks, best.tolist())),
        score=score,
        bound=score if exact else highest,
        exact=exact,
        cost=float(costs[rows].sum()),
    )
