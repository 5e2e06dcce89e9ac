from __future__ import annotations

import io

import pytest
from rich.console import Console

from mtl_keras.callbacks import progress
from mtl_keras.callbacks.progress import _Bars
from tests.mtl_keras.callbacks.clock import Clock, stopped_clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch, progress)


def lines(bars: _Bars, step: int | None = None) -> list[list[str]]:
    """The words of both lines, without the bars themselves."""
    if step is not None:
        bars.step = step
    bars.update()
    console = Console(file=io.StringIO(), width=80)
    console.print(bars.rich)
    assert isinstance(console.file, io.StringIO)
    return [[word for word in line.split() if word[0] not in "━╸╺"] for line in console.file.getvalue().splitlines()]


def test_time_left_is_that_of_the_steps_after_the_first(clock: Clock) -> None:
    bars = _Bars(epochs=2, steps=10)
    bars.begin_epoch(0)
    assert lines(bars) == [["epoch", "1/2", "step", "0/10", "-:--:--"], ["all", "epochs", "0%", "-:--:--"]]
    clock.now = 1000.0  # compiles
    assert lines(bars, 1) == [["epoch", "1/2", "step", "1/10", "-:--:--"], ["all", "epochs", "5%", "-:--:--"]]
    clock.now += 2.0
    assert lines(bars, 3) == [["epoch", "1/2", "step", "3/10", "0:00:07"], ["all", "epochs", "15%", "0:00:17"]]


def test_validation_counts_for_all_epochs_not_for_the_next_one(clock: Clock) -> None:
    bars = _Bars(epochs=2, steps=10)
    bars.begin_epoch(0)
    lines(bars, 1)
    clock.now = 9.0
    bars.end_steps(validating=True)
    assert lines(bars) == [["epoch", "1/2", "validation", "0:00:00"], ["all", "epochs", "50%", "0:00:10"]]
    clock.now = 18.0
    bars.end_steps(validating=False)
    bars.begin_epoch(1)
    assert lines(bars)[0] == ["epoch", "2/2", "step", "0/10", "-:--:--"]
    lines(bars, 1)
    clock.now += 3.0
    assert lines(bars, 4) == [["epoch", "2/2", "step", "4/10", "0:00:06"], ["all", "epochs", "70%", "0:00:10"]]


def test_a_resumed_run_counts_from_its_first_epoch_and_may_not_know_its_steps(clock: Clock) -> None:
    bars = _Bars(epochs=6, steps=None)
    bars.begin_epoch(4)
    assert [line[:4] for line in lines(bars)] == [["epoch", "5/6", "step", "0/?"], ["all", "epochs"]]
    lines(bars, 9)
    clock.now = 45.0
    bars.end_steps(validating=False)
    bars.begin_epoch(5)
    assert lines(bars, 5)[0] == ["epoch", "6/6", "step", "5/10", "-:--:--"]
    assert lines(bars, 5)[1][:3] == ["all", "epochs", "75%"]
