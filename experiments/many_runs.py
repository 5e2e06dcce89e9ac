"""`run_all`: trains the runs of a comparison or sweep, one after another or several at a time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras

from experiments.local_runs import LocalRuns, available_cores, shares
from experiments.run_job import FAILED, Outcome, RunJob
from experiments.runner import run
from experiments.runs_display import RunsDisplay
from mtl_keras.callbacks import NonFiniteLoss

_RAY = "ray"
_REFRESH_SECONDS = 1.0


class Runs(Protocol):
    """Trains runs in other processes."""

    def submit(self, job: RunJob) -> Future[Outcome]:
        """Trains a run as soon as there is room for it."""

    def stop(self) -> None:
        """Ends all processes. Runs that are not finished can be resumed."""


@dataclass(frozen=True)
class Execution:
    """Where the runs of a comparison or sweep are trained.

    Args:
        parallel: `None` for one after another in this process; `"4"` for four at a time in processes of this machine;
            `"ray"` or `"ray:ADDRESS"` for the tasks of a Ray cluster.
        cpus: CPU cores of each run; by default an equal share of this machine, on a Ray cluster 1.
        gpus: GPUs of each run, a whole number or a fraction; by default an equal share, on a Ray cluster 0.

    Raises:
        ValueError: naming the flag.
    """

    parallel: str | None = None
    cpus: int | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        name, _, address = (self.parallel or "").partition(":")
        is_number = (self.parallel or "").isdecimal() and int(self.parallel or 0) > 0
        if self.parallel is not None and not is_number and not (name == _RAY and (address or name == self.parallel)):
            raise ValueError(
                f"--parallel takes a number of runs at a time >= 1, {_RAY} or {_RAY}:ADDRESS. Received: "
                f"{self.parallel!r}"
            )
        for flag, value, least in (("run_cpus", self.cpus, 1), ("run_gpus", self.gpus, 0)):
            if value is not None and self.parallel is None:
                raise ValueError(f"--{flag} is for runs in processes of their own: it needs --parallel.")
            if value is not None and value < least:
                raise ValueError(f"--{flag} must be at least {least}. Received: {value}")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise ValueError(f"--run_gpus must be a whole number or less than 1. Received: {self.gpus}")
        if is_number and self.cpus is not None and self.cpus > len(available_cores()):
            raise ValueError(f"--run_cpus must be at most {len(available_cores())} here. Received: {self.cpus}")

    def flags(self) -> list[str]:
        """Returns the flags of `train.py` for it."""
        given = (("parallel", self.parallel), ("run_cpus", self.cpus), ("run_gpus", self.gpus))
        return [word for name, value in given if value is not None for word in (f"--{name}", str(value))]

    def start(self) -> Runs:
        """Returns what trains the runs in other processes."""
        if (self.parallel or "").isdecimal():
            return LocalRuns(shares(int(self.parallel or 1), self.cpus, self.gpus))
        from experiments.ray_runs import RayRuns

        cpus, gpus = self.cpus or 1, self.gpus or 0
        runs = RayRuns((self.parallel or "").partition(":")[2] or None, cpus, gpus)
        most = runs.capacity()
        for flag, name, needed in (("run_cpus", "CPU", cpus), ("run_gpus", "GPU", gpus)):
            if needed > most[name]:
                print(
                    f"warning: no machine of the Ray cluster has enough for --{flag} {needed}; the largest has "
                    f"{most[name]:g}. Waiting for one that has.",
                    file=sys.stderr,
                )
        return runs


def run_all(jobs: Sequence[RunJob], folder: Path, execution: Execution) -> None:
    """Trains and evaluates the runs that are not finished.

    Interrupted runs resume from their last checkpoint. A run whose loss became NaN or infinite has no result; the other
    runs are still trained.

    Args:
        jobs: all runs.
        folder: their folder.
        execution: where they are trained.

    Raises:
        ChildProcessError: if a run in a process of its own fails. The others are stopped.
    """
    if execution.parallel is None:
        _one_after_another(jobs)
    elif left := [job for job in jobs if not job.directory.metrics_file.exists()]:
        _in_processes(left, folder, execution)


def _one_after_another(jobs: Sequence[RunJob]) -> None:
    for number, job in enumerate(jobs, 1):
        directory = job.directory
        if directory.metrics_file.exists():
            continue
        if job.config.verbose:
            print(f"Run {number} of {len(jobs)}: {directory.path}")
        try:
            run(job.config, directory, resume=directory.started, judge_at=job.judge_at)
        except NonFiniteLoss as error:
            print(f"{directory.path} has no result: {error}")
        # Free the memory that Keras and TensorFlow hold for each run.
        keras.backend.clear_session()
        gc.collect()


def _in_processes(jobs: Sequence[RunJob], folder: Path, execution: Execution) -> None:
    runs = execution.start()
    try:
        with RunsDisplay(jobs, folder, jobs[0].config.verbose) as display:
            left: dict[Future[Outcome], RunJob] = {runs.submit(job): job for job in jobs}
            while left:
                done, _ = wait(left, _REFRESH_SECONDS, FIRST_COMPLETED)
                display.refresh()
                for future in done:
                    job, outcome = left.pop(future), future.result()
                    display.end(job, outcome)
                    if outcome.state == FAILED:
                        file = job.directory.output_file
                        where = f". Its output is in {file}" if file.exists() else ""
                        raise ChildProcessError(f"{job.path}: {outcome.reason.rstrip('.')}{where}")
    finally:
        runs.stop()
