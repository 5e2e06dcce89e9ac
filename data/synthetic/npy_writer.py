"""Writes rendered scenes to disk in the layout of MTAN's preprocessed NYUv2 and Cityscapes: one array per file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.synthetic.rooms import ROOM_SHAPE, ROOM_SIZES, ROOM_VERSION, room
from data.synthetic.streets import STREET_SHAPE, STREET_SIZES, STREET_VERSION, street
from data.synthetic.writer import checked_sizes, drawn_folder
from mtl_keras.checks import check_integer, unknown_value

_SMALLEST = 16


@dataclass(frozen=True)
class _Scenes:
    """A rendered dataset: the function that renders an example, the default sizes and the version."""

    example: Callable[[int, str, int, int, int], dict[str, np.ndarray]]
    sizes: Mapping[str, int]
    shape: tuple[int, int]
    version: int


_SCENES = {
    "cityscapes": _Scenes(street, STREET_SIZES, STREET_SHAPE, STREET_VERSION),
    "nyuv2": _Scenes(room, ROOM_SIZES, ROOM_SHAPE, ROOM_VERSION),
}


def materialise_npy(
    name: str,
    sizes: Mapping[str, int] | None = None,
    *,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Returns the folder of a rendered dataset; renders it if it does not exist.

    The folder has the files `{train,val}/{image,label,depth,normal}/{i}.npy`, with i from 0, and an empty file `DRAWN`
    that marks it as synthetic. Images are float32 (height, width, 3) in [0, 1], labels int8 (height, width), depths
    float32 (height, width, 1) and normals float32 (height, width, 3): see `room` and `street`. `"cityscapes"` has no
    normals, and its depths are inverse.

    Example i of a split depends only on the seed, the image size, the split and i: a smaller dataset is the beginning
    of a larger one.

    Args:
        name: `"nyuv2"` (`room`) or `"cityscapes"` (`street`).
        sizes: split (`"train"`, `"val"`) -> number of examples, >= 1; by default the default size of the split.
        seed: seed of everything rendered, >= 0.
        size: (height, width) of the images; by default (96, 128), or (64, 128) for `"cityscapes"`.
        cache_dir: the folder of drawn datasets; by default `MTL_KERAS_CACHE`, else `~/.cache/mtl_keras`.

    Raises:
        ValueError: for an unknown dataset or split, a size below 1, or images smaller than 16 x 16.
        OSError: if the folder cannot be written.

    References:
        S. Liu, E. Johns, A. J. Davison, CVPR 2019, https://github.com/lorenmt/mtan
    """
    if name not in _SCENES:
        raise unknown_value("rendered dataset", name, _SCENES)
    scenes = _SCENES[name]
    wanted = checked_sizes(name, scenes.sizes, sizes, seed)
    shape = scenes.shape if size is None else _checked_shape(size)
    key = "-".join([name, f"v{scenes.version}", *map(str, wanted.values()), f"{shape[0]}x{shape[1]}", f"seed{seed}"])
    return drawn_folder(key, cache_dir, lambda folder: _render(scenes, wanted, seed, shape, folder))


def _checked_shape(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2:
        raise ValueError(f"size must be (height, width). Received: size={size!r}")
    return check_integer("height", size[0], _SMALLEST), check_integer("width", size[1], _SMALLEST)


def _render(scenes: _Scenes, sizes: Mapping[str, int], seed: int, shape: tuple[int, int], root: Path) -> None:
    """Writes the dataset into a folder."""
    for split, count in sizes.items():
        for index in range(count):
            example = scenes.example(seed, split, index, *shape)
            example["label"] = example["label"].astype(np.int8)
            for kind, array in example.items():
                folder = root / split / kind
                if index == 0:
                    folder.mkdir(parents=True)
                np.save(folder / f"{index}.npy", array)
