"""A table without images, through the programs: train, evaluate, predict, report, export."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from experiments.building import open_dataset
from experiments.config import RunConfig
from experiments.plan import Plan
from experiments.run_directory import RunDirectory
from models import saved
from tests import people
from tests.programs.conftest import Program

LEARN = ["--epochs=4", "--batch_size=20", "--learning_rate=0.003", "--model=mlp(dense=32)", "--jit_compile=false"]
TASKS = f"--tasks={','.join(people.TASKS)}"
LEFT_OUT = "column 'country' has only 'CH' in the 480 training rows"


@pytest.fixture(scope="module")
def cells() -> dict[str, list[str]]:
    return people.columns(600)


@pytest.fixture(scope="module")
def table(cells: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return people.write(tmp_path_factory.mktemp("own") / "people.csv", cells)


@pytest.mark.filterwarnings("ignore:.*It is left out")
def test_a_table_trains_evaluates_predicts_reports_and_exports(
    cells: dict[str, list[str]], table: Path, tmp_path: Path, program: Program
) -> None:
    run = RunDirectory(tmp_path / "run")
    done = program("train", f"--dataset=csv:{table}", TASKS, *LEARN, f"--run_dir={run.path}", "--export")
    assert (done.code, done.err) == (0, "")
    assert "Data: 480 train, 60 validation, 60 test; 4 columns as 9 numbers\n" in done.out
    assert "numeric: age, hours per week\ncategorical: job (3), member (2)\nbinary: rich, married\n" in done.out
    metrics = json.loads(run.metrics_file.read_text())
    for task, entry in metrics["primary"].items():
        measured = metrics["tasks"][task][entry["metric"]]
        gain = measured["value"] - measured["baseline"]
        assert (gain if entry["higher_is_better"] else -gain) > 0.1, (task, measured)
    report = run.report_file.read_text("utf-8")
    for words in ("Confusion matrix of rich", LEFT_OUT.replace("'", "&#39;"), "standardised: mean", "60 rows"):
        assert words in report
    assert "<figure><img" not in report
    assert not run.examples_file.exists()

    again = program("evaluate", f"--run_dir={run.path}", "--saved_model")
    assert again.code == 0
    evaluated = json.loads(run.evaluation_file("saved_model", "test").read_text())["tasks"]
    value = evaluated["spends"]["mae"]["value"]
    np.testing.assert_allclose(value, metrics["tasks"]["spends"]["mae"]["value"], rtol=1e-4)

    check_predictions(run, cells, tmp_path, program)
    check_serving(run, cells)
    changed = people.write(table.parent / "changed.csv", {**cells, "age": ["20", *cells["age"][1:]]})
    run.config_file.write_text(run.config_file.read_text().replace(str(table), str(changed)))
    refused = program("evaluate", f"--run_dir={run.path}")
    assert refused.code == 1
    assert "The training rows are not those that the run in" in refused.err
    assert "Column 'age' was" in refused.err


def check_predictions(run: RunDirectory, cells: dict[str, list[str]], folder: Path, program: Program) -> None:
    """Checks the predictions for some rows, by the run and by its export: an unseen category is no error."""
    few = {name: [*cells[name][:30], "" if name == "age" else cells[name][0]] for name in people.FEATURES[:4]}
    few["job"][1] = "astronaut"
    file = people.write(folder / "rows.csv", few)
    found = []
    sources = (f"--run_dir={run.path}", f"--saved_model_dir={run.saved_model}")
    for number, source in enumerate(sources):
        done = program("evaluate", f"--predict={file}", source, f"--output={folder}/out{number}")
        assert done.code == 0, done.err
        unseen = (
            "warning: 1 cells of column 'job' are no category of the training rows: 'astronaut'. They count as none\n"
        )
        assert done.err == ("" if number else unseen)  # a SavedModel does not know its categories
        assert "line 21" in done.out
        assert "line 22" not in done.out
        assert "and 11 more rows" in done.out
        with (folder / f"out{number}/predictions.csv").open(newline="") as lines:
            found.append(list(csv.DictReader(lines)))
    assert [row["line"] for row in found[0]] == [str(line) for line in range(2, 33)]
    for one, other in zip(*found, strict=True):
        assert one.keys() == other.keys()
        assert one["married"] == other["married"]
        assert float(one["spends"]) == pytest.approx(float(other["spends"]), rel=1e-4)
    bad = people.write(folder / "bad.csv", {**few, "age": ["x"] * 31})
    wrong = {
        f"--predict={bad}": "bad.csv, line 2: 'x' in column 'age', a column of numbers",
        f"--predict={folder}/none.csv": "There is no such file. Received: --predict=",
        f"--predict={folder}/out0/predictions.csv": "there is no column 'age'",
    }
    for flag, says in wrong.items():
        done = program("evaluate", flag, sources[0])
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert says in done.err


def check_serving(run: RunDirectory, cells: dict[str, list[str]]) -> None:
    """Checks that raw columns give the predictions of the model for the encoded rows of the test split."""
    dataset = open_dataset(run.config())
    vectors, _ = next(iter(dataset.batches("test", 60)))
    expected = saved.load_keras_file(run.best_model).predict_on_batch(vectors)
    rows = [int(name.removeprefix("line ")) - 2 for name in dataset.example_names("test") or []]
    text = {name: tf.constant([cells[name][row] for row in rows]) for name in ("job", "member")}
    numbers = {
        name.replace(" ", "_"): tf.constant([float(cells[name][row] or math.nan) for row in rows])
        for name in people.FEATURES[:2]
    }
    served = tf.saved_model.load(str(run.saved_model)).signatures["serve_columns"](**text, **numbers)
    for task in people.TASKS:
        scale = max(1.0, np.abs(expected[task]).max())
        np.testing.assert_allclose(served[task], expected[task], atol=1e-5 * scale)


@pytest.mark.filterwarnings("ignore:.*It is left out")
def test_single_task_networks_do_not_see_the_other_labels(table: Path) -> None:
    config = RunConfig(dataset=f"csv:{table}", tasks=people.TASKS, feature_types={"age": "categorical"})
    config.check()
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    runs = dict(Plan(config, ("single_task", "equal_weights"), (0,)).runs())
    columns = {str(folder.parent): tuple(open_dataset(each).features.columns) for folder, each in runs.items()}
    assert columns == dict.fromkeys(
        ("multi_task", *(f"single_task/{task}" for task in people.TASKS), "equal_weights"), people.FEATURES[:4]
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--dataset=csv:{table}", "no column has names of images.*--tasks .*Columns: age, hours per week"),
        ("--dataset=csv:{table} --tasks=rch", "Unknown column in tasks .*Did you mean 'rich'"),
        ("--dataset=csv:{table} --tasks=rich --features=ages", "Unknown column in features .*Did you mean 'age'"),
        ("--dataset=csv:{table} --tasks=rich --features=rich", "'rich' in tasks and in features"),
        ("--dataset=csv:{table} --tasks=rich --features=age --feature_types=age", "--feature_types takes column=type"),
        ("--dataset=csv:{table} --tasks=rich --features=age --model=cnn", "Trunk 'cnn' takes images .*'mlp'"),
        ("--dataset=csv:{table} --tasks=rich --features=age --model=two_paths", "Network 'two_paths' takes images"),
        ("--dataset=csv:{table} --tasks=rich --features=age --model=mlp(dense=0)", "Wrong arguments|dense|units"),
        ("--dataset=csv:{table} --tasks=rich --features=age --augment", "augment flips images"),
        ("--dataset=folder:{tmp} --features=age", "features is for a dataset csv:PATH"),
        ("--feature_types=age=numeric", "feature_types is for a dataset csv:PATH"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(flags: str, says: str, table: Path, tmp_path: Path, program: Program) -> None:
    words = flags.format(tmp=tmp_path, table=table).split()
    done = program("train", *words, f"--run_dir={tmp_path}/run")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert tf.strings.regex_full_match(done.err.strip(), f"error: .*({says}).*")
    assert not (tmp_path / "run").exists()
