"""Several runs at a time give the results of one after another, also if a process is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

import train
from experiments.run_directory import RunDirectory
from experiments.run_job import attempts
from tests.faults.comparison import differences

RUNS = ["multi_task/seed-0", "single_task/item/seed-0", "single_task/group/seed-0"]
# Rounding errors depend on the number of threads: `tests/conftest.py` gives this process two of them.
THREADS = os.environ["TF_NUM_INTRAOP_THREADS"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def _compare(data: Path, folder: Path, *flags: str) -> Path:
    settings = "--synthetic --examples=100 --batch_size=20 --epochs=3 --model=cnn(filters=2) --weighting=uncertainty"
    train.program(
        ["train.py", *settings.split(), "--compare=single_task", f"--data_dir={data}", f"--run_dir={folder}", *flags]
    )
    return folder


@pytest.fixture(scope="module")
def one_after_another(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _compare(data, tmp_path_factory.mktemp("comparisons") / "sequential")


@contextmanager
def _kill_once(directory: RunDirectory) -> Iterator[None]:
    """Kills the process that trains a run as soon as it has a checkpoint."""

    def kill() -> None:
        while not stop.is_set():
            if any(directory.checkpoints.folder.glob("epoch-*")):
                (process,) = re.findall(r"process (\d+)", directory.output_file.read_text())
                os.kill(int(process), signal.SIGKILL)
                return
            time.sleep(0.01)

    stop = threading.Event()
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _check(folder: Path, expected: Path) -> None:
    assert [attempts(RunDirectory(folder / run)) for run in RUNS] == [2, 1, 1]
    assert {run: differences(expected / run, folder / run) for run in RUNS} == {run: [] for run in RUNS}
    results = [json.loads((path / "comparison.json").read_text()) for path in (expected, folder)]
    for (against,) in results:
        del against["cost"]
    assert results[0] == results[1]


def test_two_at_a_time_give_the_same_results_though_one_is_killed(
    data: Path, one_after_another: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "parallel"
    with _kill_once(RunDirectory(folder / RUNS[0])):
        _compare(data, folder, "--parallel=2", f"--run_cpus={THREADS}")
    _check(folder, one_after_another)
    printed = capsys.readouterr().out
    assert "multi_task/seed-0: process killed, attempt 2: resumed from epoch" in printed
    assert "[3/3]" in printed


def test_a_ray_cluster_gives_the_same_results_though_a_worker_is_killed(
    data: Path, one_after_another: Path, tmp_path: Path
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        cluster.add_node(num_cpus=2)
        folder = tmp_path / "ray"
        with _kill_once(RunDirectory(folder / RUNS[0])):
            _compare(data, folder, f"--parallel=ray:{cluster.address}", f"--run_cpus={THREADS}")
        _check(folder, one_after_another)
        assert not ray.is_initialized()
    finally:
        cluster.shutdown()
