"""What DST saves per epoch, and what it should: `python benchmarks/dst_epochs.py --data_dir ~/tensorflow_datasets`.

Trains the preset cifar10_5 (class, animal, reconstruction and random labels) in `fit`, under DST with its default
settings and with equal weights, and a network for each set of its tasks. The prediction adds up the steps of the DST
epoch, each with the step time of the network that was built for its set of tasks. The networks of single tasks together
are what sharing saves. The first epochs compile functions and are not counted: four under DST, as many steps as the
first epoch of CIFAR-10. `--steps` is the length of an epoch. Without `--data_dir`, a TFDS directory with CIFAR-10, the
data are synthetic.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import harness
from benchmarks.networks import BATCH, preset
from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import TaskScheduler

CIFAR10 = preset("cifar10_5")
DST, EQUAL = "DST", "equal weights"


class CountingModel(MultiTaskModel):
    """Counts the steps in which each set of tasks is trained."""

    def set_step_weights(self, rows: Any) -> None:
        active = vars(self).setdefault("active_sets", Counter())
        active.update(tuple(itertools.compress(self.task_names, row > 0)) for row in rows)
        super().set_step_weights(rows)


def next_epoch(
    model: MultiTaskModel, dataset: data.Dataset, steps: int, *callbacks: keras.callbacks.Callback
) -> Callable[[], float]:
    """Returns a function that trains for the next epoch, and returns the seconds per step."""
    batches = dataset.batches("train", BATCH, shuffle=True)
    batches = batches.map(lambda x, y: (x, {name: y[name] for name in model.task_names}))
    number = itertools.count()

    def epoch() -> None:
        start = next(number)
        progress = {"initial_epoch": start, "epochs": start + 1, "steps_per_epoch": steps}
        model.fit(batches, **progress, verbose=0, shuffle=False, callbacks=list(callbacks))

    return harness.clock(epoch, steps)


def measure(rounds: int = 8, steps: int = 100, data_dir: Path | None = None) -> list[harness.Figure]:
    names = tuple(CIFAR10.tasks)
    dataset = data.load("cifar10", tasks=names, data_dir=data_dir, synthetic=not data_dir)
    scheduled = CIFAR10.compiled(CountingModel)
    train = next_epoch(scheduled, dataset, steps, TaskScheduler("dst", counts=dataset.label_counts()))
    counts: list[Counter[tuple[str, ...]]] = []

    def under_dst() -> float:
        taken = train()
        counts.append(vars(scheduled).pop("active_sets"))
        return taken

    sides: dict[Any, Callable[[], float]] = {DST: under_dst, EQUAL: next_epoch(CIFAR10.compiled(), dataset, steps)}
    for size in range(1, len(names) + 1):
        for chosen in itertools.combinations(names, size):
            sides[chosen] = next_epoch(CIFAR10.subset(chosen).compiled(), dataset, max(2, steps // 5))
    for _ in range(3):
        under_dst()
    found = harness.interleave(sides, rounds)
    predicted = []
    for number, drawn in enumerate(counts[-rounds:]):
        # Relative to the model of all tasks that was timed in the same way, so that short epochs do not matter.
        share = sum(count * found[chosen][number] for chosen, count in drawn.items()) / (steps * found[names][number])
        predicted.append(share * found[EQUAL][number])
    together = [sum(each) for each in zip(*(found[name,] for name in names))]
    print(harness.times_table({DST: found[DST], EQUAL: found[EQUAL], "predicted": predicted}))
    print(f"\nSets of tasks in the last epoch: {dict(counts[-1])}")
    print(f"Compiled: {[each.tasks for each in scheduled.specializations]}")
    return [
        harness.ratio("epoch: DST / equal weights", found[DST], found[EQUAL]),
        harness.ratio("epoch: DST / equal weights, predicted", predicted, found[EQUAL]),
        harness.ratio("epoch under DST: measured / predicted", found[DST], predicted, "<= 1.1"),
        harness.ratio("step, single-task networks together / all tasks", together, found[names]),
    ]


if __name__ == "__main__":
    harness.run(measure)
