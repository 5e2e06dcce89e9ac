"""`FeatureEncoder`: the columns of a table as one vector of numbers, in training and in exported models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.checks import did_you_mean, unknown_value

NUMERIC, CATEGORICAL = "numeric", "categorical"
FEATURE_KINDS = (NUMERIC, CATEGORICAL)
MISSING = ("", "na", "n/a", "nan", "null")
"""Cells that mark a missing label or feature, case-insensitive."""
BOOLEANS = ("false", "true")
"""Cells whose case does not matter: programs write them in different ways."""
OTHER = "other"
_SLICE = 8192
"""Rows encoded together: one-hot vectors are int64 before they become float32."""
_OTHER_TOKEN = "\0other"  # no cell of a CSV file begins with NUL


@dataclass(frozen=True)
class Feature:
    """How a column of a table becomes numbers.

    Args:
        name: the column.
        kind: `"numeric"`: standardised; or `"categorical"`: one-hot.
        missing: whether there is a number for missing cells: some cells of the training rows are missing.
        mean: mean of a numeric column.
        deviation: standard deviation of a numeric column, > 0.
        categories: the categories of a categorical column, each with a number of its own.
        other: whether there is a number for other categories: some cells of the training rows have one.
    """

    name: str
    kind: str
    missing: bool = False
    mean: float = 0.0
    deviation: float = 1.0
    categories: tuple[str, ...] = ()
    other: bool = False

    @property
    def names(self) -> list[str]:
        """The names of its numbers in the vector."""
        missing = [f"{self.name}=missing"] * self.missing
        if self.kind == NUMERIC:
            return [self.name, *missing]
        others = [f"{self.name}={OTHER}"] * self.other
        return [*others, *missing, *(f"{self.name}={category}" for category in self.categories)]

    @property
    def dtype(self) -> tf.DType:
        """The dtype of its cells: float32, NaN where missing; or string, `""` where missing."""
        return tf.float32 if self.kind == NUMERIC else tf.string


class FeatureEncoder(tf.Module):
    """Encodes the columns of a table as vectors, with Keras' preprocessing layers.

    A numeric column is standardised with the mean and the deviation of the training rows; a missing cell becomes 0, the
    mean, and 1 in a number of its own. A categorical column is one-hot. What no training row has, such as an unseen
    category, becomes zeros: a number that is constant in training would leave its weights untrained.

    Uses only TensorFlow operations, so that it can be exported.

    Args:
        features: the columns, in the order of the vector.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        super().__init__(name="features")
        self.features = tuple(features)
        # Lookup tables must be attributes to be part of a SavedModel.
        self.tables: list[Any] = []
        self._encoders: list[Callable[[tf.Tensor], tf.Tensor]] = [
            _numbers(feature) if feature.kind == NUMERIC else self._one_hot(feature) for feature in features
        ]

    @property
    def columns(self) -> dict[str, tf.DType]:
        """Column -> dtype of its cells: float32, NaN where missing; or string, `""` where missing."""
        return {feature.name: feature.dtype for feature in self.features}

    @property
    def names(self) -> list[str]:
        """The names of the numbers in the vector, (features,)."""
        return [name for feature in self.features for name in feature.names]

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns float32 (rows, features).

        Args:
            columns: column -> cells (rows,), of the dtypes in `columns`.

        Raises:
            ValueError: if a column is absent.
        """
        for feature in self.features:
            if feature.name not in columns:
                raise ValueError(f"There is no column {feature.name!r}. Received: {', '.join(columns) or 'none'}")
        parts = [encode(columns[feature.name]) for feature, encode in zip(self.features, self._encoders)]
        return tf.concat(parts, axis=1)

    def encode(self, columns: Mapping[str, Any]) -> np.ndarray:
        """Returns float32 (rows, features) of new rows, such as for `predict`.

        Args:
            columns: a dict of arrays, or a pandas `DataFrame`: column -> cells (rows,), with `None` or NaN where they
                are missing. Columns that are not features are ignored.

        Raises:
            ValueError: if a column is absent, or a numeric one has text.
        """
        cells: dict[str, np.ndarray] = {}
        for feature in self.features:
            if feature.name not in columns:
                names = list(columns)
                raise ValueError(
                    f"There is no column {feature.name!r}.{did_you_mean(feature.name, names)} Received: "
                    f"{', '.join(map(str, names)) or 'none'}"
                )
            cells[feature.name] = _cells(feature, columns[feature.name])
        rows = len(cells[self.features[0].name])
        encoded = np.empty((rows, len(self.names)), np.float32)
        with tf.device("cpu"):  # strings are looked up on the CPU only
            for start in range(0, rows, _SLICE):  # which needs little memory besides the result
                part = {name: tf.constant(values[start : start + _SLICE]) for name, values in cells.items()}
                encoded[start : start + _SLICE] = self(part)
        return encoded

    def __repr__(self) -> str:
        return f"FeatureEncoder({len(self.features)} columns: {', '.join(self.columns)}; {len(self.names)} numbers)"

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Returns column -> its `Feature`, as JSON values."""
        found = {feature.name: asdict(feature) | {"categories": list(feature.categories)} for feature in self.features}
        return {name: {key: entry for key, entry in values.items() if key != "name"} for name, values in found.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Mapping[str, Any]]) -> FeatureEncoder:
        """Returns the encoder from the result of `to_json`.

        Raises:
            ValueError: for anything else.
        """
        features = []
        for name, entry in values.items():
            try:
                feature = Feature(name, **{**entry, "categories": tuple(entry["categories"])})
            except (KeyError, TypeError) as cause:
                raise ValueError(f"column {name!r} is not described by its kind and numbers: {cause}") from cause
            if feature.kind not in FEATURE_KINDS:
                raise unknown_value(f"kind of column {name!r}", feature.kind, FEATURE_KINDS)
            features.append(feature)
        return cls(features)

    def _one_hot(self, feature: Feature) -> Callable[[tf.Tensor], tf.Tensor]:
        vocabulary = [""] * feature.missing + list(feature.categories)
        lookup = keras.layers.StringLookup(
            vocabulary=vocabulary, mask_token=None, oov_token=_OTHER_TOKEN, output_mode="one_hot"
        )
        self.tables.append(lookup.lookup_table)

        def encode(cells: tf.Tensor) -> tf.Tensor:
            stripped = tf.strings.strip(cells)
            lower = tf.strings.lower(stripped, encoding="utf-8")
            missing = tf.reduce_any(lower[:, tf.newaxis] == tf.constant(MISSING), axis=1)
            boolean = tf.reduce_any(lower[:, tf.newaxis] == tf.constant(BOOLEANS), axis=1)
            one_hot = tf.cast(lookup(tf.where(missing, "", tf.where(boolean, lower, stripped))), tf.float32)
            return one_hot if feature.other else one_hot[:, 1:]

        return encode


def _cells(feature: Feature, column: Any) -> np.ndarray:
    """Returns the cells of a column as the encoder takes them."""
    values = np.asarray(column)
    if feature.kind == NUMERIC:
        try:
            return values.astype(np.float32)
        except (TypeError, ValueError) as cause:
            raise ValueError(f"Column {feature.name!r} is numeric: {cause}") from cause
    return np.array([cell(value) for value in values.tolist()], object)


def cell(value: Any) -> str:
    """Returns a value as the cell of a CSV file would have it; `""` if it is missing."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of integers with missing values is float in pandas
    text = str(value)
    return "" if text in ("None", "nan", "NaN", "<NA>", "NaT") else text


def _numbers(feature: Feature) -> Callable[[tf.Tensor], tf.Tensor]:
    # float32 in runs with mixed precision too.
    scale = keras.layers.Normalization(mean=feature.mean, variance=feature.deviation**2, dtype="float32")

    def encode(cells: tf.Tensor) -> tf.Tensor:
        known = tf.math.is_finite(cells)
        standardised = tf.where(known, tf.reshape(scale(cells[:, tf.newaxis]), (-1,)), 0.0)
        numbers = [standardised, *[tf.cast(~known, tf.float32)] * feature.missing]
        return tf.stack(numbers, axis=1)

    return encode
