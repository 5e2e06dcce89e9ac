"""`export`: writes a model in a format that runs without this library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mtl_keras.checks import unknown_value
from mtl_keras.export.columns import Encoder
from mtl_keras.export.replacing import replacing
from mtl_keras.export.saved_model import export_saved_model, input_signature, serving_model
from mtl_keras.extras import import_extra
from mtl_keras.model import MultiTaskModel

SUFFIXES = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}
"""Suffix of the path of an export, by format."""


def export(
    model: MultiTaskModel,
    path: str | PathLike[str],
    format: str = "saved_model",
    *,
    decode: Callable[[tf.Tensor], tf.Tensor] | None = None,
    encode: Encoder | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    heads: Mapping[str, str] | None = None,
) -> None:
    """Writes a model as a SavedModel, or in another format that Keras can write.

    In every format the input has the name of the model's `keras.Input`, the outputs have the names of the tasks and are
    float32, and batches may have any size from 1.

    Args:
        model: the model; every task is exported, dropped or not.
        path: where to write: a file `*.onnx` for ONNX, a file `*.tflite` for LiteRT, a folder for a SavedModel. An
            existing export is replaced once the new one is complete.
        format: `"saved_model"`; `"onnx"`, which needs `pip install "mtl-keras[onnx]"`; or `"litert"`. The last two
            are for models that compute in float32.
        decode: for SavedModels only; see `export_saved_model`.
        encode: for SavedModels only; see `export_saved_model`.
        class_names: for SavedModels only; see `export_saved_model`.
        heads: for SavedModels only; see `export_saved_model`.

    Raises:
        ValueError: for an unknown format, a path with another suffix, a model that is not float32 or an argument that
            the format does not support.
        ImportError: if a package that the format needs is not installed.
        OSError: if `path` cannot be written. An existing export is left unchanged.

    Example:

    ```python
    export(model, "model.onnx", "onnx")
    onnxruntime.InferenceSession("model.onnx").run(["item"], {"images": images})
    ```

    References:
        https://keras.io/api/models/model_saving_apis/export/
    """
    if format not in SUFFIXES:
        raise unknown_value("format", format, SUFFIXES)
    if format == "saved_model":
        return export_saved_model(model, path, decode=decode, encode=encode, class_names=class_names, heads=heads)
    if any(argument is not None for argument in (decode, encode, class_names, heads)):
        raise ValueError(
            f"`decode`, `encode`, `class_names` and `heads` are for format='saved_model'. Received: format={format!r}"
        )
    path = Path(path)
    if path.suffix != SUFFIXES[format] or path.is_dir():
        raise ValueError(f"{format!r} is written to a file *{SUFFIXES[format]}. Received: path={str(path)!r}")
    for layer in _layers(model):
        if layer.compute_dtype != "float32":
            raise ValueError(
                f"{format!r} is for models that compute in float32: build the model in float32 and load the weights. "
                f"Received: a layer {layer.name!r} that computes in {layer.compute_dtype}"
            )
    if format == "onnx":
        import_extra("onnx", "onnx")
        import_extra("tf2onnx", "onnx")
        shared = {tensor.name for tensor in model.inputs} & set(model.outputs_by_task)
        if shared:
            raise ValueError(f"In 'onnx' no task can have the name of an input. Received: {', '.join(sorted(shared))}")
    with replacing(path) as temporary, warnings.catch_warnings():
        # Keras patches tf2onnx for NumPy 2 and reads `np.object` to do so.
        warnings.filterwarnings("ignore", message=".*np.object", category=FutureWarning)
        serving = serving_model(model)
        serving.export(str(temporary), format=format, verbose=False, input_signature=input_signature(serving))
    return None


def _layers(model: Any) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield layer
        yield from _layers(layer) if isinstance(layer, keras.Model) else ()
