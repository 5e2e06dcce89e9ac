"""From the bytes of an image file to what a model was trained on, without the files of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from data.images import to_unit_range
from data.own.recipe import own_recipe
from data.recipe import recipes
from data.tracing import traced_as_written
from mtl_keras.tasks import Task, TaskSet


def decoder(name: str, image_shape: Sequence[int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the `decode` of a dataset: from a scalar string of JPEG or PNG bytes to a float32 image in [0, 1].

    Args:
        name: of the dataset. One that is not built in crops nothing: its images are resized.
        image_shape: (height, width, channels) of the images that the model sees.
    """
    if name in recipes.names:
        recipe = recipes[name]()
    else:
        shape = tuple(image_shape)
        recipe = own_recipe("own", TaskSet([Task.reconstruction("image", shape)]), shape)
    return traced_as_written(lambda encoded: to_unit_range(recipe.decode(encoded)))
