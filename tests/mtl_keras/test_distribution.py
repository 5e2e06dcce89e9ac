"""Training on two devices or two workers gives the same as training on one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtl_keras import distribution
from tests.mtl_keras import distributed_cases
from tests.mtl_keras.distributed_cases import Found

PATIENCE = 240  # seconds, on a machine that does much else


class Program:
    """`distributed_cases.py` at work."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.output, self._log = folder / "found.npz", folder / "log"
        folder.mkdir()
        name, *more = arguments
        command = [sys.executable, distributed_cases.__file__, name, str(self.output), *more]
        with self._log.open("w") as log:
            environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", **environment}
            self.process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=log)

    def found(self) -> Found:
        with np.load(self.output) as found:
            return dict(found)

    def stderr(self) -> str:
        return self._log.read_text("utf-8")

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def reached(self) -> bool:
        """Waits until it trains on and on."""
        return "waiting" in (self.process.stdout.readline() if self.process.stdout else "")


def two_workers(folder: Path) -> list[Program]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    cluster = {"worker": [f"localhost:{one.getsockname()[1]}" for one in sockets]}
    for one in sockets:
        one.close()
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    return [
        Program(folder / f"{place}", "multi_worker", "on", TF_CONFIG=config) for place, config in enumerate(configs)
    ]


def alike(found: Found, alone: Found) -> None:
    assert {name for name in found if ": " in name and not name.startswith("norm")} == set(alone)
    for name, expected in alone.items():
        np.testing.assert_allclose(found[name], expected, atol=1e-4, rtol=1e-4, err_msg=name)


def same_on_all(copies: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(one, copies[0]) for one in copies)


def test_two_workers(tmp_path: Path) -> None:
    workers = two_workers(tmp_path)
    try:
        alone = distributed_cases.results("multi_worker", tmp_path)
        assert [worker.reached() for worker in workers] == [True, True], "\n".join(w.stderr()[-2000:] for w in workers)
        first, second = (worker.found() for worker in workers)
        alike(first, alone)
        assert (first.pop("chief"), second.pop("chief")) == (True, False)
        assert (first.pop("workers").tolist(), second.pop("workers").tolist()) == ([0, 2], [1, 2])
        assert first.keys() == second.keys()
        assert [name for name in first if not np.array_equal(first[name], second[name], equal_nan=True)] == []

        workers[1].process.send_signal(signal.SIGKILL)
        assert workers[0].wait() == 1
        (line,) = [line for line in workers[0].stderr().splitlines() if "WorkerLost: " in line]
        assert "Another worker ended or cannot be reached (this is worker 0 of 2, counted from 0)" in line
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()


def test_two_devices(tmp_path: Path) -> None:
    program = Program(tmp_path / "devices", "mirrored")
    alone = distributed_cases.results("mirrored", tmp_path)
    assert program.wait() == 0, program.stderr()[-2000:]
    found = program.found()
    alike(found, alone)
    copies = {name: value for name, value in found.items() if name.startswith("norm")}
    assert {len(value) for value in copies.values()} == {2}
    assert [name for name, value in copies.items() if not same_on_all(value)] == []


def test_a_strategy_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of mirrored, multi_worker\. Received: distribute='parameter'"):
        distribution.strategy("parameter")


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_an_incomplete_cluster_is_refused(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=r"needs TF_CONFIG=.* Received: TF_CONFIG="):
        distribution.strategy("multi_worker")


def test_without_a_strategy_there_is_one_worker() -> None:
    alone = tf.distribute.get_strategy()
    batches = tf.data.Dataset.range(4).batch(2)
    assert distribution.workers(alone) == (0, 1)
    assert distribution.is_chief(alone)
    assert distribution.per_worker_dataset(alone, batches) is batches


def test_a_batch_is_split_among_the_devices_of_a_worker() -> None:
    batches = tf.data.Dataset.from_tensor_slices((np.arange(8), {"task": np.arange(8) * 2})).batch(5)
    cut = distribution.split_batches(batches, 2)
    assert [x.numpy().tolist() for x, _ in cut] == [[0, 1], [2, 3, 4], [5], [6, 7]]
    assert [y["task"].numpy().tolist() for _, y in cut] == [[0, 2], [4, 6, 8], [10], [12, 14]]
    assert int(cut.cardinality()) == 4
    assert int(distribution.split_batches(batches.repeat(), 2).cardinality()) == tf.data.INFINITE_CARDINALITY


def test_only_errors_of_lost_workers_are_replaced() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="shapes"), distribution.detect_lost_workers():
        raise tf.errors.InvalidArgumentError(None, None, "shapes")
    with pytest.raises(distribution.WorkerLost, match=r"reason: Socket closed$"), distribution.detect_lost_workers():
        raise tf.errors.InternalError(None, None, "Graph\n\nCollective ops is aborted by: Socket closed\nThe error")
