"""CIFAR-10: the three tasks under the three loss weightings of the source.

Source: github.com/hananshafi/Multi-Task-Learning, which compares the geometric mean of the losses, uncertainty weights
and dynamic weight averages with fixed weights.

Command: `python train.py --experiment cifar10_uncertainty`

Result: not yet run on all of the real images.
"""

from __future__ import annotations

import dataclasses

from experiments.preset import Preset
from experiments.presets import cifar10


def _preset(purpose: str, weighting: str) -> Preset:
    config = dataclasses.replace(cifar10.PRESETS["cifar10_3"].config, task_weights={}, weighting=weighting)
    return Preset(purpose, config)


PRESETS = {
    "cifar10_gls": _preset("as cifar10_3, minimising the geometric mean of the losses", "gls"),
    "cifar10_uncertainty": _preset("as cifar10_3, with trained uncertainty weights", "uncertainty"),
    "cifar10_dwa": _preset("as cifar10_3, with dynamic weight averages", "dwa"),
}
