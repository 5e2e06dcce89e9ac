"""The report of a comparison shows the verdicts and the numbers of each method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.comparison_report import report_comparison
from tests.reports.markup import Page, drawings
from tests.reports.records import FORTY_ONE, write_comparison, write_run

SECTIONS = ["against-1", "against-2", "methods", "curves", "cost", "configuration"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_comparison(tmp_path_factory.mktemp("comparison") / "garments")
    report_comparison([path])
    return path


def test_the_verdicts_come_first(folder: Path) -> None:
    source = (folder / "comparison.html").read_text("utf-8")
    page = Page(source)
    assert [section["id"] for section in page.all("section")] == SECTIONS
    lead = page.words[: page.words.index("Bars to the right")]
    assert "multi_task against single_task, 3 seeds" in lead
    assert "Gained: item, group." in lead
    assert "Suffered (negative transfer): none." in lead
    outcome, _ = json.loads((folder / "comparison.json").read_text())
    assert f"delta_m = delta_p: {outcome['delta_m']['mean']:+.2f} [{outcome['delta_m']['low']:+.2f}" in lead
    assert "After Holm's correction for 2 tasks tested at once: better: item, group; worse: none." in lead
    assert "Synthetic images" in lead
    assert "Small test split: 30 images." in lead
    assert "Few steps: 30 in all: the network is hardly trained." in lead
    # The tasks of single-task networks, and their weights, differ by construction.
    assert "The first runs of all methods have the same settings" in page.words
    assert all(drawing.attrib["aria-label"] for drawing in drawings(source))
    assert len(set(page.ids)) == len(page.ids)
    assert "taskmethodseed 0seed 1seed 2" in page.words
    metrics = json.loads((folder / "single_task" / "item" / "seed-2" / "metrics.json").read_text())
    assert f"{metrics['tasks']['item']['accuracy']['value']:.4f}" in page.words


def test_folders_in_any_place_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, gain in (("first", 0.0), ("second", 0.1)):
        write_run(tmp_path / name / "method" / "seed-0", gain=gain)
    for verb in ("Written to", "Replaced"):
        report_comparison([tmp_path / "first" / "method", tmp_path / "second" / "method"], ["item"])
        assert f"{verb} {tmp_path / 'first'}" in capsys.readouterr().out.replace("\n", "")
    words = Page((tmp_path / "first" / "method" / "comparison-item.html").read_text("utf-8")).words
    assert str(tmp_path / "second" / "method") in words
    assert "One seed: there is no interval, so no verdict is known. Train with more seeds." in words
    assert "Not known (one seed, or a result that is not finite): item." in words


def test_differing_settings_and_how_to_add_seeds(tmp_path: Path) -> None:
    path = write_comparison(tmp_path / "garments", seeds=(3,))
    for folder in (path / "equal_weights", path / "single_task"):
        for file in folder.rglob("config.json"):
            config = json.loads(file.read_text())
            config |= {"tasks": [file.parent.parent.name], "epochs": 4 if folder.name == "single_task" else 3}
            file.write_text(json.dumps(config))
    report_comparison([path], quiet=True)
    words = Page((path / "comparison.html").read_text("utf-8")).words
    assert "tasks-one task eachequal_weights" in words
    assert "epochs343" in words
    assert f"To add seeds: python train.py --resume --run_dir {path} --seeds 4,5" in words


def test_many_tasks_have_a_table_of_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = FORTY_ONE[:13]
    path = write_comparison(tmp_path / "faces", tasks, seeds=(0, 1))
    report_comparison([path], quiet=True)
    assert capsys.readouterr().out == ""
    source = (path / "comparison.html").read_text("utf-8")
    words = Page(source).words
    assert "Of 13 tasks without any difference, about 0.7 would be called better or worse by chance." in words
    # Gains and ranks without the metrics, which are collapsed.
    assert "methoddelta_m (%)delta_p (%)mean rank multi_task+" in words
    assert "The same with all 13 metrics" in words
    alts = [drawing.attrib["aria-label"] for drawing in drawings(source)]
    assert [f"accuracy of {task} in validation" in alts for task in tasks] == [True] * 13


def test_the_error_names_a_damaged_history(tmp_path: Path) -> None:
    path = write_comparison(tmp_path / "garments")
    file = path / "equal_weights" / "seed-1" / "history.csv"
    file.write_text("epoch,item_loss\n0\n")
    with pytest.raises(ValueError, match=f"{file} is damaged: line 2"):
        report_comparison([path])
