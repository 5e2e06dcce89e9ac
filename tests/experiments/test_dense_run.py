"""A run on dense tasks, from training to the report."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from experiments.config import RunConfig
from experiments.evaluation import evaluate
from experiments.predictions import read_arrays
from experiments.run_directory import RunDirectory
from experiments.runner import run
from models.saved import load_keras_file
from tests.pixels import TASKS, Rooms, batches, network
from tests.reports.markup import Page

DENSE = TASKS.subset(["segments", "depth", "room"])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("dense")
    keras.utils.set_random_seed(0)
    keras.Model(**network(DENSE)).save(folder / "net.keras")
    config = RunConfig(model=str(folder / "net.keras"), epochs=1, batch_size=4, augment=False, verbose=0)
    directory = RunDirectory(folder / "run")
    run(config, directory, dataset=Rooms(DENSE), judge_at="last")
    return directory


def test_its_evaluation_is_that_of_its_model(directory: RunDirectory) -> None:
    saved = json.loads(directory.metrics_file.read_text())
    model = load_keras_file(directory.best_model)
    evaluation = evaluate(model.predict_on_batch, batches(4, DENSE), DENSE)
    for task, scores in evaluation.tasks.items():
        for metric, score in scores.items():
            assert saved["tasks"][task][metric]["value"] == pytest.approx(score.value, rel=1e-4)
    judged = json.loads(directory.evaluation_file("last", "test").read_text())
    assert judged["iou"]["segments"].keys() == saved["iou"]["segments"].keys()
    assert json.loads(directory.config_file.read_text())["data"]["tasks"]["segments"]["invalid"] == 255


def test_its_files_have_no_maps_of_the_split(directory: RunDirectory) -> None:
    predictions, examples = read_arrays(directory.predictions_file), read_arrays(directory.examples_file)
    assert predictions is not None
    assert examples is not None
    assert predictions.get("confusion/segments").sum() == predictions.get("confusion/segments").astype(int).sum() > 0
    assert "pred/segments" not in predictions.arrays
    assert examples.get("pred/segments").dtype == np.int16


def test_its_report(directory: RunDirectory) -> None:
    from experiments.run_report import run_report

    words = Page(run_report(directory).read_text("utf-8")).words
    assert "segments: classes of the pixels" in words
    assert "depth: error against depth" in words


def test_tensorboard_has_the_maps(directory: RunDirectory) -> None:
    sizes = []
    for file in (directory.tensorboard / "predictions").glob("events.*"):
        for record in tf.data.TFRecordDataset(str(file)):
            for value in event_pb2.Event.FromString(record.numpy()).summary.value:
                width, height, *pictures = value.tensor.string_val
                sizes.append((int(width), int(height), len(pictures)))
    # The image, label, prediction and error of each dense task, 192 x 128 each, and text below.
    ((width, height, pictures),) = sizes
    assert width == 4 * 192 + 3 * 4
    assert height > 2 * 128
    assert pictures == 4
