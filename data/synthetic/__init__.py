"""Procedurally drawn look-alikes of the datasets, for use without a download."""

from data.synthetic.garments import garment
from data.synthetic.portraits import DRAWN_ATTRIBUTES, LANDMARKS, RANDOM_ATTRIBUTES, portrait
from data.synthetic.scenes import cifar10_scene, cifar100_scene
from data.synthetic.writer import materialise

__all__ = [
    "DRAWN_ATTRIBUTES",
    "LANDMARKS",
    "RANDOM_ATTRIBUTES",
    "cifar10_scene",
    "cifar100_scene",
    "garment",
    "materialise",
    "portrait",
]
