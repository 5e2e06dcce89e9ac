"""Small examples with labels of pixels, as arrays and as folders of .npy files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.dense.source import Arrays
from mtl_keras.tasks import Task, TaskSet

HEIGHT, WIDTH, CLASSES = 8, 12, 5
TASKS = TaskSet([Task.segmentation("segmentation", CLASSES), Task.depth("depth"), Task.normals("normals")])
FOLDERS = {"segmentation": "label", "depth": "depth", "normals": "normal"}


def examples(count: int, seed: int = 0) -> Arrays:
    """Returns random images, and labels of which some are missing; the first pixel tells which example it is."""
    rng = np.random.default_rng(seed)
    images = rng.random((count, HEIGHT, WIDTH, 3), np.float32)
    images[:, 0, 0, 0] = np.arange(count) / 100
    classes = rng.integers(-1, CLASSES, (count, HEIGHT, WIDTH)).astype(np.int32)
    classes[:, 0, 0] = CLASSES - 1
    depth = rng.uniform(0.5, 9, (count, HEIGHT, WIDTH, 1)).astype(np.float32)
    depth[:, 1] = 0
    normals = rng.normal(size=(count, HEIGHT, WIDTH, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[:, 2] = 0
    return images, {"segmentation": classes, "depth": depth, "normals": normals}


def write_npy(root: Path, splits: Mapping[str, Arrays], folders: Mapping[str, str] | None = None) -> Path:
    """Writes `ROOT/{train,val,test}/{image,label,depth,normal}/{i}.npy` and returns the folder."""
    for split, (images, labels) in splits.items():
        arrays = {"image": images, **{(folders or FOLDERS)[name]: values for name, values in labels.items()}}
        for folder, values in arrays.items():
            (root / split / folder).mkdir(parents=True)
            for number, value in enumerate(values):
                np.save(root / split / folder / f"{number}.npy", value)
    return root
