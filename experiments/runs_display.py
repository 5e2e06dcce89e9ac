"""`RunsDisplay`: shows the progress of several runs that are trained at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import rich
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from experiments.run_job import Outcome, RunJob, attempts
from mtl_keras.callbacks.progress import can_redraw

WAITING = "waiting"
_LINES_AROUND = 3  # "... and more", the cursor, and one left free


class RunsDisplay:
    """Shows the runs, one line each with its epochs and state, updated by `refresh`. Use it as a context.

    In a terminal the lines are redrawn; if there are too many, finished and waiting runs are left out. Elsewhere there
    is one plain line when a run starts, when it is resumed after its process was killed, and when it ends.

    The progress is read from the run directories, so it is the same for runs on other machines.

    Args:
        jobs: the runs.
        folder: the folder of all of them, left out in their names.
        verbose: as in the settings: 0 for no output, 1 for the display, 2 for the plain lines.
        console: where to write; by default rich's own console, on stdout.
    """

    def __init__(self, jobs: Sequence[RunJob], folder: Path, verbose: int, console: Console | None = None) -> None:
        self._console = console or rich.get_console()
        self._verbose = verbose
        self._runs = {job.path: _Progress(job, str(job.path.relative_to(folder))) for job in jobs}
        self._live: Live | None = None
        if verbose == 1 and can_redraw(self._console):
            self._live = Live(console=self._console, get_renderable=self._table, auto_refresh=False)

    def __enter__(self) -> RunsDisplay:
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def end(self, job: RunJob, outcome: Outcome) -> None:
        """Shows that a run has ended."""
        run = self._runs[job.path]
        run.update()
        run.end(outcome)
        self._print(run, f"{outcome.state} after {run.seconds:.0f} s{f': {outcome.reason}' if outcome.reason else ''}")

    def refresh(self) -> None:
        """Brings the display up to date."""
        for run in self._runs.values():
            if run.update():
                resumed = run.epochs_done or run.attempt > 1
                where = f" from epoch {run.epochs_done + 1}" if run.epochs_done else ""
                killed = f"process killed, attempt {run.attempt}: " if run.attempt > 1 else ""
                self._print(run, f"{killed}{'resumed' if resumed else 'started'}{where}")
        if self._live:
            self._live.refresh()

    def _print(self, run: _Progress, text: str) -> None:
        if self._verbose and not self._live:
            done = sum(each.outcome is not None for each in self._runs.values())
            line = f"[{done}/{len(self._runs)}] {run.name}: {text}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for _ in range(3):
            table.add_column(no_wrap=True)
        room = max(1, self._console.height - _LINES_AROUND)
        shown = list(self._runs.values())
        if len(shown) > room:
            # Running ones first, then the next ones.
            shown = sorted(shown, key=lambda run: (run.outcome is not None, run.attempt == 0))[:room]
            shown = [run for run in self._runs.values() if run in shown]
        for run in shown:
            table.add_row(run.name, ProgressBar(run.epochs, run.epochs_done, width=20), run.state())
        if len(shown) < len(self._runs):
            done = sum(run.outcome is not None for run in self._runs.values())
            table.add_row(f"{done} of {len(self._runs)} runs have ended")
        return table


class _Progress:
    """How far a run is.

    Args:
        job: the run.
        name: its name.

    Attributes:
        attempt: how many processes have trained it, of those that were started since this object was made.
        epochs_done: number of epochs in its history.
        outcome: how it ended; `None` before.
    """

    def __init__(self, job: RunJob, name: str) -> None:
        self.name, self.epochs = name, job.config.epochs
        self._directory = job.directory
        self._before = attempts(self._directory)
        self.attempt = 0
        self.epochs_done = 0
        self.outcome: Outcome | None = None
        self._began = self._ended = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since it was started, until its end."""
        return (self._ended or time.monotonic()) - self._began if self._began else 0.0

    def update(self) -> bool:
        """Reads the run directory; returns whether a process has started the run since the last call."""
        if self.outcome is not None:
            return False
        started = max(0, attempts(self._directory) - self._before) - self.attempt
        self.attempt += started
        if self.attempt:
            self._began = self._began or time.monotonic()
            self.epochs_done = self._count_epochs()
        return started > 0

    def end(self, outcome: Outcome) -> None:
        """Stores how the run ended."""
        self.outcome, self._ended = outcome, time.monotonic()

    def state(self) -> str:
        """Returns the state in words."""
        if self.outcome is not None:
            return f"{self.outcome.state}, {self.seconds:.0f} s"
        if not self.attempt:
            return WAITING
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        now = min(self.epochs_done + 1, self.epochs)
        phase = f"epoch {now} of {self.epochs}" if self.epochs_done < self.epochs else "evaluation"
        return f"{phase}, {self.seconds:.0f} s{again}"

    def _count_epochs(self) -> int:
        try:
            return max(0, self._directory.history_file.read_bytes().count(b"\n") - 1)
        except FileNotFoundError:
            return 0
