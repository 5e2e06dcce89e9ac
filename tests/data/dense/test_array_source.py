"""Sources of arrays: what they check, and what they leave as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.dense.arrays import ArraySource
from data.dense.dataset import DenseDataset
from data.dense.source import Arrays
from tests.data.dense.examples import TASKS, examples


def stored() -> dict[str, Arrays]:
    return {"train": examples(10, 0), "validation": examples(3, 1), "test": examples(2, 2)}


def changed(task: str, value: Any, where: Any = (3, 0, 0)) -> dict[str, Arrays]:
    found = stored()
    images, labels = found["train"]
    values = images if task == "image" else labels[task].astype(np.float64)
    values[where] = value
    return found | {"train": (images, labels | ({} if task == "image" else {task: values}))}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            changed("segmentation", 5),
            "train labels of task 'segmentation': classes are from 0 to 4, and -1 is no class. R",
        ),
        (changed("segmentation", 0.5), "segmentation': classes must be whole numbers. Received: 0.5"),
        (changed("segmentation", np.nan), "segmentation': classes must be whole numbers. Received: NaN"),
        (changed("depth", np.inf), "train labels of task 'depth': labels must be finite numbers. Received: infinity"),
        (changed("image", 1.5), "train images: images must be uint8, or floats in .0, 1.. Received: floats from"),
        (changed("image", np.nan), "floats in .0, 1.. Received: NaN"),
        ({"train": examples(2)}, "`splits` must have train, validation, test. Received: train"),
        (stored() | {"test": (examples(2)[0], {})}, "Unknown task, which has no test labels"),
        (stored() | {"test": (examples(2)[0][:, :4], examples(2)[1])}, "test images must be float"),
        (stored() | {"dev": examples(2)}, "Unknown split"),
    ],
)
def test_bad_arrays_are_refused(arrays: dict[str, Arrays], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        ArraySource(arrays, TASKS)
    assert "\n" not in str(error.value)


def test_arrays_are_not_copied() -> None:
    arrays = stored()
    source = ArraySource(arrays, TASKS)
    dataset = DenseDataset("own", source, TASKS, cache="memory")
    images, labels = arrays["train"]
    # A change shows that neither the source nor the dataset has a copy.
    images[0] = 0.5
    labels["depth"][0] = 2
    read, found = next(iter(dataset.batches("train", 2)))
    assert float(read[0, 0, 0, 0]) == 0.5
    assert float(found["depth"][0, 0, 0, 0]) == 2
    assert dataset.missing_labels("train") == dict.fromkeys(TASKS, 0)


def test_depth_may_be_missing_or_without_channels() -> None:
    arrays = changed("depth", np.nan)
    images, labels = arrays["train"]
    arrays["train"] = images, labels | {"depth": labels["depth"][..., 0]}
    depth = ArraySource(arrays, TASKS).read("train", np.array([3]), TASKS)[1]["depth"]
    assert depth.shape == (1, 8, 12, 1)
    assert np.isnan(depth[0, 0, 0])
