"""Opens datasets by name, from TensorFlow Datasets or as synthetic look-alikes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from data import celeb_a, cifar10, cifar100, fashion_mnist, multi_fashion
from data.bad_examples import Skipped
from data.custom.arrays import from_arrays
from data.custom.files import FORMS, IMAGE_FORMS, absolute_name, from_csv, from_folder, names_files, open_files
from data.custom.rows import from_table
from data.custom.streams import from_tf_data
from data.custom.task_recipe import recipe_from_tasks
from data.custom.tfds_features import from_tfds
from data.dataset import AnyDataset, Dataset, describe_tasks
from data.dense.dataset import DenseDataset
from data.dense.open import open_preset
from data.dense.presets import PRESETS
from data.errors import explain
from data.features import FeatureEncoder
from data.images import to_unit_range
from data.mixing import mixed
from data.mixture import Mixture
from data.pipeline import CACHES, ON_BAD_EXAMPLE, check_reading
from data.recipe import Recipe, recipes
from data.source import DataUnavailable, open_reader
from data.split import check_train_examples
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import Task, TaskSet

__all__ = [
    "CACHES",
    "FORMS",
    "IMAGE_FORMS",
    "ON_BAD_EXAMPLE",
    "AnyDataset",
    "DataUnavailable",
    "Dataset",
    "DenseDataset",
    "FeatureEncoder",
    "Mixture",
    "Recipe",
    "Skipped",
    "absolute_name",
    "available_tasks",
    "celeb_a",
    "check_train_examples",
    "cifar10",
    "cifar100",
    "decoder",
    "default_tasks",
    "describe_tasks",
    "explain",
    "fashion_mnist",
    "from_arrays",
    "from_csv",
    "from_folder",
    "from_table",
    "from_tf_data",
    "from_tfds",
    "load",
    "mixed",
    "multi_fashion",
    "names",
    "names_files",
    "recipes",
]


def names() -> list[str]:
    """Returns the names of all datasets."""
    return sorted([*recipes.names, *PRESETS])


def available_tasks(name: str) -> TaskSet:
    """Returns all tasks of the dataset with one of `names()`, without opening its files.

    Tasks of pixels have no size yet: see `TaskSet.at_size`.
    """
    return PRESETS[name].available() if name in PRESETS else recipes[name]().available


def default_tasks(name: str) -> TaskSet:
    """Returns the tasks that `load` opens if none are named, for a dataset with one of `names()`."""
    return available_tasks(name) if name in PRESETS else recipes[name]().tasks


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
    types: Mapping[str, str] | None = None,
    features: Sequence[str] | None = None,
    feature_types: Mapping[str, str] | None = None,
    image_column: str | None = None,
    image_extension: str = "",
    image_size: tuple[int, int] | None = None,
    color_jitter: float = 0.0,
) -> Dataset | DenseDataset:
    """Opens a dataset.

    Args:
        name: one of `names()`, or `"csv:PATH"`, `"folder:PATH"` or `"npy:PATH"` for your own files.
        tasks: the tasks to load, in order; by default the default tasks of the dataset's recipe.
        data_dir: the TFDS directory that holds it, or the folder of its plain files (`celeb_a`, `nyuv2`,
            `cityscapes`); by default `TFDS_DATA_DIR`, else `~/tensorflow_datasets`. With `synthetic`, where the drawn
            examples are stored. For your own files, their current folder, if they moved from the path in the name.
        synthetic: whether to generate a synthetic look-alike instead.
        seed: seed of the synthetic look-alike, and of the training pairs of `multi_fashion`.
        sizes: how many examples to draw for each stored split, or one number for all of them.
        cache: where decoded images, and labels of pixels, are cached: `"memory"`; `"disk"`, in `MTL_KERAS_CACHE` or
            `~/.cache/mtl_keras`, where other processes find them; `"none"`, which decodes them in every epoch; or
            `"auto"`, in memory if a split takes less than 1 GiB.
        on_bad_example: `"error"` raises for an image that cannot be decoded or an invalid label; `"skip"` reads each
            split once before its first use and leaves such examples out: see `Dataset.skipped`.
        types: for a CSV file, column -> kind of task: see `from_csv`.
        features: for a CSV file without images, the columns to predict from: see `from_csv`.
        feature_types: for a CSV file without images, column -> kind of feature: see `from_csv`.
        image_column: for a CSV file, the column of image names: see `from_csv`.
        image_extension: for a CSV file, what to append to the image names, as `".jpg"`.
        image_size: for your own files, the (height, width) that images are resized to: see `from_csv`. For `nyuv2` and
            `cityscapes` with `synthetic`, that of the drawn images.
        color_jitter: for labels of pixels, how much `augment` changes the colours of images: see `DenseDataset`.

    Raises:
        ValueError: for an unknown dataset, task or cache, or invalid data.
        DataUnavailable: if the dataset is not found and cannot be downloaded.

    Example:

    ```python
    dataset = data.load("celeb_a", tasks=["Smiling", "landmarks"], synthetic=True)
    images, labels = next(iter(dataset.batches("train", 64, shuffle=True)))
    ```
    """
    if names_files(name):
        if synthetic or sizes is not None:
            raise ValueError(f"{name} has no synthetic look-alike. Received: synthetic={synthetic!r}, sizes={sizes!r}")
        return open_files(
            name,
            tasks=tasks,
            data_dir=data_dir,
            types=types,
            features=features,
            feature_types=feature_types,
            image_column=image_column,
            image_extension=image_extension,
            image_size=image_size,
            cache=cache,
            on_bad_example=on_bad_example,
            color_jitter=color_jitter,
        )
    if types or (image_size is not None and name not in PRESETS):
        raise ValueError(
            f"`types` and `image_size` are for {' and '.join(IMAGE_FORMS)}. "
            f"Received: {name!r} with types={types!r}, image_size={image_size!r}"
        )
    if features or feature_types:
        raise ValueError(
            f"`features` and `feature_types` are for csv:PATH. Received: {name!r} with features={features!r}, "
            f"feature_types={feature_types!r}"
        )
    if image_column is not None or image_extension:
        raise ValueError(
            f"`image_column` and `image_extension` are for csv:PATH. Received: {name!r} with "
            f"image_column={image_column!r}, image_extension={image_extension!r}"
        )
    if name in PRESETS:
        return open_preset(
            name,
            tasks=tasks,
            data_dir=data_dir,
            synthetic=synthetic,
            seed=seed,
            sizes=sizes,
            image_size=image_size,
            cache=cache,
            on_bad_example=on_bad_example,
            color_jitter=color_jitter,
        )
    if name not in recipes:
        raise unknown_value("dataset", name, [*names(), *FORMS])
    if color_jitter:
        raise ValueError(
            f"`color_jitter` is for datasets with labels of pixels: {', '.join(PRESETS)}, npy:PATH, your masks. "
            f"Received: {name!r} with color_jitter={color_jitter!r}"
        )
    recipe = recipes[name](tasks)
    check_reading(cache, on_bad_example)
    if synthetic:
        from data.synthetic import materialise  # drawing needs Pillow, reading does not

        if isinstance(sizes, int):
            sizes = dict.fromkeys((expression.split("[")[0] for expression in recipe.splits.values()), sizes)
        data_dir = materialise(recipe.source.name, sizes, seed=seed, cache_dir=data_dir)
    elif sizes is not None:
        raise ValueError(f"`sizes` is for synthetic=True. Received: sizes={sizes!r}")
    reader = recipe.compose(open_reader(recipe.source, data_dir), seed)
    synthetic = synthetic or reader.synthetic
    return Dataset(
        name, reader.version, synthetic, recipe.tasks, recipe.image_shape, recipe, reader, cache, on_bad_example
    )


def decoder(name: str, image_shape: Sequence[int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the `decode` function of a dataset: from JPEG or PNG bytes (scalar string) to float32 images in [0, 1].

    It does not need the files of the dataset.

    Args:
        name: name of the dataset. Images of a dataset that is not built in are resized, not cropped.
        image_shape: (height, width, channels) of the model's inputs.
    """
    if name in recipes.names:
        recipe = recipes[name]()
    else:
        shape = tuple(image_shape)
        recipe = recipe_from_tasks("own", TaskSet([Task.reconstruction("image", shape)]), shape)
    return tf.autograph.experimental.do_not_convert(lambda encoded: to_unit_range(recipe.decode(encoded)))
