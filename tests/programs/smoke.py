"""What every preset must get through: training, evaluation and export, in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.programs.conftest import Program


def runs_through(program: Program, name: str, drawn: Path, run: Path) -> None:
    """Trains, exports and evaluates the smoke run of a preset."""
    flags = [f"--experiment={name}", "--synthetic", "--smoke", f"--data_dir={drawn}", f"--run_dir={run}", "--export"]
    outcome = program("train", *flags)
    assert outcome.code == 0, outcome.err
    config = json.loads((run / "config.json").read_text())
    assert config["experiment"] == name
    assert config["data"]["synthetic"]
    outcome = program("evaluate", f"--run_dir={run}", "--saved_model")
    assert outcome.code == 0, outcome.err
    trained, exported = (
        json.loads((run / file).read_text())["tasks"] for file in ("metrics.json", "evaluation-saved_model-test.json")
    )
    assert list(trained) == list(config["tasks"] or trained)
    for task, entries in trained.items():
        np.testing.assert_allclose(exported[task]["loss"]["value"], entries["loss"]["value"], rtol=1e-3)
