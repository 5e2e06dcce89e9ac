"""Fashion-MNIST: two tasks on one trunk against two networks.

Source: github.com/JSaunders97/multi-task-learning, which claims that multi-task learning raises the accuracy and lowers
the loss of both tasks, in training and in testing. Optimizer, batch size, epochs and weights are those of the source.

Command: `python train.py --experiment fashion_mnist --compare single_task --seeds 0,1,2,3,4`

Time: 2.5 minutes for the shared network on two CPU cores.

Result (real data, 5 seeds): `group` gains 0.8 points of test accuracy; `item` shows no clear difference. See
RESULTS.md.
"""

from __future__ import annotations

from experiments.config import Preset, RunConfig

PRESETS = {
    "fashion_mnist": Preset(
        "garment and group on one convolutional trunk that splits into two dense paths",
        RunConfig(
            dataset="fashion_mnist",
            task_weights={"item": 0.5, "group": 0.5},
            model="two_paths",
            optimizer="adam(beta_1=0.5)",
            learning_rate_decay="none",
            epochs=10,
            batch_size=200,
        ),
        smoke={"model": "two_paths(filters=4, shared=16, dense=8)"},
    )
}
