"""Runs on a dataset made in Python, which the programs cannot open."""

from __future__ import annotations

import dataclasses

import data
from experiments.config import OWN, RunConfig
from experiments.files import read_json
from experiments.run_directory import RunDirectory

_DATA_SETTINGS = ("synthetic", "examples", "data_dir", "cache", "on_bad_example", "tasks", "task_types", "image_size")


def with_own_data(config: RunConfig) -> RunConfig:
    """Returns the settings of a run with a given dataset: their `dataset` is `"own"`.

    Raises:
        ValueError: if the settings name another dataset, or have settings for opening one.
    """
    usual = RunConfig()
    if config.dataset not in (usual.dataset, OWN):
        raise ValueError(f"Pass `dataset` or name one in the settings, not both. Received: dataset={config.dataset!r}")
    for name in _DATA_SETTINGS:
        if getattr(config, name) != getattr(usual, name):
            raise ValueError(
                f"`dataset` is already open, so {name} cannot be set. Received: {name}={getattr(config, name)!r}"
            )
    return dataclasses.replace(config, dataset=OWN)


def check_known(config: RunConfig) -> None:
    """Raises a ValueError with advice if the dataset of a run was made in Python."""
    if config.dataset == OWN:
        raise ValueError(
            "The data of this run were made in Python and are not known here (dataset='own'). In Python, evaluate it "
            "with experiments.evaluation.evaluate, or resume it with run(..., resume=True, dataset=...); "
            "`evaluate.py --report` and `--predict` need no data."
        )


def check_same(directory: RunDirectory, dataset: data.AnyDataset) -> None:
    """Raises a ValueError if a resumed run was started with data of another name or other sizes."""
    if not directory.started:
        return
    check_tasks(directory, dataset)
    recorded = read_json(directory.config_file).get("data") or {}
    current = dataset.description()
    for name in ("name", "sizes"):
        if name in recorded and recorded[name] != current[name]:
            raise ValueError(
                f"The run was started with a dataset of {name} {recorded[name]}. Received: {current[name]}"
            )


def check_tasks(directory: RunDirectory, dataset: data.AnyDataset) -> None:
    """Raises a ValueError if the recorded image shape or tasks of a run differ from those of a dataset."""
    recorded = read_json(directory.config_file).get("data") or {}
    shape = recorded.get("image_shape", list(dataset.image_shape))
    if shape != list(dataset.image_shape):
        raise ValueError(
            f"The run in {directory.path} is on images of another shape, {tuple(shape)}. "
            f"Received: {dataset.image_shape}"
        )
    current = data.described(dataset.tasks)
    for name, trained in recorded.get("tasks", {}).items():
        if trained != current.get(name):
            raise ValueError(
                f"The labels are not those that the run in {directory.path} began with. Task {name!r} was {trained}. "
                f"Received: {current.get(name)}"
            )
