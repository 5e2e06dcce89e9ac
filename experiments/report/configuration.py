"""The settings, data and versions of a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from experiments.config import RunConfig
from experiments.run_directory import PROVENANCE
from mtl_keras.reports.page import Html, Section, paragraph, side_by_side, strong, table

_DEFAULTS = RunConfig().to_json()


def configuration_section(config: Mapping[str, Any]) -> Section:
    """Returns all settings of a run (non-default ones in bold), its data and versions.

    Args:
        config: the content of `config.json`.
    """
    rows = []
    for name, value in settings(config).items():
        shown = word(value)
        rows.append([name, strong(shown) if name in _DEFAULTS and value != _as_json(_DEFAULTS[name]) else shown])
    about = [[f"data: {name}", word(value)] for name, value in (config.get("data") or {}).items() if _is_short(value)]
    for name in PROVENANCE:
        value = config.get(name)
        if isinstance(value, Mapping):
            about += [[part, word(version)] for part, version in value.items()]
        elif value is not None:
            about.append([name.replace("_", " "), word(value)])
    parts = [table(["setting", "value"], rows, "Settings; non-default values are bold", numbers=False)]
    if about:
        parts.append(table(["what", "value"], about, "Data and versions", numbers=False))
    body = side_by_side(parts)
    return Section("Configuration", "configuration", body)


def differences_section(configs: Mapping[str, Mapping[str, Any]]) -> Section:
    """Returns the settings in which methods differ, then the common configuration.

    Args:
        configs: name of the method -> the content of the `config.json` of one of its runs.
    """
    names = [field.name for field in dataclasses.fields(RunConfig)]
    first = next(iter(configs.values()))
    rows = [
        [name, *(word(config.get(name)) for config in configs.values())]
        for name in names
        if any(config.get(name) != first.get(name) for config in configs.values())
    ]
    differing = (
        table(
            ["setting", *configs],
            rows,
            "Settings that differ, from the first run of each method (single-task networks have one run per task)",
            numbers=False,
        )
        if rows
        else paragraph("The first runs of all methods have the same settings.")
    )
    common = configuration_section(first)
    return dataclasses.replace(common, body_html=Html(differing + common.body_html))


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns only the settings."""
    return {name: value for name, value in config.items() if name not in ("data", *PROVENANCE)}


def word(value: Any) -> str:
    """Returns a value as readable text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {word(entry)}" for name, entry in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(word, value)) or "-"
    return str(value)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _is_short(value: Any) -> bool:
    return len(word(value)) < 300
