"""One head for all face attributes and one for the landmarks, on a pretrained trunk."""

from __future__ import annotations

import warnings

from keras import layers

from models import heads, trunks
from models.applications import check_images
from models.networks import NETWORKS, Graph, Network, check_heads
from mtl_keras.tasks import TaskSet


@NETWORKS.register
def face_groups(trunk: str = "resnet18", hidden: int = 256, frozen: bool = True) -> Network:
    """Builds a trunk, one dense layer shared by the binary tasks, and one per regression task (the landmarks).

    Args:
        trunk: name of a trunk: see `models.trunks.get`.
        hidden: width of the dense layers.
        frozen: whether the trunk is frozen. Its BatchNorm layers then keep their statistics and use them in training
            too.

    References:
        K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
        https://arxiv.org/abs/1512.03385
        https://github.com/ChenChienYi/Multi-Task-Learning-Model: CelebA on ResNet-18 with frozen weights of ImageNet,
        Adam (0.001).
    """

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        check_heads("face_groups", tasks, ("binary", "regression"))
        check_images("Network 'face_groups'", image_shape)
        if frozen and weights is None:
            warnings.warn(
                "The trunk of network 'face_groups' is frozen at random weights. Give it weights, or train it with "
                "frozen=False.",
                stacklevel=2,
            )
        model = trunks.get(trunk, image_shape, weights)
        if frozen:
            model.trainable = False
        features = heads.pooled("trunk", model.output)
        outputs = {}
        binary = [task for task in tasks.values() if task.head == "binary"]
        if binary:
            owner = binary[0].name if len(binary) == 1 else heads.SHARED
            x = layers.Dense(hidden, activation="relu", name=f"{owner}_hidden")(features)
            outputs = heads.binary(binary, x)
        for task in tasks.values():
            if task.head == "regression":
                outputs[task.name] = heads.regression(task, features, hidden)
        return model.input, {name: outputs[name] for name in tasks}

    return build
