"""`predict_images`: prints, draws and writes as CSV the predictions for image files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from rich.console import Console
from rich.table import Table

from experiments.prediction_tables import MAX_PRINTED, class_or_text, csv_cells, print_table, write_csv
from experiments.predictor import Predictor
from mtl_keras.analysis.pixels import CLASS_HEADS
from mtl_keras.export.replacing import replacing
from mtl_keras.reports.maps import legend, legend_picture, map_picture, palette_picture
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import picture, side_by_side, stacked, with_caption

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
"""Suffixes of the images in a folder, case-insensitive."""
_BATCH_SIZE = 32
_SIDE, _MAX_BINARY, _MAX_PALETTE = 256, 8, 256


@dataclass(frozen=True)
class Prediction:
    """The predictions for one image.

    Args:
        file: the image.
        image: float32 `(height, width, channels)`, the model's input.
        values: task -> prediction `(...)`.
    """

    file: Path
    image: np.ndarray
    values: dict[str, np.ndarray]


def files_to_predict(path: Path) -> list[Path]:
    """Returns an image file, or the images in a folder sorted by name.

    Raises:
        ValueError: if there is no such file, or no image in the folder.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"There is no such image or folder. Received: --predict={path}")
    found = sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
    if not found:
        raise ValueError(f"There is no image ({', '.join(SUFFIXES)}) in the folder. Received: --predict={path}")
    return found


def predict_images(predictor: Predictor, files: Sequence[Path], output: Path, console: Console | None = None) -> None:
    """Prints a table of predictions, and writes `predictions.csv` and a picture for each image into a folder.

    The map of a dense task is written into a folder of the task's name: of classes a PNG whose values are the class
    indices, of numbers a float32 array `(height, width, channels)` as `.npy` and a PNG in colours.

    Among several files, those that are not images are reported on stderr and skipped. The first 20 are printed.

    Args:
        predictor: the model.
        files: images.
        output: the output folder.
        console: the console to print to.

    Raises:
        ValueError: if `output` is the folder of the images; at the end, if some files could not be decoded.
        OSError: if `output` cannot be written.
    """
    if any(file.parent.resolve() == output.resolve() for file in files):
        raise ValueError(f"--output must not be the folder of the images. Received: {output}")
    bad: list[Path] = []
    rows: list[dict[str, str]] = []
    table = Table("file", "task", "prediction", "confidence")
    for prediction in _predictions(predictor, files, bad):
        output.mkdir(parents=True, exist_ok=True)
        rows.append({"file": str(prediction.file), **csv_cells(prediction.values, predictor.outputs)})
        for number, (task, entry) in enumerate(predictor.outputs.items() if len(rows) <= MAX_PRINTED else ()):
            words, confidence = class_or_text(entry, prediction.values[task])
            table.add_row("" if number else prediction.file.name, task, words, confidence)
        with replacing(output / _picture_name(prediction.file)) as temporary:
            _sheet(prediction, predictor).save(temporary, "PNG")
        for task, entry in predictor.outputs.items():
            if entry.is_dense:
                _write_map(output / task, prediction.file, entry, prediction.values[task])
    if rows:
        target = output / "predictions.csv"
        replaced = " (replaced)" if target.exists() else ""
        write_csv(target, rows)
        print(predictor.source)
        print_table(table, console or Console())
        if len(rows) > MAX_PRINTED:
            print(f"and {len(rows) - MAX_PRINTED} more images")
        print(f"Pictures and predictions.csv{replaced}: {output}")
        if folders := [task for task, entry in predictor.outputs.items() if entry.is_dense]:
            print(f"Maps: the folders {', '.join(folders)} in it")
    if bad and len(files) == 1:
        raise ValueError(_undecodable(bad[0]))
    if bad:
        raise ValueError(f"{len(bad)} of {len(files)} files could not be read as images, the first {bad[0]}")


def _predictions(predictor: Predictor, files: Sequence[Path], bad: list[Path]) -> Iterator[Prediction]:
    for start in range(0, len(files), _BATCH_SIZE):
        read: list[Path] = []
        images: list[np.ndarray] = []
        for file in files[start : start + _BATCH_SIZE]:
            try:
                images.append(np.asarray(predictor.decode(tf.constant(file.read_bytes()))))
                read.append(file)
            except tf.errors.InvalidArgumentError:
                if len(files) > 1:
                    print(f"warning: {_undecodable(file)}", file=sys.stderr)
                bad.append(file)
        if read:
            found = {task: np.asarray(values) for task, values in predictor.predict(np.stack(images)).items()}
            for row, (file, image) in enumerate(zip(read, images)):
                yield Prediction(file, image, {task: found[task][row] for task in predictor.outputs})


def _picture_name(file: Path) -> str:
    """Returns the name with the suffix .png. It is added to `a.jpg.png` too, because `a.jpg` becomes `a.jpg.png`."""
    is_png = file.suffix.lower() == ".png" and Path(file.stem).suffix.lower() not in SUFFIXES
    return file.name if is_png else f"{file.name}.png"


def _undecodable(file: Path) -> str:
    return f"{file} cannot be decoded as an image (JPEG, PNG, GIF or BMP)"


def _write_map(folder: Path, file: Path, output: Output, value: np.ndarray) -> None:
    """Writes the map of an image.

    Args:
        folder: the folder of the task.
        file: the image.
        output: the description of the task's output.
        value: the prediction `(height, width, channels)`.
    """
    values = output.prediction_map(value)
    picture_file, array_file = folder / _picture_name(file), folder / f"{file.name}.npy"
    is_palette = output.head in CLASS_HEADS and len(output.classes) <= _MAX_PALETTE
    if is_palette:
        drawn = palette_picture(values, len(output.classes))
    else:
        with replacing(array_file) as temporary:
            np.save(temporary, values)
        drawn = map_picture(output, values, side=max(values.shape[:2]))
    with replacing(picture_file) as temporary:
        drawn.save(temporary, "PNG")


def _sheet(prediction: Prediction, predictor: Predictor) -> Image.Image:
    """Returns the image with its points, reconstructions and maps to the right, and the predictions as text below."""
    predictions = [(task, output, prediction.values[task]) for task, output in predictor.outputs.items()]
    points = [value for _, output, value in predictions if output.is_points]
    joined = np.concatenate(points) if points else None
    pictures = [picture(prediction.image, predicted_points=joined, side=_SIDE)]
    pictures += [picture(value, side=_SIDE) for _, output, value in predictions if output.head == "reconstruction"]
    maps = [(output, output.prediction_map(value)) for _, output, value in predictions if output.is_dense]
    pictures += [map_picture(output, values, side=_SIDE) for output, values in maps]
    rows = [side_by_side(pictures)]
    rows += [legend_picture(entries, rows[0].width) for each in maps if (entries := legend(each[0], [each[1]]))]
    if sum(output.head == "binary" for _, output, _ in predictions) > _MAX_BINARY:
        # With many binary tasks, show only the positive ones.
        predictions = [entry for entry in predictions if entry[1].head != "binary" or entry[1].class_of(entry[2])]
    words = [
        (task, output.describe(value)) for task, output, value in predictions if output.is_dense or not output.is_drawn
    ]
    return with_caption(stacked(rows), [": ".join(each) for each in words])
