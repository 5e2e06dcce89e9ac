"""`RunConfig` declares each setting once; what implements a setting has the same choices."""

from __future__ import annotations

import copy
import dataclasses
import json
import shlex
from pathlib import Path

import pytest

import data
import train
from experiments.config import SETTINGS, RunConfig
from experiments.run_flags import config_from_flags, train_command
from mtl_keras import distribution
from mtl_keras.export.formats import SUFFIXES


def test_choices_are_those_of_the_modules_that_implement_them() -> None:
    assert set(SETTINGS["cache"].choices) == set(data.CACHES)
    assert set(SETTINGS["on_bad_example"].choices) == set(data.ON_BAD_EXAMPLE)
    assert set(SETTINGS["distribute"].choices) == {"none", *distribution.STRATEGIES}
    assert set(SETTINGS["export"].choices) == set(SUFFIXES)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        (
            "--epochs=3 --learning_rate=0.1 --augment",
            {"epochs": 3, "learning_rate": 0.1, "augment": True},
        ),
        ("--tasks=item,group", {"tasks": ("item", "group")}),
        ("--task_weights=item=1,group=0.5", {"task_weights": {"item": 1.0, "group": 0.5}}),
        ("--dataset=csv:/a.csv --task_types=a=binary", {"dataset": "csv:/a.csv", "task_types": {"a": "binary"}}),
        ("--image_size=64", {"image_size": (64, 64)}),
        ("--image_size=64x96", {"image_size": (64, 96)}),
        ("--train_examples=1000", {"train_examples": 1000}),
        ("--train_examples=0.1", {"train_examples": 0.1}),
        ("--export --export_formats=onnx", {"export": ("saved_model", "onnx")}),
    ],
)
def test_flags_become_settings(arguments: str, expected: dict[str, object]) -> None:
    config = _config(arguments.split())
    assert config == RunConfig(**expected)  # type: ignore[arg-type]
    assert _config(_command(config)) == config


@pytest.mark.parametrize(
    "arguments",
    [
        "--experiment=fashion_mnist --epochs=2 --task_weights=group=0.5 --seed=3",
        "--experiment=cifar10_3 --synthetic --smoke --mixed_precision",
    ],
)
def test_the_command_of_a_preset_gives_its_settings(arguments: str) -> None:
    config = _config(arguments.split())
    assert _command(config)[:2] == ["--experiment", config.experiment]
    assert _config(_command(config)) == config


def test_flags_change_a_preset_and_nothing_else() -> None:
    preset = ["--experiment=cifar10_3", "--synthetic", "--smoke"]
    config = _config([*preset, "--tasks=class,animal", "--task_weights=class=2", "--batch_size=32"])
    weights = {"class": 2.0, "animal": 0.1}
    assert config == dataclasses.replace(
        _config(preset), tasks=("class", "animal"), task_weights=weights, batch_size=32
    )
    assert (config.epochs, config.optimizer) == (1, "adam(clipnorm=1.0)")


def _config(arguments: list[str]) -> RunConfig:
    values = copy.deepcopy(train.FLAGS)
    values(["train.py", *arguments])
    return config_from_flags(values)


def _command(config: RunConfig) -> list[str]:
    command = train_command(json.loads(json.dumps(config.to_json())))
    assert command is not None
    return shlex.split(command)[2:]


def test_images_that_must_not_be_flipped() -> None:
    with pytest.raises(ValueError, match=r"examples of multi_fashion cannot be flipped: .* Received: augment=True"):
        RunConfig(dataset="multi_fashion", augment=True).check()


def test_the_form_of_your_own_files_is_suggested(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.touch()
    for place, form in ((table, "csv"), (tmp_path, "folder")):
        with pytest.raises(ValueError, match=f"use dataset={form}:{place}"):
            RunConfig(dataset=str(place)).check()
