"""CIFAR-10: class, animal and reconstruction in one network, each as good as in the source's single-task networks.

Source: the network of github.com/hananshafi/Multi-Task-Learning, six times as wide (its decoder three times). Our
changes: more dropout, flipped images, learning rate decay, AdamW, a higher weight of the reconstruction, whose squared
errors are small, and dropping it in half of the steps, which saves half of its time.

Command: `python train.py --experiment cifar10_wide`

Time: half an hour on two CPU cores.

Result (JPEG copy, one run, test split): class accuracy 0.7512, animal accuracy 0.9533, squared error 0.0068; see
RESULTS.md.
"""

from __future__ import annotations

from experiments.config import Preset, RunConfig

_WEIGHTS = {"class": 0.5, "animal": 0.1, "reconstruction": 10.0}

PRESETS = {
    "cifar10_wide": Preset(
        "three tasks in one network, each as good as in the source's single-task networks",
        RunConfig(
            dataset="cifar10",
            tasks=tuple(_WEIGHTS),
            task_weights=_WEIGHTS,
            model="strided(width=6, decoder_width=3, dropout='each', rate=0.3)",
            schedule="random_drop(keep={'reconstruction': 0.5})",
            optimizer="adamw(weight_decay=0.05, clipnorm=1.0)",
            learning_rate=2e-3,
            augment=True,
            epochs=24,
            batch_size=128,
        ),
        smoke={"model": "strided(decoder_width=0.5, dropout='each')"},
    )
}
