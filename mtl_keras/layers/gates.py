"""Gates of experts: the weight of each expert, for each example."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_bool, check_fraction, check_integer, check_number, check_positive

_EPSILON = 1e-6  # added to probabilities before their logarithm


def _check_input(layer: keras.Layer, shape: tuple[int | None, ...]) -> int:
    """Returns the number of features of an input `(batch, features)`."""
    if len(shape) != 2 or shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} needs an input (batch, features): pool or flatten feature maps first. "
            f"Received: input_shape={shape}"
        )
    return shape[-1]


def _softmax(logits: Any) -> Any:
    """Returns the softmax over the last axis; for an axis of one entry, of which Keras warns, exactly 1."""
    return ops.softmax(logits) if logits.shape[-1] > 1 else ops.exp(logits - logits)


@keras.saving.register_keras_serializable("mtl_keras")
class SoftmaxGate(keras.layers.Layer):
    """Computes the weights of experts: `softmax((W x + b) / temperature)`.

    One gate belongs to one task. Its output goes into an `ExpertMixture`, together with the outputs of the experts.

    Args:
        experts: number of experts.
        temperature: divisor of the logits. Above 1, weights are more alike; towards 0, one expert gets all.
        dropout: the probability with which training leaves out an expert of an example; the others' weights still sum
            to 1. It keeps a gate from using the same expert for everything.
        use_bias: whether to add `b`, which the paper does not name.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, or an input that is not `(batch, features)`.

    Example:

    ```python
    experts = [keras.layers.Dense(16, activation="relu")(features) for _ in range(4)]
    mixed = ExpertMixture()([SoftmaxGate(4)(features), *experts])
    ```

    References:
        J. Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
        equations 6 and 7, https://doi.org/10.1145/3219819.3220007
        Z. Zhao et al., "Recommending What Video to Watch Next: A Multitask Ranking System", RecSys 2019, section 4.2
        (dropout), https://doi.org/10.1145/3298689.3346997
    """

    def __init__(
        self, experts: int, temperature: float = 1.0, dropout: float = 0.0, use_bias: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.experts = check_integer("experts", experts, 1)
        self.temperature = check_positive("temperature", temperature)
        self.dropout = check_fraction("dropout", dropout)
        check_bool("use_bias", use_bias)
        self.use_bias = use_bias
        self._seeds = keras.random.SeedGenerator()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = _check_input(self, input_shape)
        self.kernel = self.add_weight((features, self.experts), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((self.experts,), "zeros", name="bias") if self.use_bias else None
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the weights `(batch, experts)`, which sum to 1, for inputs `(batch, features)`."""
        logits = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            logits = logits + self.bias
        logits = ops.cast(logits, "float32") / self.temperature
        if training and self.dropout:
            kept = keras.random.uniform(ops.shape(logits), seed=self._seeds) >= self.dropout
            # Never all experts of an example.
            kept = ops.logical_or(kept, ops.logical_not(ops.any(kept, axis=-1, keepdims=True)))
            logits = ops.where(kept, logits, -1e9)
        return ops.cast(_softmax(logits), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.experts)

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("experts", "temperature", "dropout", "use_bias")}
        return {**super().get_config(), **config}


def smooth_step(values: Any, gamma: float) -> Any:
    """Computes the smooth step `S`: 0 up to `-gamma / 2`, 1 from `gamma / 2` on, and a cubic polynomial between.

    `S` and its first derivative are continuous.

    Args:
        values: a tensor of any shape.
        gamma: width of the step, > 0.

    References:
        H. Hazimeh et al., "The Tree Ensemble Layer", ICML 2020, equation 3, https://arxiv.org/abs/2002.07772
    """
    inner = -2 / gamma**3 * values**3 + 3 / (2 * gamma) * values + 0.5
    return ops.where(values <= -gamma / 2, 0.0, ops.where(values >= gamma / 2, 1.0, inner))


@keras.saving.register_keras_serializable("mtl_keras")
class DSelectKGate(keras.layers.Layer):
    """Computes the weights of experts such that, when trained, at most `k` of them are above 0.

    Each of `k` selectors has `m = ceil(log2(experts))` numbers, whose smooth steps are the bits of an expert's index;
    a softmax weights the selectors. Training starts near equal weights, and the bits become 0 or 1 as it proceeds.

    If the number of experts is not a power of 2, some codes have no expert. The layer then adds the loss
    `sum over selectors of 1 / (sum of the weights of existing experts)`, as the authors' code does. Its losses are
    means over the examples; the authors' are sums.

    Args:
        experts: number of experts, at least 2.
        k: number of selectors: the most experts in use after training.
        gamma: width of the smooth step.
        per_example: whether weights depend on the input; if not, they are the same for all examples.
        entropy: factor of the selectors' entropy in the layer's loss, which makes them converge faster; 0 for none. The
            authors' code has 1e-6 by default when it is used.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, or an input that is not `(batch, features)`.

    Example:

    ```python
    mixed = ExpertMixture()([DSelectKGate(8, k=2)(features), *experts])
    ```

    References:
        H. Hazimeh et al., "DSelect-k: Differentiable Selection in the Mixture of Experts with Applications to
        Multi-Task Learning", NeurIPS 2021, sections 3 and 4, https://arxiv.org/abs/2106.03760
    """

    def __init__(
        self,
        experts: int,
        k: int = 2,
        gamma: float = 1.0,
        per_example: bool = True,
        entropy: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.experts = check_integer("experts", experts, 2)
        self.k = check_integer("k", k, 1)
        if self.k > self.experts:
            raise ValueError(f"k must be at most experts={self.experts}. Received: k={k}")
        self.gamma = check_positive("gamma", gamma)
        check_bool("per_example", per_example)
        self.per_example = per_example
        self.entropy = check_number("entropy", entropy, 0)
        self.bits = math.ceil(math.log2(self.experts))
        # (experts, bits): the binary code of each expert, the highest bit first.
        self._codes = (np.arange(self.experts)[:, None] >> np.arange(self.bits)[::-1]) & 1

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = _check_input(self, input_shape)
        codes = keras.initializers.RandomUniform(-self.gamma / 100, self.gamma / 100)
        weights = keras.initializers.RandomUniform(-0.05, 0.05)
        count = self.k * self.bits
        self.code_kernel = self.add_weight((features, count), codes, name="code_kernel") if self.per_example else None
        self.code_bias = self.add_weight((count,), codes.clone(), name="code_bias")
        self.kernel = self.add_weight((features, self.k), weights, name="kernel") if self.per_example else None
        self.bias = self.add_weight((self.k,), weights.clone(), name="bias")
        self.built = True

    def selectors(self, inputs: Any) -> Any:
        """Returns the weights of each selector, `(batch, k, experts)`; a batch of 1 if not `per_example`."""
        codes = self.code_bias[None]
        if self.code_kernel is not None:
            codes = ops.matmul(inputs, self.code_kernel) + codes
        steps = smooth_step(ops.cast(ops.reshape(codes, (-1, self.k, 1, self.bits)), "float32"), self.gamma)
        return ops.prod(ops.where(self._codes.astype(bool), steps, 1 - steps), axis=-1)

    def call(self, inputs: Any) -> Any:
        """Returns the weights `(batch, experts)`, for inputs `(batch, features)`."""
        selectors = self.selectors(inputs)
        logits = self.bias[None]
        if self.kernel is not None:
            logits = ops.matmul(inputs, self.kernel) + logits
        shares = _softmax(ops.cast(logits, "float32"))
        reached = ops.sum(selectors, axis=-1)
        if self.entropy:
            entropy = -ops.sum(selectors * ops.log(selectors + _EPSILON), axis=(1, 2))
            self.add_loss(self.entropy * ops.mean(entropy))
        if 2**self.bits > self.experts:
            self.add_loss(ops.mean(ops.sum(1 / reached, axis=-1)))
        weights = ops.einsum("bk,bke->be", shares, selectors)
        if not self.per_example:
            weights = ops.broadcast_to(weights, (ops.shape(inputs)[0], self.experts))
        return ops.cast(weights, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.experts)

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("experts", "k", "gamma", "per_example", "entropy")}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("mtl_keras")
class ExpertMixture(keras.layers.Layer):
    """Computes the weighted sum of experts' outputs for one task.

    Called with a list: the weights `(batch, experts)` of a gate, and the output `(batch, ...)` of each expert, all of
    the same shape. Returns `(batch, ...)`.

    Raises:
        ValueError: if the number of experts is not that of the weights, or their shapes differ.

    References:
        J. Ma et al., KDD 2018, equation 6, https://doi.org/10.1145/3219819.3220007
    """

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        (_, weights), *experts = input_shape
        if weights != len(experts) or len({tuple(shape[1:]) for shape in experts}) != 1:
            raise ValueError(
                f"{self.name} needs the weights (batch, experts) and as many experts of equal shapes. "
                f"Received: input_shape={input_shape}"
            )
        self.built = True

    def call(self, inputs: list[Any]) -> Any:
        gate, *experts = inputs
        axes = (1,) * (len(experts[0].shape) - 1)
        weights = ops.split(gate, len(experts), axis=-1)
        products = [ops.reshape(weight, (-1, *axes)) * expert for weight, expert in zip(weights, experts)]
        return sum(products[1:], products[0])

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return input_shape[1]
