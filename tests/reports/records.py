"""Records of runs as the runner writes them, made up in a moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from data import describe_tasks
from experiments.config import RunConfig
from experiments.evaluation import Outputs
from experiments.files import write_history, write_json
from experiments.gradient_record import epoch_entry
from experiments.plan import METHOD, Plan
from experiments.predictions import save_examples, save_predictions
from experiments.run_directory import RunDirectory
from mtl_keras.analysis import Affinity
from mtl_keras.callbacks.sharing_summary import SharingSummary
from mtl_keras.tasks import Task, TaskSet
from mtl_keras.training.gradients import GradientSummary

FORTY_ONE = (*(f"Attribute_number_{number}" for number in range(40)), "landmarks")


def write_run(
    folder: Path,
    tasks: Sequence[str] = ("item", "group"),
    *,
    epochs: int = 3,
    seed: int = 0,
    gain: float = 0.0,
    finished: bool = True,
    gradients: bool = False,
    predictions: bool = False,
    sharing: SharingSummary | None = None,
    affinity: Affinity | None = None,
    config: RunConfig | None = None,
) -> RunDirectory:
    """Writes the files that a report is made of.

    Args:
        folder: where to.
        tasks: names of the tasks; `landmarks` and `age` are judged by an error, the others by their accuracy.
        epochs: how many the run has.
        seed: of the run.
        gain: added to each accuracy.
        finished: whether it was evaluated.
        gradients: whether they were monitored.
        predictions: whether they are kept, with images of noise, which take more bytes than any others.
        sharing: what its tasks share in each epoch, for a network with soft sharing.
        affinity: how its tasks affect each other in each epoch.
        config: the settings; by default those of a run on drawn images under DST.
    """
    rng = np.random.default_rng([seed, len(tasks), int(1000 * gain)])
    config = config or RunConfig(synthetic=True, schedule="dst", epochs=epochs, monitor_gradients=5)
    directory = RunDirectory(folder)
    outputs = _outputs(tasks)
    sizes = {"train": 240, "validation": 30, "test": 30}
    known = {"name": config.dataset, "synthetic": config.synthetic, "sizes": sizes, "tasks": describe_tasks(outputs)}
    directory.create(dataclasses.replace(config, seed=seed), known)
    metric = {task: {"landmarks": "point_error", "age": "mae"}.get(task, "accuracy") for task in tasks}
    history = [_epoch(number, metric, gain, rng) for number in range(epochs)]
    write_history(directory.history_file, history)
    if gradients:
        write_json(
            directory.gradients_file, {"every": 5, "tasks": list(tasks), "epochs": _gradients(tasks, epochs, rng)}
        )
    if sharing:
        entries = [{"epoch": number, **sharing.to_json()} for number in range(epochs)]
        write_json(directory.sharing_file, {"epochs": entries})
    if affinity:
        tables = [{"epoch": number, **affinity.to_json()} for number in range(epochs)]
        header = {"every": 10, "sources": 1, "tasks": list(tasks), "run": affinity.to_json()}
        write_json(directory.affinity_file, {**header, "epochs": tables})
    if predictions:
        _write_predictions(directory, outputs, rng)
    if finished:
        last = history[-1]
        write_json(
            directory.metrics_file,
            {
                "split": "test",
                "best_epoch": epochs - 1,
                "primary": {
                    task: {"metric": name, "higher_is_better": name == "accuracy"} for task, name in metric.items()
                },
                "tasks": {
                    task: {
                        name: {"value": last[f"val_{task}_{name}"], "baseline": 0.5 if name == "accuracy" else 9.0},
                        "loss": {"value": last[f"val_{task}_loss"], "baseline": 2.3},
                    }
                    for task, name in metric.items()
                },
                "overall": {},
                "cost": {
                    "parameters": 1000 * len(tasks),
                    "steps": 10 * epochs,
                    "seconds": 12.5,
                    "seconds_per_step": 0.025,
                    "memory": 2**30,
                    "compiled": [
                        {"tasks": list(tasks), "masked": True, "monitored": False, "traces": 1, "seconds": 1.5}
                    ],
                },
            },
        )
    return directory


def write_comparison(folder: Path, tasks: Sequence[str] = ("item", "group"), seeds: Sequence[int] = (0, 1, 2)) -> Path:
    """Writes the runs of a comparison in which sharing lifts every accuracy by about 0.1."""
    config = RunConfig(synthetic=True, epochs=3)
    Plan(config, ("single_task", "equal_weights"), tuple(seeds)).save(folder)
    for seed in seeds:
        write_run(folder / METHOD / f"seed-{seed}", tasks, seed=seed, gain=0.1, config=config)
        write_run(folder / "equal_weights" / f"seed-{seed}", tasks, seed=seed, gain=0.099, config=config)
        for task in tasks:
            write_run(folder / "single_task" / task / f"seed-{seed}", [task], seed=seed, config=config)
    return folder


def _outputs(tasks: Sequence[str]) -> TaskSet:
    """`item` has ten classes, `landmarks` five points, `age` is a number, and the others are yes or no."""
    made = {
        "item": Task.classification("item", 10),
        "landmarks": Task.landmarks("landmarks", list("abcde")),
        "age": Task.regression("age"),
    }
    return TaskSet(made.get(task, Task.binary(task)) for task in tasks)


def _write_predictions(directory: RunDirectory, tasks: TaskSet, rng: np.random.Generator, count: int = 400) -> None:
    true, pred = {}, {}
    for name, task in tasks.items():
        pred[name] = rng.uniform(0.01, 0.99, (count, *task.shape)).astype("float32")
        true[name] = rng.uniform(size=(count, *task.shape)).astype("float32")
        if task.head == "binary":
            true[name] = np.where(rng.random(count) < 0.1, np.nan, true[name][:, 0] > 0.7)
        elif task.head == "classification":
            pred[name] /= pred[name].sum(axis=1, keepdims=True)
            true[name] = rng.integers(-1, task.shape[0], count)
    images = rng.random((count, 128, 128, 3), "float32")
    outputs = Outputs(true, pred)
    names = [f"folder/{number}.png" for number in range(count)]
    save_predictions(directory.predictions_file, outputs, tasks, names)
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(count))).batch(100)
    save_examples(directory.examples_file, outputs, tasks, batches, names)


def _epoch(number: int, metric: dict[str, str], gain: float, rng: np.random.Generator) -> dict[str, float]:
    logs: dict[str, float] = {"loss": 1.0, "mtl_score": 0.5, "val_mtl_score": 0.5 + number / 100, "conflict_rate": 0.25}
    for position, (task, name) in enumerate(metric.items()):
        active = 1.0 - 0.5 * position / len(metric)
        logs |= {f"{task}_active": active, f"{task}_probability": active, f"{task}_weight": active * (number + 1.0)}
        for prefix in ("", "val_"):
            logs[f"{prefix}{task}_loss"] = 2.0 / (number + 1) + rng.normal(scale=0.01)
            value = 0.6 + 0.05 * number + gain if name == "accuracy" else 8.0 - number
            logs[f"{prefix}{task}_{name}"] = value + rng.normal(scale=0.002)
    return logs


def _gradients(tasks: Sequence[str], epochs: int, rng: np.random.Generator) -> list[dict[str, object]]:
    count = len(tasks)
    cosine = rng.uniform(-0.2, 0.2, (count, count))
    cosine = (cosine + cosine.T) / 2
    np.fill_diagonal(cosine, 1.0)
    conflict = (cosine < 0).astype(float)
    entry = epoch_entry(GradientSummary(cosine, conflict, np.ones(count), 4, abs(cosine), np.full((count, count), 4)))
    return [{"epoch": number, **entry} for number in range(epochs)]
