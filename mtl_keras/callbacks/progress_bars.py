"""Progress bars of the epoch and of the whole training, with the time left."""

from __future__ import annotations

import time
from datetime import timedelta

from rich.progress_bar import ProgressBar
from rich.table import Column, Table


class ProgressBars:
    """Two lines, each with a progress bar: the epoch and all epochs.

    The time left is estimated from the steps so far, without the first step, which compiles.

    Args:
        epochs: number of epochs.
        steps: steps per epoch; `None` if not known before the end of the first epoch.
    """

    def __init__(self, epochs: int, steps: int | None) -> None:
        self._epochs = epochs
        self._steps = steps
        self._first_epoch: int | None = None
        self._training = _Pace()

    def begin_epoch(self, epoch: int) -> None:
        """Records the start of an epoch, counted from 0; a resumed run does not start with 0."""
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch, self._step, self._validating = epoch, 0, False
        self._in_epoch = _Pace()

    def begin_step(self, step: int) -> None:
        """Records the start of a step, counted from 0 in each epoch."""
        self._step = step
        if step:
            self._in_epoch.begin(step)
            self._training.begin(self._done)

    def begin_validation(self) -> None:
        """Records that the steps of the epoch are done and validation starts."""
        # The number of steps may not be known before the first epoch has ended.
        self._step = self._steps = self._steps or self._step + 1
        self._validating = True

    def end_epoch(self) -> None:
        """Records the end of the epoch."""
        self._step = self._steps = self._steps or self._step + 1
        self._validating = False
        self._training.begin(self._done)

    def __rich__(self) -> Table:
        epoch = f"epoch {self._epoch + 1}/{self._epochs}"
        position = "validation" if self._validating else f"step {self._step}/{self._steps or '?'}"
        total = (self._epochs - (self._first_epoch or 0)) * self._steps if self._steps else None
        columns = Column(no_wrap=True), Column(ratio=1), Column(no_wrap=True, justify="right")
        bars = Table.grid(*columns, expand=True, padding=(0, 1))
        bars.add_row(f"{epoch}  {position}", *_bar(self._in_epoch, self._step, self._steps))
        bars.add_row(
            f"all epochs  {self._done / total:.0%}" if total else "all epochs", *_bar(self._training, self._done, total)
        )
        return bars

    @property
    def _done(self) -> int:
        """Steps since training began."""
        return (self._epoch - (self._first_epoch or 0)) * (self._steps or 0) + self._step


class _Pace:
    """Estimates the time left from the time of the steps since `begin`."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None

    def begin(self, done: int) -> None:
        """Starts the measurement, unless it has started."""
        if self._since is None:
            self._since = time.monotonic(), done

    def left(self, done: int, total: int | None) -> str:
        """Returns the time left as text, or `""` if it is not known."""
        if self._since is None or total is None or not self._since[1] < done < total:
            return ""
        start, first = self._since
        seconds = (time.monotonic() - start) / (done - first) * (total - done)
        return f"{timedelta(seconds=round(seconds))} left"


def _bar(pace: _Pace, done: int, total: int | None) -> tuple[ProgressBar, str]:
    return ProgressBar(total=1.0, completed=min(1.0, done / total) if total else 0.0), pace.left(done, total)
