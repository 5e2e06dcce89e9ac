"""What dropping saves, set by set: `python benchmarks/subsets.py`.

The network of `benchmarks/dropping.py`: for each set of its tasks, a step in which the others are dropped, beside a
step of a model that was built with just those heads. The ratio of the two is that of their speed-ups over all tasks.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import dropping, figures, timing
from benchmarks.dropping import BATCH, TASKS, graph
from mtl_keras import MultiTaskModel

ALL = "all tasks"


def stepper(heads: tuple[str, ...], active: tuple[str, ...]) -> Callable[[], object]:
    """Returns a function that takes a training step.

    Args:
        heads: the tasks that the model is built with.
        active: those of them that are not dropped.
    """
    tasks = TASKS.subset(heads)
    model = MultiTaskModel(*graph(tasks))
    step = dropping.stepper(model, tasks)
    model.set_task_weights({name: float(name in active) for name in heads})
    return step


def main() -> None:
    """Prints the times, and the ratios of the speed-ups."""
    arguments = figures.parser(__doc__, rounds=30).parse_args()
    names = tuple(TASKS)
    sets = [chosen for size in range(1, len(names)) for chosen in itertools.combinations(names, size)]
    steps = {ALL: stepper(names, names)}
    for chosen in sets:
        steps[f"{', '.join(chosen)}; others dropped"] = stepper(names, chosen)
        steps[f"{', '.join(chosen)}; built so"] = stepper(chosen, chosen)
    print(timing.machine(), f"{arguments.rounds} rounds, batch {BATCH}", sep=", ")
    seconds = timing.interleaved(steps, rounds=arguments.rounds)
    print(timing.table(seconds), "\n")
    found = []
    for chosen in sets:
        label = ", ".join(chosen)
        dropped, built = f"{label}; others dropped", f"{label}; built so"
        found.append(figures.of_ratio(f"{label}: speed-up over all tasks", seconds, ALL, dropped))
        what = f"{label}: that speed-up / the one of a model built so"
        found.append(figures.of_ratio(what, seconds, built, dropped, ">= 0.9"))
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
