"""Keras layers for multi-task networks."""

from mtl_keras.layers.attention import TaskAttention
from mtl_keras.layers.branching import BranchChoice
from mtl_keras.layers.gates import DSelectKGate, ExpertMixture, SoftmaxGate
from mtl_keras.layers.routing import TaskRouting
from mtl_keras.layers.stitches import NDDR, CrossStitch, LayerMixture, Sluice, SubspaceOrthogonality
from mtl_keras.layers.task_split import TaskSplit

__all__ = [
    "NDDR",
    "BranchChoice",
    "CrossStitch",
    "DSelectKGate",
    "ExpertMixture",
    "LayerMixture",
    "Sluice",
    "SoftmaxGate",
    "SubspaceOrthogonality",
    "TaskAttention",
    "TaskRouting",
    "TaskSplit",
]


def __dir__() -> list[str]:
    return __all__
