"""What a run keeps of its predictions on the test split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import data
from experiments.evaluation import Outputs
from experiments.predictions import read_arrays, save_predictions
from mtl_keras import Task, TaskSet
from tests.programs.conftest import Program


def _arrays(run: Path, name: str) -> dict[str, np.ndarray]:
    kept = read_arrays(run / f"{name}.npz")
    assert kept is not None
    return dict(kept.arrays)


def test_they_are_what_the_metrics_say(finished_run: Path) -> None:
    kept = _arrays(finished_run, "predictions")
    tasks = json.loads((finished_run / "metrics.json").read_text())["tasks"]
    assert set(kept) == {f"{side}/{task}" for side in ("true", "pred") for task in tasks}
    for task, metrics in tasks.items():
        right = kept[f"true/{task}"] == kept[f"pred/{task}"].argmax(axis=1)
        assert right.mean() == pytest.approx(metrics["accuracy"]["value"], abs=1e-6)


def test_examples_are_the_best_and_the_worst(finished_run: Path, drawn: Path) -> None:
    kept, examples = _arrays(finished_run, "predictions"), _arrays(finished_run, "examples")
    true, predicted = kept["true/item"], kept["pred/item"]
    losses = -np.log(predicted[np.arange(len(true)), true])
    order = np.argsort(losses)
    index = examples["index"]
    np.testing.assert_allclose(losses[index[examples["best/item"]]], losses[order[:3]], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(losses[index[examples["worst/item"]]], losses[order[::-1][:3]], rtol=1e-4)
    np.testing.assert_array_equal(examples["pred/group"], kept["pred/group"][index])
    dataset = data.load("fashion_mnist", synthetic=True, sizes=600, data_dir=drawn)
    images = np.concatenate([np.asarray(batch) for batch, _ in dataset.batches("test", 500)])
    np.testing.assert_array_equal(examples["images"], np.round(images[index] * 255))


def test_of_a_large_split_the_first_examples_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = TaskSet([Task.classification("item", 3), Task.reconstruction("image", (2, 2, 1))])
    true = {"item": np.arange(10) % 3, "image": np.zeros((10, 2, 2, 1))}
    outputs = Outputs(true, {"item": np.arange(30).reshape(10, 3), "image": true["image"]})
    monkeypatch.setattr("experiments.predictions.MAX_NUMBERS", 18)  # a label and three probabilities: 4 each
    save_predictions(tmp_path / "predictions.npz", outputs, tasks)
    kept = _arrays(tmp_path, "predictions")
    assert set(kept) == {"true/item", "pred/item"}
    np.testing.assert_array_equal(kept["true/item"], [0, 1, 2, 0])
    np.testing.assert_array_equal(kept["pred/item"], np.arange(12).reshape(4, 3))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[("predictions", how) for how in (b"no archive", "half", "other arrays", "other compression", "other bytes")],
        ("examples", "half"),
        ("examples", "other arrays"),
    ],
)
def test_a_damaged_file_is_named(
    program: Program, finished_run: Path, tmp_path: Path, name: str, content: bytes | str
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in ("config.json", "history.csv", "metrics.json"):
        shutil.copy(finished_run / file, run)
    path = run / f"{name}.npz"
    whole = (finished_run / f"{name}.npz").read_bytes()
    if content == "other arrays":
        np.savez(path, x=np.zeros(3))
    elif content == "other compression":
        path.write_bytes(whole.replace(b"\x00\x00\x08\x00", b"\x00\x00\x63\x00"))  # method 8 is deflate, 99 is none
    elif content == "other bytes":
        begin = whole.index(b".npy") + 30
        path.write_bytes(whole[:begin] + bytes(255 - byte for byte in whole[begin : begin + 20]) + whole[begin + 20 :])
    else:
        path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    outcome = program("evaluate", f"--run_dir={run}", "--report")
    assert outcome.code == 1
    assert f"{path} is damaged" in outcome.err
    assert outcome.err.count("\n") == 1
