"""Images per second of the input pipeline: `taskset -c 0,1 python benchmarks/pipeline.py`.

Synthetic faces, JPEGs of 178x218 pixels and some 10 kB like those of CelebA, in a TFDS directory; `--images` is their
number. An epoch is all float32 batches of `Dataset.batches`, shuffled, with the labels of all 41 tasks, taken within a
compiled function as `fit` does: from the JPEGs, from decoded images in memory, and from decoded images on disk (in the
page cache).

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
from multiprocessing.pool import Pool
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
WORKERS = 2
SLOTS = 2 * WORKERS  # batches in the memory that PIL processes share
FROM_JPEG, MEMORY, DISK, PIL = "from JPEG", "from memory", "from disk", "PIL, 2 processes"

_shared: dict[str, np.ndarray] = {}  # in a PIL process


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

    def timed() -> float:
        iterator = iter(batches)  # a new one each time: an iterator that waits for its turn goes on filling its buffers
        next(iterator)
        return harness.clock(lambda: float(take(iterator)), count)()

    return timed


def share(memory: Any) -> np.ndarray:
    """Returns the batches in shared memory, uint8, and makes them those of `decode`."""
    return _shared.setdefault("batches", np.frombuffer(memory, np.uint8).reshape(SLOTS, BATCH, *SIZE, 3))


def decode(slot: int, paths: Sequence[Path]) -> int:
    """Reads, decodes, crops and resizes images into a slot of the shared memory; returns their number."""
    for place, path in enumerate(paths):
        with Image.open(path) as image:
            _shared["batches"][slot, place] = image.crop(BOX).resize(SIZE, Image.Resampling.BILINEAR)
    return len(paths)


def pil_epoch(pool: Pool, batches: np.ndarray, paths: Sequence[Path]) -> int:
    """Takes all images once, as float32 batches in [0, 1], and returns their number."""
    parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    pending = [pool.apply_async(decode, (slot, part)) for slot, part in enumerate(parts[:SLOTS])]
    count = 0
    for number in range(len(parts)):
        slot = number % SLOTS
        count += len(np.multiply(batches[slot, : pending[slot].get()], np.float32(1 / 255)))
        if number + SLOTS < len(parts):
            pending[slot] = pool.apply_async(decode, (slot, parts[number + SLOTS]))
    return count


def measure(rounds: int = 5, images: int = 4000) -> list[harness.Figure]:
    context = multiprocessing.get_context("spawn")
    memory = context.RawArray("B", SLOTS * BATCH * int(np.prod(SIZE)) * 3)
    with tempfile.TemporaryDirectory() as temporary, context.Pool(WORKERS, share, (memory,)) as pool:
        os.environ["MTL_KERAS_CACHE"] = temporary
        pipeline.SHUFFLE_BUFFER = images // 10
        folder = materialise("celeb_a", {"train": images, "validation": 1, "test": 1})
        paths = [Path(temporary) / f"{index:06d}.jpg" for index in range(images)]
        for index, path in enumerate(paths):
            path.write_bytes(portrait(0, "train", index)["image"])
        batches = share(memory)
        sides = {
            FROM_JPEG: epochs(folder, "none", 1),
            PIL: harness.clock(lambda: pil_epoch(pool, batches, paths)),
            MEMORY: epochs(folder, "memory", 5),  # several at a time: one alone is short
            DISK: epochs(folder, "disk", 5),
        }
        seconds = harness.interleave(sides, rounds)
    print(harness.times_table(seconds))

    def speed(name: str, target: str) -> harness.Figure:
        return harness.figure(f"{name} (images/s)", [images / each for each in seconds[name]], target)

    ratio = harness.ratio(f"images/s, {FROM_JPEG} / {PIL}", seconds[PIL], seconds[FROM_JPEG], ">= 2")
    return [speed(FROM_JPEG, ">= 3500"), ratio, speed(MEMORY, ">= 25000"), speed(DISK, ">= 25000")]


if __name__ == "__main__":
    harness.run(measure)
