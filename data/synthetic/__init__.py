"""Procedurally drawn look-alikes of the datasets, for use without a download."""

from data.synthetic.garments import garment
from data.synthetic.npy_writer import materialise_npy
from data.synthetic.portraits import DRAWN_ATTRIBUTES, LANDMARKS, RANDOM_ATTRIBUTES, portrait
from data.synthetic.raycast import Camera
from data.synthetic.rooms import ROOM_CLASSES, room, room_camera
from data.synthetic.scenes import cifar10_scene, cifar100_scene
from data.synthetic.streets import STREET_CLASSES, street, street_camera
from data.synthetic.writer import materialise

__all__ = [
    "DRAWN_ATTRIBUTES",
    "LANDMARKS",
    "RANDOM_ATTRIBUTES",
    "ROOM_CLASSES",
    "STREET_CLASSES",
    "Camera",
    "cifar10_scene",
    "cifar100_scene",
    "garment",
    "materialise",
    "materialise_npy",
    "portrait",
    "room",
    "room_camera",
    "street",
    "street_camera",
]
