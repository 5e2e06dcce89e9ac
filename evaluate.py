"""Evaluates a run, or compares several: `python evaluate.py --run_dir runs/flagship`.

Prints a table (task x metric, with the best constant prediction) and writes it as JSON into the run directory.
With `--report` it writes the run's `report.html` again from the run's files; no data are needed.
With `--predict IMAGE` (or a folder) it prints and draws the predictions of the run or of a SavedModel.
With `--compare runs/a runs/b` it compares the results of finished runs: each folder is a method and contains its runs,
one per seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from experiments.commands import command_line

FLAGS = flags.FlagValues()

flags.DEFINE_string("run_dir", None, "The run to evaluate.", flag_values=FLAGS)
flags.DEFINE_bool("compare", False, "Compare the folders that follow.", flag_values=FLAGS)
flags.DEFINE_list(
    "folders", [], "With --compare: one folder per method; the first against each other.", flag_values=FLAGS
)
flags.DEFINE_list("tasks", None, "With --compare: which tasks to compare; default all.", flag_values=FLAGS)
flags.DEFINE_bool("report", False, "Write report.html again from the run's files, without its data.", flag_values=FLAGS)
flags.DEFINE_string("predict", None, "Predict this image, or the images in this folder.", flag_values=FLAGS)
flags.DEFINE_string("saved_model_dir", None, "With --predict: a SavedModel instead of a run.", flag_values=FLAGS)
flags.DEFINE_string("output", None, "With --predict: folder for pictures; default predictions.", flag_values=FLAGS)
flags.DEFINE_bool("saved_model", False, "Use the exported saved_model/ instead of best.keras.", flag_values=FLAGS)
flags.DEFINE_string("split", "test", "Which split: train, validation or test.", flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 128, "Images in a batch.", flag_values=FLAGS)
flags.DEFINE_string("data_dir", None, "Folder of the data, if it changed since training.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Evaluates, compares, reports or predicts, as the flags say."""
    if values.compare and values.run_dir:
        raise ValueError("Pass --run_dir or --compare, not both.")
    if values.predict:
        _predict(values)
    elif values.saved_model_dir or values.output:
        raise ValueError("--saved_model_dir and --output are for predictions: they need --predict.")
    elif values.compare:
        from experiments.comparison import report

        report([Path(folder) for folder in values.folders], values.tasks)
    elif values.tasks:
        raise ValueError("--tasks is for comparisons: it needs --compare.")
    elif values.folders:
        raise ValueError(f"Folders are for --compare; a run is --run_dir. Received: {', '.join(values.folders)}")
    elif values.run_dir and values.report:
        _report(Path(values.run_dir))
    elif values.run_dir:
        _evaluate(values)
    else:
        raise ValueError("Pass --run_dir RUN or --compare FOLDER FOLDER.")


def _report(folder: Path) -> None:
    from experiments.comparison import report
    from experiments.plan import Plan
    from experiments.run_directory import RunDirectory
    from experiments.run_report import run_report

    if Plan.is_in(folder):
        report([folder])
    else:
        print(f"Report: {run_report(RunDirectory(folder))}")


def _predict(values: flags.FlagValues) -> None:
    from experiments.image_predictions import image_files, predict_images
    from experiments.predictor import of_run, of_saved_model
    from experiments.run_directory import RunDirectory

    if bool(values.run_dir) == bool(values.saved_model_dir):
        raise ValueError("Pass --run_dir RUN or --saved_model_dir FOLDER with --predict.")
    files = image_files(Path(values.predict))
    if values.saved_model_dir:
        predictor = of_saved_model(Path(values.saved_model_dir))
    else:
        predictor = of_run(RunDirectory(values.run_dir), saved_model=values.saved_model)
    predict_images(predictor, files, Path(values.output or Path(values.run_dir or "") / "predictions"))


def _evaluate(values: flags.FlagValues) -> None:
    import dataclasses

    from experiments.building import open_dataset
    from experiments.evaluation import evaluate
    from experiments.loading import load_model
    from experiments.own_data import check_tasks
    from experiments.reporting import print_table
    from experiments.run_directory import RunDirectory
    from mtl_keras.export import load as load_export

    directory = RunDirectory(values.run_dir)
    config = directory.config()
    if values.data_dir:
        config = dataclasses.replace(config, data_dir=values.data_dir)
    if config.cache == "memory":
        config = dataclasses.replace(config, cache="none")  # the split is read once
    dataset = open_dataset(config)
    check_tasks(directory, dataset)
    batches = dataset.batches(values.split, values.batch_size)
    source = directory.saved_model if values.saved_model else directory.best_model
    predict = load_export(source) if values.saved_model else load_model(source).predict_on_batch
    table, overall = evaluate(predict, batches, dataset.tasks)
    print_table(table, f"{source} on the {values.split} split", overall)
    print(f"Written to {directory.write_evaluation(source.stem, values.split, (table, overall))}")


if __name__ == "__main__":
    command_line(main, FLAGS, sys.argv)
