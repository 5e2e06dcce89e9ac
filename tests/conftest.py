"""For every test: quiet, few threads, the same random numbers, nothing left behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

# Read by TensorFlow when it is imported. Test models are tiny: more threads only slow down other test processes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")

import hypothesis
import keras
import pytest

from tests.quick_runs import without_report

# TensorFlow's objects stay, and its traces make many more: looking through them often takes time and finds little.
gc.freeze()
gc.set_threshold(10_000)

# The same examples in every run, however long they take: how long says more about the machine than about the code.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Seeds Python, NumPy and Keras, and puts the global dtype policy back afterwards."""
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def no_report() -> Iterator[None]:
    """For tests of runs whose report is of no interest."""
    with without_report():
        yield


@pytest.fixture(autouse=True, scope="module")
def _nothing_left() -> Iterator[None]:
    """Frees the models of a file before the next; after every test that would take longer than most tests."""
    yield
    keras.backend.clear_session()
