"""Datasets with labels of pixels that have a name: their classes, and where their files are found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.dense.npy import LAYOUT, NpySource
from data.source import DataUnavailable
from mtl_keras.tasks import Task, TaskSet


@dataclass(frozen=True)
class Preset:
    """A dataset in the format of `NpySource`.

    Args:
        name: the dataset's name, and that of its folder.
        classes: the names of the classes, in the order of their labels.
        tasks: the names of its tasks, in the usual order.
        inverse_depth: whether labels of depth are inverse distances.
    """

    name: str
    classes: tuple[str, ...]
    tasks: tuple[str, ...]
    inverse_depth: bool = False

    def available(self) -> TaskSet:
        """Returns all tasks; they have no size yet."""
        tasks = [Task.segmentation("segmentation", self.classes), Task.depth("depth"), Task.normals("normals")]
        return TaskSet(tasks).subset(self.tasks)

    def open(self, folder: Path, tasks: Sequence[str] | None, *, check_files: bool) -> NpySource:
        """Opens the files in a folder; see `NpySource`."""
        chosen = self.available().subset(self.tasks if tasks is None else tasks).names
        return NpySource(
            folder, tasks=chosen, classes=self.classes, inverse_depth=self.inverse_depth, check_files=check_files
        )

    def find(self, data_dir: str | os.PathLike[str] | None) -> Path:
        """Returns the folder of the files: the dataset's folder in `data_dir`, or `data_dir` itself.

        Args:
            data_dir: by default the environment variable `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

        Raises:
            DataUnavailable: if there are no such files.
        """
        root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
        for folder in (root / self.name, root):
            if (folder / "train" / "image").is_dir():
                return folder
        raise DataUnavailable(
            f"Found no {self.name} in {root / self.name} or {root}: the files should be {LAYOUT}. Download them by "
            "hand (github.com/lorenmt/mtan links to them) and name their folder with --data_dir (or TFDS_DATA_DIR), "
            f"or use the synthetic look-alike with --synthetic."
        )


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "cityscapes",
            ("flat", "construction", "object", "nature", "sky", "human", "vehicle"),
            ("segmentation", "depth"),
            inverse_depth=True,
        ),
        Preset(
            "nyuv2",
            (
                "bed",
                "books",
                "ceiling",
                "chair",
                "floor",
                "furniture",
                "objects",
                "picture",
                "sofa",
                "table",
                "tv",
                "wall",
                "window",
            ),
            ("segmentation", "depth", "normals"),
        ),
    )
}
"""Name -> preset."""
