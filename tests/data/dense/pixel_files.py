"""Draws small images with labels for every pixel, in files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COUNT, HEIGHT, WIDTH = 10, 12, 16
Drawn = dict[str, np.ndarray]


def draw(seed: int = 0, count: int = COUNT, height: int = HEIGHT, width: int = WIDTH) -> Drawn:
    """Returns images uint8 (count, height, width, 3), and labels (count, height, width, ...) of each kind."""
    rng = np.random.default_rng(seed)
    size = (count, height, width)
    classes = rng.integers(0, 3, size).astype(np.uint8)
    classes[:, :2] = 255
    depth = rng.integers(1, 5000, size).astype(np.uint16)
    depth[:, :, 0] = 0
    normals = rng.normal(size=(*size, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[:, 0, 0] = 0
    return {
        "image": rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        "classes": classes,
        "mask": rng.integers(0, 2, size).astype(np.uint8) * 255,
        "depth": depth,
        "normals": normals,
        "heat": rng.random(size).astype(np.float32),
    }


def save(path: Path, values: np.ndarray) -> None:
    """Writes an array as an image, or as .npy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


def save_all(folder: Path, drawn: Mapping[str, np.ndarray], suffixes: Mapping[str, str]) -> dict[str, list[str]]:
    """Writes one file for each image and kind of label, and returns their names: kind -> `kind/number.suffix`."""
    names: dict[str, list[str]] = {}
    for kind, suffix in suffixes.items():
        names[kind] = [f"{kind}/{number}{suffix}" for number in range(len(drawn[kind]))]
        for name, values in zip(names[kind], drawn[kind]):
            save(folder / name, values)
    return names


def write_table(file: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Writes a CSV file."""
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values()))
    return file
