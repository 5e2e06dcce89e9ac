"""`train.py`: what a run leaves behind, and how it goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from experiments.lock import locked
from mtl_keras import MultiTaskModel
from tests.programs.conftest import QUICK, Program


def rows(path: Path) -> list[dict[str, str]]:
    with (path / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_directory_holds_all_that_the_readme_lists(finished_run: Path) -> None:
    names = {entry.name for entry in finished_run.iterdir() if not entry.name.startswith("evaluation-")}
    assert names == {
        "config.json", "history.csv", "metrics.json", "predictions.npz", "examples.npz", "report.html", "best.keras",
        "checkpoints", "tensorboard", "saved_model",
    }  # fmt: skip
    config = json.loads((finished_run / "config.json").read_text())
    assert config["schedule"] == "dst"
    assert config["epochs"] == 1
    assert config["versions"]["keras"] == keras.__version__
    (row,) = rows(finished_run)
    assert "gradient_cosine" not in row
    assert {"item_loss", "item_accuracy", "item_weight", "item_active", "item_probability", "val_mtl_score"} <= set(row)
    metrics = json.loads((finished_run / "metrics.json").read_text())
    assert metrics["tasks"]["item"]["accuracy"]["baseline"] < 0.2 < metrics["tasks"]["item"]["accuracy"]["value"]
    compiled = metrics["cost"]["compiled"]
    assert ["item", "group"] in [function["tasks"] for function in compiled]
    assert all(function["seconds"] > 0 and function["traces"] for function in compiled)


@pytest.mark.usefixtures("no_report")
def test_a_resumed_run_ends_as_an_uninterrupted_one(program: Program, drawn: Path, tmp_path: Path) -> None:
    flags = [*QUICK, "--schedule=random_drop(keep=0.5)", f"--data_dir={drawn}"]
    assert program("train", *flags, "--epochs=2", f"--run_dir={tmp_path / 'whole'}").code == 0
    assert program("train", *flags, "--epochs=1", f"--run_dir={tmp_path / 'parts'}").code == 0
    resumed = program("train", "--resume", "--epochs=2", "--export_formats=litert", f"--run_dir={tmp_path / 'parts'}")
    assert resumed.code == 0
    assert f"LiteRT: {tmp_path / 'parts' / 'model.tflite'}\n" in resumed.out
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")
    refused = program("train", "--resume", "--epochs=1", f"--run_dir={tmp_path / 'parts'}")
    assert (refused.code, "has 2 epochs already" in refused.err) == (1, True)
    whole, parts = (
        keras.models.load_model(tmp_path / name / "checkpoints" / "epoch-00002-step-0000000" / "model.keras")
        for name in ("whole", "parts")
    )
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_early_stopping_stops_and_verbose_0_is_silent(program: Program, drawn: Path, tmp_path: Path) -> None:
    flags = [*QUICK, "--epochs=9", "--learning_rate=1e-12", "--early_stopping=2", f"--data_dir={drawn}"]
    fewer = ["--train_examples=300", "--verbose=0"]
    outcome = program("train", *flags, *fewer, f"--run_dir={tmp_path / 'run'}")
    assert (outcome.code, outcome.out) == (0, "")
    assert len(rows(tmp_path / "run")) < 9
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["sizes"]["train"] == 300
    assert "train_examples" in (tmp_path / "run" / "report.html").read_text("utf-8")
    refused = program("train", *flags, "--verbose=3", f"--run_dir={tmp_path / 'other'}")
    assert (refused.code, "verbose" in refused.err, "0, 1, 2" in refused.err) == (1, True, True)


@pytest.mark.usefixtures("no_report")
def test_settings_reach_the_model(program: Program, drawn: Path, tmp_path: Path) -> None:
    flags = [*QUICK, "--tasks=group,item", "--task_weights=item=0", "--optimizer=sgd(momentum=0.5)"]
    flags += ["--steps_per_execution=3", "--mixed_precision", "--jit_compile=false", f"--data_dir={drawn}"]
    flags += [f"--run_dir={tmp_path / 'run'}", "--resume"]
    refused = program("train", *flags)
    assert (refused.code, "No run found" in refused.err) == (1, True)
    # With its dataset, a run can be resumed that has not started.
    assert program("train", *flags, "--dataset=fashion_mnist").code == 0
    model = keras.models.load_model(tmp_path / "run" / "best.keras")
    assert isinstance(model, MultiTaskModel)
    assert model.task_weights == {"group": 1.0, "item": 0.0}
    assert model.task_names == ("group", "item")
    assert model.steps_per_execution == 3
    assert model.optimizer.momentum == 0.5
    assert rows(tmp_path / "run")[0]["item_active"] == "0.0"
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)


def test_a_directory_is_for_one_process(program: Program, drawn: Path, tmp_path: Path) -> None:
    flags = [*QUICK, f"--data_dir={drawn}", f"--run_dir={tmp_path / 'run'}"]
    with locked(tmp_path / "run"):
        refused = program("train", *flags)
    assert (refused.code, "Another process is using the run directory" in refused.err) == (1, True)
    assert not (tmp_path / "run").exists()


def test_the_evidence_of_a_loss_that_is_not_finite_is_kept(program: Program, drawn: Path, tmp_path: Path) -> None:
    flags = [*QUICK, "--optimizer=sgd", "--learning_rate=1e38", "--schedule=random_drop(keep=0.9)", "--augment"]
    failed = program("train", *flags, f"--data_dir={drawn}", f"--run_dir={tmp_path / 'run'}")
    assert failed.code == 1
    assert "The loss of task" in failed.err
    assert str(tmp_path / "run" / "nonfinite") in failed.err
    report = json.loads((tmp_path / "run" / "nonfinite" / "report.json").read_text())
    assert report["task"] in ("item", "group")
    assert 0 < report["training_step"] == report["step"]
    assert report["nonfinite_variables"]
    assert report["batch"]["images"]["shape"] == [20, 28, 28, 1]
    with np.load(tmp_path / "run" / "nonfinite" / "batch.npz") as batch:
        assert set(batch) == {"images", "labels_item", "labels_group"}
    again = program("train", "--resume", f"--run_dir={tmp_path / 'run'}")
    assert (again.code, again.err) == (1, failed.err)
