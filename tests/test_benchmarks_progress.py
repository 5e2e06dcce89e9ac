"""The benchmark of the terminal's display, without taking the time."""

from __future__ import annotations

import io
from typing import Any

import keras
from rich.console import Console

from benchmarks import progress
from mtl_keras.callbacks import Progress


class Clockwork:
    """A model that notes how it was trained."""

    def __init__(self) -> None:
        self.diary: list[tuple[int, list[type[keras.callbacks.Callback]]]] = []

    def fit(self, batches: Any, *, steps_per_epoch: int, callbacks: list[Any], **arguments: Any) -> None:
        self.diary.append((steps_per_epoch, [type(callback) for callback in callbacks]))


def test_both_ways_take_turns_and_each_is_first_half_of_the_time() -> None:
    model = Clockwork()
    found, shares = progress.measure(model, None, rounds=2, steps=7, console=Console(file=io.StringIO()))
    assert model.diary == [(7, [Progress]), (7, []), (7, []), (7, [Progress])]
    assert {name: len(seconds) for name, seconds in found.items()} == {progress.WITH: 2, progress.WITHOUT: 2}
    assert len(shares) == 2


def test_the_display_is_drawn() -> None:
    model, batches = progress.small()
    output = io.StringIO()
    console = Console(file=output, width=200, force_terminal=True)
    _, (share,) = progress.measure(model, batches, rounds=1, steps=2, console=console)
    assert 0 < share < 1
    assert "all epochs" in output.getvalue()
    assert "task_40" in output.getvalue()
