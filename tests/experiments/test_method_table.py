"""All compared methods in one table."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from experiments.comparison_report import comparison_page, report_comparison
from experiments.method_comparison import ALL, Measure, compare_methods, method_folders
from experiments.method_table import MethodTable, method_table
from experiments.run_results import read_methods
from experiments.tables import print_method_table
from tests.reports.markup import Page
from tests.reports.records import write_comparison

# Item has two metrics: accuracy and mae; group has its accuracy. The second number is added for seed 1.
VALUES = {
    "multi_task": {"item": {"accuracy": 0.8, "mae": 1.8}, "group": {"accuracy": 0.6}},
    "single_task": {"item": {"accuracy": 0.8, "mae": 2.0}, "group": {"accuracy": 0.5}},
    "equal_weights": {"item": {"accuracy": 0.6, "mae": 1.0}, "group": {"accuracy": 0.5}},
}


def write_values(folder: Path) -> Path:
    """Writes a comparison with these values for seed 0, and values that are greater by 0.2 for seed 1."""
    write_comparison(folder, seeds=(0, 1))
    for file in folder.rglob("metrics.json"):
        content = json.loads(file.read_text())
        method = file.relative_to(folder).parts[0]
        shift = 0.2 * (file.parent.name == "seed-1")
        for task, scores in content["tasks"].items():
            scores |= {name: {"value": value + shift, "baseline": 0.5} for name, value in VALUES[method][task].items()}
        content["higher_is_better"] = {"item": {"accuracy": True, "mae": False}, "group": {"accuracy": True}}
        file.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_values(tmp_path_factory.mktemp("table") / "garments")


def table_of(*folders: Path) -> MethodTable | None:
    methods = read_methods(method_folders(folders))
    return method_table(methods, compare_methods(methods))


def test_every_metric_of_every_method(folder: Path) -> None:
    table = table_of(folder)
    assert table is not None
    assert table.rows() == [
        ["method", "item accuracy ↑", "item mae ↓", "group accuracy ↑", "delta_m (%)", "delta_p (%)", "mean rank"],
        ["multi_task", "0.9000", "1.9000", "0.7000", "+8.73", "+10.71", "1.50"],
        ["single_task", "0.9000", "2.1000", "0.6000", "+0.00", "+0.00", "2.33"],
        ["equal_weights", "0.7000", "1.1000", "0.6000", "+8.47", "+6.35", "2.17"],
    ]
    gains = [0, 100 * 0.2 / 2.1, 100 * 0.1 / 0.6]
    assert table.delta_m["multi_task"] == pytest.approx(sum(gains) / 3)
    assert table.delta_p["multi_task"] == pytest.approx((gains[1] / 2 + gains[2]) / 2)
    assert (table.seeds, table.reference) == ((0, 1), "single_task")
    assert table.not_dominated == ("multi_task", "equal_weights")
    assert "mean gain in % of single_task, computed from these means (positive is better)." in table.notes[1]
    assert "equal methods get the average of their ranks" in table.notes[2]
    assert table.notes[3].endswith(": multi_task, equal_weights.")


def test_the_comparison_has_all_metrics(folder: Path) -> None:
    methods = read_methods(method_folders([folder]))
    against_single, _ = compare_methods(methods)
    every = against_single.measures[Measure("test", ALL)]
    assert every is against_single.all_metrics is not against_single.first
    assert [(entry.task, entry.metric) for entry in every.tasks] == [
        ("item", "accuracy"),
        ("item", "mae"),
        ("group", "accuracy"),
    ]
    assert against_single.first.has_one_metric_per_task
    assert every.delta_m.mean == pytest.approx(sum(entry.relative_gain for entry in every.tasks) / 3)


def test_it_is_printed_and_on_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report_comparison([folder])
    out = capsys.readouterr().out
    assert "multi_task against single_task: all metrics, test split, 2 seeds" in out
    assert "delta_p, the mean over 2 tasks: +" in out
    assert "│ multi_task    │          0.9000 │" in out
    words = Page((folder / "comparison.html").read_text("utf-8")).words
    assert "multi_task0.90001.90000.7000+8.73+10.711.50" in words
    assert "gains in % of single_task (positive is better) and the mean rank" in words
    assert "All metrics on the test split" in words
    assert "delta_m, the mean over 3 metrics: +" in words


def test_a_narrow_terminal_has_the_gains_and_ranks(folder: Path) -> None:
    table = table_of(folder)
    assert table is not None
    for width in (60, 120):
        out = io.StringIO()
        print_method_table(table, Console(file=out, width=width, force_terminal=True, no_color=True))
        lines = Text.from_ansi(out.getvalue()).plain.splitlines()
        assert max(map(len, lines)) <= width
        assert any("+8.73" in line and "1.50" in line for line in lines)
        assert any("item mae ↓" in line for line in lines) is (width == 120)


def test_without_single_task_networks_the_first_baseline_is_the_reference(folder: Path) -> None:
    table = table_of(folder / "equal_weights", folder / "multi_task")
    assert table is not None
    assert table.reference == "multi_task"
    assert math.isnan(table.delta_m["equal_weights"]) is False
    assert list(table.values) == ["equal_weights", "multi_task"]


def test_a_method_with_an_unknown_value_has_no_rank(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "garments")
    file = copy / "equal_weights" / "seed-0" / "metrics.json"
    content = json.loads(file.read_text())
    content["tasks"]["item"]["mae"]["value"] = None
    file.write_text(json.dumps(content))
    table = table_of(copy)
    assert table is not None
    assert table.rows()[3] == ["equal_weights", "0.7000", "-", "0.6000", "-", "-", "-"]
    assert table.rows()[1][-1] == "1.17"
    assert table.not_dominated == ("multi_task",)


def test_runs_of_earlier_versions_have_their_primary_metrics(tmp_path: Path) -> None:
    table = table_of(write_comparison(tmp_path / "garments"))
    assert table is not None
    assert [(entry.task, entry.metric) for entry in table.metrics] == [("item", "accuracy"), ("group", "accuracy")]
    assert "delta_m = delta_p (one metric a task)" in table.notes[1]


def test_without_a_common_seed_there_is_no_table(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "garments")
    shutil.rmtree(copy / "equal_weights" / "seed-0")
    shutil.rmtree(copy / "single_task" / "item" / "seed-1")
    methods = read_methods(method_folders([copy]))
    comparisons = compare_methods(methods)
    assert method_table(methods, comparisons) is None
    assert "No table of all methods" in Page(comparison_page(methods, comparisons, None)).words
