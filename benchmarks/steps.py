"""Training steps against stock Keras, a handwritten loop and PyTorch: `taskset -c 0,1 python benchmarks/steps.py`.

Three networks on noise images in memory: those of Fashion-MNIST and CIFAR-10 in batches of 128, and a small one with
short steps (10 binary tasks, batch 32). `MultiTaskModel` and `keras.Model` have the same layers, losses and metrics,
and train in `fit`; `MultiTaskModel` also with 4 and 16 steps per execution. The handwritten loop is a `tf.function`
without metrics.

With `--torch_python`, the Python of an environment with PyTorch (see `benchmarks/torch_worker.py`), the first two
networks are trained there too, without metrics, with its fused Adam, in the faster of two memory formats and of two
ways of waiting. Run nothing else on these cores then.

`--parts adam` measures the update of Adam instead: TensorFlow's kernel against single operations, for variables of
several sizes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import BATCH, DECODER, FASHION_MNIST, Network, binary_heads, handwritten_step
from benchmarks.torch_process import EQUAL, TorchProcess
from mtl_keras import MultiTaskModel
from mtl_keras.training import kernels

OURS, STOCK, HANDWRITTEN, TORCH = "MultiTaskModel.fit", "keras.Model.fit", "handwritten loop", "PyTorch"
NETWORKS = ((FASHION_MNIST, BATCH), (DECODER, BATCH), (binary_heads(10), 32))
IN_PYTORCH = {FASHION_MNIST: ("fashion_mnist", ">= 1.25"), DECODER: ("decoder", ">= 1.4")}  # name there, target
PARTS = ("networks", "adam")
SIZES = (512, 8192, 32768, 65536, 131072)  # numbers in a variable
PAUSE = 0.03  # seconds until idle threads have stopped spinning


def measure(
    rounds: int = 12, steps: int = 32, parts: Sequence[str] = PARTS[:1], torch_python: Path | None = None
) -> list[harness.Figure]:
    figures = [measure_adam(size, rounds) for size in SIZES if "adam" in parts]
    for net, batch in NETWORKS if "networks" in parts else ():
        torch = None
        if torch_python and net in IN_PYTORCH:
            torch = TorchProcess.fastest(torch_python, IN_PYTORCH[net][0], EQUAL)
            print(torch.machine)
        figures += measure_network(net, batch, rounds, steps, torch)
        if torch:
            torch.close()
    return figures


def measure_network(
    net: Network, batch: int, rounds: int, steps: int, torch: TorchProcess | None
) -> list[harness.Figure]:
    """Prints the times of a step; returns the ratios."""
    batches = net.batches(batch)

    def in_fit(kind: type[keras.Model], **settings: Any) -> Callable[[], float]:
        model = net.compiled(kind, **settings)
        return harness.clock(lambda: model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False), steps)

    def in_loop() -> Callable[[], float]:
        step, iterator = handwritten_step(net), iter(batches)
        return harness.clock(lambda: [float(step(*next(iterator))) for _ in range(steps)], steps)

    sides = {OURS: in_fit(MultiTaskModel), STOCK: in_fit(keras.Model), HANDWRITTEN: in_loop()}
    targets = {STOCK: ">= 1.00", HANDWRITTEN: ">= 0.97"}
    if torch:
        torch.prepare([EQUAL])
        sides[TORCH], targets[TORCH] = partial(torch.seconds, EQUAL, steps), IN_PYTORCH[net][1]
    for count in (4, 16):
        sides[f"{count} steps per execution"] = in_fit(MultiTaskModel, steps_per_execution=count)
    seconds = harness.interleave(sides, rounds, pause=PAUSE)
    print(f"\n{net.title}\n\n{harness.times_table(seconds)}")
    ours = seconds.pop(OURS)
    figures = [harness.figure(f"{net.title}: images/s in `fit`", [batch / each for each in ours])]
    for name, times in seconds.items():
        if name in targets:
            target = targets[name] if net in IN_PYTORCH else ""
            figures.append(harness.ratio(f"{net.title}: images/s, `fit` / {name}", times, ours, target))
        else:
            figures.append(harness.ratio(f"{net.title}: step, {name} / 1", times, ours))
    return figures


def measure_adam(size: int, rounds: int, count: int = 20) -> harness.Figure:
    """Returns the ratio of the times of an update of `count` variables of a size: Adam's kernel / operations."""

    def update(least_size: int) -> Callable[[], float]:
        model = keras.Sequential()
        variables = [keras.Variable(keras.random.normal((size,))) for _ in range(count)]
        model.compile(keras.optimizers.Adam())
        model.optimizer.build(variables)

        @tf.function(autograph=False)
        def run() -> tf.Tensor:
            with patch.object(kernels, "_LEAST_SIZE", least_size), kernels.fused_kernels(model):
                model.optimizer.apply([variable.value for variable in variables])
            return tf.constant(0.0)

        run()
        return harness.clock(lambda: [float(run()) for _ in range(10)], 10)

    seconds = harness.interleave({"kernel": update(0), "operations": update(sys.maxsize)}, rounds)
    return harness.ratio(f"update of {size:,} numbers: kernel / operations", *seconds.values())


if __name__ == "__main__":
    harness.run(measure, parts=PARTS)
