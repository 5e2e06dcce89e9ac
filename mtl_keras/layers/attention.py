"""`TaskAttention`: the attention module of a multi-task attention network (MTAN)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtl_keras.checks import check_integer


@keras.saving.register_keras_serializable("mtl_keras")
class TaskAttention(keras.layers.Layer):
    """Selects the features that one task needs by a soft mask: `sigmoid(BN(W2 relu(BN(W1 z)))) * features`.

    `W1` and `W2` are 1x1 convolutions with biases, BN is batch normalisation, and `z` is the concatenation of the
    sources: early features of the shared network and, after the first block, what the task selected there.

    Called with a list: the features `(batch, ..., channels)`, then one or more sources `(batch, ..., source channels)`.
    Returns features of the same shape.

    Args:
        hidden: output channels of `W1`; `None` for the channels of the features (the authors' SegNet). Their ResNet has
            a quarter of them.
        momentum: momentum of the normalisations, in Keras' sense.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, or an input that is not such a list.

    References:
        S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equations 1 and 2,
        https://arxiv.org/abs/1803.10704
    """

    def __init__(self, hidden: int | None = None, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = None if hidden is None else check_integer("hidden", hidden, 1)
        self.momentum = momentum

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        if len(input_shape) < 2 or not all(isinstance(shape, (list, tuple)) for shape in input_shape):
            raise ValueError(
                f"{self.name} needs a list: the features, then one or more sources. Received: input_shape={input_shape}"
            )
        features, *sources = input_shape
        channels, position = features[-1], tuple(features[:-1])
        hidden = self.hidden or channels
        self.first = keras.layers.Dense(hidden, dtype=self.dtype_policy)
        self.first_norm = keras.layers.BatchNormalization(momentum=self.momentum, dtype=self.dtype_policy)
        self.second = keras.layers.Dense(channels, dtype=self.dtype_policy)
        self.second_norm = keras.layers.BatchNormalization(momentum=self.momentum, dtype=self.dtype_policy)
        self.first.build((*position, sum(shape[-1] or 0 for shape in sources)))
        self.first_norm.build((*position, hidden))
        self.second.build((*position, hidden))
        self.second_norm.build((*position, channels))
        self.built = True

    def mask(self, sources: Sequence[Any], training: bool = False) -> Any:
        """Returns the mask `(batch, ..., channels)`, in [0, 1]."""
        x = sources[0] if len(sources) == 1 else ops.concatenate(list(sources), axis=-1)
        x = ops.relu(self.first_norm(self.first(x), training=training))
        return ops.sigmoid(self.second_norm(self.second(x), training=training))

    def call(self, inputs: Sequence[Any], training: bool = False) -> Any:
        features, *sources = inputs
        return self.mask(sources, training) * features

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden, "momentum": self.momentum}
