"""The section "Sharing" of the report of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.run_report import run_report
from mtl_keras.callbacks.sharing_summary import (
    AttentionSummary,
    BranchSummary,
    GateSummary,
    SharingSummary,
    StitchSummary,
)
from tests.reports.markup import Page, drawings
from tests.reports.records import write_run

TASKS = ("click", "click_long")


def gate(owner: str, weights: tuple[float, ...], level: int = 1) -> GateSummary:
    experts = tuple(
        f"{owner}_expert{level}_1" if place == 0 else f"expert{level}_{place}" for place in range(len(weights))
    )
    return GateSummary(f"{owner}_gate{level}", owner, level, experts, weights, weights, 0.25)


def section(folder: Path, summary: SharingSummary, tasks: tuple[str, ...] = TASKS) -> tuple[Page, list[str]]:
    """Returns the section of a report, and the text alternatives of its figures."""
    source = run_report(write_run(folder, tasks, sharing=summary)).read_text("utf-8")
    assert "sharing" in [part["id"] for part in Page(source).all("section")]
    start = source.index('<section id="sharing"')
    part = source[start : source.index("</section>", start) + len("</section>")]
    return Page(part), [drawing.attrib["aria-label"] for drawing in drawings(part)]


def test_gates(tmp_path: Path) -> None:
    gates = (gate("click", (0.75, 0.245, 0.005)), gate("click_long", (0.25, 0.745, 0.005)))
    page, labels = section(tmp_path / "run", SharingSummary(100, gates))
    assert "At the end of epoch 3, the best, on 100 examples of the validation split." in page.words
    assert "Unused experts: expert1_2. Their mean weight is below 1% in every gate that reads them." in page.words
    assert "clickclick_expert1_1" not in page.words
    assert "gateclick_expert1_1click_long_expert1_1expert1_1expert1_2" in page.words
    assert page.words.count("click0.750-0.2450.005") == 2  # mean weights, and shares of the examples
    assert "click0.2280.2280.250" in page.words  # entropy: first and last epoch, and in nats
    assert labels == [
        "Gates by experts. The largest weight of each gate: click: click_expert1_1 (75%), click_long: expert1_1 (74%).",
        "From the first epoch to the last: click 0.228 to 0.228, click_long 0.228 to 0.228.",
    ]


def test_gates_of_two_levels_and_many_tasks(tmp_path: Path) -> None:
    tasks = tuple(f"task{number}" for number in range(12))
    gates = tuple(gate(task, (0.5, 0.5), level) for level in (1, 2) for task in tasks)
    page, labels = section(tmp_path / "run", SharingSummary(100, gates), tasks)
    assert "Mean weight of each expert, level 2" in page.words
    assert "Every expert is used" in page.words
    assert "Unused" not in page.words
    assert len(labels) == 3
    assert page.all("details")


@pytest.mark.parametrize(("kind", "what"), [("CrossStitch", "weight"), ("NDDR", "share of the absolute weights")])
def test_stitches(tmp_path: Path, kind: str, what: str) -> None:
    unit = StitchSummary(kind, 1, TASKS, TASKS, ((0.8, 0.2), (0.4, 0.6)))
    page, labels = section(tmp_path / "run", SharingSummary(stitches=(unit,)))
    assert f"{kind}, level 1: {what} features ofclickclick_long" in page.words
    assert "click_long0.4000.600" in page.words
    assert labels == [
        f"{kind}, level 1: rows are mixed from columns. The largest weight of another: click from click_long (0.200), "
        "click_long from click (0.400)."
    ]


def test_attention(tmp_path: Path) -> None:
    modules = tuple(AttentionSummary(f"{task}1", task, 1, mask) for task, mask in zip(TASKS, (0.25, 0.5), strict=True))
    page, labels = section(tmp_path / "run", SharingSummary(9, attention=modules))
    assert "tasklevel 1 click0.250" in page.words
    assert labels == ["Tasks by levels. The mean mask is between 25% and 50%."]


def test_tree(tmp_path: Path) -> None:
    branches = (
        BranchSummary("branch", "node2_1", 1, ("node1_1", "node1_2"), (0.45, 0.55), "node1_2"),
        BranchSummary("click_branch", "click", 2, ("node2_1", "node2_2"), (0.9, 0.1), "node2_1"),
    )
    paths = {"click": ("node1_2", "node2_1"), "click_long": ("node1_2", "node2_2")}
    page, labels = section(tmp_path / "run", SharingSummary(branches=branches, paths=paths))
    assert "node1_2 node2_1: click node2_2: click_long" in page.words
    assert "node2_1node1_255%2" in page.words
    assert "Undecided choices: node2_1. Their most likely node has a probability below 60%" in page.words
    assert labels == []


def test_without_soft_sharing_there_is_no_section(tmp_path: Path) -> None:
    source = run_report(write_run(tmp_path / "run")).read_text("utf-8")
    assert "sharing" not in [part["id"] for part in Page(source).all("section")]
