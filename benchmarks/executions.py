"""What `steps_per_execution` saves: `taskset -c 0,1 python benchmarks/executions.py`.

`fit` with 1, 4 and 16 training steps in a call of the compiled function, on the two networks of `benchmarks/steps.py`
and on a small one (`benchmarks/many_heads.py`: 10 tasks, batch 32), whose steps are short.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, many_heads, noise, timing
from benchmarks.two_networks import NETWORKS
from models import hard_sharing
from mtl_keras import MultiTaskModel

EXECUTIONS = (1, 4, 16)
STEPS = 32


def small(**arguments: Any) -> MultiTaskModel:
    """Returns the small network, compiled with further arguments."""
    tasks, shape, _ = many_heads.noise(10)
    model = MultiTaskModel(*hard_sharing(many_heads.TRUNK, tasks, shape))
    model.compile("adam", **tasks.compile_args(), **arguments)
    return model


def main() -> None:
    """Prints the times of a step, and their ratios."""
    arguments = figures.parser(__doc__, rounds=10).parse_args()
    made: dict[str, tuple[Callable[..., MultiTaskModel], Any]] = {
        network.title: (partial(network.compiled, MultiTaskModel), network.batches()) for network in NETWORKS
    }
    tasks, shape, _ = many_heads.noise(10)
    made["small, ten tasks"] = small, noise.batches(tasks, many_heads.BATCH, shape)
    print(timing.machine(), f"{arguments.rounds} rounds of {STEPS} steps", sep=", ")
    found = []
    for title, (compiled, batches) in made.items():
        models = {count: compiled(steps_per_execution=count) for count in EXECUTIONS}
        seconds: dict[str, list[float]] = {str(count): [] for count in models}
        for number in range(arguments.rounds + 1):
            for count, model in models.items():
                start = time.perf_counter()
                model.fit(batches, steps_per_epoch=STEPS, verbose=0, shuffle=False)
                if number:  # the first compiles
                    seconds[str(count)].append((time.perf_counter() - start) / STEPS)
        print(f"\n{title}\n\n{timing.table(seconds)}")
        found += [
            figures.of_ratio(f"{title}: a step, {count} steps an execution / 1", seconds, str(count), "1")
            for count in EXECUTIONS[1:]
        ]
    print()
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
