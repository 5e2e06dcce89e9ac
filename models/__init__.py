"""Networks built with the functional API: trunks, heads and their combinations."""

from models.face_groups import face_groups
from models.hub import keras_hub
from models.networks import NETWORKS, check_network, hard_sharing, network, trunk_layers
from models.resnet import resnet18
from models.strided import strided
from models.two_paths import two_paths
from models.vgg16_dense import vgg16_dense

__all__ = [
    "NETWORKS",
    "check_network",
    "face_groups",
    "hard_sharing",
    "keras_hub",
    "network",
    "resnet18",
    "strided",
    "trunk_layers",
    "two_paths",
    "vgg16_dense",
]
