"""What every preset must get through in seconds: training and evaluation.

Its network is exported elsewhere, and reports of tasks like its own are written elsewhere.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from experiments.run_directory import RunDirectory
from tests.programs.conftest import Program


def runs_through(program: Program, name: str, drawn: Path, run: Path) -> None:
    """Trains and evaluates the smoke run of a preset."""
    flags = [f"--experiment={name}", "--synthetic", "--smoke", f"--data_dir={drawn}", f"--run_dir={run}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.run_report.run_report", _no_report)
        outcome = program("train", *flags)
    assert outcome.code == 0, outcome.err
    config = json.loads((run / "config.json").read_text())
    assert config["experiment"] == name
    assert config["data"]["synthetic"]
    judged = json.loads((run / "metrics.json").read_text())["tasks"]
    assert list(judged) == list(config["tasks"] or judged)
    assert all(math.isfinite(entries["loss"]["value"]) for entries in judged.values())


def _no_report(directory: RunDirectory) -> Path:
    return directory.path
