"""A comparison fits where it is shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from experiments.comparison_table import print_comparison

LONG = "a_task_whose_name_is_forty_letters_long1"
FEW = ("item", "group")
MANY = (*(f"attribute_{number}" for number in range(40)), LONG)


def outcome(names: tuple[str, ...]) -> dict[str, Any]:
    tasks = [
        {
            "task": name,
            "metric": "accuracy",
            "higher_is_better": True,
            "method": {"mean": 0.81, "std": 0.01},
            "baseline": {"mean": 0.75, "std": 0.01},
            "difference": {"mean": 0.06, "low": 0.04, "high": 0.08},
            "verdict": "no clear difference",
        }
        for name in names
    ]
    cost = {"parameters": 1e6, "seconds_per_step": 0.1, "seconds": 100.0}
    return {
        "method": "multi_task",
        "baseline": "single_task",
        "seeds": [0, 1],
        "measures": [{"metric": "primary", "split": "test", "tasks": tasks}],
        "delta_m": {"mean": 1.0, "low": 0.5, "high": 1.5, "confidence": 0.95},
        "delta_m_convention": "positive is better",
        "negative_transfer": list(names),
        "tasks_left_out": [],
        "seeds_left_out": [],
        "cost": {"method": cost, "baseline": cost, "ratio": dict.fromkeys(cost, 1.0)},
    }


def printed(names: tuple[str, ...], width: int, terminal: bool) -> str:
    out = io.StringIO()
    print_comparison(outcome(names), Console(file=out, width=width, force_terminal=terminal, no_color=True))
    return Text.from_ansi(out.getvalue()).plain


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("names", [FEW, MANY])
def test_in_a_terminal_nothing_is_cut_or_wrapped(names: tuple[str, ...], width: int) -> None:
    text = printed(names, width, terminal=True)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    rows = [line for line in text.splitlines() if "no clear difference" in line]
    assert [row.split()[1] for row in rows] == list(names)
    assert all("+0.0600 [+0.0400, +0.0800]" in row for row in rows) is (width == 200 or names == FEW)
    assert all("0.8100 ± 0.0100" in row for row in rows) is (width == 200)


@pytest.mark.parametrize("names", [FEW, MANY])
def test_a_file_gets_all_columns_and_a_line_for_each_sentence(names: tuple[str, ...]) -> None:
    lines = printed(names, 80, terminal=False).splitlines()
    assert sum("0.8100 ± 0.0100" in line and "+0.0600 [+0.0400, +0.0800]" in line for line in lines) == len(names)
    assert f"Negative transfer (clearly worse): {', '.join(names)}." in lines
