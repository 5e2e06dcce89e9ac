"""`Preset`: an experiment by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.config import RunConfig

_SMOKE = {"epochs": 1, "examples": 64, "batch_size": 16}


@dataclass(frozen=True)
class Preset:
    """An experiment that has a name.

    Args:
        purpose: what it is for, in a line.
        config: its settings.
        smoke: what its smoke run has otherwise, beside one epoch over a few drawn images: a narrower network, say.
    """

    purpose: str
    config: RunConfig
    smoke: Mapping[str, Any] = field(default_factory=dict)

    def smoked(self) -> RunConfig:
        """Returns the settings of a run of seconds, which shows that all parts work, and nothing else."""
        return dataclasses.replace(self.config, **{**_SMOKE, **self.smoke})
