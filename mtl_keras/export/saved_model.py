"""Exports models as TensorFlow SavedModels: from images, JPEG and PNG bytes or columns to named predictions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mtl_keras.checks import unknown_value
from mtl_keras.export.columns import Encoder, add_columns, write_columns
from mtl_keras.export.replacing import replacing
from mtl_keras.model import MultiTaskModel
from mtl_keras.tasks import HEADS

_CLASS_NAMES, _HEADS = "class_names.json", "heads.json"


def export_saved_model(
    model: MultiTaskModel,
    path: str | PathLike[str],
    *,
    decode: Callable[[tf.Tensor], tf.Tensor] | None = None,
    encode: Encoder | None = None,
    class_names: Mapping[str, Sequence[str]] | None = None,
    heads: Mapping[str, str] | None = None,
) -> None:
    """Writes a SavedModel with the signatures `serving_default` and `serve_encoded` or `serve_columns`.

    - `serving_default` takes images (batch, height, width, channels), under the name of the model's `keras.Input`;
    - given `decode`, `serve_encoded` takes `encoded`, strings (batch,), each the bytes of a JPEG or PNG file;
    - given `encode`, `serve_columns` takes the raw columns of a table, one tensor (batch,) for each;
    - all return a dict from task to float32 predictions (batch, ...).

    With `decode`, the loaded object has it too: `tf.saved_model.load(path).decode(encoded)` returns the model's input
    image. So it has `encode`, from a dict of columns to the model's input.

    Batches may have any size from 1. Everything is inside the TensorFlow graph, which needs neither this library nor
    Keras. `keras.layers.TFSMLayer(path)` loads it as a layer.

    Args:
        model: the model; every task is exported, dropped or not.
        path: folder to write. An existing export is replaced once the new one is complete.
        decode: function from a scalar string of JPEG or PNG bytes to one image (height, width, channels) as the model
            takes it, float32 in [0, 1], in TensorFlow operations only: the complete preprocessing of a stored image.
        encode: the encoder of a table, such as the `features` of a dataset: from a dict of columns (batch,) to the
            model's input (batch, features), in TensorFlow operations only. The argument of a column in `serve_columns`
            is its name with `_` for each character that is not an English letter, a digit or `_`
            (`mtl_keras.export.columns.arguments`). The asset `assets/columns.json` has column -> its argument and
            dtype.
        class_names: task -> names of its classes, in the order of their indices. They become the asset
            `assets/class_names.json`; read them with `mtl_keras.export.class_names(path)` or, without this library,
            from `tf.saved_model.load(path).class_names.asset_path`.
        heads: task -> kind of its head, one of `mtl_keras.tasks.HEADS`, for tasks whose kind does not follow from the
            shape of the output: those of dense tasks. They become the asset `assets/heads.json`; read them with
            `mtl_keras.export.heads(path)`.

    Raises:
        ValueError: if `class_names` or `heads` has an unknown task, for an unknown head, if `decode` or `encode` does
            not return what the model takes, or if something other than a SavedModel is at `path`.
        OSError: if `path` cannot be written. An existing export is left unchanged.

    Example:

    ```python
    export_saved_model(model, "saved_model", class_names={"item": ["shirt", "shoe"]})
    predict = tf.saved_model.load("saved_model").signatures["serving_default"]
    predict(images=images)["item"]
    ```

    References:
        https://www.tensorflow.org/guide/saved_model
    """
    path = Path(path)
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise ValueError(f"Will not replace something that is not a SavedModel. Received: path={str(path)!r}")
    for argument, given in (("class_names", class_names), ("heads", heads)):
        for task in given or ():
            if task not in model.outputs_by_task:
                raise unknown_value(f"task in `{argument}`", task, model.outputs_by_task)
    for task, head in (heads or {}).items():
        if head not in HEADS:
            raise unknown_value(f"head of task {task!r}", head, HEADS)
    serving = serving_model(model)
    module = tf.Module()
    # Lookup tables, such as those of `StringLookup` layers, are not variables.
    module.tables = [layer.lookup_table for layer in serving._flatten_layers() if hasattr(layer, "lookup_table")]
    module.serve = _serve(serving)  # the name that `keras.Model.export` gives it
    signatures = {"serving_default": module.serve.get_concrete_function()}
    module.weights = list(signatures["serving_default"].variables)
    if decode is not None:
        module.decode = _decode(serving, decode)
        module.serve_encoded = _serve_encoded(serving, module.serve, module.decode)
        signatures["serve_encoded"] = module.serve_encoded.get_concrete_function()
    if encode is not None:
        if len(serving.inputs) != 1:
            raise ValueError(f"`encode` is for models with one input. Received one with {len(serving.inputs)} inputs")
        signatures["serve_columns"] = add_columns(module, encode, serving.inputs[0].shape[1:])
    with tempfile.TemporaryDirectory() as folder, replacing(path) as temporary:
        if class_names is not None:
            names = {task: list(names) for task, names in class_names.items()}
            module.class_names = _asset(Path(folder, _CLASS_NAMES), names)
        if heads is not None:
            module.heads = _asset(Path(folder, _HEADS), dict(heads))
        if encode is not None:
            module.columns = write_columns(encode, Path(folder))
        tf.saved_model.save(module, str(temporary), signatures)


def class_names(path: str | PathLike[str]) -> dict[str, list[str]]:
    """Returns the class names by task in an exported SavedModel; empty if it has none.

    Raises:
        ValueError: if they cannot be read; the message names the file.
    """
    found: dict[str, list[str]] = _read_asset(path, _CLASS_NAMES)
    return found


def heads(path: str | PathLike[str]) -> dict[str, str]:
    """Returns the kinds of heads by task in an exported SavedModel; empty if it has none.

    Raises:
        ValueError: if they cannot be read; the message names the file.
    """
    found: dict[str, str] = _read_asset(path, _HEADS)
    return found


def _asset(file: Path, content: Any) -> Any:
    """Writes JSON and returns it as an asset."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return tf.saved_model.Asset(str(file))


def _read_asset(path: str | PathLike[str], name: str) -> Any:
    asset = Path(path, "assets", name)
    try:
        return json.loads(asset.read_text(encoding="utf-8")) if asset.exists() else {}
    except ValueError as cause:
        raise ValueError(f"{asset} is damaged: {cause}") from cause


def serving_model(model: Any) -> keras.Model:
    """Returns a stock `keras.Model` with the layers, inputs and output names of a `MultiTaskModel`.

    Its outputs are float32, whatever the layers compute in. It shares the model's weights.

    Args:
        model: a `mtl_keras.MultiTaskModel`.
    """
    outputs = {name: keras.layers.Identity(dtype="float32")(output) for name, output in model.outputs_by_task.items()}
    return keras.Model(model.inputs_struct, outputs)


def input_signature(serving: keras.Model) -> list[Any]:
    """Returns the `tf.TensorSpec`s of a model's inputs, with their structure and names, for batches of any size."""
    return [keras.tree.map_structure(lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype, x.name), serving.input)]


def _serve(serving: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    @tf.function(input_signature=input_signature(serving), autograph=False)
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return serving(images, training=False)

    return serve


def _decode(
    serving: keras.Model, decode: Callable[[tf.Tensor], tf.Tensor]
) -> tf.types.experimental.PolymorphicFunction:
    if len(serving.inputs) != 1:
        raise ValueError(f"`decode` is for models with one input. Received a model with {len(serving.inputs)} inputs")
    expected = tf.TensorSpec(serving.inputs[0].shape[1:], tf.float32)
    decode_one = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string, "encoded")])
    image = decode_one.get_concrete_function().structured_outputs
    if image.dtype != expected.dtype or not image.shape.is_compatible_with(expected.shape):
        raise ValueError(
            f"`decode` must give one image as the model takes it, float32 {expected.shape}. "
            f"Received: {image.dtype.name} {image.shape}"
        )
    return decode_one


def _serve_encoded(
    serving: keras.Model,
    serve: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    decode: tf.types.experimental.PolymorphicFunction,
) -> tf.types.experimental.PolymorphicFunction:
    image = tf.TensorSpec(serving.inputs[0].shape[1:], tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "encoded")], autograph=False)
    def serve_encoded(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return serve(tf.map_fn(decode, encoded, fn_output_signature=image))

    return serve_encoded
