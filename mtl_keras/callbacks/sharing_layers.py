"""`SharingLayers`: finds the layers by which the tasks of a network share softly, and measures them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.callbacks.sharing_summary import (
    AttentionSummary,
    BranchSummary,
    GateSummary,
    SharingSummary,
    StitchSummary,
)
from mtl_keras.keras_private import call_inputs, symbolic_producer
from mtl_keras.layers import (
    NDDR,
    BranchChoice,
    CrossStitch,
    DSelectKGate,
    ExpertMixture,
    Sluice,
    SoftmaxGate,
    TaskAttention,
)
from mtl_keras.training import graph

_GATES = (SoftmaxGate, DSelectKGate)
_STITCHES = (CrossStitch, Sluice, NDDR)
_KINDS = (*_GATES, *_STITCHES, TaskAttention, BranchChoice)
_SHARED = "shared"

Key = tuple[int, int]  # a call of an operation
Probe = Callable[[Any], tuple[list[Any], list[Any]]]


def has_sharing_layers(model: keras.Model) -> bool:
    """Returns whether a Functional model with a dict of outputs has layers that `SharingMonitor` looks into."""
    _, outputs = graph.graph_of(model)
    return any(isinstance(operation, _KINDS) for operation in graph.reach(outputs))


@dataclass(frozen=True)
class _Call:
    """A call of a layer.

    Args:
        tensor: its symbolic output.
        layer: the layer.
        sources: the symbolic tensors that it reads.
        level: 1 + the number of calls of the same kind on a path from the input.
    """

    tensor: Any
    layer: Any
    sources: list[Any]
    level: int

    @property
    def key(self) -> Key:
        return _key(self.tensor)


class SharingLayers:
    """The gates, stitches, attention modules and branches of a network, and the task that each belongs to.

    They are found in the graph of the model's layers. The insides of nested models are not searched.

    Args:
        model: a Functional model, whose outputs are a dict from task to output.

    Raises:
        ValueError: for another model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._inputs, self._outputs = graph.graph_of(model)
        self._order = graph.in_order(self._outputs.values())
        self._tasks = graph.reach(self._outputs)
        self._gates, self._stitches, self._attention, self._branches = (
            self._calls(kinds) for kinds in (_GATES, _STITCHES, (TaskAttention,), (BranchChoice,))
        )
        mixtures = self._calls((ExpertMixture,))
        # One mixture of each gate: it names the experts.
        self._mixtures = {_key(mixture.sources[0]): mixture for mixture in reversed(mixtures)}
        self._experts = _names(expert for mixture in mixtures for expert in mixture.sources[1:])

    def __bool__(self) -> bool:
        return any((self._gates, self._stitches, self._attention, self._branches))

    @property
    def needs_examples(self) -> bool:
        """Whether there are layers that only a sample of examples shows: gates and attention modules."""
        return bool(self._gates or self._attention)

    @property
    def inputs(self) -> Any:
        """The model's symbolic inputs."""
        return self._inputs

    def probe(self) -> Probe:
        """Returns a function of a batch of inputs, which returns two lists, in inference mode.

        They are the weights `(batch, experts)` of each gate, and the mean mask, a number, of each attention module.
        """
        wanted = [gate.tensor for gate in self._gates]
        places = []
        for module in self._attention:
            places.append(range(len(wanted), len(wanted) + len(module.sources) - 1))
            wanted += module.sources[1:]
        network = keras.Model(self._inputs, wanted)
        modules = [module.layer for module in self._attention]

        def measure(batch: Any) -> tuple[list[Any], list[Any]]:
            found = network(batch, training=False)
            masks = (module.mask([found[i] for i in place], training=False) for module, place in zip(modules, places))
            return list(found[: len(self._gates)]), [ops.mean(ops.cast(mask, "float32")) for mask in masks]

        return measure

    def summary(self, batches: Iterable[tuple[int, Any]] = (), probe: Probe | None = None) -> SharingSummary:
        """Measures the layers as they are now.

        Args:
            batches: number of examples and inputs of each batch of the sample.
            probe: what `probe` returned; `None` to measure nothing that depends on examples.
        """
        sums = _Sums(len(self._gates), len(self._attention))
        if probe is not None:
            for count, batch in batches:
                sums.add(count, *probe(batch))
        return SharingSummary(
            sums.examples,
            tuple(sorted(self._measured_gates(sums), key=self._place)),
            tuple(self._measured_stitches()),
            tuple(sorted(self._measured_attention(sums), key=self._place)),
            tuple(self._measured_branches()),
            {task: self._path(output) for task, output in self._outputs.items()} if self._branches else None,
        )

    def _place(self, measured: GateSummary | AttentionSummary) -> tuple[int, int]:
        """Returns what orders figures: the level, then the task; other owners come last."""
        tasks = list(self._outputs)
        return measured.level, tasks.index(measured.owner) if measured.owner in tasks else len(tasks)

    def _measured_gates(self, sums: _Sums) -> Iterable[GateSummary]:
        if not sums.examples:
            return
        owners = self._gate_owners()
        for place, gate in enumerate(self._gates):
            weights, top = sums.weights[place] / sums.examples, sums.top[place] / sums.examples
            yield GateSummary(
                gate.layer.name,
                owners[gate.key],
                gate.level,
                self._experts_of(gate),
                tuple(weights.tolist()),
                tuple(top.tolist()),
                float(sums.entropies[place] / sums.examples),
            )

    def _experts_of(self, gate: _Call) -> tuple[str, ...]:
        mixture = self._mixtures.get(gate.key)
        if mixture is None:  # the weights go into a layer of another library
            return tuple(f"{gate.layer.name}:{number}" for number in range(1, gate.layer.experts + 1))
        return tuple(self._experts[_output(expert)] for expert in mixture.sources[1:])

    def _gate_owners(self) -> dict[Key, str]:
        """Returns the owner of each gate.

        In a network of several levels, gates of a lower level reach more tasks than their own, by way of shared
        experts. A gate of the next level reads the mixture of its own task.
        """
        following: dict[Key, list[_Call]] = {}
        for gate in self._gates:
            for mixture in _nearest(gate.sources, (ExpertMixture,)):
                following.setdefault(_key(mixture), []).append(gate)
        continued = {
            gate.key: following.get(self._mixtures[gate.key].key, []) if gate.key in self._mixtures else []
            for gate in self._gates
        }
        return self._owners(self._gates, continued)

    def _measured_stitches(self) -> Iterable[StitchSummary]:
        # A unit is the layers, one for each task, that read the same features.
        units: dict[tuple[Any, ...], dict[int, _Call]] = {}
        continued: dict[Key, list[_Call]] = {stitch.key: [] for stitch in self._stitches}
        for stitch in self._stitches:
            sources = tuple(map(_output, stitch.sources))
            units.setdefault((type(stitch.layer), stitch.level, sources), {})[stitch.layer.position] = stitch
            for earlier in _nearest([stitch.sources[stitch.layer.position]], _STITCHES):
                continued[_key(earlier)].append(stitch)
        owners = self._owners(self._stitches, continued)
        for (kind, level, sources), unit in units.items():
            positions = sorted(unit)
            names = [owners[unit[place].key] if place in unit else str(place + 1) for place in range(len(sources))]
            blocks = np.stack([_mixing(unit[place].layer) for place in positions])
            rows, columns = ([names[place] for place in positions], names)
            parts = blocks.shape[1]
            if parts > 1:
                rows, columns = (
                    [f"{name} {part}" for name in each for part in range(1, parts + 1)] for each in (rows, columns)
                )
            mixing = blocks.reshape(len(rows), len(columns)).astype("float64").tolist()
            yield StitchSummary(kind.__name__, level, tuple(rows), tuple(columns), tuple(map(tuple, mixing)))

    def _measured_attention(self, sums: _Sums) -> Iterable[AttentionSummary]:
        if not sums.examples:
            return
        owners = self._owners(self._attention, {module.key: [] for module in self._attention})
        for module, total in zip(self._attention, sums.masks):
            yield AttentionSummary(module.layer.name, owners[module.key], module.level, float(total / sums.examples))

    def _measured_branches(self) -> Iterable[BranchSummary]:
        # The node that reads a choice, or the tasks whose head does.
        readers = {
            _key(source): symbolic_producer(tensor)[0].name for tensor in self._order for source in _sources(tensor)
        }
        ends: dict[Key, list[str]] = {}
        for task, output in self._outputs.items():
            for choice in _nearest([output], (BranchChoice,)):
                ends.setdefault(_key(choice), []).append(task)
        for branch in self._branches:
            parents = [symbolic_producer(source)[0].name for source in branch.sources]
            probabilities = ops.convert_to_numpy(ops.softmax(ops.cast(branch.layer.logits, "float32")))
            owner = ", ".join(ends[branch.key]) if branch.key in ends else readers[branch.key]
            chosen = parents[branch.layer.choice()]
            yield BranchSummary(
                branch.layer.name, owner, branch.level, tuple(parents), tuple(probabilities.tolist()), chosen
            )

    def _path(self, output: Any) -> tuple[str, ...]:
        """Returns the names of the nodes that a task passes, from the input to its head."""
        path: list[str] = []
        found = _nearest([output], (BranchChoice,))
        while found:
            operation, _, _ = symbolic_producer(found[0])
            chosen = _sources(found[0])[operation.choice()]
            path.insert(0, symbolic_producer(chosen)[0].name)
            found = _nearest([chosen], (BranchChoice,))
        return tuple(path)

    def _calls(self, kinds: tuple[type, ...]) -> list[_Call]:
        """Returns the calls of layers of some classes, ordered by level."""
        levels: dict[Key, int] = {}
        found = []
        for tensor in self._order:
            layer, _, _ = symbolic_producer(tensor)
            if isinstance(layer, kinds):
                sources = _sources(tensor)
                level = 1 + max((levels[_key(each)] for each in _nearest(sources, kinds)), default=0)
                levels[_key(tensor)] = level
                found.append(_Call(tensor, layer, sources, level))
        return sorted(found, key=lambda call: call.level)

    def _owners(self, calls: Sequence[_Call], continued: Mapping[Key, list[_Call]]) -> dict[Key, str]:
        """Returns the task that each call belongs to, `"shared"` if it is none or several.

        Two calls of a level that belong to the same are named by their layers.

        Args:
            calls: calls, ordered by level.
            continued: for each call, the calls of the next level that belong to the same task as it does.
        """
        owners: dict[Key, str] = {}
        for call in reversed(calls):
            found = {owners[each.key] for each in continued[call.key]} or self._tasks[call.layer]
            owners[call.key] = next(iter(found)) if len(found) == 1 else _SHARED
        times = Counter((call.level, owners[call.key]) for call in calls)
        return {
            call.key: owners[call.key] if times[call.level, owners[call.key]] == 1 else call.layer.name
            for call in calls
        }


class _Sums:
    """Sums over the examples of a sample.

    Args:
        gates: number of gates.
        modules: number of attention modules.
    """

    def __init__(self, gates: int, modules: int) -> None:
        self.examples = 0
        self.weights: list[Any] = [0.0] * gates
        self.top: list[Any] = [0.0] * gates
        self.entropies = np.zeros(gates)
        self.masks = np.zeros(modules)

    def add(self, count: int, gates: Sequence[Any], masks: Sequence[Any]) -> None:
        """Adds a batch of `count` examples: weights `(count, experts)` of each gate, and mean masks."""
        self.examples += count
        for place, gate in enumerate(gates):
            weights = ops.convert_to_numpy(gate).astype("float64")
            self.weights[place] = self.weights[place] + weights.sum(axis=0)
            self.top[place] = self.top[place] + np.bincount(weights.argmax(axis=1), minlength=weights.shape[1])
            logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
            self.entropies[place] -= (weights * logarithms).sum()
        self.masks += [count * float(mask) for mask in masks]


def _mixing(layer: keras.Layer) -> np.ndarray:
    """Returns the rows of a task in the mixing matrix of its unit: `(subspaces, tasks * subspaces)`."""
    if isinstance(layer, CrossStitch):
        return ops.convert_to_numpy(layer.mixing()).mean(axis=1)[None]
    if isinstance(layer, Sluice):
        return ops.convert_to_numpy(layer.alpha)
    kernel = np.abs(ops.convert_to_numpy(layer.kernel))
    by_task = kernel.reshape(-1, kernel.shape[1], kernel.shape[1]).sum(axis=(1, 2))
    return (by_task / by_task.sum())[None]


def _key(tensor: Any) -> Key:
    operation, node, _ = symbolic_producer(tensor)
    return id(operation), node


def _output(tensor: Any) -> tuple[int, int, int]:
    operation, node, place = symbolic_producer(tensor)
    return id(operation), node, place


def _sources(tensor: Any) -> list[Any]:
    operation, node, _ = symbolic_producer(tensor)
    return call_inputs(operation, node)


def _nearest(tensors: Iterable[Any], kinds: tuple[type, ...]) -> list[Any]:
    """Returns the outputs of layers of some classes that tensors depend on without another such layer between."""
    found, seen, stack = [], set(), list(tensors)
    while stack:
        current = stack.pop()
        if _key(current) in seen:
            continue
        seen.add(_key(current))
        if isinstance(symbolic_producer(current)[0], kinds):
            found.append(current)
        else:
            stack += _sources(current)
    return found


def _names(tensors: Iterable[Any]) -> dict[tuple[int, int, int], str]:
    """Returns the name of the layer that computes each tensor, with a number for a layer that computes several."""
    names = {_output(tensor): symbolic_producer(tensor)[0].name for tensor in tensors}
    times, seen = Counter(names.values()), Counter[str]()
    result = {}
    for output, name in names.items():
        seen[name] += 1
        result[output] = name if times[name] == 1 else f"{name}:{seen[name]}"
    return result
