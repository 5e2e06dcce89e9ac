"""What a comparison trains."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from experiments.config import RunConfig
from experiments.plan import Plan, folder_name
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


def test_groups_have_a_network_each() -> None:
    plan = Plan(CONFIG, ("groups(item, group)", "groups(item+group)"), (0,))
    found = {str(folder): settings for folder, settings in plan.runs()}
    assert list(found) == [
        "multi_task/seed-0",
        "groups(item, group)/item/seed-0",
        "groups(item, group)/group/seed-0",
        "groups(item+group)/item+group/seed-0",
    ]
    together, alone = found["groups(item+group)/item+group/seed-0"], found["groups(item, group)/item/seed-0"]
    assert (together.tasks, together.weighting, together.task_weights) == (
        ("item", "group"),
        "uncertainty",
        {"item": 2.0},
    )
    assert (alone.tasks, alone.weighting, alone.schedule, alone.task_weights) == (
        ("item",),
        "static",
        "none",
        {"item": 1},
    )


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("groups(item)", "Every task must be in one of the groups. Missing: group. Received: groups(item)"),
        ("groups(itme+group)", "Unknown task in groups. Did you mean 'item'?"),
        ("groups", "groups takes the tasks of each network, joined by +, as groups(item+group, price)"),
        ("groups(item+, group)", "joined by +"),
        ("groups(item+item, group)", "Received twice: item+item"),
        ("groups(item+group, group+item)", "Received twice: item+group"),
        ("affinity(network=2)", "Did you mean 'networks'?"),
        ("affinity(networks=0)", "networks must be a finite number from 1 on. Received: networks=0"),
        ("affinity(kind=cosin)", "Unknown kind of affinity. Did you mean 'cosine'?"),
    ],
)
def test_mistakes_in_groups(baseline: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        list(Plan(CONFIG, (baseline,), (0,)).runs())


def test_proposed_groups_are_trained_with_seeds_other_than_the_measuring_one() -> None:
    plan = Plan(CONFIG, ("affinity(networks=2, kind=cosine)",), (0, 10_000))
    ((name, (folder, measuring)),) = plan.measurements().items()
    assert (str(folder), measuring.seed, measuring.monitor_gradients) == ("measurements/cosine-10", 10_001, 10)
    assert len(list(plan.runs())) == 2  # nothing is proposed yet
    found = [str(folder) for folder, _ in plan.runs({name: "groups(item, group)"})]
    assert found[:3] == ["multi_task/seed-0", f"{name}/item/seed-0", f"{name}/group/seed-0"]


def test_a_long_name_becomes_a_short_folder() -> None:
    name = f"groups({'+'.join(f'attribute_{number}' for number in range(40))})"
    assert re.fullmatch(r"groups-[0-9a-f]{8}", folder_name(name))
    assert folder_name("groups(item, group)") == "groups(item, group)"
