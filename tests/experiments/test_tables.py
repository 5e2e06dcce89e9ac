"""Printed tables fit where they are shown."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest
from rich.console import Console
from rich.text import Text

from experiments.evaluation import Evaluation, Score, Scores
from experiments.method_comparison import Measure, MethodComparison
from experiments.tables import print_comparison, print_evaluation
from mtl_keras import Task, TaskSet
from mtl_keras.analysis import Cost, CostComparison, TaskResults, compare

TASKS = TaskSet([*(Task.binary(f"attribute_number_{i}") for i in range(40)), Task.landmarks("landmarks", ("a", "b"))])
TABLE: dict[str, Scores] = {
    name: {
        metric: Score(0.5, float("nan"))
        for metric in (
            ["accuracy", "balanced_accuracy", "loss", "recall"]
            if task.head == "binary"
            else ["point_error", "mae", "loss", "rmse"]
        )
    }
    for name, task in TASKS.items()
}
SCORES = ("accuracy", "precision", "recall", "f1")
OVERALL: Scores = {
    **{f"macro_{score}": Score(0.1 + i / 100, 0.2) for i, score in enumerate(SCORES)},
    **{f"micro_{score}": Score(0.3 + i / 100, 0.4) for i, score in enumerate(SCORES)},
}


TITLE = "runs/celeba_landmarks_frozen-20261122-101010: best.keras on the test split"
LONG = "a_task_whose_name_is_forty_letters_long1"


def printed(width: int, terminal: bool, overall: Scores | None = None, table: Mapping[str, Scores] = TABLE) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, no_color=True)
    print_evaluation(Evaluation(table, overall or {}), TITLE, console=console)
    return Text.from_ansi(out.getvalue()).plain


def test_many_different_metrics_have_a_row_each() -> None:
    tasks: dict[str, Scores] = {
        "depth": {name: Score(0.25, 0.5) for name in ("depth_error", "relative_error", "rmse", "within_1.25", "loss")},
        "normals": {name: Score(20.5, 30) for name in ("angle", "median_angle", "within_30", "loss", "further")},
        "room": {"accuracy": Score(0.75, float("nan")), "loss": Score(1.0, 2.0)},
    }
    out = io.StringIO()
    console = Console(file=out, width=60, force_terminal=True, no_color=True)
    iou = {"segments": {"wall": 0.5, "bed": float("nan")}}
    print_evaluation(Evaluation(tasks, {}, iou), TITLE, console=console)
    lines = [line.replace("│", " ").split() for line in Text.from_ansi(out.getvalue()).plain.splitlines()]
    assert ["depth", "depth_error", "0.2500", "0.5000"] in lines
    assert ["relative_error", "0.2500", "0.5000"] in lines
    assert ["normals", "angle", "20.5000", "30.0000"] in lines
    assert ["room", "accuracy", "0.7500", "-"] in lines
    assert not any("further" in line for line in lines)
    assert "IoU of segments: wall 0.5000, bed -".split() in lines


@pytest.mark.parametrize(("width", "terminal"), [(80, True), (200, True), (80, False)])
def test_nothing_is_cut_or_wrapped(width: int, terminal: bool) -> None:
    text = printed(width, terminal, OVERALL)
    assert "…" not in text
    assert sum("attribute_number_" in line for line in text.splitlines()) == 40
    if terminal:
        assert max(len(line) for line in text.splitlines()) <= width
    if not terminal or width == 200:
        assert "loss" in text
        assert "0.5000 (-)" in text


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("names", [["attribute_number_0", "landmarks"], list(TABLE)])
def test_every_task_has_its_primary_metric(names: list[str], width: int) -> None:
    table = {name.replace("attribute_number_0", LONG): TABLE[name] for name in names}
    lines = printed(width, terminal=True, table=table).splitlines()
    assert lines[0] == TITLE
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if "0.5000 (-)" in line]
    assert [row.split()[1] for row in rows] == list(table)


def test_further_metrics_are_left_to_the_file() -> None:
    text = printed(200, terminal=True)
    assert "balanced_accuracy" in text
    assert "mae" in text
    assert "rmse" not in text
    assert "recall" not in text
    assert "macro" not in text
    assert "More metrics are in the JSON file." in text.splitlines()


def test_overall_scores_have_a_row_each() -> None:
    rows = [line.split() for line in printed(80, terminal=True, overall=OVERALL).splitlines()]
    (recall,) = [row for row in rows if "recall" in row]
    assert [cell for cell in recall if cell[0].isalnum() or cell[0] == "("] == [
        "recall",
        "0.1200",
        "(0.2000)",
        "0.3200",
        "(0.4000)",
    ]


FEW = ("item", "group")
MANY = (*(f"attribute_{number}" for number in range(40)), LONG)


def comparison(names: tuple[str, ...]) -> MethodComparison:
    together, alone = {0: 0.80, 1: 0.82}, {0: 0.75, 1: 0.75}
    results = [TaskResults(name, "accuracy", True, together, alone) for name in names]
    compared = compare(results, names=("multi_task", "single_task"))
    cost = Cost(1_000_000, 0.1, 100.0)
    return MethodComparison("last", {Measure("test", "primary"): compared}, CostComparison(cost, cost))


def printed_comparison(names: tuple[str, ...], width: int, terminal: bool) -> str:
    out = io.StringIO()
    print_comparison(comparison(names), Console(file=out, width=width, force_terminal=terminal, no_color=True))
    return Text.from_ansi(out.getvalue()).plain


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("names", [FEW, MANY])
def test_of_a_comparison_nothing_is_cut_or_wrapped(names: tuple[str, ...], width: int) -> None:
    text = printed_comparison(names, width, terminal=True)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    rows = [line for line in text.splitlines() if "no clear difference" in line]
    assert [row.split()[1] for row in rows] == list(names)
    assert all("+0.0600 [-0.0671, +0.1871]" in row for row in rows) is (width == 200 or names == FEW)
    assert all("0.8100 ± 0.0141" in row for row in rows) is (width == 200)


@pytest.mark.parametrize("names", [FEW, MANY])
def test_a_file_gets_all_columns_and_a_line_for_each_sentence(names: tuple[str, ...]) -> None:
    lines = printed_comparison(names, 80, terminal=False).splitlines()
    assert sum("0.8100 ± 0.0141" in line and "+0.0600 [-0.0671, +0.1871]" in line for line in lines) == len(names)
    assert "Negative transfer (clearly worse): none." in lines


def test_a_comparison_comes_back_from_json() -> None:
    one = comparison(FEW)
    assert MethodComparison.from_json(json.loads(json.dumps(one.to_json()))) == one
