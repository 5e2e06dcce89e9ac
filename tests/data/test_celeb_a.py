from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data.celeb_a import ATTRIBUTES, POINTS, CelebA
from data.dataset import Dataset
from tests.data.conftest import face, face_features, jpeg, photograph, write


@pytest.fixture
def faces(faces_dir: str) -> Dataset:
    return data.load("celeb_a", data_dir=faces_dir)


def centre(image: np.ndarray) -> np.ndarray:
    """The place (x, y) of a bright dot, in pixel indices."""
    light = np.maximum(image.mean(axis=-1) - 0.3, 0)
    y, x = np.indices(light.shape)
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


def test_all_tasks_by_default(faces: Dataset) -> None:
    assert faces.tasks.names == (*ATTRIBUTES, "landmarks")
    image, labels = faces.batches("train", 4).element_spec
    assert image == tf.TensorSpec([None, 128, 128, 3], tf.float32)
    assert labels["Smiling"] == tf.TensorSpec([None], tf.float32)
    assert labels["landmarks"] == tf.TensorSpec([None, 10], tf.float32)
    assert [faces.size(split) for split in ("train", "validation", "test")] == [10, 4, 3]


def test_labels_belong_to_their_images_and_tasks(faces: Dataset, faces_dir: str, memory: str) -> None:
    chosen = data.load("celeb_a", tasks=["landmarks", "Young", "Bald"], data_dir=faces_dir)
    stored = {np.asarray(faces.decode(example["image"].read())).tobytes(): example for example in map(face, range(10))}
    for dataset in (faces, chosen):
        for images, labels in dataset.batches("train", 4):
            assert list(labels) == list(dataset.tasks)
            for row, image in enumerate(images.numpy()):
                example = stored[image.tobytes()]
                for name in set(labels) - {"landmarks"}:
                    assert labels[name].numpy()[row] == example["attributes"][name]
                points = np.array(list(example["landmarks"].values())).reshape(5, 2)
                expected = (points - (0, 20) + 0.5) / 178
                np.testing.assert_allclose(labels["landmarks"].numpy()[row], expected.reshape(-1), rtol=1e-6)


def test_framing_is_that_of_pil() -> None:
    for number in range(4):
        encoded = jpeg(photograph(number), quality=60)
        with Image.open(io.BytesIO(encoded)) as image:
            expected = np.asarray(image.crop((0, 20, 178, 198)).resize((128, 128), Image.Resampling.BILINEAR), np.int64)
        difference = np.abs(CelebA().decode(tf.constant(encoded)).numpy().astype(int) - expected)
        assert difference.max() <= 5
        assert difference.mean() <= 1


@pytest.mark.parametrize(("form", "scale"), [("JPEG", 0.5), ("PNG", 1), ("JPEG", 2.5), ("PNG", 2.5)])
def test_other_sizes_and_formats_are_framed_alike(faces: Dataset, form: str, scale: float) -> None:
    rows, columns = np.indices((218, 178))
    gradient = np.stack([rows, columns, rows // 2 + columns // 2], axis=-1).astype(np.uint8)
    image = Image.fromarray(gradient).resize((round(178 * scale), round(218 * scale)), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, form)
    decoded = tf.function(faces.decode)(tf.constant(file.getvalue())).numpy()
    expected = (
        np.asarray(Image.fromarray(gradient).crop((0, 20, 178, 198)).resize((128, 128), Image.Resampling.BILINEAR))
        / 255
    )
    assert decoded.shape == (128, 128, 3)
    assert np.abs(decoded - expected)[2:-2, 2:-2].max() < 0.03


def test_landmarks_lie_where_the_picture_shows_them(tmp_path: Path) -> None:
    places = [(40, 60), (141, 60), (90, 111), (55, 160), (120, 171)]
    examples = []
    for number, (x, y) in enumerate(places * 4):
        picture = np.zeros((218, 178, 3), np.uint8)
        picture[y - 4 : y + 5, x - 4 : x + 5] = 255
        key = POINTS[number % 5].replace("_", "")
        others = {f"{point.replace('_', '')}_x": 5 for point in POINTS}
        examples.append(face(number, jpeg(picture, 95), {**others, f"{key}_x": x, f"{key}_y": y}))
    write(tmp_path, "celeb_a", "2.1.0", face_features(), {"train": examples, "validation": examples, "test": examples})
    dataset = data.load("celeb_a", tasks=["landmarks"], data_dir=tmp_path)
    swapped = 0
    for images, labels in dataset.batches("train", 7, augment=True):
        for image, points in zip(images.numpy(), labels["landmarks"].numpy().reshape(-1, 5, 2)):
            flipped = (points[:, 0] > 0.9).sum() == 4
            shown = [i for i in range(5) if 0.1 < points[i, 0] < 0.9]
            assert len(shown) == 1
            np.testing.assert_allclose(centre(image), points[shown[0]] * 128 - 0.5, atol=0.15)
            if shown[0] != POINTS.index("nose"):
                assert (points[shown[0], 0] < 0.5) == POINTS[shown[0]].startswith("left")
            swapped += flipped
    assert 3 <= swapped <= 17


def test_flipping_twice_changes_nothing(faces: Dataset) -> None:
    _, labels = next(iter(faces.batches("train", 4)))
    once = CelebA().mirror(labels)
    twice = CelebA().mirror(once)
    assert (once["landmarks"].numpy() != labels["landmarks"].numpy()).any()
    for name in labels:
        np.testing.assert_allclose(twice[name], labels[name], atol=1e-7)
