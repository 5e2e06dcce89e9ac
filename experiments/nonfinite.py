"""What is kept of a run whose loss became NaN or infinite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.files import write_json
from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import NonFiniteLoss
from mtl_keras.export.replacing import replacing


def save_evidence(
    folder: Path, error: NonFiniteLoss, model: MultiTaskModel, epoch: int, step: int, batches: tf.data.Dataset
) -> None:
    """Writes `report.json` and `batch.npz`: the task, the step, and the batch in which the loss became so.

    Args:
        folder: where to.
        error: says what happened.
        model: as it is after it.
        epoch: in which it happened.
        step: of that epoch.
        batches: those of the run, from that step on.
    """
    images, labels = next(batches.take(1).as_numpy_iterator())
    arrays = {"images": images, **{f"labels_{task}": array for task, array in labels.items()}}
    report = {
        "task": error.task,
        "training_step": error.step,
        "epoch": epoch,
        "step": step,
        "learning_rate": float(model.optimizer.learning_rate),
        "task_weights": model.task_weights,
        "batch": {name: _described(array) for name, array in arrays.items()},
        "nonfinite_variables": [variable.path for variable in model.weights if not np.isfinite(variable.numpy()).all()],
    }
    with replacing(folder) as temporary:
        temporary.mkdir()
        np.savez_compressed(temporary / "batch.npz", **arrays)
        write_json(temporary / "report.json", report)


def _described(array: np.ndarray) -> dict[str, Any]:
    finite = array[np.isfinite(array)]
    ends = {"lowest": finite.min().item(), "highest": finite.max().item()} if finite.size else {}
    return {"shape": list(array.shape), "nonfinite": array.size - finite.size, **ends}
