"""CIFAR-100: one, three, five and ten binary tasks, alone and mixed with tasks of random labels.

Source: github.com/hananshafi/Multi-Task-Learning, which studies how a task changes as more tasks share a network, and
the effect of tasks that cannot be learned.

Command: `python train.py --experiment cifar100_3 --compare single_task --seeds 0,1,2`

Result: not run on the real images.
"""

from __future__ import annotations

import dataclasses

from data.cifar100 import BINARY, RANDOM
from experiments.config import Preset
from experiments.presets import cifar10


def _preset(purpose: str, tasks: tuple[str, ...]) -> Preset:
    config = cifar10.PRESETS["cifar10_3"].config
    return Preset(purpose, dataclasses.replace(config, dataset="cifar100", tasks=tasks, task_weights={}))


PRESETS = {
    **{f"cifar100_{n}": _preset(f"{n} binary task{'s' * (n > 1)} of CIFAR-100", BINARY[:n]) for n in (1, 3, 5, 10)},
    "cifar100_mixed": _preset("three binary tasks and seven of random labels", (*BINARY[:3], *RANDOM[:7])),
}
