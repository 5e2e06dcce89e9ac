"""Units that exchange features between the networks of several tasks: cross-stitch, sluice and NDDR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_bool, check_integer, check_number

Shapes = Sequence[tuple[int | None, ...]]


def _check_shapes(layer: keras.Layer, shapes: Any, position: int) -> tuple[int, int]:
    """Returns the number of tasks and of channels of a list of equal shapes `(batch, ..., channels)`."""
    lists = isinstance(shapes, (list, tuple)) and bool(shapes) and isinstance(shapes[0], (list, tuple))
    if not lists or len({tuple(shape) for shape in shapes}) != 1 or len(shapes) <= position:
        raise ValueError(
            f"{layer.name} needs a list of the features of each task, of equal shapes (batch, ..., channels), for "
            f"position={position}. Received: input_shape={shapes}"
        )
    return len(shapes), shapes[0][-1]


def _start(tasks: int, position: int, own: float, others: float | None) -> np.ndarray:
    """Returns the initial weight of each task's features."""
    if tasks == 1:
        return np.ones(1, "float32")
    start = np.full(tasks, (1 - own) / (tasks - 1) if others is None else others, "float32")
    start[position] = own
    return start


class _Exchange(keras.layers.Layer):
    """What the units have in common: the features of all tasks in, those of one task out."""

    def __init__(self, position: int, own: float, others: float | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.position = check_integer("position", position, 0)
        self.own = check_number("own", own)
        self.others = None if others is None else check_number("others", others)

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        return tuple(input_shape[self.position])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "position": self.position, "own": self.own, "others": self.others}


@keras.saving.register_keras_serializable("mtl_keras")
class CrossStitch(_Exchange):
    """Computes the features of one task as a linear combination of those of all tasks: one row of a cross-stitch unit.

    Called with a list of the tasks' features `(batch, ..., channels)`; returns features of that shape,
    `sum over tasks j of alpha[j] * features[j]`. The unit of `n` tasks is `n` such layers.

    The trained variable is the change of `alpha` from its start, divided by `speed`. Weight decay therefore pulls
    `alpha` to its start, not to 0, and with Adam `alpha` moves `speed` times as fast as other weights (with plain SGD,
    `speed ** 2` times). The defaults follow the paper, but were not verified word by word.

    Args:
        position: index of the task whose features are returned.
        own: initial weight of the task's own features.
        others: initial weight of those of each other task; `None` for `(1 - own) / (tasks - 1)`, a convex combination.
        per_channel: whether each channel has its own weights.
        speed: see above. The paper uses learning rates 100 to 1000 times as high.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, or features of different shapes.

    References:
        I. Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016, equation 1,
        https://arxiv.org/abs/1604.03539
    """

    def __init__(
        self,
        position: int,
        own: float = 0.9,
        others: float | None = None,
        per_channel: bool = True,
        speed: float = 100.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(position, own, others, **kwargs)
        check_bool("per_channel", per_channel)
        self.per_channel = per_channel
        self.speed = check_number("speed", speed, 0)

    def build(self, input_shape: Shapes) -> None:
        tasks, channels = _check_shapes(self, input_shape, self.position)
        self._start = _start(tasks, self.position, self.own, self.others)[:, None]
        self.change = self.add_weight((tasks, channels if self.per_channel else 1), "zeros", name="change")
        self.built = True

    def mixing(self) -> Any:
        """Returns `alpha`, `(tasks, channels)` or `(tasks, 1)`."""
        return self._start + self.speed * self.change

    def call(self, inputs: Sequence[Any]) -> Any:
        alpha = ops.cast(self.mixing(), self.compute_dtype)
        products = [alpha[task] * features for task, features in enumerate(inputs)]
        return sum(products[1:], products[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per_channel": self.per_channel, "speed": self.speed}


@keras.saving.register_keras_serializable("mtl_keras")
class Sluice(_Exchange):
    """Computes the features of one task from the subspaces of all tasks: the rows of a sluice unit for that task.

    Channels are divided into `subspaces` equal parts. Each part of the output is a linear combination of all parts of
    all tasks; neither rows nor columns of `alpha` are normalised. With one subspace this is a cross-stitch unit with
    one weight per task.

    Called with a list of the tasks' features `(batch, ..., channels)`; returns features of that shape.

    Args:
        position: index of the task whose features are returned.
        own: initial weight of the task's own subspace; the task's other subspaces start at 0.
        others: initial weight of the same subspace of each other task; `None` for `(1 - own) / (tasks - 1)`.
        subspaces: number of parts of the channels.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, features of different shapes, or channels that cannot be divided.

    References:
        S. Ruder et al., "Latent Multi-task Architecture Learning", AAAI 2019, equation 2,
        https://arxiv.org/abs/1705.08142
    """

    def __init__(
        self, position: int, own: float = 0.9, others: float | None = None, subspaces: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(position, own, others, **kwargs)
        self.subspaces = check_integer("subspaces", subspaces, 1)

    def build(self, input_shape: Shapes) -> None:
        tasks, channels = _check_shapes(self, input_shape, self.position)
        if channels % self.subspaces:
            raise ValueError(
                f"{self.name} cannot divide {channels} channels into equal parts. Received: subspaces={self.subspaces}"
            )
        tasks_start = _start(tasks, self.position, self.own, self.others)
        start = np.kron(tasks_start, np.eye(self.subspaces, dtype="float32"))
        self.alpha = self.add_weight(
            (self.subspaces, tasks * self.subspaces),
            lambda shape, dtype: ops.convert_to_tensor(start, dtype),
            name="alpha",
        )
        self.built = True

    def call(self, inputs: Sequence[Any]) -> Any:
        parts = [part for features in inputs for part in ops.split(features, self.subspaces, axis=-1)]
        rows = []
        for row in range(self.subspaces):
            products = [self.alpha[row, column] * part for column, part in enumerate(parts)]
            rows.append(sum(products[1:], products[0]))
        return ops.concatenate(rows, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "subspaces": self.subspaces}


@keras.saving.register_keras_serializable("mtl_keras")
class SubspaceOrthogonality(keras.regularizers.Regularizer):
    """Penalises a kernel whose output subspaces are alike: `factor * sum of ||W_a^T W_b||_F^2` over pairs of subspaces.

    Args:
        subspaces: number of equal parts of the kernel's last axis.
        factor: weight of the penalty.

    References:
        S. Ruder et al., AAAI 2019, section 2, https://arxiv.org/abs/1705.08142
    """

    def __init__(self, subspaces: int = 2, factor: float = 0.01) -> None:
        self.subspaces = check_integer("subspaces", subspaces, 1)
        self.factor = check_number("factor", factor, 0)

    def __call__(self, x: Any) -> Any:
        kernel = ops.reshape(x, (-1, self.subspaces, x.shape[-1] // self.subspaces))
        products = ops.einsum("isa,itb->stab", kernel, kernel)
        pairs = np.triu(np.ones((self.subspaces, self.subspaces), "float32"), 1)
        return self.factor * ops.sum(pairs * ops.sum(products**2, axis=(2, 3)))

    def get_config(self) -> dict[str, Any]:
        return {"subspaces": self.subspaces, "factor": self.factor}


@keras.saving.register_keras_serializable("mtl_keras")
class LayerMixture(keras.layers.Layer):
    """Computes a linear combination of the outputs of several layers of one task: the `beta` of a sluice network.

    Called with a list of `layers` tensors of one shape; returns a tensor of that shape.

    Args:
        last: initial weight of the last layer; the others share the rest. `None` for equal weights.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for tensors of different shapes.

    References:
        S. Ruder et al., AAAI 2019, equation 3, https://arxiv.org/abs/1705.08142
    """

    def __init__(self, last: float | None = 0.9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last = None if last is None else check_number("last", last)

    def build(self, input_shape: Shapes) -> None:
        count, _ = _check_shapes(self, input_shape, 0)
        start = _start(count, count - 1, 1 / count if self.last is None else self.last, None)
        self.beta = self.add_weight((count,), lambda shape, dtype: ops.convert_to_tensor(start, dtype), name="beta")
        self.built = True

    def call(self, inputs: Sequence[Any]) -> Any:
        products = [self.beta[index] * each for index, each in enumerate(inputs)]
        return sum(products[1:], products[0])

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "last": self.last}


@keras.saving.register_keras_serializable("mtl_keras")
class NDDR(_Exchange):
    """Reduces the concatenated features of all tasks to those of one task: 1x1 convolution, normalisation and ReLU.

    Called with a list of the tasks' features `(batch, ..., channels)`; returns features of that shape.

    Args:
        position: index of the task whose features are returned.
        own: initial weight of each channel's own map.
        others: initial weight of the same channel of each other task; `None` for `(1 - own) / (tasks - 1)`. All other
            weights start at 0.
        use_bias: whether the convolution has a bias, as in the authors' code.
        normalise: whether to normalise batches between the convolution and ReLU.
        momentum: momentum of the normalisation, in Keras' sense.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range, or features of different shapes.

    References:
        Y. Gao et al., "NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural Discriminative Dimensionality
        Reduction", CVPR 2019, https://arxiv.org/abs/1801.08297
    """

    def __init__(
        self,
        position: int,
        own: float = 0.9,
        others: float | None = None,
        use_bias: bool = False,
        normalise: bool = True,
        momentum: float = 0.95,
        **kwargs: Any,
    ) -> None:
        super().__init__(position, own, others, **kwargs)
        check_bool("use_bias", use_bias)
        check_bool("normalise", normalise)
        self.use_bias, self.normalise = use_bias, normalise
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.normalisation = (
            keras.layers.BatchNormalization(momentum=momentum, dtype=self.dtype_policy) if normalise else None
        )

    def build(self, input_shape: Shapes) -> None:
        tasks, channels = _check_shapes(self, input_shape, self.position)
        start = np.kron(_start(tasks, self.position, self.own, self.others)[:, None], np.eye(channels, dtype="float32"))
        self.kernel = self.add_weight(
            (tasks * channels, channels), lambda shape, dtype: ops.convert_to_tensor(start, dtype), name="kernel"
        )
        self.bias = self.add_weight((channels,), "zeros", name="bias") if self.use_bias else None
        if self.normalisation:
            self.normalisation.build(input_shape[self.position])
        self.built = True

    def call(self, inputs: Sequence[Any], training: bool = False) -> Any:
        x = ops.matmul(ops.concatenate(list(inputs), axis=-1), self.kernel)
        if self.bias is not None:
            x = x + self.bias
        if self.normalisation:
            x = self.normalisation(x, training=training)
        return ops.relu(x)

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("use_bias", "normalise", "momentum")}
        return {**super().get_config(), **config}
