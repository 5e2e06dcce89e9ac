"""The share of the machine's peak that training steps reach: `taskset -c 0,1 python benchmarks/flops.py`.

Divides the floating-point operations of a step of the two networks of `benchmarks/steps.py`, as TensorFlow counts those
of convolutions and matrix products, by its time, and compares with a large matrix product, timed in turn. A profile
shows which operations take the time.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import DECODER, FASHION_MNIST, Network, handwritten_step, step

PRODUCT = "matrix product"
SIDE = 3072  # of the matrices
PROFILED = 20  # steps
# Kind -> parts of the names of its operations, of TensorFlow and of oneDNN. The first match counts.
KINDS = {
    "convolutions": ("Conv2D",),
    "matrix products": ("MatMul",),
    "batch normalisation": ("FusedBatchNorm",),
    "random numbers of dropout": ("StatelessRandomUniform",),
    "optimizer": ("ResourceApplyAdam",),
    "activations and biases": ("Relu", "BiasAdd"),
    "pooling": ("MaxPool",),
}
# Events that contain other operations.
_OUTER = ("Process", "Run", "Root", "Start", "Done", "DoCompute", "Prefetch", "ForeverRepeat")


def operations(net: Network) -> int:
    """Returns the floating-point operations of a training step, forward and backward."""
    traced = handwritten_step(net).get_concrete_function(*net.batches().element_spec)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    counted = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul")
    options["account_type_regexes"] = [f"^{name}$" for name in counted]
    return tf.compat.v1.profiler.profile(traced.graph, options=options).total_float_ops


def product() -> Callable[[], object]:
    """Returns a function that multiplies two matrices."""
    one, other = (tf.random.stateless_normal((SIDE, SIDE), (0, seed)) for seed in (0, 1))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(one, other)[0]))
    return lambda: float(multiply())


def profile(train: Callable[[], object]) -> Counter[str]:
    """Returns the seconds of each kind of operation in a step, summed over threads."""
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(PROFILED):
            train()
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    spent: Counter[str] = Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            _, colon, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if colon and operation not in _OUTER and not operation.startswith((" ", "__")):
                kinds = (kind for kind, parts in KINDS.items() if any(part in operation for part in parts))
                spent[next(kinds, "other")] += event.duration_ps / 1e12 / PROFILED
    return spent


def measure(rounds: int = 20) -> list[harness.Figure]:
    networks = (FASHION_MNIST, DECODER)
    steps = {net.title: step(net.compiled(), net.batches()) for net in networks}
    sides = {name: harness.clock(work) for name, work in {PRODUCT: product(), **steps}.items()}
    seconds = harness.interleave(sides, rounds, warm_up=3)
    print(harness.times_table(seconds))
    peak = 2e-9 * SIDE**3
    figures = [harness.figure(f"{PRODUCT}: GFLOP/s", [peak / each for each in seconds[PRODUCT]])]
    for net in networks:
        count = operations(net) / 1e9
        spent = profile(steps[net.title])
        shares = [[kind, f"{each / spent.total():.3f}"] for kind, each in spent.most_common()]
        print(f"\n{net.title}: {count:.2f} GFLOP per step\n")
        print(harness.table(["kind of operation", "share of the time"], shares))
        what = f"{net.title}: share of the peak"
        figures.append(harness.ratio(what, seconds[PRODUCT], seconds[net.title], scale=count / peak))
    return figures


if __name__ == "__main__":
    harness.run(measure)
