"""Keras layers for multi-task networks."""

from mtl_keras.layers.attention import TaskAttention
from mtl_keras.layers.branching import BranchChoice
from mtl_keras.layers.dilated_pooling import DilatedPooling2D
from mtl_keras.layers.gates import DSelectKGate, ExpertMixture, SoftmaxGate
from mtl_keras.layers.routing import TaskRouting
from mtl_keras.layers.stitches import NDDR, CrossStitch, LayerMixture, Sluice, SubspaceOrthogonality
from mtl_keras.layers.task_split import TaskSplit
from mtl_keras.layers.unpooling import MaxUnpooling2D

__all__ = [
    "NDDR",
    "BranchChoice",
    "CrossStitch",
    "DSelectKGate",
    "DilatedPooling2D",
    "ExpertMixture",
    "LayerMixture",
    "MaxUnpooling2D",
    "Sluice",
    "SoftmaxGate",
    "SubspaceOrthogonality",
    "TaskAttention",
    "TaskRouting",
    "TaskSplit",
]


def __dir__() -> list[str]:
    return __all__
