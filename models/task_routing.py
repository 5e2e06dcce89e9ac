"""A shared network of which each task uses a fixed random part of the channels."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import keras

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
    The paper trains one task in each step; with a schedule such as `random_drop`, dropped tasks cost nothing.

    Batch normalisations behind the first mask are the exception: each task has its own. Masks change the statistics of
    features, so shared moving averages, a mixture of those of all tasks, would fit none of them in evaluation.

    Args:
        trunk: an identifier for `models.trunks.get`; by default see `models.trunks.default_trunk`.
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
        model = stages.CopiedTrunk.get(trunk, tasks, image_shape, weights).model
        every = [symbolic_producer(tensor)[0].name for tensor in stages.activations(model)]
        ends = every if after is None else stages.layer_names(after)
        stages.cut(model, ends)  # checks the names
        levels = {name: level for level, name in enumerate(ends, start=1)}
        shared = {id(model.input): model.input}  # tensors before the first mask, which are the same for all tasks
        computed: dict[tuple[int, ...], Any] = {}

        def route(task: str) -> Any:
            """Returns the features of a task: the trunk, called again with the task's masks."""

            def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
                inputs = [id(x) for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
                if all(x in shared for x in inputs):
                    key = (id(layer), *inputs)
                    if key not in computed:
                        computed[key] = layer(*args, **kwargs)
                    result = computed[key]
                    if layer.name not in levels:
                        shared[id(result)] = result
                elif isinstance(layer, keras.layers.BatchNormalization):
                    own = type(layer).from_config({**layer.get_config(), "name": f"{task}_{layer.name}"})
                    result = own(*args, **kwargs)
                    own.set_weights(layer.get_weights())
                else:
                    result = layer(*args, **kwargs)
                if layer.name in levels:
                    level = levels[layer.name]
                    own_seed = stages.derived_seed(seed, level, zlib.crc32(task.encode()))
                    result = TaskRouting(rate, own_seed, name=f"{task}_routing{level}")(result)
                return result

            return keras.models.clone_model(model, model.input, lambda layer: layer, call).output

        return model.input, {task.name: heads.head(task, route(task.name)) for task in tasks.values()}

    return build
