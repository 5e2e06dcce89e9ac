"""The graph of a Functional model: the tasks that depend on each layer and variable, and sub-models for some tasks.

A layer or variable is *shared* if the outputs of several tasks depend on it, and *private* if the output of one task
does. An output without a loss is not a task, and is computed in every step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mtl_keras.keras_private import call_inputs, symbolic_producer
from mtl_keras.layers import TaskSplit


@dataclass(frozen=True)
class Unit:
    """Outputs that are computed together: one output, or the matrix that a `TaskSplit` divides.

    Args:
        tasks: the names of the outputs, in the order of their columns.
        tensor: the symbolic tensor `(batch, ...)` that holds them.
        columns: for a fused unit, the index of the block of the last axis that each output has; `None` for a single
            output.
        shares: number of blocks of the last axis, which have equal sizes.
    """

    tasks: tuple[str, ...]
    tensor: Any
    columns: tuple[int, ...] | None = None
    shares: int = 1


@dataclass(frozen=True)
class Ownership:
    """The tasks that reach a variable.

    Args:
        variable: a `keras.Variable`.
        reached: `(blocks, tasks)` booleans. One block for the whole variable, or, behind a fused head, one block
            for each equal share of its last axis.
        always: whether an output without a loss reaches it.
    """

    variable: keras.Variable
    reached: np.ndarray
    always: bool = False


def _producer(tensor: Any) -> tuple[keras.Operation, Sequence[Any]]:
    """Returns the operation that computes a symbolic tensor, and the inputs of the operation."""
    operation, node, _ = symbolic_producer(tensor)
    return operation, call_inputs(operation, node)


def _call(tensor: Any) -> tuple[int, int]:
    """Returns a key of the call (an operation may have several) that computed a tensor."""
    operation, node, _ = symbolic_producer(tensor)
    return id(operation), node


def _ancestors(tensor: Any) -> list[tuple[keras.Operation, Any]]:
    """Returns the operations that `tensor` depends on, with an output tensor of each call, starting at `tensor`."""
    found: list[tuple[keras.Operation, Any]] = []
    seen: set[tuple[int, int]] = set()
    stack = [tensor]
    while stack:
        current = stack.pop()
        operation, inputs = _producer(current)
        if _call(current) not in seen:
            seen.add(_call(current))
            found.append((operation, current))
            stack.extend(inputs)
    return found


def in_order(tensors: Iterable[Any]) -> list[Any]:
    """Returns symbolic tensors and all that they depend on, each behind those that its call reads."""
    found: dict[tuple[keras.Operation, int, int], Any] = {}
    stack = list(tensors)[::-1]
    while stack:
        waiting = [source for source in _producer(stack[-1])[1] if symbolic_producer(source) not in found]
        if waiting:
            stack += waiting[::-1]
        else:
            tensor = stack.pop()
            found.setdefault(symbolic_producer(tensor), tensor)
    return list(found.values())


def units(outputs: Mapping[str, Any]) -> list[Unit]:
    """Returns the units of a graph: the outputs of a `TaskSplit` are one unit, and each other output is one.

    Args:
        outputs: task name -> symbolic output.
    """
    result: list[Unit] = []
    fused: dict[tuple[int, int], list[str]] = {}
    for name, tensor in outputs.items():
        operation, _ = _producer(tensor)
        if isinstance(operation, TaskSplit):
            fused.setdefault(_call(tensor), []).append(name)
        else:
            result.append(Unit((name,), tensor))
    for names in fused.values():
        split, (matrix,) = _producer(outputs[names[0]])
        columns = tuple(symbolic_producer(outputs[name])[2] for name in names)
        result.append(Unit(tuple(names), matrix, columns, split.tasks))
    return result


def sub_model(inputs: Any, chosen: Iterable[Unit]) -> keras.Model:
    """Builds the model that computes only the chosen units, from the same layers.

    Returns:
        A model from `inputs` to `{first task of the unit: tensor}`.
    """
    return keras.Model(inputs, {unit.tasks[0]: unit.tensor for unit in chosen})


@dataclass(frozen=True)
class Cut:
    """A network cut where its shared part ends.

    Args:
        trunk: model from the inputs to the list of the tensors at the cut.
        heads: for each unit, the model from tensors at the cut to the unit's tensor; `None` if the unit's tensor is
            itself at the cut.
        needed: for each unit, the indices of the tensors at the cut that its head reads.
        features: indices of the tensors at the cut that have gradients: computed by a layer, and floating-point.
    """

    trunk: keras.Model
    heads: tuple[keras.Model | None, ...]
    needed: tuple[tuple[int, ...], ...]
    features: tuple[int, ...]


def cut(inputs: Any, chosen: Sequence[Unit], outputs: Mapping[str, Any]) -> Cut:
    """Cuts a network between the operations that several tasks share and the private operations of each task.

    A fused head counts as private, because each of its columns belongs to one task.

    Args:
        inputs: the model's symbolic inputs.
        chosen: the units that are computed; only their tasks count.
        outputs: task name -> symbolic output.
    """
    running = {task: outputs[task] for unit in chosen for task in unit.tasks}
    fused = dict(_fused_kernels(running))
    shared = {
        operation
        for operation, tasks in reach(running).items()
        if (len(tasks) > 1 or isinstance(operation, keras.layers.InputLayer)) and id(operation) not in fused
    }
    tensors: dict[tuple[int, int, int], Any] = {}
    needed = []
    for unit in chosen:
        read = [unit.tensor] if _producer(unit.tensor)[0] in shared else []
        for operation, tensor in _ancestors(unit.tensor):
            if operation not in shared:
                read += [source for source in _producer(tensor)[1] if _producer(source)[0] in shared]
        found = {(*_call(tensor), symbolic_producer(tensor)[2]): tensor for tensor in read}
        tensors.update(found)
        needed.append(list(found))
    places = {key: place for place, key in enumerate(tensors)}
    heads = []
    for unit, keys in zip(chosen, needed, strict=True):
        head = None
        if _producer(unit.tensor)[0] not in shared:
            head = keras.Model([tensors[key] for key in keys], unit.tensor)
            head.supports_masking = True  # its layers get the masks of its inputs, as in the whole model
        heads.append(head)
    return Cut(
        keras.Model(inputs, list(tensors.values())),
        tuple(heads),
        tuple(tuple(places[key] for key in keys) for keys in needed),
        tuple(
            place
            for place, tensor in enumerate(tensors.values())
            if not isinstance(_producer(tensor)[0], keras.layers.InputLayer) and "float" in tensor.dtype
        ),
    )


def reach(outputs: Mapping[str, Any]) -> dict[keras.Operation, frozenset[str]]:
    """Returns, for each operation of the graph, the tasks whose output depends on it."""
    found: dict[keras.Operation, set[str]] = {}
    for name, tensor in outputs.items():
        for operation, _ in _ancestors(tensor):
            found.setdefault(operation, set()).add(name)
    return {operation: frozenset(names) for operation, names in found.items()}


def unreached(entry: Ownership) -> Ownership:
    """Returns the ownership of a variable that no task trains at the moment, such as a frozen one."""
    return Ownership(entry.variable, np.zeros_like(entry.reached))


def ownership(outputs: Mapping[str, Any], tasks: Sequence[str] | None = None) -> list[Ownership]:
    """Returns the tasks that reach each variable (weights, statistics, seeds) of the graph, each variable once.

    Args:
        outputs: name -> symbolic output.
        tasks: the outputs that have a loss, in the order of the columns of `Ownership.reached`; `None` for all.
    """
    every = _ownership(outputs)
    if tasks is None:
        return every
    names = list(outputs)
    columns = [names.index(task) for task in tasks]
    others = [place for place, name in enumerate(names) if name not in tasks]
    return [
        Ownership(entry.variable, entry.reached[:, columns], bool(entry.reached[:, others].any())) for entry in every
    ]


def _ownership(outputs: Mapping[str, Any]) -> list[Ownership]:
    names = list(outputs)
    blocks = dict(_fused_kernels(outputs))
    rows: dict[int, tuple[keras.Variable, np.ndarray]] = {}
    for operation, reached_by in reach(outputs).items():
        if not isinstance(operation, keras.Layer):
            continue
        reached = np.array([[name in reached_by for name in names]])
        if id(operation) in blocks:
            reached = _block_rows(blocks[id(operation)], names)
        for variable in operation.variables:
            known = rows.get(id(variable))
            if known is not None and known[1].shape == reached.shape:
                reached = known[1] | reached
            elif known is not None:
                reached = np.any(known[1], axis=0, keepdims=True) | np.any(reached, axis=0, keepdims=True)
            rows[id(variable)] = (variable, reached)
    return [Ownership(variable, reached) for variable, reached in rows.values()]


def _fused_kernels(outputs: Mapping[str, Any]) -> Iterator[tuple[int, Unit]]:
    """Yields `(id of the layer, unit)` of each `Dense` layer whose columns are private.

    It must be called once and be read only by a `TaskSplit`, whose outputs no layer reads.
    """
    calls = {_call(tensor): tensor for output in outputs.values() for _, tensor in _ancestors(output)}
    times_called = Counter(operation for operation, _ in calls)
    readers = Counter(_call(source) for tensor in calls.values() for source in _producer(tensor)[1])
    readers.update(_call(unit.tensor) for unit in units(outputs) if unit.columns is None)
    for unit in units(outputs):
        dense, _ = _producer(unit.tensor)
        single = type(dense) is keras.layers.Dense and times_called[id(dense)] == 1 and readers[_call(unit.tensor)] == 1
        if unit.columns is not None and single and not readers[_call(outputs[unit.tasks[0]])]:
            yield id(dense), unit


def _block_rows(unit: Unit, names: list[str]) -> np.ndarray:
    """Returns which output reads each block of a fused unit, as `(blocks, outputs)` booleans."""
    reached = np.zeros((unit.shares, len(names)), bool)
    for task, column in zip(unit.tasks, unit.columns or (), strict=True):
        reached[column, names.index(task)] = True
    return reached


def depths(outputs: Mapping[str, Any]) -> dict[str, int]:
    """Returns the number of layers with weights on the longest path from an input to each output.

    Layers inside a nested model count as if they stood in the graph themselves.
    """
    return {name: _depth(tensor) for name, tensor in outputs.items()}


def _depth(tensor: Any) -> int:
    """Returns the number of layers with weights on the longest path from an input to a tensor."""
    known: dict[int, int] = {}
    stack = [tensor]
    while stack:
        current = stack[-1]
        operation, inputs = _producer(current)
        waiting = [source for source in inputs if id(source) not in known]
        if waiting:
            stack.extend(waiting)
            continue
        known[id(stack.pop())] = _layer_depth(operation) + max((known[id(source)] for source in inputs), default=0)
    return known[id(tensor)]


def _layer_depth(operation: keras.Operation) -> int:
    """Returns the depth that an operation adds: that of a nested model, 1 for a layer with weights, else 0."""
    if not isinstance(operation, keras.Layer) or not operation.weights:
        return 0
    if isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        return max(_depth(tensor) for tensor in operation.outputs)
    return 1


def graph_of(model: keras.Model) -> tuple[Any, dict[str, Any]]:
    """Returns the symbolic inputs and the named outputs of a Functional model.

    Args:
        model: a Functional `keras.Model`, whose outputs are a dict from task to output `(batch, ...)`.

    Raises:
        ValueError: if it is not a Functional model, or its outputs are not such a dict.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "_outputs_struct"):
        kind = "Sequential" if isinstance(model, keras.Sequential) else type(model).__name__
        raise ValueError(
            "`model` must be a Functional model, keras.Model(inputs, {'item': item, 'group': group}): a Sequential or "
            f"subclassed model does not show which layer belongs to which task. Received: a {kind}"
        )
    return model.input, named_outputs(model.output)


def named_outputs(outputs: Any) -> dict[str, Any]:
    """Returns the outputs of a model by task.

    Raises:
        ValueError: if they are not a dict from names to one tensor each.
    """
    if not isinstance(outputs, Mapping) or not outputs:
        raise ValueError(
            "`outputs` must be a dict from task name to output, e.g. {'item': item, 'group': group}. "
            f"Received: {_described(outputs)}"
        )
    for name, output in outputs.items():
        if not isinstance(name, str) or isinstance(output, (Mapping, list, tuple)):
            raise ValueError(
                "`outputs` must be a flat dict from task name to one output each, e.g. {'item': item, 'group': group}. "
                f"Received: {_described(output)} under {name!r}"
            )
    return dict(outputs)


def _described(outputs: Any) -> str:
    """Returns a short description of outputs for error messages; symbolic tensors have a long `repr`."""
    if isinstance(outputs, (list, tuple)) and outputs:
        return f"a {type(outputs).__name__} of {len(outputs)} outputs"
    if isinstance(outputs, Mapping) and outputs:
        return f"a dict with the keys {', '.join(map(repr, outputs))}"
    if isinstance(outputs, keras.KerasTensor):
        return f"one output {tuple(outputs.shape)}"
    return repr(outputs)
