"""Writes RESULTS.md from records of runs.

`python docs/results.py runs/fashion_mnist runs/cifar10_1` takes the records of finished runs and comparisons into
docs/results (the JSON alone: settings, versions, histories, metrics), each under the name of its folder, and writes
RESULTS.md anew. Without folders it only writes RESULTS.md.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from docs.results_figures import draw_totals
from docs.results_sections import SECTIONS, Section
from docs.results_tables import cifar10_sources, overall_table, target_table, task_table
from docs.results_weightings import is_study, study, study_table
from experiments import presets
from experiments.comparison import MethodComparison
from experiments.config import RunConfig
from experiments.files import read_history, read_json, write_json
from experiments.judging import DEFAULT_RULE
from experiments.plan import is_comparison
from experiments.run_directory import PROVENANCE, RunDirectory
from experiments.tables import print_comparison

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "docs" / "results"
IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "RESULTS.md"
_ORIGINALLY_JPEG = ("celeb_a",)
_NOT_SAID = ("experiment", "data_dir", "export", "seed")


def main(folders: Sequence[str]) -> None:
    """Takes the records of runs in, then writes the page."""
    for folder in map(Path, folders):
        record = _study(folder) if is_study(folder) else None
        record = record or (_comparison(folder) if any(folder.glob("comparison*.json")) else _run(folder))
        write_json(RECORDS / f"{folder.resolve().name}.json", record)
    for section in _shown():
        if section.figure:
            draw_totals([_file(name) for name in section.records], IMAGES / section.figure)
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Returns RESULTS.md."""
    parts = [
        "# Results\n\nWritten by `python docs/results.py` from the records in [docs/results](docs/results). "
        "*Real* data are those of TFDS; *JPEG copy* says that the images were stored as JPEG, which loses a little; "
        "*synthetic* data are drawn, and show that the code works, not how good a method is.\n"
    ]
    return "\n".join([*parts, *map(_section, _shown())])


def _shown() -> list[Section]:
    return [section for section in SECTIONS if all(_file(name).exists() for name in section.records)]


def _file(record: str) -> Path:
    return RECORDS / f"{record}.json"


def _section(section: Section) -> str:
    records = {name: json.loads(_file(name).read_text(encoding="utf-8")) for name in section.records}
    parts = [f"## {section.title}\n", section.text.strip() + "\n"]
    for record in records.values():
        parts.append(f"`{command(record)}`: {_provenance(record)}\n")
        if "outcomes" in record:
            if "plan" not in record:
                seeds = ", ".join(map(str, record["outcomes"][0]["seeds"][1:]))
                parts.append(f"The same with `--seed` {seeds}; then `evaluate.py --compare` with these runs first.\n")
            if record["outcomes"][0]["tasks"] != list(record["config"]["tasks"] or record["outcomes"][0]["tasks"]):
                parts.append(f"Compared: {', '.join(record['outcomes'][0]['tasks'])}.\n")
            parts += [_markdown(outcome) for outcome in record["outcomes"]]
        elif section.kind == "weightings":
            parts.append(study_table(record))
        elif section.kind == "run":
            parts += [task_table(record), overall_table(record)]
        elif section.kind == "target":
            parts.append(target_table(record))
    if section.kind == "cifar10":
        parts.append(cifar10_sources(records))
    if section.figure:
        parts.append(f"![Learning curves: {', '.join(records)}](docs/images/{section.figure})\n")
    return "\n".join(part for part in parts if part)


def _markdown(outcome: Mapping[str, Any]) -> str:
    text = io.StringIO()
    print_comparison(MethodComparison.from_json(outcome), Console(file=text, width=400), markdown=True)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" +$", "", text.getvalue(), flags=re.MULTILINE))


def _provenance(record: Mapping[str, Any]) -> str:
    about, data = record["provenance"], record["data"]
    lossy = data["images"] == "jpeg" and data["name"] not in _ORIGINALLY_JPEG
    kind = "synthetic" if data["synthetic"] else "real, JPEG copy" if lossy else "real"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    cores = f"{about['cores']} CPU core{'s' * (about['cores'] > 1)}"
    return f"{about['date']}, {data['name']} {data['version']} ({kind}), {cores}, {versions}."


def command(record: Mapping[str, Any]) -> str:
    """Returns the command line of a record: the experiment, and what was set otherwise than in its preset."""
    config = RunConfig.from_json(record["config"])
    words = ["python", "train.py"]
    usual = RunConfig()
    if config.experiment:
        usual = presets.get(config.experiment).config
        words += ["--experiment", config.experiment]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in _NOT_SAID and value != getattr(usual, field.name):
            words += _flag(field.name, value)
    if "plan" in record:
        words += ["--compare", ",".join(record["plan"]["baselines"])]
        words += ["--seeds", ",".join(map(str, record["plan"]["seeds"]))]
        judge_at = record["plan"].get("judge_at", "best_mean")  # the only rule of versions that did not write it
        if judge_at != DEFAULT_RULE:
            words += ["--judge_at", judge_at]
    elif "outcomes" in record:
        words += ["--seed", str(record["outcomes"][0]["seeds"][0])]
    elif config.seed:
        words += ["--seed", str(config.seed)]
    return shlex.join(words)


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no{name}"]
    if isinstance(value, Mapping):
        value = ",".join(f"{task}={weight:g}" for task, weight in value.items())
    if isinstance(value, tuple):
        value = ",".join(value)
    return [f"--{name}", str(value)]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a `config.json`, without where the data lay."""
    usual = RunConfig().to_json()  # a run from before a setting was there had what is now its default
    return {name: None if name == "data_dir" else config.get(name, usual[name]) for name in usual}


def _about(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": config["data"], "provenance": {name: config[name] for name in PROVENANCE}}


def _comparison(folder: Path) -> dict[str, Any]:
    """The record of a comparison, or of a method (one run a seed) that `evaluate.py --compare` compared with others."""
    config = read_json(min(folder.rglob("config.json")))
    newest = max(folder.glob("comparison*.json"), key=lambda file: file.stat().st_mtime)
    record = {"config": _settings(config), **_about(config), "outcomes": read_json(newest)}
    if is_comparison(folder):
        plan = read_json(folder / "plan.json")
        record["plan"] = _plan(plan)
        record["config"] = _settings(plan["config"])
    return record


def _plan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("baselines", "seeds", "judge_at") if name in values}


def _study(folder: Path) -> dict[str, Any]:
    """The record of a comparison of weightings."""
    config, plan = read_json(min(folder.rglob("config.json"))), read_json(folder / "plan.json")
    return {
        "config": _settings(plan["config"]),
        **_about(config),
        "plan": _plan(plan),
        **study(folder),
    }


def _run(folder: Path) -> dict[str, Any]:
    directory = RunDirectory(folder)
    config = read_json(directory.config_file)
    columns = read_history(directory.history_file)
    history = {name: [round(value, 6) for value in values] for name, values in columns.items()}
    metrics = read_json(directory.metrics_file)
    return {"config": _settings(config), **_about(config), "metrics": metrics, "history": history}


if __name__ == "__main__":
    main(sys.argv[1:])
