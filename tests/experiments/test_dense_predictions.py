"""What a run keeps of the predictions of dense tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments import predictions
from experiments.evaluation import predict_split
from experiments.predictions import read_arrays, save_examples, save_predictions
from mtl_keras.reports.outputs import Output
from tests.pixels import COUNT, IMAGES, LABELS, OUTPUTS, TASKS, batches, predict

NAMES = [f"{number}.png" for number in range(COUNT)]
EVALUATED = predict_split(predict, batches(4), TASKS)
DENSE = [name for name, task in TASKS.items() if task.is_dense]


def read(path: Path) -> dict[str, np.ndarray]:
    found = read_arrays(path)
    assert found is not None
    return dict(found.arrays)


def test_the_whole_split_has_numbers_and_sums_but_no_maps(tmp_path: Path) -> None:
    save_predictions(tmp_path / "predictions.npz", EVALUATED, TASKS, NAMES)
    kept = read(tmp_path / "predictions.npz")
    measures = {"iou/segments", "iou/edge", "error/depth", "error/normals", "error/flow"}
    intervals = {f"{what}/{task}" for task in ("depth", "flow") for what in ("bins", "count", "mean_error")}
    constants = {f"constant_{name}" for name in measures}
    sums = {"confusion/segments", "confusion/edge", "angles/normals"} | intervals
    assert set(kept) == {"name", "true/room", "pred/room"} | measures | constants | sums
    for name in measures:
        np.testing.assert_allclose(kept[name], EVALUATED.dense[name.split("/")[1]].measures, rtol=1e-6)
    assert kept["confusion/segments"].shape == (4, 4)


@pytest.mark.parametrize("side", [256, 6])
def test_examples_have_compact_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr(predictions, "_MAP_SIDE", side)
    save_examples(tmp_path / "examples.npz", EVALUATED, TASKS, batches(4), NAMES, predict)
    kept, step = read(tmp_path / "examples.npz"), 12 // min(side, 12)
    index = kept["index"]
    np.testing.assert_allclose(kept["images"], np.round(IMAGES[index] * 255))
    for name in DENSE:
        output, losses = Output.of(TASKS[name]), EVALUATED.dense[name].losses
        order = np.argsort(losses)[:5]  # the last has no label
        assert index[kept[f"best/{name}"]].tolist() == order[:3].tolist()
        assert index[kept[f"worst/{name}"]].tolist() == order[::-1][:2].tolist()
        for row, number in enumerate(index):
            for key, found in (
                (f"true/{name}", output.label_map(LABELS[name][number])),
                (f"pred/{name}", output.prediction_map(OUTPUTS[name][number])),
            ):
                assert kept[key].dtype == ("int16" if name in ("segments", "edge") else "float16")
                np.testing.assert_allclose(kept[key][row], found[::step, ::step], rtol=1e-3, atol=1e-4)
        key = "iou" if name in ("segments", "edge") else "error"
        np.testing.assert_allclose(kept[f"{key}/{name}"], EVALUATED.dense[name].measures[index], rtol=1e-6)
    np.testing.assert_array_equal(kept["true/room"], LABELS["room"][index])


def test_examples_of_dense_tasks_are_predicted_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="predict is required for dense tasks"):
        save_examples(tmp_path / "examples.npz", EVALUATED, TASKS, batches(), NAMES)
