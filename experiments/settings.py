"""Converts the flags of `train.py` to the settings of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from absl import flags

from data import absolute_name
from experiments import presets
from experiments.config import RunConfig

# The settings that may change when a run is resumed.
MAY_CHANGE = ("epochs", "early_stopping", "checkpoint_every", "distribute", "export", "data_dir", "verbose", "profile")
_FIELDS = tuple(field.name for field in dataclasses.fields(RunConfig))


def asked(values: flags.FlagValues) -> RunConfig:
    """Returns the settings from the flags: those of `--experiment`, if any, overridden by the given flags.

    Raises:
        ValueError: for an unknown experiment or an invalid flag value.
    """
    if values.experiment is None:
        if values.smoke:
            raise ValueError("--smoke is for presets: it needs --experiment.")
        return RunConfig(**_settings(values, _FIELDS))
    preset = presets.get(values.experiment)
    if values.smoke and not values.synthetic:
        raise ValueError("--smoke trains on a few drawn images: it needs --synthetic.")
    given = tuple(name for name in _FIELDS if _given(values, name))
    config = preset.smoked() if values.smoke else preset.config
    changes = _settings(values, given)
    if changes.get("dataset", config.dataset) != config.dataset:
        raise ValueError(
            f"Experiment {values.experiment!r} uses dataset {config.dataset}. Received: --dataset={values.dataset!r}"
        )
    # Use the preset's weights of the remaining tasks; flags override single weights.
    tasks = changes.get("tasks") or config.tasks
    kept = {task: weight for task, weight in config.task_weights.items() if tasks is None or task in tasks}
    changes["task_weights"] = {**kept, **changes.get("task_weights", {})}
    return dataclasses.replace(config, **{**changes, "experiment": values.experiment})


def says_what(values: flags.FlagValues) -> bool:
    """Returns whether the flags name a dataset or an experiment, so that they can start a run."""
    return bool(values["dataset"].present or values["experiment"].present)


def resumed(stored: RunConfig, values: flags.FlagValues, may_change: Collection[str] = MAY_CHANGE) -> RunConfig:
    """Returns the settings of an existing run, with the changes that flags may make.

    Args:
        stored: the settings that it was started with.
        values: the flags.
        may_change: the names of the settings that may change.

    Raises:
        ValueError: for a flag that changes any other setting.
    """
    new = _settings(values, _FIELDS)
    changes: dict[str, Any] = {}
    for name in _FIELDS:
        old = getattr(stored, name)
        if _given(values, name) and new[name] != old:
            if name not in may_change:
                raise ValueError(f"--resume cannot change {name}={old!r}. Received: --{name}={new[name]!r}")
            changes[name] = new[name]
    return dataclasses.replace(stored, **changes)


def seeds(values: flags.FlagValues) -> tuple[int, ...]:
    """Returns the seeds of `--seeds`; empty without it.

    Raises:
        ValueError: for anything but whole numbers >= 0.
    """
    entries = values.seeds or []
    if entries and values["seed"].present:
        raise ValueError("Pass --seed or --seeds, not both.")
    if not all(entry.strip().isdecimal() for entry in entries):
        raise ValueError(f"--seeds takes whole numbers >= 0, separated by commas. Received: {','.join(entries)!r}")
    return tuple(map(int, entries))


def _given(values: flags.FlagValues, name: str) -> bool:
    return bool(values[name].present or (name == "export" and values["export_formats"].present))


def _settings(values: flags.FlagValues, names: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {name: values[name].value for name in names}
    if "dataset" in settings:
        settings["dataset"] = absolute_name(values.dataset)
    if "image_size" in settings:
        settings["image_size"] = _size(values.image_size)
    if "task_types" in settings:
        settings["task_types"] = dict(_type(entry) for entry in values.task_types)
    if "tasks" in settings:
        settings["tasks"] = tuple(values.tasks) if values.tasks else None
    if "task_weights" in settings:
        settings["task_weights"] = dict(_weight(entry) for entry in values.task_weights)
    if "export" in settings:
        settings["export"] = (("saved_model",) if values.export else ()) + tuple(values.export_formats)
    return settings


def _weight(entry: str) -> tuple[str, float]:
    task, equals, number = entry.partition("=")
    try:
        if not equals:
            raise ValueError("no =")
        return task.strip(), float(number)
    except ValueError as cause:
        raise ValueError(f"--task_weights takes task=number, separated by commas. Received: {entry!r}") from cause


def _type(entry: str) -> tuple[str, str]:
    task, equals, kind = entry.partition("=")
    if not equals:
        raise ValueError(f"--task_types takes column=type, separated by commas. Received: {entry!r}")
    return task.strip(), kind.strip()


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ValueError(f"--image_size takes a side, as 64, or height x width, as 64x96. Received: {text!r}")
    return int(sides[0]), int(sides[-1])
