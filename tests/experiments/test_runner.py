"""How a run's settings reach its model, without training it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from experiments.building import build_model, open_dataset
from experiments.config import RunConfig


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("true", True), ("false", False), ("auto", bool(tf.config.list_physical_devices("GPU")))],
)
def test_steps_are_compiled_as_asked(choice: str, expected: bool, tmp_path: Path) -> None:
    config = RunConfig(synthetic=True, examples=10, data_dir=str(tmp_path), model="mlp(dense=2)", jit_compile=choice)
    assert build_model(config, open_dataset(config)).jit_compile is expected
