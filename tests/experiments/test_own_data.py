"""Runs on data made in Python; that both tasks of two sources are learned is seen to in `docs/sources.md`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import data
from experiments.building import open_dataset
from experiments.config import RunConfig
from experiments.evaluation import evaluate
from experiments.files import read_json
from experiments.predictions import read_arrays
from experiments.run_directory import RunDirectory
from experiments.runner import run
from models import saved

CONFIG = RunConfig(model="mlp(dense=32)", epochs=1, batch_size=24, learning_rate=0.003, learning_rate_decay="none")


class Plain:
    """A dataset class without a base class, and without `example_names`."""

    def __init__(self, dataset: data.AnyDataset) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        if name == "example_names":
            raise AttributeError(name)
        return getattr(self._dataset, name)


def make(size: int = 200) -> data.Mixture:
    """Squares in a colour, on a dark or a bright ground: one source knows the colour, the other the ground."""
    rng = np.random.default_rng(0)
    colours, bright = rng.integers(0, 3, (2, size)), rng.integers(0, 2, (2, size))
    images = rng.integers(0, 40, (2, size, 8, 8, 3)) + 100 * bright[..., None, None, None]
    images[:, :, 2:6, 2:6] += 100 * np.eye(3, dtype=int)[colours][:, :, None, None]
    images = images.astype(np.uint8)
    words = np.array(["red", "green", "blue"])[colours[0]]
    sources: Any = {
        "colours": Plain(data.from_arrays(images[0], {"colour": words}, name="colours")),
        "grounds": data.from_arrays(images[1], {"bright": bright[1]}, name="grounds"),
    }
    return data.mixed(sources, {"colours": 2, "grounds": 1})


@pytest.fixture(scope="module")
def both() -> Any:
    return Plain(make())


@pytest.fixture(scope="module")
def finished(both: Any, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "both")
    run(CONFIG, directory, dataset=both)
    return directory


def test_the_records_say_what_was_done(finished: RunDirectory) -> None:
    assert set(read_json(finished.metrics_file)["tasks"]) == {"colour", "bright"}
    config = read_json(finished.config_file)
    assert (config["dataset"], config["data"]["ratios"]) == ("own", {"colours": 2.0, "grounds": 1.0})
    assert finished.config().dataset == "own"
    assert config["data"]["sizes"] == {"train": 320, "validation": 40, "test": 40}
    saved_predictions = read_arrays(finished.predictions_file)
    assert saved_predictions is not None
    assert "name" not in saved_predictions.arrays
    assert finished.report_file.exists()
    assert make(20).example_names("test") is None


def test_python_evaluates_what_the_programs_cannot_open(finished: RunDirectory, both: Any) -> None:
    predict = saved.load_keras_file(finished.best_model).predict_on_batch
    found = evaluate(predict, both.batches("test", 40), both.tasks)
    stored = read_json(finished.metrics_file)["tasks"]
    assert found.tasks["colour"]["accuracy"].value == pytest.approx(stored["colour"]["accuracy"]["value"])
    with pytest.raises(ValueError, match=r"made in Python .* experiments.evaluation.evaluate, .*--report"):
        open_dataset(finished.config())


@pytest.mark.usefixtures("no_report")
def test_a_run_is_gone_on_with_on_the_same_data(finished: RunDirectory, both: Any) -> None:
    longer = dataclasses.replace(CONFIG, epochs=CONFIG.epochs + 1)
    with pytest.raises(ValueError, match=r"started with a dataset of sizes .*320.* Received: .*160"):
        run(longer, finished, resume=True, dataset=make(100))
    before = finished.history_file.read_text().splitlines()
    run(longer, finished, resume=True, dataset=both)
    after = finished.history_file.read_text().splitlines()
    assert (after[:-1], len(after)) == (before, CONFIG.epochs + 2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dataset": "cifar10"}, "Pass `dataset` or name one in the settings, not both. Received: dataset='cifar10'"),
        ({"synthetic": True}, "synthetic cannot be set. Received: synthetic=True"),
        ({"tasks": ("colour",)}, r"tasks cannot be set. Received: tasks=\('colour',\)"),
    ],
)
def test_settings_of_another_dataset_are_refused(
    both: Any, tmp_path: Path, setting: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(dataclasses.replace(CONFIG, **setting), RunDirectory(tmp_path / "run"), dataset=both)
    assert not (tmp_path / "run").exists()
