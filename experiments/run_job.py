"""`RunJob`: a run that is trained in a process of its own, and how it is trained there."""

from __future__ import annotations

import contextlib
import datetime
import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

from experiments.commands import reason_of
from experiments.config import RunConfig
from experiments.lock import locked
from experiments.run_directory import RunDirectory
from experiments.runner import run
from mtl_keras.callbacks import NonFiniteLoss

FINISHED, NO_RESULT, FAILED = "finished", "no result", "failed"
RETRIES = 3
"""How often a run whose process was killed is resumed."""
_ATTEMPT = "--- attempt "
_LOCK_PATIENCE = 60.0
"""Seconds to wait for the lock of a run: a machine that lost its cluster may train it for some more seconds."""


@dataclass(frozen=True)
class RunJob:
    """A run to train in a process of its own.

    Args:
        config: its settings.
        path: its run directory.
        judge_at: for a comparison, the rule of additional evaluations.
    """

    config: RunConfig
    path: Path
    judge_at: str | None = None

    @property
    def directory(self) -> RunDirectory:
        """The files of the run."""
        return RunDirectory(self.path)

    def to_line(self) -> str:
        """Returns the job as a line of JSON."""
        # An absolute path: the other process may run in another folder.
        path = str(self.path.absolute())
        return json.dumps({"config": self.config.to_json(), "path": path, "judge_at": self.judge_at}) + "\n"

    @classmethod
    def from_line(cls, line: str) -> RunJob:
        """Returns the job from the result of `to_line`."""
        values = json.loads(line)
        return cls(RunConfig.from_json(values["config"]), Path(values["path"]), values["judge_at"])


class Outcome(NamedTuple):
    """How a run ended.

    Args:
        state: `FINISHED`; `NO_RESULT` if its loss became NaN or infinite; `FAILED` for any other error.
        reason: the error in one line.
    """

    state: str
    reason: str = ""


def perform(job: RunJob) -> Outcome:
    """Trains and evaluates a run in this process, or resumes it. Its output is appended to its `output.txt`.

    A process that runs out of memory kills itself as the operating system would: memory of a GPU is only released when
    the process ends.
    """
    directory = job.directory
    was_started = directory.started
    with _output_to(directory.output_file):
        try:
            with locked(directory.path, _LOCK_PATIENCE):
                pass
            run(job.config, directory, resume=True, judge_at=job.judge_at)
            outcome = Outcome(FINISHED)
        except NonFiniteLoss as error:
            outcome = Outcome(NO_RESULT, reason_of(error) or "")
        except (MemoryError, tf.errors.ResourceExhaustedError):
            traceback.print_exc()
            _kill_this_process()
        except Exception as error:
            traceback.print_exc()
            outcome = Outcome(FAILED, reason_of(error) or f"{type(error).__name__}: {error}")
    trained = directory.checkpoints or directory.history_file.exists() or directory.nonfinite.exists()
    if outcome.state == FAILED and not (was_started or trained):
        directory.remove()  # as a run without a process of its own does
    # Free the memory that Keras and TensorFlow hold for each run.
    keras.backend.clear_session()
    gc.collect()
    return outcome


def attempts(directory: RunDirectory) -> int:
    """Returns how many processes have started to train a run."""
    try:
        with directory.output_file.open(encoding="utf-8", errors="replace") as lines:
            return sum(line.startswith(_ATTEMPT) for line in lines)
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """Appends everything that this process and its libraries print to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = [os.dup(descriptor) for descriptor in (1, 2)]
    _flush()
    try:
        with file.open("ab", buffering=0) as stream:
            when = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
            stream.write(f"{_ATTEMPT}on {socket.gethostname()}, process {os.getpid()}, {when}\n".encode())
            for descriptor in (1, 2):
                os.dup2(stream.fileno(), descriptor)
        yield
    finally:
        _flush()
        for descriptor, original in enumerate(before, start=1):
            os.dup2(original, descriptor)
            os.close(original)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _kill_this_process() -> None:
    _flush()
    if sys.platform == "win32":
        os._exit(1)
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # until the signal arrives
