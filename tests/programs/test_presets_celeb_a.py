"""The presets on CelebA run."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.presets import celeba_attributes, celeba_landmarks
from tests.programs.conftest import Program
from tests.programs.smoke import runs_through


@pytest.mark.filterwarnings("ignore:The trunk of network .* is frozen at random weights")
@pytest.mark.parametrize("name", [*celeba_attributes.PRESETS, *celeba_landmarks.PRESETS])
def test_it_runs_through(program: Program, drawn: Path, tmp_path: Path, name: str) -> None:
    runs_through(program, name, drawn, tmp_path / "run")


def test_the_kept_attributes_are_those_above_the_mean_ratio() -> None:
    positives = dict(zip(celeba_attributes.EIGHT, (18177, 43278, 83603, 33280, 3713, 24685, 39213, 38341)))
    ratios = {name: count / max(positives.values()) for name, count in positives.items()}
    mean = sum(ratios.values()) / len(ratios)
    assert tuple(name for name, ratio in ratios.items() if ratio > mean) == celeba_attributes.KEPT
    assert [round(ratios[name], 4) for name in ("5_o_Clock_Shadow", "Big_Nose")] == [0.2174, 0.4586]
