"""Results of groups of tasks that overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.run_results import read_methods
from experiments.task_groups import write_groups
from tests.reports.records import write_run


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
