"""CIFAR-10: class, animal and reconstruction on a narrow network, with variants in dropout, sharing and weighting.

Source: github.com/hananshafi/Multi-Task-Learning. Its five experiments differ in the number of shared convolutions, in
dropout and in the task weights; the last adds a task with random labels. It reports total training and validation
losses of 0.2414/2.3439, 0.2515/1.5522, 0.2395/0.4353, 0.4399/0.6924 and 0.2746/0.5267. Its single-task networks reach
0.7418 (class) and 0.9477 (animal) validation accuracy, and a mean squared error of 0.012 (reconstruction). It also
compares three loss weightings with fixed weights: `cifar10_gls`, `cifar10_uncertainty` and `cifar10_dwa`.

Command: `python train.py --experiment cifar10_3`

Time: ten to fifteen minutes on one CPU core.

Result (JPEG copy): see RESULTS.md. The first experiment overfits strongly, the third does not. The loss weightings are
not yet run on all of the real images.
"""

from __future__ import annotations

from experiments.config import Preset, RunConfig

TASKS = ("class", "animal", "reconstruction")


def _preset(purpose: str, model: str, weights: dict[str, float], weighting: str = "static") -> Preset:
    config = RunConfig(
        dataset="cifar10",
        tasks=tuple(weights) or TASKS,
        task_weights=weights,
        model=model,
        weighting=weighting,
        optimizer="adam(clipnorm=1.0)",
        learning_rate_decay="none",
        epochs=20,
        batch_size=128,
    )
    return Preset(purpose, config)


_FIRST = {"class": 1.0, "animal": 0.5, "reconstruction": 1.0}
_DROPOUT = "strided(dropout='each')"
_LATER = {"class": 0.5, "animal": 0.1, "reconstruction": 1.0}

PRESETS = {
    "cifar10_1": _preset("class, animal and reconstruction on three shared convolutions", "strided", _FIRST),
    "cifar10_2": _preset("as cifar10_1, with one layer of dropout", "strided(dropout='one')", _FIRST),
    "cifar10_3": _preset("dropout after each convolution, other task weights", _DROPOUT, _LATER),
    "cifar10_4": _preset("as cifar10_3 with two shared convolutions", "strided(shared=2, dropout='each')", _LATER),
    "cifar10_5": _preset(
        "as cifar10_3 with a fourth task of random labels: a probe for negative transfer",
        _DROPOUT,
        {**_LATER, "random": 0.1},
    ),
    "cifar10_gls": _preset("as cifar10_3, minimising the geometric mean of the losses", _DROPOUT, {}, "gls"),
    "cifar10_uncertainty": _preset("as cifar10_3, with trained uncertainty weights", _DROPOUT, {}, "uncertainty"),
    "cifar10_dwa": _preset("as cifar10_3, with dynamic weight averages", _DROPOUT, {}, "dwa"),
}
