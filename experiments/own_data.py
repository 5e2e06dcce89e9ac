"""Runs on a dataset that was made in Python, which the programs cannot open."""

from __future__ import annotations

import dataclasses

import data
from experiments.config import OWN, RunConfig
from experiments.files import read_json
from experiments.run_directory import RunDirectory

_DATA_SETTINGS = ("synthetic", "examples", "data_dir", "cache", "on_bad_example", "tasks", "task_types", "image_size")


def with_own_data(config: RunConfig) -> RunConfig:
    """Returns the settings of a run that is given its dataset, which they call `"own"`.

    Raises:
        ValueError: if they name another dataset, or say how one is to be opened.
    """
    usual = RunConfig()
    if config.dataset not in (usual.dataset, OWN):
        raise ValueError(f"A run is on `dataset`, or on the one of its settings. Received: dataset={config.dataset!r}")
    for name in _DATA_SETTINGS:
        if getattr(config, name) != getattr(usual, name):
            raise ValueError(
                f"`dataset` is open already: {name} is for one that a run opens. "
                f"Received: {name}={getattr(config, name)!r}"
            )
    return dataclasses.replace(config, dataset=OWN)


def check_known(config: RunConfig) -> None:
    """Raises a ValueError if the dataset of a run was made in Python, with what can be done then."""
    if config.dataset == OWN:
        raise ValueError(
            "The data of this run were made in Python and are not known here (dataset='own'). In Python, evaluate it "
            "with experiments.evaluation.evaluate, or go on with it with run(..., resume=True, dataset=...); "
            "`evaluate.py --report` and `--predict` need no data."
        )


def check_same(directory: RunDirectory, dataset: data.AnyDataset) -> None:
    """Raises a ValueError if a run that is resumed began with other data, as far as their name and sizes tell."""
    if not directory.started:
        return
    check_tasks(directory, dataset)
    began = read_json(directory.config_file).get("data") or {}
    now = dataset.description()
    for name in ("name", "sizes"):
        if name in began and began[name] != now[name]:
            raise ValueError(f"The run goes on with a dataset of {name} {began[name]}. Received: {now[name]}")


def check_tasks(directory: RunDirectory, dataset: data.AnyDataset) -> None:
    """Raises a ValueError if a run's model is for other images or classes than a dataset has, as far as records say."""
    began = read_json(directory.config_file).get("data") or {}
    shape = began.get("image_shape", list(dataset.image_shape))
    if shape != list(dataset.image_shape):
        raise ValueError(
            f"The run in {directory.path} is on images of another shape, {tuple(shape)}. "
            f"Received: {dataset.image_shape}"
        )
    now = data.described(dataset.tasks)
    for name, trained in began.get("tasks", {}).items():
        if trained != now.get(name):
            raise ValueError(
                f"The labels are not those that the run in {directory.path} began with. Task {name!r} was {trained}. "
                f"Received: {now.get(name)}"
            )
