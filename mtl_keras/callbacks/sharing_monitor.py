"""`SharingMonitor`: measures at the end of each epoch what tasks share in a network with soft sharing."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.callbacks.sharing_layers import Probe, SharingLayers
from mtl_keras.callbacks.sharing_summary import UNUSED, SharingSummary, Table
from mtl_keras.callbacks.tensorboard_run import HeatMap, TensorBoardRun
from mtl_keras.checks import check_integer

_BATCH = 128


class SharingMonitor(keras.callbacks.Callback):
    """Measures at the end of each epoch what the tasks of a network with soft sharing use.

    It looks into these layers of `mtl_keras.layers`, which it finds in the graph of a Functional model:

    | layers | figures |
    |---|---|
    | `SoftmaxGate`, `DSelectKGate` | mean weight of each expert, entropy, share of the examples by top expert |
    | `CrossStitch`, `Sluice`, `NDDR` | the mixing matrix |
    | `TaskAttention` | mean of the mask |
    | `BranchChoice` | probability of each node, and the tree of the chosen ones |

    Gates and attention modules are measured on a sample of inputs, in inference mode. Without a sample, only the other
    layers are. Training does not change. A warning names each expert whose mean weight is below 1% in every gate.

    If there are gates, it adds to the logs of each epoch; put it before the callbacks that read logs:

    - `gate_entropy`: the entropy of a gate's weights, divided by that of equal weights; mean over the examples and the
      gates. From 0 (each example uses one expert) to 1 (all experts equally);
    - `unused_experts`: the number of experts whose mean weight is below 1% in every gate.

    With `log_dir` it writes the run `sharing` for TensorBoard:

    | tag | content |
    |---|---|
    | `sharing/gate_entropy`, `sharing/unused_experts` | the two above |
    | `gate_entropy_level<n>/<task>` | the same entropy of one gate |
    | `attention_level<n>/<task>` | mean of the mask |
    | `branch_level<n>/<task or node>` | probability of the chosen node |
    | `gates/level<n>` | heat map of the mean weights, from 0 (white) to 1 (red); grey for an expert that a gate lacks |
    | `stitches/level<n>` | heat map of the mixing matrix, from -1 (blue) over 0 (white) to 1 (red) |
    | `attention/masks` | heat map of the mean masks, tasks x levels |
    | `branches/level<n>` | heat map of the probabilities |

    Args:
        data: the sample: inputs as for `predict` (an array `(examples, ...)`, or a list or dict of arrays for several
            inputs), or a `tf.data.Dataset` of batches, of which only the inputs are used. It should give the same
            examples each time. `None` for no sample.
        log_dir: the folder to write to, the same as that of `TensorBoard`; `None` to write nothing.
        examples: at most this many examples of `data` are used, the first ones.

    Attributes:
        summary: the figures of the last epoch; `None` before the end of the first. `summary.to_json()` are JSON values.

    Raises:
        ValueError: if `examples` is not an integer >= 1; in `fit`, if the model is not Functional with a dict of
            outputs, or `data` does not fit its inputs or has no examples.
        TypeError: if `log_dir` is not a path.

    Example:

    ```python
    monitor = SharingMonitor(validation_images, log_dir="runs/first/tensorboard")
    model.fit(dataset, epochs=10, callbacks=[monitor])
    print(monitor.summary.gate_tables("weights")[1])
    ```
    """

    def __init__(self, data: Any = None, log_dir: str | os.PathLike[str] | None = None, examples: int = 1024) -> None:
        super().__init__()
        self.data = data
        self.examples = check_integer("examples", examples, 1)
        self.summary: SharingSummary | None = None
        self._tensorboard = None if log_dir is None else TensorBoardRun(log_dir, "sharing")
        self._layers: Any = None
        self._probe: Probe | None = None
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        log_dir = self._tensorboard and str(self._tensorboard.log_dir)
        return f"SharingMonitor(log_dir={log_dir!r}, examples={self.examples})"

    def set_model(self, model: keras.Model) -> None:
        self._layers, self._probe = SharingLayers(model), None
        if self.data is not None and self._layers.needs_examples:
            probe = self._layers.probe()
            # TensorFlow warns of frequent retracing. It counts by the code of a function, which all models share; a
            # partial object has no code.
            compiled = tf.function(functools.partial(probe), reduce_retracing=True, autograph=False)
            self._probe = probe if model.run_eagerly else compiled
        super().set_model(model)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.summary = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        batches = self._batches() if self._probe else ()
        self.summary = summary = self._layers.summary(batches, self._probe)
        if self._probe and not summary.examples:
            raise ValueError("`data` must have examples. Received: none")
        if logs is not None and summary.gates:
            logs["gate_entropy"] = summary.gate_entropy
            logs["unused_experts"] = float(len(summary.unused_experts))
        self._warn(summary)
        if self._tensorboard is not None and summary:
            self._tensorboard.write(epoch, _scalars(summary), _images(summary))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()

    def _warn(self, summary: SharingSummary) -> None:
        for expert in summary.unused_experts:
            if expert not in self._warned:
                self._warned.add(expert)
                warnings.warn(
                    f"Expert {expert!r} is hardly used: its mean weight is below {UNUSED:.0%} in every gate.",
                    stacklevel=2,
                )

    def _batches(self) -> Iterator[tuple[int, Any]]:
        """Yields the number of examples and the inputs of each batch of the sample."""
        left = self.examples
        for batch in self._given():
            arrays = keras.tree.flatten(batch)
            count = min(left, len(arrays[0]))
            yield count, keras.tree.map_structure(lambda array: array[:count], batch)  # noqa: B023
            left -= count
            if not left:
                return

    def _given(self) -> Iterator[Any]:
        """Yields the inputs of batches."""
        if isinstance(self.data, tf.data.Dataset):
            for batch in self.data:
                yield self._checked(keras.utils.unpack_x_y_sample_weight(batch)[0])
            return
        arrays = self._checked(self.data)
        for start in range(0, len(keras.tree.flatten(arrays)[0]), _BATCH):
            yield keras.tree.map_structure(lambda array: array[start : start + _BATCH], arrays)  # noqa: B023

    def _checked(self, inputs: Any) -> Any:
        expected = len(keras.tree.flatten(self._layers.inputs))
        if len(keras.tree.flatten(inputs)) != expected:
            raise ValueError(
                f"`data` must have an array for each of the model's inputs, {expected}. "
                f"Received: {len(keras.tree.flatten(inputs))}"
            )
        return inputs


def _scalars(summary: SharingSummary) -> Iterator[tuple[str, float]]:
    if summary.gates:
        yield "sharing/gate_entropy", summary.gate_entropy
        yield "sharing/unused_experts", len(summary.unused_experts)
    for gate in summary.gates:
        yield f"gate_entropy_level{gate.level}/{gate.owner}", gate.entropy_share
    for module in summary.attention:
        yield f"attention_level{module.level}/{module.owner}", module.mask
    for branch in summary.branches:
        yield f"branch_level{branch.level}/{branch.owner}", branch.probability


def _images(summary: SharingSummary) -> Iterator[tuple[str, HeatMap]]:
    for level, table in summary.gate_tables("weights").items():
        yield f"gates/level{level}", _heat_map(table)
    for stitch in summary.stitches:
        yield f"stitches/level{stitch.level}", _heat_map(stitch.table())
    if summary.attention:
        yield "attention/masks", _heat_map(summary.attention_table())
    for level, table in summary.branch_tables().items():
        yield f"branches/level{level}", _heat_map(table)


def _heat_map(table: Table) -> HeatMap:
    legend = f"Rows: {', '.join(table.rows)}. Columns: {', '.join(table.columns)}."
    return HeatMap(np.asarray(table.values), f"{legend} Blue is -1, white 0, red 1, grey: there is none.")
