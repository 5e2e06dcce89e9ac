"""A finished run on the images of `tests.pixels`, without training."""

from __future__ import annotations

from pathlib import Path

from experiments.config import RunConfig
from experiments.evaluation import evaluate_outputs, predict_split, primary_metric
from experiments.files import write_history, write_json
from experiments.predictions import save_examples, save_predictions
from experiments.run_directory import RunDirectory
from mtl_keras import TaskSet
from tests.pixels import COUNT, TASKS, Rooms, batches, predict


def write_dense_run(folder: Path, tasks: TaskSet = TASKS) -> RunDirectory:
    """Writes the files of a run of three epochs whose predictions are those of `tests.pixels`."""
    directory = RunDirectory(folder)
    directory.create(RunConfig(dataset="own", epochs=3), Rooms(tasks).description())
    outputs = predict_split(predict, batches(4, tasks), tasks)
    evaluation = evaluate_outputs(outputs, tasks)
    primary = {name: primary_metric(task) for name, task in tasks.items()}
    logs = {"loss": 1.0, "val_mtl_score": 0.5}
    for task, scores in evaluation.tasks.items():
        logs |= {f"{task}_active": 1.0, f"{task}_weight": 1.0}
        logs |= {f"{prefix}{task}_{metric}": score.value for metric, score in scores.items() for prefix in ("", "val_")}
    write_history(directory.history_file, [logs] * 3)
    names = [f"room-{number}.png" for number in range(COUNT)]
    save_predictions(directory.predictions_file, outputs, tasks, names)
    save_examples(directory.examples_file, outputs, tasks, batches(4, tasks), names, predict)
    cost = {"parameters": 10, "seconds_per_step": 0.1, "seconds": 1.0, "steps": 300}
    best = {name: metric._asdict() for name, metric in primary.items()}
    write_json(directory.metrics_file, {"best_epoch": 0, "primary": best, **evaluation.to_json(), "cost": cost})
    return directory
