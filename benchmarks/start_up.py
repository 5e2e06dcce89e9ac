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

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness

BATCH = 128
GROUP_OF_ITEM = (2, 2, 2, 1, 2, 0, 1, 0, 1, 0)
TRAIN = "train.py"


def finish(**more: Any) -> NoReturn:
    """Prints the time as JSON, and ends the process: what comes after is not timed."""
    print(json.dumps({"at": time.time(), **more}), flush=True)
    os._exit(0)


def synthesize() -> None:
    """Writes synthetic Fashion-MNIST, if there is none yet; `folder` is its TFDS directory."""
    from data.synthetic import materialise

    finish(folder=str(materialise("fashion_mnist")))


def imports() -> None:
    """Imports TensorFlow and Keras."""
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401

    finish()


def imports_ours() -> None:
    """Imports TensorFlow and Keras, then `mtl_keras`; `added` is the time of the latter."""
    import keras  # noqa: F401
    import tensorflow as tf  # noqa: F401

    def work() -> None:
        import mtl_keras  # noqa: F401

    finish(added=harness.clock(work)())


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
    """Takes a training step without `mtl_keras`.

    Args:
        folder: TFDS directory.
        in_memory: whether all images are decoded and shuffled.
    """
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
    heads = {"item": 10, "group": 3}
    outputs = {
        name: layers.Dense(size, activation="softmax", name=name)(layers.Dropout(0.3)(x))
        for name, size in heads.items()
    }
    return keras.Model(images, outputs)


PROGRAMS = {
    "synthesize": synthesize,
    "imports": imports,
    "imports_ours": imports_ours,
    "train": train,
    "in_memory": partial(plain, in_memory=True),
    "streamed": partial(plain, in_memory=False),
}


def start(program: str, *arguments: str) -> dict[str, Any]:
    """Runs one of `PROGRAMS` in a new process, in a folder of its own.

    Returns:
        What it printed, and the `seconds` until then.

    Raises:
        RuntimeError: if it printed nothing, with the end of its stderr.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--program", program, *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.time()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as cause:
        raise RuntimeError(f"{program} failed with exit code {done.returncode}: {done.stderr[-2000:]}") from cause
    return {**said, "seconds": said["at"] - begin}


def compare(seconds: Mapping[str, Sequence[float]], added: Sequence[float]) -> list[harness.Figure]:
    """Returns the figures.

    Args:
        seconds: program -> seconds of each round.
        added: seconds of `import mtl_keras` in each round of `imports_ours`.
    """
    ours = "`import mtl_keras`, after `import tensorflow, keras`"
    processes = [one - two for one, two in zip(seconds["imports_ours"], seconds["imports"])]
    train = f"`{TRAIN}` to its first step / imports, data and tracing alone"
    return [
        harness.figure(f"{ours} (s)", added, "<= 0.3"),
        harness.figure(f"{ours}, as the difference of two processes (s)", processes),
        harness.ratio(f"{train}, data in memory", seconds[TRAIN], seconds["in_memory"], "<= 1.3"),
        harness.ratio(f"{train}, data streamed", seconds[TRAIN], seconds["streamed"], "<= 1.3"),
    ]


def main() -> None:
    """Prints the times and the figures."""
    parser = harness.parser(__doc__, rounds=3)
    parser.add_argument("--data_dir", type=Path, help="TFDS directory with Fashion-MNIST; default: synthetic data")
    arguments = parser.parse_args()
    folder = str(arguments.data_dir.resolve()) if arguments.data_dir else start("synthesize")["folder"]
    train = ["train", "--dataset", "fashion_mnist", "--data_dir", folder]
    commands = {
        "imports": ["imports"],
        "imports_ours": ["imports_ours"],
        "streamed": ["streamed", folder],
        "in_memory": ["in_memory", folder],
        TRAIN: train,
        f"{TRAIN} --schedule dst": [*train, "--schedule", "dst"],
    }
    added: list[float] = []

    def run(command: Sequence[str]) -> float:
        said = start(*command)
        added.extend([said["added"]] if "added" in said else [])
        return said["seconds"]

    seconds = harness.interleave({name: partial(run, command) for name, command in commands.items()}, arguments.rounds)
    print(harness.machine(), f"{arguments.rounds} rounds", sep=", ")
    print(harness.times_table(seconds, "s"))
    harness.report(compare(seconds, added[-arguments.rounds :]), arguments.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--program"]:
        PROGRAMS[sys.argv[2]](*sys.argv[3:])
    else:
        main()
