"""Start-up and steps with many tasks: `python benchmarks/many_heads.py`.

The same layers (a small trunk, all binary tasks in one fused layer) as a stock `keras.Model` and as a `MultiTaskModel`,
batch 32, on synthetic faces (40 attributes and landmarks) or noise (binary heads alone). The saving is a fixed time per
step: the larger the trunk and the batch, the smaller its share.

Start-up is the time of building, compiling and the first epoch, minus its number of steps times the median step.
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import harness
from benchmarks.networks import Network, binary_heads, step
from models import network
from mtl_keras import MultiTaskModel

BATCH = 32
STEPS = 8  # per epoch
KINDS: dict[str, type[keras.Model]] = {"stock": keras.Model, "MultiTaskModel": MultiTaskModel}


def faces() -> tuple[Network, tf.data.Dataset]:
    """Returns a network for 40 attributes and landmarks, and synthetic faces in memory."""
    sizes = {"train": BATCH * STEPS, "validation": 8, "test": 8}
    dataset = data.load("celeb_a", synthetic=True, sizes=sizes)
    batches = dataset.batches("train", BATCH).take(STEPS).cache()
    for _ in batches:
        pass
    trunk = partial(network, "cnn(filters=8)")
    net = Network("40 attributes and landmarks, synthetic faces", dataset.tasks, dataset.image_shape, trunk)
    return net, batches.repeat().prefetch(2)


def start(net: Network, kind: str, batches: tf.data.Dataset) -> tuple[keras.Model, float]:
    """Returns a model that has been trained for an epoch, and the seconds since before it was built."""
    begin = time.perf_counter()
    model = net.compiled(KINDS[kind])
    model.fit(batches, steps_per_epoch=STEPS, verbose=0, shuffle=False)
    return model, time.perf_counter() - begin


def warm_up() -> None:
    """Trains a first model, so that no measured one pays for the initialization of TensorFlow."""
    net = binary_heads(2)
    start(net, "stock", net.batches(BATCH))


def measure_network(
    net: Network, batches: tf.data.Dataset, rounds: int, starts: int, start_target: str, speed_target: str
) -> list[harness.Figure]:
    """Prints start-up and step times of both models; returns their ratios."""
    models: dict[str, keras.Model] = {}

    def first_epoch(kind: str) -> float:
        models[kind], seconds = start(net, kind, batches)
        return seconds

    epochs = harness.interleave({kind: partial(first_epoch, kind) for kind in KINDS}, starts, warm_up=0)
    sides = {kind: harness.clock(step(models[kind], batches)) for kind in KINDS}
    steps = harness.interleave(sides, rounds, warm_up=3)
    started = {kind: [each - STEPS * statistics.median(steps[kind]) for each in epochs[kind]] for kind in KINDS}
    print(f"\n## {net.title}\n")
    print(harness.times_table({f"step, {kind}": values for kind, values in steps.items()}), "\n")
    print(harness.times_table({f"start-up, {kind}": values for kind, values in started.items()}, "s"))
    stock, ours = KINDS
    return [
        harness.ratio(f"start-up, {net.title}: {ours} / {stock}", started[ours], started[stock], start_target),
        harness.ratio(f"images/s, {net.title}: {ours} / {stock}", steps[stock], steps[ours], speed_target),
    ]


def measure(rounds: int = 60, starts: int = 2) -> list[harness.Figure]:
    warm_up()
    figures = measure_network(*faces(), rounds, starts, "<= 0.25", ">= 1.25")
    for count, targets in ((40, ("<= 0.25", ">= 1.25")), (100, ("<= 0.125", ">= 1.7"))):
        net = binary_heads(count)
        figures += measure_network(net, net.batches(BATCH), rounds, starts, *targets)
    return figures


if __name__ == "__main__":
    harness.run(measure)
