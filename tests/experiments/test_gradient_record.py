"""`monitor_gradients`: what a run keeps of its tasks' gradients."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.config import RunConfig
from experiments.files import write_json
from experiments.gradient_record import GradientWriter
from experiments.run_directory import RunDirectory
from experiments.runner import run
from mtl_keras.callbacks import GradientMonitor
from mtl_keras.training.gradients import GradientSummary
from tests.quick_runs import without_report

LOGS = {"gradient_cosine", "conflict_rate", "gradient_norm_ratio"}
QUICK: dict[str, Any] = {"synthetic": True, "examples": 64, "model": "mlp(dense=16)", "batch_size": 16}


def history(path: Path) -> list[dict[str, str]]:
    with (path / "history.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch that was broken off and resumed for a second one."""
    folder = tmp_path_factory.mktemp("gradients")
    path, data_dir = folder / "run", str(folder / "data")
    with without_report():
        run(RunConfig(**QUICK, data_dir=data_dir, epochs=1, monitor_gradients=2), RunDirectory(path))
        config = RunConfig(**QUICK, data_dir=data_dir, epochs=2, monitor_gradients=2)
        run(config, RunDirectory(path), resume=True)
    return path


def test_the_history_has_the_means_of_each_epoch(watched: Path) -> None:
    rows = history(watched)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for row in rows:
        assert set(row) >= LOGS
        assert -1 <= float(row["gradient_cosine"]) <= 1
        assert 0 <= float(row["conflict_rate"]) <= 1
        assert float(row["gradient_norm_ratio"]) >= 1


def test_the_tables_have_an_entry_an_epoch(watched: Path) -> None:
    content = json.loads((watched / "gradients.json").read_text())
    assert (content["every"], content["tasks"]) == (2, ["item", "group"])
    assert [entry["epoch"] for entry in content["epochs"]] == [0, 1]
    for row, entry in zip(history(watched), content["epochs"], strict=True):
        assert entry["steps"] == 2
        assert entry["cosine"][0][1] == pytest.approx(float(row["gradient_cosine"]), rel=1e-5)
        assert entry["conflict"][0][1] == pytest.approx(float(row["conflict_rate"]))
        assert max(entry["norm"]) / min(entry["norm"]) == pytest.approx(float(row["gradient_norm_ratio"]), rel=1e-4)


def test_tensorboard_has_a_run_of_gradients(watched: Path) -> None:
    events = EventAccumulator(str(watched / "tensorboard" / "gradients"), {"tensors": 0}).Reload()
    assert "gradient_cosine/item~group" in events.PluginTagToContent("scalars")
    assert list(events.PluginTagToContent("images")) == ["gradients/cosines"]
    events = EventAccumulator(str(watched / "tensorboard" / "train"), {"tensors": 0}).Reload()
    assert {f"summary/{key}" for key in LOGS} <= set(events.PluginTagToContent("scalars"))


def record_of(file: Path) -> GradientWriter:
    monitor = GradientMonitor(3)
    table = np.array([[1, -1 / 3], [-1 / 3, math.nan]], "float32")
    monitor.summary = GradientSummary(
        table, table, np.array([1e-9, 2.0], "float32"), 7, abs(table), 7 * np.eye(2, dtype=int)
    )
    return GradientWriter(file, monitor)


def test_numbers_have_six_digits_and_no_nan(tmp_path: Path) -> None:
    record_of(tmp_path / "gradients.json").add(4, ["a", "b"])
    content = json.loads((tmp_path / "gradients.json").read_text(), parse_constant=pytest.fail)
    table = [[1.0, -0.333333], [-0.333333, None]]
    expected = {"epoch": 4, "steps": 7, "cosine": table, "conflict": table, "norm": [1e-9, 2.0]}
    expected |= {"error": [[1.0, 0.333333], [0.333333, None]], "count": [[7, 0], [0, 7]]}
    assert content == {"every": 3, "tasks": ["a", "b"], "epochs": [expected]}


def test_an_epoch_that_is_trained_again_is_written_once(tmp_path: Path) -> None:
    first = record_of(tmp_path / "gradients.json")
    for epoch in range(3):
        first.add(epoch, ["a", "b"])
    again = record_of(tmp_path / "gradients.json")
    again.restore(2)
    again.add(2, ["a", "b"])
    content = json.loads((tmp_path / "gradients.json").read_text())
    assert [entry["epoch"] for entry in content["epochs"]] == [0, 1, 2]


def test_a_record_that_is_missing_starts_again(tmp_path: Path) -> None:
    record = record_of(tmp_path / "gradients.json")
    record.restore(2)
    assert record.epochs == []


@pytest.mark.parametrize("content", [{}, [1], {"epochs": [{}]}, {"epochs": None}])
def test_a_damaged_record_is_named(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "gradients.json", content)
    with pytest.raises(ValueError, match=r"gradients\.json is damaged"):
        record_of(tmp_path / "gradients.json").restore(2)
