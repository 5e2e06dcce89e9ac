"""Writes drawn datasets to disk, in the format and with the features of the TFDS datasets that they replace."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from data.cache import cache_folder
from data.synthetic.garments import GARMENT_SIZES, GARMENT_VERSION, garment
from data.synthetic.portraits import PORTRAIT_SIZES, PORTRAIT_VERSION, portrait
from data.synthetic.scenes import CIFAR10_SIZES, CIFAR100_SIZES, SCENE_VERSION, cifar10_scene, cifar100_scene
from data.tfds_reader import DRAWN
from mtl_keras.checks import unknown_value


@dataclass(frozen=True)
class _LookAlike:
    """A drawn dataset: the function that draws an example, the default sizes and the version."""

    example: Callable[[int, str, int], dict[str, Any]]
    sizes: Mapping[str, int]
    version: int


_LOOK_ALIKES = {
    "celeb_a": _LookAlike(portrait, PORTRAIT_SIZES, PORTRAIT_VERSION),
    "cifar10": _LookAlike(cifar10_scene, CIFAR10_SIZES, SCENE_VERSION),
    "cifar100": _LookAlike(cifar100_scene, CIFAR100_SIZES, SCENE_VERSION),
    "fashion_mnist": _LookAlike(garment, GARMENT_SIZES, GARMENT_VERSION),
}


def materialise(
    name: str,
    sizes: Mapping[str, int] | None = None,
    *,
    seed: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Returns the TFDS directory of a drawn dataset; draws it if it does not exist.

    Example i of a split depends only on the seed, the split and i: a smaller dataset is the beginning of a larger one.

    Args:
        name: `"celeb_a"`, `"cifar10"`, `"cifar100"` or `"fashion_mnist"`.
        sizes: split -> number of examples, >= 1; by default the default size of the split.
        seed: seed of everything drawn, >= 0.
        cache_dir: the folder of drawn datasets; by default `MTL_KERAS_CACHE`, else `~/.cache/mtl_keras`.

    Returns:
        A directory for `tfds.builder(name, data_dir=...)`.

    Raises:
        ValueError: for an unknown dataset or split, or a size below 1.
        OSError: if the directory cannot be written.
    """
    if name not in _LOOK_ALIKES:
        raise unknown_value("synthetic dataset", name, _LOOK_ALIKES)
    look_alike = _LOOK_ALIKES[name]
    wanted = checked_sizes(name, look_alike.sizes, sizes, seed)
    key = "-".join([name, f"v{look_alike.version}", *map(str, wanted.values()), f"seed{seed}"])
    return drawn_folder(key, cache_dir, lambda folder: _draw(name, look_alike, wanted, seed, folder))


def _draw(name: str, look_alike: _LookAlike, sizes: Mapping[str, int], seed: int, folder: Path) -> None:
    """Writes the dataset into a folder."""
    builder = tfds.builder(name, data_dir=folder, try_gcs=False)
    builder.data_path.mkdir(parents=True)
    # One file per split: TFDS interleaves several files, and would not read the examples in numerical order.
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=max(sizes.values()))
    writer.initialize_splits(list(sizes))
    for split, size in sizes.items():
        writer.add_examples({split: (look_alike.example(seed, split, index) for index in range(size))})
    writer.close_all()


def drawn_folder(key: str, cache_dir: str | os.PathLike[str] | None, draw: Callable[[Path], None]) -> Path:
    """Returns the folder of a drawn dataset; draws it if it does not exist.

    It is drawn into a temporary folder next to it, which is moved into place when complete.

    Args:
        key: name of the folder, which changes with everything drawn.
        cache_dir: the folder of drawn datasets; by default `MTL_KERAS_CACHE`, else `~/.cache/mtl_keras`.
        draw: writes the dataset into a new folder.

    Raises:
        OSError: if it cannot be written.
    """
    target = cache_folder(cache_dir) / "synthetic" / key
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
            complete = Path(temporary) / "complete"
            draw(complete)
            (complete / DRAWN).touch()
            try:
                complete.rename(target)
            except OSError:
                # Another process wrote the same dataset first.
                if not target.exists():
                    raise
    except OSError as cause:
        raise OSError(
            f"Cannot store the synthetic dataset in {target}: {cause.strerror or cause}. Name another folder in "
            "--data_dir or MTL_KERAS_CACHE."
        ) from cause
    return target


def checked_sizes(name: str, default: Mapping[str, int], sizes: Mapping[str, int] | None, seed: int) -> dict[str, int]:
    """Returns the number of examples to draw for each split: those of `sizes`, else the default ones.

    Raises:
        ValueError: for an unknown split, a size below 1 or a seed below 0.
    """
    wanted = dict(default)
    for split, size in (sizes or {}).items():
        if split not in wanted:
            raise unknown_value(f"split of {name}", split, wanted)
        if size < 1:
            raise ValueError(f"A synthetic split must have at least one example. Received: sizes={dict(sizes or {})}")
        wanted[split] = size
    if seed < 0:
        raise ValueError(f"seed must be at least 0. Received: seed={seed}")
    return wanted
