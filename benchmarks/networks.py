"""The networks that benchmarks train, and the noise that they train on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import data
from experiments import presets
from experiments.building import make_optimizer
from models import network
from mtl_keras import MultiTaskModel, Task, TaskSet

BATCH = 128

Shape = tuple[int, ...]
Graph = tuple[Any, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Network:
    """A network to measure: `graph` returns inputs and named outputs for its tasks and the shape of its inputs."""

    title: str
    tasks: TaskSet
    shape: Shape
    graph: Callable[[TaskSet, Shape], Graph]
    optimizer: Callable[[], Any] = keras.optimizers.Adam

    def subset(self, names: Iterable[str]) -> Network:
        """Returns the network for some of the tasks."""
        return dataclasses.replace(self, tasks=self.tasks.subset(list(names)))

    def batches(self, size: int = BATCH) -> tf.data.Dataset:
        """Returns an endless dataset that repeats one batch of noise, with labels of 0 and 1."""
        rng = np.random.default_rng(0)
        images = rng.random((size, *self.shape), "float32")
        labels = {
            name: images if task.head == "reconstruction" else rng.integers(0, 2, size, dtype="int32")
            for name, task in self.tasks.items()
        }
        options = tf.data.Options()
        options.autotune.enabled = False  # with it, the end of an epoch may wait for the autotuner
        return tf.data.Dataset.from_tensors((images, labels)).cache().repeat().prefetch(2).with_options(options)

    def compiled(self, kind: type[keras.Model] = MultiTaskModel, **arguments: Any) -> Any:
        """Returns a new model; `arguments` of `compile` replace those of the tasks."""
        keras.utils.set_random_seed(0)
        model = kind(*self.graph(self.tasks, self.shape))
        model.compile(self.optimizer(), **{**self.tasks.compile_args(), **arguments})
        return model


def step(model: keras.Model, batches: tf.data.Dataset) -> Callable[[], object]:
    """Returns a function that runs a training step with the function that `fit` calls, and reads its logs."""
    model.make_train_function()
    iterator = iter(batches)
    return lambda: {name: float(value) for name, value in model.train_function(iterator).items()}


def handwritten_step(net: Network) -> Callable[[Any, Any], Any]:
    """Returns a `tf.function` of images and labels that trains with Adam, without metrics, and returns the loss."""
    model = keras.Model(*net.graph(net.tasks, net.shape))
    variables = model.trainable_variables
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)

    def loss(task: Task, labels: Any, outputs: Any) -> Any:
        if task.head == "reconstruction":
            return tf.square(outputs - labels)
        if task.shape == (1,):
            return keras.losses.binary_crossentropy(tf.cast(labels, "float32")[:, None], outputs)
        return keras.losses.sparse_categorical_crossentropy(labels, outputs)

    @tf.function(autograph=False)
    def train(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            losses = [tf.reduce_mean(loss(task, labels[name], outputs[name])) for name, task in net.tasks.items()]
            total = tf.add_n(losses)
        optimizer.apply(tape.gradient(total, [variable.value for variable in variables]), variables)
        return total

    return train


def _with_decoder(tasks: TaskSet, shape: Shape) -> Graph:
    """Returns a convolutional trunk with a head for each task; the decoder is most of the work."""
    inputs = features = keras.Input(shape)
    for filters in (32, 64, 128):
        features = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(features)
        features = layers.BatchNormalization()(features)
    latent = layers.Dense(128, activation="relu")(layers.Flatten()(features))
    outputs = {}
    for name, task in tasks.items():
        if task.head == "reconstruction":
            image = layers.Reshape((4, 4, 128))(layers.Dense(2048, activation="relu")(latent))
            for filters in (128, 64, 32):
                image = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(image)
                image = layers.BatchNormalization()(image)
            outputs[name] = layers.Conv2D(3, 3, padding="same", activation="sigmoid")(image)
        else:
            hidden = layers.Dense(256, activation="relu")(latent)
            activation = "sigmoid" if task.shape == (1,) else "softmax"
            outputs[name] = layers.Dense(task.shape[0], activation=activation)(hidden)
    return inputs, outputs


def preset(name: str) -> Network:
    """Returns the network of a preset, with its optimizer."""
    config = presets.get(name).config
    recipe = data.recipes[config.dataset](config.tasks)
    optimizer = partial(make_optimizer, config.optimizer, config.learning_rate)
    return Network(name, recipe.tasks, recipe.image_shape, partial(network, config.model), optimizer)


def binary_heads(count: int, trunk: Any = "cnn(filters=8)", side: int = 32) -> Network:
    """Returns a small trunk with binary tasks in one fused layer."""
    tasks = TaskSet(Task.binary(f"task_{number}") for number in range(count))
    return Network(f"{count} binary heads", tasks, (side, side, 3), partial(network, trunk))


_GARMENTS = data.recipes["fashion_mnist"]()
FASHION_MNIST = Network("Fashion-MNIST, two tasks", _GARMENTS.tasks, _GARMENTS.image_shape, partial(network, "cnn"))
CIFAR10 = preset("cifar10_3")  # class, animal and reconstruction
_IMAGE = (32, 32, 3)
_TASKS = [Task.classification("class", 10), Task.binary("animal"), Task.reconstruction("reconstruction", _IMAGE)]
DECODER = Network("CIFAR-10, three tasks with a decoder", TaskSet(_TASKS), _IMAGE, _with_decoder)
