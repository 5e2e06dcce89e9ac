"""The report of a run shows the values in its records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.config import RunConfig
from experiments.files import read_history, write_arrays, write_history
from experiments.predictions import read_arrays
from experiments.report.results import is_overfitting
from experiments.run_directory import RunDirectory
from experiments.run_report import run_report
from mtl_keras.analysis import Affinity
from tests.reports.markup import Page, drawings
from tests.reports.records import FORTY_ONE, write_run

SECTIONS = ["results", "curves", "schedule", "weights", "gradients", "cost", "configuration"]


def report(directory: RunDirectory) -> str:
    return run_report(directory).read_text("utf-8")


def test_it_shows_the_numbers_of_the_records(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", gradients=True)
    source = report(directory)
    page = Page(source)
    assert [section["id"] for section in page.all("section")] == SECTIONS
    metrics = json.loads(directory.metrics_file.read_text())
    for task in ("item", "group"):
        assert f"{metrics['tasks'][task]['accuracy']['value']:.4f}" in page.words
    assert "2 of 2 tasks did better than the best constant" in page.words
    assert "Best epoch: 3 of 3, with the highest val_mtl_score (0.5200): the mean" in page.words
    flags = "--dataset fashion_mnist --synthetic --schedule dst --epochs 3 --monitor_gradients 5"
    assert f"To train with the same settings: python train.py {flags}" in page.words
    assert f"python train.py {flags} --compare single_task --seeds 0,1,2" in page.words
    assert "least group (75%), most item (100%)" in page.words
    assert "Synthetic images" in page.words
    assert "25.0 ms" in page.words
    assert "1.00 GiB" in page.words
    assert len(set(page.ids)) == len(page.ids)
    assert all(drawing.attrib["aria-label"] for drawing in drawings(source))
    assert report(directory) == source


@pytest.mark.parametrize("epochs", [0, 2])
def test_unfinished_run(tmp_path: Path, epochs: int) -> None:
    directory = write_run(tmp_path / "run", epochs=epochs, finished=False, config=RunConfig(epochs=5))
    page = Page(report(directory))
    assert f"Not finished: {epochs} of 5 epochs" in page.words
    assert "did better" not in page.words
    assert [section["id"] for section in page.all("section")] == SECTIONS


def test_run_with_settings_only(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.create(RunConfig())
    assert "0 of 10 epochs" in Page(report(directory)).words


def test_tasks_with_a_worse_result_and_without_a_result(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", ("item", "group", "landmarks"))
    metrics = json.loads(directory.metrics_file.read_text())
    metrics["tasks"]["landmarks"]["point_error"] = {"value": 9.5, "baseline": 9.0}
    metrics["tasks"]["group"]["accuracy"] = {"value": None, "baseline": 0.5}
    directory.metrics_file.write_text(json.dumps(metrics))
    words = Page(report(directory)).words
    assert "1 of 3 tasks did better" in words
    assert "Not clearly better than that: landmarks." in words
    assert "finite numbers): group." in words


def test_a_difference_of_less_than_the_precision_shown_is_not_clear(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run")
    metrics = json.loads(directory.metrics_file.read_text())
    metrics["tasks"]["item"]["accuracy"] = {"value": 0.50001, "baseline": 0.5}
    directory.metrics_file.write_text(json.dumps(metrics))
    words = Page(report(directory)).words
    assert "item0.50000.5000+0.0000● no clear differenceaccuracy ↑" in words
    assert "Not clearly better than that: item." in words


def test_a_difference_within_the_noise_of_the_test_images_is_not_clear(tmp_path: Path) -> None:
    tasks = ("item", "group", "age", "landmarks")
    directory = write_run(tmp_path / "run", tasks, predictions=True)
    arrays = dict(np.load(directory.predictions_file))
    # Item and age are predicted well, group and landmarks as the constant would.
    labelled = arrays["true/item"] >= 0
    arrays["true/item"][labelled] = np.arange(labelled.sum()) % 2
    arrays["true/group"][np.isfinite(arrays["true/group"])] = 1.0
    arrays["pred/age"] = arrays["true/age"] + 0.01
    arrays["pred/landmarks"] = np.full_like(arrays["true/landmarks"], 0.5)
    arrays["pred/item"] = np.eye(10, dtype="float32")[np.maximum(arrays["true/item"], 0)]
    arrays["pred/group"][:] = 0.9
    write_arrays(directory.predictions_file, arrays)
    source = report(directory)
    words = Page(source).words
    assert "2 of 4 tasks did better" in words
    assert "Not clearly better than that: group, landmarks." in words
    labels = "".join(drawing.attrib["aria-label"] for drawing in drawings(source))
    assert "'yes' and 0 of 0 'no' were predicted as 'yes'." in labels


def test_few_steps_and_few_images_are_warned_about(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run")
    words = Page(report(directory)).words
    assert "Few steps: 30 in all: the network is hardly trained. If it has batch normalisation" in words
    assert "Small test split: 30 images. One more correct image raises an accuracy by 3.3 percentage points" in words
    assert "Still improving" not in words
    config, metrics = (json.loads(file.read_text()) for file in (directory.config_file, directory.metrics_file))
    config["data"]["sizes"]["test"], metrics["cost"]["steps"] = 500, 200
    directory.config_file.write_text(json.dumps(config))
    directory.metrics_file.write_text(json.dumps(metrics))
    words = Page(report(directory)).words
    assert "Few steps" not in words
    assert "Small test split" not in words
    assert "Still improving" in words
    assert "Missing labels" not in words
    assert "item over 1 epoch: " in report(write_run(tmp_path / "one", epochs=1))


def test_missing_labels_and_columns_that_are_no_tasks(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run")
    config = json.loads(directory.config_file.read_text())
    config["data"]["sizes"]["test"] = 600
    config["data"]["missing_labels"] = {"item": {"train": 140, "test": 550}, "group": {"train": 0, "test": 600}}
    config["data"]["left_out"] = {"note": "nearly every cell of column 'note' has a different text"}
    directory.config_file.write_text(json.dumps(config))
    words = Page(report(directory)).words
    assert "Small test split: 600 images, 50 of which have a label of item. One more correct image raises an" in words
    assert "accuracy by 2.0 percentage points" in words
    assert "item140 of 240-550 of 600" in words
    assert "notenearly every cell of column 'note' has a different text" in words


def with_history(directory: RunDirectory, columns: dict[str, list[float]]) -> None:
    """Replaces columns of the history."""
    history = {**read_history(directory.history_file), **columns}
    rows = [dict(zip(history, values)) for values in zip(*history.values())]
    write_history(directory.history_file, [{name: row[name] for name in row if name != "epoch"} for row in rows])


RISING, FALLING, FLAT = np.linspace(0.5, 0.94, 12), np.linspace(1.5, 0.2, 12), np.linspace(1.3, 1.25, 12)


@pytest.mark.parametrize(
    ("training", "validation", "overfitted"),
    [
        ((FALLING, RISING), (FLAT, RISING.clip(max=0.51)), True),
        ((FALLING, RISING), (FLAT + np.linspace(0, 1, 12), RISING.clip(max=0.6)), True),
        ((FALLING, RISING), (1.2 * FALLING, RISING - 0.05), False),  # validation improves as well
        ((FALLING + 0.5, RISING), (0.9 * FALLING + np.eye(12)[-1], RISING), False),  # the last epoch is noisy
        ((FALLING, RISING), (0.2 + 0.0 * FLAT, RISING), False),  # no gap
        ((FLAT, RISING), (FLAT + 1, RISING - 0.4), False),  # a gap from the start
    ],
)
def test_overfitting_is_a_gap_and_a_trend(
    training: list[np.ndarray], validation: list[np.ndarray], overfitted: bool
) -> None:
    assert is_overfitting(training[0], validation[0], training[1], validation[1], True) == overfitted


def test_an_overfitted_task_is_warned_about(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", epochs=12)
    columns = {"item_loss": FALLING, "item_accuracy": RISING}
    columns |= {"val_item_loss": FLAT, "val_item_accuracy": RISING.clip(max=0.51)}
    with_history(directory, {name: list(values) for name, values in columns.items()})
    warning = Page(report(directory)).words.partition("Overfitting:")[2].partition("Results")[0]
    assert "item (accuracy 0.940 in training" in warning
    assert "group (" not in warning


def test_a_task_in_the_unit_of_its_labels_is_warned_about(tmp_path: Path) -> None:
    words = Page(report(write_run(tmp_path / "run", ("item", "age")))).words
    assert "Task in data units: the primary metric mae is in the unit of the labels: age (up to 8" in words
    assert "data units" not in Page(report(write_run(tmp_path / "alone", ("age",)))).words
    assert "data units" not in Page(report(write_run(tmp_path / "other", ("item", "landmarks")))).words


def test_tasks_have_a_row_and_examples_their_file_names(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", ("item", "age"), predictions=True)
    source = report(directory)
    words = Page(source).words
    assert "age" + "regression" + "1" + "mae ↓" in words
    assert "item" + "classification" + "10" + "accuracy ↑" in words
    saved = read_arrays(directory.examples_file)
    assert saved is not None
    worst = saved.get("name")[saved.get("worst/item")[0]]
    assert worst == f"folder/{saved.get('index')[saved.get('worst/item')[0]]}.png"
    assert f"worst, {worst}: wrong" in words
    assert "label deviationR²" in words
    saved = read_arrays(directory.predictions_file)
    assert saved is not None
    assert saved.get("name")[7] == "folder/7.png"


def test_constant_weights_are_text_and_changing_ones_a_figure(tmp_path: Path) -> None:
    config = RunConfig(schedule="none")
    directory = write_run(tmp_path / "run", config=config)
    assert "item 1.000 to 3.000, group 1.000 to 3.000" in report(directory)
    lines = directory.history_file.read_text().splitlines()
    directory.history_file.write_text("\n".join([lines[0], *lines[1:2] * 3]) + "\n")
    assert "Constant in the steps in which a task ran: 1 for item, group." in Page(report(directory)).words


def test_values_are_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x>"
    directory = write_run(
        tmp_path / "a<b>", config=RunConfig(dataset=hostile, model=hostile, task_weights={hostile: 1})
    )
    page = Page(report(directory))
    assert page.all("script") == page.all("img") == []
    assert page.words.count(hostile) >= 4


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config.json is damaged"),
        ("config.json", "[]", "config.json is damaged"),
        ("history.csv", "epoch,item_loss\n0,1.0,2.0\n", "history.csv is damaged: line 2 has 3 cells"),
        ("history.csv", "epoch,item_loss\n0,one\n", "history.csv is damaged: line 2"),
        ("history.csv", "", "history.csv is damaged"),
        ("history.csv", "epoch,item_loss\n0,1.0\n", "history.csv does not have the best epoch"),
        ("metrics.json", "{}", "metrics.json is damaged"),
        ("metrics.json", '{"primary": {"item": {"metric": "accuracy"}}}', "metrics.json is damaged"),
        (
            "gradients.json",
            '{"tasks": ["a"], "epochs": [{"epoch": 0, "cosine": [[1, 2]]}]}',
            "gradients.json is damaged",
        ),
        ("sharing.json", '{"epochs": [{"epoch": 0, "examples": 2}]}', "sharing.json is damaged"),
    ],
)
def test_the_error_names_a_damaged_file(tmp_path: Path, file: str, content: str, message: str) -> None:
    directory = write_run(tmp_path / "run", gradients=True)
    directory.report_file.write_text("as it was")
    (directory.path / file).write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        run_report(directory)
    assert "\n" not in str(caught.value)
    assert directory.report_file.read_text() == "as it was"


def test_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config.json. Received: run_dir="):
        run_report(RunDirectory(tmp_path))


def affinity_of(tasks: tuple[str, ...], mean: float, count: int) -> Affinity:
    """Affinities of alternating sign whose standard errors are 0.01."""
    size = (len(tasks), len(tasks))
    signs = np.where(np.indices(size).sum(axis=0) % 2, 1.0, -1.0)
    return Affinity(tasks, mean * signs, np.full(size, 0.01), np.full(size, count))


def test_affinities_have_a_heat_map_and_errors(tmp_path: Path) -> None:
    tasks = ("item", "group", "landmarks")
    source = report(write_run(tmp_path / "run", tasks, affinity=affinity_of(tasks, 0.04, 30)))
    page = Page(source)
    assert "+0.0400 ± 0.0100" in page.words
    assert "every pair 30 times" in page.words
    assert "Clearly above 0: item on group, group on item, group on landmarks, landmarks on group." in source
    assert "Clearly below 0: item on landmarks, landmarks on item." in source
    assert "Few measurements" not in page.words
    assert "Thin evidence" not in page.words


def test_thin_evidence_of_many_tasks_is_named(tmp_path: Path) -> None:
    page = Page(report(write_run(tmp_path / "run", FORTY_ONE, affinity=affinity_of(FORTY_ONE, 0.019, 3))))
    assert "Some pairs were measured only 3 times" in page.words
    assert "Only 0 of 1,640 pairs are clearly not 0" in page.words
    assert "the 20 pairs farthest from 0" in page.words
