"""Opens datasets with labels of pixels by name: `npy:PATH`, and those of `PRESETS`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from data.dense.dataset import DenseDataset
from data.dense.npy import NpySource
from data.dense.presets import PRESETS
from data.pipeline import check_reading
from mtl_keras.tasks import TaskSet


class DenseOptions(TypedDict, total=False):
    """The options of all datasets with labels of pixels; see `data.load`."""

    cache: str
    on_bad_example: str
    color_jitter: float


def open_npy(
    folder: Path, name: str, tasks: Sequence[str] | None = None, **options: Unpack[DenseOptions]
) -> DenseDataset:
    """Opens a folder of .npy files.

    Args:
        folder: the folder; see `data.dense.npy.NpySource`.
        name: the dataset's name in records.
        tasks: some of `"segmentation"`, `"depth"` and `"normals"`; by default all that there are labels for.
        **options: see `data.load`.

    Raises:
        ValueError: for an unknown task or option, another layout or a bad file.
    """
    source = NpySource(folder, tasks=tasks, check_files=_checks_files(options))
    return DenseDataset(name, source, source.tasks, **options)


def open_preset(
    name: str,
    *,
    tasks: Sequence[str] | None,
    data_dir: str | os.PathLike[str] | None,
    synthetic: bool,
    seed: int,
    sizes: int | Mapping[str, int] | None,
    image_size: tuple[int, int] | None,
    **options: Unpack[DenseOptions],
) -> DenseDataset:
    """Opens a dataset of `PRESETS`; the arguments are those of `data.load`.

    Args:
        name: its name.
        tasks: the tasks to load, in order; by default all.
        data_dir: the folder with its files, or with the folder of its name; with `synthetic`, where drawn ones are.
        synthetic: whether to draw a look-alike.
        seed: seed of the look-alike.
        sizes: how many examples to draw for `train` and `val`, or one number for both.
        image_size: (height, width) of the drawn images; see `materialise_npy`.
        **options: see `data.load`.

    Raises:
        ValueError: for an unknown task or option, or a bad file.
        DataUnavailable: if the files are not found.
    """
    preset = PRESETS[name]
    check_files = _checks_files(options)
    chosen: TaskSet = preset.available()
    if tasks is not None:
        chosen = chosen.subset(tasks)
    if synthetic:
        from data.synthetic.npy_writer import materialise_npy

        if isinstance(sizes, int):
            sizes = dict.fromkeys(("train", "val"), sizes)
        folder = materialise_npy(name, sizes, seed=seed, size=image_size, cache_dir=data_dir)
    else:
        for argument, value in {"sizes": sizes, "image_size": image_size}.items():
            if value is not None:
                raise ValueError(f"`{argument}` of {name} is for synthetic=True. Received: {argument}={value!r}")
        folder = preset.find(data_dir)
    source = preset.open(folder, chosen.names, check_files=check_files)
    return DenseDataset(name, source, source.tasks, **options)


def _checks_files(options: DenseOptions) -> bool:
    """Returns whether a bad file is an error; checks the options before the files are listed."""
    on_bad_example = options.get("on_bad_example", "error")
    check_reading(options.get("cache", "auto"), on_bad_example)
    return on_bad_example == "error"
