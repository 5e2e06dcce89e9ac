"""Presets by name: the list, their networks, what flags change of them, and runs of those that differ most."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import data
from experiments import presets
from experiments.presets import celeba_attributes
from models import network
from tests.celeb_a_folder import write_celeb_a_folder
from tests.programs.conftest import Program

# One for each dataset and kind of task; CelebA is below. Networks, weightings and schedules are trained in other tests.
TRAINED = ("cifar10_4", "cifar100_mixed")


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("name", TRAINED)
def test_it_runs_through(program: Program, drawn: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    outcome = program(
        "train", f"--experiment={name}", "--synthetic", "--smoke", f"--data_dir={drawn}", f"--run_dir={run}"
    )
    assert outcome.code == 0, outcome.err
    config = json.loads((run / "config.json").read_text())
    assert config["experiment"] == name
    assert config["data"]["synthetic"]
    tasks = json.loads((run / "metrics.json").read_text())["tasks"]
    assert list(tasks) == list(config["tasks"] or tasks)
    assert all(math.isfinite(entries["loss"]["value"]) for entries in tasks.values())


@pytest.mark.usefixtures("no_report")
def test_celeb_a_runs_through_from_plain_files(program: Program, tmp_path: Path) -> None:
    sizes = {"train": 8, "validation": 4, "test": 4}
    run, files = tmp_path / "run", write_celeb_a_folder(tmp_path / "files", sizes, zipped=True)
    flags = ["--experiment=celeba_landmarks", "--model=face_groups(trunk='cnn(filters=4)', frozen=False)"]
    outcome = program("train", *flags, "--epochs=1", "--batch_size=4", f"--data_dir={files}", f"--run_dir={run}")
    assert outcome.code == 0, outcome.err
    assert json.loads((run / "config.json").read_text())["data"]["sizes"] == sizes
    assert "landmarks" in json.loads((run / "metrics.json").read_text())["tasks"]


def test_the_list_has_every_preset_with_its_purpose(program: Program) -> None:
    lines = program("train", "--list").out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[n, p.purpose] for n, p in presets.PRESETS.items()]


@pytest.mark.filterwarnings("ignore:The trunk of network .* is frozen at random weights")
@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_is_valid_and_has_a_network_for_its_tasks(name: str) -> None:
    preset = presets.PRESETS[name]
    preset.config.check()
    config = preset.smoke_config()
    tasks = data.default_tasks(config.dataset) if config.tasks is None else data.available_tasks(config.dataset)
    tasks = tasks.subset(config.tasks or tasks)
    assert set(config.task_weights) <= set(tasks)
    # Images of dense datasets may have any size.
    shape = data.recipes[config.dataset]().image_shape if config.dataset in data.recipes.names else (32, 64, 3)
    _, outputs = network(config.model, tasks, shape)
    assert list(outputs) == list(tasks)


def test_the_kept_attributes_are_those_above_the_mean_ratio() -> None:
    positives = dict(zip(celeba_attributes.EIGHT, (18177, 43278, 83603, 33280, 3713, 24685, 39213, 38341)))
    ratios = {name: count / max(positives.values()) for name, count in positives.items()}
    mean = sum(ratios.values()) / len(ratios)
    assert tuple(name for name, ratio in ratios.items() if ratio > mean) == celeba_attributes.KEPT
    assert [round(ratios[name], 4) for name in ("5_o_Clock_Shadow", "Big_Nose")] == [0.2174, 0.4586]
