"""Does affinity find groups that are known? `python benchmarks/planted_groups.py`, on made data.

Six tasks predict numbers from 24 inputs on a trunk of three units. The labels of tasks `a0`, `a1` and `a2` are noisy
functions of the same three directions of the inputs; those of `b0`, `b1` and `b2` of three others. Three units can
represent one set of directions, not both: tasks of one cluster help each other against the noise, and harm the others.

For each seed, one run of a network for all tasks measures their affinities, and `best_groups` proposes two groups.
Then networks for all tasks, for each group and for each task are trained with other seeds, and judged by their squared
errors on labels without noise.

Two checks follow: tasks with the same labels, whose affinities must be equal within their errors, and independent
tasks, whose labels are fresh noise in every step, among which no help must be declared.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from mtl_keras import MultiTaskModel
from mtl_keras.analysis import Affinity, TaskResults, best_groups, compare
from mtl_keras.callbacks import TaskAffinity

CLUSTERS = (("a0", "a1", "a2"), ("b0", "b1", "b2"))
TASKS = tuple(itertools.chain(*CLUSTERS))
INPUTS, DIRECTIONS, EXAMPLES, TEST_EXAMPLES, NOISE = 24, 3, 512, 4000, 0.5


class Split(NamedTuple):
    """Inputs `(examples, 24)`, and labels `(examples, 1)` by task."""

    inputs: np.ndarray
    labels: Mapping[str, np.ndarray]

    def of(self, tasks: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns the inputs and the labels of some tasks."""
        return self.inputs, {task: self.labels[task] for task in tasks}


def planted(seed: int) -> tuple[Split, Split]:
    """Returns the training and the test split of the two clusters; labels for the test have no noise."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(INPUTS, 2 * DIRECTIONS)))
    x = rng.normal(size=(EXAMPLES + TEST_EXAMPLES, INPUTS))
    labels = {}
    for number, cluster in enumerate(CLUSTERS):
        features = np.tanh(1.5 * x @ axes[:, number * DIRECTIONS : (number + 1) * DIRECTIONS])
        signs = rng.choice([-1, 1], size=DIRECTIONS)
        for task in cluster:
            signal = features @ (signs + 0.1 * rng.normal(size=DIRECTIONS))
            signal /= signal.std()
            signal[:EXAMPLES] += NOISE * rng.normal(size=EXAMPLES)
            labels[task] = signal[:, None]
    return tuple(
        Split(x[part].astype("float32"), {task: values[part].astype("float32") for task, values in labels.items()})
        for part in (slice(EXAMPLES), slice(EXAMPLES, None))
    )  # type: ignore[return-value]


def trained(
    tasks: Sequence[str], split: Split, seed: int, epochs: int, callbacks: Sequence[object] = ()
) -> MultiTaskModel:
    """Returns a network for some tasks, trained on a split."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((INPUTS,))
    features = keras.layers.Dense(DIRECTIONS, activation="tanh")(inputs)
    # From zero, the heads of similar tasks become similar. Without momentum, a step on a task is that of its gradient.
    heads = {task: keras.layers.Dense(1, kernel_initializer="zeros")(features) for task in tasks}
    model = MultiTaskModel(inputs, heads)
    model.compile(keras.optimizers.SGD(0.05), loss="mse")
    model.fit(*split.of(tasks), epochs=epochs, batch_size=64, verbose=0, callbacks=list(callbacks))
    return model


def measured(split: Split, seed: int, epochs: int) -> Affinity:
    """Returns the affinities in one run of a network for all tasks."""
    monitor = TaskAffinity(every=1)
    trained(TASKS, split, seed, epochs, [monitor])
    if monitor.affinity is None:
        raise ValueError(f"Nothing was measured. Received: epochs={epochs}")
    return monitor.affinity


def errors(groups: Sequence[Sequence[str]], train: Split, test: Split, seed: int, epochs: int) -> dict[str, float]:
    """Returns the squared error of each task in the network of its group."""
    found = {}
    for group in groups:
        model = trained(group, train, seed, epochs)
        logs = model.evaluate(*test.of(group), batch_size=TEST_EXAMPLES, verbose=0, return_dict=True)
        found |= {task: logs[f"{task}_loss"] for task in group}
    return found


def measure(seeds: int = 10, epochs: int = 40) -> list[harness.Figure]:
    """Prints what was found with each seed; returns the share of seeds with the planted clusters, and the gains."""
    found, seconds = [], []
    sides: dict[str, dict[str, dict[int, float]]] = {}
    for seed in range(seeds):
        train, test = planted(seed)
        start = time.perf_counter()
        proposal = best_groups(measured(train, 1000 + seed, epochs), networks=2)
        seconds.append(time.perf_counter() - start)
        found.append({frozenset(group) for group in proposal.groups} == {frozenset(group) for group in CLUSTERS})
        print(f"seed {seed}: {proposal.spec}, {seconds[-1]:.0f} s", flush=True)
        for name, groups in {
            "alone": [(task,) for task in TASKS],
            "together": [TASKS],
            "groups": proposal.groups,
        }.items():
            for task, error in errors(groups, train, test, seed, epochs).items():
                sides.setdefault(name, {}).setdefault(task, {})[seed] = error
    for baseline in ("together", "alone"):
        results = [TaskResults(task, "mse", False, sides["groups"][task], sides[baseline][task]) for task in TASKS]
        print(f"\n{compare(results, names=('groups', baseline))}", flush=True)
    same, noise = _same_labels(epochs), _noise(epochs)
    print(f"\nThe same labels for all tasks:\n{same}\n\nLabels of noise:\n{noise}")
    unequal = dataclasses.replace(same, mean=same.mean - same.mean.mean()).clear()
    return [
        harness.figure("planted clusters found: share of the seeds", [statistics.fmean(found)], ">= 0.9"),
        harness.figure("seconds to measure and propose", seconds, "<= 120"),
        harness.figure("same labels: affinities that clearly differ from their mean", [unequal.sum()], "<= 0"),
        harness.figure("noise: clear help", [(noise.clear() & (noise.mean > 0)).sum()], "<= 0"),
    ]


def _same_labels(epochs: int) -> Affinity:
    train, _ = planted(0)
    return measured(Split(train.inputs, dict.fromkeys(TASKS, train.labels["a0"])), 0, epochs)


def _noise(epochs: int) -> Affinity:
    """Returns the affinities of independent labels; every example is seen once, so that none can be memorized."""
    rng = np.random.default_rng(0)
    count = EXAMPLES * epochs
    inputs, *labels = (rng.normal(size=(count, size)).astype("float32") for size in (INPUTS, *[1] * len(TASKS)))
    return measured(Split(inputs, dict(zip(TASKS, labels, strict=True))), 0, 1)


if __name__ == "__main__":
    harness.run(measure)
