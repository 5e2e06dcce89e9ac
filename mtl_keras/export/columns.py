"""Raw columns of a table as the inputs of a SavedModel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

_COLUMNS = "columns.json"


class Encoder(Protocol):
    """A `tf.Module` that encodes the columns of a table; its lookup tables must be its attributes."""

    @property
    def columns(self) -> Mapping[str, tf.DType]:
        """Column -> dtype of its cells."""

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the model's inputs (batch, features) of columns (batch,)."""


def arguments(columns: Iterable[str]) -> dict[str, str]:
    """Returns column -> its argument in a signature, which TensorFlow allows only ASCII letters, digits and `_` in.

    Other characters become `_`; a name that does not begin with a letter begins with `column_`, and a second column of
    the same argument ends with `_2`.
    """
    found: dict[str, str] = {}
    for column in columns:
        name = re.sub(r"\W", "_", column, flags=re.ASCII)
        if not re.match("[A-Za-z]", name) or name == "self":
            name = f"column_{name}"
        number, unique = 1, name
        while unique in found.values():
            number += 1
            unique = f"{name}_{number}"
        found[column] = unique
    return found


def add_columns(module: Any, encode: Encoder, shape: Sequence[int | None]) -> Any:
    """Adds `encode` and `serve_columns` to the module of a SavedModel; returns the signature `serve_columns`.

    Args:
        module: a `tf.Module` with `serve`, from the model's inputs to its predictions.
        encode: the encoder.
        shape: shape of the model's input, without the batch axis.

    Raises:
        ValueError: if the encoder does not return what the model takes.
    """
    names = arguments(encode.columns)
    signature = [{c: tf.TensorSpec((None,), dtype, names[c]) for c, dtype in encode.columns.items()}]
    module.encoder = encode  # keeps its lookup tables
    module.encode = tf.function(lambda columns: encode(columns), input_signature=signature, autograph=False)
    encoded = module.encode.get_concrete_function().structured_outputs
    if encoded.dtype != tf.float32 or not encoded.shape[1:].is_compatible_with(shape):
        raise ValueError(
            f"`encode` must give what the model takes, float32 (batch, {', '.join(map(str, shape))}). "
            f"Received: {encoded.dtype.name} {encoded.shape}"
        )
    serve = module.serve
    module.serve_columns = tf.function(
        lambda columns: serve(encode(columns)), input_signature=signature, autograph=False
    )
    return module.serve_columns.get_concrete_function()


def write_columns(encode: Encoder, folder: Path) -> tf.saved_model.Asset:
    """Writes the arguments and dtypes of the columns into a folder, as an asset of a SavedModel."""
    names = arguments(encode.columns)
    described = {c: {"argument": names[c], "dtype": dtype.name} for c, dtype in encode.columns.items()}
    file = folder / _COLUMNS
    file.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return tf.saved_model.Asset(str(file))


def read_columns(path: str | PathLike[str]) -> dict[str, tf.DType]:
    """Returns column -> dtype of its cells in an exported SavedModel; empty if it does not take columns.

    Raises:
        ValueError: if they cannot be read; the message names the file.
    """
    asset = Path(path, "assets", _COLUMNS)
    try:
        described = json.loads(asset.read_text(encoding="utf-8")) if asset.exists() else {}
        return {column: tf.as_dtype(entry["dtype"]) for column, entry in described.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as cause:
        raise ValueError(f"{asset} is damaged: {cause}") from cause
