"""Cases under `MirroredStrategy` on two CPUs. Run as `python -m tests.drop_in.mirrored OUTPUT`, in its own process."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def cases() -> list[Any]:
    from keras import layers, metrics

    from tests.drop_in import graphs
    from tests.drop_in.harness import Case, Run

    def trained(run: Run) -> None:
        run.fit(1, batch_size=4, validation=True)
        run.evaluate(batch_size=4)
        run.state()

    def regularized(x: Any) -> Any:
        return layers.Dense(6, activation="relu", kernel_regularizer="l2")(x)

    def built_late() -> dict[str, Any]:
        return {
            "optimizer": "adam",
            "loss": {"kind": "categorical_crossentropy", "amount": "mse"},
            "metrics": {"kind": [metrics.F1Score()], "amount": [metrics.R2Score()]},
        }

    def case(name: str, graph: Any, arguments: Any, **more: Any) -> Case:
        return Case(name, graph, lambda: {**arguments(), "run_eagerly": False}, trained, fresh=True, **more)

    plain = {"loss": graphs.LOSSES, "metrics": {"kind": ["accuracy"]}}
    several = graphs.heads(regularized, kind=graphs.ONE_HOT, amount=graphs.AMOUNT)
    return [
        case("regularizers, weights, metrics that build late", several, built_late, weight=graphs.by_task_weights),
        case("BatchNorm", graphs.NORMALISED, lambda: plain, differs="BatchNorm on several devices"),
        case("masks", graphs.TOKENS, lambda: {"loss": graphs.TOKEN_LOSSES}),
        case("one output", graphs.ONE, lambda: {"loss": "mse", "metrics": ["mae"]}),
    ]


def main(output: str) -> None:
    """Writes the differences of each case."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from tests.drop_in.harness import differences

    strategy, found = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), {}
    with strategy.scope(), tempfile.TemporaryDirectory() as folder:
        for case in cases():
            place = Path(folder) / case.id
            place.mkdir()
            try:
                found[case.id] = differences(case, place)
            except AssertionError as error:
                found[case.id] = [str(error)]
    Path(output).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
