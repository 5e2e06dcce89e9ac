"""A shared encoder with a decoder for each task."""

from __future__ import annotations

import keras

from models import heads
from models.encoder_decoders import EncoderDecoder
from models.networks import NETWORKS, Graph, Network
from models.trunks import TRUNKS, Trunk, load_trunk_weights
from mtl_keras.serialization import parse_spec
from mtl_keras.tasks import TaskSet


@NETWORKS.register
def decoders(trunk: str | Trunk = "unet") -> Network:
    """Builds an encoder that all tasks share, and a decoder with a head for each dense task and reconstruction.

    Other tasks read the average of the encoder's last maps. Dropping a task saves its whole decoder; with hard sharing
    of the trunk, it saves the head only.

    Args:
        trunk: the trunk with the encoder and the decoder: `"unet"` or `"segnet"`, with or without arguments.

    Raises:
        ValueError: for another trunk.
    """
    found = TRUNKS.get(trunk) if isinstance(trunk, str) and parse_spec(trunk, "trunk").name in TRUNKS else trunk
    if not isinstance(found, EncoderDecoder):
        raise ValueError(f"trunk must have an encoder and a decoder. Received: trunk={trunk!r}. Choices: unet, segnet")

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        images = keras.Input(image_shape, name="images")
        encoded = found.encode(images)
        load_trunk_weights(keras.Model(images, encoded[-1], name="encoder"), weights, "decoders")
        outputs = {}
        for task in tasks.values():
            has_map = task.is_dense or task.head == "reconstruction"
            features = found.decode(encoded, images, f"{task.name}_decoder") if has_map else encoded[-1]
            outputs[task.name] = heads.head(task, features)
        return images, outputs

    return build
