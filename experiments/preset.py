"""`Preset`: a named experiment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.config import RunConfig

_SMOKE = {"epochs": 1, "examples": 64, "batch_size": 16}


@dataclass(frozen=True)
class Preset:
    """A named experiment.

    Args:
        purpose: its purpose, in one line.
        config: its settings.
        smoke: settings to change in its smoke run of one epoch over a few drawn images, such as a narrower network.
    """

    purpose: str
    config: RunConfig
    smoke: Mapping[str, Any] = field(default_factory=dict)

    def smoked(self) -> RunConfig:
        """Returns the settings of a run of a few seconds, which only tests that all parts work."""
        return dataclasses.replace(self.config, **{**_SMOKE, **self.smoke})
