"""MultiFashion: the classes of two garments in one image, a benchmark of methods for two tasks that compete.

Source: Pareto MTL (https://arxiv.org/abs/1912.12854, github.com/Xi-L/ParetoMTL). Network, batch size and learning rate
are those of the source, which trains with SGD for 100 epochs on 120,000 images.

Command: `python train.py --experiment multi_fashion`, and the same with `--model "mmoe(lenet, experts=4)"`

Time: two minutes on two CPU cores, 8 to 13 seconds per epoch (measured while they were shared).

Result (real data, one run, test split): accuracy 0.8157 (`left`) and 0.8119 (`right`).
"""

from __future__ import annotations

from experiments.config import Preset, RunConfig

PRESETS = {
    "multi_fashion": Preset(
        "two garments in one image, on the LeNet of Pareto MTL",
        RunConfig(
            dataset="multi_fashion",
            model="lenet(kernel=9)",
            learning_rate_decay="none",
            epochs=10,
            batch_size=256,
        ),
    )
}
