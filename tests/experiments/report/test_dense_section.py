"""What the report of a run shows of dense tasks."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.files import write_arrays
from experiments.predictions import read_arrays
from experiments.report.dense import dense_task
from experiments.run_directory import RunDirectory
from experiments.run_report import run_report
from mtl_keras.reports.maps import class_colour
from mtl_keras.reports.outputs import Output
from tests.pixels import TASKS
from tests.reports.dense_run import write_dense_run
from tests.reports.markup import Page, drawings


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return write_dense_run(tmp_path_factory.mktemp("dense") / "run")


@pytest.fixture(scope="module")
def source(directory: RunDirectory) -> str:
    return run_report(directory).read_text("utf-8")


def test_all_metrics_have_a_row(directory: RunDirectory, source: str) -> None:
    words = Page(source).words
    metrics = json.loads(directory.metrics_file.read_text())["tasks"]
    for task in ("segments", "edge", "depth", "normals", "flow"):
        for metric, score in metrics[task].items():
            assert f"{metric}{score['value']:.4f}{score['baseline']:.4f}" in words
        assert f"All metrics of {task}, over all labelled pixels" in words
    assert "All metrics of room" not in words  # only its primary metric


def test_classes_have_an_iou_a_share_and_a_colour(directory: RunDirectory, source: str) -> None:
    words = Page(source).words
    record = json.loads(directory.metrics_file.read_text())["iou"]["segments"]
    saved = read_arrays(directory.predictions_file)
    assert saved is not None
    confusion = saved.get("confusion/segments")
    shares = confusion.sum(axis=1) / confusion.sum()
    for index, name in enumerate(TASKS["segments"].labels):
        assert f"{name}{record[name]:.3f}{shares[index]:.0%}" in words
        assert f"background:{class_colour(index)[0]}" in source
    assert "wall (blue)" in words
    assert "Confusion matrix of the pixels of segments. Most often confused: '" in words
    assert re.search(r"Single images: mean IoU from 0\.\d+ to 0\.\d+, median 0\.\d+\.", words)


def test_figures_of_errors(source: str) -> None:
    labels = [drawing.attrib["aria-label"] for drawing in drawings(source)]
    assert any(label.startswith("Mean absolute error of depth over the label") for label in labels)
    assert any(label.startswith("Angles between true and predicted normals, in degrees. Median") for label in labels)
    assert len(set(labels)) == len(labels)


def test_examples_show_image_label_prediction_and_error(source: str) -> None:
    page = Page(source)
    alts = re.findall(r'<img src="data:image/(png|jpeg);base64,([^"]+)" alt="([^"]+)"', source)
    of_depth = [alt for _, _, alt in alts if re.search(r"(best|worst) of depth", alt)]
    assert len(of_depth) == 4 * 5
    assert [alt.split(", ", 2)[2].split(":")[0] for alt in of_depth[:4]] == ["image", "label", "prediction", "error"]
    (kind, content, _), *_ = [each for each in alts if "best of segments, label: wall" in each[2]]
    assert kind == "png"
    drawn = Image.open(io.BytesIO(base64.b64decode(content)))
    assert drawn.mode == "P"
    assert drawn.size == (160, 107)
    assert re.search(r"best, room-\d\.png: mean IoU 0\.\d\d of this image", page.words)
    assert re.search(r"worst, room-\d\.png: mean error [\d.]+", page.words)
    assert re.search(
        r"Labels and predictions: from 0\.\d+ \(dark purple\) to [\d.]+ \(yellow\); black without", page.words
    )
    assert "Errors: vermillion where the class is wrong" in page.words
    assert "red, green and blue: (n + 1) / 2" in page.words
    assert len(source) < 5 * 2**20


def test_many_classes_have_a_table_and_no_figure(directory: RunDirectory, tmp_path: Path) -> None:
    saved = read_arrays(directory.predictions_file)
    assert saved is not None
    counts = np.zeros((70, 70), int)
    counts[np.arange(66), np.arange(66)] = np.arange(66, 0, -1)
    write_arrays(tmp_path / "predictions.npz", {**saved.arrays, "confusion/segments": counts})
    changed = read_arrays(tmp_path / "predictions.npz")
    assert changed is not None
    found = dense_task(changed, "segments", Output("segmentation", (8, 12, 70)))
    assert found["drawings"] == []
    ((table),) = found["tables"]
    assert len(table["rows"]) == 60
    assert table["caption"].endswith(
        "Not shown, rare or never labelled and predicted: 60, 61, 62, 63, 64, 65, 66, 67 and 2 more."
    )


def test_a_damaged_file_is_named(directory: RunDirectory, tmp_path: Path) -> None:
    damaged = write_dense_run(tmp_path / "run", TASKS.subset(["depth", "room"]))
    saved = read_arrays(damaged.predictions_file)
    assert saved is not None
    write_arrays(damaged.predictions_file, {name: a for name, a in saved.arrays.items() if name != "bins/depth"})
    with pytest.raises(ValueError, match=r"predictions\.npz is damaged: it has no array 'bins/depth'"):
        run_report(damaged)
