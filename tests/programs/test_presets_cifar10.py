"""The presets on CIFAR-10 run."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.presets import cifar10, cifar10_weightings, cifar10_wide
from tests.programs.conftest import Program
from tests.programs.smoke import runs_through


@pytest.mark.parametrize("name", [*cifar10.PRESETS, *cifar10_weightings.PRESETS, *cifar10_wide.PRESETS])
def test_it_runs_through(program: Program, drawn: Path, tmp_path: Path, name: str) -> None:
    runs_through(program, name, drawn, tmp_path / "run")
