"""Loads exported models, and compares their predictions with those of the original models."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mtl_keras.export.formats import SUFFIXES
from mtl_keras.extras import import_extra
from mtl_keras.model import MultiTaskModel

PredictFunction = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Function from images `(batch, height, width, channels)` to `{task: predictions (batch, ...)}`."""


def load_export(path: str | PathLike[str]) -> PredictFunction:
    """Loads an exported model that has one input.

    Args:
        path: a SavedModel, an ONNX file (`.onnx`) or a LiteRT file (`.tflite`).

    Returns:
        A function from images `(batch, height, width, channels)` to `{task: predictions (batch, ...)}`.

    Raises:
        OSError: if it does not exist or cannot be read.
        ImportError: if the package that runs it is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no exported model at {path}")
    loaders = {SUFFIXES["onnx"]: _load_onnx, SUFFIXES["litert"]: _load_litert}
    return loaders.get(path.suffix, _load_saved_model)(path)


def open_saved_model(path: str | PathLike[str]) -> Any:
    """Loads a SavedModel by `tf.saved_model.load`. The result owns the variables: keep it while you use its functions.

    Raises:
        OSError: if `path` is not a SavedModel or is damaged; the message names it.
    """
    if not Path(path, "saved_model.pb").is_file():
        raise OSError(f"{path} is not a SavedModel: it has no file saved_model.pb")
    try:
        return tf.saved_model.load(str(path))
    except (tf.errors.OpError, OSError, ValueError, LookupError, RuntimeError) as cause:
        raise OSError(f"{path} is damaged: {str(cause).splitlines()[0]}") from cause


def parity(model: MultiTaskModel, path: str | PathLike[str], images: np.ndarray, *, tolerance: float = 1e-5) -> float:
    """Compares the predictions of an exported model with those of the original model.

    Args:
        model: the model.
        path: the exported model.
        images: `(batch, height, width, channels)`, with the values that the model takes; a few are enough.
        tolerance: the largest difference allowed for a task whose outputs lie in [-1, 1]. For larger outputs it is
            multiplied by the largest magnitude, since float32 has seven significant digits.

    Returns:
        The largest absolute difference over all tasks.

    Raises:
        ValueError: if a task is missing, has another shape or differs by more; the message names it.
    """
    expected, received = model.predict(images, verbose=0), load_export(path)(images)
    worst = 0.0
    for task, values in expected.items():
        if task not in received:
            raise ValueError(f"{path} has no output for task {task!r}. Its outputs: {', '.join(sorted(received))}")
        values, actual = np.asarray(values, "float32"), received[task]
        if actual.shape != values.shape:
            raise ValueError(f"{path} gives task {task!r} the shape {actual.shape}, the model gives it {values.shape}")
        difference = float(np.max(np.abs(actual - values), initial=0.0))
        # `not <=` instead of `>`: a difference of NaN is an error too.
        if not difference <= tolerance * max(1.0, float(np.max(np.abs(values), initial=0.0))):
            raise ValueError(
                f"{path} differs from the model by {difference:.3g} in task {task!r}; allowed: {tolerance:g}"
            )
        worst = max(worst, difference)
    return worst


def _load_saved_model(path: Path) -> PredictFunction:
    loaded = open_saved_model(path)
    (name,) = loaded.signatures["serving_default"].structured_input_signature[1]

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        # Refers to `loaded`, not to its function, which would not keep the variables alive.
        outputs = loaded.signatures["serving_default"](**{name: tf.constant(images)})
        return {task: output.numpy() for task, output in outputs.items()}

    return predict


def _load_onnx(path: Path) -> PredictFunction:
    session = import_extra("onnxruntime", "onnx").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (image,), tasks = session.get_inputs(), [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(tasks, session.run(tasks, {image.name: images}), strict=True))


def _load_litert(path: Path) -> PredictFunction:
    with warnings.catch_warnings():
        # TensorFlow's interpreter warns that it is deprecated, but it needs no other package.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        interpreter: Any = tf.lite.Interpreter(str(path))
    runner = interpreter.get_signature_runner("serving_default")
    (name,) = runner.get_input_details()

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        return runner(**{name: images})

    return predict
