"""Groups of tasks and choices of networks: published tables, exhaustive search, the beam search and its bound."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_keras.analysis import Affinity, CandidateNetwork, best_groups, best_networks

PUBLISHED = json.loads((Path(__file__).parent / "published_groupings.json").read_text("utf-8"))
PAIR = {"a": {"b": 0.3}, "b": {"a": -0.1}}


@pytest.mark.parametrize("alone", [0.0, None])
@pytest.mark.parametrize("networks", ["1", "2", "3"])
@pytest.mark.parametrize("name", PUBLISHED["tag"])
def test_groups_of_tag(name: str, networks: str, alone: float | None) -> None:
    table = PUBLISHED["tag"][name]["affinity"]
    affinity = {source: {task: table[task][source] for task in table} for source in table}
    expected = PUBLISHED["tag"][name]["optimum"][networks]
    found = best_groups(affinity, networks=int(networks), alone=alone)
    assert found.score == pytest.approx(expected["score"], rel=1e-12)
    assert sorted(map(sorted, found.groups)) == sorted(map(sorted, expected["groups"]))
    assert found.exact
    assert found.bound == found.score


@pytest.mark.parametrize("budget", PUBLISHED["standley"]["optimum"])
def test_networks_of_standley(budget: str) -> None:
    networks = [CandidateNetwork(**values) for values in PUBLISHED["standley"]["networks"]]
    expected = PUBLISHED["standley"]["optimum"][budget]
    found = best_networks(networks, float(budget))
    assert found.loss == pytest.approx(expected["total_loss"], abs=1e-12)
    assert sorted(network.name for network in found.networks) == sorted(expected["models"])
    assert found.cost <= float(budget)


def random_problem(seed: int) -> tuple[np.ndarray, float | None, int, float, np.ndarray]:
    """Returns affinities, the score alone, a number of networks, and a budget with the costs of all groups.

    Groups are in the order of their bits. A solution has at most three groups (two of seven tasks).
    """
    rng = np.random.default_rng(seed)
    tasks = int(rng.integers(2, 8))
    most = 3 if tasks < 7 else 2
    members = np.arange(1, 2**tasks)[:, None] >> np.arange(tasks) & 1
    # Half of them like parameters of networks, half without any order.
    costs = 1 + members @ rng.uniform(0.05, 0.3, tasks) if seed % 4 > 1 else rng.uniform(0.5, 1.5, len(members))
    budget = rng.uniform(costs[-1], max(costs[-1], (most + 1) * costs.min()))
    return rng.normal(size=(tasks, tasks)), (0.0, None)[seed % 2], int(rng.integers(1, most + 1)), budget, costs


def exhaustive(table: np.ndarray, alone: float | None, costs: np.ndarray, budget: float) -> float:
    """Returns the highest score of all sets of groups within the budget; groups are in the order of their bits."""
    tasks = len(table)
    rows = np.full((2**tasks - 1, tasks), -np.inf)
    for place, row in enumerate(rows):
        group = [task for task in range(tasks) if place + 1 >> task & 1]
        for task in group:
            others = [table[other, task] for other in group if other != task]
            row[task] = np.mean(others) if others else -np.inf if alone is None else alone
    best, served, total, last = -math.inf, np.full((1, tasks), -np.inf), np.zeros(1), np.array([-1])
    while len(served):  # all sets of no group, of one, of two, ...
        within = total[:, None] + costs <= budget
        chosen, group = np.nonzero(within & (last[:, None] < np.arange(len(rows))))
        served, total, last = np.maximum(served[chosen], rows[group]), total[chosen] + costs[group], group
        best = served.mean(axis=1).max(initial=best)
    return best


def test_no_other_groups_are_better() -> None:
    for seed in range(200):
        table, alone, networks, budget, costs = random_problem(seed)
        names = tuple("abcdefg"[: len(table)])
        groups = [
            tuple(task for place, task in enumerate(names) if bits >> place & 1) for bits in range(1, 1 + len(costs))
        ]
        affinity = Affinity(names, table, np.zeros_like(table), np.ones_like(table))
        found = best_groups(affinity, networks=networks, alone=alone)
        assert found.score == pytest.approx(exhaustive(table, alone, np.ones_like(costs), networks), abs=1e-12), seed
        found = best_groups(affinity, budget=budget, cost=dict(zip(groups, costs)), alone=alone)
        assert found.score == pytest.approx(exhaustive(table, alone, costs, budget), abs=1e-12), seed
        assert found.cost <= budget, seed


def test_beam_search_and_its_bound() -> None:
    missed = 0
    for seed in range(20):
        table, alone, networks, *_ = random_problem(seed)
        names = "abcdefg"[: len(table)]
        affinity = {source: dict(zip(names, row)) for source, row in zip(names, table)}
        limits: list[dict[str, Any]] = [
            {"networks": networks},
            {"budget": 1.5 * networks + 0.5, "cost": lambda group: 1 + sum(map(ord, group)) / 1000},
        ]
        for limit in limits:
            best = best_groups(affinity, alone=alone, **limit)
            found = best_groups(affinity, alone=alone, beam_width=3, **limit)
            assert found.score <= best.score + 1e-12 <= found.bound + 2e-12
            assert found.exact == (found.bound == found.score)
            missed += found.score < best.score - 1e-12
    assert missed <= 4  # of 40


def test_the_bound_by_hand() -> None:
    """Of five tasks in two groups, two can have their best partner alone, 1, and three two others, (1 - 0.2) / 2."""
    on_first = [0.0, 1.0, -0.2, -1.0, -1.0]
    affinity = {
        source: {task: on_first[(row - column) % 5] for column, task in enumerate("abcde")}
        for row, source in enumerate("abcde")
    }
    assert best_groups(affinity, networks=2, beam_width=1).bound == pytest.approx((2 * 1 + 3 * 0.4) / 5, rel=1e-9)


def test_many_tasks_are_searched_by_beam() -> None:
    """Where all affinities within a cluster are the same, the bound proves that the clusters are the best groups."""
    names = [f"task{number}" for number in range(14)]
    clusters = {name: number % 2 for number, name in enumerate(names)}
    affinity = {a: {b: 0.1 if clusters[a] == clusters[b] else -0.1 for b in names} for a in names}
    found = best_groups(affinity, networks=2)
    assert found.groups == (tuple(names[::2]), tuple(names[1::2]))
    assert found.exact
    affinity["task0"]["task1"] = 0.2
    found = best_groups(affinity, networks=2)
    assert not found.exact
    assert found.score < found.bound
    assert "found by beam search; at most" in repr(found)


def test_a_task_is_served_by_the_group_in_which_its_score_is_highest() -> None:
    affinity = {"a": {"b": 0.4, "c": -0.2}, "b": {"a": -0.1, "c": 0.3}, "c": {"a": -0.2, "b": 0.2}}
    found = best_groups(affinity, networks=3)
    assert found.groups == (("a",), ("a", "b"), ("b", "c"))
    assert found.serves == (("a",), ("b",), ("c",))
    assert found.served_by == {"a": ("a",), "b": ("a", "b"), "c": ("b", "c")}
    assert found.scores == pytest.approx({"a": 0.0, "b": 0.4, "c": 0.3})
    assert found.spec == "groups(a, a+b, b+c)"
    assert repr(found) == (
        "group  serves (score)  also trains\n"
        "a      a (+0.0000)\n"
        "a+b    b (+0.4000)     a\n"
        "b+c    c (+0.3000)     b\n"
        "Score: +0.2333, the highest possible. Cost: 3."
    )
    together = best_groups(affinity, networks=3, alone=None)
    assert together.scores["a"] == pytest.approx(-0.1)
    assert best_groups({"a": {}}, networks=1).groups == (("a",),)


def test_no_group_more_than_needed() -> None:
    """Of equally good groups the cheapest are chosen, and more tasks than help are left out."""
    assert best_groups({"a": {"b": 0.0}, "b": {"a": 0.0}}, networks=2).groups == (("a", "b"),)
    harmful = {"a": {"b": -0.1}, "b": {"a": -0.1}}
    assert best_groups(harmful, networks=2).groups == (("a",), ("b",))
    # 0.1 + 0.2 exceeds 0.3 in floating point only.
    costs = {("a",): 0.1, ("b",): 0.2, ("b", "a"): 0.15}
    assert best_groups(harmful, budget=0.3, cost=costs).groups == (("a",), ("b",))


@pytest.mark.parametrize("beam_width", [None, 2])
@pytest.mark.parametrize(
    ("affinity", "arguments", "message"),
    [
        (PAIR, {}, "Pass either `networks` or `budget`. Received: networks=None, budget=None"),
        (PAIR, {"networks": 1, "budget": 2.0}, "Pass either `networks` or `budget`. Received: networks=1, budget=2.0"),
        (PAIR, {"networks": 0}, "networks must be a finite number from 1 on. Received: networks=0"),
        (PAIR, {"networks": 1.5}, "networks must be an integer"),
        (PAIR, {"networks": 1, "cost": len}, "`cost` needs `budget`"),
        (PAIR, {"budget": 0}, "budget must be above 0"),
        (PAIR, {"budget": 0.5}, "`budget` must be at least .*1.*Received: budget=0.5"),
        (PAIR, {"budget": 1, "cost": lambda group: -1}, r"cost\(.*\) must be a finite number from 0 on"),
        (PAIR, {"networks": 1, "alone": math.nan}, "alone must be a finite number"),
        ({"a": {}}, {"networks": 1, "alone": None}, "`alone` must be a number for a single task"),
        ({}, {"networks": 1}, "`affinity` must have at least one task"),
        ({"a": {"b": 0.1}, "b": {}}, {"networks": 1}, "for all pairs.*Received: nan for 'b' on 'a'$"),
        ({"a": {"b": math.nan}, "b": {"a": math.inf}}, {"networks": 1}, "nan for 'a' on 'b', and 1 other pair"),
        ({"age": {"agee": 0.1}}, {"networks": 1}, r"Unknown task in `affinity\['age'\]`. Did you mean 'age'"),
    ],
)
def test_errors(affinity: Any, arguments: dict[str, Any], message: str, beam_width: int | None) -> None:
    with pytest.raises(ValueError, match=message):
        best_groups(affinity, beam_width=beam_width, **arguments)


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({("a", "c"): 1.0}, "Unknown task in `cost`.*Received: 'c'. Choices: a, b"),
        ({"ab": 1.0}, "`cost` must map groups, tuples of tasks, to costs. Received: the group 'ab'"),
        ({("a",): 1.0}, "`cost` must have a group for each task. Received: none for 'b'"),
        ({("a",): 1.0, ("b",): 1.5, ("a", "b"): 3.0}, "`budget` must be at least 2.5.*Received: budget=2"),
        ({("a", "b"): math.nan}, r"cost\[\('a', 'b'\)\] must be a finite number from 0 on"),
    ],
)
def test_errors_of_costs(cost: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_groups(PAIR, budget=2, cost=cost)


def test_errors_of_the_beam_search() -> None:
    with pytest.raises(ValueError, match="`cost` must be a function for the beam search"):
        best_groups(PAIR, budget=2, cost={("a", "b"): 1.0}, beam_width=1)
    with pytest.raises(
        ValueError, match=r"cost no less than each of their tasks alone. Received: cost\(\('a', 'b'\)\)"
    ):
        best_groups(PAIR, budget=2, cost=lambda group: 3 - len(group), beam_width=1)
    with pytest.raises(ValueError, match=r"found no groups that cost less than 2. Received: budget=1.5"):
        best_groups(PAIR, budget=1.5, cost=lambda group: len(group) ** 2, beam_width=1)


def test_errors_of_networks() -> None:
    network = CandidateNetwork({"a": 0.1, "b": 0.2}, cost=2)
    assert network.name == "a+b"
    assert "a+b      2     a (0.1), b (0.2)" in repr(best_networks([network], budget=2))
    with pytest.raises(ValueError, match=r"`budget` must be at least 2, the lowest cost .*Received: budget=1"):
        best_networks([network], budget=1)
    for networks, count in (([], 0), ([CandidateNetwork(dict.fromkeys("abcdefghijklm", 0.1))], 13)):
        with pytest.raises(ValueError, match=f"`networks` must have 1 to 12 different tasks. Received: {count}"):
            best_networks(networks, budget=1)
    with pytest.raises(ValueError, match="`losses` must have at least one task"):
        CandidateNetwork({})
    with pytest.raises(ValueError, match=r"losses\['a'\] must be a finite number. Received: .*nan"):
        CandidateNetwork({"a": math.nan})
    with pytest.raises(ValueError, match="cost must be a finite number from 0 on"):
        CandidateNetwork({"a": 0.1}, cost=-1)
