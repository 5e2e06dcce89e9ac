"""Networks with a copy of the trunk for each task, which exchange features: cross-stitch, sluice, NDDR."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from models import heads, stages, trunks
from models.networks import NETWORKS, Graph, Network
from mtl_keras.checks import check_number
from mtl_keras.layers import NDDR, CrossStitch, LayerMixture, Sluice, SubspaceOrthogonality
from mtl_keras.tasks import TaskSet

COPIES_PER_TASK = ("cross_stitch", "nddr", "sluice")
"""The networks that can start from single-task networks."""

Unit = Callable[[int, str], layers.Layer]  # (index of the task, name of the layer) -> unit


@NETWORKS.register
def cross_stitch(
    trunk: str | trunks.Trunk | None = None,
    after: str | Sequence[str] | None = None,
    own: float = 0.9,
    others: float | None = None,
    per_channel: bool = True,
    speed: float = 100.0,
) -> Network:
    """Builds a copy of the trunk for each task, with cross-stitch units behind its stages.

    The paper starts from the weights of single-task networks.

    Args:
        trunk: what is copied: an identifier for `models.trunks.get`. By default see `models.trunks.default_trunk`.
        after: names of the layers of the trunk behind which units stand; by default the ends of its stages (see
            `models.stages.stage_ends`). In an encoder-decoder, what skip connections give to the decoder of a task is
            what the units behind the encoder's stages gave to this task.
        own: see `mtl_keras.layers.CrossStitch`.
        others: see there.
        per_channel: see there.
        speed: see there.

    Example:

    ```python
    tasks = TaskSet([Task.classification("item", 10), Task.classification("group", 3)])
    model = MultiTaskModel(*cross_stitch("cnn")(tasks, (28, 28, 1)))
    ```

    References:
        I. Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016, https://arxiv.org/abs/1604.03539
    """
    CrossStitch(0, own, others, per_channel, speed)  # checks the arguments

    def unit(position: int, name: str) -> layers.Layer:
        return CrossStitch(position, own, others, per_channel, speed, name=name)

    return _Parallel(trunk, after, unit)


@NETWORKS.register
def nddr(
    trunk: str | trunks.Trunk | None = None,
    after: str | Sequence[str] | None = None,
    own: float = 0.9,
    others: float | None = None,
    use_bias: bool = False,
    normalise: bool = True,
) -> Network:
    """Builds a copy of the trunk for each task, with a 1x1 convolution of all tasks' features behind its stages.

    The paper starts from the weights of single-task networks.

    Args:
        trunk: see `cross_stitch`.
        after: see `cross_stitch`.
        own: see `mtl_keras.layers.NDDR`.
        others: see there.
        use_bias: see there.
        normalise: see there.

    References:
        Y. Gao et al., "NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural Discriminative Dimensionality
        Reduction", CVPR 2019, https://arxiv.org/abs/1801.08297
    """
    NDDR(0, own, others, use_bias, normalise)  # checks the arguments

    def unit(position: int, name: str) -> layers.Layer:
        return NDDR(position, own, others, use_bias, normalise, name=name)

    return _Parallel(trunk, after, unit)


@NETWORKS.register
def sluice(
    trunk: str | trunks.Trunk | None = None,
    after: str | Sequence[str] | None = None,
    subspaces: int = 2,
    own: float = 0.9,
    others: float | None = None,
    orthogonality: float = 0.0,
    mix_layers: bool = False,
) -> Network:
    """Builds a copy of the trunk for each task, with sluice units behind its stages.

    Args:
        trunk: see `cross_stitch`.
        after: see `cross_stitch`.
        subspaces: see `mtl_keras.layers.Sluice`.
        own: see there.
        others: see there.
        orthogonality: factor of the penalty on kernels whose subspaces are alike, for the last kernel of each stage:
            see `mtl_keras.layers.SubspaceOrthogonality`.
        mix_layers: whether a task's features are a linear combination of the outputs of all its stages, which must
            then have the same shape, as in `"mlp"`.

    References:
        S. Ruder et al., "Latent Multi-task Architecture Learning", AAAI 2019, https://arxiv.org/abs/1705.08142
    """
    Sluice(0, own, others, subspaces)  # checks the arguments
    check_number("orthogonality", orthogonality, 0)

    def unit(position: int, name: str) -> layers.Layer:
        return Sluice(position, own, others, subspaces, name=name)

    penalty = SubspaceOrthogonality(subspaces, orthogonality) if orthogonality else None
    return _Parallel(trunk, after, unit, penalty, mix_layers)


@dataclass(frozen=True)
class _Parallel:
    """The network of the builders above."""

    trunk: str | trunks.Trunk | None
    after: str | Sequence[str] | None
    unit: Unit
    penalty: keras.regularizers.Regularizer | None = None
    mix_layers: bool = False

    def __post_init__(self) -> None:
        stages.check_arguments(self.trunk, self.after)

    def __call__(self, tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        trunk = stages.CopiedTrunk.get(self.trunk, tasks, image_shape, weights)
        ends = stages.stage_ends(trunk.model, self.after, skips=True)
        # What each task has in the place of a tensor of the trunk.
        known = {id(trunk.model.input): [trunk.model.input] * len(tasks)}
        features: list[Any] = []
        found: list[list[Any]] = []
        for level, stage in enumerate(stages.cut_with_skips(trunk.model, ends), start=1):
            copies = [trunk.copy(stage.model, f"stage{level}_{task}", number) for number, task in enumerate(tasks)]
            for number, copy in enumerate(copies):
                read = [known[id(tensor)][number] for tensor in stage.reads]
                given = copy(read[0] if len(read) == 1 else read)
                for tensor, own in zip(stage.gives, given if len(stage.gives) > 1 else [given]):
                    known.setdefault(id(tensor), []).append(own)
            features = known[id(stage.gives[0])]
            if stage.name in ends and len(tasks) > 1:
                features = [self.unit(i, f"stitch{level}_{task}")(features) for i, task in enumerate(tasks)]
                known[id(stage.gives[0])] = features
            if stage.name in ends:
                found.append(features)
            for copy in copies if self.penalty and stage.name in ends else ():
                _penalise_last_kernel(copy, self.penalty)
        outputs = {}
        for number, task in enumerate(tasks.values()):
            x = features[number]
            if self.mix_layers:
                x = LayerMixture(name=f"{task.name}_layers")([each[number] for each in found])
            outputs[task.name] = heads.head(task, x)
        return trunk.model.input, outputs


def _penalise_last_kernel(stage: keras.Model, penalty: keras.regularizers.Regularizer) -> None:
    """Adds a penalty on the kernel of the last layer of a stage that has one."""
    layer = next(layer for layer in reversed(stage.layers) if hasattr(layer, "kernel"))
    # The variable, which is already made, gives the loss; the layer's attribute is saved with the model.
    layer.kernel_regularizer = layer.kernel.regularizer = penalty


def start_from_single_task(model: keras.Model, sources: Mapping[str, keras.Model]) -> None:
    """Copies the weights of single-task networks into a network of `cross_stitch`, `nddr` or `sluice`, in place.

    Args:
        model: the network; its layers for a task are that task's copies of the trunk's stages, and its head.
        sources: task -> a network for this task alone: the same builder with one task, or its trunk with hard sharing.

    Raises:
        ValueError: if the network has no copy of the trunk for a task, or a layer has no counterpart of the same shape.
    """
    for task, source in sources.items():
        known = {layer.name: layer for layer in _leaves(source)}
        copies = {
            layer.name: found[1]
            for layer in _leaves(model)
            if (found := re.fullmatch(rf"stage\d+_{re.escape(task)}_(.+)", layer.name))
        }
        if not copies:
            raise ValueError(
                "Only networks of cross_stitch, nddr and sluice can start from single-task networks: this one has no "
                f"copy of the trunk for task {task!r}."
            )
        for layer in _leaves(model):
            name = layer.name
            if not layer.weights or not (name in copies or name == task or name.startswith(f"{task}_")):
                continue
            # In a network with hard sharing, the trunk's layers have their own names.
            names = [name, f"trunk_{copies[name]}", copies[name]] if name in copies else [name]
            counterpart = next((known[each] for each in names if each in known), None)
            shapes = [tuple(weight.shape) for weight in layer.weights]
            if counterpart is None or [tuple(weight.shape) for weight in counterpart.weights] != shapes:
                raise ValueError(
                    f"The single-task network of {task!r} has no layer like {name!r} with weights {shapes}. "
                    f"It must have the same trunk. Received: a network with the layers {', '.join(known)}"
                )
            layer.set_weights(counterpart.get_weights())


def _leaves(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of a model and of the models nested in it, without these."""
    parts = [_leaves(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [layer for part in parts for layer in part]
