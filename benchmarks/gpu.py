"""Steps per second on a GPU, with and without half precision and XLA: `python benchmarks/gpu.py`.

Two networks on noise: `cnn` for the tasks of Fashion-MNIST, and the network of the preset cifar10_3. Each is trained in
float32 and in half precision (float16 on a GPU, bfloat16 on a CPU), compiled with XLA and not, in each of these ways:

- as a stock `keras.Model`, with the function that its `fit` calls;
- as a `MultiTaskModel`, with all tasks;
- as a `MultiTaskModel` whose last task is dropped;
- as a `MultiTaskModel` under PCGrad, which needs the gradients of each task.

It runs on the first GPU that TensorFlow sees, and without one on the CPU. It needs the packages of requirements.txt,
and for a GPU `pip install "tensorflow[and-cuda]"` of the same version. Every figure names its device. `--batch` is the
number of images in a step; `--networks` selects networks, by default both.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import BATCH, CIFAR10, FASHION_MNIST, Network

NETWORKS = {"fashion_mnist": FASHION_MNIST, "cifar10": CIFAR10}
STOCK, OURS, DROPPED, PCGRAD = KINDS = ("stock", "MultiTaskModel", "one task dropped", "pcgrad")


def device() -> str:
    """Returns the name of the first GPU, or `"CPU"`."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU") if found else "CPU"


def ways() -> dict[str, tuple[str, bool]]:
    """Returns name -> (dtype policy, whether XLA compiles); half precision is that of `train.py` on this device."""
    half = "mixed_bfloat16" if device() == "CPU" else "mixed_float16"
    pairs = itertools.product(("float32", half), (False, True))
    return {f"{policy}, {'XLA' if xla else 'no XLA'}": (policy, xla) for policy, xla in pairs}


def steps_of(net: Network, kind: str, policy: str, xla: bool, batch: int, steps: int) -> Callable[[], float]:
    """Returns a function that trains a new model, one of `KINDS`, and returns the seconds per step.

    As in `fit`, it waits for the last step only.
    """
    keras.config.set_dtype_policy(policy)
    if kind == STOCK:
        model = net.compiled(keras.Model, jit_compile=xla)
    else:
        model = net.compiled(jit_compile=xla, weighting="pcgrad" if kind == PCGRAD else "static")
    if kind == DROPPED:
        model.set_task_weights({net.tasks.names[-1]: 0.0})
    model.make_train_function()
    iterator = iter(net.batches(batch))

    def train() -> None:
        for _ in range(steps):
            logs = model.train_function(iterator)
        float(logs["loss"])

    return harness.clock(train, steps)


def figures_of(title: str, seconds: Mapping[tuple[str, str], Sequence[float]]) -> list[harness.Figure]:
    """Returns the ratios of the ways to the first one, and of the kinds to each other, from (way, kind) -> seconds."""
    figures, first = [], next(iter(ways()))
    for way in ways():
        ours = seconds[way, OURS]
        if way != first:
            figures.append(harness.ratio(f"{title}: step, {way} / {first}", ours, seconds[first, OURS]))
        figures.append(harness.ratio(f"{title}: steps/s, {way}: MultiTaskModel / stock", seconds[way, STOCK], ours))
        for kind in (DROPPED, PCGRAD):
            figures.append(harness.ratio(f"{title}: step, {way}: {kind} / all tasks", seconds[way, kind], ours))
    return figures


def measure(
    rounds: int = 20, steps: int = 20, batch: int = BATCH, networks: Sequence[str] = tuple(NETWORKS)
) -> list[harness.Figure]:
    figures, usual = [], keras.config.dtype_policy()
    for name in networks:
        sides = {
            (way, kind): steps_of(NETWORKS[name], kind, *settings, batch, steps)
            for way, settings in ways().items()
            for kind in KINDS
        }
        keras.config.set_dtype_policy(usual)
        seconds = harness.interleave(sides, rounds, warm_up=2)
        rates = [[way, *(f"{1 / median(seconds[way, kind]):.1f}" for kind in KINDS)] for way in ways()]
        print(f"\n## {name}, batch {batch}, on {device()}\n\n{harness.table(['steps/s', *KINDS], rates)}", flush=True)
        figures += figures_of(f"{device()}, {name}", seconds)
        keras.backend.clear_session()
    return figures


if __name__ == "__main__":
    harness.run(measure, networks=NETWORKS)
