"""Finds the trunk layers of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from models.heads import SHARED
from mtl_keras.training import graph


def trunk_layers(outputs: Mapping[str, Any]) -> list[str]:
    """Returns the names of the trunk layers that have weights.

    These are the layers that all outputs depend on, except heads: output layers, layers whose name begins with that of
    a task, and the layer that several binary tasks share. In a single-task network, the output depends on all layers,
    so only names distinguish head and trunk: `item` and `item_...` are the head of the task `item`.

    Args:
        outputs: task name -> symbolic output.
    """
    shared_ids = {id(entry.variable) for entry in graph.ownership(outputs) if entry.reached.all()}
    output_layers = {output._keras_history.operation for output in outputs.values()}
    owners = (*outputs, SHARED)
    return [
        operation.name
        for operation in graph.reach(outputs)
        if isinstance(operation, keras.Layer)
        and operation.weights
        and operation not in output_layers
        and all(id(weight) in shared_ids for weight in operation.weights)
        and not any(operation.name == owner or operation.name.startswith(f"{owner}_") for owner in owners)
    ]
