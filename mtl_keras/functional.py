"""What a `MultiTaskModel` is made of: the inputs and the named outputs of a Functional model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


def graph(model: keras.Model) -> tuple[Any, dict[str, Any]]:
    """Returns the symbolic inputs and the named outputs of a Functional model.

    Args:
        model: a Functional `keras.Model`, whose outputs are a dict from task to output `(batch, ...)`.

    Raises:
        ValueError: if its layers are not known as a graph, or its outputs are no such dict.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "_outputs_struct"):
        kind = "Sequential" if isinstance(model, keras.Sequential) else type(model).__name__
        raise ValueError(
            "`model` must be a Functional model, keras.Model(inputs, {'item': item, 'group': group}): of a Sequential "
            f"or subclassed one it is not known which layer belongs to which task. Received: a {kind}"
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
    """Symbolic tensors say little, and say it at length."""
    if isinstance(outputs, (list, tuple)) and outputs:
        return f"a {type(outputs).__name__} of {len(outputs)} outputs"
    if isinstance(outputs, Mapping) and outputs:
        return f"a dict with the keys {', '.join(map(repr, outputs))}"
    if isinstance(outputs, keras.KerasTensor):
        return f"one output {tuple(outputs.shape)}"
    return repr(outputs)
