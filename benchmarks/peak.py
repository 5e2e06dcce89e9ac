"""How close training steps come to what the machine can compute: `taskset -c 0,1 python benchmarks/peak.py`.

The floating-point operations of a step of the two networks of `benchmarks/steps.py`, as TensorFlow counts those of
convolutions and matrix products, over its time; and those of a large matrix product, timed in turn. A profile of the
steps says where their time goes.
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
from benchmarks import figures, timing
from benchmarks.by_hand import ByHand
from benchmarks.two_networks import NETWORKS, Network
from mtl_keras import MultiTaskModel

PRODUCT = "matrix product"
SIDE = 3072  # of the matrices
PROFILED = 20  # steps
# Operation -> what it is part of. What is not here is "other".
KINDS = {
    "_MklNativeConv2D": "convolutions",
    "_MklNativeFusedConv2D": "convolutions",
    "_MklNativeConv2DBackpropInput": "convolutions",
    "_MklNativeConv2DBackpropFilter": "convolutions",
    "_MklNativeConv2DBackpropFilterWithBias": "convolutions",
    "Conv2D": "convolutions",
    "Conv2DBackpropInput": "convolutions",
    "Conv2DBackpropFilter": "convolutions",
    "_MklMatMul": "matrix products",
    "_MklNativeFusedMatMul": "matrix products",
    "MatMul": "matrix products",
    "_MklNativeFusedBatchNormV3": "batch normalisation",
    "_MklNativeFusedBatchNormEx": "batch normalisation",
    "_MklNativeFusedBatchNormGradV3": "batch normalisation",
    "FusedBatchNormV3": "batch normalisation",
    "FusedBatchNormGradV3": "batch normalisation",
    "StatelessRandomUniformV2": "random numbers of dropout",
    "ResourceApplyAdam": "optimizer",
    "Relu": "activations and biases",
    "ReluGrad": "activations and biases",
    "BiasAdd": "activations and biases",
    "BiasAddGrad": "activations and biases",
    "_MklNativeMaxPool": "pooling",
    "_MklNativeMaxPoolGrad": "pooling",
}
# What contains other operations.
_OUTER = ("Process", "Run", "Root", "Start", "Done", "DoCompute", "Prefetch", "ForeverRepeat")


def operations(network: Network) -> int:
    """Returns the floating-point operations of a training step, forwards and backwards."""
    step = ByHand(*network.graph(), network.tasks).step
    traced = step.get_concrete_function(*network.batches().element_spec)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    kept = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul"}
    options["account_type_regexes"] = [f"^{name}$" for name in kept]
    return tf.compat.v1.profiler.profile(traced.graph, options=options).total_float_ops


def stepper(network: Network) -> Callable[[], object]:
    """Returns a function that takes a training step."""
    model, iterator = network.compiled(MultiTaskModel), iter(network.batches())
    model.make_train_function()
    return lambda: float(model.train_function(iterator)["loss"])


def product() -> Callable[[], object]:
    """Returns a function that multiplies two matrices."""
    one, other = (tf.random.stateless_normal((SIDE, SIDE), (0, seed)) for seed in (0, 1))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(one, other)[0]))
    return lambda: float(multiply())


def profile(step: Callable[[], object]) -> Counter[str]:
    """Returns what each kind of operation takes of a step, in seconds added up over the threads."""
    for _ in range(3):
        step()
    spent: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(PROFILED):
            step()
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            _, colon, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if colon and operation not in _OUTER and not operation.startswith((" ", "__")):
                spent[KINDS.get(operation, "other")] += event.duration_ps / 1e12 / PROFILED
    return spent


def main() -> None:
    """Prints the shares and the profiles."""
    arguments = figures.parser(__doc__, rounds=20).parse_args()
    print(timing.machine(), f"{arguments.rounds} rounds", sep=", ")
    steps = {network.title: stepper(network) for network in NETWORKS}
    seconds = timing.interleaved({PRODUCT: product(), **steps}, rounds=arguments.rounds)
    print(timing.table(seconds))
    found = [figures.of_values("matrix product: GFLOP/s", [2e-9 * SIDE**3 / each for each in seconds[PRODUCT]])]
    for network in NETWORKS:
        count = operations(network)
        print(f"\n{network.title}: {count / 1e9:.2f} GFLOP a step\n")
        print("| kind of operation | share of the time |\n|---|---:|")
        spent = profile(steps[network.title])
        for kind, each in spent.most_common():
            print(f"| {kind} | {each / spent.total():.3f} |")
        what = f"{network.title}: share of the peak"
        found.append(figures.of_ratio(what, seconds, PRODUCT, network.title, scale=count / (2 * SIDE**3)))
    print()
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
