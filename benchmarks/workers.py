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
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness

BATCHES = (128, 256, 512, 1024)
STEPS = 16


def work(core: int, cluster: Mapping[str, str], pipe: Connection) -> None:
    """Trains on a core, with the environment variables of a cluster, until a message is None.

    Each message is the size of this worker's part of a batch; the answer is the seconds per step.
    """
    os.sched_setaffinity(0, {core})
    os.environ.update(cluster, TF_CPP_MIN_LOG_LEVEL="3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    from benchmarks.networks import FASHION_MNIST
    from mtl_keras import distribution

    class Clock(keras.callbacks.Callback):
        reads_batch_logs = False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ends.append(time.perf_counter())

    strategy = distribution.strategy("multi_worker") if cluster else tf.distribute.get_strategy()
    with strategy.scope():
        model = FASHION_MNIST.compiled()
    batches: dict[int, Any] = {}
    while part := pipe.recv():
        if part not in batches:
            batches[part] = distribution.per_worker_dataset(strategy, FASHION_MNIST.batches(part))
        ends: list[float] = []
        model.fit(batches[part], steps_per_epoch=STEPS + 1, verbose=0, shuffle=False, callbacks=[Clock()])
        pipe.send((ends[-1] - ends[0]) / STEPS)


def start_team(cores: Sequence[int]) -> list[Connection]:
    """Starts workers that train together, one on each core, and returns the pipes to them."""
    servers = [socket.create_server(("localhost", 0)) for _ in cores]
    addresses = [f"localhost:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    context = multiprocessing.get_context("spawn")
    pipes = []
    for index, core in enumerate(cores):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        cluster = {"TF_CONFIG": json.dumps(config)} if len(cores) > 1 else {}
        pipe, other = context.Pipe()
        context.Process(target=work, args=(core, cluster, other)).start()
        other.close()  # so that the end of the worker is an `EOFError` here
        pipes.append(pipe)
    return pipes


def step(team: Sequence[Connection], batch: int) -> float:
    """Returns the seconds per step of the slowest worker, with batches of this size."""
    for pipe in team:
        pipe.send(batch // len(team))
    return max(pipe.recv() for pipe in team)


def measure(rounds: int = 10, cores: str = "0,1") -> list[harness.Figure]:
    both = [int(core) for core in cores.split(",")][:2]
    teams = {1: start_team(both[:1]), 2: start_team(both)}
    sides = {(size, count): partial(step, team, size) for size in BATCHES for count, team in teams.items()}
    found = harness.interleave(sides, rounds)
    for pipe in (*teams[1], *teams[2]):
        pipe.send(None)
    print(harness.times_table({f"batches of {size}, workers: {count}": each for (size, count), each in found.items()}))
    what = "images/s, two workers / one"
    strong = [harness.ratio(f"{what}, batches of {size}", found[size, 1], found[size, 2]) for size in BATCHES]
    weak = [
        harness.ratio(f"{what}, {size} per worker", found[size, 1], found[2 * size, 2], ">= 1.6", scale=2)
        for size in BATCHES[:-1]
    ]
    return [*strong, *weak]


if __name__ == "__main__":
    harness.run(measure)
