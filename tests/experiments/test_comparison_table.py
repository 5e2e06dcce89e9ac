"""A comparison fits where it is shown."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from rich.text import Text

from experiments.comparison import Measure, MethodComparison
from experiments.comparison_table import print_comparison
from mtl_keras.analysis import Cost, CostComparison, TaskResults, compare

LONG = "a_task_whose_name_is_forty_letters_long1"
FEW = ("item", "group")
MANY = (*(f"attribute_{number}" for number in range(40)), LONG)


def comparison(names: tuple[str, ...]) -> MethodComparison:
    together, alone = {0: 0.80, 1: 0.82}, {0: 0.75, 1: 0.75}
    results = [TaskResults(name, "accuracy", True, together, alone) for name in names]
    compared = compare(results, names=("multi_task", "single_task"))
    cost = Cost(1_000_000, 0.1, 100.0)
    return MethodComparison("last", {Measure("test", "primary"): compared}, CostComparison(cost, cost))


def printed(names: tuple[str, ...], width: int, terminal: bool) -> str:
    out = io.StringIO()
    print_comparison(comparison(names), Console(file=out, width=width, force_terminal=terminal, no_color=True))
    return Text.from_ansi(out.getvalue()).plain


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("names", [FEW, MANY])
def test_in_a_terminal_nothing_is_cut_or_wrapped(names: tuple[str, ...], width: int) -> None:
    text = printed(names, width, terminal=True)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    rows = [line for line in text.splitlines() if "no clear difference" in line]
    assert [row.split()[1] for row in rows] == list(names)
    assert all("+0.0600 [-0.0671, +0.1871]" in row for row in rows) is (width == 200 or names == FEW)
    assert all("0.8100 ± 0.0141" in row for row in rows) is (width == 200)


@pytest.mark.parametrize("names", [FEW, MANY])
def test_a_file_gets_all_columns_and_a_line_for_each_sentence(names: tuple[str, ...]) -> None:
    lines = printed(names, 80, terminal=False).splitlines()
    assert sum("0.8100 ± 0.0141" in line and "+0.0600 [-0.0671, +0.1871]" in line for line in lines) == len(names)
    assert "Negative transfer (clearly worse): none." in lines


def test_a_comparison_comes_back_from_json() -> None:
    one = comparison(FEW)
    assert MethodComparison.from_json(json.loads(json.dumps(one.to_json()))) == one
