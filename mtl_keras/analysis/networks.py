"""`best_networks`: which of several trained networks to use within a budget, from their losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_keras.analysis.group_search import MOST_EXACT, choose
from mtl_keras.analysis.text_table import text_table
from mtl_keras.checks import check_number, check_numbers, check_positive


@dataclass(frozen=True)
class CandidateNetwork:
    """A network that could be used.

    Args:
        losses: task -> validation loss, for each task of the network.
        cost: its cost, for example its number of parameters or the time of a prediction.
        name: its name in tables; by default its tasks, as `"a+b"`.

    Raises:
        ValueError: if it has no task, a loss is not a finite number, or the cost is negative.
    """

    losses: Mapping[str, float]
    cost: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if not check_numbers("losses", self.losses):
            raise ValueError("`losses` must have at least one task. Received: none")
        check_number("cost", self.cost, 0)
        object.__setattr__(self, "name", self.name or "+".join(self.losses))


@dataclass(frozen=True, repr=False)
class NetworkSelection:
    """The networks of `best_networks`. `print` shows a table.

    Args:
        networks: the networks to use.
        serves: for each network, the tasks that it serves: each task occurs once.
        losses: task -> its loss in the network that serves it.
        loss: sum of `losses`; no networks within the budget have a lower sum.
        cost: total cost of the networks.
    """

    networks: tuple[CandidateNetwork, ...]
    serves: tuple[tuple[str, ...], ...]
    losses: dict[str, float]
    loss: float
    cost: float

    def __repr__(self) -> str:
        rows = [("network", "cost", "serves (loss)")]
        for network, serves in zip(self.networks, self.serves):
            losses = ", ".join(f"{task} ({self.losses[task]:.4g})" for task in serves)
            rows.append((network.name, f"{network.cost:g}", losses))
        return f"{text_table(rows)}\nSum of losses: {self.loss:.5g}, the lowest possible. Cost: {self.cost:g}."


def best_networks(networks: Sequence[CandidateNetwork], budget: float) -> NetworkSelection:
    """Returns the networks with the lowest sum of losses within a budget.

    Each task is served by the chosen network in which its loss is lowest. The result is exact, by the search of
    `best_groups`.

    Args:
        networks: the networks to choose from, of at most 12 different tasks; for example one for each group of tasks,
            and a smaller one for each single task.
        budget: largest total cost, > 0.

    Raises:
        ValueError: if there are no networks, more than 12 tasks, or no networks serve all tasks within the budget.

    References:
        T. Standley et al., *Which Tasks Should Be Learned Together in Multi-task Learning?*, ICML 2020,
        https://arxiv.org/abs/1905.07553, section 4.

    Example:

    ```python
    networks = [
        CandidateNetwork({"a": 0.50}),
        CandidateNetwork({"b": 0.40}),
        CandidateNetwork({"a": 0.45, "b": 0.60}, cost=1.2),
    ]
    best_networks(networks, budget=2).loss  # 0.9: both single-task networks
    best_networks(networks, budget=1.5).loss  # 1.05: the network of both tasks
    ```
    """
    limit = check_positive("budget", budget)
    tasks = list(dict.fromkeys(task for network in networks for task in network.losses))
    if not 1 <= len(tasks) <= MOST_EXACT:
        raise ValueError(f"`networks` must have 1 to {MOST_EXACT} different tasks. Received: {len(tasks)}")
    losses = np.array([[network.losses.get(task, math.inf) for task in tasks] for network in networks])
    rows = choose(-losses, np.array([network.cost for network in networks], "float64"), limit)
    serving = losses[rows].argmin(axis=0)
    best = dict(zip(tasks, losses[rows].min(axis=0).tolist()))
    used = list(dict.fromkeys(serving.tolist()))
    chosen = tuple(networks[rows[place]] for place in used)
    return NetworkSelection(
        networks=chosen,
        serves=tuple(tuple(task for task, by in zip(tasks, serving) if by == place) for place in used),
        losses=best,
        loss=sum(best.values()),
        cost=float(sum(network.cost for network in chosen)),
    )
