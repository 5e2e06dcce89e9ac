"""Fixtures for many short tests: seeding and garbage collection that cost little."""

from __future__ import annotations

import gc

import pytest

from tests.drop_in.harness import seed


@pytest.fixture(autouse=True)
def _same_start() -> None:
    """In the place of the one for all tests, which seeds TensorFlow too; cases put global settings back themselves."""
    seed(0)


@pytest.fixture(autouse=True, scope="session")
def _quick_collections() -> None:
    """Keeps what was made at import away from the garbage collector."""
    gc.collect()
    gc.freeze()
