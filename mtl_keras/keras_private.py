"""Every private name of Keras that this project uses, with the reason.

`tests/mtl_keras/test_keras_private.py` checks that the list is complete and that Keras still has all of them.
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
#   compute_output_spec   creates the variables of metrics before a step is traced
#   get_keras_mask,
#   set_keras_mask        the mask of a tensor, which Keras' losses and metrics read
#   KerasSaveable         saves an attribute of the model in a separate folder, which `keras.Model` ignores
#   CompileLoss           the loss trackers in `model.metrics`
#   CompileMetrics        makes metric objects from the arguments of `compile`, and is part of `model.metrics`
#   no_automatic_dependency_tracking
#                         `compile` sets attributes that are not saved with the model
#   get_object_name       the log name of a metric that is not a string
#   get_loss              makes a loss object from an argument of `compile`, "crossentropy" included

ATTRIBUTES: dict[str, tuple[Any, str]] = {
    "_outputs_struct": (keras.Model, "outputs by name, as given; the property `output` is computed from it"),
    "_inputs_struct": (keras.Model, "inputs, as given"),
    "_flatten_layers": (keras.Model, "all layers, nested ones included: for freezing and for fused kernels"),
    "_compile_loss": (keras.Model, "loss trackers in `model.metrics`"),
    "_compile_metrics": (keras.Model, "metric objects in `model.metrics`"),
    "_loss_tracker": (keras.Model, "the `loss` of the logs in `model.metrics`"),
    "_get_metrics_result_or_logs": (keras.Model, "logs of an epoch, from the sums on the device"),
    "_flatten_metrics_in_order": (keras.Model, "the list that `evaluate` returns, without the additional logs"),
    "_called": (keras.Layer, "exporters check that a model was called; only its sub-models were"),
    "_maybe_symbolic_build": (keras.Model, "fails with several workers"),
    "_compute_loss": (keras.Model, "calls `compute_loss` with or without `training`, as a subclass defines it"),
    "_aggregate_additional_loss": (keras.Model, "sums regularizers and `add_loss`"),
    "_keras_history": (keras.KerasTensor, "which operation computed a symbolic tensor"),
    "_inbound_nodes": (keras.Operation, "the inputs of that operation"),
    "_trainable": (keras.Layer, "freezes BatchNorm without changing `trainable` of its variables"),
    "_trainable_variables": (keras.optimizers.Optimizer, "the variable that a slot belongs to"),
    "_get_variable_index": (keras.optimizers.Optimizer, "the same, for the fused update of Adam"),
    "_backend_update_step": (keras.optimizers.Optimizer, "wrapped: one update of all variables"),
    "_momentums": (keras.optimizers.Adam, "slots of the fused update"),
    "_velocities": (keras.optimizers.Adam, "slots of the fused update"),
    "_all_reduce_sum_gradients": (
        keras.optimizers.Optimizer,
        "replaced: gradients are summed before",
    ),
    "_flat_losses": (CompileLoss, "path of the loss that a tracker belongs to"),
    "_flat_metrics": (CompileMetrics, "metric objects of one output"),
    "_flat_weighted_metrics": (CompileMetrics, "weighted metric objects of one output"),
    "_obj_type": (KerasSaveable, "abstract; must be defined by subclasses"),
    "_keras_logits": (
        object,
        "on results of softmax and sigmoid: the logits, for the crossentropies",
    ),
    "_built": (keras.metrics.AUC, "metrics that make their variables when they are first updated"),
    "_fn": (keras.metrics.MeanMetricWrapper, "the function whose mean a metric is"),
    "_fn_kwargs": (keras.metrics.MeanMetricWrapper, "its arguments"),
    "_direction": (keras.metrics.Metric, "whether higher is better"),
}


def symbolic_producer(tensor: Any) -> tuple[keras.Operation, int, int]:
    """Returns the operation that computes a symbolic tensor, the index of its call and the index of the output."""
    history = tensor._keras_history
    return history.operation, history.node_index, history.tensor_index


def call_inputs(operation: keras.Operation, node: int) -> list[Any]:
    """Returns the symbolic tensors that a call of an operation reads."""
    return list(operation._inbound_nodes[node].input_tensors)
