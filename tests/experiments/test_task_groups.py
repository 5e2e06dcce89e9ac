"""Results of groups of tasks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.comparison_report import report_comparison
from experiments.config import RunConfig
from experiments.plan import Plan
from experiments.proposals import proposed_groups
from experiments.run_results import read_methods
from experiments.task_groups import AffinityGroups, write_groups
from mtl_keras.analysis import Affinity
from tests.reports.records import write_comparison, write_run


def test_a_task_in_several_groups_is_that_of_the_best_group_in_validation(tmp_path: Path) -> None:
    groups = (("item", "group"), ("item", "shape"))
    for seed in (0, 1):
        for gain, group in zip((0.0, 0.1), groups):
            write_run(tmp_path / "+".join(group) / f"seed-{seed}", group, seed=seed, gain=gain)
    write_groups(tmp_path, groups)
    (method,) = read_methods([tmp_path])
    assert method.group_of("item", "best_mean") == {"item", "shape"}
    served = {run.seed: run for run in method.runs if "shape" in run.tasks}
    expected = {seed: run.score("item").value for seed, run in served.items()}
    assert method.by_seed("item", "accuracy", "best_mean", "test") == expected
    assert method.curve("item", "accuracy", [0]) == list(served[0].history["item_accuracy"])
    assert len(method.costs((0, 1))) == 2  # both networks are paid for

    (tmp_path / "groups.json").unlink()
    (method,) = read_methods([tmp_path])
    with pytest.raises(ValueError, match=r"Two runs in .* train task 'item' with seed 0"):
        method.by_seed("item", "accuracy", "best_mean", "test")

    (tmp_path / "groups.json").write_text("[]")
    with pytest.raises(ValueError, match=r"groups\.json is damaged"):
        read_methods([tmp_path])


def test_groups_are_judged_against_all_tasks_together_and_each_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = write_comparison(tmp_path / "comparison"), "groups(item+group)"
    Plan(RunConfig(synthetic=True, epochs=3), ("single_task", name), (0, 1, 2)).save(folder)
    for seed in (0, 1, 2):
        write_run(folder / name / "item+group" / f"seed-{seed}", seed=seed, gain=0.2)
    write_groups(folder / name, [("item", "group")])
    report_comparison([folder])
    found = [(each["method"], each["baseline"]) for each in json.loads((folder / "comparison.json").read_text())]
    assert found == [("multi_task", "single_task"), ("multi_task", name), (name, "single_task")]
    printed = capsys.readouterr().out
    table = printed[printed.index("verdicts on the groups") :].split("All methods")[0]
    assert "against multi_task" in table
    (item,) = [line for line in table.splitlines() if "item " in line and "accuracy" in line]
    assert item.count("better") == 2  # than together, and than alone
    assert f"{name}: item+group." in table
    page = (folder / "comparison.html").read_text()
    assert f"<li>{name}: item+group.</li>" in page
    assert f"{name} against single_task" in page
    assert "Task by task: mean" in page


def test_a_run_too_short_to_measure_all_pairs_is_named_and_thin_evidence_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks, asked = ("item", "group"), AffinityGroups(networks=1, every=20)
    count = np.array([[3, 3], [0, 0]])
    short = Affinity.from_sums(tasks, 0.1 * count, 0.1 * count, count)
    directory = write_run(tmp_path / "short", tasks, affinity=short)
    with pytest.raises(
        ValueError, match=r'too short .*--compare="affinity\(networks=1, every=1\)"\. Received: every=20'
    ):
        proposed_groups(tmp_path / "method", asked, directory)
    noise = Affinity.from_sums(tasks, np.full((2, 2), 0.1), np.full((2, 2), 0.5), np.full((2, 2), 9))
    directory = write_run(tmp_path / "noise", tasks, affinity=noise)
    assert proposed_groups(tmp_path / "method", asked, directory) == "groups(item+group)"
    assert "0 of 2 affinities between two tasks are clearly not 0. The evidence is thin" in capsys.readouterr().out
