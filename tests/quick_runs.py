"""Runs without the parts that a test does not look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def without_report() -> Iterator[None]:
    """Makes runs write no report: its figures take longer than the training of a small network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.run_report.run_report", lambda directory: directory.report_file)
        yield
