"""What a second worker is worth: `python benchmarks/workers.py --cores 0,1`.

The network that `train.py` trains on Fashion-MNIST, on drawn data in memory, by `fit`. One worker, on one core, and two
workers of `multi_worker`, each on one core of its own, on this machine, take turns. Each has one thread for arithmetic.

With two workers each has half the samples of a batch, so that the network that comes out is the same (strong scaling):
batches of 128, that of `train.py`, to 1024. Their times also say what it is worth to let each worker have as many
samples as one had alone, in a batch of twice the size (weak scaling), which is what is aimed at. Timed from the end of
the first step of an epoch to the end of its last.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, timing

BATCHES = (128, 256, 512, 1024)
STEPS = 16


def work(core: int) -> None:
    """Answers each line of standard input, the size of this worker's part of a batch, with the seconds of its steps."""
    os.sched_setaffinity(0, {core})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    import data
    from benchmarks import noise
    from models import network
    from mtl_keras import MultiTaskModel, distribution

    class Clock(keras.callbacks.Callback):
        reads_batch_logs = False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.perf_counter()
            if batch == 0:
                self.first = now
            self.seconds = now - self.first

    strategy = distribution.strategy("multi_worker") if "TF_CONFIG" in os.environ else tf.distribute.get_strategy()
    recipe = data.recipes["fashion_mnist"]()
    with strategy.scope():
        model = MultiTaskModel(*network("cnn", recipe.tasks, recipe.image_shape))
        model.compile("adam", **recipe.tasks.compile_args())
    known: dict[int, Any] = {}
    for line in sys.stdin:
        part = int(line)
        if part not in known:
            known[part] = distribution.per_worker_dataset(
                strategy, noise.batches(recipe.tasks, part, recipe.image_shape)
            )
        clock = Clock()
        model.fit(known[part], steps_per_epoch=STEPS + 1, verbose=0, shuffle=False, callbacks=[clock])
        print(json.dumps(clock.seconds), flush=True)


class Team:
    """Workers that train together.

    Args:
        cores: one worker for each.
    """

    def __init__(self, cores: Sequence[int]) -> None:
        sockets = [socket.create_server(("localhost", 0)) for _ in cores]
        addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
        for one in sockets:
            one.close()
        self._workers = []
        for index, core in enumerate(cores):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            more = {"TF_CONFIG": json.dumps(config)} if len(cores) > 1 else {}
            command = [sys.executable, __file__, "--work", str(core)]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **more}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._workers.append(subprocess.Popen(command, env=environment, text=True, **pipes))

    def seconds(self, part: int) -> float:
        """Returns how long the slowest took for `STEPS` steps, each with `part` samples of the batch."""
        for worker in self._workers:
            print(part, file=worker.stdin, flush=True)
        return max(json.loads(worker.stdout.readline()) for worker in self._workers)

    def close(self) -> None:
        """Lets them end."""
        for worker in self._workers:
            worker.stdin.close()
        for worker in self._workers:
            worker.wait()


def main() -> None:
    """Prints how many times as many images a second two workers take."""
    parser = figures.parser(__doc__, rounds=10)
    parser.add_argument("--cores", default="0,1", help="one for each worker; one worker alone has the first")
    parser.add_argument("--work", type=int, help="be a worker, on this core")
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments.work)
        return
    cores = [int(core) for core in arguments.cores.split(",")][:2]
    teams = [(1, Team(cores[:1])), (2, Team(cores))]
    runs = {f"{size}, {count} workers": (team, size // count) for size in BATCHES for count, team in teams}
    print(timing.machine(), f"{arguments.rounds} rounds of {STEPS} steps", sep=", ")
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(arguments.rounds + 1):
        for name, (team, part) in runs.items():
            seconds = team.seconds(part)
            if number:  # the first compiles
                found[name].append(seconds / STEPS)
    for _, team in teams:
        team.close()
    print(f"\n{timing.table(found)}")
    what = "images a second, two workers / one"
    strong = [
        figures.of_ratio(f"{what}, batches of {size}", found, f"{size}, 1 workers", f"{size}, 2 workers")
        for size in BATCHES
    ]
    weak = [
        figures.of_ratio(
            f"{what}, {size} a worker", found, f"{size}, 1 workers", f"{2 * size}, 2 workers", ">= 1.6", scale=2
        )
        for size in BATCHES[:-1]
    ]
    figures.report([*strong, *weak], arguments.json)


if __name__ == "__main__":
    main()
