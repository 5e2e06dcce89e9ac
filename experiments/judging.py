"""At which epoch of training a comparison judges its networks: `--judge_at`.

Each network could be judged at the epoch of its best `val_mtl_score`. This rule is biased against sharing: a
single-task network then has the best epoch of its task, and a shared network a compromise between its tasks. The other
two rules treat both sides in the same way.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

import data
from experiments.dense_evaluation import DenseResult
from experiments.evaluation import Outputs, evaluate_outputs, predict_split, primary_metric
from experiments.recorder import Recorder
from experiments.run_directory import RunDirectory
from mtl_keras import MultiTaskModel
from mtl_keras.checks import unknown_value
from mtl_keras.export.replacing import replacing
from mtl_keras.training.spec import PrimaryMetric

RULES = {
    "last": "Every network is judged after its last epoch.",
    "best_per_task": "Every task is judged at its own best epoch in validation, with both methods.",
    "best_mean": "Every network is judged at the epoch of its best mean over its tasks in validation. A network of one "
    "task gets the best epoch of that task, a shared network a compromise: this is biased against sharing.",
}
"""Rule -> its description, for reports. The first is the default."""
DEFAULT_RULE = "last"
_MODELS = {"last": "last", "best_per_task": "best_per_task", "best_mean": "best"}


def check_rule(judge_at: str) -> None:
    """Checks that a rule exists.

    Raises:
        ValueError: for an unknown rule, with the choices.
    """
    if judge_at not in RULES:
        raise unknown_value("value of judge_at", judge_at, RULES)


def evaluation_file(directory: RunDirectory, judge_at: str, split: str) -> Path:
    """Returns the file with a run's evaluation on a split by a rule."""
    if (judge_at, split) == ("best_mean", "test"):
        return directory.metrics_file
    return directory.evaluation_file(_MODELS[judge_at], split)


def best_epochs(history: Sequence[Mapping[str, float]], primary: Mapping[str, PrimaryMetric]) -> dict[str, int]:
    """Returns the epoch, from 0, of each task's best primary metric in validation; the first of equal ones.

    Args:
        history: the logs of each epoch; NaN counts as the worst value.
        primary: task -> its primary metric.
    """
    best = {}
    for task, (metric, higher_is_better) in primary.items():
        values = np.array([epoch.get(f"val_{task}_{metric}", math.nan) for epoch in history])
        gains = values if higher_is_better else -values
        best[task] = int(np.argmax(np.where(np.isnan(gains), -math.inf, gains)))
    return best


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of each task's best epoch in validation, one file per epoch.

    It must come before the recorder: a run that resumes after an epoch then has the weights of that epoch.

    Args:
        folder: the folder of the files.
        recorder: the recorder, whose history has the earlier epochs.
        primary: task -> its primary metric.
    """

    def __init__(self, folder: Path, recorder: Recorder, primary: Mapping[str, PrimaryMetric]) -> None:
        super().__init__()
        self.folder = folder
        self.recorder = recorder
        self.primary = primary

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        # Not at the end of an epoch: until its checkpoint is written, a killed run resumes before it.
        if self.recorder.history:
            needed = {_file(self.folder, best) for best in best_epochs(self.recorder.history, self.primary).values()}
            for file in set(self.folder.glob("*")) - needed:
                file.unlink()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if epoch in best_epochs([*self.recorder.history, logs or {}], self.primary).values():
            with replacing(_file(self.folder, epoch)) as temporary:
                self.model.save_weights(temporary)


def best_weights_callbacks(
    judge_at: str | None, directory: RunDirectory, dataset: data.AnyDataset, recorder: Recorder
) -> list[keras.callbacks.Callback]:
    """Returns the callback that saves the weights that a rule needs, if any."""
    if judge_at != "best_per_task":
        return []
    primary = {name: primary_metric(task) for name, task in dataset.tasks.items()}
    return [BestWeights(directory.best_weights, recorder, primary)]


def judge(
    judge_at: str,
    directory: RunDirectory,
    dataset: data.AnyDataset,
    batch_size: int,
    model: MultiTaskModel,
    recorder: Recorder,
) -> None:
    """Evaluates a trained network on the test and the training split by a rule, and writes the evaluations.

    That of the rule "best_mean" on the test split is in `metrics.json`.

    Args:
        judge_at: one of `RULES`.
        directory: the run.
        dataset: its data.
        batch_size: images in a batch.
        model: its network, whose weights are changed.
        recorder: its recorder.
    """
    sources = _sources(judge_at, directory, dataset, recorder)
    for split in ("train",) if judge_at == "best_mean" else ("test", "train"):
        true: dict[str, np.ndarray] = {}
        pred: dict[str, np.ndarray] = {}
        dense: dict[str, DenseResult] = {}
        for file, names in sources.items():
            model.load_weights(file)
            batches = dataset.batches(split, batch_size)
            outputs = predict_split(model.predict_on_batch, batches, dataset.tasks.subset(names))
            true |= outputs.true
            pred |= outputs.pred
            dense |= outputs.dense
        evaluation = evaluate_outputs(Outputs(true, pred, dense), dataset.tasks)
        directory.write_evaluation(_MODELS[judge_at], split, evaluation)


def forget_best_weights(directory: RunDirectory) -> None:
    """Removes the files of `BestWeights`, once the run is evaluated."""
    shutil.rmtree(directory.best_weights, ignore_errors=True)


def _sources(
    judge_at: str, directory: RunDirectory, dataset: data.AnyDataset, recorder: Recorder
) -> dict[Path, list[str]]:
    """Returns the files of the weights that a rule evaluates, with the tasks that it judges by them."""
    tasks = dataset.tasks
    if judge_at == "best_mean":
        return {directory.best_model: list(tasks)}
    if judge_at == "last":
        checkpoint = directory.checkpoints.last()
        if checkpoint is None:
            raise ValueError(f"There is no checkpoint of the last epoch in {directory.checkpoints.folder}")
        return {checkpoint.model: list(tasks)}
    files: dict[Path, list[str]] = {}
    for task, epoch in best_epochs(recorder.history, {name: primary_metric(tasks[name]) for name in tasks}).items():
        files.setdefault(_file(directory.best_weights, epoch), []).append(task)
    return files


def _file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:05d}.weights.h5"
