"""`BranchChoice`: learns from which of several nodes a node or a task continues (Learning to Branch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtl_keras.checks import check_positive


@keras.saving.register_keras_serializable("mtl_keras")
class BranchChoice(keras.layers.Layer):
    """Chooses one of several tensors: in training a sample of a Gumbel-softmax, otherwise the most likely one.

    Called with a list of the parents' features, all of one shape; returns features of that shape. In training they are
    weighted by `softmax((logits + Gumbel noise) / temperature)`, drawn once a step. The temperature falls with the
    training steps, so that the weights approach a choice of one parent.

    The layer follows the paper, which was not verified word by word: the authors published no code, and the course of
    the temperature is this project's own.

    Args:
        temperature: temperature in the first step.
        decay: factor of the temperature in each step.
        lowest: the temperature does not fall below this.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, or an input that is not such a list.

    References:
        P. Guo, C.-Y. Lee, D. Ulbricht, "Learning to Branch for Multi-Task Learning", ICML 2020, section 3,
        https://arxiv.org/abs/2006.01895
    """

    def __init__(self, temperature: float = 5.0, decay: float = 0.998, lowest: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = check_positive("temperature", temperature)
        self.decay = check_positive("decay", decay, 1)
        self.lowest = check_positive("lowest", lowest)
        self._seeds = keras.random.SeedGenerator()

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        if len({tuple(shape) for shape in input_shape}) != 1:
            raise ValueError(f"{self.name} needs a list of features of one shape. Received: input_shape={input_shape}")
        self.logits = self.add_weight((len(input_shape),), "zeros", name="logits")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")
        self.built = True

    def choice(self) -> int:
        """Returns the index of the most likely parent."""
        return int(ops.argmax(self.logits))

    def call(self, inputs: Sequence[Any], training: bool = False) -> Any:
        logits = ops.cast(self.logits, "float32")
        if training:
            noise = keras.random.uniform(ops.shape(logits), 1e-6, 1 - 1e-6, seed=self._seeds)
            temperature = ops.maximum(self.temperature * self.decay ** ops.cast(self.steps, "float32"), self.lowest)
            weights = ops.softmax((logits - ops.log(-ops.log(noise))) / temperature)
            self.steps.assign_add(1)
        else:
            weights = ops.one_hot(ops.argmax(logits), len(inputs))
        weights = ops.cast(weights, self.compute_dtype)
        products = [weights[index] * features for index, features in enumerate(inputs)]
        return sum(products[1:], products[0])

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("temperature", "decay", "lowest")}
        return {**super().get_config(), **config}
