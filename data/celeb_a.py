"""CelebA: forty face attributes and five landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import tensorflow as tf

from data import images
from data.celeb_a_files import open_folder
from data.reader import Reader
from data.recipe import Recipe, recipes
from mtl_keras.tasks import Task, TaskSet

ATTRIBUTES = tuple(
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones "
    "Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline "
    "Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick "
    "Wearing_Necklace Wearing_Necktie Young".split()
)
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
HEIGHT, WIDTH, SIDE = 218, 178, 128
TOP = (HEIGHT - WIDTH) // 2
MIRRORED_POINTS = (1, 0, 2, 4, 3)
COORDINATES = tuple(f"landmarks/{point.replace('_', '')}_{axis}" for point in POINTS for axis in "xy")


@recipes.register
class CelebA(Recipe):
    """CelebA, aligned and cropped, through TFDS or from its plain files: 128x128 colour images.

    Images of 178x218 pixels are cropped by 20 rows at the top and at the bottom and resized to 128x128, as with
    torchvision's `CenterCrop(178)` and `Resize(128)`. Images of other sizes are cropped by the same share of their rows
    and also resized to 128x128, whatever their aspect ratio.

    Attributes are float32 (batch,), 0 or 1. `landmarks` are float32 (batch, 10): x and y of each point in [0, 1] of
    the resized image (a point on a cropped row lies slightly outside). The stored integers are pixel centres: a point
    at (x, y) of 178x218 becomes ((x + 0.5) / 178, (y - 20 + 0.5) / 178), and `p` is the centre of pixel
    `128 * p - 0.5` of the resized image.

    References:
        Z. Liu, P. Luo, X. Wang, X. Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015,
        https://arxiv.org/abs/1411.7766
    """

    # An error of three pixels is a squared error of 0.0003: with weight 1 the landmark loss would be negligible next to
    # the cross-entropies of 40 attributes.
    available = TaskSet(
        [
            *(Task.binary(name) for name in ATTRIBUTES),
            Task.landmarks("landmarks", POINTS, pixels=float(SIDE), weight=1000.0),
        ]
    )
    version = "2.1.0"
    downloadable = False
    splits: ClassVar[Mapping[str, str]] = {"train": "train", "validation": "validation", "test": "test"}
    stored_shape = (HEIGHT, WIDTH, 3)
    image_shape = (SIDE, SIDE, 3)
    label_dtype = tf.float32
    files = "img_align_celeba (or .zip) and the lists of CelebA"

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes among the tasks, in order."""
        return tuple(name for name in self.tasks if name != "landmarks")

    @property
    def fields(self) -> tuple[str, ...]:
        coordinates = COORDINATES if "landmarks" in self.tasks else ()
        return tuple(f"attributes/{name}" for name in self.attributes) + coordinates

    def limits(self, field: str) -> tuple[int, int]:
        if not field.startswith("landmarks/"):
            return 0, 1
        # A point may lie outside the image, by at most the size of the image.
        side = WIDTH if field.endswith("_x") else HEIGHT
        return -side, 2 * side

    def open_files(self, folder: Path) -> Reader | None:
        coordinates = COORDINATES if "landmarks" in self.tasks else ()
        return open_folder(folder, ATTRIBUTES if self.attributes else (), [path.split("/")[1] for path in coordinates])

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        return images.resize(images.decode_cropped(encoded, TOP / HEIGHT), SIDE, SIDE, usual=(WIDTH, WIDTH))

    def decode_all(self, encoded: tf.Tensor) -> tf.Tensor:
        return images.decode_resized(encoded, TOP / HEIGHT, SIDE, SIDE, usual=(HEIGHT, WIDTH))

    def frame(self, image: tf.Tensor) -> tf.Tensor:
        return images.resize(images.crop(image, TOP / HEIGHT), SIDE, SIDE)

    def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        count = len(self.attributes)
        labels = dict(zip(self.attributes, tf.unstack(vectors[:, :count], axis=1)))
        if "landmarks" in self.tasks:
            top_left = tf.constant([0.0, TOP] * len(POINTS))
            labels["landmarks"] = (vectors[:, count:] - top_left + 0.5) / WIDTH
        return {name: labels[name] for name in self.tasks}

    def mirror(self, labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if "landmarks" not in labels:
            return labels
        return {**labels, "landmarks": images.mirror_points(labels["landmarks"], MIRRORED_POINTS)}
