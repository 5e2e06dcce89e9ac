"""Images per second of the input pipeline: `taskset -c 0,1 python benchmarks/pipeline.py`.

Synthetic faces, JPEGs of 178x218 pixels and some 10 kB like those of CelebA, in a TFDS directory. An epoch is all
float32 batches of `Dataset.batches`, shuffled, with the labels of all 41 tasks, taken within a compiled function as
`fit` does: from the JPEGs, from decoded images in memory, and from decoded images on disk (in the page cache).

For comparison, PIL reads, decodes, crops and resizes the same images from files to uint8 in two processes; a third
makes float32 batches of them, without labels or order. One-time work (compiling, filling the caches, starting the
iterator) is not timed: 0.3 s to 0.5 s from JPEGs. As for CelebA, the shuffling buffer holds a tenth of the images:
until it is full, nothing is decoded.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import harness
from benchmarks.networks import BATCH
from data import pipeline
from data.synthetic import materialise, portrait

BOX, SIZE = (0, 20, 178, 198), (128, 128)  # centre crop of 178x178, then 128x128
PLACES = (2, BATCH, *SIZE, 3)  # a PIL process fills one batch while the other is read
WORKERS = 2
FROM_JPEG, MEMORY, DISK, PIL = "from JPEG", "from memory", "from disk", "PIL, 2 processes"


def epochs(folder: Path, cache: str, count: int) -> Callable[[], float]:
    """Returns a function that takes some epochs of the training split, and returns the seconds of one."""
    dataset = data.load("celeb_a", data_dir=folder, cache=cache)
    batches = dataset.batches("train", BATCH, shuffle=True)
    steps = count * dataset.steps("train", BATCH)

    @tf.function
    def take(iterator: tf.data.Iterator) -> tf.Tensor:
        total = tf.constant(0.0)
        for _ in tf.range(steps):
            images, labels = next(iterator)
            total += images[0, 0, 0, 0] + labels["Smiling"][0]
        return total

    def run() -> float:
        iterator = iter(batches)  # a new one each time: an iterator that waits for its turn goes on filling its buffers
        next(iterator)
        return harness.clock(lambda: float(take(iterator)), count)()

    return run


def pil_process(paths: Sequence[Path], shared: Any, pipe: Connection) -> None:
    """Decodes, crops and resizes images into shared memory, batch by batch.

    Args:
        paths: JPEGs of 178x218 pixels.
        shared: place of two batches, uint8 of shape `PLACES`.
        pipe: each message asks for a batch, and is answered with its size; `None` ends the process.
    """
    images = np.frombuffer(shared, np.uint8).reshape(PLACES)
    while True:
        for index, start in enumerate(range(0, len(paths), BATCH)):
            if pipe.recv() is None:
                return
            chosen = paths[start : start + BATCH]
            for place, path in enumerate(chosen):
                with Image.open(path) as image:
                    images[index % 2, place] = image.crop(BOX).resize(SIZE, Image.Resampling.BILINEAR)
            pipe.send(len(chosen))


class PilProcesses:
    """Processes that share the work on the JPEGs of a folder."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        paths = sorted(folder.iterdir())
        self._batches = -(-len(paths[::WORKERS]) // BATCH)
        self._workers = []
        for number in range(WORKERS):
            pipe, other = context.Pipe()
            shared = context.RawArray("B", int(np.prod(PLACES)))
            context.Process(target=pil_process, args=(paths[number::WORKERS], shared, other)).start()
            other.close()  # so that the end of the process is an `EOFError` here
            self._workers.append((pipe, np.frombuffer(shared, np.uint8).reshape(PLACES)))

    def epoch(self) -> int:
        """Takes all images once, as float32 batches in [0, 1], and returns their number."""
        count = 0
        for index in range(-1, self._batches):
            for pipe, images in self._workers:
                size = pipe.recv() if index >= 0 else 0
                if index + 1 < self._batches:
                    pipe.send("next")
                count += len(np.multiply(images[index % 2, :size], np.float32(1 / 255)))
        return count

    def close(self) -> None:
        """Ends the processes."""
        for pipe, _ in self._workers:
            pipe.send(None)


def main() -> None:
    """Prints the times and the figures."""
    parser = harness.parser(__doc__, rounds=5)
    parser.add_argument("--images", type=int, default=4000, help="number of images")
    arguments = parser.parse_args()
    count = arguments.images
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        os.environ["MTL_KERAS_CACHE"] = temporary
        pipeline.SHUFFLE_BUFFER = count // 10
        folder = materialise("celeb_a", {"train": count, "validation": 1, "test": 1})
        jpegs = Path(temporary) / "jpeg"
        jpegs.mkdir()
        for index in range(count):
            (jpegs / f"{index:06d}.jpg").write_bytes(portrait(0, "train", index)["image"])
        workers = PilProcesses(jpegs)
        stack.callback(workers.close)
        if workers.epoch() != count:
            raise RuntimeError("PIL did not read all of the images.")
        sides = {
            FROM_JPEG: epochs(folder, "none", 1),
            PIL: harness.clock(workers.epoch),
            MEMORY: epochs(folder, "memory", 5),  # several at a time: one alone is short
            DISK: epochs(folder, "disk", 5),
        }
        seconds = harness.interleave(sides, arguments.rounds)
    print(harness.machine(), f"{arguments.rounds} rounds of {count} images, batch {BATCH}", sep=", ")
    print(harness.times_table(seconds))

    def speed(name: str, target: str) -> harness.Figure:
        return harness.figure(f"{name} (images/s)", [count / each for each in seconds[name]], target)

    ratio = harness.ratio(f"images/s, {FROM_JPEG} / {PIL}", seconds[PIL], seconds[FROM_JPEG], ">= 2")
    figures = [speed(FROM_JPEG, ">= 3500"), ratio, speed(MEMORY, ">= 25000"), speed(DISK, ">= 25000")]
    harness.report(figures, arguments.json)


if __name__ == "__main__":
    main()
