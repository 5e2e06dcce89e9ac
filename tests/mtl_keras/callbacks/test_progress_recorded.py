"""What `Progress` shows, as recorded in `recorded/`: text files to look at.

`RECORD=1 python -m pytest tests/mtl_keras/callbacks/test_progress_recorded.py` writes them anew; what changed is then
seen in their differences.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import struct
import sys
import termios
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from mtl_keras.callbacks import progress
from mtl_keras.callbacks.progress import Progress
from tests.mtl_keras.callbacks.clock import Clock, stopped_clock
from tests.mtl_keras.callbacks.screen import Screen

RECORDED = Path(__file__).with_name("recorded")
HEIGHT, EPOCHS, STEPS = 24, 3, 200
# As long as names get; these two are the same but for their ends.
LONG = ("a_task_whose_name_is_forty_letters_long1", "a_task_whose_name_is_forty_letters_long2")
TASKS = {2: LONG, 41: (*(f"attribute_{number}" for number in range(39)), *LONG)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch, progress)


def logs_of(names: tuple[str, ...], epoch: int) -> dict[str, float]:
    """Logs in which every entry has another value, of tasks that rise, fall, stay and do not run."""
    logs = {"loss": 12.3456 - epoch, "mtl_score": 0.7001, "val_loss": 23.4567, "val_mtl_score": 0.6001}
    for number, name in enumerate(names):
        change = 1 + epoch * (-1) ** number * (number + 1) / 100
        logs |= {
            f"{name}_loss": 1e-5 if number == 1 else 123.4567 + number,
            f"{name}_accuracy": 0.2011 + 0.001 * number,
            f"val_{name}_loss": (23456.7 if number == 1 else 0.3011 + 0.001 * number) * change,
            f"val_{name}_accuracy": 0.4011 + 0.001 * number,
            f"{name}_weight": 0.5011 + 0.001 * number,
            f"{name}_active": 1.0 if number % 3 else number / 100,
        }
    return logs


def train(callback: Progress, names: tuple[str, ...], clock: Clock, look: Screen | None = None) -> str:
    """Goes through the events of a training run: 1.5 s for the first step, 0.25 s for each other, 10 s to validate.

    Returns:
        what `look` showed at some of them.
    """
    seen: list[str] = []

    def snapshot(title: str) -> None:
        if look:
            output = callback._console.file
            assert isinstance(output, io.StringIO)
            look.write(output.getvalue())
            output.seek(0)
            output.truncate()
            seen.append(f"--- {title}\n{look.text}")

    callback.set_model(SimpleNamespace(task_names=names))
    callback.set_params({"epochs": EPOCHS, "steps": STEPS})
    callback.on_train_begin()
    for epoch in range(EPOCHS):
        callback.on_epoch_begin(epoch)
        for batch in range(STEPS):
            callback.on_train_batch_begin(batch)
            clock.now += 0.25 if epoch or batch else 1.5
            if batch == 50 and epoch < 2:
                snapshot(f"in epoch {epoch + 1}")
        callback.on_test_begin()
        if epoch == 1:
            snapshot("validation")
        clock.now += 10
        callback.on_epoch_end(epoch, logs_of(names, epoch))
    callback.on_train_end()
    snapshot("after training")
    return "\n".join(seen)


def compare(name: str, text: str) -> None:
    """Compares with what is recorded, or records it."""
    file = RECORDED / f"{name}.txt"
    if os.environ.get("RECORD"):
        RECORDED.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")


def after_training(tasks: int, width: int) -> str:
    """What is recorded to stay in a terminal."""
    text = (RECORDED / f"{tasks}_tasks_{width}_columns.txt").read_text("utf-8")
    return text.partition("--- after training\n")[2]


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, height=HEIGHT, force_terminal=True, _environ={"TERM": "xterm"})


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("tasks", [2, 41])
def test_in_a_terminal(tasks: int, width: int, clock: Clock) -> None:
    screen = Screen(width)
    text = train(Progress(terminal(width)), TASKS[tasks], clock, screen)
    assert screen.wrapped == []
    table = text.partition("--- after training")[2]
    assert all(f"{0.4011 + 0.001 * number:.4f}" in table for number in range(tasks))
    compare(f"{tasks}_tasks_{width}_columns", text)


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("tasks", [2, 41])
def test_in_a_terminal_without_the_live_table(tasks: int, width: int, clock: Clock) -> None:
    screen = Screen(width)
    train(Progress(terminal(width), live=False), TASKS[tasks], clock, screen)
    assert screen.wrapped == []
    assert screen.text.splitlines() == after_training(tasks, width).splitlines()[:EPOCHS]


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("tasks", [2, 41])
def test_in_a_pipe(tasks: int, live: bool, clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=80 if live else 200, force_terminal=False)
    train(Progress(console, live=live), TASKS[tasks], clock)
    assert isinstance(console.file, io.StringIO)
    compare(f"{tasks}_tasks_piped", console.file.getvalue())


def in_a_pty(width: int, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], clock: Clock) -> str:
    """Trains with stdin, stdout and stderr on a pseudo-terminal, and returns what was written to it."""
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, width, 0, 0))
    chunks: list[bytes] = []

    def read() -> None:
        # The end of a pseudo-terminal whose other side is closed is an error.
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 65536):
                chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    before = [os.dup(number) for number in range(3)]
    try:
        with open(theirs, "w", encoding="utf-8") as stdout:
            for number in range(3):
                os.dup2(theirs, number)
            monkeypatch.setattr(sys, "stdout", stdout)
            train(Progress(Console()), names, clock)
            stdout.flush()
    finally:
        monkeypatch.undo()
        for number, kept in enumerate(before):
            os.dup2(kept, number)
            os.close(kept)
        reader.join(10)
        os.close(ours)
    return b"".join(chunks).decode()


def test_in_a_pseudo_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    output = in_a_pty(80, monkeypatch, TASKS[41], clock)
    screen = Screen(80)
    screen.write(output)
    assert screen.wrapped == []
    assert screen.text == after_training(41, 80)
    assert "\x1b[32m" in output  # and in colour


def test_colours_can_be_done_without(clock: Clock) -> None:
    plain, coloured = (
        Console(file=io.StringIO(), width=80, height=HEIGHT, force_terminal=True, _environ={"TERM": "xterm", **more})
        for more in ({"NO_COLOR": "1"}, {})
    )
    written = []
    for console in (plain, coloured):
        train(Progress(console), TASKS[2], clock)
        assert isinstance(console.file, io.StringIO)
        written.append(console.file.getvalue())
    assert "\x1b[32m" not in written[0]
    assert "\x1b[32m" in written[1]
    # What stays says the same: what rises and what falls have signs.
    screens = [Screen(80), Screen(80)]
    for screen, output in zip(screens, written, strict=True):
        screen.write(output)
    assert screens[0].text == screens[1].text
    assert "^ +" in screens[0].text
    assert "v -" in screens[0].text
