"""What every preset must get through: training, evaluation and export, in seconds."""

from __future__ import annotations

import json
import math
from pathlib import Path

from tests.programs.conftest import Program


def runs_through(program: Program, name: str, drawn: Path, run: Path) -> None:
    """Trains, evaluates and exports the smoke run of a preset.

    It would fail if the SavedModel gave other outputs than the model.
    """
    flags = [f"--experiment={name}", "--synthetic", "--smoke", f"--data_dir={drawn}", f"--run_dir={run}", "--export"]
    outcome = program("train", *flags)
    assert outcome.code == 0, outcome.err
    config = json.loads((run / "config.json").read_text())
    assert config["experiment"] == name
    assert config["data"]["synthetic"]
    assert (run / "saved_model").is_dir()
    judged = json.loads((run / "metrics.json").read_text())["tasks"]
    assert list(judged) == list(config["tasks"] or judged)
    assert all(math.isfinite(entries["loss"]["value"]) for entries in judged.values())
