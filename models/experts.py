"""Networks of experts and gates: MMoE, CGC, PLE, DSelect-k."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from models import heads, stages, trunks
from models.networks import NETWORKS, Graph, Network
from mtl_keras.checks import check_integer, unknown_value
from mtl_keras.layers import DSelectKGate, ExpertMixture, SoftmaxGate
from mtl_keras.tasks import TaskSet

_GATE_ARGUMENTS = ("temperature", "dropout", "use_bias")

Gate = Callable[[int, str], layers.Layer]  # (number of experts, name of the layer) -> gate


@NETWORKS.register
def mmoe(
    trunk: str | trunks.Trunk | None = None,
    experts: int = 4,
    split: str | None = None,
    tower: Sequence[int] = (),
    gate: Mapping[str, Any] | None = None,
) -> Network:
    """Builds experts that all tasks share, and for each task a gate that weights them by the example (MMoE).

    Args:
        trunk: what is made into experts: an identifier for `models.trunks.get`. By default see
            `models.trunks.default_trunk`.
        experts: number of experts.
        split: name of the layer of the trunk behind which the experts begin; the layers up to it are shared. By default
            experts of vectors are the whole trunk, as in the paper, and experts of images are its last stage with
            weights. Gates read what the experts read; feature maps are averaged over the positions first.
        tower: widths of fully connected ReLU layers of each task, between its mixture and its head.
        gate: arguments of the gates, such as `{"temperature": 2.0}`: see `mtl_keras.layers.SoftmaxGate`.

    Example:

    ```python
    tasks = TaskSet([Task.classification("item", 10), Task.classification("group", 3)])
    model = MultiTaskModel(*mmoe("cnn", experts=8)(tasks, (28, 28, 1)))
    ```

    References:
        J. Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
        https://doi.org/10.1145/3219819.3220007
    """
    return _Experts("mmoe", trunk, 1, check_integer("experts", experts, 1), 0, split, tower, _softmax_gate(gate))


@NETWORKS.register
def cgc(
    trunk: str | trunks.Trunk | None = None,
    shared_experts: int = 1,
    task_experts: int = 1,
    split: str | None = None,
    tower: Sequence[int] = (),
    gate: Mapping[str, Any] | None = None,
) -> Network:
    """Builds shared experts, and for each task experts of its own and a gate of both kinds (CGC).

    No task sees the experts of another. Without task experts this is MMoE; without shared experts, separate networks.

    Args:
        trunk: see `mmoe`.
        shared_experts: number of experts that all tasks share.
        task_experts: number of experts of each task.
        split: see `mmoe`.
        tower: see `mmoe`.
        gate: see `mmoe`.

    References:
        H. Tang et al., "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized
        Recommendations", RecSys 2020, section 4.1, https://doi.org/10.1145/3383313.3412236
    """
    counts = _checked_experts(shared_experts, task_experts)
    return _Experts("cgc", trunk, 1, *counts, split, tower, _softmax_gate(gate))


@NETWORKS.register
def ple(
    trunk: str | trunks.Trunk | None = None,
    shared_experts: int = 1,
    task_experts: int = 1,
    levels: int = 2,
    split: str | None = None,
    tower: Sequence[int] = (),
    gate: Mapping[str, Any] | None = None,
) -> Network:
    """Builds several levels of shared experts and task experts (PLE).

    At each level, the experts and the gate of a task read the task's mixture of the level below. The shared experts
    read that of a shared gate, which weights all experts of a level and is absent from the last.

    Args:
        trunk: see `mmoe`. The experts of each level are a part of it: its stages behind `split`, divided as evenly as
            possible. `"mlp(dense=[64, 32])"` makes experts of 64 units at the first of two levels and 32 at the second.
        shared_experts: number of experts that all tasks share, at each level.
        task_experts: number of experts of each task, at each level.
        levels: number of levels.
        split: see `mmoe`. By default experts of images are the last `levels` stages with weights.
        tower: see `mmoe`.
        gate: see `mmoe`.

    References:
        H. Tang et al., RecSys 2020, section 4.2, https://doi.org/10.1145/3383313.3412236
    """
    counts = _checked_experts(shared_experts, task_experts)
    return _Experts("ple", trunk, check_integer("levels", levels, 1), *counts, split, tower, _softmax_gate(gate))


@NETWORKS.register
def dselect_k(
    trunk: str | trunks.Trunk | None = None,
    experts: int = 4,
    k: int = 2,
    split: str | None = None,
    tower: Sequence[int] = (),
    gamma: float = 1.0,
    per_example: bool = True,
    entropy: float = 0.0,
) -> Network:
    """Builds the network of `mmoe` with gates that, when trained, use at most `k` experts (DSelect-k).

    Args:
        trunk: see `mmoe`.
        experts: number of experts, at least 2.
        k: the most experts that a task uses in the end.
        split: see `mmoe`.
        tower: see `mmoe`.
        gamma: see `mtl_keras.layers.DSelectKGate`.
        per_example: see there.
        entropy: see there.

    References:
        H. Hazimeh et al., "DSelect-k: Differentiable Selection in the Mixture of Experts with Applications to
        Multi-Task Learning", NeurIPS 2021, https://arxiv.org/abs/2106.03760
    """
    DSelectKGate(experts, k, gamma, per_example, entropy)  # checks the arguments

    def gate(count: int, name: str) -> layers.Layer:
        return DSelectKGate(count, k, gamma, per_example, entropy, dtype="float32", name=name)

    return _Experts("dselect_k", trunk, 1, experts, 0, split, tower, gate)


def _softmax_gate(arguments: Mapping[str, Any] | None) -> Gate:
    given = dict(arguments or {})
    for name in given:
        if name not in _GATE_ARGUMENTS:
            raise unknown_value("argument in gate", name, _GATE_ARGUMENTS)
    SoftmaxGate(1, **given)  # checks the values

    def gate(count: int, name: str) -> layers.Layer:
        return SoftmaxGate(count, **given, dtype="float32", name=name)

    return gate


def _checked_experts(shared: int, own: int) -> tuple[int, int]:
    check_integer("shared_experts", shared, 0)
    check_integer("task_experts", own, 0)
    if not shared + own:
        raise ValueError(f"A task needs an expert. Received: shared_experts={shared}, task_experts={own}")
    return shared, own


@dataclass(frozen=True)
class _Experts:
    """The network of all builders here; `name` is the builder's, for messages."""

    name: str
    trunk: str | trunks.Trunk | None
    levels: int
    shared: int
    own: int
    split: str | None
    tower: Sequence[int]
    gate: Gate

    def __post_init__(self) -> None:
        stages.check_arguments(self.trunk, self.split)
        for width in self.tower:
            check_integer("tower", width, 1)

    def __call__(self, tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        trunk = stages.CopiedTrunk.get(self.trunk, tasks, image_shape, weights)
        of_shared, levels = self._parts(trunk.model)
        of_task = dict.fromkeys(tasks, of_shared)
        for level, stage in enumerate(levels, start=1):
            copies = _Copies(trunk, stage)
            shared = copies.outputs(f"expert{level}", self.shared, of_shared)
            own = {task: copies.outputs(f"{task}_expert{level}", self.own, of_task[task]) for task in tasks}
            if level == 1:
                shared_read = _pooled(of_shared, "gate1_pool")
                read = dict.fromkeys(tasks, shared_read)
            else:
                read = {task: _pooled(of_task[task], f"{task}_gate{level}_pool") for task in tasks}
            of_task = {task: self._mixture(read[task], [*own[task], *shared], task, level) for task in tasks}
            if shared and level < len(levels):
                every = [expert for each in own.values() for expert in each]
                shared_read = shared_read if level == 1 else _pooled(of_shared, f"gate{level}_pool")
                of_shared = self._mixture(shared_read, [*every, *shared], "shared", level)
        outputs = {}
        for task in tasks.values():
            x = of_task[task.name]
            for number, width in enumerate(self.tower, start=1):
                x = layers.Dense(width, activation="relu", name=f"{task.name}_tower{number}")(x)
            outputs[task.name] = heads.head(task, x)
        return trunk.model.input, outputs

    def _mixture(self, read: Any, experts: list[Any], owner: str, level: int) -> Any:
        weights = self.gate(len(experts), f"{owner}_gate{level}")(read)
        return ExpertMixture(name=f"{owner}_mixture{level}")([weights, *experts])

    def _parts(self, trunk: keras.Model) -> tuple[Any, list[keras.Model]]:
        """Returns what the experts read, the input or a tensor within the trunk, and the expert of each level."""
        parts = stages.cut(trunk, [*stages.stage_ends(trunk), *([self.split] if self.split else [])])
        ends = list(parts)
        weighted = [place for place, part in enumerate(parts.values()) if part.weights]
        first = 0
        if self.split is not None:
            first = ends.index(self.split) + 1
        elif len(trunk.input.shape) > 2:
            first = weighted[-self.levels] if self.levels <= len(weighted) else len(ends)
        above = [place for place in weighted if place >= first]
        if len(above) < self.levels or (first == 0 and len(trunk.input.shape) > 2):
            raise ValueError(
                f"The trunk has {len(weighted)} stages with weights, which end with the layers {', '.join(ends)}. "
                f"Network {self.name!r} needs one for each level, behind those that all tasks share. "
                f"Received: levels={self.levels}, split={self.split!r}"
            )
        starts = [int(group[0]) for group in np.array_split(above, self.levels)]
        starts[0] = first
        levels = list(stages.cut(trunk, [ends[start - 1] for start in starts if start]).values())
        return (stages.output_of(trunk, ends[first - 1]), levels[1:]) if first else (trunk.input, levels)


@dataclass
class _Copies:
    """The experts of a level: copies of a stage, numbered so that all start from different weights."""

    trunk: stages.CopiedTrunk
    stage: keras.Model
    made: int = 0

    def outputs(self, owner: str, count: int, features: Any) -> list[Any]:
        """Returns the outputs of `count` new experts."""
        found = []
        for number in range(1, count + 1):
            found.append(self.trunk.copy(self.stage, f"{owner}_{number}", self.made)(features))
            self.made += 1
        return found


def _pooled(x: Any, name: str) -> Any:
    """Returns what a gate reads: features `(batch, features)`; feature maps are averaged over their positions."""
    return layers.GlobalAveragePooling2D(name=name)(x) if len(x.shape) > 2 else x
