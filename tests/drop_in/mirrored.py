"""Cases under `MirroredStrategy` on two CPUs. Run as `python -m tests.drop_in.mirrored OUTPUT`, in its own process."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = ("epochs", "metrics that build late", "regularizers", "BatchNorm", "masks", "one output", "weights")


def cases() -> list[Any]:
    from keras import layers, metrics

    from tests.drop_in import graphs
    from tests.drop_in.harness import Case, Run

    def trained(run: Run) -> None:
        run.fit(1, batch_size=4, validation=True)
        run.evaluate(batch_size=4)
        run.state()

    def compiled(**arguments: Any) -> Any:
        return lambda: {"loss": graphs.LOSSES, "metrics": {"kind": ["accuracy"]}, "run_eagerly": False, **arguments}

    one = {"loss": "mse", "metrics": ["mae"], "run_eagerly": False}
    adam = {"optimizer": "adam"}

    def regularized(x: Any) -> Any:
        return layers.Dense(6, activation="relu", kernel_regularizer="l2")(x)

    def late() -> dict[str, Any]:
        return {
            "loss": {"kind": "categorical_crossentropy", "amount": "mse"},
            "metrics": {"kind": [metrics.F1Score()], "amount": [metrics.R2Score()]},
            "run_eagerly": False,
        }

    return [
        Case("epochs", graphs.TWO, compiled(**adam), trained, fresh=True),
        Case(
            "metrics that build late",
            graphs.heads(kind=graphs.ONE_HOT, amount=graphs.AMOUNT),
            late,
            trained,
            fresh=True,
        ),
        Case(
            "regularizers",
            graphs.heads(regularized, kind=graphs.KIND, amount=graphs.AMOUNT),
            compiled(),
            trained,
            fresh=True,
        ),
        Case("BatchNorm", graphs.NORMALISED, compiled(), trained, fresh=True),
        Case("masks", graphs.TOKENS, lambda: {"loss": graphs.TOKEN_LOSSES, "run_eagerly": False}, trained, fresh=True),
        Case("one output", graphs.ONE, lambda: one, trained, fresh=True),
        Case("weights", graphs.TWO, compiled(), trained, weight=graphs.by_task_weights, fresh=True),
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
