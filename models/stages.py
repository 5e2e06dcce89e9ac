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
from mtl_keras.layers import MaxUnpooling2D
from mtl_keras.tasks import TaskSet
from mtl_keras.training import graph

_UPSAMPLING = (layers.UpSampling2D, layers.Conv2DTranspose)
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
        cls, identifier: str | trunks.Trunk | None, tasks: TaskSet, input_shape: tuple[int, ...], weights: str | None
    ) -> CopiedTrunk:
        """Returns a trunk by its identifier.

        Args:
            identifier: see `models.trunks.get`; `None` for `models.trunks.default_trunk`.
            tasks: the tasks to predict.
            input_shape: shape of the inputs, without the batch axis.
            weights: see `models.trunks.get`.

        Raises:
            ValueError: as `models.trunks.get`.
        """
        if identifier is None:
            identifier = trunks.default_trunk(input_shape, [task.head for task in tasks.values()])
        pretrained = weights is not None or isinstance(identifier, keras.Model)
        return cls(trunks.get(identifier, input_shape, weights, tasks), pretrained)

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


@dataclass(frozen=True)
class Stage:
    """A part of a trunk that may also read maps of earlier stages, as decoders do.

    Args:
        name: the name of its last layer.
        model: the model from `reads` to `gives`; from and to one tensor without a list if there is one.
        reads: the tensors of the trunk that it reads, from earlier stages or the trunk's input.
        gives: the output of the last layer, then other tensors that later stages read.
    """

    name: str
    model: keras.Model
    reads: tuple[Any, ...]
    gives: tuple[Any, ...]


def cut_with_skips(trunk: keras.Model, after: Iterable[str]) -> list[Stage]:
    """Cuts a trunk behind some of its layers; skip connections of a decoder may pass the cuts.

    Args:
        trunk: a Functional model with one input and one output.
        after: names of layers whose outputs all paths through the trunk pass, except for skip connections.

    Returns:
        The stages in order. The last ends at the trunk's output.

    Raises:
        ValueError: for a name that is not among the layers behind which the trunk can be cut.
    """
    ends = {symbolic_producer(tensor)[0].name: tensor for tensor in _separators(trunk, skips=True)}
    chosen = {next(reversed(ends)), *after}
    for name in chosen:
        if name not in ends:
            raise unknown_value("layer behind which the trunk can be cut", name, ends)
    level_of: dict[Any, int] = {symbolic_producer(trunk.input): -1}
    inner: list[list[Any]] = []
    ordered = [(name, tensor) for name, tensor in ends.items() if name in chosen]
    for level, (_, end) in enumerate(ordered):
        own = [tensor for tensor in graph.in_order([end]) if symbolic_producer(tensor) not in level_of]
        level_of.update((symbolic_producer(tensor), level) for tensor in own)
        inner.append(own)
    reads: list[dict[Any, Any]] = []
    for level, own in enumerate(inner):
        sources = [source for tensor in own for source in _producer(tensor)[1]]
        reads.append({symbolic_producer(x): x for x in sources if level_of[symbolic_producer(x)] < level})
    stages = []
    for level, (name, end) in enumerate(ordered):
        later = {key: x for read in reads[level + 1 :] for key, x in read.items() if level_of[key] == level}
        gives = list({symbolic_producer(end): end, **later}.values())
        read = list(reads[level].values())
        model = keras.Model(read[0] if len(read) == 1 else read, end if len(gives) == 1 else gives)
        stages.append(Stage(name, model, tuple(read), tuple(gives)))
    return stages


def stage_ends(trunk: keras.Model, after: str | Sequence[str] | None = None, skips: bool = False) -> list[str]:
    """Returns the names of the layers that end the stages of a trunk: those in `after`, if given.

    A stage ends with the last activation or sum at each resolution or dilation, and with the activation of each fully
    connected layer. For a ResNet, these are the layers behind the stem and behind each group of blocks.

    Args:
        trunk: a Functional model with one input and one output.
        after: names of layers.
        skips: whether skip connections of a decoder may pass the ends, see `cut_with_skips`. If not, a U-Net has one
            stage.

    Raises:
        ValueError: if there are none.
    """
    if after is not None:
        return layer_names(after)
    ends = {symbolic_producer(tensor)[0].name for tensor in activations(trunk, skips)}
    rates = _dilation_rates(trunk)
    found: dict[int, str] = {}
    run, previous = 0, None
    for tensor in _separators(trunk, skips):
        operation = symbolic_producer(tensor)[0]
        if isinstance(operation, layers.ZeroPadding2D):
            continue
        kind = (tuple(tensor.shape[1:-1]) or operation.name, rates[id(tensor)])
        run, previous = run + (kind != previous), kind
        if operation.name in ends:
            found[run] = operation.name
    if not found:
        raise ValueError(f"Trunk {trunk.name!r} has no layer behind which it can be cut into stages.")
    return list(found.values())


def activations(trunk: keras.Model, skips: bool = False) -> list[Any]:
    """Returns the results of activations and sums that every path from input to output passes, in order.

    Those before the first layer with weights, such as of preprocessing, are left out.

    Args:
        trunk: a Functional model with one input and one output.
        skips: whether skip connections of a decoder do not count as paths.
    """
    order = graph.in_order([trunk.output])
    first = next((place for place, tensor in enumerate(order) if getattr(_producer(tensor)[0], "weights", ())), 0)
    preprocessing = set(map(id, order[:first]))
    return [
        tensor
        for tensor in _separators(trunk, skips)
        if id(tensor) not in preprocessing and _is_activation(symbolic_producer(tensor)[0])
    ]


def _is_activation(operation: keras.Operation) -> bool:
    """Returns whether an operation is or ends with a non-linearity, or is the sum of a residual block."""
    activation = getattr(operation, "activation", keras.activations.linear)
    return type(operation).__name__ in _ACTIVATIONS or activation is not keras.activations.linear


def _dilation_rates(trunk: keras.Model) -> dict[int, int]:
    """Returns the largest dilation rate of the layers up to each tensor, by its `id`.

    It tells apart the stages of a network in which dilation takes the place of strides.
    """
    found: dict[int, int] = {}
    for tensor in graph.in_order([trunk.output]):
        operation, inputs = _producer(tensor)
        own = getattr(operation, "dilation_rate", 1)
        found[id(tensor)] = max(np.max(own).item(), *(found[id(source)] for source in inputs), 1)
    return found


def _separators(trunk: keras.Model, skips: bool = False) -> list[Any]:
    """Returns the tensors that every path from the input to the output passes, in order, without the input.

    Args:
        trunk: a Functional model with one input and one output.
        skips: whether skip connections of a decoder do not count as paths.
    """
    order = graph.in_order([trunk.output])
    sources_of = {id(tensor): _path_inputs(tensor) if skips else _producer(tensor)[1] for tensor in order}
    readers: dict[int, int] = {id(trunk.output): 1}
    for tensor in order:
        for source in sources_of[id(tensor)]:
            readers[id(source)] = readers.get(id(source), 0) + 1
    unread: set[int] = set()
    found = []
    for tensor in order:
        for source in sources_of[id(tensor)]:
            readers[id(source)] -= 1
            if not readers[id(source)]:
                unread.discard(id(source))
        unread.add(id(tensor))
        if unread == {id(tensor)} and not isinstance(_producer(tensor)[0], layers.InputLayer):
            found.append(tensor)
    return found


def _path_inputs(tensor: Any) -> list[Any]:
    """Returns the tensors that an operation reads, without skip connections into a decoder.

    These are what a `MaxUnpooling2D` takes positions from, and what is concatenated with or added to an upsampled map.
    """
    operation, inputs = _producer(tensor)
    if isinstance(operation, MaxUnpooling2D):
        return inputs[:1]
    if isinstance(operation, (layers.Concatenate, layers.Add)):
        return [source for source in inputs if isinstance(_producer(source)[0], _UPSAMPLING)] or inputs
    return inputs


def _producer(tensor: Any) -> tuple[keras.Operation, list[Any]]:
    """Returns the operation that computes a tensor, and the tensors that its call reads."""
    operation, node, _ = symbolic_producer(tensor)
    return operation, call_inputs(operation, node)
