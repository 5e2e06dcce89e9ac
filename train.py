"""Trains one network for several tasks: `python train.py --dataset fashion_mnist --schedule dst`.

Every flag is explained by `python train.py --help` and in README.md.
"""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from absl import flags

from experiments.commands import command_line

FLAGS = flags.FlagValues()
_string = partial(flags.DEFINE_string, flag_values=FLAGS)
_bool = partial(flags.DEFINE_bool, flag_values=FLAGS)
_integer = partial(flags.DEFINE_integer, flag_values=FLAGS)
_list = partial(flags.DEFINE_list, flag_values=FLAGS)

_string("experiment", None, "A preset, of which the other flags change what they say; --list shows them.")
_bool("list", False, "List the presets.")
_bool("smoke", False, "With --experiment and --synthetic: one epoch on a few images, to see that all works.")
_list(
    "compare",
    None,
    "Train these too, and compare: single_task, equal_weights, fixed_weights, or a weighting or schedule by name.",
)
_list("seeds", None, "With --compare: train each network with each of these seeds; default --seed.")
_string("dataset", "fashion_mnist", "Which dataset: fashion_mnist, cifar10, cifar100 or celeb_a.")
_bool("synthetic", False, "Train on a drawn look-alike of the dataset; needs no download.")
_integer("examples", None, "With --synthetic: how many images to draw for each split.")
_string(
    "data_dir", None, "TFDS directory, or folder of CelebA's files; default TFDS_DATA_DIR or ~/tensorflow_datasets."
)
_string("cache", "auto", "Where decoded images are kept: auto (in memory if they are few), memory, disk or none.")
_string("on_bad_example", "error", "What to do about images or labels that cannot be read: error or skip.")
_list("tasks", None, "Tasks to train, separated by commas; default those of the dataset.")
_list("task_weights", [], "Weights in the loss, as item=1,group=0.5; 0 drops the task. Default each task's own.")
_string(
    "model", "cnn", "Trunk or network: cnn, mlp, two_paths, a keras.applications name; arguments as cnn(filters=16)."
)
_string("weights", None, "Pretrained weights of the trunk: imagenet or a file. Default none.")
_string("weighting", "static", "How tasks are weighted: static, uncertainty, dwa(temperature=1), gls, ...")
_string("schedule", "none", "Which tasks run when: none, dst, random_drop(keep=0.5), static(...), ...")
_integer("epochs", 10, "Passes over the training data.")
_integer("batch_size", 128, "Images in a training step.")
flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of the optimizer.", flag_values=FLAGS)
_string("learning_rate_decay", "cosine", "How it falls over the epochs: cosine (to nearly 0) or none.")
_string("optimizer", "adam", "Any of keras.optimizers; arguments as sgd(momentum=0.9).")
_bool("augment", False, "Flip training images at random (celeb_a: landmarks are swapped with them).")
_integer("seed", 0, "Seed of the weights, the order of the images, the draws and the drawn images.")
_string("run_dir", None, "Where the run is kept; default runs/<experiment or dataset>-<time>.")
_bool("resume", False, "Go on with the run or comparison in --run_dir from where it was broken off.")
_integer("checkpoint_every", 500, "Training steps between checkpoints; 0 for one at the end of each epoch only.")
_string("jit_compile", "auto", "Compile steps with XLA: auto, true or false.")
_bool("mixed_precision", False, "Compute in 16 bits (float16 on a GPU, bfloat16 on a CPU).")
_integer("steps_per_execution", 1, "Training steps in one call of the compiled function.")
_integer("early_stopping", 0, "Stop after so many epochs without a better val_mtl_score; 0 never.")
_integer("monitor_gradients", 0, "Look at the tasks' gradients in every so many training steps; 0 never.")
_bool("export", False, "Write saved_model/ for serving when training is done.")
_string("distribute", "none", "Spread over the GPUs of this machine: mirrored; over those of TF_CONFIG: multi_worker.")
_list("export_formats", [], "Further formats to export: onnx, litert.")


def main(values: flags.FlagValues) -> None:
    """Does what the flags ask for."""
    if values.list:
        _print_presets()
        return
    if values.resume and values.run_dir is None:
        raise ValueError("--resume needs --run_dir, the run to go on with.")
    folder = Path(values.run_dir or f"runs/{values.experiment or values.dataset}-{datetime.now():%Y%m%d-%H%M%S}")
    if values.compare is not None or (values.resume and _is_comparison(folder)):
        _compare(values, folder)
    elif values.seeds is not None:
        raise ValueError("--seeds is for comparisons: it needs --compare.")
    else:
        _train(values, folder)


def _print_presets() -> None:
    from experiments.presets import PRESETS

    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:{width}}  {preset.purpose}")


def _train(values: flags.FlagValues, folder: Path) -> None:
    from experiments.reporting import print_table
    from experiments.run_directory import RunDirectory
    from experiments.runner import run
    from experiments.settings import asked, resumed, says_what
    from experiments.workers import gather

    directory = RunDirectory(folder)
    # A run that says what it is begins if it was killed before it could: the same command is right each time.
    begin = not values.resume or (says_what(values) and not directory.started)
    config = asked(values) if begin else resumed(directory.config(), values)
    table, overall = run(config, directory, resume=values.resume)
    if not gather(config.distribute).writes:
        return
    print_table(table, f"{folder}: best.keras on the test split", overall)
    print(f"Look at it: tensorboard --logdir {directory.tensorboard}")


def _is_comparison(folder: Path) -> bool:
    from experiments.plan import Plan

    return Plan.is_in(folder)


def _compare(values: flags.FlagValues, folder: Path) -> None:
    from experiments.comparison import report
    from experiments.plan import Plan
    from experiments.plan_runner import run_all
    from experiments.run_directory import RunDirectory
    from experiments.settings import asked, resumed, says_what, seeds

    if values.distribute == "multi_worker":
        raise ValueError("A comparison is made by one process. Received: --distribute=multi_worker with --compare")
    if values.resume and (Plan.is_in(folder) or not says_what(values)):
        stored = Plan.load(folder)
        plan = Plan(
            # All runs of a comparison have the same budget: what is trained later has that of what is there.
            resumed(stored.config, values, may_change=("data_dir",)),
            tuple(dict.fromkeys((*stored.baselines, *(values.compare or ())))),
            tuple(dict.fromkeys((*stored.seeds, *seeds(values)))),
        )
    else:
        RunDirectory(folder).check_new()
        plan = Plan(asked(values), tuple(values.compare), seeds(values) or (values.seed,))
    run_all(plan, folder)
    report([folder])


if __name__ == "__main__":
    command_line(main, FLAGS, sys.argv)
