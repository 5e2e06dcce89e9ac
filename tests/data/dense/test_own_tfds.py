"""Features of TFDS and pipelines with labels for every pixel: `data.from_tfds`, `data.from_tf_data`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import data
from mtl_keras.tasks import Task
from tests.data.dense import pixel_files as files

SEG = Task.segmentation("seg", 4)


@pytest.fixture(scope="module")
def drawn() -> files.Drawn:
    found = files.draw(count=6)
    found["trimap"] = (found["classes"] % 3 + 1)[..., np.newaxis]
    return found


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory, drawn: files.Drawn) -> str:
    """A TFDS directory with the dataset `pets`."""
    folder = str(tmp_path_factory.mktemp("tfds"))
    image = tfds.features.Image(shape=(None, None, 3))
    features = {
        "image": image,
        "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
        "parts": tfds.features.LabeledImage(labels=["a", "b", "c"]),
        "depth": tfds.features.Tensor(shape=(12, 16, 1), dtype=np.float32),
        "label": tfds.features.ClassLabel(num_classes=3),
    }
    examples = {
        "image": drawn["image"],
        "segmentation_mask": drawn["trimap"],
        "parts": drawn["classes"][..., np.newaxis],
        "depth": drawn["heat"][..., np.newaxis],
        "label": np.arange(6) % 3,
    }
    split = tf.data.Dataset.from_tensor_slices(examples)
    tfds.dataset_builders.store_as_tfds_dataset(
        "pets",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        data_dir=folder,
        split_datasets=dict.fromkeys(("train", "validation", "test"), split),
        disable_shuffling=True,
    )
    return folder


def opened(folder: str, tasks: Any = None, **options: Any) -> data.AnyDataset:
    tasks = {"segmentation_mask": SEG} if tasks is None else tasks
    return data.from_tfds("pets", tasks, data_dir=folder, **{"image_shape": (12, 16, 3), **options})


@pytest.mark.parametrize("cache", ["auto", "disk"])
def test_features_are_labels_of_pixels(
    pets: str, drawn: files.Drawn, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path))
    tasks = {"segmentation_mask": SEG, "parts": None, "depth": Task.depth("depth"), "label": None}
    for _ in range(2):
        dataset = opened(pets, tasks, cache=cache)
        assert {name: task.head for name, task in dataset.tasks.items()} == {
            "seg": "segmentation",
            "parts": "segmentation",
            "depth": "depth",
            "label": "classification",
        }
        assert dataset.tasks["parts"].labels == ("a", "b", "c")
        images, labels = next(iter(dataset.batches("train", 6).as_numpy_iterator()))
        np.testing.assert_allclose(images, drawn["image"] / 255, atol=1e-6)
        np.testing.assert_array_equal(labels["seg"], drawn["trimap"][..., 0])
        np.testing.assert_array_equal(labels["parts"], drawn["classes"])
        np.testing.assert_array_equal(labels["depth"][..., 0], drawn["heat"])
        assert labels["label"].tolist() == [0, 1, 2, 0, 1, 2]
    assert len(list((tmp_path / "decoded").glob("*.npy"))) == (15 if cache == "disk" else 0)
    assert (dataset.description()["version"], dataset.description()["synthetic"]) == ("1.0.0", False)


def test_labels_of_features_are_resized(pets: str, drawn: files.Drawn) -> None:
    dataset = opened(pets, image_shape=(6, 8, 3))
    images, labels = next(iter(dataset.batches("test", 6)))
    assert images.shape == (6, 6, 8, 3)
    np.testing.assert_array_equal(labels["seg"], drawn["trimap"][:, 1::2, 1::2, 0])


@pytest.mark.parametrize(
    ("tasks", "options", "message"),
    [
        (["segmentation_mask"], {}, r"needs a Task .* as Task.segmentation\('segmentation_mask', 4\)"),
        ({"segmentation_mask": Task.segmentation("seg", 3)}, {}, "pets, split train, example .: labels of task 'seg'"),
        ({"label": SEG}, {}, r"'seg' in splits\['train'\] must be numbers \(height, width\)"),
        (None, {"cache": "none"}, "cache must be auto, memory or disk. Received: 'none'"),
        (None, {"on_bad_example": "skip"}, "on_bad_example must be 'error'. Received: 'skip'"),
    ],
)
def test_wrong_features_are_refused(pets: str, tasks: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        opened(pets, tasks, **options)
    assert "\n" not in str(error.value)


def stream(drawn: files.Drawn, **labels: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((drawn["image"], labels))


def test_pipelines_have_labels_of_pixels(drawn: files.Drawn) -> None:
    split = stream(drawn, mask=drawn["mask"], heat=drawn["heat"], wet=np.arange(6) % 2)
    tasks = [
        Task.mask("mask"),
        Task.dense_regression("heat"),
        Task.binary("wet"),
        Task.reconstruction("p", (12, 16, 3)),
    ]
    dataset = data.from_tf_data(dict.fromkeys(("train", "validation", "test"), split), tasks)
    images, labels = next(iter(dataset.batches("validation", 6).as_numpy_iterator()))
    np.testing.assert_array_equal(labels["mask"][..., 0], drawn["mask"] // 255)
    np.testing.assert_array_equal(labels["heat"][..., 0], drawn["heat"])
    np.testing.assert_array_equal(labels["p"], images)
    assert labels["wet"].tolist() == [0, 1, 0, 1, 0, 1]


def test_pipelines_with_wrong_labels_are_refused(drawn: files.Drawn) -> None:
    half = stream(drawn, mask=drawn["mask"][:, :6])
    with pytest.raises(
        ValueError, match="split train, example 0: labels of task 'mask' must have the size of the image"
    ):
        data.from_tf_data(dict.fromkeys(("train", "validation", "test"), half), [Task.mask("mask")])

    def broken() -> Iterator[tuple[bytes, dict[str, np.ndarray]]]:
        yield tf.io.encode_png(drawn["image"][0]).numpy(), {"mask": drawn["mask"][0]}
        yield b"no image", {"mask": drawn["mask"][1]}

    spec = (tf.TensorSpec((), tf.string), {"mask": tf.TensorSpec((12, 16), tf.uint8)})
    bad = tf.data.Dataset.from_generator(broken, output_signature=spec)
    with pytest.raises(ValueError, match=r"split train: Unknown image.*\(example 1\)"):
        data.from_tf_data(
            dict.fromkeys(("train", "validation", "test"), bad), [Task.mask("mask")], image_shape=(12, 16, 3)
        )
