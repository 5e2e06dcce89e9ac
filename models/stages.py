"""Trunks cut into stages, of which networks with soft sharing make copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from models import trunks
from mtl_keras.checks import unknown_value
from mtl_keras.keras_private import call_inputs, symbolic_producer
from mtl_keras.training import graph

_ACTIVATIONS = ("ReLU", "LeakyReLU", "ELU", "PReLU", "Add")  # `Add` is a layer, and the operation of `x + y`


@dataclass(frozen=True)
class CopiedTrunk:
    """A trunk of which copies are made.

    Args:
        model: the trunk.
        same_weights: whether copies start from its weights, which are pretrained, rather than from random ones.
    """

    model: keras.Model
    same_weights: bool

    @classmethod
    def get(
        cls, identifier: str | trunks.Trunk | None, input_shape: tuple[int, ...], weights: str | None
    ) -> CopiedTrunk:
        """Returns a trunk by its identifier.

        Args:
            identifier: see `models.trunks.get`; `None` for `"cnn"` on images and `"mlp"` on vectors.
            input_shape: shape of the inputs, without the batch axis.
            weights: see `models.trunks.get`.

        Raises:
            ValueError: as `models.trunks.get`.
        """
        if identifier is None:
            identifier = "cnn" if len(input_shape) == 3 else "mlp"
        pretrained = weights is not None or isinstance(identifier, keras.Model)
        return cls(trunks.get(identifier, input_shape, weights), pretrained)

    def copy(self, stage: keras.Model, name: str, number: int) -> keras.Model:
        """Returns a stage of the trunk with new layers.

        Args:
            stage: a part of the trunk.
            name: name of the copy, with which the names of its layers begin.
            number: index of the copy. Copies with different numbers start from different weights even if an initializer
                has a seed, and draw different dropout masks; number 0 keeps the seeds.
        """

        def renewed(layer: keras.Layer) -> keras.Layer:
            own_name = f"{name}_{layer.name.removeprefix('trunk_')}"
            return type(layer).from_config({**_with_seeds(layer.get_config(), number), "name": own_name})

        made = keras.models.clone_model(stage, clone_function=renewed)
        made.name = name
        if self.same_weights:
            made.set_weights(stage.get_weights())
        return made


def _with_seeds(config: Any, number: int) -> Any:
    """Returns a layer's config in which every integer `seed` is replaced by one derived from it and a number."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_seeds(value, number) for value in config)
    if not isinstance(config, dict):
        return config
    return {
        key: derived_seed(value, number) if key == "seed" and isinstance(value, int) else _with_seeds(value, number)
        for key, value in config.items()
    }


def derived_seed(seed: int, *numbers: int) -> int:
    """Returns a seed that depends on `seed` and all `numbers`; `seed` itself if they are 0."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1)[0] >> 1) if any(numbers) else seed


def check_arguments(trunk: str | trunks.Trunk | None, after: str | Sequence[str] | None) -> None:
    """Checks the arguments of a builder that need no input shape.

    Raises:
        ValueError: for the name of an unknown trunk, or layers that are not given by their names.
    """
    if isinstance(trunk, str):
        trunks.check_name(trunk)
    names = layer_names(after or ())
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"after must be the names of layers of the trunk. Received: after={after!r}")


def layer_names(after: str | Sequence[str]) -> list[str]:
    """Returns the names of layers as a list; one name stands for itself."""
    return [after] if isinstance(after, str) else list(after)


def cut(trunk: keras.Model, after: Iterable[str]) -> dict[str, keras.Model]:
    """Cuts a trunk behind some of its layers.

    Args:
        trunk: a Functional model with one input and one output.
        after: names of layers whose outputs all paths through the trunk pass.

    Returns:
        The parts in order, each by the name of its last layer and from the output of the previous one. The last ends at
        the trunk's output. They share the trunk's layers.

    Raises:
        ValueError: for a name that is not among the layers behind which the trunk can be cut.
    """
    ends = {symbolic_producer(tensor)[0].name: tensor for tensor in _separators(trunk)}
    chosen = {next(reversed(ends)), *after}
    for name in chosen:
        if name not in ends:
            raise unknown_value("layer behind which the trunk can be cut", name, ends)
    parts = {name: tensor for name, tensor in ends.items() if name in chosen}
    starts = [trunk.input, *parts.values()]
    return {name: keras.Model(start, end) for start, (name, end) in zip(starts, parts.items())}


def output_of(trunk: keras.Model, name: str) -> Any:
    """Returns the symbolic output of a layer behind which a trunk can be cut, in the trunk's own graph."""
    return next(tensor for tensor in _separators(trunk) if symbolic_producer(tensor)[0].name == name)


def stage_ends(trunk: keras.Model, after: str | Sequence[str] | None = None) -> list[str]:
    """Returns the names of the layers that end the stages of a trunk: those in `after`, if given.

    A stage ends with the last activation or sum at each resolution, and with the activation of each fully connected
    layer. For a ResNet, these are the layers behind the stem and behind each group of blocks.

    Raises:
        ValueError: if there are none.
    """
    if after is not None:
        return layer_names(after)
    found: dict[Any, str] = {}
    for tensor in activations(trunk):
        name = symbolic_producer(tensor)[0].name
        found.pop(tuple(tensor.shape[1:-1]) or name, None)  # so that the order stays that of the trunk
        found[tuple(tensor.shape[1:-1]) or name] = name
    if not found:
        raise ValueError(f"Trunk {trunk.name!r} has no layer behind which it can be cut into stages.")
    return list(found.values())


def activations(trunk: keras.Model) -> list[Any]:
    """Returns the results of activations and sums that every path from input to output passes, in order.

    Those before the first layer with weights, such as of preprocessing, are left out.
    """
    order = graph.in_order([trunk.output])
    first = next((place for place, tensor in enumerate(order) if getattr(_producer(tensor)[0], "weights", ())), 0)
    preprocessing = set(map(id, order[:first]))
    return [
        tensor
        for tensor in _separators(trunk)
        if id(tensor) not in preprocessing and _is_activation(symbolic_producer(tensor)[0])
    ]


def _is_activation(operation: keras.Operation) -> bool:
    """Returns whether an operation is or ends with a non-linearity, or is the sum of a residual block."""
    activation = getattr(operation, "activation", keras.activations.linear)
    return type(operation).__name__ in _ACTIVATIONS or activation is not keras.activations.linear


def _separators(trunk: keras.Model) -> list[Any]:
    """Returns the tensors that every path from the input to the output passes, in order, without the input."""
    order = graph.in_order([trunk.output])
    readers: dict[int, int] = {id(trunk.output): 1}
    for tensor in order:
        for source in _producer(tensor)[1]:
            readers[id(source)] = readers.get(id(source), 0) + 1
    unread: set[int] = set()
    found = []
    for tensor in order:
        operation, inputs = _producer(tensor)
        for source in inputs:
            readers[id(source)] -= 1
            if not readers[id(source)]:
                unread.discard(id(source))
        unread.add(id(tensor))
        if unread == {id(tensor)} and not isinstance(operation, layers.InputLayer):
            found.append(tensor)
    return found


def _producer(tensor: Any) -> tuple[keras.Operation, list[Any]]:
    """Returns the operation that computes a tensor, and the tensors that its call reads."""
    operation, node, _ = symbolic_producer(tensor)
    return operation, call_inputs(operation, node)
