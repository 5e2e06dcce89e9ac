"""Time, score and bound of `best_groups`: `taskset -c 0,1 python benchmarks/grouping.py`.

Finds groups of `--tasks` tasks by beam search, and of fewer exactly and by beam search. Three kinds of affinities:

- clusters: tasks of four clusters help each other (+0.2) and harm the others (-0.1), plus noise of 0.05;
- vectors: cosines of random vectors of 8 numbers, one for each task;
- noise: independent normal numbers with a standard deviation of 0.1.

The limit is a number of networks, or a budget of a quarter of the number of tasks where a network costs 1 and another
0.05 to 0.15 for each of its tasks.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from mtl_keras.analysis import Affinity, Grouping, best_groups

KINDS = ("clusters", "vectors", "noise")
NETWORKS = (2, 4, 10, 20)
EXACT = (8, 10, 12)  # tasks
BEAM_WIDTH = 10
MOST_SECONDS = 60


def affinity(kind: str, tasks: int) -> Affinity:
    """Returns affinities between so many tasks."""
    rng = np.random.default_rng(0)
    if kind == "clusters":
        cluster = np.arange(tasks) % 4
        mean = np.where(cluster[:, None] == cluster, 0.2, -0.1) + rng.normal(0, 0.05, (tasks, tasks))
    elif kind == "vectors":
        vectors = rng.normal(size=(tasks, 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        mean = vectors @ vectors.T
    else:
        mean = rng.normal(0, 0.1, (tasks, tasks))
    names = tuple(f"task{number}" for number in range(tasks))
    return Affinity(names, mean, np.zeros_like(mean), np.ones_like(mean))


def limits(tasks: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Returns the limits by name."""
    heads = dict(zip(tasks, np.linspace(0.05, 0.15, len(tasks))))

    def cost(group: tuple[str, ...]) -> float:
        return 1 + sum(heads[task] for task in group)

    budget = 1 + len(tasks) / 4
    found: dict[str, dict[str, Any]] = {
        f"{most} networks": {"networks": most} for most in NETWORKS if most < len(tasks)
    }
    return found | {f"budget {budget:g}": {"budget": budget, "cost": cost}}


def search(given: Affinity, rounds: int, **arguments: Any) -> tuple[Grouping, list[float]]:
    """Returns the groups, and the seconds of each round."""
    found: list[Grouping] = []
    timed = harness.clock(lambda: found.append(best_groups(given, **arguments)))
    seconds = harness.interleave({"search": timed}, rounds, warm_up=0)["search"]
    return found[-1], seconds


def measure(rounds: int = 3, tasks: int = 40) -> list[harness.Figure]:
    slowest: dict[str, list[float]] = {}
    rows = []
    for count in (*EXACT, tasks):
        for kind in KINDS:
            given = affinity(kind, count)
            for name, limit in limits(given.tasks).items():
                beam, seconds = search(given, rounds, beam_width=BEAM_WIDTH, **limit)
                times = {f"beam search, {count} tasks": seconds}
                cells = [f"{beam.score:.4f}", f"{beam.bound:.4f}"]
                if count in EXACT:
                    best, times[f"exact search, {count} tasks"] = search(given, rounds, **limit)
                    cells.append(f"{best.score:.4f}")
                else:
                    cells.append("equal to the bound" if beam.exact else "not known")
                for what, values in times.items():
                    slowest[what] = max(slowest.get(what, values), values, key=max)
                rows.append([kind, str(count), name, *cells, f"{max(seconds):.2f}"])
                print(*rows[-1], sep=", ", flush=True)
    header = ["affinities", "tasks", "limit", "score", "bound", "highest score", "slowest round (s)"]
    print(f"\nBeam search:\n\n{harness.table(header, rows)}")
    targets = {f"beam search, {tasks} tasks": f"<= {MOST_SECONDS}"}
    return [
        harness.figure(f"{what}, the slowest (s)", values, targets.get(what, "")) for what, values in slowest.items()
    ]


if __name__ == "__main__":
    harness.run(measure)
