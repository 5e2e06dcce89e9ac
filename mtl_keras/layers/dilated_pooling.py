"""`DilatedPooling2D`: pooling of distant positions without a stride."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from mtl_keras.checks import check_integer, unknown_value

_KINDS = ("max", "average")


@keras.saving.register_keras_serializable("mtl_keras")
class DilatedPooling2D(keras.layers.Layer):
    """Pools windows whose positions are `dilation` apart, at every position of a map.

    At every `dilation`-th position, the result is that of pooling the map of only these positions with stride 1.
    Positions outside the map do not count. Keras' own poolings have no dilation.

    Called with maps `(batch, height, width, channels)`. Returns maps `(batch, height + sum(padding[0]) - dilation *
    (pool_size[0] - 1), ...)`, and so for the width.

    Args:
        kind: `"max"` or `"average"`.
        pool_size: height and width of the window.
        dilation: distance between the positions of a window.
        padding: `((top, bottom), (left, right))`, the number of positions added on each side.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for arguments out of range.

    References:
        F. Yu, V. Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016,
        https://arxiv.org/abs/1511.07122
    """

    def __init__(
        self,
        kind: Literal["max", "average"],
        pool_size: Sequence[int] = (2, 2),
        dilation: int = 1,
        padding: Sequence[Sequence[int]] = ((0, 0), (0, 0)),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in _KINDS:
            raise unknown_value("kind of pooling", kind, _KINDS)
        self.kind = kind
        self.pool_size = tuple(check_integer("pool_size", size, 1) for size in pool_size)
        self.dilation = check_integer("dilation", dilation, 1)
        self.padding = tuple(tuple(check_integer("padding", each, 0) for each in pair) for pair in padding)

    def call(self, inputs: Any) -> Any:
        if self.kind == "max":
            largest = self._windows(inputs, float("-inf"))
            result = largest[0]
            for each in largest[1:]:
                result = ops.maximum(result, each)
            return result
        windows = self._windows(inputs, 0.0)
        total = sum(windows[1:], windows[0])
        counts = self._windows(ops.ones_like(inputs[:1, :, :, :1]), 0.0)
        return total / sum(counts[1:], counts[0])

    def _windows(self, maps: Any, outside: float) -> list[Any]:
        """Returns the maps that each position of the window sees."""
        if any(map(any, self.padding)):
            maps = ops.pad(maps, ((0, 0), *self.padding, (0, 0)), constant_values=outside)
        height, width = (
            side - self.dilation * (size - 1) for side, size in zip(maps.shape[1:3], self.pool_size, strict=True)
        )
        starts = itertools.product(*(range(0, self.dilation * size, self.dilation) for size in self.pool_size))
        return [maps[:, row : row + height, column : column + width] for row, column in starts]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, channels = input_shape
        sizes = [
            None if side is None else side + sum(pair) - self.dilation * (size - 1)
            for side, pair, size in zip(sides, self.padding, self.pool_size, strict=True)
        ]
        return (batch, *sizes, channels)

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("kind", "pool_size", "dilation", "padding")}
        return {**super().get_config(), **config}
