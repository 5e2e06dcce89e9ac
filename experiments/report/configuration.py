"""The settings, tasks, data, versions and cost of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from data.features import NUMERIC, FeatureEncoder
from experiments.config import RunConfig, default_settings
from experiments.run_directory import PROVENANCE
from experiments.run_results import Method, RunResult
from mtl_keras.reports.filters import arrow, decimal, duration

_SHOWN_APART = ("tasks", "missing_labels", "features", "left_out")
_DIFFER = ("tasks", "task_weights", "features")
"""Settings in which single-task networks always differ."""
_MAX_FUNCTIONS, _MAX_LENGTH = 12, 300


def configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all settings of a run (non-default ones in bold), its data, missing labels, columns and versions.

    Args:
        config: the content of `config.json`.
    """
    rows: list[list[object]] = []
    usual = default_settings(config)
    for name, value in config.items():
        if name not in ("data", *PROVENANCE):
            changed = name in usual and value != usual[name]
            rows.append([name, Markup("<strong>{}</strong>").format(_text(value)) if changed else _text(value)])
    data = config.get("data") or {}
    texts = {name: _text(value) for name, value in data.items() if name not in _SHOWN_APART}
    about = [[f"data: {name}", text] for name, text in texts.items() if len(text) < _MAX_LENGTH]
    for name in PROVENANCE:
        value = config.get(name)
        if isinstance(value, Mapping):
            about += [[part, _text(version)] for part, version in value.items()]
        elif value is not None:
            about.append([name.replace("_", " "), _text(value)])
    left_out = [[column, reason] for column, reason in (data.get("left_out") or {}).items()]
    return {
        "settings": rows,
        "about": about,
        "missing": _missing_labels(data),
        "features": _features(data),
        "left_out": left_out,
    }


def _features(data: Mapping[str, Any]) -> list[list[object]]:
    """Returns a row for each feature column of a table: how it is encoded."""
    if not data.get("features"):
        return []
    rows: list[list[object]] = []
    try:
        features = FeatureEncoder.from_json(data["features"]).features
    except (ValueError, AttributeError) as cause:
        raise ValueError(f"config.json is damaged: {cause}") from cause
    for feature in features:
        if feature.kind == NUMERIC:
            encoding = f"standardised: mean {feature.mean:.4g}, deviation {feature.deviation:.4g}"
        else:
            others = ", the most frequent ones" if feature.other else ""
            encoding = f"one-hot: {len(feature.categories)} categories{others}"
        rows.append([feature.name, feature.kind, len(feature.names), "yes" if feature.missing else "no", encoding])
    return rows


def _missing_labels(data: Mapping[str, Any]) -> list[list[str]]:
    """Returns a row for each task with missing labels: how many examples of each split have no label."""
    sizes = data.get("sizes") or {}
    return [
        [task, *(f"{missing[split]} of {size}" if split in missing else "-" for split, size in sizes.items())]
        for task, missing in (data.get("missing_labels") or {}).items()
    ]


def task_rows(run: RunResult) -> list[list[str]]:
    """Returns a row for each task: its kind, the shape of its output, its primary metric and its classes or points."""
    rows = []
    for task, output in run.outputs.items():
        shape = " x ".join(map(str, output.shape))
        metric = f"{run.primary(task) or '-'}{arrow(run.higher_is_better(task))}"
        labels = ", ".join(output.labels) or "-"
        labels = labels if len(labels) < _MAX_LENGTH else f"{len(output.labels)} in all"
        rows.append([task, output.head, shape, metric, labels])
    return rows


def differing_settings(methods: Sequence[Method]) -> list[list[str]]:
    """Returns a row for each setting in which the first runs of the methods differ.

    The tasks of single-task networks and of groups, and their weights, differ by construction and are not compared.
    """
    rows = []
    for field in dataclasses.fields(RunConfig):
        values = [method.config.get(field.name) for method in methods]
        compared = [not ((method.is_single_task or method.groups) and field.name in _DIFFER) for method in methods]
        known = [value for value, is_compared in zip(values, compared) if is_compared]
        if any(value != known[0] for value in known):
            cells = [
                _text(value) if use else "a group each" if method.groups else "one task each"
                for method, value, use in zip(methods, values, compared)
            ]
            rows.append([field.name, *cells])
    return rows


def cost_tables(run: RunResult) -> dict[str, Any] | None:
    """Returns the cost of training: time, steps, compiled functions, memory; `None` for an unfinished run."""
    if not run.finished:
        return None
    cost = run.cost
    rows = [
        ["weights of the network", f"{cost.parameters:,}"],
        ["training steps", f"{cost.steps:,}"],
        ["training, without compiling, validation and checkpoints", duration(cost.seconds)],
        ["a step (median over the epochs)", duration(cost.seconds_per_step)],
        ["compiled training functions", f"{len(cost.compiled)}"],
        ["compiling them", duration(sum(function.seconds for function in cost.compiled))],
    ]
    if cost.memory:
        rows.append(["peak memory of the process", f"{cost.memory / 2**30:.2f} GiB"])
    rows.append(["processor cores", str(run.config.get("cores", "-"))])
    functions = []
    for position, function in enumerate(cost.compiled[:_MAX_FUNCTIONS], 1):
        names = "all tasks" if len(function.tasks) == len(run.tasks) else ", ".join(function.tasks)
        names = names if len(names) < 60 else f"{len(function.tasks)} of {len(run.tasks)} tasks"
        names_of_kinds = {"masked": "masked", "monitored": "monitored", "looks_ahead": "looks ahead"}
        kinds = [kind for attribute, kind in names_of_kinds.items() if getattr(function, attribute)]
        functions.append([position, names, ", ".join(kinds) or "-", function.traces, decimal(function.seconds, 1)])
    more = max(0, len(cost.compiled) - _MAX_FUNCTIONS)
    return {"rows": rows, "functions": functions, "more": more}


def _text(value: Any) -> str:
    """Returns a JSON value as readable text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "-"
    return str(value)
