"""What a comparison trains."""

from __future__ import annotations

import pytest

from experiments.config import RunConfig
from experiments.plan import Plan

CONFIG = RunConfig(task_weights={"item": 2.0}, schedule="random_drop(keep=0.5)", weighting="uncertainty")


def test_weightings_and_schedules_are_compared_with_by_name() -> None:
    plan = Plan(CONFIG, ("pcgrad", "dst", "fixed_weights"), (3,))
    runs = {str(folder): config for folder, config in plan.runs()}
    assert list(runs) == ["multi_task/seed-3", "pcgrad/seed-3", "dst/seed-3", "fixed_weights/seed-3"]
    assert [(config.weighting, config.schedule) for config in runs.values()] == [
        ("uncertainty", "random_drop(keep=0.5)"),
        ("pcgrad", "none"),
        ("static", "dst"),
        ("static", "none"),
    ]
    assert all(config.task_weights == {"item": 2.0} and config.seed == 3 for config in runs.values())


def test_an_unknown_name_is_met_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"Unknown comparison\. Did you mean 'pcgrad'\? .*Choices: .*single_task"):
        Plan(CONFIG, ("pcgard",), (0,))
