"""`TaskRouting`: a fixed random part of the channels for each task."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_fraction, check_integer


@keras.saving.register_keras_serializable("mtl_keras")
class TaskRouting(keras.layers.Layer):
    """Sets a fixed random part of the channels of `(batch, ..., channels)` to 0 for one task.

    The mask is not trained, and is saved with the model. Before a ReLU it has the same effect as after it.

    Args:
        rate: share of the channels that are off: `int(rate * channels)` of them.
        seed: seed of the mask. Give each layer and task its own. `None` draws one.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range.

    References:
        G. Strezoski, N. van Noord, M. Worring, "Many Task Learning With Task Routing", ICCV 2019, section 3,
        https://arxiv.org/abs/1903.12117
    """

    def __init__(self, rate: float = 0.5, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = check_fraction("rate", rate)
        self.seed = random.randrange(2**31) if seed is None else check_integer("seed", seed, 0)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1] or 0
        start = np.ones(channels, "float32")
        start[np.random.default_rng(self.seed).permutation(channels)[: int(self.rate * channels)]] = 0
        self.mask = self.add_weight(
            (channels,), lambda shape, dtype: ops.convert_to_tensor(start, dtype), trainable=False, name="mask"
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs * self.mask

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
