"""CIFAR-10: class, animal and reconstruction on a narrow network, and what dropout and sharing less do to it.

Source: github.com/hananshafi/Multi-Task-Learning. Its five experiments differ in how many of the convolutions
are shared, in dropout and in the weights of the tasks; the last adds a task of random labels. Totals of training and
validation loss that it reports: 0.2414/2.3439, 0.2515/1.5522, 0.2395/0.4353, 0.4399/0.6924 and 0.2746/0.5267. Its
networks for one task: class 0.7418 and animal 0.9477 validation accuracy, reconstruction mean squared error 0.012.

Command: `python train.py --experiment cifar10_3`

Time: ten to fifteen minutes on one CPU core.

Result (JPEG copy): see RESULTS.md. The first overfits by far, the third does not.
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
