"""`--sweep`: several settings in one go, resumable, and what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from experiments import many_runs
from experiments.config import RunConfig
from experiments.run_directory import RunDirectory
from tests.programs.conftest import QUICK, Program


def test_a_sweep_is_resumed_and_ranked(
    program: Program, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sweep"
    begun: list[str] = []
    run = many_runs.run

    def interrupted(config: RunConfig, directory: RunDirectory, **settings: Any) -> object:
        begun.append(directory.path.parent.name)
        if len(begun) == 2:
            directory.create(config, {})
            raise KeyboardInterrupt
        return run(config, directory, **settings)

    monkeypatch.setattr(many_runs, "run", interrupted)
    outcome = program("train", *QUICK, f"--data_dir={drawn}", f"--run_dir={folder}", "--sweep=learning_rate=1e-9,1e-2")
    assert outcome.code == 130
    assert f"To resume: python train.py --resume --run_dir {folder}\n" in outcome.err
    outcome = program("train", "--resume", f"--run_dir={folder}", "--sweep=learning_rate=1")
    assert "--resume cannot change the settings of a sweep" in outcome.err
    outcome = program("train", "--resume", f"--run_dir={folder}")
    assert outcome.code == 0, outcome.err
    assert begun == ["1-learning_rate=1e-09", "2-learning_rate=0.01", "2-learning_rate=0.01"]
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    assert [trial["settings"] for trial in trials] == [{"learning_rate": 0.01}, {"learning_rate": 1e-9}]
    assert "Best: python train.py --dataset fashion_mnist --synthetic" in outcome.out
    assert "--learning_rate 0.01" in outcome.out
    # What TensorBoard's HParams dashboard reads from `--logdir FOLDER`.
    events = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    assert len(events.PluginRunToTagToContent("hparams")) == 2
