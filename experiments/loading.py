"""Loads the model that a run saved."""

from __future__ import annotations

from pathlib import Path

from models import saved
from mtl_keras import MultiTaskModel


def load_model(path: Path) -> MultiTaskModel:
    """Loads a model that a run saved.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    return saved.load(path)
