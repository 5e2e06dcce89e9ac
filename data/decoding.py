"""Decodes image files into model inputs, without the files of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from data.images import to_unit_range
from data.own.recipe import own_recipe
from data.recipe import recipes
from data.tracing import traced_as_written
from mtl_keras.tasks import Task, TaskSet


def decoder(name: str, image_shape: Sequence[int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the `decode` function of a dataset: from JPEG or PNG bytes (scalar string) to float32 images in [0, 1].

    Args:
        name: name of the dataset. Images of a dataset that is not built in are resized, not cropped.
        image_shape: (height, width, channels) of the model's inputs.
    """
    if name in recipes.names:
        recipe = recipes[name]()
    else:
        shape = tuple(image_shape)
        recipe = own_recipe("own", TaskSet([Task.reconstruction("image", shape)]), shape)
    return traced_as_written(lambda encoded: to_unit_range(recipe.decode(encoded)))
