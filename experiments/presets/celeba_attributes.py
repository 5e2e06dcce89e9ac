"""CelebA: eight attributes on VGG16, and two ways to drop some of them.

Source: github.com/AviralTripathim22ma012/Multi-Task-Learning and its companion report. Its numbers of positives by task
are 18177, 43278, 83603, 33280, 3713, 24685, 39213 and 38341. Divided by the largest they average 0.425; four tasks are
above the average (0.518, 1.000, 0.469, 0.459), and `celeba_kept` keeps these. The source reports an overall accuracy of
0.863 with eight attributes, 0.711 with four, and 0.914 with dropping, which its code does not reproduce. Its accuracies
by task are not comparable: they are divided by the labels of all tasks.

Command: `python train.py --experiment celeba_vgg16`

Time: about half a minute per step of 64 images on two CPU cores; meant for a GPU. Memory: 4.3 GB.

Result: not run on the real images.
"""

from __future__ import annotations

import dataclasses

from data.celeb_a import ATTRIBUTES
from experiments.config import Preset, RunConfig

EIGHT = ATTRIBUTES[:8]
KEPT = ("Arched_Eyebrows", "Attractive", "Big_Lips", "Big_Nose")

_CONFIG = RunConfig(
    dataset="celeb_a",
    tasks=EIGHT,
    model="vgg16_dense",
    epochs=10,
    batch_size=64,
    learning_rate_decay="none",
)
_SMOKE = {"model": "vgg16_dense(dense=16)", "examples": 8, "batch_size": 4}

PRESETS = {
    "celeba_vgg16": Preset("eight face attributes on VGG16 with two dense layers of 4096", _CONFIG, _SMOKE),
    "celeba_kept": Preset(
        "as celeba_vgg16 without the attributes that have few positives",
        dataclasses.replace(_CONFIG, tasks=KEPT),
        _SMOKE,
    ),
    "celeba_dst_count": Preset(
        "as celeba_vgg16 with scheduled task dropping by the number of positives alone",
        dataclasses.replace(_CONFIG, schedule="dst(count=1)"),
        _SMOKE,
    ),
}
