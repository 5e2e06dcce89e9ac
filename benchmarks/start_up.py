"""Time until training begins: `python benchmarks/start_up.py [--data_dir TFDS_DIRECTORY]`.

Times new processes, from before they are started until they print a line. They take turns; each is started once before
that, so that its files have been read.

`train.py` is timed up to the end of its first training step on Fashion-MNIST (without `--data_dir`, on synthetic data
of a tenth of the size), and compared with two programs without `mtl_keras`. Both import TensorFlow, Keras and TFDS,
open the training data, build the same network in Keras and take one step of a plain `tf.function` (losses, gradients,
Adam); they have no validation data, metrics, missing labels or records. They differ in the data:

- *in memory*: all of the split is decoded, cached and shuffled, as in TFDS' own example for Keras and in `train.py`;
- *streamed*: images are decoded when needed, and shuffled among 1,000: only the images of the first batch are read.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness

ROOT = Path(__file__).resolve().parent.parent
BATCH = 128
GROUP_OF_ITEM = (2, 2, 2, 1, 2, 0, 1, 0, 1, 0)
TRAIN = "train.py"


def finish(**values: Any) -> NoReturn:
    """Prints the time and further values as JSON, and ends the process: what comes after is not timed."""
    print(json.dumps({"at": time.time(), **values}), flush=True)
    os._exit(0)


def synthesize() -> None:
    """Writes synthetic Fashion-MNIST, if there is none yet; `folder` is its TFDS directory."""
    from data.synthetic import materialise

    finish(folder=str(materialise("fashion_mnist")))


def import_packages(ours: bool) -> None:
    """Imports TensorFlow and Keras, and then `mtl_keras` if `ours`; `added` is the time of the latter."""
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401

    if ours:
        finish(added=harness.clock(lambda: importlib.import_module("mtl_keras"))())
    finish()


def train(*arguments: str) -> None:
    """Runs `train.py` until its first training step is done."""
    from experiments.commands import command_line
    from train import FLAGS, main

    def until_first_step(values: Any) -> None:
        import keras

        class FirstStep(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                float(logs["loss"])  # waits for it
                finish()

        fit = keras.Model.fit
        keras.Model.fit = lambda model, *args, callbacks, **kwargs: fit(
            model, *args, callbacks=[*callbacks, FirstStep()], **kwargs
        )
        main(values)

    command_line(until_first_step, FLAGS, ["train.py", *arguments])


def plain(folder: str, in_memory: bool) -> None:
    """Takes a training step without `mtl_keras`, on a TFDS directory."""
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = tfds.builder("fashion_mnist", data_dir=folder)
    split = "train[:90%]"
    pairs = builder.as_dataset(split=split, as_supervised=True)
    pairs = pairs.cache().shuffle(builder.info.splits[split].num_examples) if in_memory else pairs.shuffle(1000)

    def finish_batch(images: Any, items: Any) -> tuple[Any, dict[str, Any]]:
        return tf.cast(images, tf.float32) / 255.0, {"item": items, "group": tf.gather(GROUP_OF_ITEM, items)}

    batches = pairs.batch(BATCH).map(finish_batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    model = plain_network()
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
    float(step(*next(iter(batches))))
    finish()


def plain_network() -> Any:
    """Returns the default network of `train.py` for Fashion-MNIST, in Keras alone."""
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
    item = layers.Dense(10, activation="softmax", name="item")(layers.Dropout(0.3)(x))
    group = layers.Dense(3, activation="softmax", name="group")(layers.Dropout(0.3)(x))
    return keras.Model(images, {"item": item, "group": group})


def start(call: str) -> dict[str, Any]:
    """Calls a function of this module in a new process, in a folder of its own.

    Returns what it printed, and the `seconds` until then. If it printed nothing, raises a `RuntimeError`.
    """
    command = [sys.executable, "-c", f"from benchmarks import start_up; start_up.{call}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.time()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    try:
        printed = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as cause:
        raise RuntimeError(f"{call} failed with exit code {done.returncode}: {done.stderr[-2000:]}") from cause
    return {**printed, "seconds": printed["at"] - begin}


def measure(rounds: int = 3, data_dir: Path | None = None) -> list[harness.Figure]:
    folder = str(data_dir.resolve()) if data_dir else start("synthesize()")["folder"]
    flags = ["--dataset", "fashion_mnist", "--data_dir", folder]
    calls = {
        "imports": "import_packages(ours=False)",
        "imports_ours": "import_packages(ours=True)",
        "streamed": f"plain({folder!r}, in_memory=False)",
        "in_memory": f"plain({folder!r}, in_memory=True)",
        TRAIN: f"train(*{flags})",
        f"{TRAIN} --schedule dst": f"train(*{[*flags, '--schedule', 'dst']})",
    }
    added: list[float] = []  # by `import mtl_keras`

    def seconds_of(call: str) -> float:
        printed = start(call)
        added.extend([printed["added"]] if "added" in printed else [])
        return printed["seconds"]

    seconds = harness.interleave({name: partial(seconds_of, call) for name, call in calls.items()}, rounds)
    print(harness.times_table(seconds, "s"))
    ours = "`import mtl_keras`, after `import tensorflow, keras`"
    processes = [one - two for one, two in zip(seconds["imports_ours"], seconds["imports"])]
    first = f"`{TRAIN}` to its first step / imports, data and tracing alone"
    return [
        harness.figure(f"{ours} (s)", added[-rounds:], "<= 0.3"),
        harness.figure(f"{ours}, as the difference of two processes (s)", processes),
        harness.ratio(f"{first}, data in memory", seconds[TRAIN], seconds["in_memory"], "<= 1.3"),
        harness.ratio(f"{first}, data streamed", seconds[TRAIN], seconds["streamed"], "<= 1.3"),
    ]


if __name__ == "__main__":
    harness.run(measure)
