"""Every private name of Keras that the library uses, each with the reason why no public name does.

`tests/mtl_keras/test_keras_private.py` checks that all of them are still there.
"""

from __future__ import annotations

from typing import Any

import keras
from keras.src.backend import compute_output_spec, get_keras_mask, set_keras_mask
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics, get_loss
from keras.src.utils.naming import get_object_name
from keras.src.utils.tracking import no_automatic_dependency_tracking

__all__ = [
    "ATTRIBUTES",
    "CompileLoss",
    "CompileMetrics",
    "KerasSaveable",
    "compute_output_spec",
    "get_keras_mask",
    "get_loss",
    "get_object_name",
    "no_automatic_dependency_tracking",
    "set_keras_mask",
]

# The imports above:
#   compute_output_spec   builds the state of metrics before a step is traced, as Keras does for other backends
#   get_keras_mask,
#   set_keras_mask        a mask travels with a tensor; losses and metrics of Keras read it from there
#   KerasSaveable         an attribute of this class is saved in a place of its own, which the stock class passes over
#   CompileLoss           the loss trackers in `model.metrics`
#   CompileMetrics        makes metric objects of the arguments of `compile`, and is part of `model.metrics`
#   no_automatic_dependency_tracking
#                         `compile` sets attributes that are no part of the model, as that of Keras does
#   get_object_name       the log name of a metric that is not a string
#   get_loss              makes a loss object of an argument of `compile`, "crossentropy" included

ATTRIBUTES: dict[str, tuple[Any, str]] = {
    "_outputs_struct": (keras.Model, "outputs by name; `output` is a property of the same"),
    "_inputs_struct": (keras.Model, "inputs as they were given"),
    "_flatten_layers": (keras.Model, "layers within layers, of which some are frozen or replaced by fused kernels"),
    "_compile_loss": (keras.Model, "loss trackers in `model.metrics`"),
    "_compile_metrics": (keras.Model, "metric objects in `model.metrics`"),
    "_loss_tracker": (keras.Model, "the `loss` of the logs in `model.metrics`"),
    "_get_metrics_result_or_logs": (keras.Model, "logs of an epoch: from the sums, without one read a metric"),
    "_flatten_metrics_in_order": (keras.Model, "`evaluate` lists without our additional log entries"),
    "_called": (keras.Layer, "exporters ask whether a model was called, which its parts were"),
    "_maybe_symbolic_build": (keras.Model, "fails if there are several workers"),
    "_compute_loss": (keras.Model, "calls `compute_loss` of subclasses with and without `training`"),
    "_aggregate_additional_loss": (keras.Model, "sums regularizers and `add_loss`"),
    "_keras_history": (keras.KerasTensor, "which operation computed a symbolic tensor"),
    "_inbound_nodes": (keras.Operation, "from which tensors it did"),
    "_trainable": (keras.Layer, "BatchNorm of a frozen layer, without telling its variables"),
    "_trainable_variables": (keras.optimizers.Optimizer, "which slot belongs to which variable"),
    "_get_variable_index": (keras.optimizers.Optimizer, "the same, for the fused update of Adam"),
    "_momentums": (keras.optimizers.Adam, "slots of the fused update"),
    "_velocities": (keras.optimizers.Adam, "slots of the fused update"),
    "_all_reduce_sum_gradients": (keras.optimizers.Optimizer, "gradients are summed over replicas before"),
    "_fn": (keras.metrics.MeanMetricWrapper, "the function that a metric is a mean of"),
    "_fn_kwargs": (keras.metrics.MeanMetricWrapper, "its arguments"),
    "_direction": (keras.metrics.Metric, "whether higher is better"),
}


def symbolic_producer(tensor: Any) -> tuple[keras.Operation, int, int]:
    """Returns the operation that computes a symbolic tensor, which of its calls does, and which output it is."""
    history = tensor._keras_history
    return history.operation, history.node_index, history.tensor_index


def call_inputs(operation: keras.Operation, node: int) -> list[Any]:
    """Returns the symbolic tensors that a call of an operation reads."""
    return list(operation._inbound_nodes[node].input_tensors)
