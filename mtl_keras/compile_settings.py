"""What `MultiTaskModel.compile` was told, checked and sorted by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from mtl_keras import arguments, weightings
from mtl_keras.fusion import TaskSpec


@dataclass(frozen=True)
class CompileSettings:
    """The arguments of `compile` that Keras does not know, or that mean more here than there.

    Args:
        losses: loss by task.
        metrics: `(name in the logs, metric, whether it is weighted)` of each metric, by task.
        task_weights: weight to begin with, by task; its keys are the tasks, in the model's order.
        class_weight: class index -> weight, by task.
        max_specializations: how many training functions may be compiled.
        weighting: how much each task counts in a step.
    """

    losses: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, list[tuple[str, Any, bool]]] = field(default_factory=dict)
    task_weights: Mapping[str, float] = field(default_factory=dict)
    class_weight: Mapping[str, dict[int, float]] = field(default_factory=dict)
    max_specializations: int = 8
    weighting: weightings.Weighting = field(default_factory=weightings.Static)

    @classmethod
    def checked(
        cls,
        outputs: Mapping[str, Any],
        *,
        loss: Any,
        loss_weights: Mapping[str, float] | None,
        metrics: Any,
        weighted_metrics: Any,
        class_weight: Mapping[str, Mapping[Any, float]] | None,
        max_specializations: int,
        weighting: str | Mapping[str, Any] | weightings.Weighting,
    ) -> CompileSettings:
        """Returns the settings that arguments of `compile` ask for.

        Args:
            outputs: task -> symbolic output.
            loss: this and the others: see `MultiTaskModel.compile`.
            loss_weights: initial task weights.
            metrics: by task, or for all tasks.
            weighted_metrics: the same, for metrics with sample weights.
            class_weight: by task and class.
            max_specializations: of the training step.
            weighting: a weighting or what `weightings.get` makes one of.

        Raises:
            ValueError: for unknown tasks, negative weights or other arguments out of range.
        """
        losses = {name: value for name, value in arguments.by_task("loss", loss, list(outputs)).items() if value}
        names = tuple(name for name in outputs if name in losses) or tuple(outputs)
        weights = dict.fromkeys(names, 1.0) | arguments.checked_weights("loss_weights", loss_weights or {}, names)
        if not any(weights.values()):
            raise ValueError(f"At least one task must have a weight > 0. Received: loss_weights={loss_weights!r}")
        if max_specializations < 1:
            raise ValueError(f"`max_specializations` must be >= 1. Received: {max_specializations!r}")
        plain = arguments.metrics_by_task("metrics", metrics, names)
        weighted = arguments.metrics_by_task("weighted_metrics", weighted_metrics, names)
        classes = {name: max(2, int(outputs[name].shape[-1] or 2)) for name in names}
        return cls(
            losses,
            {name: arguments.named_metrics(plain.get(name, ()), weighted.get(name, ())) for name in names},
            weights,
            arguments.checked_class_weights(class_weight, classes),
            int(max_specializations),
            weightings.get(weighting),
        )

    def config(self) -> dict[str, Any]:
        """Returns the arguments that `keras.Model.compile` does not have, as values that JSON can hold."""
        tables = {task: {str(k): v for k, v in table.items()} for task, table in self.class_weight.items()}
        return {
            "class_weight": tables or None,
            "max_specializations": self.max_specializations,
            "weighting": weightings.serialize(self.weighting),
        }

    def task_specs(self, labels: Mapping[str, Any], outputs: Mapping[str, Any]) -> list[TaskSpec]:
        """Describes each task, now that a batch of labels has been seen.

        Args:
            labels: task -> labels `(batch, ...)` or their `tf.TensorSpec`.
            outputs: task -> symbolic output `(batch, ...)`.

        Raises:
            ValueError: if there is no loss at all, a loss or metric is unknown, or labels do not have the shape that
                the loss needs.
        """
        if not self.losses:
            raise ValueError("No loss to compute. Pass `loss` to `compile`. Tasks: " + ", ".join(self.task_weights))
        return [self._task_spec(name, labels[name], outputs[name]) for name in self.task_weights]

    def _task_spec(self, name: str, label: Any, output: Any) -> TaskSpec:
        label_shape, output_shape = tuple(label.shape[1:]), tuple(output.shape[1:]) or (1,)
        metrics = tuple(
            (metric_name, arguments.resolve_metric(metric_name, metric, label_shape, output_shape), weighted)
            for metric_name, metric, weighted in self.metrics[name]
        )
        loss = arguments.resolve_loss(name, self.losses[name], label_shape, output_shape)
        dtype = keras.backend.standardize_dtype(label.dtype)
        return TaskSpec(name, loss, metrics, label_shape, dtype, output_shape, self.class_weight.get(name))
