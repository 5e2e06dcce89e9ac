"""Writes a run's settings and results for TensorBoard's HParams dashboard."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from experiments.config import RunConfig
from experiments.evaluation import Evaluation
from mtl_keras.training.spec import PrimaryMetric

_LEFT_OUT = ("data_dir", "export", "verbose", "profile")
"""Settings that do not affect training."""


def write_hparams(
    folder: Path,
    config: RunConfig,
    evaluation: Evaluation,
    primary: Mapping[str, PrimaryMetric],
    epoch: int,
    score: float,
) -> None:
    """Writes the settings and results as the TensorBoard run `test`, and replaces an existing one.

    The dashboard uses the scalars in the run with the settings as metrics; they are written at the best epoch. The
    metrics are not declared: with several runs the dashboard would use only the first declaration, and not show the
    tasks of other runs.

    Args:
        folder: the run's folder for TensorBoard.
        config: the settings.
        evaluation: the evaluation on the test split.
        primary: task -> its primary metric.
        epoch: the best epoch.
        score: its `val_mtl_score`.
    """
    found = {"summary/val_mtl_score": score}
    for task, (metric, _) in primary.items():
        found[f"metrics/{task}_{metric}"] = evaluation.tasks[task][metric].value
    values = {name: _plain(value) for name, value in config.to_json().items() if name not in _LEFT_OUT}
    # For a resumed run, the dashboard would show the settings that were written first.
    shutil.rmtree(folder / "test", ignore_errors=True)
    with _summary_writer(folder / "test"):
        # Without a trial id a run is named by its folder, and is not merged with another run of the same settings.
        hp.hparams(values, trial_id="")
        for tag, value in found.items():
            tf.summary.scalar(tag, value, step=epoch)


@contextlib.contextmanager
def _summary_writer(folder: Path) -> Iterator[None]:
    """Writes summaries within the context into a new file in `folder`."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=".hparams.v2")
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()


def _plain(value: Any) -> bool | float | int | str:
    """Returns a setting as a type that the dashboard supports."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return "" if value is None else value
