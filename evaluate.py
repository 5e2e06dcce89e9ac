"""Evaluates a run, or compares several: `python evaluate.py --run_dir runs/flagship`.

Prints one table (task x metric, beside the best constant prediction) and writes it as JSON into the run directory.
With `--compare runs/a runs/b` it compares what came out of finished runs: each folder is a method, with its runs, one
a seed, in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from experiments.commands import command_line

FLAGS = flags.FlagValues()

flags.DEFINE_string("run_dir", None, "The run to evaluate.", flag_values=FLAGS)
flags.DEFINE_bool("compare", False, "Compare the folders named after it.", flag_values=FLAGS)
flags.DEFINE_list("folders", [], "With --compare: a folder a method, the first against each other.", flag_values=FLAGS)
flags.DEFINE_list("tasks", None, "With --compare: which tasks to compare; default all.", flag_values=FLAGS)
flags.DEFINE_bool("saved_model", False, "Evaluate the exported saved_model/ instead of best.keras.", flag_values=FLAGS)
flags.DEFINE_string("split", "test", "Which split: train, validation or test.", flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 128, "Images in a batch.", flag_values=FLAGS)
flags.DEFINE_string(
    "data_dir", None, "TFDS directory with the dataset, if it is not where it was in training.", flag_values=FLAGS
)


def main(values: flags.FlagValues) -> None:
    """Evaluates what the flags ask for."""
    if values.compare and values.run_dir:
        raise ValueError("Pass --run_dir or --compare, not both.")
    if values.compare:
        from experiments.comparison import report

        report([Path(folder) for folder in values.folders], values.tasks)
    elif values.tasks:
        raise ValueError("--tasks is for comparisons: it needs --compare.")
    elif values.folders:
        raise ValueError(f"Folders are for --compare; a run is --run_dir. Received: {', '.join(values.folders)}")
    elif values.run_dir:
        _evaluate(values)
    else:
        raise ValueError("Which run? Pass --run_dir RUN, or --compare FOLDER FOLDER.")


def _evaluate(values: flags.FlagValues) -> None:
    import dataclasses

    from experiments.building import open_dataset
    from experiments.evaluation import evaluate
    from experiments.loading import load_model
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
    batches = dataset.batches(values.split, values.batch_size)
    source = directory.saved_model if values.saved_model else directory.best_model
    predict = load_export(source) if values.saved_model else load_model(source).predict_on_batch
    table, overall = evaluate(predict, batches, dataset.tasks)
    print_table(table, f"{source} on the {values.split} split", overall)
    print(f"Written to {directory.write_evaluation(source.stem, values.split, (table, overall))}")


if __name__ == "__main__":
    command_line(main, FLAGS, sys.argv)
