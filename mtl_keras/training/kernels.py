"""Replaces sequences of small operations of Keras by TensorFlow's fused kernels.

Batch normalisation in training and Adam's update are one kernel each in TensorFlow. Composed of a dozen operations that
each go through memory, as Keras has them for all its backends, they are up to a third of a step on a CPU. For small
variables, starting Adam's kernel takes longer than the operations that it replaces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import ops

# On a GPU, the kernel raises a smaller epsilon to this value.
_LEAST_EPSILON = 1.001e-5
# On a CPU, variables with fewer numbers are updated by single operations, as in Keras:
# `benchmarks/steps.py --parts adam` measures both.
_LEAST_SIZE = 50_000


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
        adam = _Adam(optimizer)
        replaced += [(optimizer, name, getattr(adam, name)) for name in ("_backend_update_step", "update_step")]
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


class _Adam:
    """Replaces the update of Adam and AdamW; see `keras.optimizers.Adam.update_step`.

    What all variables need is computed once for all of them.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.update_all, self.update_one = optimizer._backend_update_step, optimizer.update_step
        self.shared: dict[str, Any] = {}

    def _backend_update_step(self, gradients: Any, variables: Any, learning_rate: Any) -> None:
        self.shared.clear()  # tensors of another step, or of another function
        self.update_all(gradients, variables, learning_rate)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        optimizer = self.optimizer
        if isinstance(gradient, tf.IndexedSlices) or variable.dtype != "float32":  # slices: of an embedding
            self.update_one(gradient, variable, learning_rate)
            return
        index = optimizer._get_variable_index(variable)
        if not self.shared:
            self.shared = self._shared(learning_rate)
        is_small = math.prod(variable.shape) < _LEAST_SIZE and "CPU" in variable.device
        (_update_by_operations if is_small else _update_by_kernel)(
            variable.handle,
            optimizer._momentums[index].value.handle,
            optimizer._velocities[index].value.handle,
            ops.cast(gradient, "float32"),
            **self.shared,
        )

    def _shared(self, learning_rate: Any) -> dict[str, Any]:
        optimizer = self.optimizer
        rate, beta_1, beta_2, rest_1, rest_2, epsilon = (
            ops.cast(value, "float32")
            for value in (
                *(learning_rate, optimizer.beta_1, optimizer.beta_2),
                *(1 - optimizer.beta_1, 1 - optimizer.beta_2, optimizer.epsilon),
            )
        )
        step = ops.cast(optimizer.iterations + 1, "float32")
        power_1, power_2 = ops.power(beta_1, step), ops.power(beta_2, step)
        return {
            "rate": rate,
            "betas": (beta_1, beta_2),
            "powers": (power_1, power_2),
            "epsilon": epsilon,
            "rests": (rest_1, rest_2),
            "alpha": rate * ops.sqrt(1 - power_2) / (1 - power_1),
        }


def _update_by_kernel(
    variable: Any, m: Any, v: Any, gradient: Any, rate: Any, betas: Any, powers: Any, epsilon: Any, **_: Any
) -> None:
    """Updates a variable and its slots, given by their handles."""
    tf.raw_ops.ResourceApplyAdam(
        var=variable,
        m=m,
        v=v,
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=rate,
        beta1=betas[0],
        beta2=betas[1],
        epsilon=epsilon,
        grad=gradient,
    )


def _update_by_operations(
    variable: Any, m: Any, v: Any, gradient: Any, rests: Any, alpha: Any, epsilon: Any, **_: Any
) -> None:
    """Does the same with the operations of `keras.optimizers.Adam`, written such that they are traced quickly."""
    raw = tf.raw_ops
    averages = []
    for slot, value, rest in ((m, gradient, rests[0]), (v, raw.Square(x=gradient), rests[1])):
        old = raw.ReadVariableOp(resource=slot, dtype=tf.float32)
        new = raw.AddV2(x=old, y=raw.Mul(x=raw.Sub(x=value, y=old), y=rest))
        raw.AssignVariableOp(resource=slot, value=new)
        averages.append(new)
    root = raw.AddV2(x=raw.Sqrt(x=averages[1]), y=epsilon)
    raw.AssignSubVariableOp(resource=variable, value=raw.RealDiv(x=raw.Mul(x=averages[0], y=alpha), y=root))
