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
from benchmarks.networks import preset, step

CIFAR10 = preset("cifar10_3")
PLAIN, MONITORED = "plain step", "monitored step"


def step_of(weighting: str, every: int) -> Callable[[], float]:
    """Returns a function that takes a training step; `every` is that of the monitor, 0 for none."""
    model = CIFAR10.compiled(weighting=weighting)
    model.gradients.every = every
    return harness.clock(step(model, CIFAR10.batches()))


def main() -> None:
    """Prints the times, their ratio, and the cost of training."""
    parser = harness.parser(__doc__, rounds=60)
    parser.add_argument("--weighting", default="static")
    arguments = parser.parse_args()
    sides = {PLAIN: step_of(arguments.weighting, 0), MONITORED: step_of(arguments.weighting, 1)}
    seconds = harness.interleave(sides, arguments.rounds, warm_up=3)
    print(harness.machine(), f"{arguments.rounds} rounds, weighting {arguments.weighting}", sep=", ")
    print(harness.times_table(seconds))
    ratio = harness.ratio(f"{MONITORED} / {PLAIN}", seconds[MONITORED], seconds[PLAIN])
    harness.report([ratio], arguments.json)
    for every in (1, 10, 50, 100):
        print(f"training with every={every}: {100 * (ratio.value - 1) / every:+.1f}%")


if __name__ == "__main__":
    main()
