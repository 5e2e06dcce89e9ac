"""What a dropped task costs: `python benchmarks/dropping.py`.

Three tasks on 32x32x3 noise images, batch 128: a class, a binary label and a reconstruction, which is the expensive
one. For each set of tasks: a step in which the other tasks are dropped, against a step of a model that was built for
this set. All tasks, and the two cheap ones, are compared with a stock `keras.Model` as well.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import DECODER, step
from mtl_keras import MultiTaskModel

ALL = tuple(DECODER.tasks)
SETS = [names for size in range(1, len(ALL)) for names in itertools.combinations(ALL, size)]
CHEAP = ("class", "animal")


def step_of(built: Sequence[str], active: Sequence[str], kind: type[keras.Model]) -> Callable[[], float]:
    """Returns a timed step of a model built with some tasks, of which the ones not in `active` are dropped."""
    net = DECODER.subset(built)
    model = net.compiled(kind)
    if built != active:
        model.set_task_weights({name: float(name in active) for name in built})
    return harness.clock(step(model, net.batches()))


def measure(rounds: int = 30) -> list[harness.Figure]:
    sides = {"stock, all tasks": step_of(ALL, ALL, keras.Model), "all tasks": step_of(ALL, ALL, MultiTaskModel)}
    sides["stock, class, animal"] = step_of(CHEAP, CHEAP, keras.Model)
    for names in SETS:
        label = ", ".join(names)
        sides[f"{label}; others dropped"] = step_of(ALL, names, MultiTaskModel)
        sides[f"{label}; built for these"] = step_of(names, names, MultiTaskModel)
    seconds = harness.interleave(sides, rounds, warm_up=3)
    print(harness.times_table(seconds))
    whole, cheap = seconds["all tasks"], seconds["class, animal; others dropped"]
    figures = [
        harness.ratio("step, all tasks: MultiTaskModel / stock", whole, seconds["stock, all tasks"], "<= 1.03"),
        harness.ratio("step, reconstruction dropped / stock built without", cheap, seconds["stock, class, animal"]),
    ]
    for names in SETS:
        label = ", ".join(names)
        dropped, built = seconds[f"{label}; others dropped"], seconds[f"{label}; built for these"]
        figures.append(harness.ratio(f"{label}: speed-up over all tasks", whole, dropped))
        what = f"{label}: that speed-up / that of a model built for these"
        figures.append(harness.ratio(what, built, dropped, ">= 0.9"))
    return figures


if __name__ == "__main__":
    harness.run(measure)
