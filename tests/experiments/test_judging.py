"""At which epoch a comparison judges its networks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.building import open_dataset
from experiments.config import RunConfig
from experiments.judging import RULES, BestWeights, best_epochs, judge
from experiments.method_comparison import compare_methods
from experiments.plan import Plan
from experiments.run_directory import RunDirectory
from experiments.run_results import read_methods, read_run
from experiments.runner import run
from models import saved
from mtl_keras.training.spec import PrimaryMetric
from tests.mtl_keras.callbacks.tiny import tiny_model
from tests.reports.records import write_comparison, write_run

PRIMARY = {"a": PrimaryMetric("accuracy", True), "b": PrimaryMetric("mae", False)}
LOGS = [{"val_a_accuracy": a, "val_b_mae": b} for a, b in [(0.5, 3.0), (0.7, 3.0), (math.nan, 1.0), (0.7, 2.0)]]


def test_each_task_has_the_first_of_its_best_epochs() -> None:
    assert best_epochs(LOGS, PRIMARY) == {"a": 1, "b": 2}
    assert best_epochs([{}, {}], PRIMARY) == {"a": 0, "b": 0}


def test_only_weights_of_best_epochs_are_kept(tmp_path: Path) -> None:
    recorder = SimpleNamespace(history=[])
    callback = BestWeights(tmp_path, recorder, PRIMARY)  # type: ignore[arg-type]
    callback.set_model(tiny_model())
    kept = []
    for epoch, logs in enumerate(LOGS):
        callback.on_epoch_begin(epoch)
        kept.append(sorted(int(file.name[6:11]) for file in tmp_path.iterdir()))
        callback.on_epoch_end(epoch, logs)
        recorder.history.append(logs)
    # At the start of an epoch those are left that a run would need if it resumed there.
    assert kept == [[], [0], [0, 1], [1, 2]]


def test_a_run_is_evaluated_by_each_rule(tmp_path: Path) -> None:
    config = RunConfig(
        synthetic=True,
        examples=64,
        data_dir=str(tmp_path / "data"),
        model="mlp(dense=16)",
        batch_size=16,
        epochs=3,
        learning_rate=0.05,
        verbose=0,
    )
    directory = RunDirectory(tmp_path / "run")
    run(config, directory, judge_at="best_per_task")
    assert not directory.best_weights.exists()
    model, dataset = saved.load_keras_file(directory.best_model), open_dataset(config)
    for rule in ("last", "best_mean"):
        judge(rule, directory, dataset, config.batch_size, model, SimpleNamespace())  # type: ignore[arg-type]
    found = read_run(directory.path)
    assert set(found.evaluations) == {(rule, split) for rule in RULES for split in ("test", "train")}
    per_task, best, last = (found.evaluations[rule, "test"] for rule in ("best_per_task", "best_mean", "last"))
    history = found.history
    epochs = best_epochs([dict(zip(history, row)) for row in zip(*history.values())], found.primary_metrics)
    for task, epoch in epochs.items():
        same = [other for other, at in ((best, found.best_epoch), (last, 2)) if at == epoch]
        assert all(per_task.tasks[task] == other.tasks[task] for other in same)
    assert len(set(epochs.values()) | {found.best_epoch, 2}) > 1, "the rules are the same in this run"


def test_a_rule_that_was_not_evaluated_is_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_run(tmp_path / name / "seed-0")
    methods = read_methods([tmp_path / "one", tmp_path / "two"])
    assert compare_methods(methods)[0].judge_at == "best_mean"
    with pytest.raises(ValueError, match=r"seed-0 was not evaluated .* Choices: best_mean. Received: 'last'"):
        compare_methods(methods, judge_at="last")
    with pytest.raises(ValueError, match=r"Unknown value of judge_at\. Did you mean 'last'"):
        compare_methods(methods, judge_at="lst")
    (tmp_path / "one" / "seed-0" / "evaluation-last-test.json").write_text("{}")
    with pytest.raises(ValueError, match=r"evaluation-last-test\.json is damaged, or of an older version"):
        read_methods([tmp_path / "one"])


def test_a_plan_without_a_rule_is_of_a_version_with_one_rule(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "garments", seeds=(0,))
    file = folder / "plan.json"
    values = json.loads(file.read_text())
    assert values.pop("judge_at") == "last"
    file.write_text(json.dumps(values))
    assert Plan.load(folder).judge_at == "best_mean"
