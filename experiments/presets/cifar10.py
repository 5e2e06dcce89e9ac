"""CIFAR-10: class, animal and reconstruction on a narrow network, with variants in dropout and sharing.

Source: github.com/hananshafi/Multi-Task-Learning. Its five experiments differ in the number of shared convolutions, in
dropout and in the task weights; the last adds a task with random labels. It reports total training and validation
losses of 0.2414/2.3439, 0.2515/1.5522, 0.2395/0.4353, 0.4399/0.6924 and 0.2746/0.5267. Its single-task networks reach
0.7418 (class) and 0.9477 (animal) validation accuracy, and a mean squared error of 0.012 (reconstruction).

Command: `python train.py --experiment cifar10_3`

Time: ten to fifteen minutes on one CPU core.

Result (JPEG copy): see RESULTS.md. The first experiment overfits strongly, the third does not.
"""

from __future__ import annotations

from experiments.config import RunConfig
from experiments.preset import Preset


def _preset(purpose: str, model: str, weights: dict[str, float]) -> Preset:
    config = RunConfig(
        dataset="cifar10",
        tasks=tuple(weights),
        task_weights=weights,
        model=model,
        optimizer="adam(clipnorm=1.0)",
        learning_rate_decay="none",
        epochs=20,
        batch_size=128,
    )
    return Preset(purpose, config)


_FIRST = {"class": 1.0, "animal": 0.5, "reconstruction": 1.0}
_LATER = {"class": 0.5, "animal": 0.1, "reconstruction": 1.0}

PRESETS = {
    "cifar10_1": _preset("class, animal and reconstruction on three shared convolutions", "strided", _FIRST),
    "cifar10_2": _preset("as cifar10_1, with one layer of dropout", "strided(dropout='one')", _FIRST),
    "cifar10_3": _preset("dropout after each convolution, other task weights", "strided(dropout='each')", _LATER),
    "cifar10_4": _preset("as cifar10_3 with two shared convolutions", "strided(shared=2, dropout='each')", _LATER),
    "cifar10_5": _preset(
        "as cifar10_3 with a fourth task of random labels: a probe for negative transfer",
        "strided(dropout='each')",
        {**_LATER, "random": 0.1},
    ),
}
