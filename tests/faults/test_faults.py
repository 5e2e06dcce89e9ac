"""A killed run is resumed; `make faults` kills many, in every phase of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

import train
from tests.faults.campaign import FLAGS, start
from tests.faults.comparison import differences, unreadable

SHORT = [flag for flag in FLAGS if not flag.startswith(("--examples", "--epochs", "--export"))]
SHORT += ["--examples=160", "--epochs=2", "--checkpoint_every=2", "--weighting=famo"]


def _train(folder: Path, *flags: str) -> Path:
    train.program(["train.py", f"--run_dir={folder}", *flags])
    return folder


@pytest.mark.usefixtures("no_report")
def test_a_run_that_is_killed_ends_as_one_that_is_not(tmp_path: Path) -> None:
    # In the second epoch, while a checkpoint is written.
    assert start(tmp_path, "checkpoint,5,kill,0.02", *SHORT, "--resume").returncode == -9
    assert unreadable(tmp_path / "run") == []
    whole = _train(tmp_path / "whole", *SHORT)
    assert differences(whole, tmp_path / "run") != []
    assert differences(whole, _train(tmp_path / "run", "--resume")) == []
