"""The private names of Keras that the library uses exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

import keras
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel, keras_private
from tests.sources import ROOT


@cache
def examples() -> tuple[Any, ...]:
    """Objects of the classes whose attributes are used, built as the library meets them."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"a": keras.layers.Dense(1)(inputs)})
    model.compile("adam", loss="mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    x = tf.ones((1, 2))
    model.train_on_batch(x, {"a": tf.ones((1, 1))})
    return (
        *(model, model.layers[-1], inputs, model.optimizer, model._compile_loss, model._compile_metrics),
        *(keras.metrics.MeanAbsoluteError(), keras.metrics.AUC(), keras.activations.softmax(x)),
    )


@pytest.mark.parametrize("name", keras_private.ATTRIBUTES)
def test_an_attribute_exists(name: str) -> None:
    owner, reason = keras_private.ATTRIBUTES[name]
    assert reason
    assert any(hasattr(one, name) for one in (owner, *examples()) if one is owner or isinstance(one, owner))


@pytest.mark.parametrize("name", keras_private.__all__)
def test_an_import_works(name: str) -> None:
    assert getattr(keras_private, name) is not None


def test_every_import_has_a_reason() -> None:
    source = (ROOT / "mtl_keras/keras_private.py").read_text("utf-8")
    lines = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    imported = {alias.name for node in lines if "keras.src" in str(node.module) for alias in node.names}
    comments = "\n".join(line for line in source.splitlines() if line.startswith("#"))
    assert [name for name in sorted(imported) if name not in comments] == []


# Private names of other packages: of a named tuple, of `os`, and of TensorFlow's distributed type specs.
OTHERS = {"_asdict", "_exit", "_fields", "_value_specs"}


def test_every_private_name_is_listed() -> None:
    """No private attribute is read that is neither defined here nor in the list, and `keras.src` is not imported."""
    own, used, imports = set(), {}, []
    for folder in ("mtl_keras", "models", "data", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if path.name != "keras_private.py" and re.search(r"(from|import) keras\.src", text):
                imports.append(path)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    own.add(node.name)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    own.add(node.id)
                elif isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr):
                    of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                    if of_self and isinstance(node.ctx, ast.Store):
                        own.add(node.attr)
                    used.setdefault(node.attr, f"{path.relative_to(ROOT)}:{node.lineno}")
    listed = set(keras_private.ATTRIBUTES)
    assert imports == []
    assert {name: place for name, place in used.items() if name not in own | listed | OTHERS} == {}
    overridden = {name for name in vars(MultiTaskModel) if re.match("_[a-z]", name) and hasattr(keras.Model, name)}
    assert overridden - {"_abc_impl"} - listed == set()
