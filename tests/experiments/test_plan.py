"""What a comparison trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from experiments.config import RunConfig
from experiments.plan import Plan
from experiments.run_flags import specifications

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


def test_they_may_have_arguments() -> None:
    plan = Plan(CONFIG, ("cagrad(c=0.2)", "cagrad(c=0.4)", "dst(count=1)"), (0,))
    assert [(str(folder.parent), config.weighting, config.schedule) for folder, config in plan.runs()][1:] == [
        ("cagrad(c=0.2)", "cagrad(c=0.2)", "none"),
        ("cagrad(c=0.4)", "cagrad(c=0.4)", "none"),
        ("dst(count=1)", "static", "dst(count=1)"),
    ]
    with pytest.raises(ValueError, match=r"c must be a finite number.*Received: c=-1"):
        Plan(CONFIG, ("cagrad(c=-1)",), (0,))


def test_an_unknown_name_is_met_with_the_choices() -> None:
    with pytest.raises(
        ValueError, match=r"Unknown value of --compare\. Did you mean 'pcgrad'\? .*Choices: .*single_task"
    ):
        Plan(CONFIG, ("pcgard",), (0,))


def test_a_plan_is_read_again_named_if_damaged_and_removed_with_empty_folders(tmp_path: Path) -> None:
    plan, folder = Plan(CONFIG, ("single_task",), (0, 1)), tmp_path / "garments"
    plan.save(folder)
    assert Plan.load(folder) == plan
    (folder / "single_task" / "item").mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match=r"plan\.json is damaged: 'config'"):
        Plan.load(folder)
    Plan.remove(folder)
    assert not folder.exists()


def test_networks_are_compared_with_the_same_method() -> None:
    config = dataclasses.replace(CONFIG, model="cross_stitch", init_from="runs/first")
    plan = Plan(config, ("cnn(filters=8)", "mmoe(experts=4)", "nddr", "single_task"), (0,))
    found = {str(folder): settings for folder, settings in plan.runs()}
    assert [(name, settings.model, settings.init_from) for name, settings in found.items()] == [
        ("multi_task/seed-0", "cross_stitch", "runs/first"),
        ("cnn(filters=8)/seed-0", "cnn(filters=8)", None),
        ("mmoe(experts=4)/seed-0", "mmoe(experts=4)", None),
        ("nddr/seed-0", "nddr", "runs/first"),
        ("single_task/item/seed-0", "cross_stitch", None),
        ("single_task/group/seed-0", "cross_stitch", None),
    ]
    assert found["mmoe(experts=4)/seed-0"].weighting == "uncertainty"

    own_trunk = dataclasses.replace(CONFIG, model="cnn(filters=4)")
    plan = Plan(own_trunk, ("mmoe(experts=4)", "nddr(mlp)", "ple(trunk=lenet)", "two_paths", "mlp"), (0,))
    assert [settings.model for _, settings in plan.runs()][1:] == [
        "mmoe(cnn(filters=4), experts=4)", "nddr(mlp)", "ple(trunk=lenet)", "two_paths", "mlp"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"Unknown argument of network 'mmoe'. Did you mean 'experts'"):
        Plan(CONFIG, ("mmoe(expert=4)",), (0,))


def test_commas_within_brackets_do_not_divide() -> None:
    entries = "pcgrad,mmoe(experts=4, tower=[8, 4]),ple(cnn(filters=8, dense=4), levels=1),dst".split(",")
    assert specifications(entries) == (
        "pcgrad",
        "mmoe(experts=4, tower=[8, 4])",
        "ple(cnn(filters=8, dense=4), levels=1)",
        "dst",
    )
