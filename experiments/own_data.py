"""Runs on your own data: CSV files and folders, or a dataset made in Python.

The tasks of files are inferred. A dataset made in Python is recorded as `dataset="own"`; programs cannot open it.
"""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Mapping
from typing import Any

import data
from data.dataset import describe_missing_labels
from experiments.config import FEW_STEPS, OWN_DATASET, RunConfig
from experiments.files import read_json
from experiments.run_directory import RunDirectory

# The settings of `RunConfig` that `building.open_dataset` reads. They have no effect on a dataset that is already open.
_DATA_SETTINGS = (
    "synthetic",
    "examples",
    "train_examples",
    "data_dir",
    "cache",
    "on_bad_example",
    "tasks",
    "task_types",
    "features",
    "feature_types",
    "image_column",
    "image_extension",
    "image_size",
    "color_jitter",
)
_WIDTH = 79


def data_summary(dataset: data.AnyDataset, config: RunConfig) -> str:
    """Returns a summary of the data to print before training, because the inferred types of tasks may be wrong.

    It has one line about the images or for each type of feature, one line for each type of task, one line about missing
    labels if there are any, and a warning if there are few steps. Lines are cut to 79 characters.
    """
    sizes = ", ".join(f"{dataset.size(split)} {split}" for split in ("train", "validation", "test"))
    encoder = getattr(dataset, "features", None)
    if encoder is None:
        resized = " (--image_size)" if config.dataset.startswith(("csv:", "folder:")) else ""
        lines = [f"Data: {sizes}; images as {'x'.join(map(str, dataset.image_shape))}{resized}"]
    else:
        lines = [f"Data: {sizes}; {len(encoder.features)} columns as {len(encoder.names)} numbers"]
        lines += _feature_lines(encoder)
    kinds: dict[str, list[str]] = {}
    for name, task in dataset.tasks.items():
        words = ", ".join(task.labels) or f"{task.shape[-1]} classes"
        labels = f" ({words})" if task.head in ("classification", "segmentation") else ""
        kinds.setdefault(task.head, []).append(f"{name}{labels}")
    lines += [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    missing = describe_missing_labels(dataset).get("missing_labels", {})
    if missing:
        counts = (f"{task} {'/'.join(map(str, by_split.values()))}" for task, by_split in missing.items())
        lines.append(f"Missing labels (train/validation/test): {', '.join(counts)}")
    steps = config.epochs * dataset.steps("train", config.batch_size)
    if steps < FEW_STEPS:
        lines.append(f"Few steps: {steps} in all. A lower --batch_size or more --epochs may do better.")
    return "\n".join(textwrap.shorten(line, _WIDTH, placeholder=" ...") for line in lines)


def _feature_lines(encoder: data.FeatureEncoder) -> list[str]:
    """Returns a line for each type of feature, and one for the columns with more categories than are kept."""
    kinds: dict[str, list[str]] = {}
    for feature in encoder.features:
        categories = f" ({len(feature.categories)})" if feature.categories else ""
        kinds.setdefault(feature.kind, []).append(f"{feature.name}{categories}")
    lines = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    others = [f"{feature.name} {len(feature.categories)}" for feature in encoder.features if feature.other]
    if others:
        lines.append(f"Most frequent categories kept, the rest are 'other': {', '.join(others)}")
    return lines


def with_own_data(config: RunConfig) -> RunConfig:
    """Returns the settings of a run on a dataset made in Python, with `dataset="own"`.

    Raises:
        ValueError: if the settings name another dataset, or have settings for opening one.
    """
    usual = RunConfig()
    if config.dataset not in (usual.dataset, OWN_DATASET):
        raise ValueError(f"Pass `dataset` or name one in the settings, not both. Received: dataset={config.dataset!r}")
    for name in _DATA_SETTINGS:
        if getattr(config, name) != getattr(usual, name):
            raise ValueError(
                f"`dataset` is already open, so {name} cannot be set. Received: {name}={getattr(config, name)!r}"
            )
    return dataclasses.replace(config, dataset=OWN_DATASET)


def check_can_be_opened(config: RunConfig) -> None:
    """Raises a ValueError, with advice, if the dataset of a run was made in Python, so that no program can open it."""
    if config.dataset == OWN_DATASET:
        raise ValueError(
            "The data of this run were made in Python and are not known here (dataset='own'). In Python, evaluate it "
            "with experiments.evaluation.evaluate, or resume it with run(..., resume=True, dataset=...); "
            "`evaluate.py --report` and `--predict` need no data."
        )


def check_same_data(directory: RunDirectory, dataset: data.AnyDataset) -> None:
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
    """Raises a ValueError if the recorded image shape, columns or tasks of a run differ from those of a dataset."""
    recorded = read_json(directory.config_file).get("data") or {}
    encoder = getattr(dataset, "features", None)
    if encoder is not None and "features" in recorded:
        _check_features(directory, recorded["features"], encoder.to_json())
    shape = recorded.get("image_shape", list(dataset.image_shape))
    if shape != list(dataset.image_shape):
        raise ValueError(
            f"The run in {directory.path} is on images of another shape, {tuple(shape)}. "
            f"Received: {dataset.image_shape}"
        )
    current = data.describe_tasks(dataset.tasks)
    for name, trained in recorded.get("tasks", {}).items():
        if trained != current.get(name):
            raise ValueError(
                f"The labels are not those that the run in {directory.path} began with. Task {name!r} was {trained}. "
                f"Received: {current.get(name)}"
            )


def _check_features(directory: RunDirectory, recorded: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Raises a ValueError if a column is encoded in another way than in training."""
    for name in dict.fromkeys([*recorded, *current]):
        before, now = recorded.get(name), current.get(name)
        if not _are_same(before or {}, now or {}):
            raise ValueError(
                f"The training rows are not those that the run in {directory.path} began with. Column {name!r} was "
                f"{before}. Received: {now}"
            )


def _are_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Returns whether two descriptions of a column are the same; sums of floats may differ a little by machine."""
    return before.keys() == now.keys() and all(
        math.isclose(value, now[key], rel_tol=1e-6) if key in ("mean", "deviation") else value == now[key]
        for key, value in before.items()
    )
