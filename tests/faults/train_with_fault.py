"""Runs `train.py` with a fault: `train_with_fault.py DRAWS FAULT FLAGS...`.

DRAWS is a file that gets a line for each training step: epoch, step, and the task weights of the schedule.
FAULT is `none` or `phase,count,action,amount`: when the phase starts for the count-th time, `kill` sends this process a
SIGKILL after `amount` seconds, and `fill` fills the disk of --run_dir except for `amount` bytes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PHASES = ("preparation", "epoch", "checkpoint", "evaluation", "export")
FILLER = "filler"


def _place(phase: str) -> tuple[Any, str]:
    """The module or class and the name of the function that starts a phase."""
    from experiments import runner
    from experiments.checkpoints import Checkpoints
    from experiments.recorder import Recorder

    return {
        "preparation": (runner, "open_dataset"),
        "epoch": (Recorder, "on_train_batch_end"),
        "checkpoint": (Checkpoints, "save"),
        "evaluation": (runner, "predict_split"),
        "export": (runner, "_export"),
    }[phase]


def _inject(action: str, amount: float, folder: Path) -> None:
    if action == "kill":
        timer = threading.Timer(amount, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
        return
    filler = folder.parent / FILLER
    with filler.open("wb", buffering=0) as file:
        while (free := shutil.disk_usage(folder).free - int(amount)) > 0:
            file.write(bytes(min(free, 2**20)))


def _prepare(fault: str, folder: Path) -> None:
    if fault == "none":
        return
    phase, count, action, amount = fault.split(",")
    owner, name = _place(phase)
    original: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, int(count) + 1))

    def with_fault(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) == int(count):
            _inject(action, float(amount), folder)
        return original(*args, **kwargs)

    setattr(owner, name, with_fault)


def _write_draws(path: Path) -> None:
    from mtl_keras import MultiTaskModel
    from mtl_keras.callbacks import TaskScheduler

    draw = TaskScheduler.on_train_batch_begin
    apply = MultiTaskModel.set_step_weights
    place = [0, 0]

    def on_train_batch_begin(self: TaskScheduler, batch: int, logs: Any = None) -> None:
        place[:] = self._epoch, batch
        draw(self, batch, logs)

    def set_step_weights(self: MultiTaskModel, rows: Any) -> None:
        with path.open("a") as file:
            file.write(f"{place[0]} {place[1]} {rows.tolist()}\n")
        apply(self, rows)

    TaskScheduler.on_train_batch_begin = on_train_batch_begin
    MultiTaskModel.set_step_weights = set_step_weights


def main() -> None:
    """Runs the program."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    draws, fault, *arguments = sys.argv[1:]
    folder = next(Path(flag.partition("=")[2]) for flag in arguments if flag.startswith("--run_dir="))
    import train

    _prepare(fault, folder)
    _write_draws(Path(draws))
    train.program(["train.py", *arguments])


if __name__ == "__main__":
    main()
