"""Replaces sequences of small operations of Keras by TensorFlow's fused kernels.

Batch normalisation in training and Adam's update are one kernel each in TensorFlow. Composed of a dozen operations that
each go through memory, as Keras has them for all its backends, they are up to a third of a step on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import ops

# On a GPU, the kernel raises a smaller epsilon to this value.
_LEAST_EPSILON = 1.001e-5


@contextmanager
def fused_kernels(model: keras.Model) -> Iterator[None]:
    """Lets a compiled model's layers and optimizer use fused kernels, while a training step is run or traced.

    Layers and optimizers that do more than the kernels (masks, statistics over replicas, AMSGrad, subclasses)
    run unchanged.

    Args:
        model: the compiled model.
    """
    replaced: list[tuple[Any, str, Any]] = [
        (layer, "call", partial(_normalise, layer, layer.call))
        for layer in model._flatten_layers()
        if type(layer) is keras.layers.BatchNormalization and _is_plain(layer)
    ]
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if (
        keras.config.floatx() == "float32"
        and type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
        and not optimizer.amsgrad
    ):
        replaced.append((optimizer, "update_step", partial(_adam_step, optimizer, optimizer.update_step)))
    for owner, name, function in replaced:
        vars(owner)[name] = function
    try:
        yield
    finally:
        for owner, name, _ in replaced:
            del vars(owner)[name]


def _is_plain(layer: keras.layers.BatchNormalization) -> bool:
    # `renorm` is younger than the oldest Keras that is supported.
    return not (layer.synchronized or getattr(layer, "renorm", False)) and layer.epsilon >= _LEAST_EPSILON


def _normalise(layer: Any, otherwise: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    """`keras.layers.BatchNormalization.call`; see there."""
    rank = len(inputs.shape)
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    last = layer.axis in (-1, rank - 1)
    if not (training and layer.trainable and mask is None and last and x.dtype == tf.float32):
        return otherwise(inputs, training=training, mask=mask)
    channels = x.shape[-1]
    normalised, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x if rank == 4 else tf.reshape(x, (-1, 1, 1, channels)),
        ops.cast(layer.gamma, "float32") if layer.scale else tf.ones(channels),
        ops.cast(layer.beta, "float32") if layer.center else tf.zeros(channels),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel's variance is that of a sample (divided by n - 1), Keras' that of the batch.
    count = tf.cast(tf.size(x) // channels, tf.float32)
    momentum = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * momentum + mean * (1.0 - momentum))
    unbiased = variance * ((count - 1.0) / count)
    layer.moving_variance.assign(layer.moving_variance * momentum + unbiased * (1.0 - momentum))
    # Prevents TensorFlow from fusing it with a following ReLU: that kernel turns NaN into 0, which would hide it.
    normalised = tf.ensure_shape(normalised, normalised.shape)
    return ops.cast(normalised if rank == 4 else tf.reshape(normalised, tf.shape(x)), layer.compute_dtype)


def _adam_step(optimizer: Any, otherwise: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
    """`keras.optimizers.Adam.update_step`; see there."""
    if isinstance(gradient, tf.IndexedSlices):  # of an embedding
        otherwise(gradient, variable, learning_rate)
        return
    dtype = variable.dtype
    index = optimizer._get_variable_index(variable)
    step = ops.cast(optimizer.iterations + 1, dtype)
    beta_1, beta_2 = ops.cast(optimizer.beta_1, dtype), ops.cast(optimizer.beta_2, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].value.handle,
        v=optimizer._velocities[index].value.handle,
        beta1_power=ops.power(beta_1, step),
        beta2_power=ops.power(beta_2, step),
        lr=ops.cast(learning_rate, dtype),
        beta1=beta_1,
        beta2=beta_2,
        epsilon=ops.cast(optimizer.epsilon, dtype),
        grad=ops.cast(gradient, dtype),
    )
