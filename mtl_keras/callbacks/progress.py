"""`Progress`: shows the progress of a multi-task run in a terminal, a notebook or a log file."""

from __future__ import annotations

import atexit
import importlib
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import keras
import rich
from rich.console import Console, Group, RenderableType
from rich.jupyter import JupyterMixin
from rich.live import Live
from rich.progress import BarColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.segment import Segments

from mtl_keras.callbacks.progress_table import epoch_line, relative_change, task_table
from mtl_keras.logs import primary_metrics, task_names, without_nan

_REFRESH_SECONDS = 1.0
_LINES_AROUND_TASKS = 7  # two bars, the titles, the totals, "... and more", the caption, and one left free


class Progress(keras.callbacks.Callback):
    """Shows the progress of a multi-task run. Use it with `verbose=0` in `fit`.

    In a terminal: one line per epoch and, below, bars of the epoch and of all epochs with the time left, and a table
    with one row per task (loss and primary metric on training and validation data, weight, share of the steps in which
    it ran, trend). If the tasks do not fit in the terminal, those whose loss changed most are shown; the table printed
    after training has all of them. The trend is the change of the validation loss (of the training loss without
    validation) since the last epoch that has one: `v` falling, `^` rising, `=` the same.

    In a Jupyter or Colab notebook: the bars and the table are one output that is updated in place, and the lines of the
    epochs are below it.

    Everywhere else, programs that a notebook cell starts (`!python train.py`) included: one plain line per epoch, with
    the keys of the logs as names.

    The callback does not wait for the device: batches only update the bars, once a second, and their logs are not
    read. In a terminal, any other output to stdout or stderr removes the display first, so that a run that fails or is
    interrupted leaves the terminal as it was.

    Args:
        console: where to write; by default rich's own console, on stdout.
        live: whether to show the bars and the table; if not, only the lines of the epochs are shown.

    Raises:
        TypeError: in `fit`, if the model is not a multi-task model.

    Example:

    ```python
    model.fit(dataset, epochs=10, verbose=0, callbacks=[Progress()])
    ```
    """

    def __init__(self, console: Console | None = None, *, live: bool = True) -> None:
        super().__init__()
        self.live = live
        self._console = console or rich.get_console()
        self._display: _NotebookDisplay | _TerminalDisplay | None = None
        if live and self._console.is_jupyter:
            self._display = _NotebookDisplay(self._render)
        elif live and (console.is_terminal if console else can_redraw(self._console)):
            self._display = _TerminalDisplay(self._console, self._render)
        self._training = False

    def __repr__(self) -> str:
        return f"Progress(live={self.live})"

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._names = task_names(self.model)
        self._epochs: int = self.params["epochs"]
        self._bars = _Bars(self._epochs, self.params.get("steps"))
        self._logs: Mapping[str, float] = {}
        self._losses: dict[str, float] = {}
        self._trends: dict[str, float] = {}
        self._table: Segments | None = None
        self._table_size = (0, 0)
        self._last_refresh = -math.inf
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._bars.begin_epoch(epoch)
        self._epoch_start = time.monotonic()
        self._refresh_if_due()

    # Not `on_train_batch_end`: Keras would then wait for the logs where it could pass them asynchronously.
    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._bars.step = batch
        self._refresh_if_due()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if self._training:
            self._bars.end_steps(validating=True)
            self._refresh()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._logs = without_nan(logs or {})
        self._table = None
        self._metrics = primary_metrics(self.model, self._logs)
        self._compare_losses()
        self._bars.end_steps(validating=False)
        seconds = time.monotonic() - self._epoch_start
        width = self._console.width if self._console.is_terminal else None
        line = epoch_line(epoch, self._epochs, seconds, self._logs, self._metrics, width)
        if self._console.is_jupyter:  # rich would make a separate output of each line
            print(line, file=self._console.file, flush=True)
        else:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._refresh()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._training = False
        if self._display:
            self._display.finish(self._task_table(self._console.width) if self._logs else None)

    def _compare_losses(self) -> None:
        self._trends = {}
        for name in self._names:
            for key in (f"val_{name}_loss", f"{name}_loss"):
                if key in self._logs and key in self._losses:
                    self._trends[name] = relative_change(self._losses[key], self._logs[key])
                    break
        self._losses |= {key: value for key, value in self._logs.items() if key.endswith("_loss")}

    def _refresh_if_due(self) -> None:
        if time.monotonic() - self._last_refresh >= _REFRESH_SECONDS:
            self._refresh()

    def _refresh(self) -> None:
        if self._display:
            self._bars.update()
            self._display.refresh()
        self._last_refresh = time.monotonic()

    def _render(self) -> RenderableType:
        if not self._logs:
            return self._bars.rich
        # The layout of the table takes the most time, and between epochs only the bars change.
        if self._table is None or self._table_size != self._console.size:
            self._table_size = width, height = self._console.size
            rows = max(1, height - _LINES_AROUND_TASKS)
            table = self._task_table(width, rows)
            self._table = Segments(list(self._console.render(table)))
        return Group(self._bars.rich, self._table)

    def _task_table(self, width: int, rows: int | None = None) -> RenderableType:
        return task_table(self._logs, self._names, self._metrics, self._trends, width, rows)


def can_redraw(console: Console) -> bool:
    """Returns whether lines that were written to stdout can be overwritten.

    With FORCE_COLOR, rich takes a pipe for a terminal. A notebook cell runs programs in a terminal, but appends all
    output to the cell; `JPY_PARENT_PID` is in the environment of Jupyter kernels.
    """
    if console.is_dumb_terminal or "JPY_PARENT_PID" in os.environ:
        return False
    return console.is_terminal and console.file.isatty()


class _Bars:
    """Two progress bars with the time left: the epoch and all epochs, with validation.

    Args:
        epochs: number of epochs.
        steps: steps per epoch; `None` if not known before the end of the first epoch.

    Attributes:
        step: the current step, counted from 0 in each epoch.
        rich: the renderable, as of the last `update`.
    """

    def __init__(self, epochs: int, steps: int | None) -> None:
        self.step = 0
        self._epochs, self._steps = epochs, steps
        self._first_epoch: int | None = None
        columns = "{task.description}", BarColumn(None), TimeRemainingColumn()
        self.rich = RichProgress(
            *columns, get_time=time.monotonic, speed_estimate_period=math.inf, auto_refresh=False, expand=True
        )
        self._bars = [self.rich.add_task("", total=None) for _ in range(2)]

    def begin_epoch(self, epoch: int) -> None:
        """Records the start of an epoch, counted from 0; a resumed run does not start with 0."""
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch, self.step, self._validating = epoch, 0, False
        self.rich.reset(self._bars[0])

    def end_steps(self, validating: bool) -> None:
        """Records that the steps of the epoch are done, and whether validation starts."""
        # The number of steps may not be known before the first epoch has ended.
        self.step = self._steps = self._steps or self.step + 1
        self._validating = validating

    def update(self) -> None:
        """Brings the bars and the time left up to date. rich measures the speed from the first call on with `step` > 0.

        This excludes the first step, which compiles.
        """
        first = self._first_epoch or 0
        done = (self._epoch - first) * (self._steps or 0) + self.step
        total = (self._epochs - first) * self._steps if self._steps else None
        position = "validation" if self._validating else f"step {self.step}/{self._steps or '?'}"
        texts = (
            f"epoch {self._epoch + 1}/{self._epochs}  {position}",
            f"all epochs  {done / total:.0%}" if total else "",
        )
        for bar, text, completed, of in zip(self._bars, texts, (self.step, done), (self._steps, total), strict=True):
            self.rich.update(bar, description=text or "all epochs", completed=completed, total=of)


class _NotebookDisplay(JupyterMixin):
    """An output of a notebook cell that is updated in place.

    Args:
        render: returns the content of the display.
    """

    def __init__(self, render: Callable[[], RenderableType]) -> None:
        self._render = render
        self._handle: Any = None

    def __rich__(self) -> RenderableType:
        return self._render()

    def refresh(self) -> None:
        """Updates the output, or makes it in the cell that runs now."""
        if self._handle is None:
            # In a notebook, IPython is installed; elsewhere it need not be.
            display = importlib.import_module("IPython.display").display
            self._handle = display(self, display_id=True)
        else:
            self._handle.update(self)

    def finish(self, table: RenderableType | None) -> None:
        """Leaves a table in place of the display."""
        if self._handle is not None and table is not None:
            self._handle.update(table)
        self._handle = None


class _TerminalDisplay:
    """A live display that is removed by the first other write to stdout or stderr.

    Keras does not notify callbacks if `fit` fails, so they could not stop the display then.

    Args:
        console: the terminal.
        render: returns the content of the display.
    """

    def __init__(self, console: Console, render: Callable[[], RenderableType]) -> None:
        self._console = console
        self._render = render
        self._live: Live | None = None
        self._streams: dict[str, _ObservedStream] = {}

    def refresh(self) -> None:
        """Redraws the display, or starts it if it is not shown."""
        if self._live is not None:
            self._live.refresh()
            return
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)
        # A killed process could not show a hidden cursor again.
        self._console.show_cursor(True)
        for name in ("stdout", "stderr"):
            self._streams[name] = _ObservedStream(getattr(sys, name), self._hide)
            setattr(sys, name, self._streams[name])
        atexit.register(self._hide)

    def finish(self, table: RenderableType | None) -> None:
        """Removes the display and prints a table."""
        self._hide()
        if table is not None:
            self._console.print(table)

    def _hide(self) -> None:
        live, self._live = self._live, None
        if live is None:
            return
        atexit.unregister(self._hide)
        for name, stream in self._streams.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, stream.rich_proxied_file)
        live.stop()


class _ObservedStream:
    """A stream that calls a function before each write, except rich's: rich writes to `rich_proxied_file`."""

    def __init__(self, stream: TextIO, before_write: Callable[[], None]) -> None:
        self.rich_proxied_file = stream
        self._before_write = before_write

    def write(self, text: str) -> int:
        self._before_write()
        return self.rich_proxied_file.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)
