"""A run's settings and results as TensorBoard's HParams dashboard reads them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from experiments.config import RunConfig
from experiments.evaluation import Table

_LEFT_OUT = ("data_dir", "export", "verbose", "profile")
"""Settings that change nothing about what is learned."""


def write_hparams(
    folder: Path, config: RunConfig, table: Table, primary: Mapping[str, Mapping[str, Any]], epoch: int, score: float
) -> None:
    """Writes the settings, and what came out, as the run `test`, in place of what is there of it.

    The dashboard takes the scalars of the run that has the settings for its metrics; they are there at the best epoch.
    Which metrics there are is left for it to find out: of several runs that said so, it would believe the first, and
    not show the tasks that others have.

    Args:
        folder: the run's folder for TensorBoard.
        config: the settings.
        table: the evaluation on the test split.
        primary: task -> `{"metric": ...}`.
        epoch: the best one.
        score: its `val_mtl_score`.
    """
    found = {"summary/val_mtl_score": score}
    for task, entry in primary.items():
        metric = entry["metric"]
        found[f"metrics/{task}_{metric}"] = table[task][metric]["value"]
    values = {name: _plain(value) for name, value in config.to_json().items() if name not in _LEFT_OUT}
    # Of a run that went on, it would show the settings that were written first.
    shutil.rmtree(folder / "test", ignore_errors=True)
    with _written(folder / "test"):
        # Without a name of its own a run is called by its folder, and never one with another of the same settings.
        hp.hparams(values, trial_id="")
        for tag, value in found.items():
            tf.summary.scalar(tag, value, step=epoch)


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[None]:
    """What is summarised within goes into a new file in `folder`."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=".hparams.v2")
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()


def _plain(value: Any) -> bool | float | int | str:
    """A setting as one of the kinds of values that the dashboard knows."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return "" if value is None else value
