"""`evaluate.py`: one table, and the same as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.evaluation import constant_predictions
from mtl_keras import Task
from tests.programs.conftest import Program
from tests.reports.markup import Page
from tests.reports.records import write_comparison


def test_the_exported_model_is_worth_what_the_trained_one_is(program: Program, finished_run: Path) -> None:
    trained = program("evaluate", f"--run_dir={finished_run}")
    exported = program("evaluate", f"--run_dir={finished_run}", "--saved_model")
    assert trained.code == exported.code == 0
    assert "item" in trained.out
    assert "group" in trained.out
    results = [
        json.loads((finished_run / f"evaluation-{name}-test.json").read_text())["tasks"]
        for name in ("best", "saved_model")
    ]
    for task in ("item", "group"):
        for metric in ("accuracy", "loss"):
            one, other = (result[task][metric] for result in results)
            assert one["value"] == pytest.approx(other["value"], abs=1e-4)
            assert one["baseline"] == other["baseline"]


def test_constant_predictions() -> None:
    labels = np.array([2, 2, 0, 2])
    ((shares, *_),) = constant_predictions(Task.classification("a", 3), labels)
    np.testing.assert_allclose(shares, [0.25, 0, 0.75])
    ((*_, share),) = constant_predictions(Task.binary("b"), np.array([[1.0], [0.0], [0.0]]))
    np.testing.assert_allclose(share, [1 / 3])
    mean, median = constant_predictions(Task.regression("c", 2), np.array([[0.0, 1.0], [1.0, 1.0], [8.0, 1.0]]))
    np.testing.assert_allclose(mean, [[3.0, 1.0]] * 3)
    np.testing.assert_allclose(median, [[1.0, 1.0]] * 3)


def test_a_report_needs_neither_the_data_nor_the_model(program: Program, finished_run: Path, tmp_path: Path) -> None:
    for name in ("config.json", "history.csv", "metrics.json", "predictions.npz", "examples.npz"):
        shutil.copy(finished_run / name, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "data_dir": "/nowhere"}))
    outcome = program("evaluate", f"--run_dir={tmp_path}", "--report")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"Report: {tmp_path / 'report.html'}\n"
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 2 * 6
    trained, copied = Page((finished_run / "report.html").read_text("utf-8")), Page(page)
    value = json.loads((tmp_path / "metrics.json").read_text())["tasks"]["item"]["accuracy"]["value"]
    assert f"{value:.4f}" in trained.words
    assert f"{value:.4f}" in copied.words
    assert "Confusion matrix of item" in copied.words
    assert "calibration error" in copied.words


def test_the_page_of_a_comparison_is_made_anew(program: Program, tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "garments", seeds=(0, 1))
    outcome = program("evaluate", f"--run_dir={folder}", "--report")
    assert outcome.code == 0, outcome.err
    assert f"Report: {folder / 'comparison.html'}" in outcome.out
    assert "multi_task against single_task" in (folder / "comparison.html").read_text("utf-8")
