"""Uses finished runs in one of four ways; docs/train.md explains the flags of each.

evaluate:  python evaluate.py --run_dir RUN
           prints a table (task x metric, with the best constant prediction) and writes it into the run as JSON
predict:   python evaluate.py --predict IMAGE_OR_FOLDER_OR_CSV --run_dir RUN
           prints and draws the predictions of the run's model, or of `--saved_model_dir FOLDER`
report:    python evaluate.py --report --run_dir RUN
           writes the report of a run or comparison again from its files, without the data
compare:   python evaluate.py --compare FOLDER,FOLDER
           compares finished runs: each folder is a method with its runs, one per seed
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from absl import flags

from experiments.commands import command_line

FLAGS = flags.FlagValues()
_string = partial(flags.DEFINE_string, flag_values=FLAGS)
_bool = partial(flags.DEFINE_bool, flag_values=FLAGS)
_list = partial(flags.DEFINE_list, flag_values=FLAGS)

_string("run_dir", None, "the directory of the run")
_string("split", "test", "which split: `train`, `validation` or `test`")
_bool("saved_model", False, "use the exported `saved_model/` instead of `best.keras`")
flags.DEFINE_integer("batch_size", 128, "images in a batch", flag_values=FLAGS)
_string("data_dir", None, "directory of the data, if they have moved since training")
_string("predict", None, "[predict](predicting.md) this image, the images in this folder or the rows of this CSV file")
_string("saved_model_dir", None, "a SavedModel to use instead of a run")
_string("output", None, "the folder for pictures and `predictions.csv`; by default `predictions` in the run")
_bool("report", False, "write the [report](report.md) again, from the files in `--run_dir`, without its data")
_list("compare", None, "[compare](comparing.md) the finished runs in these folders, separated by commas or spaces")
_list("tasks", None, "tasks to compare; by default all")
_string(
    "judge_at", None, "at which epoch networks are judged; by default the first rule by which all runs were evaluated"
)

MODES = {
    "evaluate": ("run_dir", "split", "saved_model", "batch_size", "data_dir"),
    "predict": ("predict", "run_dir", "saved_model", "saved_model_dir", "output"),
    "report": ("report", "run_dir"),
    "compare": ("compare", "tasks", "judge_at"),
}
"""The flags of each mode. A mode is chosen by the flag of its name; `evaluate` has none."""


def main(values: flags.FlagValues) -> None:
    """Evaluates, predicts, reports or compares, as the flags say."""
    chosen = [name for name in ("predict", "report", "compare") if values[name].value]
    if values.compare and values.run_dir:
        chosen = ["run_dir", "compare"]
    if len(chosen) > 1:
        raise ValueError(f"Pass --{chosen[0]} or --{chosen[1]}, not both.")
    mode = chosen[0] if chosen else "evaluate"
    for name in FLAGS:
        if name not in MODES[mode] and values[name].value and values[name].value != values[name].default:
            places = [f"--{other}" for other, names in MODES.items() if name in names and other != "evaluate"]
            where = " and ".join(places) or "evaluating a run"
            raise ValueError(f"--{name} is only for {where}. Received: --{name}={values[name].value}")
    if mode in ("evaluate", "predict"):
        _check_is_run(values)
    _PROGRAMS[mode](values)


def _check_is_run(values: flags.FlagValues) -> None:
    """Raises a ValueError if `--run_dir` is the folder of a comparison."""
    from experiments.plan import METHOD, is_comparison

    folder = values.run_dir
    if folder and is_comparison(Path(folder)):
        raise ValueError(
            f"This is a comparison, not a run. Pass --compare {folder}, or one of its runs: --run_dir "
            f"{Path(folder, METHOD, 'seed-0')}. Received: --run_dir={folder}"
        )


def _evaluate(values: flags.FlagValues) -> None:
    import dataclasses

    from data.recipe import SPLITS
    from experiments.building import open_dataset
    from experiments.evaluation import evaluate
    from experiments.own_data import check_tasks
    from experiments.run_directory import RunDirectory
    from experiments.tables import print_evaluation
    from models import saved
    from mtl_keras.checks import unknown_value
    from mtl_keras.export import load_export

    if not values.run_dir:
        raise ValueError("Pass --run_dir RUN or --compare FOLDER,FOLDER.")
    if values.split not in SPLITS:
        raise unknown_value("split", values.split, SPLITS)
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
    predict = load_export(source) if values.saved_model else saved.load_keras_file(source).predict_on_batch
    evaluation = evaluate(predict, batches, dataset.tasks)
    print_evaluation(evaluation, f"{source} on the {values.split} split")
    print(f"Written to {directory.write_evaluation(source.stem, values.split, evaluation)}")


def _predict(values: flags.FlagValues) -> None:
    from experiments.image_predictions import files_to_predict, predict_images
    from experiments.predictor import of_run, of_saved_model
    from experiments.row_predictions import predict_rows, rows_to_predict
    from experiments.run_directory import RunDirectory

    if bool(values.run_dir) == bool(values.saved_model_dir):
        raise ValueError("Pass --run_dir RUN or --saved_model_dir FOLDER with --predict.")
    if values.saved_model_dir:
        predictor = of_saved_model(Path(values.saved_model_dir))
    else:
        predictor = of_run(RunDirectory(values.run_dir), saved_model=values.saved_model)
    output = Path(values.output or Path(values.run_dir or "") / "predictions")
    if predictor.columns:
        predict_rows(predictor, rows_to_predict(Path(values.predict)), output)
    else:
        predict_images(predictor, files_to_predict(Path(values.predict)), output)


def _report(values: flags.FlagValues) -> None:
    from experiments.comparison_report import report_comparison
    from experiments.plan import is_comparison
    from experiments.run_directory import RunDirectory
    from experiments.run_report import run_report

    if not values.run_dir:
        raise ValueError("Pass --run_dir RUN with --report.")
    folder = Path(values.run_dir)
    if is_comparison(folder):
        report_comparison([folder])
    else:
        print(f"Report: {run_report(RunDirectory(folder))}")


def _compare(values: flags.FlagValues) -> None:
    from experiments.comparison_report import report_comparison

    report_comparison([Path(folder) for folder in values.compare], values.tasks, values.judge_at)


_PROGRAMS = {"evaluate": _evaluate, "predict": _predict, "report": _report, "compare": _compare}


def program(arguments: Sequence[str]) -> None:
    """Runs the program with `sys.argv`. Folders may follow `--compare FOLDER`, separated by spaces."""
    command_line(main, FLAGS, arguments, positional="compare")


if __name__ == "__main__":
    program(sys.argv)
