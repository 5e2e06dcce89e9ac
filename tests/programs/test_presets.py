"""Presets by name: the list, what flags change of them, and those on Fashion-MNIST and CIFAR-100, which run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import data
from experiments import presets
from experiments.presets import cifar100, fashion_mnist
from tests.programs.conftest import Program
from tests.programs.smoke import runs_through


@pytest.mark.parametrize("name", [*fashion_mnist.PRESETS, *cifar100.PRESETS])
def test_it_runs_through(program: Program, drawn: Path, tmp_path: Path, name: str) -> None:
    runs_through(program, name, drawn, tmp_path / "run")


def test_the_list_has_every_preset_with_its_purpose(program: Program) -> None:
    lines = program("train", "--list").out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[n, p.purpose] for n, p in presets.PRESETS.items()]


def test_every_preset_is_valid_and_weighs_no_other_tasks_than_its_own() -> None:
    for preset in presets.PRESETS.values():
        preset.config.check()
        tasks = data.recipes[preset.config.dataset](preset.config.tasks).tasks
        assert set(preset.config.task_weights) <= set(tasks)


def test_flags_change_the_preset_and_nothing_else(program: Program, drawn: Path, tmp_path: Path) -> None:
    flags = ["--experiment=cifar10_3", "--synthetic", "--smoke", "--tasks=class,animal", f"--data_dir={drawn}"]
    flags += ["--task_weights=class=2"]
    assert program("train", *flags, f"--run_dir={tmp_path / 'run'}", "--batch_size=32").code == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["tasks"] == ["class", "animal"]
    assert config["task_weights"] == {"class": 2.0, "animal": 0.1}
    assert (config["batch_size"], config["epochs"]) == (32, 1)
    assert config["optimizer"] == "adam(clipnorm=1.0)"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--experiment=cifar10_6"], "Did you mean 'cifar10_"),
        (["--experiment=cifar10_1", "--smoke"], "--synthetic"),
        (["--smoke", "--synthetic"], "--experiment"),
        (["--seeds=0,1"], "--compare"),
        (["--compare=single_task", "--seeds=0,1", "--seed=2"], "not both"),
        (["--compare=single_task", "--synthetic", "--tasks=itme"], "Did you mean 'item'"),
        (["--compare=single_task", "--synthetic", "--model=cnnn"], "Did you mean 'cnn'"),
        (["--experiment=cifar10_1", "--dataset=cifar100"], "uses dataset cifar10"),
        (["--compare=single_taks"], "Did you mean 'single_task'"),
        (["--compare=single_task", "--seeds=0,x"], "--seeds takes whole numbers"),
        (["--compare=single_task", "--seeds=1,1"], "different"),
        (["--examples=5"], "synthetic"),
        (["--weighting=dwaa"], "Did you mean 'dwa'"),
    ],
)
def test_mistakes_are_told_in_one_line(program: Program, tmp_path: Path, flags: list[str], message: str) -> None:
    outcome = program("train", *flags, f"--run_dir={tmp_path / 'run'}")
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
