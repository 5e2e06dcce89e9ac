"""The model for serving: float32 outputs under the tasks' names, without anything for training."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


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
