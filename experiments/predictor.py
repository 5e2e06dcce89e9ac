"""`Predictor`: a trained model that predicts from image files or rows, without its training data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

import data
from experiments.files import read_json
from experiments.run_directory import RunDirectory
from models import saved
from mtl_keras.export import class_names, heads, load_export
from mtl_keras.export.columns import read_columns
from mtl_keras.export.loading import open_saved_model
from mtl_keras.reports.outputs import Output


@dataclass(frozen=True)
class Predictor:
    """A model that predicts from image files, or from the rows of a table.

    Args:
        source: the path of the model.
        outputs: task -> description of its output.
        decode: JPEG or PNG bytes (scalar string) -> the model's input `(height, width, channels)`, float32 in [0, 1].
            For a table: column -> cells `(batch,)` -> the model's inputs `(batch, features)`.
        predict: inputs `(batch, ...)` -> task -> predictions `(batch, ...)`.
        columns: for a table, column -> dtype of its cells: float32 or string. Empty for images.
        categories: column -> its categories in training, for the categorical columns whose other categories become
            zeros. Not known to a SavedModel.
    """

    source: Path
    outputs: Mapping[str, Output]
    decode: Callable[[Any], Any]
    predict: Callable[[Any], Mapping[str, Any]]
    columns: Mapping[str, tf.DType] = field(default_factory=dict)
    categories: Mapping[str, Collection[str]] = field(default_factory=dict)


def of_run(directory: RunDirectory, *, saved_model: bool = False) -> Predictor:
    """Loads a predictor from the best model of a run, or from its exported SavedModel.

    Raises:
        ValueError: if there is no such model, or the run is from a version that did not record its tasks.
    """
    config = directory.config()
    known = read_json(directory.config_file).get("data") or {}
    if "tasks" not in known or "image_shape" not in known:
        raise ValueError(f"{directory.config_file} does not describe the tasks of the run: it is of an older version")
    try:
        outputs = {name: Output.from_json(values) for name, values in known["tasks"].items()}
        encoder = data.FeatureEncoder.from_json(known["features"]) if "features" in known else None
    except (ValueError, AttributeError) as cause:
        raise ValueError(f"{directory.config_file} is damaged: {cause}") from cause
    source = directory.saved_model if saved_model else directory.best_model
    predict = load_export(source) if saved_model else saved.load_keras_file(source).predict_on_batch
    if encoder is not None:
        categories = {
            feature.name: feature.categories for feature in encoder.features if feature.categories and not feature.other
        }
        return Predictor(source, outputs, encoder, predict, encoder.columns, categories)
    return Predictor(source, outputs, data.decoder(config.dataset, known["image_shape"]), predict)


def of_saved_model(path: Path) -> Predictor:
    """Loads a predictor from a SavedModel written by `train.py --export`.

    Its tasks are inferred from the stored names of their classes or points and from the output shapes; those of dense
    tasks from the stored kinds of their heads. Classes without names are treated as numbers.

    Raises:
        OSError: if it does not exist or is damaged.
        ValueError: if it can neither decode images nor encode columns.
    """
    loaded, columns = open_saved_model(path), read_columns(path)
    decode = getattr(loaded, "encode" if columns else "decode", None)
    serve = loaded.signatures.get("serving_default")
    if decode is None or serve is None:
        raise ValueError(
            "The SavedModel can neither decode images nor encode columns: it was exported without `decode` and "
            f"`encode`. Received: {path}"
        )
    (argument,) = serve.structured_input_signature[1]
    names, known = class_names(path), heads(path)
    # A SavedModel does not keep the order of outputs.
    shapes = {name: tuple(spec.shape[1:]) for name, spec in sorted(serve.structured_outputs.items())}
    outputs = {name: _output(shape, names.get(name, ()), known.get(name)) for name, shape in shapes.items()}
    return Predictor(path, outputs, decode, lambda inputs: serve(**{argument: tf.constant(inputs)}), columns)


def _output(shape: tuple[int, ...], names: Sequence[str], head: str | None) -> Output:
    if head is None:
        head = "regression"
        if len(shape) == 3:
            head = "reconstruction"
        elif shape == (1,) and len(names) == 2:
            head = "binary"
        elif len(shape) == 1 and len(names) == shape[0]:
            head = "classification"
    return Output(head, shape, tuple(names))
