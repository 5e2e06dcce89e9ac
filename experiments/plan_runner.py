"""`run_plan`: trains all networks of a comparison in sequence, each at most once."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import keras

from experiments.config import RunConfig
from experiments.lock import locked
from experiments.plan import Plan
from experiments.run_directory import RunDirectory
from experiments.runner import run
from mtl_keras.callbacks import NonFiniteLoss


def run_plan(plan: Plan, folder: Path) -> None:
    """Trains and evaluates the runs that are not finished.

    Interrupted runs resume from their last checkpoint. A run whose loss became NaN or infinite has no result; the other
    runs are still trained.

    Args:
        plan: the runs to train.
        folder: the folder of the comparison.
    """
    plan.config.check()  # before the data are opened
    runs = [(RunDirectory(folder / part), config) for part, config in plan.runs()]
    for _, config in runs:
        config.check()
    with locked(folder):
        _run_plan(plan, folder, runs)


def _run_plan(plan: Plan, folder: Path, runs: Sequence[tuple[RunDirectory, RunConfig]]) -> None:
    plan.save(folder)
    try:
        for number, (directory, config) in enumerate(runs, 1):
            if directory.metrics_file.exists():
                continue
            if config.verbose:
                print(f"Run {number} of {len(runs)}: {directory.path}")
            try:
                run(config, directory, resume=directory.started, judge_at=plan.judge_at)
            except NonFiniteLoss as error:
                print(f"{directory.path} has no result: {error}")
            # Free the memory that Keras and TensorFlow hold for each run.
            keras.backend.clear_session()
            gc.collect()
    finally:
        if not any(directory.started for directory, _ in runs):
            Plan.remove(folder)
