"""Networks that learn at which layer tasks part: Learning to Branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from models import heads, stages, trunks
from models.networks import NETWORKS, Graph, Network
from mtl_keras.checks import check_integer
from mtl_keras.keras_private import call_inputs, symbolic_producer
from mtl_keras.layers import BranchChoice
from mtl_keras.tasks import TaskSet
from mtl_keras.training import graph


class Branches(NamedTuple):
    """The tree that a network learned.

    Args:
        paths: task -> the names of the nodes (nested models) from the input to its head.
        model: the network of only these nodes, of the same class and not compiled. It shares the layers of the network
            with all nodes.
    """

    paths: dict[str, tuple[str, ...]]
    model: keras.Model


@NETWORKS.register
def ltb(
    trunk: str | trunks.Trunk | None = None,
    after: str | Sequence[str] | None = None,
    nodes: int | None = None,
    temperature: float = 5.0,
    decay: float = 0.998,
    lowest: float = 0.1,
) -> Network:
    """Builds several copies of each stage of the trunk, each of which learns which copy of the stage below it reads.

    Each task learns which copy of the last stage it reads. `models.branches` returns the resulting tree, to be trained
    further or from new weights. While the network is trained, each step computes all nodes.

    Args:
        trunk: an identifier for `models.trunks.get`; by default see `models.trunks.default_trunk`.
        after: names of the layers that end the stages; by default see `models.stages.stage_ends`.
        nodes: number of copies of each stage; by default one per task.
        temperature: see `mtl_keras.layers.BranchChoice`.
        decay: see there.
        lowest: see there.

    References:
        P. Guo, C.-Y. Lee, D. Ulbricht, "Learning to Branch for Multi-Task Learning", ICML 2020,
        https://arxiv.org/abs/2006.01895
    """
    stages.check_arguments(trunk, after)
    BranchChoice(temperature, decay, lowest)  # checks the arguments
    if nodes is not None:
        check_integer("nodes", nodes, 1)

    def choice(features: list[Any], name: str) -> Any:
        return BranchChoice(temperature, decay, lowest, name=name)(features) if len(features) > 1 else features[0]

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        source = stages.CopiedTrunk.get(trunk, tasks, image_shape, weights)
        ends = stages.stage_ends(source.model, after)
        parts = stages.cut(source.model, ends)
        if not list(parts.values())[-1].weights:  # such as pooling: a part of the last stage
            parts = stages.cut(source.model, ends[:-1])
        features = [source.model.input]
        for level, stage in enumerate(parts.values(), start=1):
            names = [f"{level}_{number}" for number in range(1, (nodes or len(tasks)) + 1)]
            read = [choice(features, f"branch{name}") for name in names]
            features = [source.copy(stage, f"node{name}", number)(read[number]) for number, name in enumerate(names)]
        return source.model.input, {
            task.name: heads.head(task, choice(features, f"{task.name}_branch")) for task in tasks.values()
        }

    return build


def branches(model: keras.Model) -> Branches:
    """Returns the tree that a network of `ltb` learned, and the network without the nodes that no task reads.

    Args:
        model: a Functional model with `mtl_keras.layers.BranchChoice` layers and a dict of outputs.

    Raises:
        ValueError: for another model.
    """
    inputs, outputs = graph.graph_of(model)
    known: dict[int, Any] = {}
    pruned = {name: _pruned(output, known) for name, output in outputs.items()}
    paths = {name: tuple(reversed(list(_nodes(output)))) for name, output in pruned.items()}
    return Branches(paths, type(model)(inputs, pruned, name=model.name))


def _pruned(tensor: Any, known: dict[int, Any]) -> Any:
    """Returns a tensor computed by the same layers, but each choice replaced by the chosen parent.

    Args:
        tensor: a symbolic tensor.
        known: `id` of a tensor -> its replacement, so that nodes that several tasks read are called once.
    """
    if id(tensor) not in known:
        operation, node, _ = symbolic_producer(tensor)
        sources = call_inputs(operation, node)
        if isinstance(operation, BranchChoice):
            known[id(tensor)] = _pruned(sources[operation.choice()], known)
        else:
            found = [_pruned(source, known) for source in sources]
            same = all(one is other for one, other in zip(found, sources))
            known[id(tensor)] = tensor if same else operation(found[0] if len(found) == 1 else found)
    return known[id(tensor)]


def _nodes(tensor: Any) -> Any:
    """Yields the names of the nested models that a tensor depends on, from the last to the first."""
    operation, node, _ = symbolic_producer(tensor)
    if isinstance(operation, keras.Model):
        yield operation.name
    for source in call_inputs(operation, node)[:1]:
        yield from _nodes(source)
