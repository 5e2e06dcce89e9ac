"""How many images a second the input pipeline gives: `taskset -c 0,1 python benchmarks/pipeline.py`.

Drawn faces, JPEGs of 178x218 pixels and some 10 kB like CelebA's, in a TFDS directory. An epoch is all float32 batches
of `Dataset.batches`, shuffled, with the labels of all 41 tasks, taken within a compiled function as `fit` does: from
the JPEGs, from decoded images in memory, and from decoded images on disk (in the page cache). Beside them two processes
in which PIL reads, decodes, crops and resizes the same images from files to uint8; a third makes float32 batches of
them, without labels or order. What is done once (compiling, filling the caches, starting the iterator) is not timed:
0.3 s to 0.5 s from JPEGs. The shuffling buffer holds a tenth of the images, as it does of CelebA's: until it is full,
nothing is decoded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import figures, timing
from data import pipeline
from data.synthetic import materialise, portrait

BATCH = 128
SIZE = (128, 128)
WORKERS = 2
REPEATS = 5  # epochs from a cache that are timed together: one alone is short
SHARED_MEMORY = next((path for path in ("/dev/shm",) if os.path.isdir(path)), None)
WORKER = Path(__file__).with_name("pipeline_pil.py")
FROM_JPEG, MEMORY, DISK, PIL = "from JPEG", "from memory", "from disk", "PIL, 2 processes"


def starter(folder: Path, cache: str, epochs: int) -> Callable[[], Callable[[], object]]:
    """Returns a function that starts an iterator over the training split, and returns one that takes some epochs."""
    dataset = data.load("celeb_a", data_dir=folder, cache=cache)
    batches = dataset.batches("train", BATCH, shuffle=True)
    steps = epochs * dataset.steps("train", BATCH)

    @tf.function
    def take(iterator: tf.data.Iterator) -> tf.Tensor:
        total = tf.constant(0.0)
        for _ in tf.range(steps):
            images, labels = next(iterator)
            total += images[0, 0, 0, 0] + labels["Smiling"][0]
        return total

    def start() -> Callable[[], object]:
        # Anew each time: an iterator that waits for its turn goes on filling its buffers.
        iterator = iter(batches)
        next(iterator)
        return lambda: float(take(iterator))

    return start


class PilWorkers:
    """Processes that share the work on a folder of JPEGs, and hand over batches in shared memory."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._batches = -(-len(range(0, len(list(folder.iterdir())), WORKERS)) // BATCH)
        self._shared, self._processes = [], []
        for number in range(WORKERS):
            path = scratch / f"shared-{number}"
            self._shared.append(np.memmap(path, np.uint8, "w+", shape=(2, BATCH, *SIZE, 3)))
            command = [sys.executable, WORKER, folder, BATCH, WORKERS, number, path]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._processes.append(subprocess.Popen(list(map(str, command)), text=True, **pipes))

    def epoch(self) -> int:
        """Takes all images once, as float32 batches in [0, 1], and returns how many there are."""
        count = 0
        for process in self._processes:
            self._say(process)
        for index in range(self._batches):
            for shared, process in zip(self._shared, self._processes):
                size = int(process.stdout.readline())
                count += len(np.multiply(shared[index % 2, :size], np.float32(1 / 255)))
                if index + 2 < self._batches:
                    self._say(process)
        return count

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.stdin.close()
            process.wait()

    def _say(self, process: subprocess.Popen[str]) -> None:
        process.stdin.write("go\n")
        process.stdin.flush()


def write_jpegs(folder: Path, count: int) -> Path:
    """Writes the images of the drawn training split as files."""
    folder.mkdir()
    for index in range(count):
        (folder / f"{index:06d}.jpg").write_bytes(portrait(0, "train", index)["image"])
    return folder


def measure(starts: Mapping[str, Callable[[], Callable[[], object]]], rounds: int) -> dict[str, list[float]]:
    """Returns the seconds that what is started takes, each in turn, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(1 + rounds):
        for name, start in starts.items():
            work = start()
            begin = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - begin)
    return {name: values[1:] for name, values in seconds.items()}


def main() -> None:
    """Prints the timings and the figures."""
    parser = figures.parser(__doc__, rounds=5)
    parser.add_argument("--images", type=int, default=4000, help="how many there are")
    arguments = parser.parse_args()
    count = arguments.images
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MTL_KERAS_CACHE"] = temporary
        pipeline.SHUFFLE_BUFFER = count // 10
        folder = materialise("celeb_a", {"train": count, "validation": 1, "test": 1})
        jpegs = write_jpegs(Path(temporary) / "jpeg", count)
        with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as scratch:
            workers = PilWorkers(jpegs, Path(scratch))
            if workers.epoch() != count:
                raise RuntimeError("PIL did not read all of the images.")
            seconds = measure(
                {
                    FROM_JPEG: starter(folder, "none", 1),
                    PIL: lambda: workers.epoch,
                    MEMORY: starter(folder, "memory", REPEATS),
                    DISK: starter(folder, "disk", REPEATS),
                },
                arguments.rounds,
            )
            workers.close()
    seconds |= {name: [each / REPEATS for each in seconds[name]] for name in (MEMORY, DISK)}
    print(timing.machine(), f"{arguments.rounds} rounds of {count} images, batch {BATCH}", sep=", ")
    print(timing.table(seconds))

    def speed(name: str, target: str) -> figures.Figure:
        return figures.of_values(f"{name} (images/s)", [count / each for each in seconds[name]], target)

    ratio = figures.of_ratio(f"images/s, {FROM_JPEG} / {PIL}", seconds, PIL, FROM_JPEG, ">= 2")
    found = [speed(FROM_JPEG, ">= 3500"), ratio, speed(MEMORY, ">= 25000"), speed(DISK, ">= 25000")]
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
