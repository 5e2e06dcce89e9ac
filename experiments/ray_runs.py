"""`RayRuns`: trains runs as tasks of a Ray cluster, https://docs.ray.io."""

from __future__ import annotations

import contextlib
import logging
import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from experiments.local_runs import threads
from experiments.run_directory import REVISION_VARIABLE, git_revision
from experiments.run_job import FAILED, RETRIES, Outcome, RunJob, perform
from mtl_keras.extras import import_extra

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("experiments", "models", "data", "mtl_keras")
_PASSED_ON = ("TFDS_DATA_DIR", "MTL_KERAS_CACHE", "TF_CPP_MIN_LOG_LEVEL", "TF_DETERMINISTIC_OPS", "KERAS_HOME")
"""Environment variables that runs on other machines get too."""


class RayRuns:
    """Trains runs as tasks of a Ray cluster.

    The code of this project is sent to the cluster. The machines need the packages of requirements.txt, and the run
    directories under the same path (a shared file system): a run whose worker or machine is lost is resumed on another,
    at most `RETRIES` times.

    Args:
        address: of the cluster; by default that of `RAY_ADDRESS`, else of a cluster of this machine, else a new one.
        cpus: CPU cores of each run.
        gpus: GPUs of each run.

    Raises:
        ImportError: without the package `ray`.
        ConnectionError: if there is no cluster at the address.
    """

    def __init__(self, address: str | None, cpus: int, gpus: float) -> None:
        # Ray would send statistics of its usage.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray: Any = import_extra("ray", "ray")
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        growth = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if 0 < gpus < 1 else {}
        environment = {
            "py_modules": [str(_ROOT / package) for package in _PACKAGES],
            "excludes": ["__pycache__"],
            "env_vars": {**passed_on, **threads(cpus), **growth, REVISION_VARIABLE: git_revision() or ""},
        }
        self._ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
        needs = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES}
        self._task = self._ray.remote(_perform).options(**needs)
        self._refs: list[Any] = []

    def capacity(self) -> dict[str, float]:
        """Returns the greatest number of CPU cores and of GPUs of a machine in the cluster, as `"CPU"` and `"GPU"`."""
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return {name: max((each.get(name, 0.0) for each in machines), default=0.0) for name in ("CPU", "GPU")}

    def submit(self, job: RunJob) -> Future[Outcome]:
        """Trains a run as soon as a machine of the cluster is free."""
        ref = self._task.remote(job.to_line(), os.getcwd())
        self._refs.append(ref)
        future: Future[Outcome] = Future()

        def done(found: Future[Any]) -> None:
            error = found.exception()
            if error is None:
                future.set_result(Outcome(*found.result()))
            else:
                future.set_result(Outcome(FAILED, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"))

        ref.future().add_done_callback(done)
        return future

    def stop(self) -> None:
        """Ends all tasks, and leaves the cluster; one that this object started is stopped."""
        for ref in self._refs:
            self._ray.cancel(ref, force=True)
        self._ray.shutdown()


def _perform(line: str, folder: str) -> tuple[str, ...]:
    """Trains a run in a worker of the cluster.

    Args:
        line: the job.
        folder: the folder that relative paths in the settings refer to.
    """
    from experiments.commands import set_up_libraries

    with contextlib.suppress(OSError):  # A machine without it can train a run with absolute paths.
        os.chdir(folder)
    set_up_libraries()
    return tuple(perform(RunJob.from_line(line)))
