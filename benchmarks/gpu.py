"""Steps per second on a GPU, with and without half precision and XLA: `python benchmarks/gpu.py`.

Two networks on noise: `cnn` for the tasks of Fashion-MNIST, and the network of the preset cifar10_3. Each is trained in
float32 and in half precision (float16 on a GPU, bfloat16 on a CPU), compiled with XLA and not, in each of these ways:

- as a stock `keras.Model`, with the function that its `fit` calls;
- as a `MultiTaskModel`, with all tasks;
- as a `MultiTaskModel` whose last task is dropped;
- as a `MultiTaskModel` under PCGrad, which needs the gradients of each task.

It runs on the first GPU that TensorFlow sees, and without one on the CPU. It needs the packages of requirements.txt,
and for a GPU `pip install "tensorflow[and-cuda]"` of the same version. Every figure names its device.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import BATCH, FASHION_MNIST, Network, preset
from mtl_keras import MultiTaskModel

NETWORKS = {"fashion_mnist": FASHION_MNIST, "cifar10": preset("cifar10_3")}
STOCK, OURS, DROPPED, PCGRAD = KINDS = ("stock", "MultiTaskModel", "one task dropped", "pcgrad")

Seconds = Mapping[tuple[str, str], Sequence[float]]  # (way, kind) -> seconds per step of each round


def device() -> str:
    """Returns the name of the first GPU, or `"CPU"`."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU") if found else "CPU"


def ways() -> dict[str, tuple[str, bool]]:
    """Returns name -> (dtype policy, whether XLA compiles); half precision is that of `train.py` on this device."""
    half = "mixed_bfloat16" if device() == "CPU" else "mixed_float16"
    pairs = itertools.product(("float32", half), (False, True))
    return {f"{policy}, {'XLA' if xla else 'no XLA'}": (policy, xla) for policy, xla in pairs}


def training(net: Network, kind: str, policy: str, xla: bool, batch: int, steps: int) -> Callable[[], float]:
    """Returns a function that takes some training steps, waits for the last one, and returns the seconds per step.

    Args:
        net: what is trained.
        kind: one of `KINDS`.
        policy: dtype policy.
        xla: whether it is compiled with XLA.
        batch: number of images in a batch.
        steps: number of steps; as in `fit`, single steps are not waited for.
    """
    keras.config.set_dtype_policy(policy)
    if kind == STOCK:
        model = net.compiled(keras.Model, jit_compile=xla)
    else:
        model = net.compiled(MultiTaskModel, jit_compile=xla, weighting="pcgrad" if kind == PCGRAD else "static")
    if kind == DROPPED:
        model.set_task_weights({net.tasks.names[-1]: 0.0})
    model.make_train_function()
    iterator = iter(net.batches(batch))

    def run() -> None:
        for _ in range(steps):
            logs = model.train_function(iterator)
        float(logs["loss"])

    return harness.clock(run, steps)


def measure(net: Network, batch: int, steps: int, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Returns the seconds per step of all ways and kinds."""
    before = keras.config.dtype_policy()
    pairs = itertools.product(ways().items(), KINDS)
    sides = {(way, kind): training(net, kind, *settings, batch, steps) for (way, settings), kind in pairs}
    keras.config.set_dtype_policy(before)
    return harness.interleave(sides, rounds, warm_up=2)


def table(seconds: Seconds) -> str:
    """Returns a Markdown table of steps per second: a row for each way, a column for each kind."""
    lines = [f"| steps/s | {' | '.join(KINDS)} |", "|---" + "|---:" * len(KINDS) + "|"]
    for way in dict.fromkeys(way for way, _ in seconds):
        rates = (1 / harness.quartiles(seconds[way, kind])[1] for kind in KINDS)
        lines.append(f"| {way} | {' | '.join(f'{rate:.1f}' for rate in rates)} |")
    return "\n".join(lines)


def compare(title: str, seconds: Seconds) -> list[harness.Figure]:
    """Returns the ratios of the ways to the first one, and of the kinds to each other.

    Args:
        title: device and network.
        seconds: from `measure`.
    """
    first, *others = ways = list(dict.fromkeys(way for way, _ in seconds))
    figures = [
        harness.ratio(f"{title}: step, {way} / {first}", seconds[way, OURS], seconds[first, OURS]) for way in others
    ]
    for way in ways:
        ours = seconds[way, OURS]
        figures.append(harness.ratio(f"{title}: steps/s, {way}: MultiTaskModel / stock", seconds[way, STOCK], ours))
        for kind in (DROPPED, PCGRAD):
            figures.append(harness.ratio(f"{title}: step, {way}: {kind} / all tasks", seconds[way, kind], ours))
    return figures


def main() -> None:
    """Prints a table for each network, and the ratios."""
    parser = harness.parser(__doc__, rounds=20)
    parser.add_argument("--steps", type=int, default=20, help="number of steps that are timed together")
    parser.add_argument("--batch", type=int, default=BATCH, help="images in a step")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="default: both")
    arguments = parser.parse_args()
    where = device()
    print(harness.machine(), where, f"{arguments.rounds} rounds of {arguments.steps} steps", sep=", ")
    figures = []
    for name in arguments.networks:
        seconds = measure(NETWORKS[name], arguments.batch, arguments.steps, arguments.rounds)
        print(f"\n## {name}, batch {arguments.batch}, on {where}\n\n{table(seconds)}", flush=True)
        figures += compare(f"{where}, {name}", seconds)
        keras.backend.clear_session()
    harness.report(figures, arguments.json)


if __name__ == "__main__":
    main()
