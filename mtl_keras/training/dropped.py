"""What training leaves unchanged: the private state of dropped tasks, and frozen layers.

A compiled step can run with some of its tasks at weight 0. Their gradients are then 0, but momentum, weight decay,
BatchNorm statistics and random seeds would still change, so everything that only dropped tasks reach is restored.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.serialization import unknown_value
from mtl_keras.training.graph import Ownership


def slots(optimizer: keras.optimizers.Optimizer) -> dict[int, list[keras.Variable]]:
    """Returns the optimizer's state of each variable (momenta, averages).

    Args:
        optimizer: a built optimizer, or a `LossScaleOptimizer` around one.

    Returns:
        `id` of a model variable -> its slot variables.

    Raises:
        ValueError: if some state of the optimizer belongs neither to one variable nor to all of them.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    trained = optimizer._trainable_variables
    found: dict[int, list[keras.Variable]] = {id(variable): [] for variable in trained}
    unknown = {id(variable) for variable in optimizer.variables if variable.shape != ()}
    for values in vars(optimizer).values():
        if isinstance(values, list) and len(values) == len(trained) and values is not trained:
            for variable, slot in zip(trained, values):
                if id(slot) in unknown:
                    found[id(variable)].append(slot)
                    unknown.discard(id(slot))
    if unknown:
        raise ValueError(
            f"Tasks cannot be dropped with optimizer {optimizer.name!r}: it keeps state that MultiTaskModel cannot "
            "tell apart by variable. Use Adam, AdamW, SGD, RMSprop or another optimizer with one slot a variable."
        )
    return found


@dataclass(frozen=True)
class _Saved:
    variable: keras.Variable
    reached: np.ndarray
    value: Any


class DroppedState:
    """Saves the state of the variables that dropped tasks own, and restores it after the step.

    Args:
        owned: the tasks that reach each variable; only variables that some tasks do not reach are restored.
        optimizer: its slots are restored with their variables.
    """

    def __init__(self, owned: Iterable[Ownership], optimizer: keras.optimizers.Optimizer) -> None:
        by_variable = slots(optimizer)
        self._watched: list[tuple[keras.Variable, np.ndarray]] = []
        for entry in owned:
            if not (entry.reached.all() or entry.always):
                for variable in (entry.variable, *by_variable.get(id(entry.variable), ())):
                    self._watched.append((variable, _fitting(entry, variable)))

    def save(self) -> list[_Saved]:
        """Returns the state as it is now."""
        return [_Saved(variable, reached, ops.copy(variable)) for variable, reached in self._watched]

    def restore(self, saved: Sequence[_Saved], active: Any) -> None:
        """Restores the share of the state that no active task reaches.

        Args:
            saved: from `save`.
            active: `(tasks,)` booleans.
        """
        for entry in saved:
            moved = ops.any(ops.logical_and(entry.reached, active), axis=-1)
            blocks = entry.reached.shape[0]
            moved = ops.repeat(moved, entry.variable.shape[-1] // blocks) if blocks > 1 else moved[0]
            entry.variable.assign(ops.where(moved, entry.variable.value, entry.value))


def _fitting(entry: Ownership, variable: keras.Variable) -> np.ndarray:
    """A slot of another shape than its variable (a factored second moment) has no columns of its own."""
    if variable.shape == entry.variable.shape:
        return entry.reached
    return np.any(entry.reached, axis=0, keepdims=True)


def layer_paths(model: Any) -> dict[str, keras.Layer]:
    """Returns the layers of a model by name, those within a nested model as `"<its name>/<theirs>"`."""
    found: dict[str, keras.Layer] = {}
    for layer in model.layers:
        found[layer.name] = layer
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{path}": inner for path, inner in layer_paths(layer).items()}
    return found


def named_layers(model: Any, patterns: Iterable[str]) -> dict[str, keras.Layer]:
    """Returns the layers with weights that match one of several patterns, or are within one that does, by path.

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
    return {path: layer for path, layer in known.items() if _has_weights(layer) and chosen & _around(path)}


def _has_weights(layer: keras.Layer) -> bool:
    """Whether there are weights that do not belong to a layer with a path of its own."""
    return bool(_own_weights(layer) if isinstance(layer, keras.Model) else layer.weights)


def _around(path: str) -> set[str]:
    """The path itself, and those of the models that it lies in."""
    names = path.split("/")
    return {"/".join(names[:length]) for length in range(1, len(names) + 1)}


def variable_ids(layers: Iterable[keras.Layer]) -> set[int]:
    """Returns the `id`s of the weights of layers."""
    return {id(variable) for layer in layers for variable in layer.weights}


@contextmanager
def freeze(layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Runs frozen layers as with `trainable = False`, while a training step is run or traced.

    Only layers with moving statistics read `trainable`. Their variables keep theirs: otherwise a model would be saved
    without the optimizer's state of them, and training could not continue.

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
    within = variable_ids(layer._flatten_layers(include_self=False))
    return [weight for weight in layer.weights if id(weight) not in within]
