"""Opens a prepared TFDS dataset, and prepares it if TFDS can."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from data.reader import Reader, feature_at
from data.recipe import Recipe
from data.tfds_reader import TfdsReader

Builder: TypeAlias = tfds.core.DatasetBuilder
_PROBE_SECONDS = 10


class DataUnavailable(RuntimeError):
    """The dataset was not found and could not be downloaded; the message says how to get it."""


def open_reader(recipe: Recipe, data_dir: str | os.PathLike[str] | None = None) -> Reader:
    """Opens the dataset of `recipe`. Uses the network only if it is not found.

    Args:
        recipe: recipe of the dataset.
        data_dir: the TFDS directory, or the folder of the dataset's plain files if the recipe can read those. If
            `None`, the environment variable `TFDS_DATA_DIR` is used, else `~/tensorflow_datasets`.

    Raises:
        DataUnavailable: if it is not found and cannot be downloaded.
        ValueError: if another dataset is found, or a split is empty.
    """
    root = tfds.core.Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    if data_dir and not root.exists():
        raise _unavailable(recipe, root, "The directory does not exist. ")
    if root.exists() and not root.is_dir():
        raise _unavailable(recipe, root, "It is a file, not a directory. ")
    if root.exists() and not os.access(root, os.R_OK | os.X_OK):
        raise _unavailable(recipe, root, "The directory is not readable. ")
    builder = _find(recipe, root)
    if builder is None:
        files = recipe.open_files(Path(root))
        if files is not None:
            return files
        if not recipe.downloadable:
            raise _unavailable(recipe, root)
        _prepare(recipe, root)
        builder = _find(recipe, root)
        if builder is None:
            raise _unavailable(recipe, root, "TFDS prepared another version. ")
    _check_features(recipe, builder)
    reader = TfdsReader(recipe, builder)
    _check_splits(recipe, builder, reader)
    return reader


def _find(recipe: Recipe, root: tfds.core.Path) -> Builder | None:
    """Returns the newest version on disk, with the features declared in its files."""
    major = recipe.version.split(".")[0]
    marks = ("dataset_info.json", "features.json")
    found = [path.parent for mark in marks for path in (root / recipe.name).glob(f"{major}.*/{mark}")]
    if not found:
        return None
    newest = max(found, key=lambda path: tfds.core.Version(path.name))
    try:
        return tfds.builder_from_directory(newest)
    except Exception as cause:  # the parsers may raise anything for damaged files
        raise ValueError(f"Cannot read the dataset in {newest}: {_one_line(cause)}") from cause


def _unavailable(recipe: Recipe, root: tfds.core.Path, reason: str = "") -> DataUnavailable:
    files = f" or folder with {recipe.files}" if recipe.files else ""
    return DataUnavailable(
        f"Found no {recipe.name} (TFDS {recipe.version}) in {root}. {reason}Prepare it with `tfds build "
        f"{recipe.name}`, say with --data_dir (or TFDS_DATA_DIR) which TFDS directory{files} holds it, or use its "
        "synthetic look-alike with --synthetic."
    )


def _prepare(recipe: Recipe, root: tfds.core.Path) -> None:
    """Downloads and prepares the dataset with TFDS in a temporary folder, and moves it into `root` when complete."""
    with tempfile.TemporaryDirectory(prefix=f"{recipe.name}.") as scratch:
        try:
            with quiet():
                builder = tfds.builder(recipe.name, data_dir=scratch, try_gcs=False)
            # TFDS retries for minutes without a network, so try one request first.
            request = urllib.request.Request(next(iter(builder.url_infos)), method="HEAD")
            urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
            target = root / recipe.name / str(builder.version)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(builder.data_dir, target)
        except (OSError, ImportError, tfds.download.DownloadError) as cause:
            raise _unavailable(recipe, root, f"Downloading it failed ({_one_line(cause)}). ") from cause


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences TFDS logs that users cannot act on, such as its own deprecated calls."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_features(recipe: Recipe, builder: Builder) -> None:
    features = builder.info.features
    for path in ("image", *recipe.fields):
        try:
            feature = feature_at(features, path)
        except (KeyError, TypeError) as cause:
            raise _wrong_feature(recipe, builder, path, "nothing") from cause
        kind = np.dtype(feature.np_dtype)
        if path == "image":
            same_shape = len(feature.shape) == 3 and all(
                size in (None, expected) for size, expected in zip(feature.shape, recipe.stored_shape)
            )
            encoded = isinstance(feature, tfds.features.Image) and kind == np.uint8
            fits = same_shape and (encoded or kind.kind == "f")
        elif path in recipe.text_fields:
            fits = isinstance(feature, tfds.features.Text)
        else:
            fits = feature.shape == () and kind.kind in "biu"
        if not fits:
            raise _wrong_feature(recipe, builder, path, f"{kind.name} {feature.shape}")


def _wrong_feature(recipe: Recipe, builder: Builder, path: str, received: str) -> ValueError:
    if path == "image":
        expected = f"an encoded uint8 or float image {recipe.stored_shape}"
    else:
        expected = "a text ()" if path in recipe.text_fields else "an integer or bool ()"
    return ValueError(
        f"The dataset in {builder.data_dir} does not have the features of {recipe.name} {recipe.version}: {path!r} "
        f"should be {expected}. Received: {received}"
    )


def _check_splits(recipe: Recipe, builder: Builder, reader: TfdsReader) -> None:
    for split, expression in recipe.splits.items():
        stored = expression.split("[")[0]
        if stored not in builder.info.splits:
            raise ValueError(f"The dataset in {builder.data_dir} has no split {stored!r}.")
        if not reader.size(split):
            raise ValueError(
                f"The {split} split of the dataset in {builder.data_dir} is empty (TFDS split {expression!r})."
            )
        missing = reader.missing_file(split)
        if missing:
            raise ValueError(f"{missing}, a file of the {split} split, is missing. Prepare the dataset again.")
