"""What monitoring the tasks' gradients costs: `python benchmarks/gradient_monitor.py`.

A training step of the network of the preset cifar10_3 (class, animal and reconstruction) on noise, batch 128: a plain
one, and one that `GradientMonitor` monitors. With r the ratio of the two, monitoring every n-th step makes training
take 1 + (r - 1) / n times as long. `--weighting` measures the same under another weighting.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import CIFAR10, step

PLAIN, MONITORED = "plain step", "monitored step"


def measure(rounds: int = 60, weighting: str = "static") -> list[harness.Figure]:
    def step_of(every: int) -> Callable[[], float]:
        model = CIFAR10.compiled(weighting=weighting)
        model.gradients.every = every
        return harness.clock(step(model, CIFAR10.batches()))

    seconds = harness.interleave({PLAIN: step_of(every=0), MONITORED: step_of(every=1)}, rounds, warm_up=3)
    print(harness.times_table(seconds))
    ratio = harness.ratio(f"{MONITORED} / {PLAIN}", seconds[MONITORED], seconds[PLAIN])
    for every in (1, 10, 50, 100):
        print(f"training with every={every}: {100 * (ratio.value - 1) / every:+.1f}%")
    return [ratio]


if __name__ == "__main__":
    harness.run(measure)
