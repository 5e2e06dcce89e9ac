"""What a second worker saves: `python benchmarks/workers.py --cores 0,1`.

Trains the network of `train.py` for Fashion-MNIST on noise in memory, in `fit`. One worker on one core, and two workers
of `multi_worker` on one core each, take turns. Each has one thread for arithmetic.

With two workers, each has half of the samples of a batch, so the result is the same (strong scaling): batches of 128,
that of `train.py`, to 1024. The same times also give the gain if each worker has as many samples as the single worker,
in a batch of twice the size (weak scaling), which has a target. Timed from the end of the first step of an epoch to the
end of the last.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness

BATCHES = (128, 256, 512, 1024)
STEPS = 16


def work(core: int, cluster: dict[str, str], pipe: Connection) -> None:
    """Answers each message, the size of this worker's part of a batch, with the seconds per step; `None` ends it.

    Args:
        core: the CPU core to run on.
        cluster: environment variables of the cluster.
        pipe: to the benchmark.
    """
    os.sched_setaffinity(0, {core})
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", **cluster}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    from benchmarks.networks import FASHION_MNIST
    from mtl_keras import distribution

    class Clock(keras.callbacks.Callback):
        reads_batch_logs = False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.perf_counter()
            if batch == 0:
                self.first = now
            self.seconds = now - self.first

    strategy = distribution.strategy("multi_worker") if cluster else tf.distribute.get_strategy()
    with strategy.scope():
        model = FASHION_MNIST.compiled()
    known: dict[int, Any] = {}
    while (part := pipe.recv()) is not None:
        if part not in known:
            known[part] = distribution.per_worker_dataset(strategy, FASHION_MNIST.batches(part))
        clock = Clock()
        model.fit(known[part], steps_per_epoch=STEPS + 1, verbose=0, shuffle=False, callbacks=[clock])
        pipe.send(clock.seconds / STEPS)


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
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        for index, core in enumerate(cores):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            cluster = {"TF_CONFIG": json.dumps(config)} if len(cores) > 1 else {}
            pipe, other = context.Pipe()
            context.Process(target=work, args=(core, cluster, other)).start()
            other.close()  # so that the end of the worker is an `EOFError` here
            self._pipes.append(pipe)

    def step(self, batch: int) -> float:
        """Returns the seconds per step of the slowest worker, with batches of this size."""
        for pipe in self._pipes:
            pipe.send(batch // len(self._pipes))
        return max(pipe.recv() for pipe in self._pipes)

    def close(self) -> None:
        """Ends the workers."""
        for pipe in self._pipes:
            pipe.send(None)


def main() -> None:
    """Prints the ratio of images per second, two workers to one."""
    parser = harness.parser(__doc__, rounds=10)
    parser.add_argument("--cores", default="0,1", help="one per worker; the single worker has the first")
    arguments = parser.parse_args()
    cores = [int(core) for core in arguments.cores.split(",")][:2]
    teams = [Team(cores[:1]), Team(cores)]
    sides = {(size, count): partial(team.step, size) for size in BATCHES for count, team in enumerate(teams, start=1)}
    print(harness.machine(), f"{arguments.rounds} rounds of {STEPS} steps", sep=", ")
    found = harness.interleave(sides, arguments.rounds)
    for team in teams:
        team.close()
    print(harness.times_table({f"batches of {size}, workers: {count}": each for (size, count), each in found.items()}))
    what = "images/s, two workers / one"
    strong = [harness.ratio(f"{what}, batches of {size}", found[size, 1], found[size, 2]) for size in BATCHES]
    weak = [
        harness.ratio(f"{what}, {size} per worker", found[size, 1], found[2 * size, 2], ">= 1.6", scale=2)
        for size in BATCHES[:-1]
    ]
    harness.report([*strong, *weak], arguments.json)


if __name__ == "__main__":
    main()
