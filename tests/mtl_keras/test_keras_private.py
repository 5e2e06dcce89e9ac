"""The private names of Keras that the library uses are still there."""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

import keras
import pytest

from mtl_keras import keras_private
from tests.sources import ROOT


@cache
def examples() -> tuple[Any, ...]:
    """Objects of the classes whose attributes are used, built as the library meets them."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"a": keras.layers.Dense(1)(inputs)})
    model.compile("adam", loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model, model.layers[-1], inputs, model.optimizer, keras.metrics.MeanAbsoluteError()


@pytest.mark.parametrize("name", keras_private.ATTRIBUTES)
def test_an_attribute_is_there(name: str) -> None:
    owner, reason = keras_private.ATTRIBUTES[name]
    assert reason
    assert any(hasattr(one, name) for one in (owner, *examples()) if one is owner or isinstance(one, owner))


@pytest.mark.parametrize("name", keras_private.__all__)
def test_an_import_works(name: str) -> None:
    assert getattr(keras_private, name) is not None


def test_every_import_says_why() -> None:
    source = (ROOT / "mtl_keras/keras_private.py").read_text("utf-8")
    lines = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    imported = {alias.name for node in lines if "keras.src" in str(node.module) for alias in node.names}
    comments = "\n".join(line for line in source.splitlines() if line.startswith("#"))
    assert [name for name in sorted(imported) if name not in comments] == []
