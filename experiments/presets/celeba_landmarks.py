"""CelebA: attributes and landmarks on ResNet18.

Source: github.com/ChenChienYi/Multi-Task-Learning-Model: ResNet18 with ImageNet weights, a head of 256 units for
three attributes and another for the ten coordinates of the landmarks, against a network for each. It reports a macro
accuracy of 0.7966 together and 0.7945 alone, and a mean absolute error of the coordinates of 0.0081 and 0.0082. The
weights 50 and 100 are those of its two losses; the first loss is a mean over the three attributes, so each attribute
has a third of its weight. Its trunk is frozen at ImageNet's weights: `--weights FILE` loads them from a file; without
it, the trunk is trained from random weights.

Command: `python train.py --experiment celeba_landmarks --compare single_task --seeds 0,1,2`

Result: not run on the real images.
"""

from __future__ import annotations

from data.celeb_a import ATTRIBUTES
from experiments.config import Preset, RunConfig

THREE = ("High_Cheekbones", "Mouth_Slightly_Open", "Smiling")
_ATTRIBUTES_WEIGHT, _LANDMARKS_WEIGHT = 50.0, 100.0
_SMOKE = {"examples": 8, "batch_size": 4}


def _preset(purpose: str, attributes: tuple[str, ...], model: str) -> Preset:
    each = dict.fromkeys(attributes, _ATTRIBUTES_WEIGHT / len(attributes))
    config = RunConfig(
        dataset="celeb_a",
        tasks=(*attributes, "landmarks"),
        task_weights={**each, "landmarks": _LANDMARKS_WEIGHT},
        model=model,
        epochs=10,
        batch_size=32,
        learning_rate_decay="none",
        early_stopping=2,
    )
    return Preset(purpose, config, _SMOKE)


PRESETS = {
    "celeba_landmarks": _preset("three attributes and landmarks on a ResNet18", THREE, "face_groups(frozen=False)"),
    "celeba_landmarks_frozen": _preset(
        "as celeba_landmarks on a frozen trunk; give it --weights", THREE, "face_groups"
    ),
    "celeba_landmarks_40": _preset(
        "all forty attributes and landmarks on a ResNet18", ATTRIBUTES, "face_groups(frozen=False)"
    ),
}
