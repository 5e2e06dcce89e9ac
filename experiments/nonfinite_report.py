"""Saves diagnostics of a run whose loss became NaN or infinite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.files import write_json
from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import NonFiniteLoss
from mtl_keras.export.replacing import replacing


def save_nonfinite_report(
    folder: Path, error: NonFiniteLoss, model: MultiTaskModel, epoch: int, step: int, batches: tf.data.Dataset
) -> None:
    """Writes `report.json` and `batch.npz`: the task, the step, and the batch in which the loss became non-finite.

    Args:
        folder: the folder to write.
        error: the error with the task and the step.
        model: the model after the error.
        epoch: the epoch of the error.
        step: the step in that epoch.
        batches: the batches of the run, starting at that step.
    """
    images, labels = next(batches.take(1).as_numpy_iterator())
    arrays = {"images": images, **{f"labels_{task}": array for task, array in labels.items()}}
    report = {
        "task": error.task,
        "training_step": error.step,
        "epoch": epoch,
        "step": step,
        "learning_rate": float(model.optimizer.learning_rate),
        "task_weights": dict(model.task_weights),
        "batch": {name: _statistics(array) for name, array in arrays.items()},
        "nonfinite_variables": [variable.path for variable in model.weights if not np.isfinite(variable.numpy()).all()],
    }
    with replacing(folder) as temporary:
        temporary.mkdir()
        np.savez_compressed(temporary / "batch.npz", **arrays)
        write_json(temporary / "report.json", report)


def _statistics(array: np.ndarray) -> dict[str, Any]:
    finite = array[np.isfinite(array)]
    ends = {"lowest": finite.min().item(), "highest": finite.max().item()} if finite.size else {}
    return {"shape": list(array.shape), "nonfinite": array.size - finite.size, **ends}
