"""`evaluate.py --predict` for dense tasks: sheets, maps and columns."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.image_predictions import predict_images
from experiments.predictor import Predictor
from mtl_keras.reports.maps import class_colour
from mtl_keras.reports.outputs import Output
from tests.pixels import CLASSES, IMAGES, OUTPUTS, TASKS, Rooms, predict

FILES = ("kitchen.jpg", "bath.png")


@pytest.fixture
def predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """The output folder, and what was printed."""
    files = [tmp_path / name for name in FILES]
    for file in files:
        Image.fromarray(np.zeros((9, 13, 3), np.uint8)).save(file)
    outputs = {name: Output.of(task) for name, task in TASKS.items()}
    predictor = Predictor(tmp_path / "model", outputs, Rooms().decode, lambda images: predict(IMAGES[: len(images)]))
    predict_images(predictor, files, tmp_path / "found")
    return tmp_path / "found", capsys.readouterr().out


def test_maps_of_classes_are_pictures_of_their_indices(predicted: tuple[Path, str]) -> None:
    folder, _ = predicted
    assert {file.name for file in (folder / "segments").iterdir()} == {"kitchen.jpg.png", "bath.png"}
    for task, scores in (("segments", OUTPUTS["segments"]), ("edge", OUTPUTS["edge"])):
        for file, score in zip(("kitchen.jpg.png", "bath.png"), scores):
            classes = score.argmax(-1) if task == "segments" else score[..., 0] > 0.5
            with Image.open(folder / task / file) as drawn:
                assert drawn.mode == "P"
                np.testing.assert_array_equal(np.asarray(drawn), classes)
                first = "#{:02X}{:02X}{:02X}".format(*np.asarray(drawn.convert("RGB"))[0, 0])
            assert first == class_colour(int(classes[0, 0]))[0]


def test_maps_of_numbers_are_arrays_and_coloured_pictures(predicted: tuple[Path, str]) -> None:
    folder, _ = predicted
    for task in ("depth", "normals", "flow"):
        names = {"kitchen.jpg.npy", "kitchen.jpg.png", "bath.png.npy", "bath.png"}
        assert {file.name for file in (folder / task).iterdir()} == names
        values = np.load(folder / task / "bath.png.npy")
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, OUTPUTS[task][1], atol=1e-6)
        with Image.open(folder / task / "bath.png") as drawn:
            assert drawn.size == (12, 8)


def test_columns_and_words(predicted: tuple[Path, str]) -> None:
    folder, printed = predicted
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["file", *(f"segments_{name}" for name in CLASSES), "edge_yes", "depth_mean"]
    columns += ["normals_mean_x", "normals_mean_y", "normals_mean_z", "flow_mean_0", "flow_mean_1"]
    assert list(rows[0]) == [*columns, "room", "room_confidence"]
    shares = np.bincount(OUTPUTS["segments"][1].argmax(-1).ravel(), minlength=4) / 96
    assert [float(rows[1][f"segments_{name}"]) for name in CLASSES] == pytest.approx(shares.tolist(), rel=1e-4)
    assert float(rows[1]["edge_yes"]) == pytest.approx((OUTPUTS["edge"][1] > 0.5).mean(), rel=1e-4)
    assert float(rows[0]["depth_mean"]) == pytest.approx(OUTPUTS["depth"][0].mean(), rel=1e-4)
    assert f"{CLASSES[int(shares.argmax())]} {shares.max():.0%}, " in printed
    assert "Maps: the folders segments, edge, depth, normals, flow in it" in printed
    with Image.open(folder / "kitchen.jpg.png") as sheet:
        assert sheet.width >= 6 * 256  # the image and five maps
