"""A shared network of which each task uses a fixed random part of the channels."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from models import heads, stages, trunks
from models.networks import NETWORKS, Graph, Network
from mtl_keras.checks import check_integer
from mtl_keras.keras_private import symbolic_producer
from mtl_keras.layers import TaskRouting
from mtl_keras.tasks import TaskSet


@NETWORKS.register
def task_routing(
    trunk: str | trunks.Trunk | None = None, after: str | Sequence[str] | None = None, rate: float = 0.5, seed: int = 0
) -> Network:
    """Builds a trunk that each task passes by itself, with a part of the channels switched off behind each activation.

    All tasks share the trunk's weights, but each has its own pass through it: a step of three tasks costs three passes.
    The paper trains one task in each step; `--schedule sampling` does that, in which case dropped tasks cost nothing.

    Args:
        trunk: an identifier for `models.trunks.get`; by default `"cnn"` for images and `"mlp"` for vectors.
        after: names of the layers whose channels are switched off; by default all activations that each path through
            the trunk passes. For ReLU this equals the paper's masks, which stand before it.
        rate: share of the channels that are off for each task.
        seed: seed of the masks. They depend on it, on the layer and on the task's name.

    References:
        G. Strezoski, N. van Noord, M. Worring, "Many Task Learning With Task Routing", ICCV 2019,
        https://arxiv.org/abs/1903.12117
    """
    stages.check_arguments(trunk, after)
    TaskRouting(rate, check_integer("seed", seed, 0))  # checks the arguments

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        model = stages.CopiedTrunk.get(trunk, image_shape, weights).model
        every = [symbolic_producer(tensor)[0].name for tensor in stages.activations(model)]
        ends = every if after is None else stages.layer_names(after)
        features: dict[str, Any] = dict.fromkeys(tasks, model.input)
        for level, (end, stage) in enumerate(stages.cut(model, ends).items(), start=1):
            stage.name = f"trunk_stage{level}"
            # The first stage is the same for all tasks.
            computed = {id(x): stage(x) for x in features.values()}
            features = {task: computed[id(x)] for task, x in features.items()}
            if end in ends:
                for task, x in features.items():
                    own_seed = stages.derived_seed(seed, level, zlib.crc32(task.encode()))
                    features[task] = TaskRouting(rate, own_seed, name=f"{task}_routing{level}")(x)
        return model.input, {task.name: heads.head(task, features[task.name]) for task in tasks.values()}

    return build
