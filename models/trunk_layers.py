"""Which layers of a network are its trunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from models.heads import SHARED
from mtl_keras.training import graph


def trunk_layers(outputs: Mapping[str, Any]) -> list[str]:
    """Returns the names of the layers with weights of a network's trunk.

    These are what all outputs depend on, but for heads: a layer that gives an output, one whose name begins with that
    of a task, and the one layer that several binary tasks share. Of a network for one task, all outputs depend on all
    layers, and only the names tell its head from its trunk: `item` and `item_...` are the head of the task `item`.

    Args:
        outputs: task name -> symbolic output.
    """
    common = {id(entry.variable) for entry in graph.ownership(outputs) if entry.reached.all()}
    last = {output._keras_history.operation for output in outputs.values()}
    owners = (*outputs, SHARED)
    return [
        operation.name
        for operation in graph.reach(outputs)
        if isinstance(operation, keras.Layer)
        and operation.weights
        and operation not in last
        and all(id(weight) in common for weight in operation.weights)
        and not any(operation.name == owner or operation.name.startswith(f"{owner}_") for owner in owners)
    ]
