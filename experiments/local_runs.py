"""`LocalRuns`: trains several runs at a time on this machine, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from experiments.run_job import FAILED, RETRIES, Outcome, RunJob

_ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 10.0  # seconds that an interrupted process has to end by itself


@dataclass(frozen=True)
class Share:
    """The part of the machine that one process uses.

    Args:
        cores: numbers of its CPU cores; empty if the operating system does not assign cores to processes.
        environment: environment variables.
    """

    cores: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def available_cores() -> tuple[int, ...]:
    """Returns the numbers of the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def available_gpus() -> tuple[str, ...]:
    """Returns the GPUs that this process may use, by their names in `CUDA_VISIBLE_DEVICES`."""
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return tuple(named.split(",")[:count]) if named else tuple(map(str, range(count)))


def threads(cpus: int) -> dict[str, str]:
    """Returns the environment variables that limit the threads of a process. Rounding errors depend on them too."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return dict.fromkeys(names, str(cpus))


def shares(at_once: int, cpus: int | None, gpus: float | None) -> list[Share]:
    """Divides this machine among runs.

    Args:
        at_once: number of runs at a time.
        cpus: CPU cores of each; by default an equal share. If there are fewer cores, runs share them.
        gpus: GPUs of each, a whole number or a fraction; by default an equal share.

    Raises:
        ValueError: if there are too few GPUs.
    """
    cores, devices = available_cores(), available_gpus()
    cpus = cpus or max(1, len(cores) // at_once)
    if gpus is None:
        if 0 < len(devices) < at_once:
            part = 1 / -(-at_once // len(devices))
            raise ValueError(
                f"There are fewer GPUs than runs at a time. Pass --run_gpus {part:.2g}, and runs share a GPU, or "
                f"--run_gpus 0, and none uses one. Received: --parallel {at_once} with {len(devices)} GPUs"
            )
        gpus = len(devices) // at_once
    per_gpu = int(1 / gpus) if 0 < gpus < 1 else 1
    needed = -(-at_once // per_gpu) if 0 < gpus < 1 else at_once * int(gpus)
    if needed > len(devices):
        raise ValueError(
            f"--parallel {at_once} with --run_gpus {gpus:g} needs {needed} GPUs. This machine has {len(devices)}"
        )
    found = []
    for number in range(at_once):
        own = tuple(sorted({cores[(number * cpus + core) % len(cores)] for core in range(cpus)}))
        environment = threads(cpus)
        if devices:
            first, count = (number // per_gpu, 1) if 0 < gpus < 1 else (number * int(gpus), int(gpus))
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices[first : first + count])
        if 0 < gpus < 1:
            environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        found.append(Share(own if hasattr(os, "sched_setaffinity") else (), environment))
    return found


class LocalRuns:
    """Trains runs in processes of this machine. A process trains one run after another.

    A run whose process is killed is resumed in a new process, at most `RETRIES` times.

    Args:
        parts: the share of each process; their number is the number of runs at a time.
    """

    def __init__(self, parts: list[Share]) -> None:
        self._pool = ThreadPoolExecutor(len(parts), thread_name_prefix="run")
        self._workers = [_Worker(part) for part in parts]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, job: RunJob) -> Future[Outcome]:
        """Trains a run as soon as a process is free."""
        return self._pool.submit(self._perform, job)

    def _perform(self, job: RunJob) -> Outcome:
        worker = self._idle.get()
        try:
            cause = ""
            for _ in range(1 + RETRIES):
                answer = worker.perform(job)
                if isinstance(answer, Outcome):
                    return answer
                cause = signal.strsignal(-answer) or f"signal {-answer}"
            return Outcome(FAILED, f"its process was killed {1 + RETRIES} times ({cause}), perhaps out of memory")
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Ends all processes. Runs that are not finished can be resumed."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.interrupt()
        for worker in self._workers:
            worker.wait()
        self._pool.shutdown()
        for worker in self._workers:
            worker.close()


class _Worker:
    """A process that trains runs, started when it is needed.

    Args:
        part: its share of the machine.
    """

    def __init__(self, part: Share) -> None:
        self._command = [sys.executable, "-m", "experiments.run_worker"]
        self._command += [",".join(map(str, part.cores))] if part.cores else []
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        self._environment = {**os.environ, **part.environment, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def perform(self, job: RunJob) -> Outcome | int:
        """Trains a run; returns how it ended, or the negative number of the signal that killed the process."""
        with self._lock:
            if self._stopped:
                return Outcome(FAILED, "interrupted")
            process = self._process
            if process is None or process.poll() is not None:
                self.close()
                process = self._process = self._start()
        requests, answers = _pipes(process)
        try:
            requests.write(job.to_line())
            requests.flush()
            answer = answers.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return Outcome(*json.loads(answer))
        code = process.wait()
        if code < 0:
            return code
        return Outcome(FAILED, f"its process ended with exit code {code}")

    def _start(self) -> subprocess.Popen[str]:
        # In a session of its own: Ctrl-C goes to this program only, which then ends all processes.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def interrupt(self) -> None:
        """Asks the process to end, and starts no other."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate() if sys.platform == "win32" else self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        """Waits for the end of the process, and kills it if it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Closes the pipes to the process."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                for stream in _pipes(self._process):
                    stream.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("The process must be started with pipes.")
    return process.stdin, process.stdout
