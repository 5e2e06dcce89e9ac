"""Datasets by name, read through TensorFlow Datasets or drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from data import celeb_a, cifar10, cifar100, fashion_mnist
from data.bad_examples import ON_BAD_EXAMPLE, Skipped
from data.dataset import Dataset
from data.errors import explain
from data.pipeline import CACHES
from data.recipe import Recipe, recipes
from data.source import DataUnavailable, open_reader
from mtl_keras.registry import unknown_value

__all__ = [
    "CACHES",
    "ON_BAD_EXAMPLE",
    "DataUnavailable",
    "Dataset",
    "Recipe",
    "Skipped",
    "celeb_a",
    "cifar10",
    "cifar100",
    "explain",
    "fashion_mnist",
    "load",
    "names",
    "recipes",
]


def names() -> list[str]:
    """Returns the names of all datasets."""
    return recipes.names


def load(
    name: str,
    *,
    tasks: Sequence[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    synthetic: bool = False,
    seed: int = 0,
    sizes: int | Mapping[str, int] | None = None,
    cache: str = "auto",
    on_bad_example: str = "error",
) -> Dataset:
    """Opens a dataset.

    Args:
        name: one of `names()`.
        tasks: the tasks wanted, in the order wanted; by default those that the dataset's recipe says.
        data_dir: the TFDS directory that holds it, or the folder of its plain files (`celeb_a`); by default
            `TFDS_DATA_DIR`, else `~/tensorflow_datasets`. With `synthetic`, where the drawn examples are kept.
        synthetic: whether to draw a look-alike instead.
        seed: of the drawn look-alike.
        sizes: how many examples to draw for each TFDS split, or one number for all of them.
        cache: where decoded images are kept: `"memory"`; `"disk"`, in `MTL_KERAS_CACHE` or `~/.cache/mtl_keras`;
            `"none"`, so that they are decoded in every epoch; or `"auto"`, in memory where a split takes less than
            1 GiB. On disk they are found again by other processes.
        on_bad_example: `"error"` ends where an image cannot be decoded or a label cannot be; `"skip"` reads each split
            once more, before it is first used, and leaves such examples out: see `Dataset.skipped`.

    Raises:
        ValueError: for an unknown dataset, task or cache, or data that are not what they should be.
        DataUnavailable: if the dataset is not there and cannot be downloaded.

    Example:

    ```python
    dataset = data.load("celeb_a", tasks=["Smiling", "landmarks"], synthetic=True)
    images, labels = next(iter(dataset.batches("train", 64, shuffle=True)))
    ```
    """
    recipe = recipes[name](tasks)
    if cache not in CACHES:
        raise unknown_value("cache", cache, CACHES)
    if on_bad_example not in ON_BAD_EXAMPLE:
        raise unknown_value("value of on_bad_example", on_bad_example, ON_BAD_EXAMPLE)
    if synthetic:
        from data.synthetic import materialise  # drawing needs Pillow, reading does not

        if isinstance(sizes, int):
            sizes = dict.fromkeys((expression.split("[")[0] for expression in recipe.splits.values()), sizes)
        data_dir = materialise(name, sizes, seed=seed, cache_dir=data_dir)
    elif sizes is not None:
        raise ValueError(f"`sizes` is for synthetic=True. Received: sizes={sizes!r}")
    reader = open_reader(recipe, data_dir)
    synthetic = synthetic or reader.synthetic
    return Dataset(
        name, reader.version, synthetic, recipe.tasks, recipe.image_shape, recipe, reader, cache, on_bad_example
    )
