"""How a run's settings reach its model, and what its recorder measures, without training it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from experiments.building import build_model, open_dataset
from experiments.config import RunConfig
from experiments.recorder import Recorder
from experiments.run_directory import RunDirectory
from mtl_keras.training.function import Specialization


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("true", True), ("false", False), ("auto", bool(tf.config.list_physical_devices("GPU")))],
)
def test_steps_are_compiled_as_asked(choice: str, expected: bool, tmp_path: Path) -> None:
    config = RunConfig(synthetic=True, examples=10, data_dir=str(tmp_path), model="mlp(dense=2)", jit_compile=choice)
    assert build_model(config, open_dataset(config)).jit_compile is expected


def test_the_cost_leaves_out_the_steps_that_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, functions = [0.0], [Specialization(("a",), False), Specialization(("a", "b"), False)]
    monkeypatch.setattr("experiments.recorder.time.perf_counter", lambda: clock[0])
    model = SimpleNamespace(
        specializations=functions,
        steps_per_execution=1,
        nonfinite_losses=[],
        save=lambda path: path.write_text(""),
        training_state=lambda: {"seeds_0": np.zeros(2, "uint32")},
    )

    def steps(recorder: Recorder, *seconds: float, first: int = 0) -> None:
        for batch, duration in enumerate(seconds, first):
            clock[0] += duration
            if duration >= 1:
                functions[batch % 2].traces += 1
            recorder.on_train_batch_end(batch)

    def new_recorder() -> Recorder:
        recorder = Recorder(RunDirectory(tmp_path), None, 0, every=3)
        recorder.set_model(model)
        return recorder

    recorder = new_recorder()
    recorder.on_epoch_begin(0)
    steps(recorder, 1.0)
    assert math.isnan(recorder.cost()["seconds_per_step"])
    steps(recorder, 2.0, 0.1, first=1)  # a checkpoint, from which another recorder continues
    saved = RunDirectory(tmp_path).checkpoints.last() or pytest.fail("no checkpoint")
    recorder = new_recorder()
    recorder.set_state(saved.state, saved.step)
    recorder.on_epoch_begin(0)
    steps(recorder, 4.0, 0.3, first=3)
    recorder.on_epoch_end(0)
    cost = recorder.cost()
    assert (cost["steps"], cost["seconds"]) == (5, pytest.approx(0.4))
    assert cost["seconds_per_step"] == pytest.approx(0.2)
