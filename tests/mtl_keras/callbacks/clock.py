"""Time that passes when a test says so."""

from __future__ import annotations

from types import ModuleType

import pytest


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Returns the seconds since the test began."""
        return self.now


def stopped_clock(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Clock:
    """Returns the clock that these modules go by from now on."""
    clock = Clock()
    for module in modules:
        monkeypatch.setattr(module, "time", clock)
    return clock
