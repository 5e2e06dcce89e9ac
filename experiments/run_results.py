"""Reads the files of runs: `RunResult` is one run, finished or not, and `Method` the runs of one method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.affinity_record import AffinityTables, read_affinity
from experiments.evaluation import Evaluation, Score, number
from experiments.files import read_history, read_json
from experiments.gradient_record import GradientTables, read_gradients
from experiments.judging import RULES, evaluation_file
from experiments.run_directory import RunDirectory
from experiments.sharing_record import read_sharing
from experiments.task_groups import read_groups
from mtl_keras.analysis import Cost
from mtl_keras.callbacks.sharing_summary import SharingSummary
from mtl_keras.logs import TRAINING, parse_key
from mtl_keras.reports.outputs import Output
from mtl_keras.training.function import Specialization
from mtl_keras.training.spec import PrimaryMetric

_ACTIVE = "_active"


@dataclass(frozen=True)
class TrainingCost(Cost):
    """The cost of a run, without compiling, validation, checkpoints and evaluation.

    Args:
        steps: number of training steps.
        memory: peak memory of the process in bytes; `None` if not known.
        compiled: the compiled training functions.
    """

    steps: int = 0
    memory: int | None = None
    compiled: tuple[Specialization, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingCost:
        """Returns the cost from the entry in `metrics.json`."""
        compiled = tuple(Specialization(**function) for function in values.get("compiled") or ())
        seconds_per_step, seconds = (number(values[name]) for name in ("seconds_per_step", "seconds"))
        return cls(
            values["parameters"], seconds_per_step, seconds, values.get("steps", 0), values.get("memory"), compiled
        )


@dataclass(frozen=True)
class RunResult:
    """A run, read from its files.

    Args:
        folder: the run directory.
        config: its `config.json`: settings, data, versions, date.
        tasks: names of the tasks, in order.
        history: column of `history.csv` -> `(epochs,)`.
        failed: whether it was stopped by a loss that was NaN or infinite.
        gradients: its `gradients.json`; `None` if gradients were not monitored.
        affinity: its `affinity.json`; `None` if affinities were not measured.
        sharing: its `sharing.json`: epoch -> summary; empty for a network without soft sharing.
        finished: whether it was evaluated; the fields below are empty until then.
        primary_metrics: the primary metric of each task.
        best_epoch: the epoch, from 0, whose model is saved as the best; `None` if there is none yet.
        evaluations: (rule, split) -> evaluation, with the rules of `experiments.judging.RULES` and the splits `"test"`
            and `"train"`. The best model on the test split is `("best_mean", "test")`.
        cost: the cost of training.
    """

    folder: Path
    config: Mapping[str, Any]
    tasks: tuple[str, ...]
    history: Mapping[str, Sequence[float]]
    failed: bool = False
    gradients: GradientTables | None = None
    affinity: AffinityTables | None = None
    sharing: Mapping[int, SharingSummary] = field(default_factory=dict)
    finished: bool = False
    primary_metrics: Mapping[str, PrimaryMetric] = field(default_factory=dict)
    best_epoch: int | None = None
    evaluations: Mapping[tuple[str, str], Evaluation] = field(default_factory=dict)
    cost: TrainingCost = TrainingCost(0, math.nan, math.nan)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.resolve().name

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.config["seed"])

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(next(iter(self.history.values()), ()))

    @property
    def synthetic(self) -> bool:
        """Whether its images are synthetic, so that its metrics say nothing about the real dataset."""
        return bool(self.config.get("synthetic") or (self.config.get("data") or {}).get("synthetic"))

    @property
    def outputs(self) -> dict[str, Output]:
        """Descriptions of its tasks' outputs; empty for a run of an older version, which does not record them."""
        described = (self.config.get("data") or {}).get("tasks") or {}
        try:
            return {task: Output.from_json(described[task]) for task in self.tasks if task in described}
        except ValueError as cause:
            raise ValueError(f"{RunDirectory(self.folder).config_file} is damaged: {cause}") from cause

    def column(self, name: str) -> Sequence[float]:
        """Returns a column of the history, `(epochs,)`; NaN if there is no such column."""
        return self.history.get(name, [math.nan] * self.epochs)

    def by_task(self, quantity: str) -> np.ndarray:
        """Returns a quantity of all tasks, `(tasks, epochs)`; NaN if unknown."""
        columns = [self.column(f"{task}_{quantity}") for task in self.tasks]
        return np.array(columns).reshape(len(self.tasks), self.epochs)

    def primary(self, task: str) -> str | None:
        """Returns the name of a task's primary metric (for an unfinished run its first metric), `None` without any."""
        if task in self.primary_metrics:
            return self.primary_metrics[task].metric
        keys = [parse_key(column, self.tasks) for column in self.history]
        own = [key.quantity for key in keys if key.task == task and not key.validation]
        return next((quantity for quantity in own if quantity not in TRAINING), None)

    def higher_is_better(self, task: str) -> bool | None:
        """Returns the direction of a task's primary metric; `None` if it is not known yet."""
        return self.primary_metrics[task].higher_is_better if task in self.primary_metrics else None

    def directions(self, task: str, judge_at: str) -> dict[str, bool]:
        """Returns a task's metrics with a known direction, the primary one first, and whether higher is better.

        Runs of earlier versions record that of the primary metric only.
        """
        evaluation = self.evaluations.get((judge_at, "test"))
        own = evaluation.higher_is_better.get(task, {}) if evaluation else {}
        metric, higher_is_better = self.primary_metrics[task]
        return {metric: higher_is_better, **own}

    def score(self, task: str, metric: str | None = None, judge_at: str = "best_mean", split: str = "test") -> Score:
        """Returns a metric of a task, by default the primary one; NaN if it is not known."""
        evaluation = self.evaluations.get((judge_at, split))
        scores = evaluation.tasks[task] if evaluation else {}
        return scores.get(metric or self.primary(task) or "", Score(math.nan, math.nan))

    def validation_gain(self, task: str, judge_at: str) -> float:
        """Returns a task's primary metric in validation at the epoch of a rule, negated if lower is better."""
        metric, higher_is_better = self.primary_metrics[task]
        values = np.asarray(self.column(f"val_{task}_{metric}")) * (1 if higher_is_better else -1)
        if judge_at == "best_per_task":
            return float(np.nanmax(values, initial=-math.inf))
        return float(values[-1 if judge_at == "last" or self.best_epoch is None else self.best_epoch])


def read_run(folder: Path) -> RunResult:
    """Reads the files of a run.

    Raises:
        ValueError: if there is no run, or a file of it cannot be read, naming the file.
    """
    directory = RunDirectory(folder)
    if not directory.started:
        raise ValueError(f"No run found: the directory has no config.json. Received: run_dir={str(folder)!r}")
    config = read_json(directory.config_file)
    if not isinstance(config, dict):
        raise ValueError(f"{directory.config_file} is damaged: it holds no settings")
    history = read_history(directory.history_file) if directory.history_file.exists() else {}
    scores = history.get("val_mtl_score", ())
    run = RunResult(
        directory.path,
        config,
        _tasks_in(history, config.get("tasks") or ()),
        history,
        failed=directory.nonfinite.exists(),
        gradients=read_gradients(directory.gradients_file) if directory.gradients_file.exists() else None,
        affinity=read_affinity(directory.affinity_file) if directory.affinity_file.exists() else None,
        sharing=read_sharing(directory.sharing_file) if directory.sharing_file.exists() else {},
        best_epoch=int(np.nanargmax(scores)) if any(map(math.isfinite, scores)) else None,
    )
    return _with_results(run, directory) if directory.metrics_file.exists() else run


def _tasks_in(history: Mapping[str, Any], order: Sequence[str]) -> tuple[str, ...]:
    """Returns the tasks in the history, sorted by `order`, those that are not in it last."""
    seen = [name.removesuffix(_ACTIVE) for name in history if name.endswith(_ACTIVE)]
    return tuple(sorted(seen, key=lambda name: order.index(name) if name in order else len(order)))


def _with_results(run: RunResult, directory: RunDirectory) -> RunResult:
    """Returns a finished run with its evaluations."""
    file = directory.metrics_file
    values = read_json(file)
    try:
        primary = {task: PrimaryMetric(**entry) for task, entry in values["primary"].items()}
        for task, (metric, higher_is_better) in primary.items():
            if not isinstance(metric, str) or not isinstance(higher_is_better, bool):
                raise TypeError(f"the primary metric of {task!r}")
        best_epoch = values["best_epoch"]
        if not isinstance(best_epoch, int):
            raise TypeError("best_epoch")
        cost = TrainingCost.from_json(values["cost"])
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise ValueError(f"{file} is damaged, or of an older version: {cause}") from cause
    if not 0 <= best_epoch < run.epochs:
        raise ValueError(f"{directory.history_file} does not have the best epoch of {file}")
    files = {(rule, split): evaluation_file(directory, rule, split) for rule in RULES for split in ("test", "train")}
    return replace(
        run,
        tasks=tuple(primary),
        finished=True,
        primary_metrics=primary,
        best_epoch=best_epoch,
        evaluations={key: _evaluation(found, primary) for key, found in files.items() if found.exists()},
        cost=cost,
    )


def _evaluation(file: Path, tasks: Iterable[str]) -> Evaluation:
    """Reads an evaluation, which must have all tasks."""
    values = read_json(file)
    try:
        evaluation = Evaluation.from_json(values)
        for task in tasks:
            evaluation.tasks[task]
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise ValueError(f"{file} is damaged, or of an older version: {cause}") from cause
    return evaluation


@dataclass(frozen=True)
class Method:
    """A method and its finished runs, one per seed; for networks of some of the tasks, one per network and seed.

    Args:
        name: name of the method.
        folder: the folder of its runs.
        runs: the runs.
        groups: the tasks of each network if they were given as groups, which may overlap.
    """

    name: str
    folder: Path
    runs: tuple[RunResult, ...]
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """The `config.json` of its first run."""
        return self.runs[0].config

    @property
    def synthetic(self) -> bool:
        """Whether one of its runs was trained on synthetic images."""
        return any(run.synthetic for run in self.runs)

    @property
    def tasks(self) -> list[str]:
        """The tasks of its runs, in order."""
        return list(dict.fromkeys(task for run in self.runs for task in run.tasks))

    @property
    def is_single_task(self) -> bool:
        """Whether each of its runs has one task only."""
        return all(len(run.tasks) == 1 for run in self.runs)

    def by_seed(self, task: str, metric: str, judge_at: str, split: str) -> dict[int, float]:
        """Returns a metric of a task in each run that has the task, by the run's seed.

        If several groups have the task, it is that of the group with the best mean of the primary metric in validation.

        Raises:
            ValueError: if two runs with the same seed have the task.
        """
        values: dict[int, float] = {}
        group = self.group_of(task, judge_at)
        for run in self.runs:
            if task in run.tasks and group in (None, frozenset(run.tasks)):
                if run.seed in values:
                    raise ValueError(
                        f"Two runs in {str(run.folder.parent)!r} train task {task!r} with seed {run.seed}."
                    )
                values[run.seed] = run.score(task, metric, judge_at, split).value
        return values

    def group_of(self, task: str, judge_at: str) -> frozenset[str] | None:
        """Returns the group with the best mean of a task's primary metric in validation; `None` without groups."""
        gains: dict[frozenset[str], list[float]] = {}
        for run in self.runs:
            if self.groups and task in run.tasks:
                gains.setdefault(frozenset(run.tasks), []).append(run.validation_gain(task, judge_at))
        return max(gains, key=lambda group: np.mean(np.nan_to_num(gains[group], nan=-math.inf)), default=None)

    def costs(self, seeds: Sequence[int]) -> dict[str, list[Cost]]:
        """Returns the costs of the runs with these seeds by network, those of tasks that are not compared included."""
        costs: dict[str, list[Cost]] = {}
        for run in self.runs:
            if run.seed in seeds:
                costs.setdefault(",".join(run.tasks), []).append(run.cost)
        return costs

    def curve(self, task: str, quantity: str, seeds: Sequence[int]) -> list[float]:
        """Returns a column of a task's history as the mean over the runs with these seeds, `(epochs,)`.

        An epoch that some runs do not have is the mean over the others.

        Args:
            task: name of the task.
            quantity: `"loss"` or the name of a metric, with the prefix `val_` for validation.
            seeds: seeds of the runs.
        """
        validation, name = quantity.startswith("val_"), quantity.removeprefix("val_")
        column = f"{'val_' * validation}{task}_{name}"
        group = self.group_of(task, "last")
        runs = [run for run in self.runs if task in run.tasks and group in (None, frozenset(run.tasks))]
        found = [run.history[column] for run in runs if run.seed in seeds and column in run.history]
        result = []
        for epoch in range(max(map(len, found), default=0)):
            values = [values[epoch] for values in found if epoch < len(values) and math.isfinite(values[epoch])]
            result.append(float(np.mean(values)) if values else math.nan)
        return result


def read_methods(folders: Sequence[Path]) -> list[Method]:
    """Reads the finished runs in each folder and its subfolders. Methods are named by their folders.

    Raises:
        ValueError: if a folder has no finished run, or a file of a run cannot be read, naming the file.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return [Method(name, folder, _finished_runs(folder), read_groups(folder)) for name, folder in zip(names, folders)]


def _finished_runs(folder: Path) -> tuple[RunResult, ...]:
    found = sorted(file.parent for file in folder.rglob("metrics.json"))
    if not found:
        raise ValueError(f"There is no finished run (no metrics.json) in {str(folder)!r}")
    return tuple(map(read_run, found))
