"""Trains one network for several tasks: `python train.py --dataset fashion_mnist --schedule dst`.

Every flag is explained by `python train.py --help` and in README.md.
"""

from __future__ import annotations

import dataclasses
import sys
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments.commands import command_line

if TYPE_CHECKING:
    from experiments.config import RunConfig

FLAGS = flags.FlagValues()
_string = partial(flags.DEFINE_string, flag_values=FLAGS)
_bool = partial(flags.DEFINE_bool, flag_values=FLAGS)
_integer = partial(flags.DEFINE_integer, flag_values=FLAGS)
_list = partial(flags.DEFINE_list, flag_values=FLAGS)

_string("dataset", "fashion_mnist", "Which dataset: fashion_mnist or celeb_a.")
_bool("synthetic", False, "Train on a drawn look-alike of the dataset; needs no download.")
_string("data_dir", None, "TFDS directory with the dataset; default TFDS_DATA_DIR or ~/tensorflow_datasets.")
_list("tasks", None, "Tasks to train, separated by commas; default all of the dataset.")
_list("task_weights", [], "Weights in the loss, as item=1,group=0.5; 0 drops the task. Default 1 each.")
_string("model", "cnn", "Trunk: cnn, mlp, or any keras.applications name; arguments as cnn(filters=16).")
_string("schedule", "none", "Which tasks run when: none, dst, random_drop(keep=0.5), static(...), ...")
_integer("epochs", 10, "Passes over the training data.")
_integer("batch_size", 128, "Images in a training step.")
flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of the optimizer.", flag_values=FLAGS)
_string("learning_rate_decay", "cosine", "How it falls over the epochs: cosine (to nearly 0) or none.")
_string("optimizer", "adam", "Any of keras.optimizers; arguments as sgd(momentum=0.9).")
_bool("augment", False, "Flip training images at random (celeb_a: landmarks are swapped with them).")
_integer("seed", 0, "Seed of the weights, the order of the images, the draws and the drawn images.")
_string("run_dir", None, "Where the run is kept; default runs/<dataset>-<time>.")
_bool("resume", False, "Go on with the run in --run_dir from its last checkpoint.")
_string("jit_compile", "auto", "Compile steps with XLA: auto, true or false.")
_bool("mixed_precision", False, "Compute in 16 bits (float16 on a GPU, bfloat16 on a CPU).")
_integer("steps_per_execution", 1, "Training steps in one call of the compiled function.")
_integer("early_stopping", 0, "Stop after so many epochs without a better val_mtl_score; 0 never.")
_bool("export", False, "Write saved_model/ for serving when training is done.")
_list("export_formats", [], "Further formats to export: onnx, litert.")

# What a resumed run may do otherwise than the run that it resumes.
_MAY_CHANGE = ("epochs", "early_stopping", "export", "data_dir")


def main(values: flags.FlagValues) -> None:
    """Runs the training that the flags ask for."""
    from experiments.reporting import print_table
    from experiments.run_directory import RunDirectory
    from experiments.runner import run

    name = values.run_dir or f"runs/{values.dataset}-{datetime.now():%Y%m%d-%H%M%S}"
    directory = RunDirectory(name)
    if values.resume and values.run_dir is None:
        raise ValueError("--resume needs --run_dir, the run to go on with.")
    config = _resumed(directory.config(), values) if values.resume else _config(values)
    table = run(config, directory, resume=values.resume)
    print_table(table, f"{name}: best.keras on the test split")
    print(f"Look at it: tensorboard --logdir {directory.tensorboard}")


def _config(values: flags.FlagValues) -> RunConfig:
    from experiments.config import RunConfig

    settings: dict[str, Any] = {field.name: values[field.name].value for field in dataclasses.fields(RunConfig)}
    settings["tasks"] = tuple(values.tasks) if values.tasks else None
    settings["task_weights"] = dict(_weight(entry) for entry in values.task_weights)
    settings["export"] = (("saved_model",) if values.export else ()) + tuple(values.export_formats)
    return RunConfig(**settings)


def _weight(entry: str) -> tuple[str, float]:
    task, equals, number = entry.partition("=")
    try:
        if not equals:
            raise ValueError("no =")
        return task.strip(), float(number)
    except ValueError as cause:
        raise ValueError(f"--task_weights takes task=number, separated by commas. Received: {entry!r}") from cause


def _resumed(stored: RunConfig, values: flags.FlagValues) -> RunConfig:
    """The stored configuration, with what the flags may change of it."""
    asked = _config(values)
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(stored):
        given = values[field.name].present or (field.name == "export" and values["export_formats"].present)
        new, old = getattr(asked, field.name), getattr(stored, field.name)
        if given and new != old:
            if field.name not in _MAY_CHANGE:
                raise ValueError(f"--resume goes on with {field.name}={old!r}. Received: --{field.name}={new!r}")
            changes[field.name] = new
    return dataclasses.replace(stored, **changes)


if __name__ == "__main__":
    command_line(main, FLAGS, sys.argv)
