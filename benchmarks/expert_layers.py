"""Expert networks as other Keras code has them: one layer with all experts and gates, for the outputs of all tasks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras import layers, ops

from benchmarks.networks import Graph, Shape
from mtl_keras import TaskSet


class OneLayer(layers.Layer):
    """Base class: a vector `(batch, features)` in, the list of the tasks' features out."""

    def __init__(self, tasks: int, units: int) -> None:
        super().__init__()
        self.tasks, self.units = tasks, units

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        return [(input_shape[0], self.units)] * self.tasks


class MMoE(OneLayer):
    """Multi-gate mixture of experts, with experts that are computed one by one."""

    def __init__(self, tasks: int, widths: Sequence[int], experts: int) -> None:
        super().__init__(tasks, widths[-1])
        self.experts = [[_dense(width) for width in widths] for _ in range(experts)]
        self.gates = [_gate(experts) for _ in range(tasks)]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for expert in self.experts:
            _build(expert, input_shape)
        for gate in self.gates:
            gate.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> list[Any]:
        """Returns the features of each task."""
        experts = ops.stack([_apply(expert, inputs) for expert in self.experts], axis=1)
        return [_mixed(gate(inputs), experts) for gate in self.gates]


class BatchedMMoE(OneLayer):
    """The same with one kernel `(experts, inputs, units)` for each layer of all experts."""

    def __init__(self, tasks: int, widths: Sequence[int], experts: int) -> None:
        super().__init__(tasks, widths[-1])
        self.widths, self.experts = widths, experts

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        self.kernels, self.biases = [], []
        for before, width in itertools.pairwise([features, *self.widths]):
            self.kernels.append(self.add_weight((self.experts, before, width), "he_normal"))
            self.biases.append(self.add_weight((self.experts, 1, width), "zeros"))
        self.gates = self.add_weight((features, self.tasks * self.experts))
        self.built = True

    def call(self, inputs: Any) -> list[Any]:
        """Returns the features of each task."""
        x = inputs[None]
        for kernel, bias in zip(self.kernels, self.biases):
            x = ops.relu(ops.matmul(x, kernel) + bias)
        weights = ops.softmax(ops.reshape(ops.matmul(inputs, self.gates), (-1, self.tasks, self.experts)))
        return ops.unstack(ops.einsum("ebu,bte->tbu", x, weights), self.tasks)


class PLE(OneLayer):
    """Progressive layered extraction, with a level for each width and experts that are computed one by one."""

    def __init__(self, tasks: int, widths: Sequence[int], shared: int, own: int) -> None:
        super().__init__(tasks, widths[-1])
        self.shared = [[_dense(width) for _ in range(shared)] for width in widths]
        self.own = [[[_dense(width) for _ in range(own)] for _ in range(tasks)] for width in widths]
        self.gates = [[_gate(own + shared) for _ in range(tasks)] for _ in widths]
        self.shared_gates = [_gate(tasks * own + shared) for _ in widths[1:]]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        for shared, own, gates in zip(self.shared, self.own, self.gates):
            for layer in itertools.chain(shared, *own, gates):
                layer.build((None, features))
            features = shared[0].units
        features = input_shape[-1]
        for gate, shared in zip(self.shared_gates, self.shared):
            gate.build((None, features))
            features = shared[0].units
        self.built = True

    def call(self, inputs: Any) -> list[Any]:
        """Returns the features of each task."""
        of_task, of_shared = [inputs] * self.tasks, inputs
        for level, (shared_experts, own_experts, gates) in enumerate(zip(self.shared, self.own, self.gates)):
            shared = [expert(of_shared) for expert in shared_experts]
            own = [[expert(x) for expert in mine] for mine, x in zip(own_experts, of_task)]
            of_task = [
                _mixed(gate(x), ops.stack([*mine, *shared], axis=1)) for gate, x, mine in zip(gates, of_task, own)
            ]
            if level < len(self.shared_gates):
                every = ops.stack([*itertools.chain(*own), *shared], axis=1)
                of_shared = _mixed(self.shared_gates[level](of_shared), every)
        return of_task


def one_layer(kind: Callable[..., OneLayer], **arguments: Any) -> Callable[[TaskSet, Shape], Graph]:
    """Returns a function that builds a network of binary tasks with all experts in one layer."""

    def graph(tasks: TaskSet, shape: Shape) -> Graph:
        inputs = keras.Input(shape)
        features = kind(len(tasks), **arguments)(inputs)
        return inputs, {
            name: layers.Dense(1, activation="sigmoid", name=name)(x) for name, x in zip(tasks, features, strict=True)
        }

    return graph


def _dense(units: int) -> layers.Dense:
    return layers.Dense(units, activation="relu")


def _gate(experts: int) -> layers.Dense:
    return layers.Dense(experts, activation="softmax", use_bias=False)


def _build(chain: Iterable[layers.Dense], input_shape: tuple[int | None, ...]) -> None:
    for layer in chain:
        layer.build(input_shape)
        input_shape = (input_shape[0], layer.units)


def _apply(chain: Iterable[layers.Dense], x: Any) -> Any:
    for layer in chain:
        x = layer(x)
    return x


def _mixed(weights: Any, experts: Any) -> Any:
    """Returns the mixture of experts `(batch, experts, units)` with weights `(batch, experts)`."""
    return ops.sum(weights[..., None] * experts, axis=1)
