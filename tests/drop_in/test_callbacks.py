"""Keras' callbacks and the logs that callbacks read."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import callbacks, metrics

from tests.drop_in import graphs
from tests.drop_in.graphs import FLAG, KIND, LOSSES, ONE, SAMPLES, TWO, heads
from tests.drop_in.harness import Case, Run, check

Callbacks = Callable[[Run], list[Any]]


def compiled(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": LOSSES, "metrics": {"kind": ["accuracy"], "amount": ["mae"]}, **arguments}


def fitted(
    make: Callbacks, then: Callable[[Run, Any], None] = lambda run, callback: None, **arguments: Any
) -> Callable[[Run], None]:
    """A script that trains with callbacks; `then` records what the first one did."""

    def script(run: Run) -> None:
        made = make(run)
        run.fit(**{"epochs": 3, "batch_size": SAMPLES, "validation": True, "callbacks": made, **arguments})
        then(run, made[0])
        run.state()

    return script


class Collects(callbacks.Callback):
    """Records what the hooks are given; numbers must be numbers when they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.logs: dict[str, Any] = {}

    def _collect(self, hook: str, logs: Any, place: int = 0) -> None:
        self.calls.append(f"{hook} {place}")
        self.logs[f"{hook} {place}"] = {name: float(value) for name, value in (logs or {}).items()}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._collect("train batch", logs, batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._collect("test batch", logs, batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._collect("epoch", logs, epoch)

    def on_test_end(self, logs: Any = None) -> None:
        self._collect("test", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._collect("train", logs)


def collected(run: Run, callback: Any) -> None:
    run.record("calls", callback.calls)
    run.record("params", {name: value for name, value in callback.params.items() if value is not None})
    for hook, logs in callback.logs.items():
        run.logs(hook, logs)


def stopped(run: Run, callback: Any) -> None:
    run.record("stopped", [callback.stopped_epoch, callback.best_epoch, callback.best, callback.monitor_op.__name__])


def early(monitor: str, **arguments: Any) -> Callable[[Run], None]:
    return fitted(lambda run: [callbacks.EarlyStopping(monitor, patience=0, **arguments)], stopped)


def checkpointed(run: Run, callback: Any) -> None:
    run.record("files", sorted(path.name for path in run.folder.iterdir()))
    run.record("best", callback.best)
    run.record("op", callback.monitor_op.__name__)


def checkpoint(monitor: str, **arguments: Any) -> Callable[[Run], None]:
    def make(run: Run) -> list[Any]:
        path = run.folder / "{epoch:02d}.weights.h5"
        return [callbacks.ModelCheckpoint(path, monitor, save_best_only=True, save_weights_only=True, **arguments)]

    return fitted(make, checkpointed)


def rate(run: Run, callback: Any) -> None:
    run.record("learning rate", run.model.optimizer.learning_rate)


def columns(run: Run, callback: Any) -> None:
    with (run.folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    run.logs("last row", {name: float(value) for name, value in rows[-1].items()})


def tags(run: Run, callback: Any) -> None:
    found: dict[str, float] = {}
    for path in sorted(run.folder.rglob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith(("epoch_", "batch_", "evaluation_")):
                    found[f"{path.parent.name} {value.tag}"] = event.step
    kept = {tag: step for tag, step in found.items() if "steps_per_second" not in tag}
    run.record("tags of Keras", sorted(tag for tag in kept if not re.search("_weight$|_active$|mtl_score", tag)))


def evaluates_within(run: Run) -> list[Any]:
    return [
        callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: run.model.evaluate(run.x, run.y, verbose=0))
    ]


def stops(run: Run) -> list[Any]:
    def stop(batch: int, logs: Any) -> None:
        run.model.stop_training = batch == 1

    return [callbacks.LambdaCallback(on_train_batch_end=stop)]


def printed(run: Run) -> None:
    """The lines of `verbose=2`, without the times and what is added."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        run.model.fit(run.x, run.y, batch_size=BATCH, verbose=2, shuffle=False)
        run.model.evaluate(run.x, run.y, batch_size=BATCH, verbose=2)
    entries = [re.split(r": ", entry) for entry in re.split(r" - |\n", text.getvalue()) if re.match(r"\w+: ", entry)]
    run.logs("last entries", {name: float(value) for name, value in entries})


BATCH = 8
NAN = callbacks.TerminateOnNaN
ACCURACY = {"loss": LOSSES, "metrics": {"kind": ["accuracy"]}}
CASES = [
    Case("logs of batches", TWO, compiled(), fitted(lambda run: [Collects()], collected, batch_size=BATCH)),
    Case(
        "logs of batches, compiled",
        TWO,
        compiled(run_eagerly=False),
        fitted(lambda run: [Collects()], collected, batch_size=6),
    ),
    Case(
        "logs of batches, 2 steps",
        TWO,
        compiled(run_eagerly=False, steps_per_execution=2),
        fitted(lambda run: [Collects()], collected, batch_size=4),
    ),
    Case(
        "logs of batches, one output",
        ONE,
        lambda: {"loss": "mse", "metrics": ["mae"]},
        fitted(lambda run: [Collects()], collected),
    ),
    Case("EarlyStopping, a loss", TWO, compiled(), early("val_loss")),
    Case("EarlyStopping, a task's loss", TWO, compiled(), early("val_kind_loss"), raises=ValueError),
    Case("EarlyStopping, accuracy of a task", TWO, compiled(), early("val_kind_accuracy"), raises=ValueError),
    Case(
        "EarlyStopping, accuracy of a task, mode",
        TWO,
        compiled(),
        early("val_kind_accuracy", mode="max", restore_best_weights=True),
    ),
    Case(
        "EarlyStopping, accuracy of one output",
        heads(kind=KIND),
        lambda: {"loss": LOSSES["kind"], "metrics": ["accuracy"]},
        early("val_accuracy"),
    ),
    Case(
        "EarlyStopping, AUC of one output",
        heads(flag=FLAG),
        lambda: {"loss": "bce", "metrics": [metrics.AUC(name="auc")]},
        early("val_auc"),
    ),
    Case("EarlyStopping, mae of one output", ONE, lambda: {"loss": "mse", "metrics": ["mae"]}, early("mae")),
    Case(
        "EarlyStopping, named as the log entry",
        heads(flag=FLAG, amount=graphs.AMOUNT),
        lambda: {
            "loss": {"flag": "bce", "amount": "mse"},
            "metrics": {"flag": [metrics.AUC(name="flag_auc", num_thresholds=9)]},
        },
        early("val_flag_auc"),
    ),
    Case(
        "ModelCheckpoint, accuracy of one output",
        heads(kind=KIND),
        lambda: {"loss": LOSSES["kind"], "metrics": ["accuracy"]},
        checkpoint("val_accuracy"),
    ),
    Case("ModelCheckpoint, accuracy of a task", TWO, compiled(), checkpoint("val_kind_accuracy", mode="max")),
    Case(
        "ModelCheckpoint, accuracy of a task, no mode",
        TWO,
        compiled(),
        checkpoint("val_kind_accuracy"),
        raises=ValueError,
    ),
    Case(
        "ReduceLROnPlateau",
        TWO,
        compiled(),
        fitted(lambda run: [callbacks.ReduceLROnPlateau("loss", 0.1, 0, min_delta=100)], rate),
    ),
    Case(
        "ReduceLROnPlateau, accuracy",
        heads(kind=KIND),
        lambda: {"loss": LOSSES["kind"], "metrics": ["accuracy"]},
        fitted(lambda run: [callbacks.ReduceLROnPlateau("val_accuracy", 0.1, 0)], rate),
    ),
    Case(
        "LearningRateScheduler",
        TWO,
        compiled(),
        fitted(lambda run: [callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)], rate),
    ),
    Case("CSVLogger", TWO, compiled(), fitted(lambda run: [callbacks.CSVLogger(run.folder / "log.csv")], columns)),
    Case(
        "TensorBoard",
        TWO,
        compiled(),
        fitted(lambda run: [callbacks.TensorBoard(run.folder, update_freq=1)], tags),
        fresh=True,
    ),
    Case(
        "TerminateOnNaN",
        TWO,
        compiled(),
        fitted(lambda run: [NAN()]),
        x=lambda: np.full((SAMPLES, graphs.FEATURES), np.nan),
    ),
    Case(
        "SwapEMAWeights",
        TWO,
        lambda: {**ACCURACY, "optimizer": keras.optimizers.SGD(0.1, use_ema=True)},
        fitted(lambda run: [callbacks.SwapEMAWeights(swap_on_epoch=True)]),
    ),
    Case("BackupAndRestore", TWO, compiled(), fitted(lambda run: [callbacks.BackupAndRestore(run.folder)])),
    Case("stop_training", TWO, compiled(), fitted(stops, batch_size=4, epochs=1)),
    Case(
        "evaluate in a callback",
        TWO,
        compiled(),
        fitted(evaluates_within, batch_size=BATCH, epochs=1),
        differs="`evaluate` in a callback",
    ),
    Case("printed", TWO, compiled(), printed, tolerance=1e-3),
]


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_callbacks(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
