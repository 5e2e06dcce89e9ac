"""`task_affinity`: what a run keeps of its tasks' affinities."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.affinity_record import AffinityWriter, read_affinity
from experiments.config import RunConfig
from experiments.files import write_json
from experiments.run_directory import RunDirectory
from experiments.run_results import read_run
from experiments.runner import run
from mtl_keras.analysis import Affinity
from mtl_keras.callbacks import TaskAffinity
from tests.reports.markup import Page

QUICK: dict[str, Any] = {"synthetic": True, "examples": 64, "model": "mlp(dense=16)", "batch_size": 16}


def test_a_run_that_is_resumed_has_the_epochs_before_it_too(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    for epochs in (1, 2):
        config = RunConfig(
            **QUICK, data_dir=str(tmp_path), epochs=epochs, task_affinity=1, monitor_gradients=1, optimizer="sgd"
        )
        run(config, directory, resume=epochs == 2)
    found = read_affinity(directory.affinity_file)
    assert (found.every, found.sources, list(found.epochs)) == (1, 1, [0, 1])
    assert found.run.tasks == ("item", "group")
    # Four steps an epoch, one source in each.
    assert found.run.count.tolist() == [[4, 4], [4, 4]]
    means = [epoch.mean for epoch in found.epochs.values()]
    np.testing.assert_allclose(found.run.mean, np.mean(means, axis=0), rtol=1e-4, atol=1e-6)
    assert (directory.tensorboard / "affinity").is_dir()
    result = read_run(directory.path)
    cosines = result.gradients and result.gradients.affinity
    assert cosines is not None
    assert (cosines.kind, cosines.on("group", of="item").count) == ("cosine", 8)
    assert cosines.on("group", of="item").error > 0
    page = Page(directory.report_file.read_text("utf-8"))
    assert "affinity" in [section["id"] for section in page.all("section")]
    assert "Measured in every 1th step" in page.words
    assert "Few measurements" in page.words


def writer_of(file: Path) -> AffinityWriter:
    monitor = TaskAffinity(3)
    table = np.array([[0.5, -1 / 3], [math.nan, 0.25]])
    monitor.epoch_affinity = Affinity(("a", "b"), table, table / 10, np.array([[2, 3], [0, 4]]))
    return AffinityWriter(file, monitor)


def test_the_whole_run_is_pooled_over_the_epochs(tmp_path: Path) -> None:
    writer = writer_of(tmp_path / "affinity.json")
    for epoch in range(2):
        writer.add(epoch, ["a", "b"])
    content = json.loads((tmp_path / "affinity.json").read_text(), parse_constant=pytest.fail)
    assert content["run"]["mean"] == [[0.5, -0.333333], [None, 0.25]]
    assert content["run"]["count"] == [[4, 6], [0, 8]]
    assert read_affinity(tmp_path / "affinity.json").run.on("b", of="a").mean == -0.333333


@pytest.mark.parametrize("content", [{}, [1], {"epochs": [{"epoch": 0}]}, {"epochs": [], "every": 1, "sources": 1}])
def test_a_damaged_file_is_named(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "affinity.json", content)
    with pytest.raises(ValueError, match=r"affinity\.json is damaged"):
        read_affinity(tmp_path / "affinity.json")
