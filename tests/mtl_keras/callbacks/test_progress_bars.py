from __future__ import annotations

import io

import pytest
from rich.console import Console

from mtl_keras.callbacks import progress_bars
from mtl_keras.callbacks.progress_bars import ProgressBars
from tests.mtl_keras.callbacks.clock import Clock, stopped_clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch, progress_bars)


def lines(bars: ProgressBars) -> list[list[str]]:
    """The words of both lines, without the bars themselves."""
    console = Console(file=io.StringIO(), width=80)
    console.print(bars)
    assert isinstance(console.file, io.StringIO)
    return [[word for word in line.split() if word[0] not in "━╸"] for line in console.file.getvalue().splitlines()]


def test_time_left_is_that_of_the_steps_after_the_first(clock: Clock) -> None:
    bars = ProgressBars(epochs=2, steps=10)
    bars.begin_epoch(0)
    assert lines(bars) == [["epoch", "1/2", "step", "0/10"], ["all", "epochs", "0%"]]
    clock.now = 1000.0  # compiles
    bars.begin_step(1)
    assert lines(bars) == [["epoch", "1/2", "step", "1/10"], ["all", "epochs", "5%"]]
    clock.now += 2.0
    bars.begin_step(3)
    assert lines(bars) == [
        ["epoch", "1/2", "step", "3/10", "0:00:07", "left"],
        ["all", "epochs", "15%", "0:00:17", "left"],
    ]


def test_validation_counts_for_all_epochs_not_for_the_next_one(clock: Clock) -> None:
    bars = ProgressBars(epochs=2, steps=10)
    bars.begin_epoch(0)
    bars.begin_step(1)
    clock.now = 9.0
    bars.begin_validation()
    assert lines(bars) == [["epoch", "1/2", "validation"], ["all", "epochs", "50%", "0:00:10", "left"]]
    clock.now = 18.0
    bars.end_epoch()
    bars.begin_epoch(1)
    assert lines(bars) == [["epoch", "2/2", "step", "0/10"], ["all", "epochs", "50%", "0:00:20", "left"]]
    bars.begin_step(1)
    clock.now += 3.0
    bars.begin_step(4)
    assert lines(bars)[0] == ["epoch", "2/2", "step", "4/10", "0:00:06", "left"]


def test_a_run_that_goes_on_counts_from_its_first_epoch_and_may_not_know_its_steps(clock: Clock) -> None:
    bars = ProgressBars(epochs=6, steps=None)
    bars.begin_epoch(4)
    assert lines(bars) == [["epoch", "5/6", "step", "0/?"], ["all", "epochs"]]
    bars.begin_step(1)
    bars.begin_step(9)
    clock.now = 45.0
    bars.end_epoch()
    bars.begin_epoch(5)
    bars.begin_step(5)
    assert lines(bars) == [["epoch", "6/6", "step", "5/10"], ["all", "epochs", "75%", "0:00:16", "left"]]


def test_epochs_of_one_step(clock: Clock) -> None:
    bars = ProgressBars(epochs=4, steps=1)
    for epoch in range(2):
        bars.begin_epoch(epoch)
        bars.begin_step(0)
        clock.now += 5.0
        bars.begin_validation()
        bars.end_epoch()
    assert lines(bars) == [["epoch", "2/4", "step", "1/1"], ["all", "epochs", "50%", "0:00:10", "left"]]
