"""The programs that `start_up.py` starts: `python benchmarks/start_up_programs.py NAME [ARGUMENT ...]`.

Each prints one line of JSON: the time `at` which it was there, in seconds since 1970, and ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
BATCH = 128
GROUP_OF_ITEM = (2, 2, 2, 1, 2, 0, 1, 0, 1, 0)


def there(**more: Any) -> NoReturn:
    """Says that the program is there, and ends it: what comes after is not to be timed."""
    print(json.dumps({"at": time.time(), **more}), flush=True)
    os._exit(0)


def draw() -> None:
    """Draws the look-alike of Fashion-MNIST, if there is none yet; `folder` is its TFDS directory."""
    from data.synthetic import materialise

    there(folder=str(materialise("fashion_mnist")))


def imports() -> None:
    """Imports TensorFlow and Keras."""
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401

    there()


def imports_ours() -> None:
    """Imports TensorFlow and Keras, then `mtl_keras`; `added` is the time of the latter."""
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401

    start = time.perf_counter()
    import mtl_keras  # noqa: F401

    there(added=time.perf_counter() - start)


def train(*arguments: str) -> None:
    """Runs `train.py` until its first training step is done."""
    from experiments.commands import command_line
    from train import FLAGS, main

    def watched(values: Any) -> None:
        import keras

        class FirstStep(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                float(logs["loss"])  # waits for it
                there()

        fit = keras.Model.fit
        keras.Model.fit = lambda model, *args, callbacks, **kwargs: fit(
            model, *args, callbacks=[*callbacks, FirstStep()], **kwargs
        )
        main(values)

    command_line(watched, FLAGS, ["train.py", *arguments])


def in_memory(folder: str) -> None:
    """Takes a training step without `mtl_keras`, on data that are decoded, kept and shuffled among all of the split."""
    _plain(folder, lambda pairs, size: pairs.cache().shuffle(size).batch(BATCH))


def streamed(folder: str) -> None:
    """As `in_memory`; images are decoded when a batch needs them, and shuffled among 1,000."""
    _plain(folder, lambda pairs, size: pairs.shuffle(1000).batch(BATCH))


def _plain(folder: str, batched: Callable[[Any, int], Any]) -> None:
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = tfds.builder("fashion_mnist", data_dir=folder)
    split = "train[:90%]"
    pairs = builder.as_dataset(split=split, as_supervised=True)

    def finish(images: Any, items: Any) -> tuple[Any, dict[str, Any]]:
        return tf.cast(images, tf.float32) / 255.0, {"item": items, "group": tf.gather(GROUP_OF_ITEM, items)}

    batches = batched(pairs, builder.info.splits[split].num_examples).map(finish, tf.data.AUTOTUNE)
    batches = batches.prefetch(tf.data.AUTOTUNE)
    model = network()
    optimizer = keras.optimizers.Adam()
    loss = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            total = tf.add_n([loss(labels[name], outputs[name]) for name in outputs])
        optimizer.apply(tape.gradient(total, model.trainable_variables), model.trainable_variables)
        return total

    optimizer.build(model.trainable_variables)
    iterator = iter(batches)
    float(step(*next(iterator)))
    there()


def network() -> Any:
    """The network that `train.py` trains by default on Fashion-MNIST, in Keras alone."""
    import keras
    from keras import layers

    def normalised(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    images = x = keras.Input((28, 28, 1))
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = normalised(layers.MaxPooling2D(padding="same")(x))
    x = normalised(layers.Conv2D(128, 3, padding="same", use_bias=False)(x))
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = normalised(layers.Dense(128, use_bias=False)(x))
    heads = {"item": 10, "group": 3}
    outputs = {
        name: layers.Dense(size, activation="softmax", name=name)(layers.Dropout(0.3)(x))
        for name, size in heads.items()
    }
    return keras.Model(images, outputs)


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program for program in (draw, imports, imports_ours, train, in_memory, streamed)
}

if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
