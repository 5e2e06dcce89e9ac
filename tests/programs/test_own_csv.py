"""One's own images and CSV file, through the programs: train, evaluate, report, export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from experiments.building import open_dataset
from experiments.config import RunConfig
from experiments.plan import Plan
from experiments.run_directory import RunDirectory
from tests import stripes
from tests.programs.conftest import Program

EXAMPLES = 500
LEARN = ["--model=cnn(filters=8)", "--epochs=4", "--batch_size=25", "--learning_rate=0.003", "--jit_compile=false"]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stripes.draw(tmp_path_factory.mktemp("own") / "stripes", EXAMPLES)


def test_a_csv_file_trains_evaluates_reports_and_exports(labels: Path, tmp_path: Path, program: Program) -> None:
    run = RunDirectory(tmp_path / "run")
    done = program("train", f"--dataset=csv:{labels}", *LEARN, f"--run_dir={run.path}", "--export")
    assert (done.code, done.err) == (0, "")
    assert "classification: kind (checks, columns, rows)\nbinary: red, bright\nregression: contrast\n" in done.out
    description = run.config_file.read_text()
    missing = {
        task: "/".join(map(str, n.values())) for task, n in json.loads(description)["data"]["missing_labels"].items()
    }
    assert list(missing) == ["red", "bright"]
    assert f"Missing labels (train/validation/test): red {missing['red']}, bright {missing['bright']}\n" in done.out
    assert "Few steps: 64 in all. A lower --batch_size or more --epochs may do better.\n" in done.out
    assert run.config().dataset == f"csv:{labels}"
    metrics = json.loads(run.metrics_file.read_text())
    assert {task: entry["metric"] for task, entry in metrics["primary"].items()} == {
        "kind": "accuracy",
        "red": "accuracy",
        "bright": "accuracy",
        "contrast": "scaled_mae",
    }
    for task, entry in metrics["primary"].items():
        measured = metrics["tasks"][task][entry["metric"]]
        gain = measured["value"] - measured["baseline"]
        assert (gain if entry["higher_is_better"] else -gain) > 0.15, (task, measured)
    report = run.report_file.read_text("utf-8")
    assert "contrast" in report
    assert f"{missing['red'].split('/')[0]} of 400" in report
    assert "64 in all: the network is hardly trained. If it has batch normalisation" in report

    image = (labels.parent / "images/000.png").read_bytes()
    served = tf.saved_model.load(str(run.saved_model)).signatures["serve_encoded"](encoded=tf.constant([image]))
    assert served["kind"].shape == (1, 3)
    assert 0 < float(served["contrast"][0, 0]) < 120_000

    shutil.copytree(labels.parent, tmp_path / "moved")
    again = program("evaluate", f"--run_dir={run.path}", "--saved_model", f"--data_dir={tmp_path}/moved")
    assert again.code == 0
    evaluated = json.loads(run.evaluation_file("saved_model", "test").read_text())["tasks"]
    for task, entry in metrics["primary"].items():
        value = evaluated[task][entry["metric"]]["value"]
        np.testing.assert_allclose(value, metrics["tasks"][task][entry["metric"]]["value"], rtol=1e-4)

    file = tmp_path / "moved/labels.csv"
    file.write_text(file.read_text("utf-8").replace("rows", "lines"), "utf-8")
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere/run"
    shutil.copytree(run.path, moved)
    config = moved / "config.json"
    config.write_text(config.read_text().replace(str(labels), str(file)))
    changed = program("evaluate", f"--run_dir={moved}")
    assert changed.code == 1
    assert "Task 'kind' was" in changed.err


def test_a_comparison_knows_the_tasks_of_a_csv_file(labels: Path) -> None:
    config = RunConfig(dataset=f"csv:{labels}", task_types={"bright": "regression"}, image_size=(4, 6))
    config.check()
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    runs = dict(Plan(config, ("single_task",), (0,)).runs())
    assert [str(folder) for folder in runs] == [
        "multi_task/seed-0",
        *(f"single_task/{task}/seed-0" for task in stripes.HEADER[1:]),
    ]
    dataset = open_dataset(runs[Path("single_task/bright/seed-0")])
    assert (dataset.tasks.names, dataset.tasks["bright"].head, dataset.image_shape) == (
        ("bright",),
        "regression",
        (4, 6, 3),
    )


def test_the_image_column_and_the_extension_are_settings(labels: Path, tmp_path: Path) -> None:
    text = labels.read_text("utf-8").replace("image,kind", "photo,kind").replace(".png", "")
    lines = [",".join([*line.split(",")[1:], line.split(",")[0]]) for line in text.splitlines()]
    file = tmp_path / "reordered.csv"
    file.write_text("\n".join(lines), "utf-8")
    config = RunConfig(
        dataset=f"csv:{file}", data_dir=str(labels.parent), image_column="photo", image_extension=".png",
        train_examples=100,
    )  # fmt: skip
    config.check()
    dataset = open_dataset(config)
    assert dataset.tasks.names == stripes.HEADER[1:]
    assert dataset.size("train") == 100
    assert next(iter(dataset.batches("train", 2)))[0].shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--dataset=csv:{tmp}/none.csv", "There is no file .*none.csv"),
        ("--dataset=csv:{labels} --synthetic", "synthetic is for built-in datasets"),
        ("--dataset=csv:{labels} --image_size=0", "--image_size takes a side, as 64.*Received: '0'"),
        ("--dataset=csv:{labels} --image_size=8x8x3", "Received: '8x8x3'"),
        ("--dataset=csv:{labels} --task_types=kind", "--task_types takes column=type.*Received: 'kind'"),
        ("--dataset=csv:{labels} --task_types=kind=number", "Unknown type of column 'kind'.*Choices: binary"),
        ("--dataset=csv:{labels} --tasks=knd", "Unknown column in tasks .*labels.csv.*Did you mean 'kind'"),
        ("--dataset=csv:{labels} --task_types=knd=binary", "Unknown column in types .--task_types.*'kind'"),
        ("--dataset=csv:{labels} --task_weights=knd=2", "Unknown task in task_weights. Did you mean 'kind'"),
        ("--dataset=csw:{labels}", "Unknown dataset.*Choices: .*csv:PATH"),
        ("--dataset=csv:{labels} --image_column=photo", "Unknown image column .*labels.csv.*'photo'"),
        ("--dataset=csv:{labels} --image_extension=.jpg", "there is no image 'images/000.png.jpg'"),
        ("--dataset=csv:{labels} --train_examples=1000", "has 400 examples. Received: train_examples=1000"),
        ("--dataset=folder:{tmp} --image_column=photo", "image_column is for a dataset csv:PATH"),
        ("--task_types=item=binary", "task_types is for a dataset csv:PATH or folder:PATH"),
        ("--image_size=32", "image_size is for a dataset .*Received: image_size=.32, 32., dataset='fashion_mnist'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(flags: str, says: str, labels: Path, tmp_path: Path, program: Program) -> None:
    words = flags.format(tmp=tmp_path, labels=labels).split()
    done = program("train", *words, f"--run_dir={tmp_path}/run")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert tf.strings.regex_full_match(done.err.strip(), f"error: .*{says}.*")
    assert not (tmp_path / "run").exists()
