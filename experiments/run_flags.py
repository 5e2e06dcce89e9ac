"""The flags of `train.py` for the settings of a run, and their conversion to a `RunConfig`."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_type_hints

from absl import flags

from experiments.config import OWN_DATASET, SETTINGS, RunConfig, default_settings


def define_settings(values: flags.FlagValues) -> None:
    """Defines a flag for each setting of `RunConfig`.

    The setting `export` has two flags: `--export` for the SavedModel, `--export_formats` for the other formats.
    """
    for field in dataclasses.fields(RunConfig):
        if field.name != "export":
            define, _ = _FLAG_TYPES[_SETTING_TYPES[field.name]]
            default = None if field.default is dataclasses.MISSING else field.default
            define(field.name, default, SETTINGS[field.name].help, flag_values=values)
    flags.DEFINE_bool("export", False, "write `saved_model/` after training", flag_values=values)
    flags.DEFINE_list("export_formats", None, "further export formats: `onnx`, `litert`", flag_values=values)


def config_from_flags(values: flags.FlagValues) -> RunConfig:
    """Returns the settings of `--experiment`, or else the default settings, overridden by the given flags.

    Raises:
        ValueError: for an unknown experiment or an invalid flag value.
    """
    if values.experiment is None:
        if values.smoke:
            raise ValueError("--smoke is for presets: it needs --experiment.")
        return RunConfig(**_given_settings(values))
    from experiments import presets

    preset = presets.get(values.experiment)
    if values.smoke and not values.synthetic:
        raise ValueError("--smoke trains on a few synthetic images: it needs --synthetic.")
    config = preset.smoke_config() if values.smoke else preset.config
    changes = _given_settings(values)
    if changes.get("dataset", config.dataset) != config.dataset:
        raise ValueError(
            f"Experiment {values.experiment!r} uses dataset {config.dataset}. Received: --dataset={values.dataset!r}"
        )
    # `--tasks` may leave out tasks for which the preset has weights. `--task_weights` overrides single weights.
    tasks = changes.get("tasks") or config.tasks
    kept = {task: weight for task, weight in config.task_weights.items() if tasks is None or task in tasks}
    changes["task_weights"] = {**kept, **changes.get("task_weights", {})}
    return dataclasses.replace(config, **changes)


def parse_setting(name: str, text: str) -> Any:
    """Returns the value of a setting from the text that its flag takes.

    Raises:
        ValueError: for a text that is no value of the setting.
    """
    values = flags.FlagValues()
    define_settings(values)
    try:
        values(["train.py", f"--{name}={text}"])
    except flags.Error as cause:
        raise ValueError(str(cause)) from cause
    return _given_settings(values)[name]


def train_command(settings: Mapping[str, Any], *arguments: str, without: Collection[str] = ()) -> str | None:
    """Returns the command that trains with these settings, for a shell; `None` if the dataset was made in Python.

    Args:
        settings: the settings as JSON values, such as the content of `config.json`.
        *arguments: further arguments.
        without: the names of settings to leave out.
    """
    from experiments.presets import PRESETS

    if settings.get("dataset") == OWN_DATASET:
        return None
    preset = PRESETS.get(settings.get("experiment") or "")
    usual = json.loads(json.dumps(preset.config.to_json())) if preset else default_settings(settings)
    command = ["python", "train.py"]
    if preset is None:
        command += ["--dataset", str(settings.get("dataset", usual["dataset"]))]
    for name in SETTINGS:
        value = settings.get(name)
        if name in ("dataset", *without) or value is None or value == usual[name]:
            continue
        if name == "experiment":
            command += ["--experiment", value] if preset else []
        elif name == "export":
            others = [form for form in value if form != "saved_model"]
            command += ["--export"] * ("saved_model" in value)
            command += ["--export_formats", ",".join(others)] if others else []
        elif isinstance(value, bool):
            command.append(f"--{name}" if value else f"--no{name}")
        elif isinstance(value, Mapping):
            command += [f"--{name}", ",".join(f"{key}={entry}" for key, entry in value.items())]
        elif isinstance(value, list):
            command += [f"--{name}", ("x" if name == "image_size" else ",").join(map(str, value))]
        else:
            command += [f"--{name}", str(value)]
    return shlex.join([*command, *arguments])


def can_start_a_run(values: flags.FlagValues) -> bool:
    """Returns whether the flags name a dataset or an experiment, as starting a run requires."""
    return bool(values["dataset"].present or values["experiment"].present)


def resumed_config(stored: RunConfig, values: flags.FlagValues, may_change: Collection[str] | None = None) -> RunConfig:
    """Returns the settings of a run to resume: the stored ones, with those that flags may change.

    Args:
        stored: the settings that the run was started with.
        values: the flags.
        may_change: the names of the settings that may change; by default those that `RunConfig` declares so.

    Raises:
        ValueError: for a flag that changes any other setting.
    """
    if may_change is None:
        may_change = {name for name, setting in SETTINGS.items() if setting.may_change}
    given = _given_settings(values)
    new = RunConfig(**given)
    changes = {name: getattr(new, name) for name in given if getattr(new, name) != getattr(stored, name)}
    for name, value in changes.items():
        if name not in may_change:
            raise ValueError(f"--resume cannot change {name}={getattr(stored, name)!r}. Received: --{name}={value!r}")
    return dataclasses.replace(stored, **changes)


def specifications(entries: Sequence[str]) -> tuple[str, ...]:
    """Joins the entries of a list that a comma within brackets divided, such as `["mmoe(experts=4", "split='a')"]`."""
    found: list[str] = []
    for entry in entries:
        if found and found[-1].count("(") > found[-1].count(")"):
            found[-1] += f", {entry.strip()}"
        else:
            found.append(entry.strip())
    return tuple(found)


def seeds_from_flags(values: flags.FlagValues) -> tuple[int, ...]:
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


def _given_settings(values: flags.FlagValues) -> dict[str, Any]:
    """Returns the value of each setting whose flag was given."""
    settings: dict[str, Any] = {}
    for name, type_hint in _SETTING_TYPES.items():
        if name == "export":
            if values["export"].present or values["export_formats"].present:
                settings[name] = (("saved_model",) if values.export else ()) + tuple(values.export_formats or ())
        elif values[name].present:
            _, parse = _FLAG_TYPES[type_hint]
            settings[name] = parse(name, values[name].value) if parse else values[name].value
    return settings


def _size(name: str, text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ValueError(f"--{name} takes a side, as 64, or height x width, as 64x96. Received: {text!r}")
    return int(sides[0]), int(sides[-1])


def _number_or_share(name: str, text: str) -> int | float:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError as cause:
        raise ValueError(f"--{name} takes a number, as 1000, or a share, as 0.1. Received: {text!r}") from cause


def _names(name: str, entries: list[str]) -> tuple[str, ...] | None:
    return tuple(entries) or None


def _task_numbers(name: str, entries: list[str]) -> dict[str, float]:
    try:
        return {task.strip(): float(number) for task, number in (entry.split("=") for entry in entries)}
    except ValueError as cause:
        raise ValueError(f"--{name} takes task=number, separated by commas. Received: {','.join(entries)!r}") from cause


def _column_types(name: str, entries: list[str]) -> dict[str, str]:
    try:
        pairs = (entry.split("=", 1) for entry in specifications(entries))
        return {column.strip(): kind.strip() for column, kind in pairs}
    except ValueError as cause:
        raise ValueError(f"--{name} takes column=type, separated by commas. Received: {','.join(entries)!r}") from cause


_SETTING_TYPES: dict[str, Any] = {
    name: type_hint for name, type_hint in get_type_hints(RunConfig).items() if name in SETTINGS
}
_FLAG_TYPES: dict[Any, tuple[Callable[..., Any], Callable[[str, Any], Any] | None]] = {
    bool: (flags.DEFINE_bool, None),
    int: (flags.DEFINE_integer, None),
    int | None: (flags.DEFINE_integer, None),
    float: (flags.DEFINE_float, None),
    str: (flags.DEFINE_string, None),
    str | None: (flags.DEFINE_string, None),
    tuple[int, int] | None: (flags.DEFINE_string, _size),
    int | float | None: (flags.DEFINE_string, _number_or_share),
    tuple[str, ...] | None: (flags.DEFINE_list, _names),
    Mapping[str, float]: (flags.DEFINE_list, _task_numbers),
    Mapping[str, str]: (flags.DEFINE_list, _column_types),
}
"""Type of a setting -> function that defines its flag; function `(name, value)` -> setting, or `None` to keep it."""
