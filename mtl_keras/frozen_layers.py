"""Layers that training leaves as they are for a while, without compiling the model anew."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from mtl_keras.registry import unknown_value


class FrozenLayers:
    """The part of `MultiTaskModel` that knows which layers training leaves as they are."""

    layers: list[keras.Layer]
    trainable_variables: list[keras.Variable]
    _frozen: Mapping[str, keras.Layer] = {}

    @property
    def frozen_layers(self) -> dict[str, keras.Layer]:
        """The layers that training leaves as they are, by path; of a model that is a layer, those within it."""
        return dict(self._frozen)

    def set_frozen_layers(self, patterns: str | Iterable[str]) -> None:
        """Sets which layers training leaves as they are, from the next step on; all others are trained.

        Nothing of a frozen layer changes: neither weights nor their optimizer state; weight decay passes them by, and
        BatchNorm uses its moving statistics and keeps them. Nothing is compiled again but the training step, when a
        set of frozen layers is first met. What is frozen is no part of a saved model, and `layer.trainable` and
        `trainable_variables` stay what they are.

        Args:
            patterns: names of layers, with `*`, `?` and `[abc]` as in file names; `"backbone/conv*"` for layers within
                a model that is itself a layer. None for no frozen layers.

        Raises:
            ValueError: for a name that no layer has, or if nothing would be left to train.
        """
        frozen = named(self, [patterns] if isinstance(patterns, str) else patterns)
        left = {id(variable) for variable in self.trainable_variables} - variables(frozen.values())
        if frozen and not left:
            raise ValueError(f"Nothing would be left to train. Received: frozen layers {', '.join(frozen)}")
        object.__setattr__(self, "_frozen", frozen)  # Keras would track a dict of layers


def paths(model: Any) -> dict[str, keras.Layer]:
    """Returns the layers of a model by name, those within a nested model as `"<its name>/<theirs>"`."""
    found: dict[str, keras.Layer] = {}
    for layer in model.layers:
        found[layer.name] = layer
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{path}": inner for path, inner in paths(layer).items()}
    return found


def named(model: Any, patterns: Iterable[str]) -> dict[str, keras.Layer]:
    """Returns the layers with weights that match one of several patterns, or are within one that does, by path.

    Raises:
        ValueError: for a pattern that matches no layer.
    """
    known = paths(model)
    chosen: set[str] = set()
    for pattern in patterns:
        matching = [path for path in known if fnmatch.fnmatchcase(path, pattern)]
        if not matching:
            raise unknown_value("layer to freeze", pattern, [path for path, layer in known.items() if layer.weights])
        chosen.update(matching)
    return {path: layer for path, layer in known.items() if _has_weights(layer) and chosen & _around(path)}


def _has_weights(layer: keras.Layer) -> bool:
    """Whether there are weights that do not belong to a layer with a path of its own."""
    return bool(_own_weights(layer) if isinstance(layer, keras.Model) else layer.weights)


def _around(path: str) -> set[str]:
    """The path itself, and those of the models that it lies in."""
    names = path.split("/")
    return {"/".join(names[:length]) for length in range(1, len(names) + 1)}


def variables(layers: Iterable[keras.Layer]) -> set[int]:
    """Returns the `id`s of the weights of layers."""
    return {id(variable) for layer in layers for variable in layer.weights}


@contextmanager
def at_rest(layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Lets frozen layers run as `trainable = False` makes them run, while a training step is run or traced.

    Only layers with moving statistics look at it. Their variables are not told: a model would then be saved without
    the optimizer's state of them, and could not be trained on.

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
    """The weights of a layer but for those of layers within it."""
    within = variables(layer._flatten_layers(include_self=False))
    return [weight for weight in layer.weights if id(weight) not in within]
