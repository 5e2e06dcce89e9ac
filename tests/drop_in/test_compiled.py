"""Compiled functions: XLA, several steps per execution, metrics that are built at the first update, devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import metrics

from mtl_keras import MultiTaskModel
from tests.drop_in import mirrored
from tests.drop_in.graphs import (
    FLAGS,
    LOSSES,
    NORMALISED,
    ONE,
    ONE_HOT,
    POSITIVE,
    TOKEN_LOSSES,
    TOKENS,
    TWO,
    by_task_weights,
    heads,
)
from tests.drop_in.harness import Case, Run, check, seed, two_steps

LATE = heads(one_hot=ONE_HOT, flags=FLAGS, values=POSITIVE)
LATE_LOSSES = {"one_hot": "categorical_crossentropy", "flags": "binary_crossentropy", "values": "mse"}


def late(**arguments: Any) -> dict[str, Any]:
    """Arguments of `compile` with metrics that are built at the first update."""
    built_late = {
        "one_hot": [metrics.F1Score(average=None)],
        "flags": [metrics.FBetaScore(average="macro", threshold=0.5)],
        "values": [metrics.R2Score(), "mae"],
    }
    return {"loss": LATE_LOSSES, "metrics": built_late, "run_eagerly": False, **arguments}


def compiled(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": LOSSES, "metrics": {"kind": ["accuracy"]}, "run_eagerly": False, **arguments}


def full_batches(run: Run) -> None:
    """Trains for two epochs of batches that are alike, with validation."""
    run.fit(2, batch_size=4, validation=True)
    run.state()


def small_last_batch(run: Run) -> None:
    run.fit(1, batch_size=8)
    run.state()


def in_turn(run: Run) -> None:
    """Calls compiled functions in turn, at last with a batch of another size."""
    run.record("train", run.model.train_on_batch(run.x, run.y))
    run.record("evaluate", run.model.evaluate(run.x, run.y, batch_size=4, verbose=0))
    run.record("predict", run.model.predict(run.x, batch_size=4, verbose=0))
    run.record("train again", run.model.train_on_batch(run.x, run.y))
    run.record("smaller", run.model.train_on_batch(run.x[:5], {name: values[:5] for name, values in run.y.items()}))
    run.state()


CASES = [
    Case("a small last batch", TWO, compiled(), small_last_batch, differs="Means over samples"),
    Case("in turn", TWO, compiled(), in_turn),
    Case("weights", TWO, compiled(weighted_metrics={"kind": ["acc"]}), full_batches, weight=by_task_weights),
    Case("masks", TOKENS, compiled(loss=TOKEN_LOSSES, metrics={"tag": ["accuracy"]}), full_batches),
    Case("one output", ONE, compiled(loss="mse", metrics=["mae"]), full_batches),
    Case("2 steps an execution", NORMALISED, compiled(steps_per_execution=2), full_batches),
    Case("metrics that build late, 2 steps an execution", LATE, lambda: late(steps_per_execution=2), full_batches),
    Case("XLA, metrics that build late", LATE, lambda: late(jit_compile=True), two_steps),
    Case("XLA and run_eagerly", TWO, compiled(jit_compile=True, run_eagerly=True), two_steps),
]


@pytest.mark.filterwarnings("ignore:If `run_eagerly` is True")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_compiled(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def test_metrics_that_build_late_are_resumed(tmp_path: Path) -> None:
    """An epoch that is resumed after two of three steps ends with the same logs."""
    x, y = LATE.data()

    def made() -> MultiTaskModel:
        seed(0)
        model = MultiTaskModel(*LATE.build())
        model.compile("sgd", **late(run_eagerly=True))
        return model

    def stop(batch: int, logs: Any) -> None:
        if batch == 1:
            model.save(tmp_path / "model.keras")
            state.update(model.training_state())
            model.stop_training = True

    state: dict[str, Any] = {}
    whole, model = made(), made()
    expected = whole.fit(x, y, batch_size=4, verbose=0, shuffle=False).history
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    model.fit(x, y, batch_size=4, verbose=0, shuffle=False, callbacks=[callback])
    again = keras.models.load_model(tmp_path / "model.keras")
    again.resume_training(state, 2)
    rest = tf.data.Dataset.from_tensor_slices((x[8:], {name: values[8:] for name, values in y.items()}))
    found = again.fit(rest.batch(4).repeat(), steps_per_epoch=3, shuffle=False, verbose=0).history
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def found_on_two_devices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The differences of each case of `mirrored.py`, which runs in a process of its own."""
    output = tmp_path_factory.mktemp("mirrored") / "found.json"
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", mirrored.__name__, str(output)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(output.read_text("utf-8"))


@pytest.mark.parametrize("case", mirrored.cases(), ids=lambda case: case.id)
def test_on_two_devices(case: Case, found_on_two_devices: dict[str, list[str]]) -> None:
    assert bool(found_on_two_devices[case.id]) == (case.differs is not None), found_on_two_devices[case.id]
