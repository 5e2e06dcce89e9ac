"""Two bars: how far the epoch is and how far the training, and how long each will take."""

from __future__ import annotations

import time
from datetime import timedelta

from rich.progress_bar import ProgressBar
from rich.table import Column, Table


class ProgressBars:
    """What a run tells of its steps, as two lines.

    The time left is that of the steps so far, without the first step, which compiles.

    Args:
        epochs: how many there will be.
        steps: of an epoch; `None` if it is not known before the first has ended.
    """

    def __init__(self, epochs: int, steps: int | None) -> None:
        self._epochs = epochs
        self._steps = steps
        self._first_epoch: int | None = None
        self._training = _Pace()

    def begin_epoch(self, epoch: int) -> None:
        """Takes note that an epoch begins, counted from 0; a run that goes on does not begin with 0."""
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch, self._step, self._validating = epoch, 0, False
        self._in_epoch = _Pace()

    def begin_step(self, step: int) -> None:
        """Takes note that a step begins, counted from 0 in each epoch."""
        self._step = step
        if step:
            self._in_epoch.begin(step)
            self._training.begin(self._done)

    def begin_validation(self) -> None:
        """Takes note that the steps of the epoch are done, and validation begins."""
        # The number of steps may not be known before the first epoch has ended.
        self._step = self._steps = self._steps or self._step + 1
        self._validating = True

    def end_epoch(self) -> None:
        """Takes note that the epoch has ended."""
        self._step = self._steps = self._steps or self._step + 1
        self._validating = False
        self._training.begin(self._done)

    def __rich__(self) -> Table:
        epoch = f"epoch {self._epoch + 1}/{self._epochs}"
        at = "validation" if self._validating else f"step {self._step}/{self._steps or '?'}"
        total = (self._epochs - (self._first_epoch or 0)) * self._steps if self._steps else None
        columns = Column(no_wrap=True), Column(ratio=1), Column(no_wrap=True, justify="right")
        bars = Table.grid(*columns, expand=True, padding=(0, 1))
        bars.add_row(f"{epoch}  {at}", *_bar(self._in_epoch, self._step, self._steps))
        bars.add_row(
            f"all epochs  {self._done / total:.0%}" if total else "all epochs", *_bar(self._training, self._done, total)
        )
        return bars

    @property
    def _done(self) -> int:
        """Steps since training began."""
        return (self._epoch - (self._first_epoch or 0)) * (self._steps or 0) + self._step


class _Pace:
    """Since when steps are counted."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None

    def begin(self, done: int) -> None:
        """Counts from here on, if it does not yet."""
        if self._since is None:
            self._since = time.monotonic(), done

    def left(self, done: int, total: int | None) -> str:
        """Returns how long the rest takes at this pace, or nothing if that is not known."""
        if self._since is None or total is None or not self._since[1] < done < total:
            return ""
        start, first = self._since
        seconds = (time.monotonic() - start) / (done - first) * (total - done)
        return f"{timedelta(seconds=round(seconds))} left"


def _bar(pace: _Pace, done: int, total: int | None) -> tuple[ProgressBar, str]:
    return ProgressBar(total=1.0, completed=min(1.0, done / total) if total else 0.0), pace.left(done, total)
