"""The table of an evaluation fits where it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from experiments.reporting import print_table
from mtl_keras import Task, TaskSet

TASKS = TaskSet([*(Task.binary(f"attribute_number_{i}") for i in range(40)), Task.landmarks("landmarks", ("a", "b"))])
TABLE = {
    name: {
        metric: {"value": 0.5, "baseline": float("nan")}
        for metric in (["accuracy", "balanced_accuracy"] if task.head == "binary" else ["point_error", "mae"])
        + ["loss"]
    }
    for name, task in TASKS.items()
}


@pytest.mark.parametrize(("width", "terminal"), [(80, True), (200, True), (80, False)])
def test_nothing_is_cut_or_wrapped(width: int, terminal: bool) -> None:
    out = io.StringIO()
    print_table(TABLE, "title", Console(file=out, width=width, force_terminal=terminal, no_color=True))
    text = Text.from_ansi(out.getvalue()).plain
    assert "…" not in text
    assert sum("attribute_number_" in line for line in text.splitlines()) == 40
    if terminal:
        assert max(len(line) for line in text.splitlines()) <= width
    if not terminal or width == 200:
        assert "loss" in text
        assert "0.5000 (-)" in text
