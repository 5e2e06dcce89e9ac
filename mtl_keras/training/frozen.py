"""Frozen layers: selects them by name, and keeps their moving statistics unchanged in a step."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from mtl_keras.checks import unknown_value


def layer_paths(model: Any) -> dict[str, keras.Layer]:
    """Returns the layers of a model by path: the name, or `"<model>/<layer>"` for a layer of a nested model."""
    found: dict[str, keras.Layer] = {}
    for layer in model.layers:
        found[layer.name] = layer
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{path}": inner for path, inner in layer_paths(layer).items()}
    return found


def named_layers(model: Any, patterns: Iterable[str]) -> dict[str, keras.Layer]:
    """Returns, by path, the layers with weights that match a pattern or lie in a nested model that does.

    Args:
        model: a Keras model.
        patterns: paths of layers, with the wildcards of `fnmatch`.

    Raises:
        ValueError: for a pattern that matches no layer.
    """
    known = layer_paths(model)
    chosen: set[str] = set()
    for pattern in patterns:
        matching = [path for path in known if fnmatch.fnmatchcase(path, pattern)]
        if not matching:
            raise unknown_value("layer to freeze", pattern, [path for path, layer in known.items() if layer.weights])
        chosen.update(matching)
    return {path: layer for path, layer in known.items() if _has_weights(layer) and chosen & _path_prefixes(path)}


def _has_weights(layer: keras.Layer) -> bool:
    """Returns whether a layer has weights of its own. The weights of a nested model belong to its layers."""
    return bool(_own_weights(layer) if isinstance(layer, keras.Model) else layer.weights)


def _path_prefixes(path: str) -> set[str]:
    """Returns the path of a layer and the paths of the nested models that contain it."""
    names = path.split("/")
    return {"/".join(names[:length]) for length in range(1, len(names) + 1)}


def variable_ids(layers: Iterable[keras.Layer]) -> set[int]:
    """Returns the `id`s of the weights of layers."""
    return {id(variable) for layer in layers for variable in layer.weights}


@contextmanager
def freeze(layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Sets `trainable` of frozen layers to False while a training step is run or traced.

    Only layers with moving statistics (BatchNormalization) read it when they are called, so only they are changed.
    `trainable` of their variables is not changed: otherwise the model would be saved without the optimizer state of
    these variables, and training could not be resumed.

    Args:
        layers: the frozen layers.
    """
    inner = {part for layer in layers for part in layer._flatten_layers()}
    moving = [part for part in inner if part.trainable and any(not weight.trainable for weight in _own_weights(part))]
    for layer in moving:
        layer._trainable = False
    try:
        yield
    finally:
        for layer in moving:
            layer._trainable = True


def _own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Returns the weights of a layer without those of its inner layers."""
    within = variable_ids(layer._flatten_layers(include_self=False))
    return [weight for weight in layer.weights if id(weight) not in within]
