"""Networks built with the functional API: trunks, heads and their combinations."""

from models.attention import mtan
from models.branching import branches, ltb
from models.decoders import decoders
from models.deeplab import deeplab
from models.dilated import dilated
from models.encoder_decoders import segnet, unet
from models.experts import cgc, dselect_k, mmoe, ple
from models.face_groups import face_groups
from models.hub import keras_hub
from models.networks import NETWORKS, check_network, hard_sharing, network, trunk_layers
from models.parallel import cross_stitch, nddr, sluice, start_from_single_task
from models.resnet import resnet18
from models.segnet_mtan import segnet_mtan
from models.strided import strided
from models.task_routing import task_routing
from models.two_paths import two_paths
from models.vgg16_dense import vgg16_dense

__all__ = [
    "NETWORKS",
    "branches",
    "cgc",
    "check_network",
    "cross_stitch",
    "decoders",
    "deeplab",
    "dilated",
    "dselect_k",
    "face_groups",
    "hard_sharing",
    "keras_hub",
    "ltb",
    "mmoe",
    "mtan",
    "nddr",
    "network",
    "ple",
    "resnet18",
    "segnet",
    "segnet_mtan",
    "sluice",
    "start_from_single_task",
    "strided",
    "task_routing",
    "trunk_layers",
    "two_paths",
    "unet",
    "vgg16_dense",
]
