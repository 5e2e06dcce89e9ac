"""A shared network with an attention module for each task at each stage: MTAN."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from models import heads, stages, trunks
from models.networks import NETWORKS, Graph, Network
from mtl_keras.checks import check_positive, unknown_value
from mtl_keras.keras_private import symbolic_producer
from mtl_keras.layers import TaskAttention
from mtl_keras.tasks import TaskSet

_REFINEMENTS = ("convolution", "bottleneck")


@NETWORKS.register
def mtan(
    trunk: str | trunks.Trunk | None = None,
    after: str | Sequence[str] | None = None,
    hidden: float = 0.25,
    refine: str = "convolution",
) -> Network:
    """Builds a shared trunk, in which each task selects features by an attention module at each stage.

    A module's mask is computed from the first activation of a stage and from what the task selected in the stage
    before; it is applied to the stage's output. Between two stages, the selected features go through layers that all
    tasks share, and are pooled to the next stage's size, or upsampled in a decoder. What follows the last feature map,
    such as the fully connected layer of `"cnn"`, is copied for each task.

    Args:
        trunk: an identifier for `models.trunks.get`; by default see `models.trunks.default_trunk`.
        after: names of the layers that end the stages; by default see `models.stages.stage_ends`.
        hidden: hidden channels of a module, as a share of its stage's channels: 0.25 as in the authors' ResNet; 1 as in
            their SegNet.
        refine: the shared layers between stages: `"convolution"` (3x3, batch normalisation, ReLU, as in their SegNet)
            or `"bottleneck"` (a residual block of three convolutions, as in their ResNet).

    References:
        S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
        https://arxiv.org/abs/1803.10704
    """
    stages.check_arguments(trunk, after)
    check_positive("hidden", hidden)
    if refine not in _REFINEMENTS:
        raise unknown_value("refine", refine, _REFINEMENTS)

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        source = stages.CopiedTrunk.get(trunk, tasks, image_shape, weights)
        found = _stages(source.model, after)
        maps = [last for _, last in found]
        refinements = [
            _refinement(f"refine{level}", here, following, refine == "bottleneck")
            for level, (here, following) in enumerate(itertools.pairwise(maps), start=1)
        ]
        end = symbolic_producer(maps[-1])[0].name
        tops = list(stages.cut(source.model, [end]).values())[1:]
        outputs = {}
        for number, task in enumerate(tasks.values()):
            selected = None
            for level, (first, last) in enumerate(found, start=1):
                sources = [first] if selected is None else [first, refinements[level - 2](selected)]
                units = max(1, round(hidden * last.shape[-1]))
                selected = TaskAttention(units, name=f"{task.name}_attention{level}")([last, *sources])
            for top in tops:
                selected = source.copy(top, f"{task.name}_top", number)(selected)
            outputs[task.name] = heads.head(task, selected)
        return source.model.input, outputs

    return build


def _stages(trunk: keras.Model, after: str | Sequence[str] | None) -> list[tuple[Any, Any]]:
    """Returns the first activation and the output of each stage with feature maps, or with vectors if it has no maps.

    The first activation is one of the output's shape; if there is none, it is the output itself.
    """
    tensors = stages.activations(trunk, skips=True)
    ends = stages.stage_ends(trunk, after, skips=True)
    names = [symbolic_producer(tensor)[0].name for tensor in tensors]
    for end in ends:
        if end not in names:
            raise unknown_value("layer in after", end, names)
    found: list[tuple[Any, Any]] = []
    stage: list[Any] = []
    for tensor in tensors:
        stage.append(tensor)
        if symbolic_producer(tensor)[0].name in ends:
            alike = [each for each in stage if each.shape == tensor.shape]
            found.append((alike[-2] if len(alike) > 1 else tensor, tensor))
            stage = []
    rank = max(len(last.shape) for _, last in found)
    return [pair for pair in found if len(pair[1].shape) == rank]


def _refinement(name: str, here: Any, following: Any, bottleneck: bool) -> keras.Model:
    """Returns the layers between two stages, which all tasks share.

    Args:
        name: name of the model, with which the names of its layers begin.
        here: the output of a stage.
        following: the output of the next stage, whose shape the result has.
        bottleneck: whether it is a residual block.
    """
    inputs = keras.Input(here.shape[1:])
    channels, is_map = following.shape[-1], len(here.shape) > 2
    if is_map and bottleneck:
        x = _bottleneck(inputs, channels, name)
    else:
        kind = layers.Conv2D(channels, 3, padding="same") if is_map else layers.Dense(channels)
        kind.name = f"{name}_{'conv' if is_map else 'dense'}"
        x = layers.ReLU(name=f"{name}_relu")(_normalised(kind(inputs), name))
    if is_map and x.shape[1] < following.shape[1]:  # in a decoder
        x = layers.Resizing(*following.shape[1:3], name=f"{name}_resize")(x)
    elif is_map and x.shape[1:3] != following.shape[1:3]:
        pool = [max(1, -(-size // smaller)) for size, smaller in zip(x.shape[1:3], following.shape[1:3])]
        x = layers.MaxPooling2D(pool, padding="same", name=f"{name}_pool")(x)
        if x.shape[1:3] != following.shape[1:3]:  # the trunk's convolutions are not padded
            x = layers.Resizing(*following.shape[1:3], name=f"{name}_resize")(x)
    return keras.Model(inputs, x, name=name)


def _bottleneck(inputs: Any, channels: int, name: str) -> Any:
    x = inputs
    for number, (width, size) in enumerate(((channels // 4, 1), (channels // 4, 3), (channels, 1)), start=1):
        x = layers.Conv2D(width, size, padding="same", use_bias=False, name=f"{name}_conv{number}")(x)
        x = _normalised(x, f"{name}_conv{number}")
        if number < 3:
            x = layers.ReLU(name=f"{name}_relu{number}")(x)
    shortcut = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_shortcut")(inputs)
    shortcut = _normalised(shortcut, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _normalised(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
